package inventory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// sweepPage is how many expired holds are looked up at a time; it is a batch's worth.
const sweepPage = 500

const sqlDueHolds = `
SELECT h.hold_id, h.event_id, h.deadline
FROM holds AS h
WHERE h.closed_at IS NULL AND h.state = 'active' AND h.deadline <= now() AND (h.deadline, h.hold_id) > ($1::TIMESTAMPTZ, $2::UUID)
ORDER BY h.deadline, h.hold_id
LIMIT $3`

// dueHold is a hold that the sweep found past its deadline. The lane looks again before it acts.
type dueHold struct {
	id, event uuid.UUID
	deadline  time.Time
}

// Run gives back the units of expired holds until ctx ends, whose error it returns. A failed sweep is logged and the next
// one tries again.
func (s *Service) Run(ctx context.Context) error {
	for {
		started := time.Now()
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.figure.sweepFailed.Inc()
			s.cfg.Log.Warn("sweep of expired holds failed", "error", err.Error())
		}
		s.figure.sweepSeconds.UpdateDuration(started)
		// A fifth of jitter keeps several cores from sweeping in step and finding the same holds.
		pause := s.cfg.SweepEvery + rand.N(s.cfg.SweepEvery/5+1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// sweep expires, page by page, every hold that is due. It goes on past holds that fail, so that one bad hold does not
// keep the others, and returns the last failure.
func (s *Service) sweep(ctx context.Context) error {
	var failed error
	for last := (dueHold{}); ; {
		page, err := s.dueHolds(ctx, last)
		if err != nil {
			return err
		}
		byLane := make(map[*db.Lane[op, answer]]*share)
		for i, due := range page {
			l := s.lane(due.event)
			if byLane[l] == nil {
				byLane[l] = &share{}
			}
			byLane[l].add(op{do: expire, id: due.id, event: due.event}, i)
		}
		failures := make([]error, len(page)) // one slot each: lanes answer at the same time
		s.ask(ctx, byLane, func(i int, a db.Answer[answer]) {
			if failures[i] = a.Err; failures[i] == nil {
				failures[i] = a.Value.err
			}
		})
		for i, err := range failures {
			if err != nil {
				failed = fmt.Errorf("expire hold %s: %w", page[i].id, err)
			}
		}
		if len(page) < sweepPage {
			return failed
		}
		last = page[len(page)-1]
	}
}

// dueHolds is the next page of holds that are past their deadline and still active.
func (s *Service) dueHolds(ctx context.Context, after dueHold) ([]dueHold, error) {
	var page []dueHold
	err := s.reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlDueHolds, after.deadline, after.id, sweepPage)
		if err != nil {
			return err
		}
		var due dueHold
		page = page[:0]
		_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&due.id), (*[16]byte)(&due.event), &due.deadline}, func() error {
			page = append(page, due)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find expired holds: %w", err)
	}
	return page, nil
}
