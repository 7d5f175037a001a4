package ticket

import (
	"context"
	"fmt"

	"fairgate/core/db"
)

const sqlShown = `UPDATE tickets SET shown_at = now() WHERE ticket_id = $1 AND shown_at IS NULL AND state = 'valid'`

// NoteShown notes that the code of a ticket, as it was loaded, is shown to its owner: the first time counts, and only that is written.
// A void one is not handed over.
func NoteShown(ctx context.Context, d *db.DB, t *Ticket) error {
	if !t.ShownAt.IsZero() || t.State != Valid {
		return nil
	}
	if _, err := d.Exec(ctx, sqlShown, t.ID); err != nil {
		return fmt.Errorf("note that ticket %s was shown: %w", t.ID, err)
	}
	return nil
}
