package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

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
