package inventory

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlSeatMap = `
SELECT seat, section, row_label, number, tier, state
FROM seats
WHERE event_id = $1 AND allocation = $2
ORDER BY section, row_label, number`

// Seat is a numbered seat and whether it is free, held, sold or blocked.
type Seat struct {
	ID      string // section/row/number
	Section string
	Row     string
	Number  int64
	Tier    string
	State   string
}

// SeatMap is every seat of an event in one allocation, by section, row and number, as of one moment.
func (s *Service) SeatMap(ctx context.Context, event uuid.UUID, allocation string) ([]Seat, error) {
	var seats []Seat
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlSeatMap, event, allocation)
		if err != nil {
			return err
		}
		seats, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Seat])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the seat map of event %s: %w", event, err)
	}
	return seats, nil
}
