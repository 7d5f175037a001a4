package ticket

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlVoidTickets = `
UPDATE tickets AS t SET state = 'void', hold = '', void_reason = $2, voided_at = now()
FROM unnest($1::UUID[]) AS k (ticket_id)
WHERE t.ticket_id = k.ticket_id AND t.state = 'valid'
RETURNING t.ticket_id`

const sqlKnownTickets = `
SELECT count(*)
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id`

// Void makes valid tickets void as part of tx and keeps why. It answers which of them were valid until now: one that is void
// already stays as it is, with the reason it had. Whatever it was set aside for ends with it: whoever had offered or listed it finds it
// void. If one of the tickets does not exist it is ErrUnknown, and the caller
// gives the transaction up.
func Void(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, reason string) ([]uuid.UUID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	ids = slices.SortedFunc(slices.Values(ids), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) // rows are locked in key order
	ids = slices.Compact(ids)
	rows, err := tx.Query(ctx, sqlVoidTickets, ids, reason)
	if err != nil {
		return nil, fmt.Errorf("void %d tickets: %w", len(ids), err)
	}
	voided, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("void %d tickets: %w", len(ids), err)
	}
	if len(voided) > 0 {
		if err := touch(ctx, tx, voided...); err != nil {
			return nil, err
		}
	}
	if len(voided) == len(ids) {
		return voided, nil
	}
	var known int
	if err := tx.QueryRow(ctx, sqlKnownTickets, ids).Scan(&known); err != nil {
		return nil, fmt.Errorf("void %d tickets: %w", len(ids), err)
	}
	if known != len(ids) {
		return nil, fmt.Errorf("void tickets: %w: %d of %d", ErrUnknown, len(ids)-known, len(ids))
	}
	return voided, nil
}
