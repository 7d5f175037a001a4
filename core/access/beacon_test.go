package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

const beaconName = "round 4242 of the beacon"

// scheduleWithBeacon opens joining now and the sale after some time.
func (c *core) scheduleWithBeacon(t testing.TB, opensIn time.Duration) Status {
	t.Helper()
	now := c.now()
	status, err := c.ScheduleWithBeacon(t.Context(), slug, now.Add(opensIn), now.Add(-time.Second), time.Time{}, beaconName)
	if err != nil {
		t.Fatalf("schedule: %v", err)
	}
	return status
}

// due waits until the pool is sealed and the draw waits for the value.
func due(s Status) bool { return s.Beacon != nil && s.Beacon.Due }

func TestADrawWithABeaconPublishesTheRootFirstAndDrawsOnceTheValueIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cores := []*core{w.start(testConfig()), w.start(testConfig())}
	c := cores[0]
	scheduled := c.scheduleWithBeacon(t, time.Hour)
	e := c.enroll(t, slug)
	acks := c.join(t, e, 1, buyers(0, 40))
	if _, err := c.Beacon(t.Context(), slug, []byte("8b1c")); !errors.Is(err, ErrBeaconEarly) {
		t.Fatalf("a value before the seal: %v", err)
	}
	c.open(t)
	sealed := c.until(t, "the seal", due)
	if sealed.Phase != Sealing || sealed.Drawn != 0 || sealed.Windows[0].Sealed || sealed.Windows[0].Root == (lottery.Hex32{}) {
		t.Fatalf("while it waits for the value: %+v", sealed)
	}
	state := cores[1].stateWith(t, `"root":"`+sealed.Windows[0].Root.String())
	if !strings.Contains(state, `"beacon":{"name":"`+beaconName+`","value":""}`) || strings.Contains(state, `"seed":`) || strings.Contains(state, `"secret":`) {
		t.Fatalf("the state object says %s", state)
	}
	late := cores[1].join(t, e, 1, inWindow(0, buyers(100, 5)))
	for _, ack := range late {
		if ack.Window == 0 {
			t.Fatal("somebody came into a pool whose root is public")
		}
	}

	if _, err := cores[1].Beacon(t.Context(), slug, []byte("8b1c")); err != nil {
		t.Fatal(err)
	}
	c.until(t, "everybody called", calledAtLeast(45))
	if _, err := c.Beacon(t.Context(), slug, []byte("8b1c")); err != nil {
		t.Errorf("the same value again: %v", err)
	}
	if _, err := c.Beacon(t.Context(), slug, []byte("8b1d")); !errors.Is(err, ErrBeaconKnown) {
		t.Errorf("another value: %v", err)
	}
	transcript := c.verify(t, append(receiptsOf(acks), receiptsOf(late)...)...)
	kept := lottery.Evidence{
		Commitment: &scheduled.Commitment, Beacon: []byte("8b1c"),
		Windows: []lottery.SeenWindow{{Window: 0, Root: sealed.Windows[0].Root}},
	}
	if v := transcript.Verify(kept); !v.OK() || transcript.BeaconName != beaconName || v.Check(lottery.CheckBeacon).Checked < 3 {
		t.Errorf("%q, %s", transcript.BeaconName, v)
	}
}

// The driver may die between the seal and the draw; whoever takes over draws the same pool.
func TestAnotherCoreDrawsWhatWasSealedForTheBeacon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start(testConfig())
	first.scheduleWithBeacon(t, time.Hour)
	e := first.enroll(t, slug)
	first.join(t, e, 1, buyers(0, 20))
	first.open(t)
	root := first.until(t, "the seal", due).Windows[0].Root
	first.stop()

	second := w.start(testConfig())
	if status := second.until(t, "the seal as stored", due); status.Windows[0].Root != root {
		t.Fatalf("the root is %s, was %s", status.Windows[0].Root, root)
	}
	if _, err := second.Beacon(t.Context(), slug, []byte("8b1c")); err != nil {
		t.Fatal(err)
	}
	second.until(t, "everybody called", calledAtLeast(20))
	if transcript := second.verify(t); transcript.Windows[0].Root != root {
		t.Fatalf("the root is %s, was %s", transcript.Windows[0].Root, root)
	}
}

