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
	headerAccount = "Fairgate-Account" // both ways: core answers with a renewed one
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
		one.bit = 1 << len(u.cores)
		u.cores = append(u.cores, one)
	}
	return u, nil
}

// pick returns the live core with the highest rendezvous weight for the event, leaving out those whose bits are set; nil
// when there is none.
func (u *upstream) pick(event uuid.UUID, except uint64) *core {
	now, key := u.now(), hashEvent(event)
	var best *core
	var weight uint64
	for _, c := range u.cores {
		if c.bit&except != 0 || !c.live(now, u.silence) {
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

// exchange sends a request to the event's core and, when that one cannot be reached or is about to stop, to the next. When
// the answer was lost and there is still time it asks once more, elsewhere if possible: what buyers ask for may be asked
// twice, since reading and giving back change nothing the second time and what is created is known by its key.
func (u *upstream) exchange(event uuid.UUID, req *fasthttp.Request, resp *fasthttp.Response) error {
	began := u.now()
	failed, lost, tried := errNotSent, false, uint64(0)
	for to := u.pick(event, 0); to != nil; {
		err := u.exchangeWith(to, req, resp)
		if err == nil {
			return nil
		}
		tried |= to.bit
		next := u.pick(event, tried)
		switch {
		case errors.Is(err, errNotSent) && lost: // the first core may have acted
		case errors.Is(err, errNotSent):
			failed = err
		case lost || u.now().Sub(began) > u.timeout/2:
			return err
		default:
			failed, lost = err, true
			if next == nil {
				next = to
			}
		}
		if to = next; to != nil {
			u.counts.failovers.Inc()
		}
	}
	return failed
}

// exchangeWith sends a request to one core. Core not knowing this edge, or being about to stop, is an errNotSent: it did
// not act.
func (u *upstream) exchangeWith(c *core, req *fasthttp.Request, resp *fasthttp.Response) error {
	token := u.authorize(req)
	if err := c.do(c.calls, req, resp, u.timeout); err != nil {
		u.counts.coreFailed(err)
		return err
	}
	switch resp.StatusCode() {
	case fasthttp.StatusUnauthorized:
		if ownProblem(resp.Body()) {
			u.forget(token)
			return fmt.Errorf("%w: it does not accept this edge's enrolment", errNotSent)
		}
	case fasthttp.StatusServiceUnavailable:
		if leaving(resp.Body()) {
			c.seenAt.Store(0)
			return fmt.Errorf("%w: it is about to stop", errNotSent)
		}
	}
	return nil
}

// prepare makes a request with a JSON body, and room for the answer. The caller releases both.
func (u *upstream) prepare(path string, body []byte) (*fasthttp.Request, *fasthttp.Response) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI(path)
	req.Header.SetContentType(typeJSON)
	req.SetBodyRaw(body)
	return req, resp
}

// post sends JSON to one core and returns its answer.
func (u *upstream) post(c *core, path string, body []byte) (answer, error) {
	req, resp := u.prepare(path, body)
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
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
	h := uint64(fnvBasis)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return mix(h)
}

// hashEvent is hashString of an event's bytes.
func hashEvent(event uuid.UUID) uint64 {
	h := uint64(fnvBasis)
	for _, c := range event {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return mix(h)
}

const (
	fnvBasis = 14695981039346656037
	fnvPrime = 1099511628211
)

// mix spreads every bit over all others.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
