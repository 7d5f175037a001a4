package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	// ErrMismatch means that the id is taken by a transfer of other content, or that a post, void or reversal does not repeat the
	// accounts, amount and reference of what it answers.
	ErrMismatch = errors.New("ledger: transfer differs from the recorded one")
	// ErrEnded means that the pending transfer was posted or voided before.
	ErrEnded = errors.New("ledger: pending transfer has ended")
	// ErrPendingUnknown means that a post or void names no pending transfer.
	ErrPendingUnknown = errors.New("ledger: no such pending transfer")
	// ErrNotFinal means that a reversal names no transfer that moved money: nothing known, a pending one, a void or a reversal.
	ErrNotFinal = errors.New("ledger: no such final transfer")
	// ErrInsufficient means that an account that may not go negative would.
	ErrInsufficient = errors.New("ledger: insufficient balance")
)

// batchRows is how many rows one statement carries.
const batchRows = 1000

// coveredConstraint is the last line of defence behind ErrInsufficient.
const coveredConstraint = "ledger_balances_covered"

const sqlInsertAccounts = `
INSERT INTO ledger_accounts (account_id, code, currency, non_negative)
SELECT u.account_id, u.code, u.currency, u.non_negative
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::BOOL[]) AS u(account_id, code, currency, non_negative)
ON CONFLICT (account_id) DO NOTHING`

// sqlOpened looks for accounts that were opened otherwise than the batch names them.
const sqlOpened = `
SELECT a.code, a.currency, a.non_negative
FROM ledger_accounts AS a
JOIN unnest($1::UUID[], $2::BOOL[]) AS u(account_id, non_negative) ON u.account_id = a.account_id
WHERE a.non_negative <> u.non_negative
ORDER BY a.code, a.currency
LIMIT 1`

const sqlInsertBalances = `
INSERT INTO ledger_balances (account_id, stripe, non_negative, debits_pending, credits_pending, debits_posted, credits_posted)
SELECT u.account_id, u.stripe, u.non_negative, u.debits_pending, u.credits_pending, u.debits_posted, u.credits_posted
FROM unnest($1::UUID[], $2::INT8[], $3::BOOL[], $4::INT8[], $5::INT8[], $6::INT8[], $7::INT8[])
     AS u(account_id, stripe, non_negative, debits_pending, credits_pending, debits_posted, credits_posted)`

const sqlInsertTransfers = `
INSERT INTO ledger_transfers (transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind,
                              prior_id, writer, sequence, created_at)
SELECT u.transfer_id, u.debit_account, u.credit_account, u.amount_minor, u.currency, u.code, u.reference, u.kind,
       u.prior_id, $10::UUID, u.sequence, now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::INT8[], $5::TEXT[], $6::TEXT[], $7::UUID[], $8::TEXT[], $9::UUID[], $11::INT8[])
     AS u(transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, sequence)`

// sqlAddBalances moves the stripes that exist and says how they stand; the flag is a guard.
const sqlAddBalances = `
UPDATE ledger_balances AS b
SET debits_pending  = b.debits_pending + u.debits_pending,
    credits_pending = b.credits_pending + u.credits_pending,
    debits_posted   = b.debits_posted + u.debits_posted,
    credits_posted  = b.credits_posted + u.credits_posted
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[])
     AS u(account_id, stripe, debits_pending, credits_pending, debits_posted, credits_posted)
WHERE b.account_id = u.account_id AND b.stripe = u.stripe
RETURNING b.account_id, b.non_negative, b.debits_pending, b.credits_pending, b.debits_posted, b.credits_posted`

// stripes is how many rows the balance of a busy account may have.
const stripes = 16

// sqlAddBalance is sqlAddBalances for one account. A few accounts are moved one by one: PostgreSQL would join a small table by reading
// all of it, stripes of other writers included, and then see conflicts with them.
const sqlAddBalance = `
UPDATE ledger_balances
SET debits_pending  = debits_pending + $3::INT8,
    credits_pending = credits_pending + $4::INT8,
    debits_posted   = debits_posted + $5::INT8,
    credits_posted  = credits_posted + $6::INT8
WHERE account_id = $1::UUID AND stripe = $2::INT8
RETURNING account_id, non_negative, debits_pending, credits_pending, debits_posted, credits_posted`

// fewAccounts is how many accounts are moved one by one.
const fewAccounts = 64

// Writer records transfers and numbers them. Its incarnation is new in every process, so no two processes ever share a numbering.
//
// The next number is read inside the transaction that uses it: an aborted or repeated transaction leaves no gap. A Writer may be
// used from many goroutines; transactions that would take the same number conflict and the caller's retry settles it. Recording
// from one lane avoids the conflict. Writers move stripes of their own, so several lanes, each with its own Writer, record beside
// each other even where all of them move the same accounts; only accounts that may not go negative they wait for.
//
// Transfers never change, so whatever anybody has seen of them outside the transaction holds inside it, and what nobody has seen the
// primary key decides: Record inserts without looking whether an id is taken. If one is, it asks for the transaction to be run again
// (SQLSTATE 40001) and looks from then on, for a while.
type Writer struct {
	incarnation uuid.UUID
	stripe      int64
	reader      Reader
	careful     atomic.Int64 // calls that still look before they insert
}

