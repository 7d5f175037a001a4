package edge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// Headers between edge and core.
const (
	headerEdge    = "Fairgate-Edge"
	headerSession = "Fairgate-Session"
	headerDevice  = "Fairgate-Device"
	headerClient  = "Fairgate-Client"
	headerKey     = "Idempotency-Key"
)

// Content types.
const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// answer is what core said. The body belongs to whoever got the answer.
type answer struct {
	status int
	body   []byte
}

// upstream is core as a whole: several processes of which any may serve any event. An event's requests go to one of them
// by rendezvous hashing over those that live, so that batches are large and conflicts rare; which one is right is a
// matter of speed only.
type upstream struct {
	cores   []*core
	bearer  string                 // the Authorization header's value
	token   atomic.Pointer[string] // the edge token of the last enrolment
	wanted  chan struct{}          // an enrolment is wanted; capacity 1
	timeout time.Duration
	silence time.Duration
	now     func() time.Time
	counts  *counts
}

func newUpstream(c Config, secret string, now func() time.Time, counts *counts) (*upstream, error) {
	u := &upstream{
		bearer: "Bearer " + secret, timeout: c.Core.Timeout, silence: c.Feed.Silence, now: now,
		counts: counts, wanted: make(chan struct{}, 1),
	}
	for _, rawURL := range c.Core.URLs {
		one, err := newCore(rawURL, c.Core, c.Limits)
		if err != nil {
			return nil, err
		}
		u.cores = append(u.cores, one)
	}
	return u, nil
}

// pick returns the live core with the highest rendezvous weight for the event, leaving out one; nil when there is none.
func (u *upstream) pick(event uuid.UUID, except *core) *core {
	now, key := u.now(), hashString(string(event[:]))
	var best *core
	var weight uint64
	for _, c := range u.cores {
		if c == except || !c.live(now, u.silence) {
			continue
		}
		if w := mix(c.hash ^ key); best == nil || w > weight {
			best, weight = c, w
		}
	}
	return best
}

// silentFor is how long no core has been heard of.
func (u *upstream) silentFor(now time.Time) time.Duration {
	var last int64
	for _, c := range u.cores {
		last = max(last, c.seenAt.Load())
	}
	return now.Sub(time.Unix(0, last))
}

// exchange sends a request to the event's core and, when that one cannot be reached, to the next.
func (u *upstream) exchange(event uuid.UUID, req *fasthttp.Request, resp *fasthttp.Response) error {
	first := u.pick(event, nil)
	if first == nil {
		return errNotSent
	}
	err := u.exchangeWith(first, req, resp)
	if errors.Is(err, errNotSent) {
		if second := u.pick(event, first); second != nil {
			u.counts.failovers.Inc()
			return u.exchangeWith(second, req, resp)
		}
	}
	return err
}

// exchangeWith sends a request to one core. Core not knowing this edge is an errNotSent: it did not act.
func (u *upstream) exchangeWith(c *core, req *fasthttp.Request, resp *fasthttp.Response) error {
	token := u.authorize(req)
	if err := c.do(c.calls, req, resp, u.timeout); err != nil {
		u.counts.coreFailed(err)
		return err
	}
	if resp.StatusCode() == fasthttp.StatusUnauthorized && ownProblem(resp.Body()) {
		u.forget(token)
		return fmt.Errorf("%w: it does not accept this edge's enrolment", errNotSent)
	}
	return nil
}

// post sends JSON to one core and returns its answer.
func (u *upstream) post(c *core, path string, body []byte) (answer, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI(path)
	req.Header.SetContentType(typeJSON)
	req.SetBodyRaw(body)
	if err := u.exchangeWith(c, req, resp); err != nil {
		return answer{}, err
	}
	return answer{status: resp.StatusCode(), body: append([]byte(nil), resp.Body()...)}, nil
}

// authorize sets the headers that prove who the edge is, and returns the edge token it used.
func (u *upstream) authorize(req *fasthttp.Request) *string {
	req.Header.Set(fasthttp.HeaderAuthorization, u.bearer)
	token := u.token.Load()
	if token != nil {
		req.Header.Set(headerEdge, *token)
	}
	return token
}

// forget drops an edge token that core refused, and asks for a new enrolment.
func (u *upstream) forget(token *string) {
	if u.token.CompareAndSwap(token, nil) || token == nil {
		u.want()
	}
}

// want asks for an enrolment, now.
func (u *upstream) want() {
	select {
	case u.wanted <- struct{}{}:
	default:
	}
}

// enrolled tells whether core has accepted this edge.
func (u *upstream) enrolled() bool { return u.token.Load() != nil }

func (u *upstream) close() {
	for _, c := range u.cores {
		c.close()
	}
}

// sleep waits, or returns false at once when the context ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hashString is FNV-1a with a finalizer; the same on every edge, so that all send an event to the same core.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads every bit over all others.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
