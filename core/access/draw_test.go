package access

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAnEntrantGoesToTheirWindowUnlessItIsSealedOrHasNotBegun(t *testing.T) {
	opens := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		arrived uint32
		sealed  uint32 // the next window
		after   time.Duration
		want    uint32
	}{
		{"before the sale instant", 0, 0, -time.Hour, 0},
		{"by an edge whose clock is ahead", 1, 0, -time.Millisecond, 0},
		{"late by an edge that lags, window 0 still open", 0, 0, 900 * time.Millisecond, 0},
		{"late by an edge that lags, window 0 sealed", 0, 1, 900 * time.Millisecond, 1},
		{"in the first window after it", 1, 1, 29 * time.Second, 1},
		{"in the second window after it", 2, 1, 31 * time.Second, 2},
		{"for a window far ahead", 4000, 1, 31 * time.Second, 2},
		{"after the fine windows", 65, 65, 65*30*time.Second - time.Second, 66},
		{"beyond the chain", 9999, 9000, 1000 * time.Hour, 4095},
	} {
		d := draw{opensAt: opens, window: 30 * time.Second, chainLength: 4096, nextWindow: min(c.sealed, 4095)}
		if got := d.entry(c.arrived, opens.Add(c.after)); got != c.want {
			t.Errorf("%s: window %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLaterWindowsGrowButNeverBeyondAThirtySecondOfTheTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.Uint32Range(0, 1<<16).Draw(t, "window")
		c := coarse(w)
		if c < w || coarse(c) != c || c-w > w/32 {
			t.Fatalf("window %d becomes %d", w, c)
		}
		if next := coarse(w + 1); next < c {
			t.Fatalf("window %d becomes %d and the next %d", w, c, next)
		}
	})
	distinct := make(map[uint32]bool)
	for w := range uint32(1 << 16) {
		distinct[coarse(w)] = true
	}
	if len(distinct) > 400 {
		t.Fatalf("a chain of full length has %d windows", len(distinct))
	}
}

func TestThePhaseFollowsTheTimesTheDrawThePauseAndTheStock(t *testing.T) {
	joining := time.Date(2026, 5, 1, 9, 30, 0, 0, time.UTC)
	opens, ends := joining.Add(30*time.Minute), joining.Add(5*time.Hour)
	for _, c := range []struct {
		name   string
		now    time.Time
		drawn  bool
		paused bool
		gone   bool
		was    Phase
		want   Phase
	}{
		{"long before", joining.Add(-time.Second), false, false, false, Announced, Announced},
		{"joining opens", joining, false, false, false, Announced, Joining},
		{"a pause before the draw changes nothing", joining, false, true, false, Announced, Joining},
		{"the sale instant", opens, false, false, false, Joining, Sealing},
		{"sealed", opens, true, false, false, Drawn, Open},
		{"sealed while paused", opens, true, true, false, Drawn, Paused},
		{"nothing left", opens, true, false, true, Open, SoldOut},
		{"something came back", opens, true, false, false, SoldOut, Open},
		{"paused though nothing is left", opens, true, true, true, SoldOut, Paused},
		{"its end", ends, true, false, false, Open, Ended},
		{"its end while paused", ends, true, true, false, Paused, Ended},
		{"ended early", opens, true, false, false, Ended, Ended},
	} {
		d := draw{joiningAt: joining, opensAt: opens, endsAt: ends, paused: c.paused, phase: c.was}
		if c.drawn {
			d.nextWindow = 1
		}
		if got := d.nextPhase(c.now, c.gone); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
