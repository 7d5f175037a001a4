package wallet

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Throttle bounds how much is signed at once. Whoever finds it full waits for their turn; whoever finds too many waiting is told so.
type Throttle struct {
	turns   chan struct{}
	present atomic.Int64 // those at work and those who wait
	most    int64
}

// NewThrottle lets so many work at a time, and so many wait.
func NewThrottle(working, waiting int) *Throttle {
	return &Throttle{turns: make(chan struct{}, max(working, 1)), most: int64(max(working, 1) + max(waiting, 0))}
}

// enter waits for a turn. ErrBusy when too many wait already; whoever gets nil calls leave.
func (t *Throttle) enter(ctx context.Context) error {
	if t.present.Add(1) > t.most {
		t.present.Add(-1)
		refused.Inc()
		return ErrBusy
	}
	select {
	case t.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		t.present.Add(-1)
		return fmt.Errorf("wait to sign a pass: %w", ctx.Err())
	}
}

func (t *Throttle) leave() {
	<-t.turns
	t.present.Add(-1)
}
