package guard

import (
	"math/bits"
	"sync/atomic"
	"time"

	"fairgate/edge/guard/score"
)

// asleep is after which silence a browser begins a new rhythm: its page slept, or it left the room for a while.
const asleep = 90 * time.Second

// Rhythms remembers how evenly browsers poll, in a table of fixed size: 16 bytes for each of so many browsers, no lock, no
// allocation. A browser that finds its place in the table taken by another that polls is not followed, which is milder. Two polls of
// one browser in the same instant may lose one of the two. Make it with NewRhythms; any goroutine may use it.
type Rhythms struct {
	start time.Time
	mask  uint64
	seed  uint64
	table []rhythm
}

// rhythm is one browser's. Both words are zero while nobody has the place.
type rhythm struct {
	when atomic.Uint64 // tag[32] ‖ last poll in ms since start[32]
	how  atomic.Uint64 // intervals[16] ‖ mean in ms[24] ‖ off in 1/64 ms[24]
}

// offUnit is what Off is counted in, so that small spreads of short intervals are not rounded away.
const offUnit = time.Millisecond / 64

// NewRhythms makes a table for about so many browsers, a power of two of them. seed makes the places of browsers unknown to them.
func NewRhythms(browsers int, start time.Time, seed uint64) *Rhythms {
	size := uint64(1) << bits.Len(uint(max(browsers, 2)-1))
	return &Rhythms{start: start, mask: size - 1, seed: seed, table: make([]rhythm, size)}
}

// find is a browser's place and its tag there.
func (r *Rhythms) find(browser uint64) (*rhythm, uint64) {
	// A multiplicative hash: what matters is only that nobody knows who shares a place with whom.
	high, low := bits.Mul64(browser^r.seed, 0x9e3779b97f4a7c15)
	hash := high ^ low
	return &r.table[hash&r.mask], hash>>32 | 1
}

// Note notes a poll of a browser.
func (r *Rhythms) Note(browser uint64, now time.Time) {
	place, tag := r.find(browser)
	ms := uint64(now.Sub(r.start).Milliseconds()) & 0xffffffff
	when := place.when.Load()
	since := time.Duration((ms-when)&0xffffffff) * time.Millisecond
	switch {
	case when == 0 || when>>32 != tag && since > asleep || when>>32 == tag && since > asleep:
		place.how.Store(0)
	case when>>32 != tag:
		return
	default:
		place.how.Store(pack(unpack(place.how.Load()).Add(since)))
	}
	place.when.Store(tag<<32 | ms)
}

// Of is the rhythm of a browser's polls; the zero rhythm when it is not known.
func (r *Rhythms) Of(browser uint64) score.Rhythm {
	place, tag := r.find(browser)
	if place.when.Load()>>32 != tag {
		return score.Rhythm{}
	}
	return unpack(place.how.Load())
}

func pack(r score.Rhythm) uint64 {
	const most = 1<<24 - 1
	return min(uint64(r.Intervals), 1<<16-1)<<48 | min(uint64(max(r.Mean, 0)/time.Millisecond), most)<<24 | min(uint64(max(r.Off, 0)/offUnit), most)
}

func unpack(how uint64) score.Rhythm {
	const most = 1<<24 - 1
	return score.Rhythm{Intervals: int(how >> 48), Mean: time.Duration(how>>24&most) * time.Millisecond, Off: time.Duration(how&most) * offUnit}
}
