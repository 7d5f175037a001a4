package queue

import (
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// placesOf is the true order of a window of the example.
func placesOf(w Window, n int) []lottery.Drawn {
	return lottery.Order(w.Seed, w.Window, exampleLeaves(w.Window, n))
}

func TestACalledPlaceIsOneAtOrBeforeTheCursor(t *testing.T) {
	s := exampleState(t)
	for i, d := range placesOf(s.Windows[0], 200) {
		if got, want := s.Called(d.Place()), i < s.CalledCount; got != want {
			t.Errorf("place %d: called is %v", i, got)
		}
	}
	for _, d := range placesOf(s.Windows[1], 60) {
		if s.Called(d.Place()) {
			t.Error("somebody of a later window is called")
		}
	}
	s.Cursor = nil
	if s.Called(lottery.Place{}) {
		t.Error("somebody is called before the cursor is there")
	}
}

func TestARankIsOffByLessThanAQuantile(t *testing.T) {
	s := exampleState(t)
	before := 0
	for w, n := range []int{200, 60} {
		for i, d := range placesOf(s.Windows[w], n) {
			rank, step := s.Rank(d.Place()), 200/18+1
			if rank < before+i-step || rank > before+i+step {
				t.Errorf("window %d, place %d: rank %d, want %d give or take %d", w, i, rank, before+i, step)
			}
		}
		before += n
	}
	if rank := s.Rank(lottery.Place{Window: 2, Value: 1 << 63}); rank != 260 {
		t.Errorf("in the window that is still open the rank is %d, want all 260 of the windows before", rank)
	}
}

func TestARankIsExactWhenAllValuesAreQuantiles(t *testing.T) {
	s := exampleState(t)
	order := placesOf(s.Windows[0], 200)
	s.Windows[0].Bands = lottery.Summarize(order, 1000)
	for i, d := range order {
		if rank := s.Rank(d.Place()); rank != i {
			t.Errorf("rank %d, want %d", rank, i)
		}
	}
}

func TestAheadAndWaitCountFromTheCursor(t *testing.T) {
	s := exampleState(t)
	order := placesOf(s.Windows[0], 200)
	s.Windows[0].Bands = lottery.Summarize(order, 1000)
	if got := s.Ahead(order[99].Place()); got != 0 {
		t.Errorf("%d are ahead of somebody called", got)
	}
	if wait, known := s.Wait(order[99].Place()); wait != 0 || !known {
		t.Errorf("somebody called waits %s", wait)
	}
	if got := s.Ahead(order[149].Place()); got != 49 {
		t.Errorf("%d are ahead of the fiftieth to come", got)
	}
	if wait, known := s.Wait(order[149].Place()); wait != 4*time.Second || !known { // 50 at 12.5 a second
		t.Errorf("the fiftieth to come waits %s", wait)
	}
	s.PacePerSecond = 1e-9
	if wait, _ := s.Wait(order[149].Place()); wait != maxWait {
		t.Errorf("at hardly any pace the wait is %s", wait)
	}
	s.PacePerSecond = 0
	if _, known := s.Wait(order[149].Place()); known {
		t.Error("the wait is known while nobody is called")
	}
}

func TestAPassHasAPlaceOnceItsWindowIsSealed(t *testing.T) {
	s := exampleState(t)
	d := placesOf(s.Windows[1], 60)[59]
	p := Pass{Entrant: d.Entrant, Generation: 1, Window: 1, Band: d.Band}
	if place, ok := s.Place(p); !ok || place != d.Place() {
		t.Errorf("place %s, want %s", place, d.Place())
	}
	if n := testing.AllocsPerRun(100, func() {
		if place, ok := s.Place(p); ok {
			s.Called(place)
		}
	}); n != 0 {
		t.Errorf("working out a place allocates %v times", n)
	}
	for name, change := range map[string]func(*Pass){
		"open window":    func(p *Pass) { p.Window = 2 },
		"unknown window": func(p *Pass) { p.Window = 9 },
		"older on-sale":  func(p *Pass) { p.Generation = 0 },
	} {
		q := p
		change(&q)
		if _, ok := s.Place(q); ok {
			t.Errorf("a pass of an %s has a place", name)
		}
	}
}
