package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Load returns an entrant's order with its latest attempt and its tickets. Somebody else's order is ErrOrderUnknown.
func (s *Service) Load(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Order, error) {
	o, err := s.Find(ctx, id)
	if err == nil && o.Entrant != entrant {
		return Order{}, ErrOrderUnknown
	}
	return o, err
}

// Find is Load for operators: it asks for no owner.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (Order, error) {
	f, err := alone(ctx, s.orderReads, s.readOrders, id)
	if err == nil {
		err = f.err
	}
	if err != nil {
		return Order{}, err
	}
	return f.order, nil
}

// Summary is a line of an operator's list of orders.
type Summary struct {
	ID        uuid.UUID
	Event     uuid.UUID
	State     State
	Minor     int64
	Currency  string
	Tickets   *int // nil where its lines cannot be read; Verify says what is wrong with it
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Page asks for orders of an event, oldest first, after the last one of the page before.
type Page struct {
	Event      uuid.UUID
	State      State // "" for all
	AfterTime  time.Time
	AfterOrder uuid.UUID
	Limit      int
}

const sqlOrderPage = `
SELECT order_id, event_id, state, amount_minor, currency, lines, created_at, updated_at FROM orders
WHERE event_id = $1 AND ($2::TEXT = '' OR state = $2) AND (created_at, order_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, order_id LIMIT $5`

// List returns one page of an event's orders, those that cannot be read whole among them.
func (s *Service) List(ctx context.Context, p Page) ([]Summary, error) {
	rows, err := s.db.Reader.Query(ctx, sqlOrderPage, p.Event, string(p.State), p.AfterTime, p.AfterOrder, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Summary, error) {
		var o Summary
		var text string
		if err := row.Scan(&o.ID, &o.Event, &o.State, &o.Minor, &o.Currency, &text, &o.CreatedAt, &o.UpdatedAt); err != nil {
			return o, err
		}
		if lines, err := decodeLines(text); err == nil { // else nobody would see the others
			o.Tickets = new(len(lines))
		}
		return o, nil
	})
}

// Happening is one line of an order's history.
type Happening struct {
	Seq    int64
	Cause  Cause
	From   State
	To     State
	Actor  string
	Reason string
	Source string // the webhook or the outbox task that caused it; see Outcome
	At     time.Time
}

const sqlOrderHistory = `SELECT seq, cause, from_state, to_state, actor, reason, source, at FROM order_events WHERE order_id = $1 ORDER BY seq`

// History returns everything that happened to an order, in order.
func (s *Service) History(ctx context.Context, id uuid.UUID) ([]Happening, error) {
	rows, err := s.db.Reader.Query(ctx, sqlOrderHistory, id)
	if err != nil {
		return nil, fmt.Errorf("read the history of order %s: %w", id, err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Happening])
}

const sqlOrderStates = `SELECT state, count(*) FROM orders WHERE event_id = $1 GROUP BY state`

// States counts an event's orders by state.
func (s *Service) States(ctx context.Context, event uuid.UUID) (map[State]int64, error) {
	rows, err := s.db.Reader.Query(ctx, sqlOrderStates, event)
	if err != nil {
		return nil, fmt.Errorf("count orders: %w", err)
	}
	defer rows.Close()
	counts := map[State]int64{}
	for rows.Next() {
		var state State
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count orders: %w", err)
		}
		counts[state] = n
	}
	return counts, rows.Err()
}
