package event

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxCached bounds each cache; a core serves fewer events than that at a time.
	maxCached = 10_000
	// loadTimeout bounds the query behind a cache miss, since it does not end with its first caller.
	loadTimeout = 5 * time.Second
)

// cache remembers values, and that there is none, for a short time. It is safe for concurrent use and starts goroutines only for
// queries, which end by themselves within loadTimeout.
type cache[K comparable, V any] struct {
	now     func() time.Time
	ttl     time.Duration
	missing error // the outcome worth remembering besides a value
	metrics metricSet
	flight  singleflight.Group

	mu      sync.RWMutex
	entries map[K]cached[V]
	epochs  uint64 // counts forgets: a query begun before one must not be remembered after it
}

type cached[V any] struct {
	value V
	err   error
	until time.Time
}

func newCache[K comparable, V any](now func() time.Time, ttl time.Duration, missing error, m metricSet) *cache[K, V] {
	return &cache[K, V]{now: now, ttl: ttl, missing: missing, metrics: m, entries: make(map[K]cached[V])}
}

// find answers from memory or loads. Only a value and the missing error are remembered.
func (c *cache[K, V]) find(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	c.mu.RLock()
	entry, ok := c.entries[key]
	epoch := c.epochs
	c.mu.RUnlock()
	if ok && c.now().Before(entry.until) {
		c.metrics.hits.Inc()
		return entry.value, entry.err
	}
	c.metrics.misses.Inc()
	loaded := c.flight.DoChan(fmt.Sprintf("%d %v", epoch, key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		value, err := load(ctx)
		if err == nil || errors.Is(err, c.missing) {
			c.remember(key, cached[V]{value: value, err: err}, epoch)
		}
		return value, err
	})
	var none V
	select {
	case <-ctx.Done():
		return none, ctx.Err()
	case result := <-loaded:
		if result.Err != nil {
			return none, result.Err
		}
		return result.Val.(V), nil
	}
}

func (c *cache[K, V]) remember(key K, entry cached[V], epoch uint64) {
	now := c.now()
	entry.until = now.Add(c.ttl)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epochs != epoch {
		return
	}
	if _, known := c.entries[key]; !known && len(c.entries) >= maxCached {
		c.evict(now)
	}
	c.entries[key] = entry
}

// evict makes room at a bounded price: of a few entries that chance picks, those that have expired go, and the last one goes anyway.
func (c *cache[K, V]) evict(now time.Time) {
	const sample = 32
	looked := 0
	for key, entry := range c.entries {
		looked++
		if !now.Before(entry.until) || looked == sample {
			delete(c.entries, key)
		}
		if looked == sample {
			return
		}
	}
}

// forget makes the next find of key load anew.
func (c *cache[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epochs++
	delete(c.entries, key)
}
