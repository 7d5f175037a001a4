package edge

import (
	"sync"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// maxPoolEntries is what core takes in one request.
const maxPoolEntries = 1000

// poolEntry is one entrant on the way to core.
type poolEntry struct {
	entrant lottery.Entrant
	device  lottery.DeviceHash
	network [8]byte
	window  uint32
}

// seat is what is known of an entrant's place.
type seat struct {
	window      uint32
	band        lottery.Band
	reason      lottery.Reason
	receipt     string // base64; empty while not acknowledged
	otherDevice bool
	banned      bool
	stranger    bool      // not registered for the presale
	at          time.Time // when core said so, by core's clock
}

// freshFor is how long core's word about somebody counts who may be on the ban list.
const freshFor = 2 * time.Second

// timing is what a stream needs of the state object.
type timing struct {
	generation uint32
	opensAt    time.Time
	window     time.Duration
	lastWindow uint32 // the chain ends here
	sealing    bool   // core is sealing window 0, or is past it
	unsealed   uint32 // first window that is not sealed
}

func timingOf(s *queue.State) timing {
	t := timing{
		generation: s.Generation, opensAt: s.OpensAt.Time, window: time.Duration(s.WindowSeconds) * time.Second,
		lastWindow: uint32(max(s.ChainLength-1, 0)),
		sealing:    s.Phase != queue.PhaseAnnounced && s.Phase != queue.PhaseJoining,
	}
	for i := range s.Windows {
		if s.Windows[i].Closed() {
			t.unsealed = s.Windows[i].Window + 1
		}
	}
	return t
}

// windowAt is the window somebody who arrives at an instant of core's clock belongs to.
func (t timing) windowAt(at time.Time) uint32 {
	window := uint32(0)
	if !at.Before(t.opensAt) {
		window = uint32(min(1+int64(at.Sub(t.opensAt)/t.window), int64(t.lastWindow)))
	} else if t.sealing {
		window = 1
	}
	return max(window, t.unsealed)
}

// stream hands an event's entrants over to core in order of arrival, and tells core when a window is complete.
//
// Its promise: once the marker of a window has been sent, no entrant of that window follows. Entrants are given their
// window and a place in the line under one lock, and windows along the line never decrease; so the marker of window w
// goes out with the request that carries the last entrant of a window up to w.
//
// Any goroutine may join and observe; one alone takes batches and settles them.
type stream struct {
	limit int // entrants that may wait
	batch int // entrants in one request

	mu      sync.Mutex
	timing  timing
	closed  int64 // highest window that gets no more entrants; -1: none
	marked  int64 // highest window whose marker core has; -1: none
	line    []poolEntry
	pending map[lottery.Entrant]uint32 // in line or under way → window
	acks    ackCache
	wake    chan struct{} // capacity 1
}

func newStream(c JoinConfig) *stream {
	return &stream{
		limit: c.Queue, batch: c.Batch, closed: -1, marked: -1,
		pending: make(map[lottery.Entrant]uint32),
		acks:    ackCache{ttl: c.AckTTL, limit: c.AckEntries},
		wake:    make(chan struct{}, 1),
	}
}

// observe takes over what the newest state object says. Another generation is another on-sale: whoever waited for the
// old one has to join anew.
func (s *stream) observe(t timing) {
	s.mu.Lock()
	if t.generation != s.timing.generation {
		s.closed, s.marked = -1, -1
		s.line = nil
		clear(s.pending)
		s.acks.reset()
	}
	s.timing = t
	s.marked = max(s.marked, int64(t.unsealed)-1) // a sealed window needs no marker
	s.mu.Unlock()
	s.signal()
}

// join puts an entrant in line, unless they are in it or acknowledged already, and returns what is known of their place.
// at is core's time. fresh wants core's word of just now, not one remembered. full: nothing was done.
func (s *stream) join(e poolEntry, at time.Time, fresh bool) (place seat, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, ok := s.acks.find(e.entrant, at); ok && (!fresh || at.Sub(place.at) < freshFor) {
		return place, false
	}
	if window, ok := s.pending[e.entrant]; ok {
		return seat{window: window}, false
	}
	if len(s.line) >= s.limit {
		return seat{}, true
	}
	s.closeThrough(at)
	e.window = uint32(max(int64(s.timing.windowAt(at)), s.closed+1))
	s.line = append(s.line, e)
	s.pending[e.entrant] = e.window
	if len(s.line) == 1 || len(s.line) == s.batch {
		s.signal()
	}
	return seat{window: e.window}, false
}

// closeThrough closes every window that has ended by then. The caller holds s.mu.
func (s *stream) closeThrough(at time.Time) {
	if s.timing.generation != 0 {
		s.closed = max(s.closed, int64(s.timing.windowAt(at))-1)
	}
}

// signal wakes the goroutine that sends.
func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// shipment is one request's worth.
type shipment struct {
	generation uint32
	entries    []poolEntry
	marker     int64 // -1: none
}

// next takes what should be sent now: entrants in order and, when they complete a window, its marker. Windows get their
// markers one by one, since core waits for each. The shipment stays the caller's until it is settled; false means
// there is nothing to send.
func (s *stream) next(at time.Time) (shipment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeThrough(at)
	out := shipment{generation: s.timing.generation, marker: -1}
	n := min(len(s.line), s.batch)
	if due := s.marked + 1; due <= s.closed {
		inside := 0
		for inside < len(s.line) && int64(s.line[inside].window) <= due {
			inside++
		}
		if inside <= n {
			n, out.marker = inside, due
		}
	}
	if n == 0 && out.marker < 0 {
		return out, false
	}
	out.entries = s.line[:n:n]
	s.line = s.line[n:]
	if len(s.line) == 0 {
		s.line = nil // lets the array go with the shipment
	}
	return out, true
}

// settle notes core's answers to a shipment, one per entry. Without answers the entries are given up: their pages join
// again.
func (s *stream) settle(out shipment, seats []seat, marked bool, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.generation != s.timing.generation {
		return
	}
	for i, e := range out.entries {
		delete(s.pending, e.entrant)
		if i < len(seats) {
			seats[i].at = at
			s.acks.put(e.entrant, seats[i], at)
		}
	}
	if marked {
		s.marked = max(s.marked, out.marker)
	}
}

// idle is how long the sender may sleep: until the batch is full or old enough, or the window ends.
func (s *stream) idle(at time.Time, flush time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.line) >= s.batch:
		return 0
	case len(s.line) > 0:
		return flush
	case s.timing.generation == 0:
		return time.Minute
	}
	if end := s.timing.opensAt.Add(time.Duration(s.closed+1) * s.timing.window); end.After(at) {
		return min(end.Sub(at), time.Minute)
	}
	if s.marked < s.closed {
		return 0
	}
	return time.Minute // the chain has ended
}

