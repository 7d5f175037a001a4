package edge

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// coreRetry is how soon somebody is told to ask again whom core's silence sent away.
const coreRetry = 2 * time.Second

// passedOn are the headers of core's answers that buyers get to see.
var passedOn = []string{
	fasthttp.HeaderETag, fasthttp.HeaderCacheControl, fasthttp.HeaderRetryAfter, fasthttp.HeaderVary, fasthttp.HeaderLocation,
	fasthttp.HeaderContentDisposition, fasthttp.HeaderLastModified,
}

// forwardPrivate passes a buyer's call on to core, for a browser with a session, or for reading with a signed-in account. creating calls
// need an Idempotency-Key.
func (s *Server) forwardPrivate(ctx *fasthttp.RequestCtx, creating bool) {
	may := sessionAlone
	if ctx.IsGet() {
		may = accountToo
	}
	s.forwardFor(ctx, creating, may, nothing)
}

// forwardOwned is forwardPrivate of a call that an account may make without a session, although it changes something.
func (s *Server) forwardOwned(ctx *fasthttp.RequestCtx, creating bool) {
	s.forwardFor(ctx, creating, accountToo, nothing)
}

// forwardSigned is forwardOwned of what only an account can do.
func (s *Server) forwardSigned(ctx *fasthttp.RequestCtx) {
	s.forwardFor(ctx, false, accountWanted, nothing)
}

// forwardLinked is forwardOwned of a call for which a link to an order will do.
func (s *Server) forwardLinked(ctx *fasthttp.RequestCtx, creating bool) {
	s.forwardFor(ctx, creating, linkToo, nothing)
}

// proof says by what a caller may be known.
type proof int

const (
	sessionAlone  proof = iota
	accountToo          // or by the account that is signed in
	accountWanted       // the same; who has neither is told to sign in, since a session would not do
	linkToo             // or by that, or by a link to an order, or by a session that has expired: core decides for how long
)

func nothing(uuid.UUID) func() { return func() {} }

// forwardFor is forwardPrivate; may says by what the caller may be known. begin is called with what the caller is known by before core is
// asked, and what it answers afterwards.
func (s *Server) forwardFor(ctx *fasthttp.RequestCtx, creating bool, may proof, begin func(uuid.UUID) (end func())) {
	now := s.now()
	client := s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	key := ctx.Request.Header.Peek(headerKey)
	if creating {
		if bad := checkKey(key); bad != nil {
			refuse(ctx, bad)
			return
		}
	}
	c, ok := s.callerOf(ctx, ctx.IsGet() || may == linkToo, may, now)
	if !ok || !s.enter(ctx) {
		return
	}
	defer s.leave()
	defer begin(c.id)()

	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	copyRequest(req, ctx)
	c.identify(req, client.String())
	if len(key) > 0 {
		req.Header.SetBytesV(headerKey, key)
	}
	s.exchange(ctx, c.event, req, resp)
}

// forwardOrder passes on a look at an order. One that waits for news keeps a connection to core meanwhile: half of those to one core
// may be kept, and few of them by one session. Who comes then is answered at once.
func (s *Server) forwardOrder(ctx *fasthttp.RequestCtx) {
	if len(ctx.URI().QueryString()) == 0 {
		s.forwardLinked(ctx, false)
		return
	}
	s.forwardFor(ctx, false, linkToo, func(who uuid.UUID) func() {
		if !s.follows.enter(who) {
			ctx.URI().SetQueryString("")
			return func() {}
		}
		return func() { s.follows.leave(who) }
	})
}

// caller is who makes a call that names no event: the sessions of a browser, the newest first, or the account that is signed in there,
// or both, or the links to orders that the browser has opened.
type caller struct {
	id      uuid.UUID // of the newest session, or of the account
	event   uuid.UUID // of the newest session: whose core is asked
	device  lottery.DeviceHash
	buyers  []shopper
	account []byte // the cookie's value; nil: nobody is signed in
	links   []orderLink
}

