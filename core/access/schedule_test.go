package access

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

func TestTheSecondOnSaleOfAnEventStartsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	one := c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 5))
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(5))
	old := c.redeem(t, e, buyer(1), 1)
	if old.Err != nil {
		t.Fatal(old.Err)
	}
	if _, err := c.Schedule(t.Context(), slug, c.now().Add(time.Hour), time.Time{}, time.Time{}); !errors.Is(err, ErrStarted) {
		t.Fatalf("scheduling over a running on-sale: %v", err)
	}
	if _, err := c.End(t.Context(), slug, "thank you"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(20, 1)}); !errors.Is(err, ErrEnded) {
		t.Fatalf("joining an on-sale that is over: %v", err)
	}
	if got := c.redeem(t, e, buyer(2), 1); !errors.Is(got.Err, ErrEnded) {
		t.Fatalf("a turn after the end: %v", got.Err)
	}
	two := c.schedule(t, time.Hour)
	if two.Generation != 2 || two.Commitment == one.Commitment || two.Joined != 0 || two.Called != 0 {
		t.Fatalf("the second on-sale: %+v", two)
	}
	if _, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(0, 1)}); !errors.Is(err, ErrGeneration) {
		t.Fatalf("joining the first on-sale during the second: %v", err)
	}
	if acks := c.join(t, e, 2, buyers(0, 3)); acks[0].Window != 0 {
		t.Fatalf("%+v", acks[0])
	}
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(3))
	if got := c.redeem(t, e, buyer(1), 1); !errors.Is(got.Err, ErrTokenOtherEvent) {
		t.Fatalf("a token of the first on-sale: %v", got.Err)
	}
	fresh := c.redeem(t, e, buyer(1), 2)
	if fresh.Err != nil || bytes.Equal(fresh.Session, old.Session) {
		t.Fatalf("the session of the second on-sale: %v", fresh.Err)
	}
	if keys, err := c.RegisterKey(t.Context(), e.id, slug, e.key); err != nil || keys.Generation != 2 {
		t.Fatalf("keys of generation %d: %v", keys.Generation, err)
	}
	c.verify(t)
}

func TestAPauseHoldsCallingAndAdmittingButNotThoseInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.MaxInside = 10
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	joins := buyers(0, 40)
	c.join(t, e, 1, joins)
	c.open(t)
	c.until(t, "ten called", calledAtLeast(10))
	var in, out []Join
	for _, j := range joins {
		if got := c.redeem(t, e, j, 1); got.Err == nil {
			in = append(in, j)
		} else if errors.Is(got.Err, ErrNotCalled) {
			out = append(out, j)
		} else {
			t.Fatal(got.Err)
		}
		if len(in) == 5 && len(out) > 0 {
			break
		}
	}
	if _, err := c.Pause(t.Context(), slug, "a moment"); err != nil {
		t.Fatal(err)
	}
	called := c.until(t, "the pause", phase(Paused)).Called
	refused := 0
	for _, j := range joins {
		switch got := c.redeem(t, e, j, 1); {
		case errors.Is(got.Err, ErrPaused):
			refused++
		case got.Err == nil && contains(in, j), errors.Is(got.Err, ErrNotCalled):
		default:
			t.Fatalf("during the pause: %v", got.Err)
		}
	}
	if refused != called-len(in) {
		t.Errorf("%d of %d called and not inside are held back", refused, called-len(in))
	}
	w.change(func(w *world) { w.sale.MaxInside = 40 })
	time.Sleep(2500 * time.Millisecond) // the event's facts are believed for two seconds
	if s := c.until(t, "the pause", phase(Paused)); s.Called != called || s.Message != "a moment" {
		t.Fatalf("during the pause %d more were called, message %q", s.Called-called, s.Message)
	}
	if _, err := c.Resume(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	c.until(t, "everybody called", calledAtLeast(40))
	c.verify(t)
}

func contains(joins []Join, j Join) bool {
	for _, k := range joins {
		if k == j {
			return true
		}
	}
	return false
}

func TestSoldOutComesAndGoesWithTheStock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stock = []TierStock{{Tier: "floor", Capacity: 4, Taken: 0}}
	w.sale.UnitsPerBuyer = 2
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 20))
	c.open(t)
	if s := c.until(t, "two called", calledAtLeast(2)); s.Called != 2 {
		t.Fatalf("%d are called for stock for two", s.Called)
	}
	w.change(func(w *world) { w.stock[0].Taken, w.holds = 4, 2 })
	time.Sleep(300 * time.Millisecond)
	if s := c.until(t, "open", phase(Open)); s.Called != 2 {
		t.Fatalf("%d are called when everything is held", s.Called)
	}
	w.change(func(w *world) { w.holds = 0 }) // all bought
	c.until(t, "sold out", phase(SoldOut))
	for _, j := range buyers(0, 20) {
		if got := c.redeem(t, e, j, 1); !errors.Is(got.Err, ErrSoldOut) && !errors.Is(got.Err, ErrNotCalled) {
			t.Fatalf("a turn when sold out: %v", got.Err)
		}
	}
	w.change(func(w *world) { w.stock[0].Taken = 0 }) // a payment failed late
	c.until(t, "open again", phase(Open))
	c.verify(t)
}

func TestFinishedBuyersMakeRoomForOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.MaxInside = 5
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	joins := buyers(0, 12)
	c.join(t, e, 1, joins)
	c.open(t)
	c.until(t, "five called", calledAtLeast(5))
	time.Sleep(300 * time.Millisecond)
	if s := c.until(t, "open", phase(Open)); s.Called != 5 {
		t.Fatalf("%d are called, 5 fit", s.Called)
	}
	finished := 0
	for _, j := range joins {
		if c.redeem(t, e, j, 1).Err != nil {
			continue
		}
		tx, err := w.db.Pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := Finish(t.Context(), tx, []Buyer{{lottery.EventID(slug), j.Entrant}}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		finished++
	}
	c.until(t, "others called for them", calledAtLeast(5+min(finished, 7)))
}

func TestOpenMakesNowTheSaleInstantAndIsHarmlessLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 3))
	opened, err := c.Open(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if opened.Phase != Sealing || opened.Generation != 1 {
		t.Fatalf("opened: %+v", opened)
	}
	c.until(t, "everybody called", calledAtLeast(3))
	again, err := c.Open(t.Context(), slug)
	if err != nil || !again.OpensAt.Equal(opened.OpensAt) {
		t.Fatalf("opened again at %s: %v", again.OpensAt, err)
	}
	fresh, err := c.Open(t.Context(), "another")
	if err != nil || fresh.Phase != Sealing {
		t.Fatalf("opened without a schedule: %+v, %v", fresh, err)
	}
}

func TestTimesThatContradictEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	now := c.now()
	for name, times := range map[string][3]time.Time{
		"a sale instant that has passed": {now.Add(-time.Minute)},
		"joining after the sale instant": {now.Add(time.Hour), now.Add(2 * time.Hour)},
		"an end before the beginning":    {now.Add(time.Hour), {}, now.Add(time.Minute)},
		"more windows than a chain has":  {now.Add(time.Hour), {}, now.Add(1000 * time.Hour)},
		"no sale instant":                {},
	} {
		if _, err := c.Schedule(t.Context(), slug, times[0], times[1], times[2]); !errors.Is(err, ErrTimes) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Status(t.Context(), slug); !errors.Is(err, ErrNoSale) {
		t.Errorf("after refused schedules: %v", err)
	}
	c.schedule(t, time.Hour)
	moved, err := c.Schedule(t.Context(), slug, now.Add(30*time.Minute), time.Time{}, time.Time{})
	if err != nil || moved.Generation != 1 || moved.OpensAt.Sub(now) > 31*time.Minute {
		t.Errorf("moving the times: %+v, %v", moved, err)
	}
	if moved.Phase != Announced {
		t.Errorf("the phase is %s with joining a minute before", moved.Phase)
	}
	e := c.enroll(t, slug)
	if _, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(0, 1)}); !errors.Is(err, ErrNotOpen) {
		t.Errorf("joining before joining opens: %v", err)
	}
}

func TestAnOnSaleThatIsLongOverLeavesMemoryAndTheFeedButCanBeAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 3, 3)
	given := c.redeem(t, e, joins[0], 1)
	if _, err := c.End(t.Context(), slug, "over"); err != nil {
		t.Fatal(err)
	}
	var u Update
	for len(u.Events) == 0 || !bytes.Contains(u.Events[0].State, []byte(`"phase":"ended"`)) {
		var err error
		if u, err = c.Wait(t.Context(), e.id, u.Version, 0, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.onSaleOf(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	tending := func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.tending
	}
	for tending() {
		time.Sleep(10 * time.Millisecond)
	}
	c.forgetEnded()
	if u, err := c.Wait(t.Context(), e.id, 0, 0, time.Second); err != nil || len(u.Live) != 1 {
		t.Fatalf("just after its end: %+v, %v", u.Live, err)
	}
	s.mu.Lock()
	s.readAt = time.Now().Add(-2 * keepEnded)
	s.mu.Unlock()
	c.forgetEnded()
	if u, err := c.Wait(t.Context(), e.id, 0, 0, time.Second); err != nil || len(u.Live) != 0 {
		t.Fatalf("long after its end: %+v, %v", u.Live, err)
	}
	if got := c.redeem(t, e, joins[0], 1); got.Err != nil || !bytes.Equal(got.Session, given.Session) {
		t.Fatalf("the session asked for again: %v", got.Err)
	}
}
