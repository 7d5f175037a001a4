package challenge

import (
	"sync"
	"time"
)

// Spent remembers which challenges were used, exactly and in bounded memory: some 40 bytes for each of so many. It keeps two
// generations. When the younger is as old as a challenge lives, or full, it becomes the older one and what the older one held is
// forgotten; challenges given out before that can have been among the forgotten, so they are no longer good, and whoever has one
// asks for a new one. Make it with NewSpent; any goroutine may use it.
type Spent struct {
	lifetime time.Duration
	limit    int

	mu         sync.Mutex
	young, old map[[8]byte]struct{}
	began      time.Time // of the young generation
	before     time.Time // challenges older than this are not good
}

// NewSpent makes a filter for challenges that live so long, of so many that are remembered.
func NewSpent(lifetime time.Duration, limit int, now time.Time) *Spent {
	return &Spent{lifetime: lifetime, limit: max(limit, 2), young: make(map[[8]byte]struct{}), began: now}
}

// Use uses a challenge up. ErrSpent when it was before, ErrExpired when that is not known any more.
func (s *Spent) Use(c Challenge, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.began) >= s.lifetime || len(s.young) >= s.limit/2 {
		if len(s.old) > 0 {
			s.before = s.began
		}
		s.old, s.young, s.began = s.young, make(map[[8]byte]struct{}), now
	}
	if c.IssuedAt.Before(s.before) {
		return ErrExpired
	}
	_, young := s.young[c.Nonce]
	_, old := s.old[c.Nonce]
	if young || old {
		return ErrSpent
	}
	s.young[c.Nonce] = struct{}{}
	return nil
}

// Remembered is how many used challenges are remembered.
func (s *Spent) Remembered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.young) + len(s.old)
}
