package payout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const (
	// sqlOrganizers lists organizers by page, with or without anything to release: they may have a reserve or a debt.
	sqlOrganizers = `
SELECT DISTINCT organizer, currency FROM events
WHERE (organizer, currency) > ($1::TEXT, $2::TEXT)
ORDER BY organizer, currency
LIMIT $3::INT8`

	// sqlRipe lists, by page, an organizer's events that ended long enough ago. An event whose reserve was released long ago is left alone.
	sqlRipe = `
SELECT e.event_id, e.starts_at
FROM events AS e
LEFT JOIN payout_events AS p ON p.event_id = e.event_id
WHERE e.organizer = $1::TEXT AND e.currency = $2::TEXT AND e.state = 'active' AND e.starts_at <= $3::TIMESTAMPTZ
  AND (e.starts_at, e.event_id) > ($5::TIMESTAMPTZ, $6::UUID)
  AND (p.event_id IS NULL OR p.reserved_minor > 0 OR p.reserve_until > $4::TIMESTAMPTZ)
ORDER BY e.starts_at, e.event_id
LIMIT $7::INT8`

	sqlEventOrders = `
SELECT order_id, created_at FROM orders
WHERE event_id = $1::UUID AND (created_at, order_id) > ($2::TIMESTAMPTZ, $3::UUID)
ORDER BY created_at, order_id
LIMIT $4::INT8`
)

// Bounds of what is read at once.
const (
	pageRows  = 500
	eventRows = 1000
	// settled is how long after its reserve an event is still looked at: refunds and disputes have come by then.
	settled = 90 * 24 * time.Hour
)

// pair is an organizer in one currency.
type pair struct{ organizer, currency string }

// earning is what an event has earned until now.
type earning struct {
	event  uuid.UUID
	starts time.Time
	minor  int64 // face captured less what went back and what is disputed; below zero is possible
}

func (s *Service) organizers(ctx context.Context, after pair) ([]pair, error) {
	rows, err := s.db.Reader.Query(ctx, sqlOrganizers, after.organizer, after.currency, pageRows)
	if err != nil {
		return nil, fmt.Errorf("list organizers: %w", err)
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (p pair, err error) {
		err = r.Scan(&p.organizer, &p.currency)
		return p, err
	})
}

// ripe adds up what an organizer's events that ended long enough ago have earned.
func (s *Service) ripe(ctx context.Context, p pair, now time.Time) ([]earning, error) {
	r := s.rules(p.organizer)
	var all []earning
	var last earning
	for {
		rows, err := s.db.Reader.Query(ctx, sqlRipe, p.organizer, p.currency, now.Add(-r.After), now.Add(-settled), last.starts, last.event, eventRows)
		if err != nil {
			return nil, fmt.Errorf("list the events of %s: %w", p.organizer, err)
		}
		events, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e earning, err error) {
			err = r.Scan(&e.event, &e.starts)
			return e, err
		})
		if err != nil {
			return nil, fmt.Errorf("list the events of %s: %w", p.organizer, err)
		}
		for i := range events {
			if events[i].minor, err = s.earned(ctx, events[i].event); err != nil {
				return nil, err
			}
		}
		all = append(all, events...)
		if len(events) < eventRows {
			return all, nil
		}
		last = events[len(events)-1]
	}
}

// earned pages through an event's orders and adds up their money, as the ledger has it.
func (s *Service) earned(ctx context.Context, event uuid.UUID) (int64, error) {
	var sum int64
	var at time.Time
	var after uuid.UUID
	for {
		rows, err := s.db.Reader.Query(ctx, sqlEventOrders, event, at, after, pageRows)
		if err != nil {
			return 0, fmt.Errorf("list the orders of event %s: %w", event, err)
		}
		var ids []uuid.UUID
		if _, err := pgx.ForEachRow(rows, []any{&after, &at}, func() error { ids = append(ids, after); return nil }); err != nil {
			return 0, fmt.Errorf("list the orders of event %s: %w", event, err)
		}
		moves, err := ledger.ReferenceMoves(ctx, s.db.Reader, ids)
		if err != nil {
			return 0, err
		}
		for _, of := range moves {
			sum += ledger.MoneyOf(of).Earned()
		}
		if len(ids) < pageRows {
			return sum, nil
		}
	}
}
