package ticket

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A wallet that is being told at the moment is left alone until that has ended: then the version says that there is more to tell.
const sqlTouchPasses = `
UPDATE wallet_passes SET version = version + 1, changed_at = now(), due_at = COALESCE(due_at, now())
WHERE ticket_id = ANY($1::UUID[])`

const sqlTouchPassesOfOrders = `
UPDATE wallet_passes SET version = version + 1, changed_at = now(), due_at = COALESCE(due_at, now())
WHERE order_id = ANY($1::UUID[])`

// touch notes, as part of tx, that what passes in wallets show of these tickets has changed; package passes tells them afterwards. Most
// tickets are in no wallet.
func touch(ctx context.Context, tx pgx.Tx, ids ...uuid.UUID) error {
	if _, err := tx.Exec(ctx, sqlTouchPasses, ids); err != nil {
		return fmt.Errorf("note that the passes of %d tickets have changed: %w", len(ids), err)
	}
	return nil
}

// TouchOrders notes, as part of tx, that what passes in wallets show of the tickets of these orders has changed, although the tickets have
// not: their event was moved.
func TouchOrders(ctx context.Context, tx pgx.Tx, orders []uuid.UUID) error {
	if _, err := tx.Exec(ctx, sqlTouchPassesOfOrders, orders); err != nil {
		return fmt.Errorf("note that the passes of %d orders have changed: %w", len(orders), err)
	}
	return nil
}
