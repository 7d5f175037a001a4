package edge

import (
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

var opening = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func testTiming() timing {
	return timing{generation: 1, opensAt: opening, window: time.Second, lastWindow: 63}
}

func entrantNo(i int) lottery.Entrant {
	var e lottery.Entrant
	binary.BigEndian.PutUint64(e[:], uint64(i))
	return e
}

func testStream(queue, batch int) *stream {
	s := newStream(JoinConfig{Queue: queue, Batch: batch, AckTTL: time.Minute, AckEntries: 1000})
	s.observe(testTiming())
	return s
}

func TestWindowsAreToldApartByTheSaleInstant(t *testing.T) {
	w := testTiming()
	for _, c := range []struct {
		after time.Duration
		want  uint32
	}{{-time.Hour, 0}, {-1, 0}, {0, 1}, {time.Second - 1, 1}, {time.Second, 2}, {time.Hour, 63}} {
		if got := w.windowAt(opening.Add(c.after)); got != c.want {
			t.Errorf("%v after the instant is window %d; want %d", c.after, got, c.want)
		}
	}
	w.sealing = true
	if got := w.windowAt(opening.Add(-time.Second)); got != 1 {
		t.Errorf("while core seals window 0, somebody who comes is in window %d; want 1", got)
	}
	w.unsealed = 5
	if got := w.windowAt(opening); got != 5 {
		t.Errorf("when windows up to 4 are sealed, somebody who comes is in window %d; want 5", got)
	}
}

func TestAMarkerFollowsTheLastEntrantOfItsWindow(t *testing.T) {
	s := testStream(1000, 2)
	for i := range 5 {
		if _, full := s.join(poolEntry{entrant: entrantNo(i)}, opening.Add(-time.Second), false); full {
			t.Fatal("full")
		}
	}
	if _, full := s.join(poolEntry{entrant: entrantNo(5)}, opening, false); full {
		t.Fatal("full")
	}
	type want struct {
		entrants int
		marker   int64
	}
	at := opening
	for i, w := range []want{{2, -1}, {2, -1}, {1, 0}, {1, -1}} {
		out, ok := s.next(at)
		if !ok || len(out.entries) != w.entrants || out.marker != w.marker {
			t.Fatalf("shipment %d: %d entrants, marker %d; want %+v", i, len(out.entries), out.marker, w)
		}
		s.settle(out, make([]seat, len(out.entries)), true, at)
	}
	if out, ok := s.next(at); ok {
		t.Fatalf("something is left: %+v", out)
	}
	if wait := s.idle(at, time.Millisecond); wait != time.Second {
		t.Fatalf("the end of window 1 is awaited for %v; want 1s", wait)
	}
	if out, ok := s.next(opening.Add(time.Second)); !ok || len(out.entries) != 0 || out.marker != 1 {
		t.Fatalf("at the end of window 1: %+v, %v", out, ok)
	}
}

func TestAMarkerWaitsForTheAnswerOfItsShipment(t *testing.T) {
	s := testStream(1000, 10)
	s.join(poolEntry{entrant: entrantNo(1)}, opening.Add(-1), false)
	out, _ := s.next(opening)
	if out.marker != 0 || len(out.entries) != 1 {
		t.Fatalf("%+v", out)
	}
	s.settle(out, nil, false, opening) // not marked: core did not get it
	if again, ok := s.next(opening); !ok || again.marker != 0 {
		t.Fatalf("the marker is not sent again: %+v", again)
	}
}

// However joins, the clock and core's states interleave, no entrant of a window follows the window's marker, nobody is
// sent twice at once, and nobody is lost.
func TestNoEntrantOfAWindowFollowsItsMarker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := testStream(50, rapid.IntRange(1, 7).Draw(t, "batch"))
		at := opening.Add(-2 * time.Second)
		timing := testTiming()
		marked := int64(-1)
		accepted, sent := map[lottery.Entrant]bool{}, map[lottery.Entrant]int{}
		flush := func() {
			for {
				out, ok := s.next(at)
				if !ok {
					return
				}
				for _, e := range out.entries {
					if int64(e.window) <= marked {
						t.Fatalf("entrant of window %d sent after marker %d", e.window, marked)
					}
					if out.marker >= 0 && int64(e.window) > out.marker {
						t.Fatalf("entrant of window %d sent with marker %d", e.window, out.marker)
					}
					sent[e.entrant]++
				}
				if out.marker >= 0 {
					if out.marker != marked+1 && out.marker != int64(timing.unsealed) {
						t.Fatalf("marker %d follows marker %d", out.marker, marked)
					}
					marked = out.marker
				}
				s.settle(out, make([]seat, len(out.entries)), true, at)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				e := entrantNo(rapid.IntRange(0, 200).Draw(t, "entrant"))
				if _, full := s.join(poolEntry{entrant: e}, at, false); !full {
					accepted[e] = true
				}
			case 2: // the clock moves, sometimes back a little
				at = at.Add(time.Duration(rapid.IntRange(-200, 900).Draw(t, "ms")) * time.Millisecond)
			case 3:
				flush()
			case 4: // core's news may be ahead of the clock
				timing.sealing = true
				timing.unsealed = max(timing.unsealed, uint32(max(marked, 0)))
				s.observe(timing)
			}
		}
		at = at.Add(time.Hour)
		flush()
		for e := range accepted {
			if sent[e] != 1 {
				t.Fatalf("entrant %s was sent %d times", e, sent[e])
			}
		}
		if s.unsettled() != 0 || s.waiting() != 0 {
			t.Fatalf("%d entrants left", s.unsettled())
		}
	})
}

