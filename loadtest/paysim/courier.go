package paysim

import (
	"bytes"
	"container/heap"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Waits between two attempts to send one webhook.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// courier sends events to the webhook endpoint, each when it is due, again until it is accepted or given up. run owns the
// goroutines; everything else may be called by anybody at any time.
type courier struct {
	cfg    Config
	dice   *dice
	client *http.Client
	log    *slog.Logger
	counts courierCounts

	mu     sync.Mutex
	target string
	queue  parcels
	held   map[string]*parcel // by intent: the event that waits for the next one
	wake   chan struct{}
}

type courierCounts struct {
	created, delivered, repeated, lost, retried, givenUp, overflowed, early atomic.Int64
}

// parcel is one event on its way.
type parcel struct {
	event    *event
	due      time.Time
	attempts int
	place    int // in the heap; -1 when it is not there
}

func newCourier(cfg Config, dice *dice) *courier {
	return &courier{
		cfg: cfg, dice: dice, log: cfg.Log, target: cfg.WebhookURL,
		client: &http.Client{
			Timeout:   cfg.WebhookTimeout,
			Transport: &http.Transport{MaxIdleConnsPerHost: 2 * cfg.WebhookWorkers, MaxConnsPerHost: 4 * cfg.WebhookWorkers, IdleConnTimeout: time.Minute},
		},
		held: make(map[string]*parcel),
		wake: make(chan struct{}, 1),
	}
}

// redirect changes where events go.
func (c *courier) redirect(target string) {
	c.mu.Lock()
	c.target = target
	c.mu.Unlock()
	c.nudge()
}

// schedule puts an event on its way, with what the dice decide about it.
func (c *courier) schedule(e *event) {
	c.counts.created.Add(1)
	f := c.cfg.Faults
	if c.dice.dropped.hits(f.WebhookLost) {
		c.counts.lost.Add(1)
		return
	}
	due := c.cfg.Now()
	if f.WebhookDelayMax > 0 {
		due = due.Add(c.dice.delay.between(f.WebhookDelayMin, f.WebhookDelayMax))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &parcel{event: e, due: due}
	if earlier := c.held[e.shown.id]; earlier != nil {
		delete(c.held, e.shown.id)
		if earlier.place >= 0 { // still here: it goes out after this one
			earlier.due = due.Add(20 * time.Millisecond)
			heap.Fix(&c.queue, earlier.place)
		}
	} else if c.dice.reorder.hits(f.WebhookReorder) {
		p.due = p.due.Add(f.ReorderFor)
		c.held[e.shown.id] = p
	}
	c.push(p)
	if c.dice.twice.hits(f.WebhookTwice) {
		c.counts.repeated.Add(1)
		c.push(&parcel{event: e, due: p.due.Add(c.dice.again.between(0, time.Second))})
	}
}

// sendNow delivers an event before it returns, and perhaps again later; when it fails the event goes the normal way.
func (c *courier) sendNow(ctx context.Context, e *event) {
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	if target != "" && c.post(ctx, target, e) == nil {
		c.counts.created.Add(1)
		c.counts.early.Add(1)
		c.counts.delivered.Add(1)
		if c.dice.twice.hits(c.cfg.Faults.WebhookTwice) {
			c.counts.repeated.Add(1)
			c.mu.Lock()
			c.push(&parcel{event: e, due: c.cfg.Now().Add(c.dice.again.between(0, time.Second))})
			c.mu.Unlock()
		}
		return
	}
	c.schedule(e)
}

// push puts a parcel into the queue. The caller holds the mutex.
func (c *courier) push(p *parcel) {
	if c.target == "" || len(c.queue) >= c.cfg.WebhookPending {
		p.place = -1
		c.counts.overflowed.Add(1)
		return
	}
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
	workers.Wait()
	c.client.CloseIdleConnections()
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
	if c.held[p.event.shown.id] == p {
		delete(c.held, p.event.shown.id)
	}
	return p, 0
}

// deliver sends one parcel, and puts it back when it was not accepted.
func (c *courier) deliver(ctx context.Context, p *parcel) {
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	err := c.post(ctx, target, p.event)
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

// post sends one event once.
func (c *courier) post(ctx context.Context, target string, e *event) error {
	body := e.body()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.WebhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(body, c.cfg.Now(), c.cfg.WebhookSecret))
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return statusError(resp.StatusCode)
	}
	return nil
}

// pending is how many parcels wait.
func (c *courier) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// parcels is a heap by due time that knows where each parcel is.
type parcels []*parcel

func (h parcels) Len() int           { return len(h) }
func (h parcels) Less(a, b int) bool { return h[a].due.Before(h[b].due) }
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
