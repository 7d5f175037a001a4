package settlement

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// A refund that an operator gave up although the provider had made it has a row, which is matched with the promise that was void. When it
// is revived the books have another transfer for it, and the row is about that one: its claim moves over, whichever is looked at first,
// the row once more or the transfer. Else the promise that was void would be left without its return, and the transfer without its row, and
// reversing that would make the books wrong.

const sqlHealTransfers = `
UPDATE settlement_items
SET state = 'healed', decided_at = now(), decided_by = 'core', reason = 'the refund was revived'
WHERE item_id = ANY($1::UUID[]) AND class = 'ours_only' AND state IN ('open', 'rejected')`

const sqlRefundClaims = `
SELECT r.row_id, r.transfer_id, r.order_id, r.refund_id, r.source_ref
FROM unnest($2::TIMESTAMPTZ[], $3::UUID[]) AS u(transfer_at, transfer_id)
JOIN settlement_rows AS r ON r.transfer_at = u.transfer_at AND r.transfer_id = u.transfer_id
WHERE r.transfer_id IS NOT NULL AND r.provider = $1::TEXT AND r.kind = 'refund' AND r.class = 'matched' AND r.order_id IS NOT NULL`

const sqlMoveClaim = `
UPDATE settlement_rows SET transfer_id = $4::UUID, transfer_at = $5::TIMESTAMPTZ
WHERE provider = $1::TEXT AND row_id = $2::TEXT AND transfer_id = $3::UUID`

// revived are the ids of the transfers by which a refund of the row's order was given that had been given up.
func (r row) revived(refund uuid.UUID) []uuid.UUID {
	var ids []uuid.UUID
	for _, id := range payment.RevivedRefundIDs(refund) {
		ids = append(ids, r.final(id.String()+"/refund_payment"), r.final(id.String()+"/late_refund"))
	}
	return ids
}

// refund is our id of the refund that a row is of: what it bears, or, of one that somebody made at the provider, what follows from its name.
func (r row) refund(provider string) uuid.UUID {
	if r.RefundID != uuid.Nil {
		return r.RefundID
	}
	name := r.SourceRef
	if name == "" {
		name = r.ID
	}
	return payment.FoundRefundID(r.order, provider, name)
}

// foundRevived is revived for a refund that somebody made at the provider; none for any other.
func (m *matcher) foundRevived(r row) []uuid.UUID {
	if r.Kind != payment.SettledRefund || r.RefundID != uuid.Nil || r.order == uuid.Nil {
		return nil
	}
	return r.revived(r.refund(m.provider))
}

// instead tells whether a move is the row's refund, revived, which was promised by another transfer and given up.
func (r row) instead(provider string, move ledger.Move, promise uuid.UUID) bool {
	refund := r.refund(provider)
	promised := promise == ledger.TransferID(r.order, refund.String()+"/"+move.Code)
	for _, id := range payment.RevivedRefundIDs(refund) {
		if promised && move.ID == r.final(id.String()+"/"+move.Code) {
			return true
		}
		promised = promised || promise == ledger.TransferID(r.order, id.String()+"/"+move.Code)
	}
	return false
}

// promisedAgain tells whether a promise is that of the row's refund after it was revived, to be given up once more.
func (m *matcher) promisedAgain(r row, promise uuid.UUID, code string) bool {
	for _, id := range payment.RevivedRefundIDs(r.RefundID) {
		if promise == ledger.TransferID(r.order, id.String()+"/"+code) {
			return true
		}
	}
	return false
}

// kept is the verdict of a row that is explained. It stands, but for a refund that was given up when the row was read last and is revived
// by now. The fee is booked, and a promise is matched in the row's own currency alone, so that nothing else follows.
func (p *page) kept(m *matcher, r row, k known) verdict {
	v := verdict{class: k.class, transfer: m.timed(k.transfer)}
	if k.class != Matched || r.Kind != payment.SettledRefund {
		return v
	}
	for _, move := range m.possible(r) {
		if by, claimed := m.claimed[move.ID]; claimed && by != r.ID || !r.instead(m.provider, move, k.transfer.id) || !agrees(r, move) {
			continue
		}
		m.claimed[move.ID] = r.ID
		v.transfer = claim{move.ID, move.At}
		p.healed = append(p.healed, byRevival(m.provider, r.order, k.transfer.id, move.ID)...)
	}
	return v
}