func TestAFullLineTakesNobodyMoreAndForgetsNobody(t *testing.T) {
	s := testStream(3, 2)
	for i := range 3 {
		s.join(poolEntry{entrant: entrantNo(i)}, opening.Add(-1), false)
	}
	if _, full := s.join(poolEntry{entrant: entrantNo(9)}, opening.Add(-1), false); !full {
		t.Fatal("the fourth was taken")
	}
	if place, full := s.join(poolEntry{entrant: entrantNo(1)}, opening.Add(-1), false); full || place.window != 0 {
		t.Fatal("somebody in line was turned away")
	}
}

func TestAnotherOnSaleStartsWithAnEmptyLine(t *testing.T) {
	s := testStream(10, 10)
	s.join(poolEntry{entrant: entrantNo(1)}, opening, false)
	old, _ := s.next(opening)
	next := testTiming()
	next.generation, next.opensAt = 2, opening.Add(time.Hour)
	s.observe(next)
	s.settle(old, []seat{{receipt: "old"}}, true, opening)
	if place, _ := s.join(poolEntry{entrant: entrantNo(1)}, opening, false); place.receipt != "" || place.window != 0 {
		t.Fatalf("the old on-sale's place is remembered: %+v", place)
	}
	if out, ok := s.next(opening); !ok || out.generation != 2 || out.marker != -1 {
		t.Fatalf("%+v %v", out, ok)
	}
}

func TestAcknowledgementsAreForgottenByAgeAndByNumber(t *testing.T) {
	c := ackCache{ttl: time.Minute, limit: 10}
	c.put(entrantNo(1), seat{window: 1}, opening)
	if _, ok := c.find(entrantNo(1), opening.Add(29*time.Second)); !ok {
		t.Error("forgotten within half its time")
	}
	if _, ok := c.find(entrantNo(1), opening.Add(61*time.Second)); ok {
		t.Error("remembered beyond its time")
	}
	at := opening.Add(time.Hour)
	for i := range 100 {
		c.put(entrantNo(i), seat{}, at)
		if len(c.young)+len(c.old) > c.limit {
			t.Fatalf("remembers %d", len(c.young)+len(c.old))
		}
		if _, ok := c.find(entrantNo(i), at); !ok {
			t.Fatal("the newest is forgotten")
		}
	}
}

func TestTimingReadsWhatCoreHasSealed(t *testing.T) {
	state := queue.State{Generation: 3, Phase: queue.PhaseOpen, WindowSeconds: 5, ChainLength: 10,
		Windows: []queue.Window{{Window: 0, Sealed: true}, {Window: 1, Sealed: true}, {Window: 2}}}
	got := timingOf(&state)
	if got.unsealed != 2 || !got.sealing || got.window != 5*time.Second || got.lastWindow != 9 || got.generation != 3 {
		t.Fatalf("%+v", got)
	}
}
