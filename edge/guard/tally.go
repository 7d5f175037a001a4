package guard

import (
	"hash/maphash"
	"sync"
	"time"
)

// Tally counts how often something happened to each of many subjects in the present stretch of time. It remembers a fixed number of
// subjects; those that find no room count as not seen, so a flood makes it milder and not stricter. Make one with NewTally. Any
// goroutine may use it.
type Tally struct {
	over     time.Duration
	subjects int
	seed     maphash.Seed

	mu     sync.Mutex
	since  time.Time
	counts map[uint64]int32
}

// NewTally makes a tally over stretches of a length, of so many subjects at most.
func NewTally(over time.Duration, subjects int) *Tally {
	return &Tally{over: over, subjects: subjects, seed: maphash.MakeSeed(), counts: make(map[uint64]int32)}
}

// Add counts n more for the subject and returns how many there were in this stretch; with n of 0 it only looks.
func (t *Tally) Add(now time.Time, subject []byte, n int) int {
	key := maphash.Bytes(t.seed, subject)
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) >= t.over {
		t.since = now
		clear(t.counts)
	}
	count, known := t.counts[key]
	if n == 0 || !known && len(t.counts) >= t.subjects {
		return int(count)
	}
	count = int32(min(int64(count)+int64(n), 1<<30))
	t.counts[key] = count
	return int(count)
}
