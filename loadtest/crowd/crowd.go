package crowd

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"fairgate/edge/queue"
)

// Progress is how the crowd stands.
type Progress struct {
	At                                         time.Duration // from the start
	Arrived, Receipted, Drawn, Admitted, Calls int64
	Phase                                      string
	Polls                                      Latency // since Progress was last asked for
}

// Crowd is one play of a plan. Make it with New and Run it once.
type Crowd struct {
	plan    Plan
	states  *states
	members []member
	began   time.Time
	meters  meters
	errs    problems

	arrived, receipted, drawn, admitted, calls atomic.Int64
}

// New prepares the crowd.
func New(plan Plan) (*Crowd, error) {
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	c := &Crowd{plan: plan, states: newStates(), members: make([]member, plan.All())}
	for n := range c.members {
		at, storm := plan.arrival(n)
		c.members[n] = member{number: n, storm: storm, arrived: at, due: at}
	}
	return c, nil
}

// Progress may be asked for while the crowd runs. Each asking begins a new stretch of polls.
func (c *Crowd) Progress() Progress {
	p := Progress{
		At: time.Since(c.began), Arrived: c.arrived.Load(), Receipted: c.receipted.Load(), Drawn: c.drawn.Load(), Admitted: c.admitted.Load(),
		Calls: c.calls.Load(), Polls: c.meters.lately.restart(),
	}
	if state := c.states.newest.Load(); state != nil {
		p.Phase = string(state.Phase)
	}
	return p
}

// Run plays the plan, began being its start, until the crowd has been watched long enough after the opening or ctx ends.
func (c *Crowd) Run(ctx context.Context, began time.Time) error {
	c.began = began
	ctx, cancel := context.WithDeadline(ctx, began.Add(c.plan.OpensIn()+c.plan.Open))
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	n := min(c.plan.Connections, len(c.members))
	for i := range n {
		edge, err := url.Parse(c.plan.Edges[i%len(c.plan.Edges)])
		if err != nil || edge.Host == "" {
			cancel()
			return fmt.Errorf("the address of an edge, %q: %w", c.plan.Edges[i%len(c.plan.Edges)], err)
		}
		l := &line{crowd: c, wire: wire{addr: edge.Host, timeout: c.plan.Timeout}, rng: rand.New(rand.NewPCG(c.plan.Seed, uint64(i)))}
		for at := i; at < len(c.members); at += n {
			l.members = append(l.members, &c.members[at])
		}
		slices.SortFunc(l.members, func(a, b *member) int { return cmp.Compare(a.due, b.due) }) // a sorted slice is a heap
		all.Go(func() { l.run(ctx) })
	}
	return nil
}

// line is one connection and the members whose calls it makes.
type line struct {
	crowd   *Crowd
	wire    wire
	members dueHeap
	rng     *rand.Rand
	request []byte
	reply   reply
}

func (l *line) run(ctx context.Context) {
	defer l.wire.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for len(l.members) > 0 {
		m := l.members[0]
		timer.Reset(time.Until(l.crowd.began.Add(m.due)))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait, done := l.call(m)
		if done {
			heap.Pop(&l.members)
			continue
		}
		m.due = time.Since(l.crowd.began) + wait
		heap.Fix(&l.members, 0)
	}
}

// jitter is the page's: it keeps pages that saw the same news from coming back together.
func (l *line) jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.85 + 0.3*l.rng.Float64()))
}

// call makes a member's next call and says in how long the one after it is due, or that there is none.
func (l *line) call(m *member) (wait time.Duration, done bool) {
	c := l.crowd
	what, of := "state", &c.meters.poll
	switch m.stage {
	case joining:
		what, of = "join", &c.meters.join
		if m.storm {
			of = &c.meters.stormJoin
		}
		if m.tries == 0 {
			c.arrived.Add(1)
		}
		if m.tries < 255 {
			m.tries++
		}
	case called:
		what, of = "claim", &c.meters.claim
	}
	l.request = m.request(l.request[:0], l.wire.addr, c.plan.Event, what)
	var skip func([]byte) bool
	if m.stage == waiting {
		skip = c.states.known
	}
	r := &l.reply
	err := l.wire.do(l.request, r, skip)
	c.calls.Add(1)
	if err != nil {
		c.errs.add(what, m.storm, 0, err.Error())
		return l.jitter(time.Second), false
	}
	took := time.Since(c.began) - m.due
	of.record(took)
	if m.stage == waiting {
		c.meters.lately.record(took)
	}
	switch {
	case r.status == 200, r.status == 304:
		return l.taken(m, r, took)
	case honestWait(r):
		c.meters.waits.Add(1)
		if m.storm && m.stage == joining {
			c.meters.stormWaits.Add(1)
		}
		return l.jitter(max(r.retryAfter, time.Second)), false
	}
	c.errs.add(what, m.storm, r.status, string(r.body[:min(len(r.body), 300)]))
	m.stage = lost
	return 0, true
}

// honestWait is an answer that asks to come again and says when.
func honestWait(r *reply) bool {
	return (r.status == 425 || r.status == 429 || r.status == 503) && r.retryAfter > 0
}

// taken is what a member makes of a good answer.
func (l *line) taken(m *member, r *reply, took time.Duration) (wait time.Duration, done bool) {
	c := l.crowd
	switch m.stage {
	case joining:
		again, err := m.joined(r)
		if err != nil {
			c.errs.add("join", m.storm, r.status, err.Error())
			return l.jitter(time.Second), false
		}
		if again > 0 {
			return l.jitter(again), false
		}
		m.stage = waiting
		m.receiptAfter = time.Since(c.began) - m.arrived
		c.receipted.Add(1)
		c.meters.receipt.record(m.receiptAfter)
		if m.storm {
			c.meters.stormReceipt.record(m.receiptAfter)
		}
		return l.jitter(c.states.pollAfter()), false // the page has just loaded the state
	case called:
		if !r.session {
			c.errs.add("claim", m.storm, r.status, "no session was set")
		}
		m.stage = admitted
		c.admitted.Add(1)
		return 0, true
	}
	if r.etag != nil && string(r.etag) != m.etag {
		m.etag = string(r.etag)
	}
	if r.body != nil {
		if err := c.states.learn(r); err != nil {
			c.errs.add("state", m.storm, r.status, err.Error())
			return l.jitter(time.Second), false
		}
	}
	state := c.states.newest.Load()
	if state == nil {
		return l.jitter(time.Second), false
	}
	before := m.drawn
	if m.look(state) && (state.Phase == queue.PhaseOpen || state.Phase == queue.PhaseSoldOut) {
		m.stage = called
	}
	if m.drawn && !before {
		c.drawn.Add(1)
	}
	if m.stage == called {
		return 0, false
	}
	return l.jitter(c.states.pollAfter()), false
}

// dueHeap has the member whose call is due first at its head.
type dueHeap []*member

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(*member)) }

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
