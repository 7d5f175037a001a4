package resale

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/ticket"
)

// tidyPage is how many listings one look goes through.
const tidyPage = 200

const sqlOpenListings = `
SELECT listing_id FROM listings
WHERE state = 'open' AND listing_id > $1::UUID ORDER BY listing_id LIMIT $2::INT8`

// Rows of listings that are over and were held at that moment.
const sqlLeftOnSale = `
SELECT l.listing_id FROM listings AS l
JOIN stock AS s ON s.event_id = l.event_id AND s.tier = l.tier AND s.allocation = 'resale/' || l.listing_id::TEXT
WHERE l.state IN ('ended', 'undone') AND s.capacity > 0 AND s.taken = 0 AND l.updated_at > now() - INTERVAL '30 days'
ORDER BY l.listing_id LIMIT $1::INT8`

// Listings of tickets that were given back to use, or whose seat was changed, by somebody who did not ask.
const sqlAstray = `
SELECT l.listing_id FROM listings AS l
JOIN tickets AS t ON t.ticket_id = l.ticket_id
WHERE l.state = 'open' AND NOT (t.state = 'valid' AND t.hold = 'listed' AND t.owner = l.seller AND t.seat = l.seat)
ORDER BY l.listing_id LIMIT $1::INT8`

// Run withdraws listings whose event's resale is over, so that their owners can go there themselves, ends those whose ticket is not as it was
// listed, and takes off sale what was held when it ended, until ctx ends. Any number of cores may run it. What fails is logged and looked at again.
func (s *Service) Run(ctx context.Context) error {
	var after uuid.UUID
	for {
		next, err := s.tidy(ctx, after)
		if err != nil && ctx.Err() == nil {
			metrics.failed.Inc()
			s.log.Warn("close listings that are over", "error", err.Error())
		}
		after = next
		// A fifth of jitter keeps several cores from looking in step.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.TidyEvery + rand.N(s.cfg.TidyEvery/5+1)):
		}
	}
}

// tidy looks at a page of open listings, and answers where to go on.
func (s *Service) tidy(ctx context.Context, after uuid.UUID) (next uuid.UUID, err error) {
	open, err := s.page(ctx, sqlOpenListings, after, tidyPage)
	if err != nil {
		return after, err
	}
	var errs []error
	now, err := s.db.Now(ctx)
	if err != nil {
		return after, err
	}
	for i := range open {
		l := &open[i]
		next = l.ID
		rules, err := s.rules(ctx, l.Event)
		if err != nil {
			errs = append(errs, fmt.Errorf("rules of event %s: %w", l.Event, err))
			continue
		}
		why := rules.open(now)
		if why == nil {
			continue
		}
		if err := s.close(ctx, l.ID, why); err != nil {
			errs = append(errs, err)
		}
	}
	if len(open) < tidyPage {
		next = uuid.Nil
	}
	astray, err := s.page(ctx, sqlAstray, tidyPage)
	errs = append(errs, err)
	for i := range astray {
		errs = append(errs, s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.endAstray(ctx, tx, astray[i].ID) }))
	}
	left, err := s.page(ctx, sqlLeftOnSale, tidyPage)
	errs = append(errs, err)
	for i := range left {
		err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return inventory.Unlist(ctx, tx, left[i].unit()) })
		if err != nil && !errors.Is(err, inventory.ErrHeld) {
			errs = append(errs, err)
		}
	}
	return next, errors.Join(errs...)
}

// endAstray ends a listing if its ticket is not as it was listed.
func (s *Service) endAstray(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	l, err := one(ctx, tx, id)
	if err != nil || l.State != Open {
		return err
	}
	t, err := ticket.Load(ctx, tx, l.Ticket)
	if err != nil || t.State == ticket.Valid && t.Hold == ticket.Listed && t.Owner == l.Seller && t.Seat == l.Seat {
		return err
	}
	return s.Gone(ctx, tx, []uuid.UUID{t.ID}, "its ticket is no longer as it was listed")
}

// close withdraws a listing for its owner. One that somebody holds is left alone until they have decided.
func (s *Service) close(ctx context.Context, id uuid.UUID, why error) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		l, err := one(ctx, tx, id)
		if err != nil || l.State != Open {
			return err
		}
		return s.withdraw(ctx, tx, &l, "the event's resale is over")
	})
	switch {
	case errors.Is(err, ErrHeld):
		return nil
	case err != nil:
		return fmt.Errorf("close listing %s, since %w: %w", id, why, err)
	}
	metrics.closed.Inc()
	return nil
}
