package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

var (
	// ErrMismatch means that the id is taken by a transfer of other content, or that a post or void does not repeat the
	// accounts and amount of what it ends.
	ErrMismatch = errors.New("ledger: transfer differs from the recorded one")
	// ErrEnded means that the pending transfer was posted or voided before.
	ErrEnded = errors.New("ledger: pending transfer has ended")
	// ErrPendingUnknown means that a post or void names no pending transfer.
	ErrPendingUnknown = errors.New("ledger: no such pending transfer")
	// ErrInsufficient means that an account that may not go negative would.
	ErrInsufficient = errors.New("ledger: insufficient balance")
)

// batchRows is how many rows one statement carries.
const batchRows = 1000

// coveredConstraint is the last line of defence behind ErrInsufficient.
const coveredConstraint = "ledger_balances_covered"

// sqlRecorded and the three statements after it are what a batch must know; they travel together.
const sqlRecorded = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, pending_id
FROM ledger_transfers
WHERE transfer_id = ANY($1::UUID[])`

const sqlEnders = `
SELECT pending_id, transfer_id
FROM ledger_transfers
WHERE pending_id = ANY($1::UUID[])`

const sqlLastSequence = `
SELECT COALESCE(max(sequence), 0)::INT8
FROM ledger_transfers
WHERE writer = $1::UUID`

const sqlLockBalances = `
SELECT account_id, non_negative, debits_pending, credits_pending, debits_posted, credits_posted
FROM ledger_balances
WHERE account_id = ANY($1::UUID[])
ORDER BY account_id
FOR UPDATE`

const sqlInsertAccounts = `
INSERT INTO ledger_accounts (account_id, code, currency, non_negative)
SELECT u.account_id, u.code, u.currency, u.non_negative
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::BOOL[]) AS u(account_id, code, currency, non_negative)
ON CONFLICT (account_id) DO NOTHING`

const sqlInsertBalances = `
INSERT INTO ledger_balances (account_id, non_negative, debits_pending, credits_pending, debits_posted, credits_posted)
SELECT u.account_id, u.non_negative, 0, 0, 0, 0
FROM unnest($1::UUID[], $2::BOOL[]) AS u(account_id, non_negative)
ON CONFLICT (account_id) DO NOTHING`

const sqlInsertTransfers = `
INSERT INTO ledger_transfers (transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind,
                              pending_id, writer, sequence, created_at)
SELECT u.transfer_id, u.debit_account, u.credit_account, u.amount_minor, u.currency, u.code, u.reference, u.kind,
       u.pending_id, $10::UUID, u.sequence, now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::INT8[], $5::TEXT[], $6::TEXT[], $7::UUID[], $8::TEXT[], $9::UUID[], $11::INT8[])
     AS u(transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, pending_id, sequence)`

const sqlAddBalances = `
UPDATE ledger_balances AS b
SET debits_pending  = b.debits_pending + u.debits_pending,
    credits_pending = b.credits_pending + u.credits_pending,
    debits_posted   = b.debits_posted + u.debits_posted,
    credits_posted  = b.credits_posted + u.credits_posted
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[], $4::INT8[], $5::INT8[])
     AS u(account_id, debits_pending, credits_pending, debits_posted, credits_posted)
