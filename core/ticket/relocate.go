package ticket

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlRelocateTickets = `
UPDATE tickets AS t SET tier = $2, seat = $3
FROM unnest($1::UUID[]) AS k (ticket_id)
WHERE t.ticket_id = k.ticket_id AND t.state = 'void'`

// Relocate notes, as part of tx, that void tickets would be for another place if they were made valid again: those of the earlier owners of a
// resold ticket that was given another seat. Their codes are dead and stay as they are. ErrMismatch when one of them is valid.
func Relocate(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, tier, seat string) error {
	if len(ids) == 0 {
		return nil
	}
	tag, err := tx.Exec(ctx, sqlRelocateTickets, ids, tier, seat)
	if err != nil {
		return fmt.Errorf("relocate %d tickets: %w", len(ids), err)
	}
	if tag.RowsAffected() != int64(len(ids)) {
		return fmt.Errorf("%w: %d of %d tickets are void and could be relocated", ErrMismatch, tag.RowsAffected(), len(ids))
	}
	return nil
}
