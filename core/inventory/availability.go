package inventory

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlAvailability = `
SELECT s.tier, s.allocation, s.capacity, s.taken, s.version
FROM stock AS s
WHERE s.event_id = $1
ORDER BY s.tier, s.allocation`

// Stock is one stock row. Taken counts held and sold units; Version grows with every commit that changes the row.
type Stock struct {
	Tier       string
	Allocation string
	Capacity   int64
	Taken      int64
	Version    int64
}

// Availability is what an event has and what is taken, ordered by tier and allocation. An event without stock has none.
func (s *Service) Availability(ctx context.Context, event uuid.UUID) ([]Stock, error) {
	var stock []Stock
	err := s.reading(ctx, func() error {
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

const sqlActiveHolds = `SELECT count(*) FROM holds WHERE closed_at IS NULL AND state = 'active' AND event_id = $1`

// Active counts the holds of an event that are neither sold nor closed, those past their deadline included until the
// sweep has been there.
func (s *Service) Active(ctx context.Context, event uuid.UUID) (int, error) {
	var n int
	if err := s.db.Reader.QueryRow(ctx, sqlActiveHolds, event).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the active holds of event %s: %w", event, err)
	}
	return n, nil
}
