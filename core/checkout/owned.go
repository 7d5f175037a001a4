package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Owner is whom orders are looked for of: an entrant of each event, and who has proved an address.
type Owner struct {
	Events   []uuid.UUID
	Entrants []lottery.Entrant       // of the event of the same place
	Email    string                  // in small letters; "" for none
	Owns     func(email string) bool // whether an address as an order has it is that one
}

// Before asks for the orders before one, the newest first; the zero value for the newest of all.
type Before struct {
	Time  time.Time
	Order uuid.UUID
	Limit int
}

// OwnOrder is a line of a buyer's list of orders.
type OwnOrder struct {
	ID        uuid.UUID
	Event     uuid.UUID
	Entrant   lottery.Entrant
	State     State
	Minor     int64
	Currency  string
	Tickets   int // that it is of, issued or not
	CreatedAt time.Time
}

const sqlOwnedOrders = `
SELECT o.order_id, o.event_id, o.entrant, o.state, o.amount_minor, o.currency, o.lines, o.email, o.created_at
FROM (
    SELECT e.order_id
    FROM unnest($1::UUID[], $2::BYTEA[]) AS k (event_id, entrant)
    JOIN orders AS e ON e.event_id = k.event_id AND e.entrant = k.entrant
    UNION
    SELECT m.order_id FROM orders AS m WHERE $3::TEXT <> '' AND m.email <> '' AND lower(m.email) = $3::TEXT
) AS own
JOIN orders AS o ON o.order_id = own.order_id
WHERE (o.created_at, o.order_id) < ($4::TIMESTAMPTZ, $5::UUID)
ORDER BY o.created_at DESC, o.order_id DESC
LIMIT $6::INT8`

// endOfTime is after every order.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Owned returns one page of an owner's orders, and where the next begins; its Order is uuid.Nil after the last.
func (s *Service) Owned(ctx context.Context, owner Owner, before Before) ([]OwnOrder, Before, error) {
	entrants := make([][]byte, len(owner.Entrants))
	own := make(map[uuid.UUID]lottery.Entrant, len(owner.Entrants))
	for i := range owner.Entrants {
		entrants[i], own[owner.Events[i]] = owner.Entrants[i][:], owner.Entrants[i]
	}
	if before.Order == uuid.Nil {
		before.Time = endOfTime
	}
	rows, err := s.db.Reader.Query(ctx, sqlOwnedOrders, owner.Events, entrants, owner.Email, before.Time, before.Order, int64(before.Limit))
	if err != nil {
		return nil, Before{}, fmt.Errorf("list a buyer's orders: %w", err)
	}
	seen, next := 0, Before{Limit: before.Limit}
	var orders []OwnOrder
	defer rows.Close()
	for rows.Next() {
		o, email, err := scanOwnOrder(rows)
		if err != nil {
			return nil, Before{}, fmt.Errorf("list a buyer's orders: %w", err)
		}
		if seen++; seen == before.Limit {
			next.Time, next.Order = o.CreatedAt, o.ID
		}
		if entrant, known := own[o.Event]; known && entrant == o.Entrant || owner.Owns(email) { // the database folds more letters than are one
			orders = append(orders, o)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, Before{}, fmt.Errorf("list a buyer's orders: %w", err)
	}
	return orders, next, nil
}

func scanOwnOrder(rows pgx.Rows) (OwnOrder, string, error) {
	var o OwnOrder
	var entrant []byte
	var text, email string
	if err := rows.Scan(&o.ID, &o.Event, &entrant, &o.State, &o.Minor, &o.Currency, &text, &email, &o.CreatedAt); err != nil {
		return o, "", err
	}
	if len(entrant) != len(o.Entrant) {
		return o, "", fmt.Errorf("order %s has an entrant of %d bytes", o.ID, len(entrant))
	}
	o.Entrant = lottery.Entrant(entrant)
	lines, err := decodeLines(text)
	o.Tickets = len(lines)
	return o, email, err
}
