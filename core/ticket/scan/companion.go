package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
)

// Where companions enter together with whom they accompany (gate.Rules.Together), a companion's seat opens a gate from the moment on at
// which a ticket of an accessible seat of the same order has entered, through any zone; at once if no such ticket of the order is good. Off line a gate does not know orders: it lets
// companions in, and merging finds those who came before.

// companionFinding is what is wrong with a companion's pass off line that came before every one of an accessible seat.
const companionFinding = "companion"

const sqlOrderOfTicket = `
SELECT t.order_id, jsonb_array_length(o.lines::JSONB)
FROM tickets AS t
JOIN orders AS o ON o.order_id = t.order_id
WHERE t.ticket_id = $1`

const sqlAccompanied = `
SELECT count(*), count(e.ticket_id)
FROM tickets AS t
LEFT JOIN entries AS e ON e.ticket_id = t.ticket_id AND e.ins > 0
WHERE t.ticket_id = ANY($1::UUID[]) AND t.seat = ANY($2::TEXT[]) AND (t.state = 'valid' OR e.ticket_id IS NOT NULL)`

const sqlPartyOrders = `
SELECT DISTINCT t.order_id, jsonb_array_length(o.lines::JSONB)
FROM tickets AS t
JOIN orders AS o ON o.order_id = t.order_id
WHERE t.ticket_id = ANY($1::UUID[]) AND (t.seat = ANY($2::TEXT[]) OR t.seat = ANY($3::TEXT[]))`

const sqlPartyHeads = `
SELECT DISTINCT t.order_id
FROM tickets AS t
LEFT JOIN entries AS e ON e.ticket_id = t.ticket_id AND e.ins > 0
WHERE t.ticket_id = ANY($1::UUID[]) AND t.seat = ANY($2::TEXT[]) AND (t.state = 'valid' OR e.ticket_id IS NOT NULL)`

const sqlPartyPasses = `
SELECT s.ticket_id, t.order_id, t.seat, s.zone, s.at
FROM scans AS s
JOIN tickets AS t ON t.ticket_id = s.ticket_id
WHERE s.ticket_id = ANY($1::UUID[]) AND s.direction = 'in' AND s.refused = '' AND s.undone_at IS NULL`

// ticketsOf are the ids that the tickets of an order of so many places have.
func ticketsOf(order uuid.UUID, places int) []uuid.UUID {
	ids := make([]uuid.UUID, places)
	for i := range ids {
		ids[i] = ticket.TicketID(order, i)
	}
	return ids
}

// accompanied tells whether somebody whom the ticket may accompany has entered, or nobody of its order is left who could: it was sold when
// companions' seats were released, or beside an accessible seat of an earlier order, or that was given back or sold on.
func (t *turn) accompanied(ctx context.Context, tx pgx.Tx) (bool, error) {
	var order uuid.UUID
	var places int
	err := tx.QueryRow(ctx, sqlOrderOfTicket, t.code.TicketID).Scan(&order, &places)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a companion's order: %w", err)
	}
	var n, entered int64
	if err := tx.QueryRow(ctx, sqlAccompanied, ticketsOf(order, places), t.event.Accessible).Scan(&n, &entered); err != nil {
		return false, fmt.Errorf("ask whether a companion comes along: %w", err)
	}
	return n == 0 || entered > 0, nil
}

// companion refuses a companion who would be the first of the party.
func (t *turn) companion(ctx context.Context, tx pgx.Tx) error {
	if !t.event.Rules.Together || t.request.Direction != gate.In || !slices.Contains(t.event.Companions, t.result.Seat) {
		return nil
	}
	with, err := t.accompanied(ctx, tx)
	if err == nil && !with {
		t.why = gate.ErrCompanion
	}
	return err
}

// parties are the companions among tickets, and when the first of those whom they accompany entered.
type parties struct {
	first map[uuid.UUID]time.Time // by companion's ticket; zero while nobody has
}

// early tells whether a companion's pass came before those whom it should have come with.
func (p parties) early(ticket uuid.UUID, at time.Time) bool {
	first, companion := p.first[ticket]
	return companion && (first.IsZero() || at.Before(first))
}

// partiesOf reads the parties of the tickets at places, and adds the places of the companions among them: what somebody else's pass
// says about them may have changed.
func partiesOf(ctx context.Context, tx pgx.Tx, e *Event, places []place) (parties, []place, error) {
	p := parties{first: map[uuid.UUID]time.Time{}}
	if !e.Rules.Together || len(places) == 0 {
		return p, places, nil
	}
	touched := make([]uuid.UUID, len(places))
	for i, one := range places {
		touched[i] = one.ticket
	}
	rows, err := tx.Query(ctx, sqlPartyOrders, touched, e.Companions, e.Accessible)
	if err != nil {
		return p, nil, fmt.Errorf("read the orders of companions: %w", err)
	}
	var tickets []uuid.UUID
	var order uuid.UUID
	var size int
	if _, err := pgx.ForEachRow(rows, []any{&order, &size}, func() error {
		tickets = append(tickets, ticketsOf(order, size)...)
		return nil
	}); err != nil {
		return p, nil, fmt.Errorf("read the orders of companions: %w", err)
	}
	heads := map[uuid.UUID]bool{} // orders with somebody to accompany
	if rows, err = tx.Query(ctx, sqlPartyHeads, tickets, e.Accessible); err != nil {
		return p, nil, fmt.Errorf("read whom companions accompany: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&order}, func() error { heads[order] = true; return nil }); err != nil {
		return p, nil, fmt.Errorf("read whom companions accompany: %w", err)
	}
	if rows, err = tx.Query(ctx, sqlPartyPasses, tickets); err != nil {
		return p, nil, fmt.Errorf("read the passes of parties: %w", err)
	}
	first, companions := map[uuid.UUID]time.Time{}, map[uuid.UUID]uuid.UUID{}
	var one place
	var seat string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&one.ticket, &order, &seat, &one.zone, &at}, func() error {
		switch known := first[order]; {
		case slices.Contains(e.Companions, seat) && !heads[order]:
		case slices.Contains(e.Companions, seat):
			companions[one.ticket] = order
			places = append(places, one)
		case slices.Contains(e.Accessible, seat) && (known.IsZero() || at.Before(known)):
			first[order] = at
		}
		return nil
	}); err != nil {
		return p, nil, fmt.Errorf("read the passes of parties: %w", err)
	}
	for ticket, order := range companions {
		p.first[ticket] = first[order]
	}
	return p, places, nil
}
