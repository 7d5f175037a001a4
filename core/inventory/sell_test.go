package inventory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

func TestASaleTouchesOnlyHoldAndSeats(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, general("floor", 1), seats("A/1/1"))
	before, err := s.Availability(w.ctx, w.event)
	if err != nil {
		t.Fatal(err)
	}
	if failed := w.sell(h.ID, h.ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	after, err := s.Availability(w.ctx, w.event)
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("stock was %+v and is %+v", before[i], after[i])
		}
	}
	if got := w.load(s, h.ID); got.State != inventory.Sold || got.ClosedAt.IsZero() {
		t.Errorf("hold %+v", got)
	}
	if got := w.seat("A/1/1"); got != "sold" {
		t.Errorf("the seat is %s", got)
	}
	if _, err := s.Release(w.ctx, h.ID, h.Entrant); !errors.Is(err, inventory.ErrHoldClosed) {
		t.Errorf("a sold hold was released: %v", err)
	}
	w.mustAudit()
}

func TestOnlyWhatIsActiveCanBeSold(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	good, sold, released := w.mustHold(s, general("floor", 1)), w.mustHold(s, general("floor", 1)), w.mustHold(s, general("floor", 1))
	late, expired := w.mustHold(s, seats("A/1/1")), w.mustHold(s, general("floor", 1))
	unknown := uuid.New()
	w.sell(sold.ID)
	if _, err := s.Release(w.ctx, released.ID, released.Entrant); err != nil {
		t.Fatal(err)
	}
	w.pass(expired.ID)
	w.sweep(s, expired.ID)
	w.pass(late.ID) // past its deadline, but the sweep has not come by

	ids := []uuid.UUID{good.ID, sold.ID, released.ID, late.ID, expired.ID, unknown}
	want := map[uuid.UUID]error{
		sold.ID: inventory.ErrHoldClosed, released.ID: inventory.ErrHoldClosed,
		late.ID: inventory.ErrHoldExpired, expired.ID: inventory.ErrHoldExpired, unknown: inventory.ErrHoldUnknown,
	}
	for name, fn := range map[string]func(tx pgx.Tx) (map[uuid.UUID]error, error){
		"sell": func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Sell(w.ctx, tx, ids) },
		"keep": func(tx pgx.Tx) (map[uuid.UUID]error, error) {
			var holds []inventory.Keeping
			for _, id := range ids {
				holds = append(holds, inventory.Keeping{Hold: id, For: time.Hour})
			}
			kept, err := inventory.Keep(w.ctx, tx, holds)
			failed := make(map[uuid.UUID]error)
			for _, id := range ids {
				if _, ok := kept.Deadlines[id]; !ok {
					failed[id] = want[id] // Keep says that it is not active, not why
				}
			}
			return failed, err
		},
		"release": func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Release(w.ctx, tx, ids) },
	} {
		var failed map[uuid.UUID]error
		err := w.db.InTx(w.ctx, func(_ context.Context, tx pgx.Tx) error {
			var err error
			if failed, err = fn(tx); err != nil {
				return err
			}
			return errUndo
		})
		if !errors.Is(err, errUndo) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, id := range ids {
			if !errors.Is(failed[id], want[id]) {
				t.Errorf("%s of %s: %v, want %v", name, id, failed[id], want[id])
			}
		}
	}
	w.mustAudit()
}

// errUndo rolls a transaction back after it has shown what it would do.
var errUndo = errors.New("undo")

func TestAFailedCapturePutsEverythingBackOnSale(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h, other := w.mustHold(s, general("floor", 2), seats("A/1/1", "A/1/2")), w.mustHold(s, general("floor", 1))
	if failed := w.unsell(h.ID); !errors.Is(failed[h.ID], inventory.ErrHoldClosed) {
		t.Errorf("a hold that is not sold was put back: %v", failed)
	}
	w.sell(h.ID, other.ID)
	if failed := w.unsell(h.ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	if got := w.load(s, h.ID); got.State != inventory.Released {
		t.Errorf("the hold is %s", got.State)
	}
	if got := w.taken(s); got["floor/general"] != 1 || got["lower/general"] != 0 {
		t.Errorf("taken %v", got)
	}
	if failed := w.unsell(h.ID, uuid.Nil); len(failed) != 2 {
		t.Errorf("the second time: %v", failed)
	}
	if _, err := s.Hold(w.ctx, w.request(h.Entrant, "again", seats("A/1/1", "A/1/2"), general("floor", 2))); err != nil {
		t.Errorf("the buyer may try again up to the limit, but: %v", err)
	}
	w.mustAudit()
}

func TestADeadlineIsExtendedOnceAndBounded(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	// keep answers what the deadline would be without the bound, too.
	keep := func(h inventory.Hold, least time.Duration) (deadline, asked time.Time) {
		t.Helper()
		w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) {
			kept, err := inventory.Keep(w.ctx, tx, []inventory.Keeping{{Hold: h.ID, For: least}})
			deadline, asked = kept.Deadlines[h.ID], kept.Now.Add(least)
			return nil, err
		})
		if got := w.load(s, h.ID); !got.Deadline.Equal(deadline) || got.State != inventory.Active {
			t.Errorf("kept until %v: %+v", deadline, got)
		}
		return deadline, asked
	}
	h := w.mustHold(s, general("floor", 1))
	for _, near := range []time.Duration{0, time.Second} {
		if deadline, _ := keep(h, near); !deadline.Equal(h.Deadline) || w.load(s, h.ID).Extended {
			t.Errorf("kept for %s, which it lives anyway: until %v", near, deadline)
		}
	}
	ttl := h.Deadline.Sub(h.CreatedAt)
	deadline, asked := keep(h, ttl+90*time.Second)
	if !deadline.Equal(asked) || !w.load(s, h.ID).Extended {
		t.Errorf("extended until %v, not %v", deadline, asked)
	}
	if again, _ := keep(h, ttl+2*time.Minute); !again.Equal(deadline) {
		t.Errorf("a second extension moved it to %v", again)
	}
	far := w.mustHold(s, general("floor", 1))
	keep(far, ttl+time.Hour)
	if got := w.load(s, far.ID); !got.Deadline.Equal(far.Deadline.Add(inventory.MaxExtension)) {
		t.Errorf("extended by %s", got.Deadline.Sub(far.Deadline))
	}
}

func TestReleasingInACheckoutTransactionGivesEverythingBack(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, general("floor", 2), seats("A/1/1"))
	failed := w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Release(w.ctx, tx, []uuid.UUID{h.ID}) })
	if len(failed) > 0 {
		t.Fatal(failed)
	}
	if got := w.taken(s); got["floor/general"] != 0 || w.seat("A/1/1") != "free" {
		t.Errorf("taken %v", got)
	}
	w.mustAudit()
}
