package event

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlSeats = `
SELECT seat, state
FROM seats
WHERE event_id = $1::UUID AND seat > $2::TEXT
ORDER BY seat
LIMIT $3::INT8`

// SeatState is a seat with its state: free, held, sold or blocked.
type SeatState struct {
	Seat
	State string
}

// Seats reads the state of every seat, in the order of the event file. It reads page by page, so what sells meanwhile may or may not
// show: it is for display, never for deciding.
func (s *Store) Seats(ctx context.Context, slug string) ([]SeatState, error) {
	e, err := s.BySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	states, err := s.seatStates(ctx, e.ID)
	if err != nil {
		return nil, fmt.Errorf("read the seats of event %s: %w", slug, err)
	}
	planned := e.Spec.Seats()
	seats := make([]SeatState, 0, len(planned))
	for _, seat := range planned {
		if state, ok := states[seat.ID]; ok { // a seat removed a moment ago is in the cached spec only
			seats = append(seats, SeatState{Seat: seat, State: state})
		}
	}
	return seats, nil
}

func (s *Store) seatStates(ctx context.Context, id uuid.UUID) (map[string]string, error) {
	states := make(map[string]string)
	var last string
	for n := planRows; n == planRows; {
		rows, err := s.db.Reader.Query(ctx, sqlSeats, id, last, planRows)
		if err != nil {
			return nil, err
		}
		var state string
		n = 0
		if _, err := pgx.ForEachRow(rows, []any{&last, &state}, func() error {
			states[last] = state
			n++
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return states, nil
}
