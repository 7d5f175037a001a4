package edge

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

func TestANodeStartsWithoutCoreSaysSoAndRecovers(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	core.stop()
	n := startNode(t, testConfig(t, core))
	b := newBuyer(t)
	b.do(n, "GET", "/q/arena/state", "").expect(t, "state", 503, "core_unreachable")
	b.do(n, "POST", "/q/arena/join", "{}").expect(t, "join", 503, "core_unreachable")
	b.do(n, "GET", "/v1/events", "").expect(t, "events", 503, "core_unreachable")
	b.do(n, "POST", "/webhooks/stripe", "{}").expectCode(t, "a webhook to a living listener", 200, "")
	if r := b.do(n, "GET", "/e/arena", ""); r.status != 200 {
		t.Errorf("the page: %d", r.status)
	}
	eventually(t, "the log says so", func() bool { return strings.Contains(n.logs.String(), "core does not take this node yet") })
	if status := n.privately(t, "/readyz"); status != 503 {
		t.Errorf("readyz without core: %d", status)
	}
	core.restart()
	n.ready("arena")
	b.joinFully(n, "arena")
	if status := n.privately(t, "/readyz"); status != 200 {
		t.Errorf("readyz with core: %d", status)
	}
}

func TestWhileCoreIsDownEverybodyKeepsTheirPlaceAndNobodyIsAdmitted(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	event := world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, core)).ready("arena")
	early, late := newBuyer(t), newBuyer(t)
	early.joinFully(n, "arena")
	world.open("arena", everybody)
	eventually(t, "the sale is open", func() bool { return n.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })

	core.stop()
	eventually(t, "the node is in doubt", func() bool { return n.doubt.Load() })
	var state queue.State
	eventually(t, "the state object says so", func() bool {
		early.do(n, "GET", "/q/arena/state", "").into(t, &state)
		return state.Doubt
	})
	if state.Message != doubtMessage || state.PollAfterMS < doubtPollMS || state.Phase != queue.PhaseOpen {
		t.Errorf("in doubt the state is %+v", state)
	}
	early.do(n, "POST", "/q/arena/claim", "{}").expect(t, "claim", 503, "core_unreachable")
	if got := late.join(n, "arena"); !got.Provisional || got.Receipt != nil {
		t.Fatalf("a join without core: %+v", got)
	}
	late.do(n, "POST", "/q/arena/claim", "{}").expect(t, "claim without core and with a provisional pass", 503, "core_unreachable")
	if status := n.privately(t, "/readyz"); status != 200 {
		t.Errorf("a node in doubt must go on telling people to wait; readyz is %d", status)
	}

	core.restart()
	late.joinFully(n, "arena")
	early.claim(n, "arena")
	if state := n.board.Entry([]byte("arena")).State; state.Doubt {
		t.Error("the doubt stayed on the board")
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(event.pool) != 2 {
		t.Errorf("%d entrants in the pool", len(event.pool))
	}
}

func TestEntrantsAreSentAgainUntilCoreTakesThemInOrder(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	world.mu.Lock()
	world.refusePool = 3
	world.mu.Unlock()
	var joined []string
	for range 20 {
		joined = append(joined, newBuyer(t).join(n, "arena").Entrant)
	}
	var sent []string
	eventually(t, "core has all", func() bool {
		sent = nil
		world.mu.Lock()
		defer world.mu.Unlock()
		for _, call := range world.poolCalls {
			for _, e := range call.Entries {
				sent = append(sent, e.E.String())
			}
		}
		return len(sent) == len(joined)
	})
	if strings.Join(sent, " ") != strings.Join(joined, " ") {
		t.Errorf("sent %v; joined %v", sent, joined)
	}
	if n.counts.poolRetries.Get() < 3 {
		t.Errorf("%d retries", n.counts.poolRetries.Get())
	}
}

