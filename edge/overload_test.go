package edge

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// admitAll makes buyers who are inside an event, each with a session.
func (w *fakeWorld) admitAll(n *testNode, slug string, count int) []*buyer {
	w.t.Helper()
	event := w.events[slug]
	all := make([]*buyer, count)
	for i := range all {
		all[i] = newBuyer(w.t)
		all[i].join(n, slug)
	}
	eventually(w.t, "all are in the pool", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(event.pool) >= count })
	w.open(slug, everybody)
	for _, b := range all {
		b.joinFully(n, slug)
		b.claim(n, slug)
	}
	return all
}

func (b *buyer) hold(n *testNode, slug, key string) reply {
	return b.do(n, "POST", "/v1/holds", fmt.Sprintf(`{"event":%q,"items":[{"tier":"floor","quantity":1}]}`, slug), "Idempotency-Key: "+key)
}

// rightCore is the core the event's requests go to while all live.
func rightCore(n *testNode, slug string, cores []*fakeCore) (right *fakeCore, others []*fakeCore) {
	to := n.core.pick(n.rooms.find([]byte(slug)).event, 0)
	for _, c := range cores {
		if c.url() == to.url {
			right = c
		} else {
			others = append(others, c)
		}
	}
	return right, others
}

func TestACoreThatLeavesSaysSoAndNobodyNotices(t *testing.T) {
	world := newWorld(t)
	cores := []*fakeCore{world.start(), world.start(), world.start()}
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, cores...)).ready("arena")
	b := world.admitAll(n, "arena", 1)[0]
	eventually(t, "all cores live", func() bool {
		return !slices.ContainsFunc(n.core.cores, func(c *core) bool { return !c.live(time.Now(), n.cfg.Feed.Silence) })
	})
	right, others := rightCore(n, "arena", cores)
	if r := b.hold(n, "arena", "before"); r.status != 201 {
		t.Fatalf("before: %d %s", r.status, r.body)
	}
	right.leaving.Store(true)
	for i := range 20 {
		if r := b.hold(n, "arena", fmt.Sprint("leaving-", i)); r.status != 201 {
			t.Errorf("while the core leaves: %d %s", r.status, r.body)
		}
	}
	right.stop()
	// The next one dies without a word: its kept connections break, and nobody can be sure what it had done.
	var second *fakeCore
	second, _ = rightCore(n, "arena", others)
	second.stop()
	for i := range 20 {
		if r := b.hold(n, "arena", fmt.Sprint("dead-", i)); r.status != 201 {
			t.Errorf("while one core has left and another died: %d %s", r.status, r.body)
		}
	}
	right.leaving.Store(false)
	right.restart()
	eventually(t, "the event goes to its own core again", func() bool {
		to := n.core.pick(n.rooms.find([]byte("arena")).event, 0)
		return to != nil && to.url == right.url()
	})
	world.mu.Lock()
	calls := len(world.holdCores)
	world.mu.Unlock()
	if r := b.hold(n, "arena", "back"); r.status != 201 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	if got := world.holdCores[calls:]; len(got) != 1 || got[0] != right.addr {
		t.Errorf("afterwards batches went to %v, want %s", got, right.addr)
	}
	if len(world.holds) != 42 {
		t.Errorf("%d holds for 42 keys", len(world.holds))
	}
}

func TestALostAnswerIsAskedForOnceMoreWithTheSameKey(t *testing.T) {
	world := newWorld(t)
	cores := []*fakeCore{world.start(), world.start()}
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, cores...)).ready("arena")
	b := world.admitAll(n, "arena", 1)[0]
	for _, c := range cores {
		c.cut.Store(2) // fasthttp itself repeats once on a kept connection
	}
	right, _ := rightCore(n, "arena", cores)
	for _, c := range cores {
		if c != right {
			c.cut.Store(0)
		}
	}
	if r := b.hold(n, "arena", "k"); r.status != 201 {
		t.Errorf("%d %s", r.status, r.body)
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(world.holds) != 1 || len(world.holdBatches) < 2 {
		t.Errorf("%d holds after %d batches", len(world.holds), len(world.holdBatches))
	}
}

