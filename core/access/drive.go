package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// How often an on-sale is looked at when nothing is near, and from when before joining opens it is looked at every tick.
const (
	idleTick   = 2 * time.Second
	wakeBefore = 10 * time.Second
)

// driver is what the core that drives an on-sale remembers from tick to tick. All of it can be lost: a core that takes
// over starts with an empty one.
type driver struct {
	lease    lease
	since    time.Time // when this core began to drive, by the database's clock
	chain    *lottery.Chain
	chainGen uint32
	pacer    pacer
	door     door
	// countAfter is when sessions may be counted again, by the local clock.
	countAfter time.Time
}

// tend makes sure that a goroutine looks after the on-sale, and wakes it when the row is newer than what it knows.
func (s *onSale) tend(ctx context.Context, tenders *sync.WaitGroup, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tending {
		if version > s.draw.version {
			s.wake()
		}
		return
	}
	if s.draw.phase == Ended && s.draw.version >= version && s.state.built() {
		return
	}
	s.tending = true
	tenders.Go(func() {
		s.run(ctx)
	})
}

// wake makes the tending goroutine look at once.
func (s *onSale) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// run looks after the on-sale until it has ended or ctx does: brings memory up to date, drives if this core holds the
// lease, and publishes the state object.
func (s *onSale) run(ctx context.Context) {
	r := s.room
	defer func() {
		r.release(s.event, &s.driver.lease)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tending = false
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.woken:
		}
		started := time.Now()
		if err := s.tick(ctx); err != nil {
			r.complain(ctx, "tend the on-sale of "+s.slug, err)
		}
		d := s.snapshot().draw
		if d.phase == Ended && s.state.built() {
			return
		}
		timer.Reset(s.pause(d, time.Since(started)))
	}
}

// pause is how long to wait after a tick that took so long: less when the sale instant comes first.
func (s *onSale) pause(d draw, took time.Duration) time.Duration {
	now, tick := s.room.now(), s.room.cfg.Tick
	if now.Before(d.joiningAt.Add(-wakeBefore)) {
		return idleTick
	}
	pause := max(tick-took, tick/8)
	if wait := d.opensAt.Sub(now); wait > 0 && wait < pause {
		pause = wait + time.Millisecond
	}
	return pause
}

func (s *onSale) tick(ctx context.Context) error {
	r := s.room
	if err := s.refresh(ctx); err != nil {
		return err
	}
	err := s.drive(ctx)
	if errors.Is(err, errFenced) || errors.Is(err, errOvertaken) {
		err = nil // the next tick sees why
	}
	if publishErr := r.publish(ctx, s); err == nil {
		err = publishErr
	}
	return err
}

// drive does what is due if this core is the one to do it. One thing is done a tick, seals before calls, and memory is
// read anew after each, so that whatever follows from it follows from the committed row.
func (s *onSale) drive(ctx context.Context) error {
	r, v := s.room, s.snapshot()
	if v.draw.phase == Ended || v.draw.now.Before(v.draw.joiningAt.Add(-wakeBefore)) {
		r.release(s.event, &s.driver.lease)
		return nil
	}
	held, taken, err := r.hold(ctx, s.event, &s.driver.lease)
	if err != nil || !held {
		return err
	}
	if taken {
		s.driver = driver{lease: s.driver.lease, since: v.draw.now}
		r.cfg.Log.Info("driving an on-sale", "event", s.slug, "generation", v.draw.generation, "epoch", s.driver.lease.epoch)
	}
	if window, due := v.dueWindow(); due {
		sealed, err := s.sealDue(ctx, v, window)
		if err != nil {
			return fmt.Errorf("seal window %d: %w", window, err)
		}
		if sealed {
			if err := s.refresh(ctx); err != nil {
				return err
			}
			v = s.snapshot()
		}
	}
	return s.control(ctx, v)
}

// sealDue seals a window whose time is over as soon as everybody in it has arrived. Window 0 of an on-sale with a beacon is
// sealed in two steps: its root first, and the draw once the value has been told. It says whether something was written.
func (s *onSale) sealDue(ctx context.Context, v snapshot, window uint32) (bool, error) {
	waits := window == 0 && v.draw.awaitsBeacon()
	if v.draw.root == nil || window > 0 {
		ready, err := s.room.markersIn(ctx, v, window, s.driver.since)
		if err != nil || !ready {
			return false, err
		}
		if waits {
			return true, s.closeForBeacon(ctx, v)
		}
	}
	if waits {
		return false, nil
	}
	return true, s.seal(ctx, v, window)
}

// dueWindow is the window to seal next, if its time is over: window 0 in any case, later ones if they have entrants.
func (v snapshot) dueWindow() (uint32, bool) {
	d := &v.draw
	window := uint32(0)
	if d.nextWindow > 0 {
		waiting, any := v.pool.nextWaiting(d.nextWindow)
		if !any {
			return 0, false
		}
		window = waiting
	}
	return window, d.phase != Ended && !d.now.Before(d.windowEnd(window))
}