// byRevival are the items that a revived refund heals: that of its promise being void, and its own.
func byRevival(provider string, order, promise, revived uuid.UUID) []uuid.UUID {
	void := ledger.VoidAll([]ledger.Transfer{{ID: promise, Reference: order, Kind: ledger.Pending}})[0].ID
	return []uuid.UUID{idOf("transfer", provider, void.String()), idOf("transfer", provider, revived.String())}
}

// unrevived leaves out revived refunds whose row is matched with the promise that was given up, and moves its claim over: the row may be of a
// day that is not read any more.
func (s *Service) unrevived(ctx context.Context, provider string, moves []ledger.Move) ([]ledger.Move, error) {
	var orders []uuid.UUID
	for _, move := range moves {
		if move.Kind == ledger.Post && returnable(move) {
			orders = append(orders, move.Reference)
		}
	}
	if len(orders) == 0 {
		return moves, nil
	}
	rows, promises, err := s.givenUpRows(ctx, provider, orders)
	if err != nil || len(rows) == 0 {
		return moves, err
	}
	open := moves[:0]
	for _, move := range moves {
		moved := false
		for i, r := range rows {
			if move.Kind == ledger.Post && r.order == move.Reference && r.instead(provider, move, promises[i].ID) && promises[i].Amount == move.Amount {
				if moved, err = s.moveClaim(ctx, provider, r, promises[i].ID, move); err != nil {
					return nil, err
				}
			}
		}
		if !moved {
			open = append(open, move)
		}
	}
	return open, nil
}

// givenUpRows are the rows of refunds of orders that are matched with promises which were void, and these.
func (s *Service) givenUpRows(ctx context.Context, provider string, orders []uuid.UUID) (rows []row, promises []ledger.Move, err error) {
	found, err := ledger.ReferenceMoves(ctx, s.db.Reader, orders)
	if err != nil {
		return nil, nil, err
	}
	promised := map[uuid.UUID]ledger.Move{}
	var ids []uuid.UUID
	var times []time.Time
	for _, moves := range found {
		void := map[uuid.UUID]bool{}
		for _, move := range moves {
			void[move.PriorID] = void[move.PriorID] || move.Kind == ledger.Void
		}
		for _, move := range moves {
			if move.Kind == ledger.Pending && void[move.ID] && returnable(move) {
				promised[move.ID], ids, times = move, append(ids, move.ID), append(times, move.At)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil, nil
	}
	claims, err := s.db.Reader.Query(ctx, sqlRefundClaims, provider, times, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("find the rows of refunds that were given up: %w", err)
	}
	var r row
	var promise uuid.UUID
	var refund *uuid.UUID
	_, err = pgx.ForEachRow(claims, []any{&r.ID, &promise, &r.order, &refund, &r.SourceRef}, func() error {
		this := r
		if refund != nil {
			this.RefundID = *refund
		}
		rows, promises = append(rows, this), append(promises, promised[promise])
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find the rows of refunds that were given up: %w", err)
	}
	return rows, promises, nil
}

// moveClaim matches a row with the revived refund instead of the promise that was void; moved is false if somebody else was quicker.
func (s *Service) moveClaim(ctx context.Context, provider string, r row, promise uuid.UUID, revived ledger.Move) (moved bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlMoveClaim, provider, r.ID, promise, revived.ID, revived.At)
		if err != nil {
			return runAgain(err)
		}
		if moved = tag.RowsAffected() == 1; !moved {
			return nil
		}
		_, err = tx.Exec(ctx, sqlHealTransfers, byRevival(provider, r.order, promise, revived.ID))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("match row %s with the refund that was revived: %w", r.ID, err)
	}
	return moved, nil
}