// carefulCalls is how many calls look before they insert, after one met an id that was taken: repetitions seldom come alone.
const carefulCalls = 100

// transfersKey is the primary key of the transfers.
const transfersKey = "ledger_transfers_pkey"

// Reader runs statements that read outside a transaction: a pool.
type Reader interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// NewWriter makes a writer with a fresh incarnation. It looks recorded transfers up through reader, away from the transactions it
// writes in; with a nil reader it does so inside them, which costs more and makes transactions conflict that have nothing to do with
// each other.
func NewWriter(reader Reader) *Writer {
	id := uuid.New()
	return &Writer{incarnation: id, stripe: int64(id[0]) % stripes, reader: reader}
}

// Incarnation is the id under which this writer's transfers are numbered.
func (w *Writer) Incarnation() uuid.UUID { return w.incarnation }

// Record writes transfers and moves the balances of their accounts, which it creates when they are new. tx must be serializable.
//
// A transfer recorded before with the same content is skipped, so repeating a call is harmless. Any refusal (ErrMismatch, ErrEnded,
// ErrPendingUnknown, ErrNotFinal, ErrInsufficient, ErrCurrency, ErrOverflow, ErrTransferMalformed, ErrAccountMalformed) is of the
// whole call and names the transfer; the transaction must then be rolled back, as db.InTx does. A batch may answer what it makes,
// in that order.
//
// Of several things that are wrong with a batch it tells the first of these: the first transfer that is malformed or contradicts one
// before it in the batch; the first, in the batch's order, that the books refuse for what is recorded (ErrMismatch, ErrEnded,
// ErrPendingUnknown, ErrNotFinal); what the sums of all that is new would do (ErrOverflow, ErrInsufficient).
func (w *Writer) Record(ctx context.Context, tx pgx.Tx, transfers []Transfer) error {
	if len(transfers) == 0 {
		return nil
	}
	careful := w.careful.Load() > 0 && w.careful.Add(-1) >= 0
	b, refused, err := w.decide(ctx, tx, transfers, careful)
	if err == nil && refused != nil && !careful {
		// What was taken for new may be recorded: it counts twice in the sums, and may itself be what is to be refused.
		b, refused, err = w.decide(ctx, tx, transfers, true)
	}
	if err = cmp.Or(err, refused); err != nil || len(b.entries) == 0 {
		return err
	}
	if err := b.write(ctx, tx, w); err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.ConstraintName == transfersKey {
			w.careful.Store(carefulCalls)
			again := *pgErr
			again.Code = codeAgain
			err = &again
		}
		return fmt.Errorf("write the books: %w", err)
	}
	return nil
}

// codeAgain is the SQLSTATE by which a caller's transaction helper runs the transaction again.
const codeAgain = "40001"

// decide reads what a batch rests on and works out what to write, or why it is refused.
func (w *Writer) decide(ctx context.Context, tx pgx.Tx, transfers []Transfer, careful bool) (b *books, refused, err error) {
	b, err = gather(transfers)
	if err != nil {
		return nil, nil, err
	}
	if err := w.look(ctx, tx, b, careful); err != nil {
		return nil, nil, fmt.Errorf("look up what is recorded: %w", err)
	}
	if err := b.begin(ctx, tx, w); err != nil {
		return nil, nil, fmt.Errorf("read the books: %w", err)
	}
	if refused = b.admit(); refused == nil {
		refused = b.apply()
	}
	return b, refused, nil
}

// look fetches what is recorded of the batch. What the reader does not see may have been made earlier in this very transaction.
func (w *Writer) look(ctx context.Context, tx pgx.Tx, b *books, careful bool) error {
	if w.reader != nil {
		if err := b.lookUp(ctx, w.reader, careful); err != nil {
			return err
		}
	}
	return b.lookUp(ctx, tx, careful)
}

// write inserts the entries and moves the balances, in one round trip; opening accounts takes another.
func (b *books) write(ctx context.Context, tx pgx.Tx, w *Writer) error {
	batch := &pgx.Batch{}
	next := b.last
	for part := range slices.Chunk(b.entries, batchRows) {
		queueTransfers(batch, part, w.incarnation, next)
		next += int64(len(part))
	}
	moved := b.moved()
	if len(moved) <= fewAccounts {
		for _, a := range moved {
			d := &a.delta
			batch.Queue(sqlAddBalance, a.id, w.stripeOf(a), d.DebitsPending, d.CreditsPending, d.DebitsPosted, d.CreditsPosted).Query(b.scanMoved)
		}
		moved = moved[:0:0]
	}
	for part := range slices.Chunk(moved, batchRows) {
		c := columnsOf(part, w)
		batch.Queue(sqlAddBalances, c.ids, c.stripes, c.figures[0], c.figures[1], c.figures[2], c.figures[3]).Query(b.scanMoved)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return uncovered(err)
	}
	opened := slices.DeleteFunc(b.moved(), func(a *touched) bool { return a.known })
	if len(opened) == 0 {
		return nil
	}
	return b.open(ctx, tx, opened, w)
}

