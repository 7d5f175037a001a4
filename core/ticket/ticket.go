package ticket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// ErrUnknown means that there is no ticket of that id.
var ErrUnknown = errors.New("ticket: unknown")

const sqlLoadTicket = `
SELECT ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, hold, issued_at, void_reason, voided_at, shown_at
FROM tickets
WHERE ticket_id = $1::UUID`

const sqlTicketsOfOrder = `
SELECT ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, hold, issued_at, void_reason, voided_at, shown_at
FROM tickets
WHERE ticket_id = ANY($1::UUID[])
ORDER BY item`

// State says whether a ticket opens the gate.
type State string

// The states of a ticket.
const (
	Valid  State = "valid"
	Voided State = "void"
)

// Ticket is a right to enter.
type Ticket struct {
	ID       uuid.UUID
	Event    uuid.UUID
	Order    uuid.UUID
	Item     int
	Tier     string
	Seat     string // empty for general admission
	Owner    lottery.Entrant
	Epoch    uint32
	KeyNo    uint32
	Code     string // text form, see package code
	State    State
	Hold     Hold // what a valid ticket is set aside for
	IssuedAt time.Time

	VoidReason string    // why it is void
	VoidedAt   time.Time // zero while it is valid
	ShownAt    time.Time // when its code was first shown to its owner; zero before
}

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Load finds one ticket. ErrUnknown when there is none.
func Load(ctx context.Context, q Querier, id uuid.UUID) (Ticket, error) {
	rows, err := q.Query(ctx, sqlLoadTicket, id)
	if err != nil {
		return Ticket{}, fmt.Errorf("load ticket %s: %w", id, err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanTicket)
	if errors.Is(err, pgx.ErrNoRows) {
		return Ticket{}, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("load ticket %s: %w", id, err)
	}
	return t, nil
}

// OfOrder lists the tickets of an order of so many items, by item; none before they are issued. Their ids follow from the
// order, so no index knows which order a ticket is of.
func OfOrder(ctx context.Context, q Querier, order uuid.UUID, items int) ([]Ticket, error) {
	ids := make([]uuid.UUID, items)
	for i := range ids {
		ids[i] = TicketID(order, i)
	}
	rows, err := q.Query(ctx, sqlTicketsOfOrder, ids)
	if err != nil {
		return nil, fmt.Errorf("load tickets of order %s: %w", order, err)
	}
	tickets, err := pgx.CollectRows(rows, scanTicket)
	if err != nil {
		return nil, fmt.Errorf("load tickets of order %s: %w", order, err)
	}
	return tickets, nil
}

func scanTicket(row pgx.CollectableRow) (Ticket, error) {
	var t Ticket
	var owner []byte
	var voided, shown *time.Time
	if err := row.Scan(&t.ID, &t.Event, &t.Order, &t.Item, &t.Tier, &t.Seat, &owner, &t.Epoch, &t.KeyNo, &t.Code, &t.State, &t.Hold, &t.IssuedAt,
		&t.VoidReason, &voided, &shown); err != nil {
		return Ticket{}, err
	}
	if len(owner) != len(t.Owner) {
		return Ticket{}, fmt.Errorf("owner of %d bytes", len(owner))
	}
	t.Owner = lottery.Entrant(owner)
	t.IssuedAt = t.IssuedAt.UTC()
	if voided != nil {
		t.VoidedAt = voided.UTC()
	}
	if shown != nil {
		t.ShownAt = shown.UTC()
	}
	return t, nil
}
