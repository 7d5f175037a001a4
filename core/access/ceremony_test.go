package access

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestLateJoinersQueueBehindEverybodyOfTheWindowBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.PacePerSecond = 20
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 60))
	c.open(t)
	c.until(t, "the draw", func(s Status) bool { return s.Drawn == 60 })
	late := c.join(t, e, 1, inWindow(0, buyers(100, 10))) // their edge lags: it thinks the window is open still
	for _, ack := range late {
		if ack.Window == 0 {
			t.Fatal("somebody came into a sealed window")
		}
	}
	status := c.until(t, "all called", calledAtLeast(70))
	if last := status.Cursor.Window; last != late[0].Window {
		t.Fatalf("the cursor ends in window %d, want %d", last, late[0].Window)
	}
	transcript := c.verify(t, receiptsOf(late)...)
	for i, move := range transcript.Cursors {
		if move.Window > 0 && i > 0 && transcript.Cursors[i-1].Called < 60 && transcript.Cursors[i-1].Window > 0 {
			t.Fatalf("a latecomer was called when %d were", transcript.Cursors[i-1].Called)
		}
	}
}

// The property that the whole protocol hangs on: whoever has been acknowledged for a window is in that window's draw,
// whatever the interleaving of appends on several cores with the seals.
func TestNobodyIsAcknowledgedIntoASealedWindowWithoutBeingInItsDraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := testConfig()
	cfg.MarkerWait = 10 * time.Millisecond
	cores := []*core{w.start(cfg), w.start(cfg)}
	cores[0].schedule(t, time.Hour)
	var mu sync.Mutex
	var receipts [][]byte
	windows := make(map[uint32]int)
	const enough = 3 // windows that somebody came into: the race was run at least twice
	deadline := time.Now().Add(30 * time.Second)
	again := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(windows) < enough && time.Now().Before(deadline)
	}
	var wait sync.WaitGroup
	for g := range 12 {
		c := cores[g%2]
		e := c.enroll(t, slug)
		wait.Go(func() {
			for k := 0; again(); k++ {
				// Always said to have come in window 0: the seal alone decides.
				acks := c.join(t, e, 1, inWindow(0, buyers(g*1_000_000+k*5, 5)))
				mu.Lock()
				receipts = append(receipts, receiptsOf(acks)...)
				for _, ack := range acks {
					windows[ack.Window]++
				}
				mu.Unlock()
			}
		})
	}
	for opened := false; !opened; time.Sleep(time.Millisecond) { // in the middle of it
		mu.Lock()
		opened = windows[0] > 100
		mu.Unlock()
	}
	cores[1].open(t)
	wait.Wait()
	status := cores[1].until(t, "every window sealed", func(s Status) bool { return s.Joined > 0 && s.Drawn == s.Joined })
	if len(windows) < enough {
		t.Fatalf("the race was not run: windows %v", windows)
	}
	transcript := cores[0].verify(t, receipts...)
	for _, sealed := range transcript.Windows {
		if sealed.Entrants != windows[sealed.Window] {
			t.Errorf("window %d: %d acknowledged, %d in the draw", sealed.Window, windows[sealed.Window], sealed.Entrants)
		}
	}
	t.Logf("%d entrants over windows %v", status.Joined, windows)
}

func TestAnotherCoreTakesOverTheDrawWithinThreeSeconds(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig()
	cfg.LeaseTTL = 0 // as in production
	a, b := w.start(cfg), w.start(cfg)
	a.schedule(t, 2*time.Second)
	e := a.enroll(t, slug)
	a.join(t, e, 1, buyers(0, 20))
	status := a.until(t, "a driver", func(s Status) bool { return s.Driver != "" })
	driver, other := a, b
	if status.Driver == b.id.String() {
		driver, other = b, a
	}
	// The driver freezes: it neither renews nor releases. Its turn at the row is taken from it for good.
	s, err := driver.onSaleOf(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.reading.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.reading.leave)
	frozen := time.Now()
	status = other.until(t, "another driver", func(s Status) bool { return s.Driver == other.id.String() })
	// The bound is three seconds; a loaded machine gets two more.
	if took := time.Since(frozen); took > 5*time.Second {
		t.Errorf("taking over took %s", took)
	}
	if status.Epoch != 2 {
		t.Errorf("the epoch is %d", status.Epoch)
	}
	other.until(t, "everybody called", calledAtLeast(20))
	other.verify(t)
}

func TestADriverThatWasReplacedWritesNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 5))
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(5))
	c.stop()

	r, err := New(t.Context(), w.db, testConfig(), w.deps()) // not running: the test is its driver
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s, err := r.onSaleOf(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if held, _, err := r.hold(t.Context(), s.event, &s.driver.lease); err != nil || !held {
		t.Fatalf("take the lease: %t, %v", held, err)
	}
	w.execOne(`UPDATE leases SET holder = $1, epoch = epoch + 1`, uuid.New())
	d := s.snapshot().draw
	if err := s.movePhase(t.Context(), &d, SoldOut); !errors.Is(err, errFenced) {
		t.Errorf("a phase by a driver that was replaced: %v", err)
	}
	if err := s.moveCursor(t.Context(), &d, *d.cursor, d.called+1); !errors.Is(err, errFenced) {
		t.Errorf("a cursor by a driver that was replaced: %v", err)
	}
	if err := s.seal(t.Context(), s.snapshot(), 1); !errors.Is(err, errFenced) {
		t.Errorf("a seal by a driver that was replaced: %v", err)
	}
	s.driver.lease.tried = time.Time{}
	if held, _, err := r.hold(t.Context(), s.event, &s.driver.lease); err != nil || held {
		t.Errorf("the lease of another is renewed: %t, %v", held, err)
	}
}

func TestASealTakesInTheBlocksThatTheDriverDoesNotKnowYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var rooms [2]*Room // neither is running: the test is the driver
	for i := range rooms {
		r, err := New(t.Context(), w.db, testConfig(), w.deps())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		rooms[i] = r
	}
	driver, other := &core{Room: rooms[0]}, &core{Room: rooms[1]}
	driver.schedule(t, time.Hour)
	e := other.enroll(t, slug)
	s, err := driver.onSaleOf(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := driver.hold(t.Context(), s.event, &s.driver.lease); err != nil {
		t.Fatal(err)
	}
	driver.join(t, e, 1, buyers(0, 10))
	driver.open(t)
	known := s.snapshot()
	acks := other.join(t, e, 1, buyers(10, 25)) // who came before the sale instant and were on their way
	if n := known.pool.blocks(); n != 1 {
		t.Fatalf("the driver knows %d blocks", n)
	}
	if err := s.seal(t.Context(), known, 0); err != nil {
		t.Fatal(err)
	}
	if transcript := other.verify(t, receiptsOf(acks)...); transcript.Windows[0].Entrants != 35 {
		t.Fatalf("%d are in the draw, 35 were acknowledged", transcript.Windows[0].Entrants)
	}
	if late := other.join(t, e, 1, buyers(50, 1)); late[0].Window == 0 {
		t.Fatal("somebody came into the sealed window")
	}
}

func TestTheSealWaitsForTheMarkersOfLiveEdgesAndNoLongerThanItsBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := testConfig()
	cfg.MarkerWait, cfg.EdgeLive = 1500*time.Millisecond, 10*time.Second
	c := w.start(cfg)
	opens := c.schedule(t, 2500*time.Millisecond).OpensAt // later than the driver's own settling time
	silent, marked := c.enroll(t, slug), c.enroll(t, slug)
	c.join(t, marked, 1, buyers(0, 3))
	c.mark(t, marked, 1, 0)
	sealedAt := func() time.Duration {
		c.until(t, "the draw", func(s Status) bool { return s.Drawn > 0 })
		var at time.Time
		if err := w.db.Pool.QueryRow(t.Context(), `SELECT sealed_at FROM draw_windows WHERE window_no = 0`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at.Sub(opens)
	}
	c.until(t, "sealing", phase(Sealing))
	c.join(t, silent, 1, inWindow(0, buyers(10, 4))) // on its way at the sale instant: still in time
	if after := sealedAt(); after < cfg.MarkerWait || after > cfg.MarkerWait+5*time.Second {
		t.Fatalf("sealed %s after the sale instant, the bound is %s", after, cfg.MarkerWait)
	}
	if transcript := c.verify(t); transcript.Windows[0].Entrants != 7 {
		t.Fatalf("%d are in window 0", transcript.Windows[0].Entrants)
	}
}

func TestTheSealDoesNotWaitWhenEveryLiveEdgeHasMarked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := testConfig()
	cfg.MarkerWait, cfg.EdgeLive = 2500*time.Millisecond, 10*time.Second
	c := w.start(cfg)
	opens := c.schedule(t, 3*time.Second).OpensAt // later than the driver's own settling time
	dead := c.enroll(t, slug)
	w.execOne(`UPDATE edges SET seen_at = seen_at - INTERVAL '11 seconds' WHERE edge_id = $1`, dead.id)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 3))
	c.mark(t, e, 1, 0)
	c.until(t, "the draw", func(s Status) bool { return s.Drawn == 3 })
	var at time.Time
	if err := w.db.Pool.QueryRow(t.Context(), `SELECT sealed_at FROM draw_windows WHERE window_no = 0`).Scan(&at); err != nil {
		t.Fatal(err)
	}
	if after := at.Sub(opens); after < 0 || after > 2*time.Second {
		t.Fatalf("sealed %s after the sale instant", after)
	}
}
