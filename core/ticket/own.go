package ticket

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const sqlHandedTo = `
SELECT t.ticket_id
FROM unnest($1::UUID[], $2::BYTEA[]) AS k (event_id, owner)
JOIN tickets AS t ON t.event_id = k.event_id AND t.owner = k.owner
WHERE t.epoch > 1
ORDER BY t.issued_at DESC, t.ticket_id
LIMIT $3::INT8`

// HandedTo lists the newest tickets whose code was made anew for one of these owners. Those that were sold to them are not among them: they
// are found by their orders, so that a ticket as it is sold is in no index of owners. Owners belong to the events of the same place.
func HandedTo(ctx context.Context, q Querier, events []uuid.UUID, owners []lottery.Entrant, limit int) ([]uuid.UUID, error) {
	bytes := make([][]byte, len(owners))
	for i := range owners {
		bytes[i] = owners[i][:]
	}
	rows, err := q.Query(ctx, sqlHandedTo, events, bytes, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("list tickets that were handed on: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("list tickets that were handed on: %w", err)
	}
	return ids, nil
}

// LoadAll loads tickets in no particular order. Of an id there is none of it says nothing, and an id that is given twice is one ticket.
func LoadAll(ctx context.Context, q Querier, ids []uuid.UUID) ([]Ticket, error) {
	rows, err := q.Query(ctx, sqlTicketsOfOrder, ids)
	if err != nil {
		return nil, fmt.Errorf("load tickets: %w", err)
	}
	tickets, err := pgx.CollectRows(rows, scanTicket)
	if err != nil {
		return nil, fmt.Errorf("load tickets: %w", err)
	}
	return tickets, nil
}