// callerOf finds who calls, by what they may be known by, or answers and returns false.
func (s *Server) callerOf(ctx *fasthttp.RequestCtx, reading bool, may proof, now time.Time) (caller, bool) {
	buyers, bad := s.findShoppers(ctx, reading, now)
	signedIn, none := s.accountOf(ctx, now)
	c := caller{buyers: buyers}
	if none == nil {
		c.id, c.event, c.device, c.account = signedIn.token.Account, signedIn.token.Account, signedIn.token.Device, signedIn.text
	}
	if may == linkToo {
		c.links = s.linksOf(ctx, now)
	}
	switch {
	case bad == nil:
		c.id, c.event, c.device = buyers[0].session.Session, buyers[0].session.Event, buyers[0].device
	case none == nil && may >= accountToo:
	case len(c.links) > 0:
		c.id, c.event = c.links[0].order, lottery.EventID(c.links[0].slug)
		if who, known := s.cookies.browserOf(ctx); known {
			c.device = who.hash
		}
	case may == accountWanted:
		s.refuseAccount(ctx, none)
		return caller{}, false
	default:
		s.refuseSession(ctx, bad)
		return caller{}, false
	}
	return c, !s.limited(ctx, guard.Session, now, c.id[:])
}

// identify tells core who is calling: the sessions of one browser and the account that is signed in there, its device and its address.
func (c *caller) identify(req *fasthttp.Request, client string) {
	if len(c.buyers) > 0 {
		var sessions []byte
		for i := range c.buyers {
			if i > 0 {
				sessions = append(sessions, ',')
			}
			sessions = append(sessions, c.buyers[i].text...)
		}
		req.Header.SetBytesV(headerSession, sessions)
	}
	if len(c.account) > 0 {
		req.Header.SetBytesV(headerAccount, c.account)
	}
	if len(c.links) > 0 {
		var links []byte
		for i := range c.links {
			if i > 0 {
				links = append(links, ',')
			}
			links = append(links, c.links[i].text...)
		}
		req.Header.SetBytesV(headerLink, links)
	}
	req.Header.SetBytesV(headerDevice, appendHex(nil, c.device[:]))
	req.Header.Set(headerClient, client)
}

// forwardPublic passes a call on to core that anybody may make.
func (s *Server) forwardPublic(ctx *fasthttp.RequestCtx, event uuid.UUID) {
	client := s.proxies.client(ctx)
	if s.crowded(ctx, s.now(), client) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	copyRequest(req, ctx)
	req.Header.Set(headerClient, client.String())
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 {
		req.Header.SetBytesV(fasthttp.HeaderIfNoneMatch, match)
	}
	s.exchange(ctx, event, req, resp)
}

// copyRequest copies method, path, query and body, and of the headers only those that describe the body. Cookies stay
// here.
func copyRequest(req *fasthttp.Request, ctx *fasthttp.RequestCtx) {
	req.Header.SetMethodBytes(ctx.Method())
	req.SetRequestURIBytes(ctx.Path())
	if query := ctx.URI().QueryString(); len(query) > 0 {
		req.URI().SetQueryStringBytes(query)
	}
	if accept := ctx.Request.Header.Peek(fasthttp.HeaderAccept); len(accept) > 0 {
		req.Header.SetBytesV(fasthttp.HeaderAccept, accept)
	}
	if body := ctx.PostBody(); len(body) > 0 {
		req.Header.SetContentTypeBytes(ctx.Request.Header.ContentType())
		req.SetBody(body)
	}
}

// exchange sends the request to core and answers with what core says.
func (s *Server) exchange(ctx *fasthttp.RequestCtx, event uuid.UUID, req *fasthttp.Request, resp *fasthttp.Response) {
	s.counts.forwarded.Inc()
	if err := s.core.exchange(event, req, resp); err != nil {
		s.refuseUpstream(ctx, err)
		return
	}
	s.copyResponse(ctx, resp)
}

func (s *Server) copyResponse(ctx *fasthttp.RequestCtx, resp *fasthttp.Response) {
	if renewed := resp.Header.Peek(headerAccount); len(renewed) > 0 {
		s.cookies.set(ctx, s.cookies.acct, renewed)
	}
	ctx.SetStatusCode(resp.StatusCode())
	ctx.Response.Header.SetContentTypeBytes(resp.Header.ContentType())
	for _, name := range passedOn {
		if value := resp.Header.Peek(name); len(value) > 0 {
			ctx.Response.Header.SetBytesV(name, value)
		}
	}
	if len(resp.Header.Peek(fasthttp.HeaderCacheControl)) == 0 {
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	}
	ctx.Response.SetBody(resp.Body())
}

// refuseUpstream answers for a call that core did not answer.
func (s *Server) refuseUpstream(ctx *fasthttp.RequestCtx, err error) {
	var full *fullError
	switch {
	case errors.As(err, &full):
		refuseUntil(ctx, problemOverloaded, full.wait)
	case errors.Is(err, errGone):
		ctx.SetConnectionClose()
		refuse(ctx, problemRequestTimeout) // nobody reads it
	case errors.Is(err, errLost):
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemOutcomeUnknown, coreRetry)
	default:
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
	}
}
