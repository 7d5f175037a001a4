package payment

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ErrRateLimited means that a call was not made because our own limit of calls to the provider is used up. It is an
// ErrTemporary.
var ErrRateLimited = fmt.Errorf("%w: its rate limit is used up", ErrTemporary)

// Bucket keeps calls to a provider under its rate limit: calls are spaced so that no more than burst of them start at once
// and no more than rate a second in the long run, first come first served. A call that would have to wait longer than
// maxWait is refused instead.
type Bucket struct {
	interval time.Duration // between two calls at the full rate
	burst    time.Duration // how far ahead of that spacing calls may run
	maxWait  time.Duration
	now      func() time.Time

	mu   sync.Mutex
	next time.Time // when the bucket would have room for a call if it had no burst
	used [spareSlots]spareSlot
}

// The spare rate is measured over the last second, in slots of a tenth.
const (
	spareSlots = 10
	spareSlot1 = time.Second / spareSlots
)

// spareSlot counts the calls that start in one tenth of a second, named by its number since the epoch.
type spareSlot struct {
	no    int64
	calls int
}

// NewBucket makes a full Bucket of rate calls a second. A rate of 0 or less means no limit. now is the clock; nil means the
// machine's.
func NewBucket(rate float64, burst int, maxWait time.Duration, now func() time.Time) *Bucket {
	if now == nil {
		now = time.Now
	}
	b := &Bucket{maxWait: maxWait, now: now}
	if rate > 0 {
		b.interval = max(time.Duration(float64(time.Second)/rate), 1)
		b.burst = time.Duration(max(burst, 1)-1) * b.interval
	}
	return b
}

// Wait takes one call out of the bucket and waits until it may start. It answers ErrRateLimited when that would take longer
// than the bucket's maxWait or ctx allows; the call is then not counted.
func (b *Bucket) Wait(ctx context.Context) error {
	if b.interval == 0 {
		return ctx.Err()
	}
	wait, err := b.take(ctx)
	if err != nil {
		bucketRefused.Inc()
		return err
	}
	bucketWait.Update(wait.Seconds())
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: stopped waiting: %w", ErrRateLimited, ctx.Err())
	}
}

func (b *Bucket) take(ctx context.Context) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	start := b.next.Add(-b.burst)
	if start.Before(now) {
		start = now
	}
	wait := start.Sub(now)
	if wait > b.maxWait {
		return 0, fmt.Errorf("%w for the next %s", ErrRateLimited, wait.Round(time.Millisecond))
	}
	if deadline, ok := ctx.Deadline(); ok && start.After(deadline) {
		return 0, fmt.Errorf("%w beyond the caller's deadline", ErrRateLimited)
	}
	if b.next.Before(now) {
		b.next = now
	}
	b.next = b.next.Add(b.interval)
	b.count(start)
	return wait, nil
}

func (b *Bucket) count(start time.Time) {
	no := start.UnixNano() / int64(spareSlot1)
	slot := &b.used[no%spareSlots]
	if slot.no > no {
		return // a later lap of the ring has the slot: the call starts more than a second ahead of others
	}
	if slot.no < no {
		*slot = spareSlot{no: no}
	}
	slot.calls++
}

// Spare is how many more calls a second the bucket could carry than it carried in the last second; 0 while calls wait. An
// unlimited bucket answers +1e9.
func (b *Bucket) Spare() float64 {
	if b.interval == 0 {
		return 1e9
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.next.Add(-b.burst - b.interval).After(now) { // the last call has not started yet
		return 0
	}
	current := now.UnixNano() / int64(spareSlot1)
	calls := 0
	for _, slot := range b.used {
		if slot.no > current-spareSlots && slot.no <= current {
			calls += slot.calls
		}
	}
	return max(float64(time.Second)/float64(b.interval)-float64(calls), 0)
}
