package loadtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// keptStates is how many state objects are remembered: edges may be a few versions apart.
const keptStates = 64

// roomState is a decoded state object with what buyers ask of it.
type roomState struct{ queue.State }

// stateCache remembers decoded state objects by ETag: everybody gets the same bytes, so one visitor decodes for all, and those who
// come with the same bytes meanwhile wait for it.
type stateCache struct {
	mu     sync.RWMutex
	byETag map[string]*decoding
	order  []string
	newest *roomState
	seen   lottery.Evidence // commitment and windows as they were published, for the audit
}

// decoding is a state object that is being decoded, or was.
type decoding struct {
	done  chan struct{} // closed when the rest is set
	state *roomState
	err   error
}

func newStateCache() *stateCache { return &stateCache{byETag: make(map[string]*decoding)} }

// known reports whether somebody has, or is decoding, the state behind an ETag.
func (c *stateCache) known(etag string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.byETag[etag]
	return ok
}

// learn returns the state behind an answer, decoding it when it is new.
func (c *stateCache) learn(a answer) (*roomState, error) {
	c.mu.Lock()
	d, ok := c.byETag[a.etag]
	switch {
	case ok:
		c.mu.Unlock()
		<-d.done
		return d.state, d.err
	case a.body == nil:
		// Forgotten between the question whether it is known and now, or a 304 of an ETag long gone: the newest is as good.
		s := c.newest
		c.mu.Unlock()
		if s == nil {
			return nil, fmt.Errorf("no body behind ETag %q", a.etag)
		}
		return s, nil
	}
	d = &decoding{done: make(chan struct{})}
	if a.etag != "" {
		c.byETag[a.etag] = d
		if c.order = append(c.order, a.etag); len(c.order) > keptStates {
			delete(c.byETag, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.mu.Unlock()
	d.state, d.err = decodeState(a)
	c.mu.Lock()
	if d.err == nil {
		if c.newest == nil || d.state.Version >= c.newest.Version {
			c.newest = d.state
		}
		c.note(d.state)
	}
	c.mu.Unlock()
	close(d.done)
	return d.state, d.err
}

func decodeState(a answer) (*roomState, error) {
	if !a.unzip() {
		return nil, fmt.Errorf("unzip state: %s", a.detail)
	}
	s, err := queue.DecodeState(a.body)
	if err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	return &roomState{s}, nil
}

// note keeps what was published in time: the commitment, and each window's root and seed the first time they are seen.
func (c *stateCache) note(s *roomState) {
	if c.seen.Commitment == nil && (s.Phase == queue.PhaseAnnounced || s.Phase == queue.PhaseJoining) {
		commitment := s.Commitment
		c.seen.Commitment = &commitment
	}
	for i := range s.Windows {
		w := &s.Windows[i]
		if w.Sealed && !slices.ContainsFunc(c.seen.Windows, func(x lottery.SeenWindow) bool { return x.Window == w.Window }) {
			c.seen.Windows = append(c.seen.Windows, lottery.SeenWindow{Window: w.Window, Root: w.Root, Seed: w.Seed})
		}
	}
}

// published is what the state objects have shown so far.
func (c *stateCache) published() lottery.Evidence {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return lottery.Evidence{Commitment: c.seen.Commitment, Windows: slices.Clone(c.seen.Windows)}
}

// latest is the newest state anybody has seen, or nil.
func (c *stateCache) latest() *roomState {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.newest
}

// soldOut is the phase, not the flag: while somebody still holds tickets they may come back.
func (s *roomState) soldOut() bool { return s.Phase == queue.PhaseSoldOut }

func (s *roomState) ended() bool { return s.Phase == queue.PhaseEnded }

// seed is a window's seed once that window is sealed.
func (s *roomState) seed(window uint32) ([32]byte, bool) {
	w, ok := s.Window(window)
	if !ok || !w.Sealed {
		return [32]byte{}, false
	}
	return w.Seed, true
}

// pollAfter is the server's wish within reason.
func (s *roomState) pollAfter() time.Duration {
	return min(max(time.Duration(s.PollAfterMS)*time.Millisecond, 200*time.Millisecond), time.Minute)
}