func TestABeaconIsNamedWhenTheSaleIsScheduledAndNotChangedAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	at := c.now().Add(time.Hour)
	if _, err := c.ScheduleWithBeacon(t.Context(), slug, at, time.Time{}, time.Time{}, "two\nlines"); !errors.Is(err, ErrBeaconName) {
		t.Fatalf("a name of two lines: %v", err)
	}
	c.schedule(t, time.Hour)
	if _, err := c.ScheduleWithBeacon(t.Context(), slug, at, time.Time{}, time.Time{}, beaconName); !errors.Is(err, ErrBeaconFixed) {
		t.Fatalf("a beacon named after the commitment was published: %v", err)
	}
	if _, err := c.Beacon(t.Context(), slug, []byte("8b1c")); !errors.Is(err, ErrBeaconNone) {
		t.Fatalf("a value for a draw without a beacon: %v", err)
	}
	if _, err := c.Beacon(t.Context(), slug, nil); !errors.Is(err, ErrBeaconValue) {
		t.Fatalf("no value: %v", err)
	}
	if _, err := c.Beacon(t.Context(), "unknown", []byte("8b1c")); !errors.Is(err, ErrNoSale) {
		t.Fatalf("an event without an on-sale: %v", err)
	}
	if _, err := c.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	status := c.scheduleWithBeacon(t, time.Hour)
	if status.Generation != 2 || status.Beacon == nil || status.Beacon.Name != beaconName {
		t.Fatalf("the next sale: %+v", status)
	}
	for _, same := range []string{"", beaconName} {
		if _, err := c.ScheduleWithBeacon(t.Context(), slug, at.Add(time.Minute), time.Time{}, time.Time{}, same); err != nil {
			t.Fatalf("move the times with beacon %q: %v", same, err)
		}
	}
	if _, err := c.ScheduleWithBeacon(t.Context(), slug, at, time.Time{}, time.Time{}, "round 4243 of the beacon"); !errors.Is(err, ErrBeaconFixed) {
		t.Fatalf("another beacon: %v", err)
	}

	// A sale that ended with its beacon leaves nothing of it to the next.
	e := c.enroll(t, slug)
	c.scheduleNow(t)
	c.join(t, e, 2, buyers(0, 3))
	c.open(t)
	c.until(t, "the seal", due)
	if _, err := c.End(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Beacon(t.Context(), slug, []byte("8b1c")); !errors.Is(err, ErrEnded) {
		t.Fatalf("a value after the end: %v", err)
	}
	if status := c.schedule(t, time.Hour); status.Beacon != nil || status.Windows[0].Root != (lottery.Hex32{}) {
		t.Fatalf("the sale after it: %+v", status)
	}
	c.join(t, e, 3, buyers(0, 3))
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(3))
	c.verify(t)
}

// stateWith waits for a state object of this core that has the text in it.
func (c *core) stateWith(t testing.TB, text string) string {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c.feed.mu.Lock()
		var state string
		if e := c.feed.events[slug]; e != nil {
			state = string(e.State)
		}
		c.feed.mu.Unlock()
		if strings.Contains(state, text) {
			return state
		}
		if time.Now().After(deadline) {
			t.Fatalf("no state object has %s: %s", text, state)
		}
	}
}

// scheduleNow lets joining begin now, with whatever beacon there is.
func (c *core) scheduleNow(t testing.TB) {
	t.Helper()
	if _, err := c.Schedule(t.Context(), slug, c.now().Add(time.Hour), c.now().Add(-time.Second), time.Time{}); err != nil {
		t.Fatal(err)
	}
}
