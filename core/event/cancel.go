package event

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// The states of an event.
const (
	Active    = "active"
	Cancelled = "cancelled"
)

// ErrCancelled means that the event will not take place: nothing of it is sold any more.
var ErrCancelled = errors.New("event: cancelled")

const sqlCancelEvent = `UPDATE events SET state = 'cancelled', revision = revision + 1 WHERE event_id = $1 AND state = 'active'`

// Cancel says that an event will not take place, in every list too. It cannot be taken back; cancelling again changes nothing.
// Other cores know of it when their memory ends, see Options.CacheTTL. ErrUnknown when there is no such event.
func (s *Store) Cancel(ctx context.Context, slug string) (*Event, error) {
	id := lottery.EventID(slug)
	var cancelled *Event
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlCancelEvent, id); err != nil {
			return err
		}
		e, err := loadEvent(ctx, tx, id)
		if err != nil {
			return err
		}
		cancelled = e
		return writeListings(ctx, tx, []listing{{e.ID, e.State, e.Revision, &e.Spec}})
	})
	if err != nil {
		return nil, fmt.Errorf("cancel event %s: %w", slug, err)
	}
	s.events.forget(id)
	s.shown.forget(id)
	return cancelled, nil
}
