package wallet

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestSoManySignSoManyWaitAndTheNextIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := NewThrottle(2, 3)
		for range 2 {
			if err := throttle.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		waiting, give := context.WithCancel(t.Context())
		results := make(chan error, 3)
		for i := range 3 {
			ctx := t.Context()
			if i == 0 {
				ctx = waiting
			}
			go func() { results <- throttle.enter(ctx) }()
		}
		synctest.Wait()
		if err := throttle.enter(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		give()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away: %v", err)
		}
		throttle.leave()
		throttle.leave()
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("who waited: %v", err)
			}
		}
		throttle.leave()
		throttle.leave()
		for range 2 {
			if err := throttle.enter(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		}
	})
}
