package paysim

import (
	"container/heap"
	"context"
	"net/http"
	"sync"
	"time"
)

// maxAdvance bounds one move of the clock.
const maxAdvance = 10 * 365 * 24 * time.Hour

// clock is the provider's own time, by which everything that takes days at a provider is dated: keys of idempotency,
// authorizations, settlements, payouts and disputes. It runs speed times as fast as the base clock and can be moved
// forward, never back. It is safe for concurrent use. What happens between two programs (answers, webhooks, signatures, the
// rate limit) goes by the base clock instead.
type clock struct {
	base  func() time.Time
	speed float64

	mu    sync.Mutex
	real  time.Time // base and own time were taken together here
	own   time.Time
	moved time.Duration // by hand, in all
}

func newClock(base func() time.Time, speed float64) *clock {
	now := base()
	return &clock{base: base, speed: speed, real: now, own: now}
}

// now is the provider's time. It is that of the base clock until somebody moves it or it was told to run faster.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(c.base())
}

func (c *clock) at(real time.Time) time.Time {
	passed := real.Sub(c.real)
	if c.speed != 1 {
		passed = time.Duration(float64(passed) * c.speed)
	}
	return c.own.Add(passed)
}

// set moves the clock to a time; one that is past already changes nothing.
func (c *clock) set(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	real := c.base()
	if now := c.at(real); to.After(now) {
		c.moved += to.Sub(now)
		c.real, c.own = real, to
	}
}

// until is how long the base clock takes until the provider's shows a time.
func (c *clock) until(to time.Time) time.Duration {
	return time.Duration(float64(to.Sub(c.now())) / c.speed)
}

// duty is something that happens at a time of the provider's clock. do runs with the Server's mutex held and returns the
// events that tell about it.
type duty struct {
	due time.Time
	no  uint64 // in the order in which they were made, among those that are due together
	do  func() []*event
}

// agenda is a heap of duties, the first due first. It is guarded by the Server's mutex.
type agenda struct {
	duties []duty
	made   uint64
}

// Len, Less and Swap are for package heap.
func (a *agenda) Len() int { return len(a.duties) }

// Less orders by due time, then by age.
func (a *agenda) Less(x, y int) bool {
	if !a.duties[x].due.Equal(a.duties[y].due) {
		return a.duties[x].due.Before(a.duties[y].due)
	}
	return a.duties[x].no < a.duties[y].no
}

// Swap is for package heap.
func (a *agenda) Swap(x, y int) { a.duties[x], a.duties[y] = a.duties[y], a.duties[x] }

// Push is for package heap.
func (a *agenda) Push(x any) { a.duties = append(a.duties, x.(duty)) }

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := len(a.duties) - 1
	d := a.duties[last]
	a.duties[last] = duty{}
	a.duties = a.duties[:last]
	return d
}

// after has something done when the provider's clock has gone on by d. The caller holds the Server's mutex.
func (s *Server) after(d time.Duration, do func() []*event) { s.at(s.clock.now().Add(d), do) }

// at has something done at a time of the provider's clock. The caller holds the Server's mutex.
func (s *Server) at(due time.Time, do func() []*event) {
	s.agenda.made++
	heap.Push(&s.agenda, duty{due: due, no: s.agenda.made, do: do})
	if s.agenda.duties[0].no == s.agenda.made {
		select {
		case s.stir <- struct{}{}:
		default:
		}
	}
}

// perform does the first duty that is due by then, on a clock that shows at least the time it was due. It tells whether
// there was one, and else when the next is due.
func (s *Server) perform(ctx context.Context, by time.Time) (done bool, next time.Time) {
	s.mu.Lock()
	if len(s.agenda.duties) == 0 {
		s.mu.Unlock()
		return false, time.Time{}
	}
	if first := s.agenda.duties[0].due; first.After(by) {
		s.mu.Unlock()
		return false, first
	}
	d := heap.Pop(&s.agenda).(duty)
	s.clock.set(d.due)
	events := d.do()
	s.mu.Unlock()
	s.announce(ctx, events)
	return true, time.Time{}
}

// Now is the time by the provider's clock.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the provider's clock forward and does, one after the other, all that falls due on the way, each at its time.
// It returns how many things that were. Events go out as ever.
func (s *Server) Advance(ctx context.Context, by time.Duration) int {
	s.moving.Lock()
	defer s.moving.Unlock()
	target := s.clock.now().Add(by)
	done := 0
	for {
		did, _ := s.perform(ctx, target)
		if !did {
			break
		}
		done++
	}
	s.clock.set(target)
	return done
}

// keepTime does what falls due until ctx ends.
func (s *Server) keepTime(ctx context.Context) {
	for ctx.Err() == nil {
		did, next := s.perform(ctx, s.clock.now())
		if did {
			continue
		}
		wait := time.Minute
		if !next.IsZero() {
			wait = min(wait, max(s.clock.until(next), time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.stir:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// clockJSON is the answer of /_paysim/clock.
type clockJSON struct {
	Now   time.Time `json:"now"`
	Speed float64   `json:"speed"`
	Moved string    `json:"moved"` // by hand, in all
	Done  int       `json:"done"`  // what fell due on the way
	Open  int       `json:"open"`  // what waits for its time
}

// showClock answers GET /_paysim/clock.
func (s *Server) showClock(w http.ResponseWriter, _ *http.Request) { s.sendClock(w, 0) }

// moveClock answers POST /_paysim/clock with {"advance":"72h"} or the field advance.
func (s *Server) moveClock(w http.ResponseWriter, r *http.Request) {
	fields, ok := s.control(w, r)
	if !ok {
		return
	}
	by, err := time.ParseDuration(fields["advance"])
	if err != nil || by < 0 || by > maxAdvance {
		s.send(w, refusal(invalid(http.StatusBadRequest, "", "advance", "advance must be a duration such as 72h, at most ten years.")))
		return
	}
	s.sendClock(w, s.Advance(r.Context(), by))
}

func (s *Server) sendClock(w http.ResponseWriter, done int) {
	s.clock.mu.Lock()
	moved := s.clock.moved
	s.clock.mu.Unlock()
	s.mu.Lock()
	open := len(s.agenda.duties)
	s.mu.Unlock()
	s.send(w, &reply{status: http.StatusOK, other: encode(clockJSON{
		Now: s.clock.now(), Speed: s.clock.speed, Moved: moved.String(), Done: done, Open: open,
	})})
}
