package paysim

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Waits between two attempts to send one webhook.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// courier sends events to the endpoint of their target, each when it is due, again until it is accepted or given up. run
// owns the goroutines; everything else may be called by anybody at any time.
type courier struct {
	cfg    Config
	dice   *dice
	poster *poster
	log    *slog.Logger
	counts courierCounts

	mu      sync.Mutex
	targets map[string]*target
	queue   parcels
	pushed  uint64
	held    map[string]*parcel // by subject: the event that waits for the next one
	wake    chan struct{}
}

// target is where the events of one protocol go and how they are signed.
type target struct {
	url  string // "": nobody listens
	sign signer
	only map[string]bool // the kinds of events that are wanted; nil: all
}

// signer sets the headers with which an endpoint checks that an event is ours, sent at a time.
type signer func(header http.Header, e *event, body []byte, at time.Time)

type courierCounts struct {
	created, delivered, repeated, lost, late, retried, givenUp, overflowed, early atomic.Int64
}

// parcel is one event on its way.
type parcel struct {
	event    *event
	due      time.Time
	attempts int
	place    int // in the heap; -1 when it is not there
	no       uint64
}

func newCourier(cfg Config, dice *dice) *courier {
	return &courier{
		cfg: cfg, dice: dice, log: cfg.Log, targets: make(map[string]*target),
		poster: newPoster(&cfg),
		held:   make(map[string]*parcel),
		wake:   make(chan struct{}, 1),
	}
}

// redirect says where the events of a target go, how they are signed, and which are wanted; no kinds means all.
func (c *courier) redirect(name, url string, sign signer, kinds []string) {
	t := &target{url: url, sign: sign}
	if len(kinds) > 0 && !slices.Contains(kinds, "*") {
		t.only = make(map[string]bool, len(kinds))
		for _, kind := range kinds {
			t.only[kind] = true
		}
	}
	c.mu.Lock()
	c.targets[name] = t
	c.mu.Unlock()
	c.nudge()
}

// to is the target of an event, nil where nobody listens. The caller holds the mutex.
func (c *courier) to(e *event) *target {
	if t := c.targets[e.target]; t != nil && t.url != "" {
		return t
	}
	return nil
}

// wanted tells whether the event's target asked for events of its kind.
func (c *courier) wanted(e *event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.targets[e.target]
	return t == nil || t.only == nil || t.only[e.kind]
}