func TestEventsTakeTurnsOnTheWayToCoreAndAFloodIsRefusedAlone(t *testing.T) {
	world := newWorld(t)
	world.addEvent("hot", time.Hour)
	world.addEvent("quiet", time.Hour)
	c := testConfig(t, world.start())
	c.Holds = BatchConfig{Batch: 4, Queue: 20, InFlight: 1}
	n := startNode(t, c).ready("hot").ready("quiet")
	hot, quiet := world.admitAll(n, "hot", 32), world.admitAll(n, "quiet", 2)
	world.mu.Lock()
	world.slow = 300 * time.Millisecond
	world.mu.Unlock()
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := map[string]int{}
	ask := func(b *buyer, slug string) {
		wg.Go(func() {
			r := b.hold(n, slug, "k")
			mu.Lock()
			defer mu.Unlock()
			switch r.status {
			case 201:
			case 503:
				refused[slug]++
				if wait, err := strconv.Atoi(r.header.Get("Retry-After")); r.code() != "overloaded" || err != nil || wait < 1 || wait > 15 {
					t.Errorf("refused with %s, Retry-After %q", r.body, r.header.Get("Retry-After"))
				}
			default:
				t.Errorf("%s: %d %s", slug, r.status, r.body)
			}
		})
	}
	for _, b := range hot {
		ask(b, "hot")
	}
	eventually(t, "the flood has filled its part", func() bool { return n.counts.holds.full.Get() > 0 })
	for _, b := range quiet {
		ask(b, "quiet")
	}
	wg.Wait()
	if refused["hot"] == 0 || refused["quiet"] != 0 {
		t.Errorf("refused %v", refused)
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	i := slices.IndexFunc(world.holdEvents, func(events []string) bool { return slices.Contains(events, "quiet") })
	if i < 0 || i > 2 {
		t.Errorf("the quiet event was served in batch %d of %v", i, world.holdEvents)
	}
}

func TestNothingIsSentForAClientThatHasHungUp(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Holds.InFlight = 1
	n := startNode(t, c).ready("arena")
	buyers := world.admitAll(n, "arena", 3)
	world.mu.Lock()
	world.slow = 500 * time.Millisecond
	world.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { buyers[0].hold(n, "arena", "first") })
	eventually(t, "the first is under way", func() bool { world.mu.Lock(); defer world.mu.Unlock(); return len(world.holdBatches) == 1 })
	wg.Go(func() {
		if r := buyers[1].hold(n, "arena", "patient"); r.status != 201 {
			t.Errorf("who waits: %d %s", r.status, r.body)
		}
	})
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for name, value := range buyers[2].cookies {
		cookies = append(cookies, name+"="+value)
	}
	body := `{"event":"arena","items":[{"tier":"floor","quantity":1}]}`
	fmt.Fprintf(conn, "POST /v1/holds HTTP/1.1\r\nHost: x\r\nCookie: %s\r\nIdempotency-Key: gone\r\nContent-Length: %d\r\n\r\n%s", strings.Join(cookies, "; "), len(body), body)
	eventually(t, "both wait", func() bool { return n.inflight.Load() == 3 })
	conn.Close()
	wg.Wait()
	eventually(t, "nobody waits", func() bool { return n.inflight.Load() == 0 })
	world.mu.Lock()
	defer world.mu.Unlock()
	if got := fmt.Sprint(world.holdBatches); got != "[1 1]" || n.counts.holds.dropped.Get() != 1 || len(world.holds) != 2 {
		t.Errorf("batches of %s, %d dropped, %d holds; the second batch should have had the one who waited", got, n.counts.holds.dropped.Get(), len(world.holds))
	}
}
