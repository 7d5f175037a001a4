package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket/gate"
)

// overlap is how much further back than asked a delta looks: a transaction may have been that long under way.
const overlap = time.Minute

const sqlDeadTickets = `
SELECT ticket_id, state = 'void' OR hold = 'listed', epoch, voided_at
FROM tickets
WHERE event_id = $1 AND (state = 'void' OR epoch > 1 OR hold = 'listed')`

// Pack makes the event's pack, signed; with since, a delta for a pack of that time.
func (s *Service) Pack(ctx context.Context, event uuid.UUID, since time.Time) ([]byte, error) {
	e, err := s.events(ctx, event)
	if err != nil {
		return nil, err
	}
	now, err := s.db.Now(ctx) // before the tickets are read: the pack is at least as new as it says
	if err != nil {
		return nil, fmt.Errorf("make the pack of %s: %w", e.Slug, err)
	}
	p := &gate.Pack{Event: e.ID, Slug: e.Slug, AsOf: now.UTC(), Base: since, Keys: e.Reader.Keys, Rotating: e.Reader.Rotating, Rules: e.Rules, Cancelled: e.Cancelled, SettledAt: e.SettledAt,
		States: map[uuid.UUID]gate.State{}}
	if p.Rotating {
		p.GateKeys = e.Reader.GateKeys
	}
	rows, err := s.db.Reader.Query(ctx, sqlDeadTickets, event)
	if err != nil {
		return nil, fmt.Errorf("read dead tickets of %s: %w", e.Slug, err)
	}
	var ticket uuid.UUID
	var dead bool
	var epoch uint32
	var voided *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&ticket, &dead, &epoch, &voided}, func() error {
		one := gate.StateOf(epoch, dead)
		p.Version += uint64(one - gate.Issued)
		if since.IsZero() || voided == nil || voided.After(since.Add(-overlap)) { // of one that is listed, or valid again, it is not asked since when
			p.States[ticket] = one
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read dead tickets of %s: %w", e.Slug, err)
	}
	return p.Seal(e.PackKey), nil
}
