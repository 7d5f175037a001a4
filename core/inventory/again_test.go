package inventory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

// The sweep has not been there: the units, the seats and what they count in the buyer's limit go from the one hold to the other.
func TestAHoldThatExpiredIsTakenOverBeforeTheSweepFreesIt(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	var told []uuid.UUID
	s := w.service(inventory.Hooks{Expired: func(_ context.Context, _ pgx.Tx, holds []inventory.Hold) error {
		for _, h := range holds {
			told = append(told, h.ID)
		}
		return nil
	}})
	old := w.mustHold(s, general("pit", 3), seats("A/1/2")) // all of the pit, and all that one buyer may have
	w.pass(old.ID)
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("pit", 1))); !errors.Is(err, inventory.ErrSoldOut) { // and remembered as such
		t.Fatal(err)
	}
	h, err := s.HoldAgain(w.ctx, old.ID, "late")
	if err != nil || h.State != inventory.Active || h.Units != 4 || seatsOf(h) != "A/1/2" || h.Amount != old.Amount {
		t.Fatalf("%+v, %v", h, err)
	}
	if got := w.load(s, old.ID); got.State != inventory.Expired || got.ClosedAt.IsZero() {
		t.Errorf("the earlier hold is %+v", got)
	}
	if len(told) != 1 || told[0] != old.ID {
		t.Errorf("told of %v", told)
	}
	if again, err := s.HoldAgain(w.ctx, old.ID, "late"); err != nil || again.ID != h.ID || again.State != inventory.Active {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	w.sweep(s, old.ID)
	if len(told) != 1 || w.load(s, h.ID).State != inventory.Active {
		t.Error("the sweep closed it once more")
	}
	w.mustAudit()
}

func TestWhatIsStillHeldIsNotHeldAgain(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, seats("A/1/2"))
	if _, err := s.HoldAgain(w.ctx, h.ID, "late"); !errors.Is(err, inventory.ErrHoldLives) || inventory.Refusal(err) {
		t.Errorf("while it is active: %v", err)
	}
	w.pass(h.ID)
	w.offer.Limit = 1
	w.offer.Tiers = map[string]inventory.TierOffer{"floor": w.offer.Tiers["floor"]} // seats are no longer sold
	if _, err := s.HoldAgain(w.ctx, h.ID, "late"); !errors.Is(err, inventory.ErrTierUnknown) {
		t.Errorf("got %v", err)
	}
	if w.seat("A/1/2") != "free" {
		t.Error("a refusal keeps what had expired")
	}
	w.mustAudit()
}

// Another buyer has one of the seats by now: others are found, and stay the answer although the same ones are free afterwards.
func TestOtherSeatsThatWereFoundOnceAreFoundAgain(t *testing.T) {
	w := ring(t)
	s := w.service(inventory.Hooks{})
	old := w.mustHold(s, seats("C/1/1", "C/1/2"), general("floor", 1))
	w.pass(old.ID)
	w.sweep(s, old.ID)
	rival := w.mustHold(s, seats("C/1/2"))
	h, err := s.HoldAgain(w.ctx, old.ID, "late")
	if got := strings.Fields(seatsOf(h)); err != nil || len(got) != 2 || slices.Contains(got, "C/1/2") || h.Units != 3 {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, err := s.Release(w.ctx, rival.ID, rival.Entrant); err != nil {
		t.Fatal(err)
	}
	if again, err := s.HoldAgain(w.ctx, old.ID, "late"); err != nil || again.ID != h.ID || seatsOf(again) != seatsOf(h) {
		t.Errorf("asked again it is %+v, %v", again, err)
	}
	w.mustAudit()
}

// Two cores sweep and both ask for the other hold, some give up in the middle as if they had died, and others may want the same
// seats. All get the same one hold, or all are refused; and without others, always the very same seats.
func TestTheSweepAndAllWhoAskAgainAgreeAboutOneHold(t *testing.T) {
	d := dbtest.New(t)
	taken, lost := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, d)
		cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
		defer cores[0].Close()
		defer cores[1].Close()
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(lowerSeats), 1, 3, rapid.ID[string]).Draw(rt, "seats")
		items, wanted := []inventory.Item{seats(names...)}, slices.Sorted(slices.Values(names))
		if rapid.Bool().Draw(rt, "pit") {
			items = append(items, general("pit", 1))
		}
		old := w.mustHold(cores[0], items...)
		rivals := rapid.IntRange(0, 2).Draw(rt, "rivals")
		askers := rapid.SliceOfN(rapid.IntRange(-1, 3000), 1, 4).Draw(rt, "askers give up after µs")
		sweepers := rapid.IntRange(0, 2).Draw(rt, "sweepers")
		w.pass(old.ID)
		ctx, stop := context.WithCancel(w.ctx)
		defer stop()
		var running, sweeping sync.WaitGroup
		for n := range sweepers {
			sweeping.Go(func() { _ = cores[n].Run(ctx) })
		}
		var mu sync.Mutex
		var got []inventory.Hold
		var refused int
		var rivalHas atomic.Int64
		for n := range rivals {
			running.Go(func() {
				if _, err := cores[n].Hold(w.ctx, w.request(w.someone(), "k", seats(names[0]))); err == nil {
					rivalHas.Add(1)
				} else if !errors.Is(err, inventory.ErrSeatTaken) && !errors.Is(err, inventory.ErrSoldOut) {
					t.Errorf("rival: %v", err)
				}
			})
		}
		ask := func(ctx context.Context, core int) {
			h, err := cores[core].HoldAgain(ctx, old.ID, "late")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				got = append(got, h)
			case inventory.Refusal(err):
				refused++
			case ctx.Err() == nil:
				t.Errorf("asked again: %v", err)
			}
		}
		for n, after := range askers {
			running.Go(func() {
				if after < 0 {
					ask(w.ctx, n%2)
					return
				}
				dying, die := context.WithTimeout(w.ctx, time.Duration(after)*time.Microsecond)
				defer die()
				ask(dying, n%2)
			})
		}
		running.Wait()
		ask(w.ctx, 1) // whoever runs the task last
		stop()
		sweeping.Wait()
		for _, h := range got {
			if h.ID != got[0].ID || h.State != inventory.Active || !slices.Equal(slices.Sorted(slices.Values(strings.Fields(seatsOf(h)))), wanted) {
				rt.Errorf("got %s with %v, and %s", h.ID, seatsOf(h), got[0].ID)
			}
		}
		if len(got) == 0 {
			lost++
		} else {
			taken++
		}
		if rivalHas.Load() == 0 && (len(got) == 0 || refused > 0) || rivalHas.Load() > 0 && len(got) > 0 || rivalHas.Load() > 1 {
			rt.Errorf("%d rivals have the seat, %d got another hold and %d were refused", rivalHas.Load(), len(got), refused)
		}
		if n := w.holds(); n != 2 {
			rt.Errorf("%d holds were made", n)
		}
		if again := w.load(cores[0], old.ID); again.ClosedAt.IsZero() {
			rt.Errorf("the earlier hold is still open: %+v", again)
		}
		for _, line := range w.audit() {
			rt.Error(line)
		}
	})
	t.Logf("%d times it was taken over, %d times a rival was quicker", taken, lost)
	if taken == 0 {
		t.Error("nothing was ever taken over")
	}
}

// holds counts those of the event.
func (w *world) holds() (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.ctx, `SELECT count(*) FROM holds WHERE event_id = $1`, w.event).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
