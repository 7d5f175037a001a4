package access

import (
	"errors"
	"slices"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// withPresales gives the event two presales that run now: fans for who was invited, members for accounts on a list.
func (w *world) withPresales() {
	w.change(func(w *world) {
		from, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		w.sale.Presales = []Presale{
			{ID: "fans", Identity: "invitation", Allocation: "for-fans", From: from, Until: until},
			{ID: "members", Identity: "account", Registered: true, Allocation: "for-members", From: from, Until: until},
		}
		w.setAside = map[string][]TierStock{
			"for-fans":    {{Tier: "floor", Capacity: 40}},
			"for-members": {{Tier: "floor", Capacity: 6}},
		}
	})
}

// scheduleAs schedules an on-sale that joins now and opens in an hour, and opens it by hand later.
func (c *core) scheduleAs(t testing.TB, presale string) Status {
	t.Helper()
	status, err := c.ScheduleAs(t.Context(), slug, Scheduling{Presale: presale, OpensAt: c.now().Add(30 * time.Minute), JoiningAt: c.now().Add(-time.Second)})
	if err != nil {
		t.Fatalf("schedule %q: %v", presale, err)
	}
	return status
}

func TestAPresaleHasADrawReceiptsAndStockOfItsOwnAndGeneralSaleComesAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	c := w.start(testConfig())
	if s := c.scheduleAs(t, "fans"); s.Presale != "fans" || s.Generation != 1 {
		t.Fatalf("scheduled: %+v", s)
	}
	// What comes after it is noted, and in order.
	after := time.Now().Add(2 * time.Hour)
	status, err := c.ScheduleAs(t.Context(), slug, Scheduling{OpensAt: after.Add(time.Hour), JoiningAt: after})
	if err != nil || status.Presale != "fans" || len(status.Next) != 1 || status.Next[0].Presale != "" {
		t.Fatalf("general sale after it: %+v, %v", status.Next, err)
	}
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{OpensAt: time.Now().Add(50 * time.Minute), JoiningAt: time.Now().Add(40 * time.Minute)}); !errors.Is(err, ErrOverlap) {
		t.Errorf("general sale while the presale runs: %v", err)
	}
	e := c.enroll(t, slug)
	keys, err := c.RegisterKey(t.Context(), e.id, slug, e.key)
	if err != nil || keys.Identity != "invitation" || keys.Generation != 1 {
		t.Errorf("edges are told %q of sale %d: %v", keys.Identity, keys.Generation, err)
	}
	fans := buyers(0, 3)
	acks := c.join(t, e, 1, fans)
	c.open(t)
	c.until(t, "all called", calledAtLeast(3))
	for _, j := range fans {
		if got := c.redeem(t, e, j, 1); got.Err != nil {
			t.Fatalf("a fan: %v", got.Err)
		}
	}
	if presale, err := c.Shop(t.Context(), slug, 1); err != nil || presale != "fans" {
		t.Errorf("they shop in %q: %v", presale, err)
	}
	// Its stock is the allocation's: with that gone it is sold out, however much general sale has.
	w.change(func(w *world) { w.setAside["for-fans"] = []TierStock{{Tier: "floor", Capacity: 40, Taken: 40}} })
	c.until(t, "sold out", phase(SoldOut))

	if _, err := c.End(t.Context(), slug, "the presale is over"); err != nil {
		t.Fatal(err)
	}
	status = c.until(t, "general sale begins by itself", func(s Status) bool { return s.Generation == 2 })
	if status.Presale != "" || len(status.Next) != 0 || status.Joined != 0 || !status.OpensAt.Equal(after.Add(time.Hour).UTC().Truncate(time.Microsecond)) {
		t.Errorf("general sale: %+v", status)
	}
	if _, err := c.Shop(t.Context(), slug, 1); !errors.Is(err, ErrEnded) {
		t.Errorf("the fans' sessions shop on: %v", err)
	}
	if got := c.redeem(t, e, fans[0], 1); got.Err == nil {
		t.Error("a fan is let in again, in general sale")
	}
	first, err := c.TranscriptOf(t.Context(), slug, 1)
	if err != nil {
		t.Fatal(err)
	}
	if v := first.Verify(lottery.Evidence{Receipts: receiptsOf(acks)}); !v.OK() || first.Presale != "fans" || len(first.Sessions) != 3 {
		t.Errorf("the presale's transcript, %d sessions of %q:\n%s", len(first.Sessions), first.Presale, v)
	}
	if _, err := c.TranscriptOf(t.Context(), slug, 7); !errors.Is(err, ErrGeneration) {
		t.Errorf("a sale there was not: %v", err)
	}
	c2, err := c.RegisterKey(t.Context(), e.id, slug, e.key)
	if err != nil || c2.Identity != "device" || c2.Generation != 2 {
		t.Errorf("edges are told %q of sale %d: %v", c2.Identity, c2.Generation, err)
	}
	c.schedule(t, time.Hour)               // so that joining is open now
	again := c.join(t, e, 2, buyers(0, 3)) // the same people, with another receipt
	if string(again[0].Receipt) == string(acks[0].Receipt) {
		t.Error("the receipt of general sale is the presale's")
	}
	c.open(t)
	c.until(t, "all called again", calledAtLeast(3))
	second := c.verify(t, receiptsOf(again)...)
	if second.Commitment == first.Commitment || second.Presale != "" {
		t.Errorf("the second draw is %q with the commitment of the first: %t", second.Presale, second.Commitment == first.Commitment)
	}
}

