package guard

import (
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// shardCount spreads the lock; a power of two, so that picking a shard is a mask.
const shardCount = 64

// Rate is a sustained allowance with a burst on top.
type Rate struct {
	// PerSecond is how many requests a second are allowed for ever. Zero switches the limit off.
	PerSecond float64 `mapstructure:"per_second"`
	// Burst is how many may come at once after a pause; at least 1.
	Burst int `mapstructure:"burst"`
}

// Check says what is wrong with the rate, or nil.
func (r Rate) Check() error {
	switch {
	case math.IsNaN(r.PerSecond) || r.PerSecond < 0 || r.PerSecond > 1e6:
		return fmt.Errorf("per_second is %v; it must be between 0 (off) and 1000000", r.PerSecond)
	case r.PerSecond > 0 && r.PerSecond < 1e-6:
		return fmt.Errorf("per_second is %v; use 0 to switch the limit off", r.PerSecond)
	case r.PerSecond > 0 && (r.Burst < 1 || r.Burst > 1_000_000):
		return fmt.Errorf("burst is %d; it must be between 1 and 1000000", r.Burst)
	}
	return nil
}

// limiter applies one Rate to many subjects by the generic cell rate algorithm: per subject it keeps a single time, the
// theoretical arrival time (TAT) of the next request of a perfectly regular caller. A request is allowed when it comes no
// earlier than the TAT less the burst's worth of time, and it moves the TAT on by one emission interval.
//
// A subject whose TAT has passed is indistinguishable from one never seen, which is what makes forgetting exact.
type limiter struct {
	emission int64 // nanoseconds per request
	span     int64 // the whole burst: burst × emission
	capacity int   // subjects per shard
	start    time.Time
	seed     maphash.Seed
	shards   [shardCount]limiterShard
}

type limiterShard struct {
	mu  sync.Mutex
	tat map[uint64]int64 // subject → TAT in nanoseconds since start
	_   [48]byte         // keeps neighbouring locks off one cache line
}

// newLimiter makes a limiter that remembers at most subjects; nil when the rate is off.
func newLimiter(r Rate, subjects int, start time.Time) *limiter {
	if r.PerSecond == 0 {
		return nil
	}
	l := &limiter{emission: int64(float64(time.Second) / r.PerSecond), start: start, seed: maphash.MakeSeed()}
	l.emission = max(l.emission, 1)
	l.span = int64(r.Burst) * l.emission
	l.capacity = max(subjects/shardCount, 1)
	for i := range l.shards {
		l.shards[i].tat = make(map[uint64]int64)
	}
	return l
}

// take spends one request of the subject. It returns zero when that is allowed, else how long to wait. forgot tells that
// a subject still in debt had to be dropped to make room.
func (l *limiter) take(now time.Time, subject []byte) (wait time.Duration, forgot bool) {
	at := int64(now.Sub(l.start))
	key := maphash.Bytes(l.seed, subject)
	shard := &l.shards[key&(shardCount-1)]

	shard.mu.Lock()
	defer shard.mu.Unlock()
	tat, known := shard.tat[key]
	if tat < at {
		tat = at
	}
	next := tat + l.emission
	if early := next - l.span - at; early > 0 {
		return time.Duration(early), false
	}
	if !known && len(shard.tat) >= l.capacity {
		forgot = shard.makeRoom(at)
	}
	shard.tat[key] = next
	return 0, forgot
}

// makeRoom drops every subject whose allowance is whole again. Should that free too little, it drops arbitrary others
// until an eighth is free: a full sweep costs the whole shard, so it must buy many insertions.
func (s *limiterShard) makeRoom(at int64) (forgot bool) {
	before := len(s.tat)
	for key, tat := range s.tat {
		if tat <= at {
			delete(s.tat, key)
		}
	}
	for key := range s.tat {
		if len(s.tat) <= before-max(before/8, 1) {
			break
		}
		delete(s.tat, key)
		forgot = true
	}
	return forgot
}

// subjects counts what is remembered.
func (l *limiter) subjects() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].tat)
		l.shards[i].mu.Unlock()
	}
	return n
}
