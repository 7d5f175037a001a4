package inventory

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlAvailability = `
SELECT s.tier, s.allocation, s.capacity, s.taken, s.version, s.waitlisted
FROM stock AS s
WHERE s.event_id = $1 AND s.price_no = 0
ORDER BY s.tier, s.allocation`

// Stock is one stock row. Taken counts held and sold units; Version grows with every commit that changes the row.
type Stock struct {
	Tier       string
	Allocation string
	Capacity   int64
	Taken      int64
	Version    int64
	Waitlisted bool // what is free of it is kept for a waiting list

	priceNo int64 // of a listing
}

// Left is what anybody can have of it: nothing of what is kept for a waiting list.
func (s *Stock) Left() int64 {
	if s.Waitlisted {
		return 0
	}
	return s.Capacity - s.Taken
}

// Availability is what an event itself has and what is taken, ordered by tier and allocation; what its buyers list is not in it. An event without stock has none.
func (s *Service) Availability(ctx context.Context, event uuid.UUID) ([]Stock, error) {
	var stock []Stock
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlAvailability, event)
		if err != nil {
			return err
		}
		stock, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Stock])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the availability of event %s: %w", event, err)
	}
	return stock, nil
}

const sqlExpiriesOf = `SELECT e.holds FROM expiries AS e WHERE e.event_id = $1`

const sqlCountActive = `
SELECT count(*)
FROM unnest($1::UUID[]) AS k (hold_id)
JOIN holds AS h ON h.hold_id = k.hold_id
WHERE h.state = 'active'`

// Active counts the holds of an event that are neither sold nor closed, those past their deadline included until the
// sweep has been there.
func (s *Service) Active(ctx context.Context, event uuid.UUID) (int, error) {
	n := 0
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlExpiriesOf, event)
		if err != nil {
			return err
		}
		var ids [][16]byte
		var joined []byte
		if _, err := pgx.ForEachRow(rows, []any{&joined}, func() error { ids = append(ids, splitIDs(joined)...); return nil }); err != nil {
			return err
		}
		return s.db.Reader.QueryRow(ctx, sqlCountActive, ids).Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count the active holds of event %s: %w", event, err)
	}
	return n, nil
}