// due tells whether something must be sent without waiting for company.
func (s *stream) due(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeThrough(at)
	return len(s.line) >= s.batch || s.marked < s.closed
}

// waiting counts the entrants in line.
func (s *stream) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line)
}

// unsettled counts the entrants core has not answered for.
func (s *stream) unsettled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}

// ackCache remembers acknowledgements for a while, so that the page's next join is answered at once. It keeps two
// generations: new ones go into the young; when that is half the limit or half the time to live old, it becomes the old
// one and the old one is forgotten. Whoever is forgotten goes through core again, which answers the same.
type ackCache struct {
	ttl        time.Duration
	limit      int
	young, old map[lottery.Entrant]seat
	turned     time.Time
}

func (c *ackCache) find(e lottery.Entrant, at time.Time) (seat, bool) {
	c.turn(at)
	if s, ok := c.young[e]; ok {
		return s, true
	}
	s, ok := c.old[e]
	return s, ok
}

func (c *ackCache) put(e lottery.Entrant, s seat, at time.Time) {
	c.turn(at)
	if c.young == nil {
		c.young, c.turned = make(map[lottery.Entrant]seat), at
	}
	c.young[e] = s
	if len(c.young) >= max(c.limit/2, 1) {
		c.old, c.young = c.young, nil
	}
}

// turn forgets what is too old. One turn moves the young on; after a long pause both go.
func (c *ackCache) turn(at time.Time) {
	half := c.ttl / 2
	if at.Sub(c.turned) < half {
		return
	}
	c.old = nil
	if at.Sub(c.turned) < c.ttl {
		c.old = c.young
	}
	c.young, c.turned = nil, at
}

func (c *ackCache) reset() { c.young, c.old = nil, nil }