// schedule puts an event on its way, with what the dice decide about it.
func (c *courier) schedule(e *event) {
	if !c.wanted(e) {
		return
	}
	c.counts.created.Add(1)
	f := &c.cfg.Faults
	if c.dice.hits("dropped", e.name, f.WebhookLost) {
		c.counts.lost.Add(1)
		return
	}
	due := c.cfg.Now()
	if f.WebhookDelayMax > 0 {
		due = due.Add(c.dice.between("delay", e.name, f.WebhookDelayMin, f.WebhookDelayMax))
	}
	if c.dice.hits("late", e.name, f.WebhookLate) {
		c.counts.late.Add(1)
		due = due.Add(c.dice.between("how late", e.name, f.LateFor/2, f.LateFor))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &parcel{event: e, due: due}
	if earlier := c.held[e.subject]; earlier != nil {
		delete(c.held, e.subject)
		if earlier.place >= 0 { // still here: it goes out after this one
			earlier.due = due.Add(20 * time.Millisecond)
			heap.Fix(&c.queue, earlier.place)
		}
	} else if c.dice.hits("reorder", e.name, f.WebhookReorder) {
		p.due = p.due.Add(f.ReorderFor)
		c.held[e.subject] = p
	}
	c.push(p)
	c.repeat(e, p.due)
}

// repeat sends an event again within a second of a time, if the dice say so. The caller holds the mutex.
func (c *courier) repeat(e *event, from time.Time) {
	if c.dice.hits("twice", e.name, c.cfg.Faults.WebhookTwice) {
		c.counts.repeated.Add(1)
		c.push(&parcel{event: e, due: from.Add(c.dice.between("again", e.name, 0, time.Second))})
	}
}

// sendNow delivers an event before it returns, and perhaps again later; when it fails the event goes the normal way.
func (c *courier) sendNow(ctx context.Context, e *event) {
	if c.wanted(e) && c.post(ctx, e) == nil {
		c.counts.created.Add(1)
		c.counts.early.Add(1)
		c.counts.delivered.Add(1)
		c.mu.Lock()
		c.repeat(e, c.cfg.Now())
		c.mu.Unlock()
		return
	}
	c.schedule(e)
}

// push puts a parcel into the queue. The caller holds the mutex.
func (c *courier) push(p *parcel) {
	if c.to(p.event) == nil || len(c.queue) >= c.cfg.WebhookPending {
		p.place = -1
		c.counts.overflowed.Add(1)
		return
	}
	c.pushed++
	p.no = c.pushed
	heap.Push(&c.queue, p)
	c.nudge()
}

func (c *courier) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run hands due parcels to workers until ctx ends.
func (c *courier) run(ctx context.Context) {
	out := make(chan *parcel)
	var workers sync.WaitGroup
	for range c.cfg.WebhookWorkers {
		workers.Go(func() {
			for p := range out {
				c.deliver(ctx, p)
			}
		})
	}
	for ctx.Err() == nil {
		p, wait := c.next()
		if p == nil {
			timer := time.NewTimer(wait)
			select {
			case <-c.wake:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			continue
		}
		select {
		case out <- p:
		case <-ctx.Done():
		}
	}
	close(out)
	c.poster.close()
	workers.Wait()
}

// next takes the first due parcel, or says how long to wait for one.
func (c *courier) next() (*parcel, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil, time.Minute
	}
	if wait := c.queue[0].due.Sub(c.cfg.Now()); wait > 0 {
		return nil, wait
	}
	p := heap.Pop(&c.queue).(*parcel)
	if c.held[p.event.subject] == p {
		delete(c.held, p.event.subject)
	}
	return p, 0
}

// deliver sends one parcel, and puts it back when it was not accepted.
func (c *courier) deliver(ctx context.Context, p *parcel) {
	err := c.post(ctx, p.event)
	if err == nil {
		c.counts.delivered.Add(1)
		return
	}
	if ctx.Err() != nil {
		return
	}
	p.attempts++
	if p.attempts >= c.cfg.WebhookAttempts {
		c.counts.givenUp.Add(1)
		c.log.Warn("a webhook is given up", "event", p.event.id, "type", p.event.kind, "attempts", p.attempts, "error", err.Error())
		return
	}
	c.counts.retried.Add(1)
	p.due = c.cfg.Now().Add(min(firstRetry<<(p.attempts-1), lastRetry))
	c.mu.Lock()
	c.push(p)
	c.mu.Unlock()
}

// statusError is a webhook endpoint's refusal.
type statusError int

func (e statusError) Error() string { return "the endpoint answered " + http.StatusText(int(e)) }

// errNobody means that an event has no endpoint to go to.
var errNobody = errors.New("nobody listens")

// post sends one event once.
func (c *courier) post(ctx context.Context, e *event) error {
	c.mu.Lock()
	to := c.to(e)
	c.mu.Unlock()
	if to == nil {
		return errNobody
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	body, header := e.body(e), make(http.Header, 8)
	to.sign(header, e, body, c.cfg.Now())
	status, err := c.poster.post(to.url, header, body)
	if err != nil {
		return err
	}
	if status < 200 || status > 299 {
		return statusError(status)
	}
	return nil
}

// pending is how many parcels wait.
func (c *courier) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// parcels is a heap by due time, then by the order in which they came, that knows where each parcel is.
type parcels []*parcel

func (h parcels) Len() int { return len(h) }
func (h parcels) Less(a, b int) bool {
	if !h[a].due.Equal(h[b].due) {
		return h[a].due.Before(h[b].due)
	}
	return h[a].no < h[b].no
}
func (h parcels) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].place, h[b].place = a, b
}

// Push is for package heap.
func (h *parcels) Push(x any) {
	p := x.(*parcel)
	p.place = len(*h)
	*h = append(*h, p)
}

// Pop is for package heap.
func (h *parcels) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	p.place = -1
	return p
}
