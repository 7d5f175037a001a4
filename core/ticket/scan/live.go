package scan

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// liveFor is how old the counters of gates may be: every device at the doors asks every few seconds.
	liveFor = time.Second
	// maxLive bounds the events whose counters are remembered.
	maxLive = 1000
)

// live remembers counters for a moment.
type live struct {
	mu     sync.Mutex
	events map[uuid.UUID]*counted
}

// counted are an event's counters as they were. Whoever counts has the lock; the others wait for what it finds.
type counted struct {
	mu    sync.Mutex
	at    time.Time
	gates []GateCounts
	zones []ZoneCounts
}

func (l *live) of(event uuid.UUID) *counted {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.events[event]
	if c == nil {
		if len(l.events) >= maxLive {
			clear(l.events)
		}
		c = &counted{}
		l.events[event] = c
	}
	return c
}

// LiveCounts are an event's counters as they were at most a second ago; however many ask, they are counted once. What is answered must
// not be changed.
func (s *Service) LiveCounts(ctx context.Context, event uuid.UUID) ([]GateCounts, []ZoneCounts, error) {
	c := s.live.of(event)
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < liveFor {
		return c.gates, c.zones, nil
	}
	gates, zones, err := s.Counts(ctx, event)
	if err != nil {
		return nil, nil, err
	}
	c.gates, c.zones, c.at = gates, zones, time.Now()
	return gates, zones, nil
}
