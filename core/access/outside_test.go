package access

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// taker is somebody who takes outside the waiting room, and what became of it.
type taker struct {
	t    *testing.T
	c    *core
	who  Taking
	over map[uuid.UUID]bool
}

func (w *world) taker(t *testing.T, c *core, n int, client string) *taker {
	j := buyer(n)
	return &taker{t, c, Taking{Event: slug, Entrant: j.Entrant, Device: j.Device, Client: client, Place: PlaceHold}, map[uuid.UUID]bool{}}
}

// takes takes one, and tells what was answered.
func (k *taker) takes() (hold uuid.UUID, err error) {
	err = k.c.Take(k.t.Context(), &k.who, func(context.Context, []uuid.UUID) (map[uuid.UUID]bool, error) { return k.over, nil })
	if err == nil {
		hold = uuid.New()
		k.c.Took(&k.who, hold)
	}
	return hold, err
}

func (k *taker) verdicts(answer string) (found []Verdict) {
	k.t.Helper()
	all, _, err := k.c.VerdictsOf(k.t.Context(), k.who.Entrant, 100)
	if err != nil && !errors.Is(err, ErrVerdictUnknown) {
		k.t.Fatal(err)
	}
	for _, v := range all {
		if v.Answer == answer {
			found = append(found, v)
		}
	}
	return found
}

func TestWhoHoldsAndLetsGoOutsideTheRoomIsSlowedAndWhoBuysIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clock := time.Now()
	cfg := testConfig()
	cfg.Clock = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return clock }
	later := func(d time.Duration) { w.change(func(*world) { clock = clock.Add(d) }) }
	r, err := New(t.Context(), w.db, cfg, w.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := &core{Room: r}
	hoarder, person := w.taker(t, c, 1, "203.0.113.7"), w.taker(t, c, 2, "203.0.113.8")
	slowed, held := 0, 0
	for range 60 { // one every two minutes, for two hours
		later(2 * time.Minute)
		if hold, err := person.takes(); err != nil {
			t.Fatalf("who buys what is held: %v", err)
		} else {
			person.over[hold] = false
		}
		switch hold, err := hoarder.takes(); {
		case errors.Is(err, ErrSlowed):
			slowed++
			var s *Slowed
			if !errors.As(err, &s) || s.Wait <= 0 || s.Wait > time.Hour {
				t.Fatalf("told to wait %v", err)
			}
		case err != nil:
			t.Fatal(err)
		default:
			held++
			hoarder.over[hold] = true // and lets go
		}
	}
	// As many as one each six minutes, and the first few; a person who buys got all sixty.
	if held > 26 || held < 15 || slowed < 34 {
		t.Errorf("the hoarder held %d times and was slowed %d times", held, slowed)
	}
	found := hoarder.verdicts("slowed")
	if len(found) == 0 || found[0].Place != PlaceHold || found[0].Network != "203.0.113.0/24" || found[0].Edge != uuid.Nil {
		t.Fatalf("on record: %+v", found)
	}
	signals := map[string]bool{}
	for _, reason := range found[0].Reasons {
		signals[reason.Signal] = true
	}
	if !signals["let_go"] || !signals["account_takes"] || found[0].Score < noteFrom {
		t.Errorf("the reasons are %+v", found[0].Reasons)
	}
	if len(found) > 13 { // once in ten minutes at most
		t.Errorf("%d verdicts of one kind are on record", len(found))
	}
	if got := person.verdicts("slowed"); len(got) != 0 {
		t.Errorf("of the person: %+v", got)
	}
	// An operator lets pass.
	for !errors.Is(err, ErrSlowed) {
		if _, err = hoarder.takes(); err != nil && !errors.Is(err, ErrSlowed) {
			t.Fatal(err)
		}
	}
	if err := c.LiftVerdict(t.Context(), hoarder.who.Entrant, "an agent of ours", "ann"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = hoarder.takes(); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Errorf("after the lift: %v", err)
	}
}

func TestOutsideTheRoomANetworkOfManyPeopleIsNotSlowedAndOneBrowserOfManyAccountsIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	for n := range outsideNetwork - 20 {
		if _, err := w.taker(t, c, n, "198.51.100.9").takes(); err != nil {
			t.Fatalf("person %d behind one address: %v", n, err)
		}
	}
	// Those who took a lot used up what the network may; that is no matter of theirs who have taken nothing.
	for n := range 3 * outsideNetwork / outsideAccount {
		k := w.taker(t, c, 2000+n, "198.51.100.9")
		for range outsideAccount {
			_, _ = k.takes()
		}
	}
	if _, err := w.taker(t, c, 2000, "198.51.100.9").takes(); !errors.Is(err, ErrSlowed) {
		t.Errorf("who took a lot, where the network has run out: %v", err)
	}
	for n := range outsideNetwork {
		if _, err := w.taker(t, c, 3000+n, "198.51.100.9").takes(); err != nil {
			t.Fatalf("person %d who has taken nothing, where the network has run out: %v", n, err)
		}
	}
	// An offer of the waiting list is taken up however much was taken, and does not count as given back where it was not counted.
	offered := w.taker(t, c, 2001, "198.51.100.9")
	offered.who.Place = PlaceOffer
	for range 2 * outsideAccount {
		if _, err := offered.takes(); err != nil {
			t.Fatalf("an offer: %v", err)
		}
		c.NotTaken(&offered.who)
	}
	offered.who.Place = PlaceHold
	if _, err := offered.takes(); !errors.Is(err, ErrSlowed) {
		t.Errorf("and a hold after it: %v", err)
	}
	// Who is never quick enough has taken nothing, however often.
	slow := w.taker(t, c, 900, "192.0.2.2")
	for n := range 3 * outsideAccount {
		if err := c.Take(t.Context(), &slow.who, func(context.Context, []uuid.UUID) (map[uuid.UUID]bool, error) { return nil, nil }); err != nil {
			t.Fatalf("try %d of who gets nothing: %v", n, err)
		}
		c.NotTaken(&slow.who)
	}
	hold, err := slow.takes()
	for range 3 * outsideAccount { // and who asks for the same again has it once
		if err != nil {
			t.Fatal(err)
		}
		if err = c.Take(t.Context(), &slow.who, func(context.Context, []uuid.UUID) (map[uuid.UUID]bool, error) { return nil, nil }); err == nil {
			c.Took(&slow.who, hold)
		}
	}
	var last error
	for n := range outsideDevice + 1 {
		k := w.taker(t, c, 1000+n, "192.0.2.1")
		k.who.Device = buyer(1000).Device
		_, last = k.takes()
		if over := n == outsideDevice; over != errors.Is(last, ErrSlowed) {
			t.Errorf("account %d of one browser: %v", n, last)
		}
	}
}

func TestOfManyAtOnceNoMoreAreLetTakeThanOneAfterTheOther(t *testing.T) {
	t.Parallel()
	o, now := newOutside(), time.Now()
	who := Taking{Event: slug, Entrant: buyer(1).Entrant, Device: buyer(1).Device}
	var let atomic.Int64
	var wait sync.WaitGroup
	for range 200 {
		wait.Go(func() {
			if o.enter(&who, [8]byte{}, now) == 0 {
				let.Add(1)
			}
		})
	}
	if wait.Wait(); let.Load() != outsideAccount {
		t.Errorf("%d were let take at once", let.Load())
	}
}
