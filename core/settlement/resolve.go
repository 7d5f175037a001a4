package settlement

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/core/payment"
	"fairgate/ledger"
)

const sqlChargeOrders = `
SELECT payment_ref, order_id
FROM settlement_rows
WHERE provider = $1::TEXT AND kind = 'charge' AND payment_ref = ANY($2::TEXT[]) AND order_id IS NOT NULL`

// sqlPaymentOrders has no index to go by and reads all payments: for the few rows that neither their metadata nor a charge explains.
const sqlPaymentOrders = `
SELECT provider_ref, payment_id, order_id
FROM payments
WHERE provider = $1::TEXT AND (provider_ref = ANY($2::TEXT[]) OR payment_id = ANY($3::UUID[]))`

// mostScans is how often one reading goes through all payments, each time for a page of rows. An account that we share with somebody
// else's shop has more rows than that which are none of ours; they stay what only the provider has.
const mostScans = 8

// resolve finds the orders of rows that name none: among charges of the page, among charges that were settled before, and, while the
// reading has scans left, among all payments. That waits for the second look at what was not matched, unless a row names our payment.
func (s *Service) resolve(ctx context.Context, provider string, rows []row, again bool, scans *int) error {
	found := map[string]uuid.UUID{} // by the provider's name of the payment, or ours
	var refs []string
	var ids []uuid.UUID
	for i := range rows {
		r := &rows[i]
		switch {
		case r.order != uuid.Nil && r.Kind == payment.SettledCharge && r.PaymentRef != "":
			found[r.PaymentRef] = r.order
		case r.order == uuid.Nil && (r.PaymentRef != "" || r.PaymentID != uuid.Nil):
			refs, ids = append(refs, r.PaymentRef), append(ids, r.PaymentID)
		}
	}
	if len(refs) == 0 || fill(rows, found) == 0 {
		return nil
	}
	if err := s.orders(ctx, found, sqlChargeOrders, provider, refs); err != nil {
		return err
	}
	left := fill(rows, found)
	named := false
	for _, id := range ids {
		named = named || id != uuid.Nil
	}
	if left == 0 || !again && !named {
		return nil
	}
	if *scans <= 0 {
		lookupsSkipped.Add(left)
		return nil
	}
	*scans--
	err := s.orders(ctx, found, sqlPaymentOrders, provider, refs, ids)
	fill(rows, found)
	return err
}

// fill gives rows the orders that were found, and counts those that still have none.
func fill(rows []row, found map[string]uuid.UUID) (left int) {
	for i := range rows {
		r := &rows[i]
		if r.order != uuid.Nil || r.PaymentRef == "" && r.PaymentID == uuid.Nil {
			continue
		}
		if r.PaymentRef != "" {
			r.order = found[r.PaymentRef]
		}
		if r.order == uuid.Nil && r.PaymentID != uuid.Nil {
			r.order = found["id:"+r.PaymentID.String()]
		}
		if r.order == uuid.Nil {
			left++
		}
	}
	return left
}

// orders adds what a statement finds.
func (s *Service) orders(ctx context.Context, into map[string]uuid.UUID, sql string, args ...any) error {
	rows, err := s.db.Reader.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("find the orders of settlement rows: %w", err)
	}
	var ref string
	var id pgtype.UUID
	var order uuid.UUID
	scans := []any{&ref, &order}
	if sql == sqlPaymentOrders {
		scans = []any{&ref, &id, &order}
	}
	_, err = pgx.ForEachRow(rows, scans, func() error {
		if ref != "" {
			into[ref] = order
		}
		if id.Valid {
			into["id:"+uuid.UUID(id.Bytes).String()] = order
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find the orders of settlement rows: %w", err)
	}
	return nil
}

// books is where the ledger is read: the reading pool, or a transaction that then decides by it.
type books interface {
	ledger.Querier
	ledger.Reader
}

// prefetch reads the transfers that rows name by their ids.
func (s *Service) prefetch(ctx context.Context, rows []row) ([]ledger.Move, error) {
	var ids []uuid.UUID
	for _, r := range rows {
		ids = append(ids, r.candidates()...)
	}
	return ledger.FindMoves(ctx, s.db.Reader, ids)
}

// look reads what the ledger has of a page's rows, moves of which were read before. Transfers never change, so that may be outside the
// transaction; one that is recorded meanwhile is found by the next reading.
func (s *Service) look(ctx context.Context, from books, provider string, rows []row, moves []ledger.Move) (*matcher, error) {
	m := &matcher{provider: provider, byID: make(map[uuid.UUID]ledger.Move, len(moves)), clearing: map[string]uuid.UUID{}}
	var ids []uuid.UUID
	for _, r := range rows {
		if moves == nil || r.OrderID == uuid.Nil {
			ids = append(ids, r.candidates()...)
		}
		ids = append(append(ids, m.made(r)...), m.foundRevived(r)...)
	}
	more, err := ledger.FindMoves(ctx, from, ids)
	if err != nil {
		return nil, err
	}
	for _, part := range [][]ledger.Move{moves, more} {
		for _, move := range part {
			m.byID[move.ID] = move
		}
	}
	var orders []uuid.UUID
	seen := map[uuid.UUID]bool{}
	for _, r := range rows {
		if r.order == uuid.Nil || seen[r.order] || len(m.possible(r)) > 0 {
			continue
		}
		seen[r.order] = true
		orders = append(orders, r.order)
	}
	if m.byOrder, err = ledger.ReferenceMoves(ctx, from, orders); err != nil {
		return nil, err
	}
	if err := s.lookLate(ctx, from, m, rows); err != nil {
		return nil, err
	}
	m.accounts = map[uuid.UUID]ledger.Account{}
	for _, moves := range m.byOrder {
		for _, move := range moves {
			for _, id := range []uuid.UUID{move.Debit, move.Credit} {
				if m.accounts[id], err = s.account(ctx, id); err != nil {
					return nil, err
				}
			}
		}
	}
	return m, nil
}

// lookLate reads what decides about money that the books do not have: whose payment a charge is of, and what a refund may be of.
func (s *Service) lookLate(ctx context.Context, from books, m *matcher, rows []row) error {
	var orders []uuid.UUID
	var refs []string
	for _, r := range rows {
		switch {
		case len(m.possible(r)) > 0:
		case r.Kind == payment.SettledCharge && r.order != uuid.Nil && s.cfg.Late != nil:
			orders = append(orders, r.order)
		case r.Kind == payment.SettledRefund:
			if r.PaymentRef != "" {
				refs = append(refs, r.PaymentRef)
			}
			if r.order != uuid.Nil && s.cfg.Found != nil {
				orders = append(orders, r.order)
			}
		}
	}
	if err := m.chargesOf(ctx, from, refs); err != nil {
		return err
	}
	if err := m.attemptsOf(ctx, from, orders); err != nil {
		return err
	}
	return m.straysOf(ctx, from, refs)
}
