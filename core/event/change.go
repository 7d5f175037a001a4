package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// defaultRefundOnChange is how long buyers may give tickets back after their event was moved.
const defaultRefundOnChange = 14 * 24 * time.Hour

// unseen is how long after a change a buyer may still have bought what they saw before it.
const unseen = 10 * time.Second

const sqlInsertChange = `
INSERT INTO event_changes (event_id, revision, name, time_zone, was_starts, starts_at, was_venue, venue, changed_at, refund_until, after_at, after_order, told_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now() + $9::INTERVAL, '0001-01-01T00:00:00Z', '00000000-0000-0000-0000-000000000000', NULL)`

const sqlRefundWindow = `
SELECT max(refund_until)
FROM event_changes
WHERE event_id = $1 AND changed_at + $3::INTERVAL >= $2::TIMESTAMPTZ AND refund_until > now()`

const sqlChanges = `
SELECT revision, time_zone, was_starts, starts_at, was_venue, venue, changed_at, refund_until, told_at
FROM event_changes
WHERE event_id = $1
ORDER BY revision`

// Change is an event that was moved to another time or venue: its tickets stay valid, and everybody who has one is told.
type Change struct {
	Revision            int64
	WasStarts, StartsAt time.Time // in the venue's zone
	WasVenue, Venue     string    // name and city
	ChangedAt           time.Time
	RefundUntil         time.Time // buyers of before may give their tickets back until then, the fee included
	ToldAt              time.Time // when the last mail was queued, or a later change took its place; zero before
}

// place is where an event takes place, in words.
func (v Venue) place() string { return v.Name + ", " + v.City }

// moved tells whether an event takes place elsewhere or at another time.
func (s Spec) moved(to Spec) bool { return !s.StartsAt.Equal(to.StartsAt) || s.Venue != to.Venue }

// RefundOnChange is how long buyers may give tickets back after the event was moved.
func (s Spec) RefundOnChange() time.Duration {
	if s.Refunds.OnChange.Duration > 0 {
		return s.Refunds.OnChange.Duration
	}
	return defaultRefundOnChange
}

// noteMove writes that an event of which something is held or sold was moved.
func (a *application) noteMove(ctx context.Context, tx pgx.Tx, p *plan) error {
	taken := int64(0)
	for _, n := range p.taken {
		taken += n
	}
	if taken == 0 || !a.before.Spec.moved(a.spec) {
		return nil
	}
	was, now := a.before.Spec, a.spec
	if _, err := tx.Exec(ctx, sqlInsertChange, a.id, a.before.Revision+1, now.Name, now.TimeZone, was.StartsAt, now.StartsAt, was.Venue.place(), now.Venue.place(),
		now.RefundOnChange()); err != nil {
		return fmt.Errorf("note that the event was moved: %w", err)
	}
	p.note(true, "moved: everybody with a ticket is told, and may give it back for %s, the fee included", now.RefundOnChange())
	return nil
}

// RefundWindow is until when what was bought at a time may be given back, the fee included, because the event was moved since; zero
// when it may not.
func (s *Store) RefundWindow(ctx context.Context, id uuid.UUID, bought time.Time) (time.Time, error) {
	var until *time.Time
	if err := s.db.Reader.QueryRow(ctx, sqlRefundWindow, id, bought, unseen).Scan(&until); err != nil {
		return time.Time{}, fmt.Errorf("ask whether event %s was moved: %w", id, err)
	}
	if until == nil {
		return time.Time{}, nil
	}
	return until.UTC(), nil
}

// Changes lists when and where an event was moved, oldest first. ErrUnknown when there is no such event.
func (s *Store) Changes(ctx context.Context, slug string) ([]Change, error) {
	e, err := s.BySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Reader.Query(ctx, sqlChanges, e.ID)
	if err != nil {
		return nil, fmt.Errorf("list the changes of event %s: %w", slug, err)
	}
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Change, err error) {
		var zone string
		var told *time.Time
		if err := row.Scan(&c.Revision, &zone, &c.WasStarts, &c.StartsAt, &c.WasVenue, &c.Venue, &c.ChangedAt, &c.RefundUntil, &told); err != nil {
			return c, err
		}
		location, err := time.LoadLocation(zone)
		if err != nil {
			return c, errors.Join(errors.New("the zone of a change"), err)
		}
		c.WasStarts, c.StartsAt = c.WasStarts.In(location), c.StartsAt.In(location)
		c.ChangedAt, c.RefundUntil = c.ChangedAt.UTC(), c.RefundUntil.UTC()
		if told != nil {
			c.ToldAt = told.UTC()
		}
		return c, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the changes of event %s: %w", slug, err)
	}
	return changes, nil
}
