package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const sqlRecorded = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id
FROM ledger_transfers
WHERE transfer_id = ANY($1::UUID[])`

const sqlLastSequence = `
SELECT COALESCE(max(sequence), 0)::INT8
FROM ledger_transfers
WHERE writer = $1::UUID`

// sqlLockBalances is for accounts that may not go negative alone: the others are moved without being looked at before.
const sqlLockBalances = `
SELECT account_id, non_negative, debits_pending, credits_pending, debits_posted, credits_posted
FROM ledger_balances
WHERE account_id = ANY($1::UUID[]) AND stripe = 0
ORDER BY account_id
FOR UPDATE`

// row is a transfer as the table has it, with accounts by id.
type row struct {
	debit, credit  uuid.UUID
	minor          int64
	currency, code string
	reference      uuid.UUID
	kind           Kind
	prior          uuid.UUID
}

// repeats reports whether an answer r fits p, the transfer it names: the same amount, for the same reason, between the same
// accounts, which a reversal takes the other way round.
func (r *row) repeats(p *row) bool {
	if r.kind == Reverse {
		return r.debit == p.credit && r.credit == p.debit && r.minor == p.minor && r.currency == p.currency && r.reference == p.reference
	}
	return r.debit == p.debit && r.credit == p.credit && r.minor == p.minor && r.currency == p.currency && r.reference == p.reference
}

// mayAnswer reports whether a transfer of kind k may answer one of kind prior.
func (k Kind) mayAnswer(prior Kind) bool {
	if k == Reverse {
		return prior == Single || prior == Post
	}
	return prior == Pending
}

// touched is an account that a batch names.
type touched struct {
	Account
	id     uuid.UUID
	used   bool    // by a transfer that is new
	known  bool    // its stripe exists
	before Balance // of an account that may not go negative; zero where it is new
	delta  Balance
}

// entry is a transfer of a batch on its way into the books.
type entry struct {
	id            uuid.UUID
	row           row
	debit, credit int // in books.accounts
}

// books is what one batch knows of the tables.
type books struct {
	entries  []entry
	accounts []touched
	byID     map[uuid.UUID]int  // account id → its place in accounts
	made     map[uuid.UUID]int  // transfer id → its place in entries, as they were given
	recorded map[uuid.UUID]*row // by transfer id: what the table has, then what the batch adds
	last     int64              // this writer's last number
}

// gather validates the transfers, drops exact repetitions among them and numbers their accounts.
func gather(transfers []Transfer) (*books, error) {
	b := &books{
		entries:  make([]entry, 0, len(transfers)),
		byID:     make(map[uuid.UUID]int),
		recorded: make(map[uuid.UUID]*row),
		made:     make(map[uuid.UUID]int, len(transfers)),
	}
	places := make(map[Account]int)
	for i := range transfers {
		t := &transfers[i]
		if err := t.validate(); err != nil {
			return nil, err
		}
		debit, err := b.place(places, t.Debit)
		if err != nil {
			return nil, fmt.Errorf("transfer %s: debit: %w", t.ID, err)
		}
		credit, err := b.place(places, t.Credit)
		if err != nil {
			return nil, fmt.Errorf("transfer %s: credit: %w", t.ID, err)
		}
		e := entry{id: t.ID, debit: debit, credit: credit, row: row{
			debit: b.accounts[debit].id, credit: b.accounts[credit].id, minor: t.Amount.Minor, currency: t.Amount.Currency,
			code: t.Code, reference: t.Reference, kind: t.Kind, prior: t.PriorID,
		}}
		if first, ok := b.made[t.ID]; ok {
			if b.entries[first].row != e.row {
				return nil, fmt.Errorf("%w: %s twice in one batch", contradiction(&b.entries[first].row, &e.row), t.ID)
			}
			continue
		}
		b.made[t.ID] = len(b.entries)
		b.entries = append(b.entries, e)
	}
	return b, nil
}

// place finds an account's place among those of the batch, or gives it one.
func (b *books) place(places map[Account]int, a Account) (int, error) {
	if at, ok := places[a]; ok {
		return at, nil
	}
	if err := a.validate(); err != nil {
		return 0, err
	}
	id := a.ID()
	if _, ok := b.byID[id]; ok {
		return 0, fmt.Errorf("%w: account %s %s both may and may not go negative", ErrMismatch, a.Code, a.Currency)
	}
	at := len(b.accounts)
	b.accounts = append(b.accounts, touched{Account: a, id: id})
	places[a], b.byID[id] = at, at
	return at, nil
}

// contradiction names the error of two transfers with one id.
func contradiction(recorded, wanted *row) error {
	if wanted.kind != recorded.kind && wanted.prior == recorded.prior && wanted.kind.answers() && recorded.kind.answers() {
		return ErrEnded
	}
	return ErrMismatch
}

// lookUp fetches what is recorded of the transfers that the batch answers, and, where careful, of those it makes.
func (b *books) lookUp(ctx context.Context, q Reader, careful bool) error {
	ids := make([]uuid.UUID, 0, len(b.entries))
	for i := range b.entries {
		e := &b.entries[i]
		if _, ok := b.recorded[e.id]; careful && !ok {
			ids = append(ids, e.id)
		}
		if _, ok := b.recorded[e.row.prior]; e.row.prior != uuid.Nil && !ok && (careful || !b.makes(e.row.prior)) {
			ids = append(ids, e.row.prior)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	// Neighbours in the table are looked up one after the other.
	slices.SortFunc(ids, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	batch := &pgx.Batch{}
	for part := range slices.Chunk(slices.Compact(ids), batchRows) {
		batch.Queue(sqlRecorded, part).Query(b.scanRecorded)
	}
	return q.SendBatch(ctx, batch).Close()
}

// makes reports whether the batch has a transfer of this id.
func (b *books) makes(id uuid.UUID) bool {
	_, ok := b.made[id]
	return ok
}

// begin locks the accounts that may not go negative and reads the writer's last number.
func (b *books) begin(ctx context.Context, tx pgx.Tx, w *Writer) error {
	batch := &pgx.Batch{}
	for part := range slices.Chunk(b.guarded(), batchRows) {
		batch.Queue(sqlLockBalances, part).Query(b.scanBalances)
	}
	batch.Queue(sqlLastSequence, w.incarnation).QueryRow(func(r pgx.Row) error { return r.Scan(&b.last) })
	return tx.SendBatch(ctx, batch).Close()
}

// guarded lists the accounts that may not go negative, in the order in which every batch locks them.
func (b *books) guarded() []uuid.UUID {
	var ids []uuid.UUID
	for i := range b.accounts {
		if b.accounts[i].NonNegative {
			ids = append(ids, b.accounts[i].id)
		}
	}
	slices.SortFunc(ids, func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	return ids
}

func (b *books) scanBalances(rows pgx.Rows) error {
	for rows.Next() {
		var id uuid.UUID
		var bal Balance
		if err := rows.Scan(&id, &bal.NonNegative, &bal.DebitsPending, &bal.CreditsPending, &bal.DebitsPosted, &bal.CreditsPosted); err != nil {
			return err
		}
		a := &b.accounts[b.byID[id]]
		if a.NonNegative != bal.NonNegative {
			return fmt.Errorf("%w: account %s %s was opened with non_negative=%t", ErrMismatch, a.Code, a.Currency, bal.NonNegative)
		}
		a.known, a.before = true, bal
	}
	return rows.Err()
}

func (b *books) scanRecorded(rows pgx.Rows) error {
	for rows.Next() {
		var id uuid.UUID
		var prior pgtype.UUID
		r := &row{}
		if err := rows.Scan(&id, &r.debit, &r.credit, &r.minor, &r.currency, &r.code, &r.reference, &r.kind, &prior); err != nil {
			return err
		}
		r.prior = prior.Bytes
		b.recorded[id] = r
	}
	return rows.Err()
}

// admit refuses what contradicts the books and keeps of the entries what is new, in the given order.
func (b *books) admit() error {
	fresh := b.entries[:0]
	for i := range b.entries {
		e := b.entries[i]
		if recorded, ok := b.recorded[e.id]; ok {
			if *recorded != e.row {
				return fmt.Errorf("%w: %s", contradiction(recorded, &e.row), e.id)
			}
			continue
		}
		if e.row.prior != uuid.Nil {
			p, ok := b.recorded[e.row.prior]
			if !ok || !e.row.kind.mayAnswer(p.kind) {
				return fmt.Errorf("%w: %s is a %s of %s", refusal(e.row.kind), e.id, e.row.kind, e.row.prior)
			}
			if !e.row.repeats(p) {
				return fmt.Errorf("%w: %s does not repeat %s", ErrMismatch, e.id, e.row.prior)
			}
		}
		fresh = append(fresh, e)
		if e.row.kind != Void && e.row.kind != Reverse { // what somebody may answer
			b.recorded[e.id] = &fresh[len(fresh)-1].row
		}
	}
	b.entries = fresh
	return nil
}

// refusal names the error of an answer to a transfer that takes no such answer.
func refusal(kind Kind) error {
	if kind == Reverse {
		return ErrNotFinal
	}
	return ErrPendingUnknown
}

// apply adds the transfers up per account and refuses sums that overflow or uncover an account.
func (b *books) apply() error {
	for i := range b.entries {
		e := &b.entries[i]
		b.accounts[e.debit].used, b.accounts[e.credit].used = true, true
		if !b.accounts[e.debit].delta.move(e.row.kind, e.row.minor, true) || !b.accounts[e.credit].delta.move(e.row.kind, e.row.minor, false) {
			return fmt.Errorf("%w: %s", ErrOverflow, e.id)
		}
	}
	for i := range b.accounts {
		a := &b.accounts[i]
		after, ok := a.before.plus(a.delta)
		if !ok || !after.bounded() {
			return fmt.Errorf("%w: balance of %s %s", ErrOverflow, a.Code, a.Currency)
		}
		if a.NonNegative && !after.covered() {
			return fmt.Errorf("%w: %s %s", ErrInsufficient, a.Code, a.Currency)
		}
	}
	return nil
}
