package event

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallersAtTheSameTimeShareOneQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache[int, string](time.Now, time.Second, ErrUnknown, newMetrics())
		loads := 0
		load := func(ctx context.Context) (string, error) {
			loads++
			time.Sleep(100 * time.Millisecond)
			return "value", ctx.Err()
		}
		gaveUp, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { // the first, whose query it is, gives up
			if _, err := c.find(gaveUp, 1, load); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			group.Go(func() {
				if v, err := c.find(t.Context(), 1, load); v != "value" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		group.Wait()
		if loads != 1 {
			t.Errorf("%d queries", loads)
		}
		time.Sleep(time.Second)
		if _, err := c.find(t.Context(), 1, load); err != nil || loads != 2 {
			t.Errorf("once it is old: %d queries, %v", loads, err)
		}
	})
}

func TestOnlyWhatIsCertainIsRemembered(t *testing.T) {
	c := newCache[int, string](time.Now, time.Hour, ErrUnknown, newMetrics())
	for _, known := range []struct {
		key   int
		err   error
		loads int
	}{{1, nil, 1}, {2, ErrUnknown, 1}, {3, errors.New("the database is away"), 2}} {
		loads := 0
		for range 2 {
			if _, err := c.find(t.Context(), known.key, func(context.Context) (string, error) {
				loads++
				return "", known.err
			}); !errors.Is(err, known.err) {
				t.Errorf("got %v", err)
			}
		}
		if loads != known.loads {
			t.Errorf("%v: %d queries, want %d", known.err, loads, known.loads)
		}
	}
}

// A query that began before a change must not bring back what was before it.
func TestWhatIsForgottenIsNotRememberedByAnOldQuery(t *testing.T) {
	c := newCache[int, string](time.Now, time.Hour, ErrUnknown, newMetrics())
	if v, err := c.find(t.Context(), 1, func(context.Context) (string, error) {
		c.forget(1)
		return "old", nil
	}); v != "old" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if v, err := c.find(t.Context(), 1, func(context.Context) (string, error) { return "new", nil }); v != "new" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	c := newCache[int, int](func() time.Time { return now }, time.Second, ErrUnknown, newMetrics())
	for key := range maxCached + 500 {
		if key == maxCached/2 {
			now = now.Add(time.Second) // the first half is old
		}
		if _, err := c.find(t.Context(), key, func(context.Context) (int, error) { return key, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.entries); n > maxCached || n < maxCached/2 {
		t.Errorf("%d entries", n)
	}
	for key := range 2 * maxCached { // none of them old
		if _, err := c.find(t.Context(), -key, func(context.Context) (int, error) { return key, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.entries); n != maxCached {
		t.Errorf("%d entries", n)
	}
}
