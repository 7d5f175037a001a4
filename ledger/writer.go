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
