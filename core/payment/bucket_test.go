package payment

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestABucketLetsABurstThroughAndThenItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(100, 10, time.Minute, nil)
		began := time.Now()
		for range 10 {
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the burst took %s", waited)
		}
		for range 200 {
			if err := b.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited < 1990*time.Millisecond || waited > 2010*time.Millisecond {
			t.Errorf("200 calls at 100 a second took %s", waited)
		}
	})
}

func TestABucketRefusesWhatWouldWaitTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(10, 1, 150*time.Millisecond, nil)
		results := make(chan error, 4)
		for range 4 {
			go func() { results <- b.Wait(t.Context()) }()
		}
		synctest.Wait()
		refused := 0
		for range 4 {
			if err := <-results; errors.Is(err, ErrTemporary) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused != 2 {
			t.Errorf("%d of 4 calls were refused, want the third and fourth", refused)
		}
		if spare := b.Spare(); spare < 7 || spare > 9 {
			t.Errorf("spare rate %v after two calls in the last second, of 10", spare)
		}
		time.Sleep(2 * time.Second)
		if spare := b.Spare(); spare != 10 {
			t.Errorf("spare rate %v when idle", spare)
		}
	})
}

func TestABucketHeedsTheCallersDeadlineAndCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBucket(1, 1, time.Hour, nil)
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := b.Wait(brief); !errors.Is(err, ErrTemporary) {
			t.Errorf("a call that cannot start before its deadline: %v", err)
		}
		gone, cancelGone := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancelGone)
		if err := b.Wait(gone); !errors.Is(err, ErrTemporary) || !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled call: %v", err)
		}
		if spare := b.Spare(); spare != 0 {
			t.Errorf("spare rate %v while the bucket is empty", spare)
		}
	})
}

func TestAnUnlimitedBucketNeverWaits(t *testing.T) {
	b := NewBucket(0, 0, 0, nil)
	for range 1000 {
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if b.Spare() < 1e6 {
		t.Errorf("spare rate %v", b.Spare())
	}
}

func TestBackoffDoublesUpToItsCeilingWithJitter(t *testing.T) {
	low, high := func() float64 { return 0 }, func() float64 { return 1 }
	for n, mean := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 60: 1000} {
		mean *= time.Millisecond
		if got := backoff(100*time.Millisecond, time.Second, n, low); got != mean/2 {
			t.Errorf("attempt %d: at least %s, want %s", n, got, mean/2)
		}
		if got := backoff(100*time.Millisecond, time.Second, n, high); got != mean*3/2 {
			t.Errorf("attempt %d: at most %s, want %s", n, got, mean*3/2)
		}
	}
}