func TestOnlyWhoIsOnTheListJoinsAPresaleForAccountsThatRegistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	a, b := w.start(testConfig()), w.start(testConfig())
	a.scheduleAs(t, "members")
	e := a.enroll(t, slug)
	members := []lottery.Entrant{buyer(1).Entrant, buyer(2).Entrant}
	if n, err := a.Register(t.Context(), slug, "members", members); err != nil || n != 2 {
		t.Fatalf("%d registered: %v", n, err)
	}
	if n, err := b.Register(t.Context(), slug, "members", append(members, buyer(3).Entrant)); err != nil || n != 1 {
		t.Fatalf("%d registered by the other core: %v", n, err)
	}
	if n, err := a.Registered(t.Context(), slug, "members"); err != nil || n != 3 {
		t.Errorf("%d are on the list: %v", n, err)
	}
	for presale, want := range map[string]error{"fans": ErrPresaleFree, "nobody": ErrPresaleUnknown} {
		if _, err := a.Register(t.Context(), slug, presale, members); !errors.Is(err, want) {
			t.Errorf("registered for %s: %v", presale, err)
		}
	}
	for _, c := range []*core{a, b} {
		acks, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(1, 4)})
		if err != nil {
			t.Fatal(err)
		}
		for i, ack := range acks {
			if registered := i < 3; registered != (ack.Refused == nil) || registered == errors.Is(ack.Refused, ErrNotRegistered) || registered != (len(ack.Receipt) > 0) {
				t.Errorf("entrant %d: %+v", i+1, ack)
			}
		}
	}
	a.open(t)
	a.until(t, "those on the list are drawn", func(s Status) bool { return s.Drawn == 3 })
}

func TestAPresaleIsWithinItsOwnTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	c := w.start(testConfig())
	for name, as := range map[string]Scheduling{
		"after it":       {Presale: "fans", OpensAt: time.Now().Add(2 * time.Hour)},
		"ends after it":  {Presale: "fans", OpensAt: time.Now().Add(time.Minute), EndsAt: time.Now().Add(3 * time.Hour)},
		"has begun":      {Presale: "fans"},
		"no sale at all": {},
	} {
		if _, err := c.ScheduleAs(t.Context(), slug, as); !errors.Is(err, ErrTimes) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{Presale: "nobody"}); !errors.Is(err, ErrPresaleUnknown) {
		t.Errorf("a presale there is not: %v", err)
	}
	status := c.scheduleAs(t, "fans")
	if until := w.sale.Presales[0].Until; status.EndsAt.After(until) {
		t.Errorf("it ends at %s, and the presale at %s", status.EndsAt, until)
	}
	c.open(t)
	if status, err := c.Status(t.Context(), slug); err != nil || status.EndsAt.After(w.sale.Presales[0].Until) {
		t.Errorf("opened by hand it ends at %s: %v", status.EndsAt, err)
	}
}

func TestOfTwoCoresOneBeginsTheNextSaleAndOnesThatAreOverAreSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	a, b := w.start(testConfig()), w.start(testConfig())
	a.scheduleAs(t, "fans")
	next := time.Now().Add(90 * time.Minute)
	for i := range 2 {
		if _, err := b.ScheduleAs(t.Context(), slug, Scheduling{
			OpensAt: next.Add(time.Duration(i) * 3 * time.Minute), JoiningAt: next.Add(time.Duration(i)*3*time.Minute - time.Minute), EndsAt: next.Add(time.Duration(i)*3*time.Minute + time.Minute),
		}); err != nil {
			t.Fatal(err)
		}
	}
	// Of general sale there is one plan: the second took the place of the first.
	if s, err := a.Status(t.Context(), slug); err != nil || len(s.Next) != 1 || !s.Next[0].OpensAt.Equal(next.Add(3*time.Minute).UTC().Truncate(time.Microsecond)) {
		t.Fatalf("planned: %+v, %v", s.Next, err)
	}
	w.execOne(`INSERT INTO draw_plans (event_id, opens_at, joining_at, ends_at, presale, beacon)
		VALUES ($1, now() - INTERVAL '3 hours', now() - INTERVAL '4 hours', now() - INTERVAL '2 hours', 'members', '')`, lottery.EventID(slug))
	if _, err := a.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	status := b.until(t, "the next one begins", func(s Status) bool { return s.Generation >= 2 && len(s.Next) == 0 })
	time.Sleep(3 * time.Second / 2) // another look of both cores
	if later, err := a.Status(t.Context(), slug); err != nil || later.Generation != 2 || status.Presale != "" {
		t.Errorf("sale %d of presale %q, %v", later.Generation, status.Presale, err)
	}
}