func TestAFullLineIsToldAndClearsUp(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	c := testConfig(t, core)
	c.Join.Queue, c.Join.Batch = 2, 1
	n := startNode(t, c).ready("arena")
	core.stop()
	var r reply
	for range 4 { // one is under way, two wait
		r = newBuyer(t).do(n, "POST", "/q/arena/join", "{}")
	}
	r.expect(t, "the fourth", 503, "overloaded")
	core.restart()
	eventually(t, "there is room again", func() bool { return newBuyer(t).do(n, "POST", "/q/arena/join", "{}").status == 200 })
}

func TestTheMarkerOfAWindowComesAfterAllOfItsEntrants(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Join.FlushInterval = 50 * time.Millisecond
	n := startNode(t, c).ready("arena")
	world.mu.Lock()
	world.refusePool = 2
	world.mu.Unlock()
	// The sale instant comes when some have joined, and joining goes on until some are behind it, however slow the machine is.
	var wg sync.WaitGroup
	var early, late atomic.Int64
	for range 8 {
		wg.Go(func() {
			for late.Load() < 20 && !t.Failed() {
				if newBuyer(t).join(n, "arena").Window > 0 {
					late.Add(1)
				} else {
					early.Add(1)
				}
			}
		})
	}
	eventually(t, "some have joined", func() bool { return early.Load() >= 20 })
	world.change(func() { event.state.OpensAt = queue.Instant{Time: world.now().Add(100 * time.Millisecond)} })
	wg.Wait()
	marker := func(window uint32) (calls []poolCall, ok bool) {
		world.mu.Lock()
		defer world.mu.Unlock()
		for _, call := range world.poolCalls {
			ok = ok || call.Marker != nil && call.Marker.Window == window
		}
		return world.poolCalls, ok
	}
	eventually(t, "the markers of windows 0 and 1", func() bool { _, ok := marker(1); return ok })
	calls, _ := marker(0)
	marked, entrants, windows := int64(-1), 0, map[uint32]int{}
	for i, call := range calls {
		if i > 0 && reflect.DeepEqual(call, calls[i-1]) {
			continue // its answer was lost, and the node has asked again
		}
		for _, e := range call.Entries {
			entrants++
			windows[e.W]++
			if int64(e.W) <= marked {
				t.Fatalf("an entrant of window %d came after marker %d", e.W, marked)
			}
		}
		if call.Marker != nil {
			if int64(call.Marker.Window) != marked+1 {
				t.Errorf("marker %d follows marker %d", call.Marker.Window, marked)
			}
			marked = int64(call.Marker.Window)
		}
	}
	if windows[0] == 0 || windows[0] == entrants {
		t.Fatalf("%d entrants by window: %v; the test needs some on both sides of the instant", entrants, windows)
	}
}

func TestWindowsFollowCoresClockWhenTheNodesIsWrong(t *testing.T) {
	world := newWorld(t)
	world.ahead = time.Hour // the node is an hour behind
	core := world.start()
	world.addEvent("arena", time.Minute)
	n := startNode(t, testConfig(t, core)).ready("arena")
	eventually(t, "the difference is noted", func() bool { return strings.Contains(n.logs.String(), "clock differs") })
	if ahead := n.clock.ahead(); ahead < time.Hour-time.Second || ahead > time.Hour+time.Second {
		t.Errorf("core is taken to be ahead by %v", ahead)
	}
	b := newBuyer(t)
	if got := b.joinFully(n, "arena"); got.Window != 0 {
		t.Errorf("before the sale instant somebody got window %d", got.Window)
	}
	world.open("arena", everybody)
	b.claim(n, "arena") // the token's times are core's as well
}

func TestTheClockTakesTheBestOfManyComparisons(t *testing.T) {
	c := clock{now: time.Now}
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 40 {
		// Core read its clock up to two seconds before the answer arrived.
		stale := time.Duration(i%8) * 250 * time.Millisecond
		c.observe(base.Add(5*time.Second-stale), base)
	}
	if c.ahead() != 5*time.Second {
		t.Errorf("core is taken to be ahead by %v", c.ahead())
	}
	for range clockSamples { // core's clock was set back
		c.observe(base.Add(2*time.Second), base)
	}
	if c.ahead() != 2*time.Second {
		t.Errorf("after its clock was set back core is taken to be ahead by %v", c.ahead())
	}
}

