package paysim

import (
	"sync"
	"time"
)

// limiter counts calls by the second, as providers do: at most rate in any one of them.
type limiter struct {
	rate int
	now  func() time.Time

	mu     sync.Mutex
	second int64
	used   int
}

func newLimiter(rate float64, now func() time.Time) *limiter {
	return &limiter{rate: max(int(rate), 1), now: now}
}

func (l *limiter) allow() bool {
	second := l.now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.second != second {
		l.second, l.used = second, 0
	}
	if l.used >= l.rate {
		return false
	}
	l.used++
	return true
}
