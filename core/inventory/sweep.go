package inventory

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

const (
	sweepPage  = 500  // rows of expiries read at a time; each has at most a batch's worth of holds
	sweepHolds = 5000 // holds looked at together
)

const sqlDueExpiries = `
SELECT e.event_id, e.due_at, e.expiry_id, e.holds
FROM expiries AS e
WHERE e.due_at <= now() AND (e.due_at, e.expiry_id) > ($1::TIMESTAMPTZ, $2::UUID)
ORDER BY e.due_at, e.expiry_id
LIMIT $3`

const sqlActiveOf = `
SELECT h.hold_id, h.event_id, h.deadline, h.deadline <= now()
FROM unnest($1::UUID[]) AS k (hold_id)
JOIN holds AS h ON h.hold_id = k.hold_id
WHERE h.state = 'active'`

const sqlDropExpiries = `
DELETE FROM expiries
WHERE (event_id, due_at, expiry_id) IN
      (SELECT k.event_id, k.due_at, k.expiry_id FROM unnest($1::UUID[], $2::TIMESTAMPTZ[], $3::UUID[]) AS k (event_id, due_at, expiry_id))
RETURNING expiry_id`

// expiry is a row of expiries: holds that may be due.
type expiry struct {
	event uuid.UUID
	dueAt time.Time
	id    uuid.UUID
	holds [][16]byte
	again time.Time // when the next of its holds that are still active is due; zero for none
	stays bool      // a hold could not be expired: the next sweep tries again
}

// Run gives back the units of expired holds until ctx ends, whose error it returns, and deletes old rows of the seat log
// beside it. What fails is logged and tried again.
func (s *Service) Run(ctx context.Context) error {
	var trimming sync.WaitGroup
	defer trimming.Wait()
	trimming.Go(func() { s.trimSeatLogs(ctx) })
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
	for last := (expiry{}); ; {
		page, err := s.dueExpiries(ctx, last)
		if err != nil {
			return err
		}
		for from := 0; from < len(page); {
			to, holds := from, 0
			for to < len(page) && (to == from || holds+len(page[to].holds) <= sweepHolds) {
				holds += len(page[to].holds)
				to++
			}
			if err := s.expire(ctx, page[from:to]); err != nil {
				failed = err
			}
			from = to
		}
		if len(page) < sweepPage || ctx.Err() != nil {
			return failed
		}
		last = page[len(page)-1]
	}
}

// expire closes the due holds of some rows and settles the rows; those with holds that failed stay for the next sweep.
func (s *Service) expire(ctx context.Context, rows []expiry) error {
	due, of, err := s.dueHolds(ctx, rows)
	if err != nil {
		return err
	}
	byLane := make(map[*db.Lane[op, answer]]*share)
	for i := range due {
		l := s.lane(due[i].event)
		if byLane[l] == nil {
			byLane[l] = &share{}
		}
		byLane[l].add(due[i], i)
	}
	failures := make([]error, len(due)) // one slot each: lanes answer at the same time
	s.ask(ctx, byLane, func(i int, a db.Answer[answer]) { failures[i] = cmp.Or(a.Err, a.Value.err) })
	var failed error
	for i, err := range failures {
		if err != nil {
			of[i].stays, failed = true, fmt.Errorf("expire hold %s: %w", due[i].id, err)
		}
	}
	return cmp.Or(s.settle(ctx, rows), failed)
}

// dueHolds asks which holds of some rows are active and past their deadline, each with its row, and notes in the rows
// when the next of the others will be.
func (s *Service) dueHolds(ctx context.Context, rows []expiry) (due []op, of []*expiry, err error) {
	row := make(map[uuid.UUID]*expiry)
	var ids [][16]byte
	for i := range rows {
		for _, id := range rows[i].holds {
			row[id] = &rows[i]
		}
		ids = append(ids, rows[i].holds...)
	}
	err = s.db.Reading(ctx, func() error {
		found, err := s.db.Reader.Query(ctx, sqlActiveOf, ids)
		if err != nil {
			return err
		}
		due, of = due[:0], of[:0]
		o := op{do: expire}
		var deadline time.Time
		var isDue bool
		_, err = pgx.ForEachRow(found, []any{(*[16]byte)(&o.id), (*[16]byte)(&o.event), &deadline, &isDue}, func() error {
			switch e := row[o.id]; {
			case isDue:
				due, of = append(due, o), append(of, e)
			case e.again.IsZero() || deadline.Before(e.again):
				e.again = deadline
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("find the due holds of %d rows: %w", len(rows), err)
	}
	return due, of, nil
}

// dueExpiries is the next page of rows that are due.
func (s *Service) dueExpiries(ctx context.Context, after expiry) ([]expiry, error) {
	var page []expiry
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlDueExpiries, after.dueAt, after.id, sweepPage)
		if err != nil {
			return err
		}
		var e expiry
		var ids []byte
		page = page[:0]
		_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&e.event), &e.dueAt, (*[16]byte)(&e.id), &ids}, func() error {
			e.holds = splitIDs(ids)
			page = append(page, e)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find expired holds: %w", err)
	}
	return page, nil
}

// settle deletes the rows that are done with, and moves those on whose holds have got more time. Of several cores that
// settle a row, the one that deletes it moves it.
func (s *Service) settle(ctx context.Context, rows []expiry) error {
	n := len(rows)
	events, due, ids := make([][16]byte, 0, n), make([]time.Time, 0, n), make([][16]byte, 0, n)
	for i := range rows {
		if e := &rows[i]; !e.stays {
			events, due, ids = append(events, e.event), append(due, e.dueAt), append(ids, e.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	err := s.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, sqlDropExpiries, events, due, ids)
		if err != nil {
			return err
		}
		dropped := make(map[uuid.UUID]bool, len(ids))
		var id uuid.UUID
		if _, err := pgx.ForEachRow(found, []any{(*[16]byte)(&id)}, func() error { dropped[id] = true; return nil }); err != nil {
			return err
		}
		var moved expiryRows
		for i := range rows {
			if e := &rows[i]; dropped[e.id] && !e.again.IsZero() {
				moved.add(e.event, e.again, joinIDs(e.holds))
			}
		}
		if len(moved.ids) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, sqlInsertExpiries, moved.events, moved.due, moved.ids, moved.holds)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle %d rows of expiries: %w", len(ids), err)
	}
	return nil
}

// expiryRows are the arrays of sqlInsertExpiries.
type expiryRows struct {
	events [][16]byte
	due    []time.Time
	ids    [][16]byte
	holds  [][]byte
}

func (r *expiryRows) add(event uuid.UUID, due time.Time, holds []byte) {
	r.events, r.due = append(r.events, event), append(r.due, due)
	r.ids, r.holds = append(r.ids, uuid.New()), append(r.holds, holds)
}

// joinIDs and splitIDs write and read the column expiries.holds.
func joinIDs(ids [][16]byte) []byte {
	joined := make([]byte, 0, 16*len(ids))
	for i := range ids {
		joined = append(joined, ids[i][:]...)
	}
	return joined
}

func splitIDs(joined []byte) [][16]byte {
	ids := make([][16]byte, len(joined)/16)
	for i := range ids {
		ids[i] = [16]byte(joined[16*i:])
	}
	return ids
}