func TestAnEventStaysWithOneCoreUntilThatOneIsGone(t *testing.T) {
	world := newWorld(t)
	cores := []*fakeCore{world.start(), world.start(), world.start()}
	for i := range 12 {
		world.addEvent(fmt.Sprintf("e%d", i), time.Hour)
	}
	c := testConfig(t, cores...)
	c.Feed.Silence = 3 * time.Second // a busy machine must not look like a silent core here
	n := startNode(t, c)
	b := newBuyer(t)
	at := func(slug string) string {
		var got struct{ Core string }
		b.do(n, "GET", "/v1/events/"+slug, "").into(t, &got)
		return got.Core
	}
	eventually(t, "all cores answer", func() bool {
		for _, c := range n.core.cores {
			if !c.live(time.Now(), n.cfg.Feed.Silence) {
				return false
			}
		}
		return true
	})
	homes, spread := map[string]string{}, map[string]int{}
	for i := range 12 {
		slug := fmt.Sprintf("e%d", i)
		homes[slug] = at(slug)
		spread[homes[slug]]++
	}
	if len(spread) < 2 {
		t.Errorf("all events went to one core: %v", spread)
	}
	gone := homes["e0"]
	for _, c := range cores {
		if c.addr == gone {
			c.stop()
		}
	}
	for slug, home := range homes {
		now := at(slug)
		if home == gone && now == gone || home != gone && now != home {
			t.Errorf("%s moved from %s to %s when %s went", slug, home, now, gone)
		}
	}
	for _, c := range cores {
		if c.addr == gone {
			c.restart()
		}
	}
	eventually(t, "the events come home", func() bool { return at("e0") == gone })
	if n.doubt.Load() {
		t.Error("one core of three gone made the node doubt")
	}
}

func TestHoldsAreSentTogetherAndEverybodyGetsTheirOwnAnswer(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	event := world.addEvent("arena", time.Hour)
	c := testConfig(t, core)
	c.Holds.Batch = 20
	c.Holds.InFlight = 1
	n := startNode(t, c).ready("arena")
	const buyers = 60
	var all [buyers]*buyer
	var entrants [buyers]string
	for i := range all {
		all[i] = newBuyer(t)
		entrants[i] = all[i].join(n, "arena").Entrant
	}
	eventually(t, "all are in the pool", func() bool { world.mu.Lock(); defer world.mu.Unlock(); return len(event.pool) == buyers })
	world.open("arena", everybody)
	for _, b := range all {
		b.joinFully(n, "arena")
		b.claim(n, "arena")
	}
	world.mu.Lock()
	world.slow = 20 * time.Millisecond
	world.mu.Unlock()
	var wg sync.WaitGroup
	for i, b := range all {
		wg.Go(func() {
			tier, want := "floor", 201
			if i%3 == 0 {
				tier, want = "gone", 409
			}
			key := fmt.Sprintf("key-%d", i)
			r := b.do(n, "POST", "/v1/holds", fmt.Sprintf(`{"event":"arena","items":[{"tier":%q,"quantity":1}]}`, tier), "Idempotency-Key: "+key)
			var got struct{ For, Key string }
			r.into(t, &got)
			if r.status != want || want == 201 && (got.For != entrants[i] || got.Key != key) {
				t.Errorf("buyer %d (%s): %d %s", i, entrants[i], r.status, r.body)
			}
		})
	}
	wg.Wait()
	world.mu.Lock()
	defer world.mu.Unlock()
	largest, total := 0, 0
	for _, size := range world.holdBatches {
		largest, total = max(largest, size), total+size
	}
	if total != buyers || largest < 2 || largest > 20 {
		t.Errorf("%d holds in batches of %v", total, world.holdBatches)
	}
}

