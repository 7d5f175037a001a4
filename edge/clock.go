package edge

import (
	"sync"
	"sync/atomic"
	"time"
)

// clockSamples is how many comparisons with core's clock are remembered. At one feed answer every two seconds or less
// they span at most half a minute, in which no clock drifts by anything that matters.
const clockSamples = 16

// clock is core's clock as far as the edge can know it: its own, corrected by what core's answers say. Windows are told
// apart by it, so that a node with a wrong clock sends nobody to a later window.
//
// An answer's server_time was read some time before the answer arrived; so its difference to the arrival is a lower bound
// of the true offset, and the highest of the recent bounds is the best.
type clock struct {
	now    func() time.Time
	offset atomic.Int64 // nanoseconds that core is ahead

	mu     sync.Mutex
	bounds [clockSamples]time.Duration
	count  int
}

// observe learns from an answer that arrived at the local time received.
func (c *clock) observe(server, received time.Time) {
	if server.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bounds[c.count%clockSamples] = server.Sub(received.Round(0))
	c.count++
	best := c.bounds[0]
	for _, bound := range c.bounds[1:min(c.count, clockSamples)] {
		best = max(best, bound)
	}
	c.offset.Store(int64(best))
}

// ahead is how far core's clock is ahead of the local one.
func (c *clock) ahead() time.Duration { return time.Duration(c.offset.Load()) }

// at translates a local time into core's.
func (c *clock) at(local time.Time) time.Time { return local.Add(c.ahead()) }

// core is core's time now.
func (c *clock) core() time.Time { return c.at(c.now()) }
