package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// stockEvery is how often at most the stock is asked for to be shown.
const stockEvery = 500 * time.Millisecond

// stateCache is the state object of one on-sale as this core last built it. The tending goroutine builds; done is for
// whoever asks whether there is one.
type stateCache struct {
	mu   sync.Mutex
	done bool

	hash    [sha256.Size]byte // of the facts: everything but version and server time
	version uint64
	builtAt time.Time
	stock   []TierStock
	stockAt time.Time
	pace    paceMeter
	buffer  []byte
}

func (c *stateCache) built() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// publish builds the state object anew if its facts changed, or if its clock is old, and gives it to the feed.
//
// The version is the database's clock in milliseconds, made to grow: so it also grows for an edge that goes from one
// core to another, whose states tell the same committed facts up to a tick earlier or later.
func (r *Room) publish(ctx context.Context, s *onSale) error {
	v, c := s.snapshot(), &s.state
	now := r.now()
	if time.Since(c.stockAt) >= stockEvery {
		stock, err := r.deps.Stock(ctx, s.event, v.sale.Allocation)
		if err != nil {
			return fmt.Errorf("ask for the stock: %w", err)
		}
		c.stock, c.stockAt = stock, time.Now()
	}
	ring, err := r.rings.ofEvent(ctx, s.event)
	if err != nil {
		return err
	}
	joined, _ := v.pool.counts()
	in := stateInput{
		draw: v.draw, sale: v.sale, next: v.next, windows: v.pool.view(v.draw.called, r.cfg.Quantiles, v.draw.root), joined: joined,
		pace: c.expectedPace(&v, now), stock: c.stock, receiptKeys: ring.receiptKeys,
		pollAfter: r.cfg.pollAfter(joined - v.draw.called),
	}
	c.buffer = appendState(c.buffer[:0], &in)
	hash := sha256.Sum256(c.buffer)
	if c.done && hash == c.hash && now.Sub(c.builtAt) < r.cfg.StateMaxAge {
		return nil
	}
	in.version, in.serverTime = max(uint64(now.UnixMilli()), c.version+1), now
	body := appendState(nil, &in)
	etag := fmt.Sprintf(`"%d-%d-%s"`, v.draw.generation, in.version, hex.EncodeToString(hash[:6]))
	r.feed.put(s.slug, etag, body)
	statesBuilt.Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done, c.hash, c.version, c.builtAt = true, hash, in.version, now
	return nil
}

// expectedPace is how fast entrants are called: as measured while they are, as configured before, not at all otherwise.
func (c *stateCache) expectedPace(v *snapshot, now time.Time) float64 {
	measured := c.pace.add(now, v.draw.called)
	switch v.draw.phase {
	case Open:
		return measured
	case Announced, Joining, Sealing, Drawn:
		return float64(v.sale.PacePerSecond)
	}
	return 0
}