func TestALostAnswerIsToldAndRepeatingItIsSafe(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	c := testConfig(t, core)
	c.Core.Timeout = 300 * time.Millisecond
	n := startNode(t, c).ready("arena")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	world.mu.Lock()
	world.slow = time.Second
	world.mu.Unlock()
	hold := func() reply {
		return b.do(n, "POST", "/v1/holds", `{"event":"arena","items":[{"tier":"floor","quantity":1}]}`, "Idempotency-Key: k")
	}
	r := hold()
	r.expect(t, "a hold whose answer is lost", 503, "core_unreachable")
	if !strings.Contains(string(r.body), "same Idempotency-Key") {
		t.Errorf("it does not say what to do: %s", r.body)
	}
	world.mu.Lock()
	world.slow = 0
	world.mu.Unlock()
	eventually(t, "the hold", func() bool { return hold().status == 201 })
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(world.holds) != 1 {
		t.Errorf("%d holds", len(world.holds))
	}
}

func TestTooManyRequestsAtOnceAreTurnedAwayUnharmed(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Limits.Concurrency = 1
	n := startNode(t, c).ready("arena")
	n.inflight.Add(1)
	newBuyer(t).do(n, "GET", "/v1/events", "").expect(t, "one too many", 503, "overloaded")
	n.inflight.Add(-1)
	if r := newBuyer(t).do(n, "GET", "/v1/events", ""); r.status != 200 {
		t.Errorf("afterwards: %d", r.status)
	}
	if n.inflight.Load() != 0 {
		t.Errorf("%d places are lost", n.inflight.Load())
	}
}

func TestACoreThatForgotTheNodeIsIntroducedToItAgain(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	world.change(func() { clear(world.edges) })
	eventually(t, "the node enrols again", func() bool { world.mu.Lock(); defer world.mu.Unlock(); return world.enrolled == 2 })
	newBuyer(t).joinFully(n, "arena")
}

func TestAWrongSecretIsSaidInTheLog(t *testing.T) {
	world := newWorld(t)
	c := testConfig(t, world.start())
	if err := os.WriteFile(c.Core.SecretFile, []byte("another-secret-of-good-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, c)
	eventually(t, "the log says so", func() bool { return strings.Contains(n.logs.String(), "enrolment") })
}

func TestAnotherOnSaleOfTheSameEventStartsAfresh(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	first := b.joinFully(n, "arena")
	world.change(func() {
		event.state.Generation = 2
		event.pool = map[lottery.Entrant]*fakeEntrant{}
	})
	eventually(t, "the new on-sale takes joins", func() bool {
		r := b.do(n, "POST", "/q/arena/join", "{}")
		return r.status == 200 && strings.Contains(string(r.body), `"generation":2`)
	})
	if second := b.joinFully(n, "arena"); *second.Receipt == *first.Receipt {
		t.Error("the receipt of the old on-sale was given for the new one")
	}
}

func TestEventsThatCoreNoLongerListsAreGone(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	world.addEvent("other", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena").ready("other")
	newBuyer(t).joinFully(n, "arena")
	world.change(func() { delete(world.events, "arena") })
	eventually(t, "it is unknown", func() bool { return newBuyer(t).do(n, "GET", "/q/arena/state", "").code() == "event_unknown" })
	newBuyer(t).joinFully(n, "other")
}

func TestSigningKeysAreRenewedBeforeTheyEnd(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Keys.Validity, c.Keys.Overlap = 121*time.Second, 60*time.Second // the next is due 60 s before the end, a second from now
	n := startNode(t, c).ready("arena")
	eventually(t, "a second key is registered", func() bool { world.mu.Lock(); defer world.mu.Unlock(); return len(world.keys) >= 2 })
	world.mu.Lock()
	defer world.mu.Unlock()
	for id, key := range world.keys {
		if key.until.Sub(key.from) > 2*time.Hour {
			t.Errorf("key %s is valid for %v", id, key.until.Sub(key.from))
		}
	}
	if _, ok := n.ring.Current(lottery.EventID("arena"), time.Now()); !ok {
		t.Error("no key signs")
	}
}
