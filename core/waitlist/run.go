package waitlist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
)

const sqlOpenLists = `SELECT event_id FROM waitlists WHERE closed_at IS NULL AND event_id > $1::UUID ORDER BY event_id LIMIT $2::INT8`

// A hold that was released a while ago was not released by a cancellation that is not heard of yet.
const sqlStandingOffers = `SELECT ` + offerColumns + `, h.state, coalesce(h.closed_at < now() - INTERVAL '10 seconds', false)
FROM waitlist_offers AS o
LEFT JOIN holds AS h ON h.hold_id = o.hold_id
WHERE o.event_id = $1::UUID AND o.closed_at IS NULL
ORDER BY o.made_at, o.offer_id
LIMIT $2::INT8`

const sqlCloseEntries = `
UPDATE waitlist_entries SET state = 'closed', reason = 'the waiting list has closed', ended_at = now()
WHERE entry_id = ANY(ARRAY(SELECT e.entry_id FROM waitlist_entries AS e WHERE e.event_id = $1::UUID AND e.state = 'waiting' ORDER BY e.entry_id LIMIT $2::INT8))`

const sqlCloseList = `UPDATE waitlists SET closed_at = now() WHERE event_id = $1::UUID AND closed_at IS NULL`

const (
	listPage     = 200  // lists looked at together
	standingPage = 5000 // offers of one list that stand; there are as many as tickets came back
	closePage    = 1000
	maxRounds    = 200 // of one list in one look: whoever is refused is passed over in the next
)

// Run looks after every list until ctx ends, whose error it returns. What fails is logged and looked at again.
func (s *Service) Run(ctx context.Context) error {
	var watched time.Time
	for {
		err := s.Look(ctx)
		if time.Since(watched) >= watchEvery {
			watched, err = time.Now(), errors.Join(err, s.watch(ctx))
		}
		if err != nil && ctx.Err() == nil {
			errorsTotal.Inc()
			s.log.Warn("a waiting list was not looked after; it is looked at again", "error", err.Error())
		}
		// A fifth of jitter keeps several cores from looking in step.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.Every + rand.N(s.cfg.Every/5+1)):
		}
	}
}

// Look looks after every list once. A list that fails does not keep the others; the last failure is returned.
func (s *Service) Look(ctx context.Context) error {
	var failed error
	for after := uuid.Nil; ; {
		var page []uuid.UUID
		err := s.db.Reading(ctx, func() error {
			rows, err := s.db.Reader.Query(ctx, sqlOpenLists, after, listPage)
			if err != nil {
				return err
			}
			page, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			return err
		})
		if err != nil {
			return fmt.Errorf("find the waiting lists: %w", err)
		}
		for _, event := range page {
			if err := s.tend(ctx, event); err != nil {
				failed = fmt.Errorf("tend the waiting list of event %s: %w", event, err)
			}
		}
		if len(page) < listPage || ctx.Err() != nil {
			return failed
		}
		after = page[len(page)-1]
	}
}

// tend looks after one list: what became of its offers, the draw, who comes next.
func (s *Service) tend(ctx context.Context, event uuid.UUID) error {
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	rules, closed := s.rulesOf(ctx, event, now)
	if closed != nil && !errors.Is(closed, ErrNone) && !errors.Is(closed, ErrClosed) {
		return closed
	}
	_, failed := s.follow(ctx, event, &rules) // one that fails keeps its units, and nobody else
	if closed != nil {
		return errors.Join(failed, s.close(ctx, event, &rules))
	}
	first := s.cfg.Over(ctx, event)
	for range maxRounds {
		due, err := s.due(ctx, event, &rules, first, now)
		if err != nil || !due {
			return errors.Join(failed, err)
		}
		more, err := s.arrange(ctx, event, &rules, first)
		if err != nil {
			return errors.Join(failed, err)
		}
		var refused bool
		if refused, failed = s.follow(ctx, event, &rules); !more && !refused {
			return failed
		}
	}
	return failed
}

// due tells whether there is anything to arrange, without a transaction, and holds the draw when its time has come. Nearly always there is
// not.
func (s *Service) due(ctx context.Context, event uuid.UUID, rules *Rules, first bool, now time.Time) (bool, error) {
	a := arrangement{service: s, event: event, rules: rules, first: first}
	if err := s.db.Reading(ctx, func() error { return a.read(ctx, s.db.Reader) }); err != nil {
		return false, err
	}
	if !a.list.DrawAt.IsZero() && a.list.DrawnAt.IsZero() && !now.Before(a.list.DrawAt) {
		return true, s.draw(ctx, event)
	}
	if first && a.list.DrawAt.IsZero() {
		return true, nil
	}
	drawn := first && !a.list.DrawnAt.IsZero()
	for i := range a.shelves {
		f := &a.shelves[i]
		switch wants := a.wants(f); {
		case wants == f.Waitlisted && !(wants && drawn && a.serves(f)): // as it shall be
		default:
			return true, nil
		}
	}
	return false, nil
}

// follow makes offers that are in the making, and ends those whose hold has ended. refused tells that somebody is passed over now.
func (s *Service) follow(ctx context.Context, event uuid.UUID, rules *Rules) (refused bool, failed error) {
	type standing struct {
		Offer
		hold *inventory.State
		ago  bool // it ended a while ago
	}
	var offers []standing
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlStandingOffers, event, standingPage)
		if err != nil {
			return err
		}
		offers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (o standing, err error) {
			o.Offer, err = scanOffer(withState{row, &o.hold, &o.ago})
			return o, err
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("read the offers that stand: %w", err)
	}
	for i := range offers {
		o := &offers[i]
		switch {
		case o.State == Making:
			var one bool
			one, err = s.make(ctx, &o.Offer, rules)
			refused = refused || one
		case o.hold != nil && *o.hold != inventory.Active:
			err = nil
			if *o.hold != inventory.Released || rules.Cancelled || o.ago {
				err = s.settle(ctx, &o.Offer, endOf(&o.Offer, *o.hold, rules.Cancelled))
			}
		default:
			err = nil
		}
		if err != nil {
			failed = err // others go on
		}
	}
	return refused, failed
}

// withState is a row of sqlStandingOffers, whose last columns are the hold's state and whether it ended a while ago.
type withState struct {
	pgx.CollectableRow
	hold **inventory.State
	ago  *bool
}

func (w withState) Scan(into ...any) error {
	return w.CollectableRow.Scan(append(into, w.hold, w.ago)...)
}

// close ends a list: those who wait are told no more, nothing is kept, and once no offer stands it is looked at no more.
func (s *Service) close(ctx context.Context, event uuid.UUID, rules *Rules) error {
	for {
		var n int64
		err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, sqlCloseEntries, event, closePage)
			n = tag.RowsAffected()
			return err
		})
		if err != nil {
			return fmt.Errorf("end those who wait: %w", err)
		}
		if n < closePage {
			break
		}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		a := arrangement{service: s, event: event, rules: rules}
		if err := a.read(ctx, tx); err != nil {
			return err
		}
		if err := a.keep(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, sqlStandingOffers, event, 1)
		if err != nil {
			return err
		}
		standing, err := pgx.CollectRows(rows, func(pgx.CollectableRow) (struct{}, error) { return struct{}{}, nil })
		if err != nil || len(standing) > 0 {
			return err
		}
		_, err = tx.Exec(ctx, sqlCloseList, event)
		return err
	})
}