// moved lists the accounts of the new transfers, in the order in which every batch locks them.
func (b *books) moved() []*touched {
	moved := make([]*touched, 0, len(b.accounts))
	for i := range b.accounts {
		if a := &b.accounts[i]; a.used {
			moved = append(moved, a)
		}
	}
	slices.SortFunc(moved, func(x, y *touched) int { return bytes.Compare(x.id[:], y.id[:]) })
	return moved
}

// scanMoved checks how the moved stripes stand.
func (b *books) scanMoved(rows pgx.Rows) error {
	for rows.Next() {
		var id uuid.UUID
		var after Balance
		if err := rows.Scan(&id, &after.NonNegative, &after.DebitsPending, &after.CreditsPending, &after.DebitsPosted, &after.CreditsPosted); err != nil {
			return err
		}
		a := &b.accounts[b.byID[id]]
		a.known = true
		if a.NonNegative != after.NonNegative {
			return fmt.Errorf("%w: account %s %s was opened with non_negative=%t", ErrMismatch, a.Code, a.Currency, after.NonNegative)
		}
		if !after.bounded() {
			return fmt.Errorf("%w: balance of %s %s", ErrOverflow, a.Code, a.Currency)
		}
	}
	return rows.Err()
}

// open makes accounts that are new, or new to this stripe.
func (b *books) open(ctx context.Context, tx pgx.Tx, opened []*touched, w *Writer) error {
	batch := &pgx.Batch{}
	for part := range slices.Chunk(opened, batchRows) {
		codes, currencies := make([]string, len(part)), make([]string, len(part))
		for i, a := range part {
			codes[i], currencies[i] = a.Code, a.Currency
		}
		c := columnsOf(part, w)
		batch.Queue(sqlInsertAccounts, c.ids, codes, currencies, c.flags)
		batch.Queue(sqlOpened, c.ids, c.flags).Query(scanOpened)
		batch.Queue(sqlInsertBalances, c.ids, c.stripes, c.flags, c.figures[0], c.figures[1], c.figures[2], c.figures[3])
	}
	return uncovered(tx.SendBatch(ctx, batch).Close())
}

func scanOpened(rows pgx.Rows) error {
	if rows.Next() {
		var a Account
		if err := rows.Scan(&a.Code, &a.Currency, &a.NonNegative); err != nil {
			return err
		}
		return fmt.Errorf("%w: account %s %s was opened with non_negative=%t", ErrMismatch, a.Code, a.Currency, a.NonNegative)
	}
	return rows.Err()
}

// uncovered recognises the constraint that is the last line of defence behind ErrInsufficient.
func uncovered(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.ConstraintName == coveredConstraint {
		return fmt.Errorf("%w: %w", ErrInsufficient, err)
	}
	return err
}

// columns are the balance changes of some accounts as arrays.
type columns struct {
	ids     []uuid.UUID
	stripes []int64
	flags   []bool
	figures [4][]int64 // debits pending, credits pending, debits posted, credits posted
}

// stripeOf is the stripe of an account that this writer moves.
func (w *Writer) stripeOf(a *touched) int64 {
	if a.NonNegative {
		return 0
	}
	return w.stripe
}

func columnsOf(part []*touched, w *Writer) columns {
	c := columns{ids: make([]uuid.UUID, len(part)), stripes: make([]int64, len(part)), flags: make([]bool, len(part))}
	for i := range c.figures {
		c.figures[i] = make([]int64, len(part))
	}
	for i, a := range part {
		c.ids[i], c.stripes[i], c.flags[i] = a.id, w.stripeOf(a), a.NonNegative
		c.figures[0][i], c.figures[1][i] = a.delta.DebitsPending, a.delta.CreditsPending
		c.figures[2][i], c.figures[3][i] = a.delta.DebitsPosted, a.delta.CreditsPosted
	}
	return c
}

func queueTransfers(batch *pgx.Batch, entries []entry, writer uuid.UUID, last int64) {
	n := len(entries)
	ids, debits, credits, references := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	minors, sequences := make([]int64, n), make([]int64, n)
	currencies, codes, kinds := make([]string, n), make([]string, n), make([]string, n)
	priors := make([]pgtype.UUID, n)
	for i := range entries {
		r := &entries[i].row
		ids[i], debits[i], credits[i], references[i] = entries[i].id, r.debit, r.credit, r.reference
		minors[i], sequences[i] = r.minor, last+int64(i)+1
		currencies[i], codes[i], kinds[i] = r.currency, r.code, string(r.kind)
		priors[i] = pgtype.UUID{Bytes: r.prior, Valid: r.prior != uuid.Nil}
	}
	batch.Queue(sqlInsertTransfers, ids, debits, credits, minors, currencies, codes, references, kinds, priors, writer, sequences)
}