// control moves the phase and the cursor.
func (s *onSale) control(ctx context.Context, v snapshot) error {
	r, d := s.room, &v.draw
	free, taken, holds, err := s.supply(ctx, &v)
	if err != nil {
		return err
	}
	gone := d.nextWindow > 0 && free == 0 && (holds == 0 || d.phase == SoldOut) // a hold of the last alone opens no door again
	if phase := d.nextPhase(d.now, gone); phase != d.phase {
		if err := s.movePhase(ctx, d, phase); err != nil {
			return fmt.Errorf("go from %s to %s: %w", d.phase, phase, err)
		}
		r.cfg.Log.Info("the on-sale changed", "event", s.slug, "from", string(d.phase), "to", string(phase))
		return s.refresh(ctx)
	}
	if d.phase != Open {
		s.driver.pacer.stop()
		return nil
	}
	crowd, due, err := s.crowd(ctx, v)
	if err != nil || !due {
		return err
	}
	if err := s.openDoor(ctx, d, crowd); err != nil {
		return err
	}
	crowd.free, crowd.taken, crowd.holds = free, taken, holds
	if r.deps.Load != nil {
		crowd.load = r.deps.Load(ctx, s.event)
	}
	if r.deps.SpareRate != nil {
		spare := r.deps.SpareRate(ctx, s.event)
		crowd.spareRate = &spare
	}
	call := s.driver.pacer.decide(crowd)
	s.driver.pacer.tell()
	place, called, moves := v.pool.advance(d.called, call)
	if !moves {
		return nil
	}
	if err := s.moveCursor(ctx, d, place, called); err != nil {
		return fmt.Errorf("move the cursor: %w", err)
	}
	s.driver.pacer.calledNow(called - d.called)
	calledTotal.Add(called - d.called)
	return s.refresh(ctx)
}

// supply is what is left to sell, what is held or sold, and how many hold some of it. Before the draw nobody needs to know.
func (s *onSale) supply(ctx context.Context, v *snapshot) (free, taken, holds int, err error) {
	if v.draw.nextWindow == 0 {
		return 0, 0, 0, nil
	}
	stock, err := s.room.deps.Stock(ctx, s.event, v.sale.Allocation)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("ask for the stock: %w", err)
	}
	for _, t := range stock {
		free, taken = free+max(0, t.Capacity-t.Taken), taken+t.Taken
	}
	if s.room.deps.Holding == nil {
		return free, taken, 0, nil
	}
	holding, err := s.room.deps.Holding(ctx, s.event)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("ask for the holds: %w", err)
	}
	return free, taken, holding.Holds, nil
}

const (
	sqlMovePhase = `UPDATE draws SET phase = $4, version = version + 1, epoch = $5, updated_at = now()
	WHERE event_id = $1 AND generation = $2 AND version = $3 AND epoch <= $5`
	sqlMoveCursor = `UPDATE draws SET cursor_set = true, cursor_window = $4, cursor_band = $5, cursor_value = $6, called = $7,
	version = version + 1, epoch = $8, updated_at = now()
	WHERE event_id = $1 AND generation = $2 AND version = $3 AND epoch <= $8 AND phase = 'open'`
	sqlAddCursor = `INSERT INTO draw_cursors (event_id, generation, seq, window_no, band, value, called, at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, now())`
)

// write runs one write of the driver in its turn, fenced.
func (s *onSale) write(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if err := s.turn.enter(ctx); err != nil {
		return err
	}
	defer s.turn.leave()
	return s.room.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.room.fence(ctx, tx, s.event, &s.driver.lease); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

func (s *onSale) movePhase(ctx context.Context, d *draw, to Phase) error {
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlMovePhase, s.event, int64(d.generation), int64(d.version), string(to), s.driver.lease.epoch)
		if err != nil {
			return fmt.Errorf("write the phase: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errOvertaken
		}
		return nil
	})
}

func (s *onSale) moveCursor(ctx context.Context, d *draw, to lottery.Place, called int) error {
	value := binary.BigEndian.AppendUint64(nil, to.Value)
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlMoveCursor, s.event, int64(d.generation), int64(d.version), int64(to.Window), int64(to.Band),
			value, int64(called), s.driver.lease.epoch)
		if err != nil {
			return fmt.Errorf("write the cursor: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errOvertaken
		}
		seq := int64(d.version + 1) // the row's version is the number of the move too
		if _, err := tx.Exec(ctx, sqlAddCursor, s.event, int64(d.generation), seq, int64(to.Window), int64(to.Band), value, int64(called)); err != nil {
			return fmt.Errorf("record the cursor: %w", err)
		}
		return nil
	})
}
