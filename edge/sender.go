package edge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"fairgate/edge/backlog"
)

// errQueueFull means that as many wait already as may. The error is a *fullError.
var errQueueFull = errors.New("too many requests wait for core")

// fullError is an errQueueFull that says when to ask again.
type fullError struct{ wait time.Duration }

func (e *fullError) Error() string        { return fmt.Sprintf("%v; ask again in %s", errQueueFull, e.wait) }
func (e *fullError) Is(target error) bool { return target == errQueueFull }

// sender holds what waits for one core, fair between events. Any goroutine puts; as many as may be under way take.
type sender struct {
	now func() time.Time

	mu      sync.Mutex
	queue   *backlog.Queue[*item]
	pace    backlog.Pace
	asleep  int // takers that wait for wake
	stopped bool
	wake    chan struct{}
}

func newSender(c BatchConfig, now func() time.Time) *sender {
	return &sender{now: now, queue: backlog.New[*item](c.Queue, true), wake: make(chan struct{}, c.InFlight)}
}

// put queues an item, or says why not.
func (s *sender) put(it *item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errNotSent
	}
	if !s.queue.Push(backlog.Key(it.event), &it.place, it) {
		return &fullError{s.pace.Wait(s.queue.Len(), rand.Float64())}
	}
	if s.asleep > 0 {
		s.asleep--
		s.wake <- struct{}{}
	}
	return nil
}

// take waits for something to send and adds to items what has come together, as far as it fits. Nothing means that the
// context has ended.
func (s *sender) take(ctx context.Context, items []*item, most int) []*item {
	for {
		s.mu.Lock()
		size := 0
		for len(items) < most && size < maxBatchBytes {
			it, ok := s.queue.Pop()
			if !ok {
				break
			}
			items, size = append(items, it), size+len(it.payload)
		}
		if len(items) > 0 {
			s.pace.Served(len(items), s.now())
			s.mu.Unlock()
			return items
		}
		s.pace.Idle()
		s.asleep++
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// stop answers what nobody will send any more, and refuses what comes later.
func (s *sender) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for it, ok := s.queue.Pop(); ok; it, ok = s.queue.Pop() {
		it.done <- outcome{err: errNotSent}
	}
}
