package queue

import (
	"cmp"
	"slices"
	"time"

	"fairgate/edge/lottery"
)

// maxWait bounds what is said about waiting: beyond it nobody knows.
const maxWait = 24 * time.Hour

// Window is the window of that number, false when the state does not have it.
func (s *State) Window(no uint32) (*Window, bool) {
	i, found := slices.BinarySearchFunc(s.Windows, no, func(w Window, no uint32) int {
		return cmp.Compare(w.Window, no)
	})
	if !found {
		return nil, false
	}
	return &s.Windows[i], true
}

// Place is the place a pass has drawn; false while its window is not sealed, and for a pass of another on-sale.
func (s *State) Place(p Pass) (lottery.Place, bool) {
	w, ok := s.Window(p.Window)
	if !ok || !w.Sealed || p.Generation != s.Generation {
		return lottery.Place{}, false
	}
	return lottery.Place{Window: p.Window, Band: p.Band, Value: lottery.Value(w.Seed, p.Entrant)}, true
}

// Called reports whether it is that place's turn.
func (s *State) Called(p lottery.Place) bool {
	return s.Cursor != nil && p.Compare(s.Cursor.Place()) <= 0
}

// Rank is about how many entrants go before that place, called ones included. It is exact where the quantiles are all
// the values there are, else off by at most the size of one quantile. In a window not yet sealed everybody of the windows
// before counts, and nobody of its own.
func (s *State) Rank(p lottery.Place) int {
	rank := 0
	for i := range s.Windows {
		w := &s.Windows[i]
		if w.Window > p.Window {
			break
		}
		if w.Window < p.Window {
			rank += w.Entrants
			continue
		}
		for _, b := range w.Bands {
			switch {
			case !w.Sealed || b.Band > p.Band:
			case b.Band < p.Band:
				rank += b.Entrants
			default:
				rank += within(b, p.Value)
			}
		}
	}
	return rank
}

// Ahead is about how many entrants will be called before that place and have not been yet.
func (s *State) Ahead(p lottery.Place) int {
	if s.Called(p) {
		return 0
	}
	return max(0, s.Rank(p)-s.CalledCount)
}

// Wait is about how long it takes at the present pace until that place is called, at most a day; false while nobody is
// being called.
func (s *State) Wait(p lottery.Place) (time.Duration, bool) {
	if s.Called(p) {
		return 0, true
	}
	if s.PacePerSecond <= 0 {
		return 0, false
	}
	seconds := float64(s.Ahead(p)+1) / s.PacePerSecond
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second)), true
}

// within is about how many values of the band are below value: what the quantiles below it stand for, and a share of the
// next by how far the value is on the way to it.
func within(b lottery.BandSummary, value uint64) int {
	v, q := lottery.Fraction(value), len(b.Quantiles)
	j, _ := slices.BinarySearch(b.Quantiles, v)
	if j == q {
		return b.Entrants
	}
	var low lottery.Fraction
	if j > 0 {
		low = b.Quantiles[j-1]
	}
	below := (j*b.Entrants + q - 1) / q
	between := ((j+1)*b.Entrants+q-1)/q - 1 - below
	return below + int(float64(between)*float64(v-low)/float64(max(1, b.Quantiles[j]-low)))
}