WHERE b.account_id = u.account_id`

// Writer records transfers and numbers them. Its incarnation is new in every process, so no two processes ever share a numbering.
//
// The next number is read inside the transaction that uses it: an aborted or repeated transaction leaves no gap. A Writer may be
// used from many goroutines; transactions that would take the same number conflict and the caller's retry settles it. Recording
// from one lane avoids the conflict, and also the one over the balance rows that all sales of a currency share.
type Writer struct {
	incarnation uuid.UUID
}

// NewWriter makes a writer with a fresh incarnation.
func NewWriter() *Writer {
	return &Writer{incarnation: uuid.New()}
}

// Incarnation is the id under which this writer's transfers are numbered.
func (w *Writer) Incarnation() uuid.UUID { return w.incarnation }

// Record writes transfers and moves the balances of their accounts, which it creates when they are new. tx must be serializable.
//
// A transfer recorded before with the same content is skipped, so repeating a call is harmless. Any refusal (ErrMismatch, ErrEnded,
// ErrPendingUnknown, ErrInsufficient, ErrCurrency, ErrOverflow, ErrTransferMalformed, ErrAccountMalformed) is of the whole call,
// names the transfer, and comes before the first write. A batch may end what it makes pending, in that order.
func (w *Writer) Record(ctx context.Context, tx pgx.Tx, transfers []Transfer) error {
	fresh, err := dedupe(transfers)
	if err != nil || len(fresh) == 0 {
		return err
	}
	b, err := w.read(ctx, tx, fresh)
	if err != nil {
		return fmt.Errorf("read the books: %w", err)
	}
	fresh, err = b.admit(fresh)
	if err != nil || len(fresh) == 0 {
		return err
	}
	deltas, err := b.apply(fresh)
	if err != nil {
		return err
	}
	if err := w.write(ctx, tx, b, fresh, deltas); err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.ConstraintName == coveredConstraint {
			return fmt.Errorf("%w: %w", ErrInsufficient, err)
		}
		return fmt.Errorf("write the books: %w", err)
	}
	return nil
}

// dedupe validates every transfer and drops exact repetitions within the call.
func dedupe(transfers []Transfer) ([]Transfer, error) {
	seen := make(map[uuid.UUID]Transfer, len(transfers))
	fresh := make([]Transfer, 0, len(transfers))
	for _, t := range transfers {
		if err := t.validate(); err != nil {
			return nil, err
		}
		if first, ok := seen[t.ID]; ok {
			if first != t {
				return nil, fmt.Errorf("%w: %s twice in one batch", ErrMismatch, t.ID)
			}
			continue
		}
		seen[t.ID] = t
		fresh = append(fresh, t)
	}
	return fresh, nil
}

// row is a transfer as the table has it, with accounts by id.
type row struct {
	debit, credit  uuid.UUID
	minor          int64
	currency, code string
	reference      uuid.UUID
	kind           Kind
	pending        uuid.UUID
}

func (t Transfer) row() row {
	return row{t.Debit.ID(), t.Credit.ID(), t.Amount.Minor, t.Amount.Currency, t.Code, t.Reference, t.Kind, t.PendingID}
}

// sameMove reports whether a post or void r repeats what p, the transfer it names, holds back.
func (r row) sameMove(p row) bool {
	return r.debit == p.debit && r.credit == p.credit && r.minor == p.minor && r.currency == p.currency
}

// books is what one batch knows of the tables.
type books struct {
	recorded map[uuid.UUID]row       // by transfer id
	enders   map[uuid.UUID]uuid.UUID // pending id → the transfer that ended it
	balances map[uuid.UUID]Balance   // by account id; missing ones are new
	accounts map[uuid.UUID]Account   // those the batch names
	last     int64                   // this writer's last number
}

func (w *Writer) read(ctx context.Context, tx pgx.Tx, transfers []Transfer) (*books, error) {
	b := &books{
		recorded: make(map[uuid.UUID]row),
		enders:   make(map[uuid.UUID]uuid.UUID),
		balances: make(map[uuid.UUID]Balance),
		accounts: make(map[uuid.UUID]Account),
	}
	var ids, pendings []uuid.UUID
	for _, t := range transfers {
		ids = append(ids, t.ID)
		if t.PendingID != uuid.Nil {
			pendings = append(pendings, t.PendingID)
		}
		for _, a := range []Account{t.Debit, t.Credit} {
			if known, ok := b.accounts[a.ID()]; ok && known != a {
				return nil, fmt.Errorf("%w: account %s %s both may and may not go negative", ErrMismatch, a.Code, a.Currency)
			}
			b.accounts[a.ID()] = a
		}
	}
	batch := &pgx.Batch{}
	for part := range slices.Chunk(sortedKeys(b.accounts), batchRows) {
		batch.Queue(sqlLockBalances, part).Query(b.scanBalances)
	}
	for part := range slices.Chunk(append(ids, pendings...), batchRows) {
		batch.Queue(sqlRecorded, part).Query(b.scanRecorded)
	}
	for part := range slices.Chunk(pendings, batchRows) {
		batch.Queue(sqlEnders, part).Query(b.scanEnders)
	}
	batch.Queue(sqlLastSequence, w.incarnation).QueryRow(func(r pgx.Row) error { return r.Scan(&b.last) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *books) scanBalances(rows pgx.Rows) error {
	for rows.Next() {
		var id uuid.UUID
		var bal Balance
		if err := rows.Scan(&id, &bal.NonNegative, &bal.DebitsPending, &bal.CreditsPending, &bal.DebitsPosted, &bal.CreditsPosted); err != nil {
			return err
		}
		if a := b.accounts[id]; a.NonNegative != bal.NonNegative {
			return fmt.Errorf("%w: account %s %s was opened with non_negative=%t", ErrMismatch, a.Code, a.Currency, bal.NonNegative)
		}
		bal.Account = b.accounts[id]
		b.balances[id] = bal
	}
	return rows.Err()
}

func (b *books) scanRecorded(rows pgx.Rows) error {
	for rows.Next() {
		var id uuid.UUID
		var pending pgtype.UUID
		var r row
		if err := rows.Scan(&id, &r.debit, &r.credit, &r.minor, &r.currency, &r.code, &r.reference, &r.kind, &pending); err != nil {
			return err
		}
		r.pending = pending.Bytes
		b.recorded[id] = r
	}
	return rows.Err()
}

func (b *books) scanEnders(rows pgx.Rows) error {
	for rows.Next() {
		var pending, ender uuid.UUID
		if err := rows.Scan(&pending, &ender); err != nil {
			return err
		}
		b.enders[pending] = ender
	}
	return rows.Err()
}

// admit refuses what contradicts the books and returns what is new, in the given order.
func (b *books) admit(transfers []Transfer) ([]Transfer, error) {
	fresh := transfers[:0:0]
	for _, t := range transfers {
		r := t.row()
		if recorded, ok := b.recorded[t.ID]; ok {
			if recorded != r {
				return nil, fmt.Errorf("%w: %s", ErrMismatch, t.ID)
			}
			continue
		}
		if t.PendingID != uuid.Nil {
			p, ok := b.recorded[t.PendingID]
			if !ok || p.kind != Pending {
				return nil, fmt.Errorf("%w: %s names %s", ErrPendingUnknown, t.ID, t.PendingID)
			}
			if ender, ok := b.enders[t.PendingID]; ok {
				return nil, fmt.Errorf("%w: %s would end %s, which %s ended", ErrEnded, t.ID, t.PendingID, ender)
			}
			if !r.sameMove(p) {
				return nil, fmt.Errorf("%w: %s does not repeat %s", ErrMismatch, t.ID, t.PendingID)
			}
			b.enders[t.PendingID] = t.ID
		}
		b.recorded[t.ID] = r
		fresh = append(fresh, t)
	}
	return fresh, nil
}

// apply adds the transfers up per account and refuses sums that overflow or uncover an account.
func (b *books) apply(transfers []Transfer) (map[uuid.UUID]Balance, error) {
	deltas := make(map[uuid.UUID]Balance, len(b.accounts))
	for _, t := range transfers {
		debit, credit := deltas[t.Debit.ID()], deltas[t.Credit.ID()]
		if !debit.move(t.Kind, t.Amount.Minor, true) || !credit.move(t.Kind, t.Amount.Minor, false) {
			return nil, fmt.Errorf("%w: %s", ErrOverflow, t.ID)
		}
		deltas[t.Debit.ID()], deltas[t.Credit.ID()] = debit, credit
	}
	for id, d := range deltas {
		a := b.accounts[id]
		after, ok := b.balances[id].plus(d)
		if !ok {
			return nil, fmt.Errorf("%w: balance of %s %s", ErrOverflow, a.Code, a.Currency)
		}
		if covered := after.covered(); a.NonNegative && !covered {
			return nil, fmt.Errorf("%w: %s %s", ErrInsufficient, a.Code, a.Currency)
		}
	}
	return deltas, nil
}

func (w *Writer) write(ctx context.Context, tx pgx.Tx, b *books, transfers []Transfer, deltas map[uuid.UUID]Balance) error {
	batch := &pgx.Batch{}
	queueNewAccounts(batch, b, deltas)
	next := b.last
	for part := range slices.Chunk(transfers, batchRows) {
		queueTransfers(batch, part, w.incarnation, next)
		next += int64(len(part))
	}
	for ids := range slices.Chunk(sortedKeys(deltas), batchRows) {
		columns := make([][]int64, 4)
		for _, id := range ids {
			d := deltas[id]
			for i, v := range []int64{d.DebitsPending, d.CreditsPending, d.DebitsPosted, d.CreditsPosted} {
				columns[i] = append(columns[i], v)
			}
		}
		batch.Queue(sqlAddBalances, ids, columns[0], columns[1], columns[2], columns[3])
	}
	return tx.SendBatch(ctx, batch).Close()
}

func queueNewAccounts(batch *pgx.Batch, b *books, deltas map[uuid.UUID]Balance) {
	var ids []uuid.UUID
	for _, id := range sortedKeys(deltas) {
		if _, ok := b.balances[id]; !ok {
			ids = append(ids, id)
		}
	}
	for part := range slices.Chunk(ids, batchRows) {
		var codes, currencies []string
		var nonNegative []bool
		for _, id := range part {
			a := b.accounts[id]
			codes, currencies, nonNegative = append(codes, a.Code), append(currencies, a.Currency), append(nonNegative, a.NonNegative)
		}
		batch.Queue(sqlInsertAccounts, part, codes, currencies, nonNegative)
		batch.Queue(sqlInsertBalances, part, nonNegative)
	}
}

func queueTransfers(batch *pgx.Batch, transfers []Transfer, writer uuid.UUID, last int64) {
	n := len(transfers)
	ids, debits, credits, references := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	minors, sequences := make([]int64, n), make([]int64, n)
	currencies, codes, kinds := make([]string, n), make([]string, n), make([]string, n)
	pendings := make([]pgtype.UUID, n)
	for i, t := range transfers {
		ids[i], debits[i], credits[i], references[i] = t.ID, t.Debit.ID(), t.Credit.ID(), t.Reference
		minors[i], sequences[i] = t.Amount.Minor, last+int64(i)+1
		currencies[i], codes[i], kinds[i] = t.Amount.Currency, t.Code, string(t.Kind)
		pendings[i] = pgtype.UUID{Bytes: t.PendingID, Valid: t.PendingID != uuid.Nil}
	}
	batch.Queue(sqlInsertTransfers, ids, debits, credits, minors, currencies, codes, references, kinds, pendings, writer, sequences)
}

func sortedKeys[V any](m map[uuid.UUID]V) []uuid.UUID {
	keys := make([]uuid.UUID, 0, len(m))
	for id := range m {
		keys = append(keys, id)
	}
	slices.SortFunc(keys, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return keys
}