func TestASaleIsNotMovedIntoOneThatIsPlannedAfterIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	c := w.start(testConfig())
	c.scheduleAs(t, "fans")
	after := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{OpensAt: after.Add(time.Hour), JoiningAt: after}); err != nil {
		t.Fatal(err)
	}
	w.change(func(w *world) { // the file of the event has changed
		w.sale.Presales = slices.Clone(w.sale.Presales) // rooms still read the one before
		w.sale.Presales[0].Until = after.Add(5 * time.Hour)
	})
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{Presale: "fans", OpensAt: after, JoiningAt: after.Add(-time.Minute), EndsAt: after.Add(2 * time.Hour)}); !errors.Is(err, ErrOverlap) {
		t.Errorf("moved into general sale: %v", err)
	}
	if _, err := c.ScheduleAs(t.Context(), slug, Scheduling{Presale: "fans", OpensAt: after.Add(-time.Hour), JoiningAt: after.Add(-time.Hour), EndsAt: after}); err != nil {
		t.Errorf("moved to just before it: %v", err)
	}
}

func TestSalesThatAdjoinAreScheduledWithoutATimeToJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	c := w.start(testConfig())
	from := c.now().Add(10 * time.Minute).UTC().Truncate(time.Second)
	hour := func(n int) time.Time { return from.Add(time.Duration(n) * time.Hour) }
	w.change(func(w *world) { // as the event's file has them: one ends when the other begins
		w.sale.Presales[0].From, w.sale.Presales[0].Until = hour(0), hour(1)
		w.sale.Presales[1].From, w.sale.Presales[1].Until = hour(1), hour(2)
	})
	plan := func(as Scheduling) []Planned {
		t.Helper()
		status, err := c.ScheduleAs(t.Context(), slug, as)
		if err != nil {
			t.Fatalf("schedule %+v: %v", as, err)
		}
		return status.Next
	}
	plan(Scheduling{Presale: "fans"})
	if next := plan(Scheduling{Presale: "members"}); len(next) != 1 || !next[0].JoiningAt.Equal(hour(1)) || !next[0].OpensAt.Equal(hour(1)) {
		t.Fatalf("after the sale there is: %+v", next)
	}
	if next := plan(Scheduling{OpensAt: hour(2).Add(10 * time.Second)}); len(next) != 2 || !next[1].JoiningAt.Equal(hour(2)) {
		t.Errorf("after one that is planned, ten seconds later: %+v", next)
	}
	// With room between them the event's own default counts, a minute.
	if next := plan(Scheduling{OpensAt: hour(3)}); len(next) != 2 || !next[1].JoiningAt.Equal(hour(3).Add(-time.Minute)) {
		t.Errorf("long after it: %+v", next)
	}
	for what, tried := range map[string]struct {
		as    Scheduling
		other Planned
	}{
		"joining while the sale there is runs":     {Scheduling{Presale: "members", JoiningAt: hour(1).Add(-time.Second)}, Planned{"fans", from.Add(-time.Minute), from, hour(1), ""}},
		"joining while a planned one runs":         {Scheduling{OpensAt: hour(3), JoiningAt: hour(2).Add(-time.Second)}, Planned{"members", hour(1), hour(1), hour(2), ""}},
		"opening before a planned one is over":     {Scheduling{OpensAt: hour(2).Add(-time.Second)}, Planned{"members", hour(1), hour(1), hour(2), ""}},
		"opening before the sale there is is over": {Scheduling{OpensAt: hour(1).Add(-time.Second)}, Planned{"fans", from.Add(-time.Minute), from, hour(1), ""}},
	} {
		_, err := c.ScheduleAs(t.Context(), slug, tried.as)
		var over *Overlap
		if !errors.Is(err, ErrOverlap) || !errors.As(err, &over) || over.Other != tried.other {
			t.Errorf("%s: %v, %+v", what, err, over)
		}
	}
}

func TestNobodyRegistersForAPresaleThatWasEndedEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withPresales()
	a, b := w.start(testConfig()), w.start(testConfig())
	register := func(c *core, n int) error {
		_, err := c.Register(t.Context(), slug, "members", []lottery.Entrant{buyer(n).Entrant})
		return err
	}
	if err := register(a, 1); err != nil {
		t.Errorf("before it is scheduled: %v", err)
	}
	a.scheduleAs(t, "members")
	if err := register(a, 2); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	if _, err := a.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*core{a, b} { // whoever has not heard of it asks the database
		if err := register(c, 3+i); !errors.Is(err, ErrPresaleEnded) {
			t.Errorf("core %d after its end: %v", i, err)
		}
	}
	// It comes again: whoever wants to may register for that.
	a.scheduleAs(t, "members")
	if err := register(b, 5); err != nil {
		t.Errorf("before it comes again: %v", err)
	}
	if _, err := a.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Schedule(t.Context(), slug, a.now().Add(time.Hour), time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := register(b, 6); !errors.Is(err, ErrPresaleEnded) {
		t.Errorf("in general sale after it: %v", err)
	}
}
