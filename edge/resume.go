package edge

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// An order that was begun and not paid is found again in the browser that began it, by its session's cookie, on the event's page and the
// account's; where somebody is signed in, on any device; and by the link of a mail. The link's token stands behind the # of the address,
// which no browser sends to anybody: the page posts it (openLink), and it becomes a cookie. It opens that one order, to look and to pay.

// headerLink is where the links that a browser has opened travel to core, separated by commas.
const headerLink = "Fairgate-Order-Link"

// maxLinks is how many opened links a request may show core: that of the event it is about comes first, then those good for longest.
const maxLinks = 4

// orderLink is a link that this browser has opened.
type orderLink struct {
	order uuid.UUID
	slug  string
	text  []byte // the cookie's value, copied
	until time.Time
	asked bool // the request is about its order or event
}

// linksOf are the links that this browser has opened and that may still be good: core alone can tell. Those to the order or the event that
// is asked for come first.
func (s *Server) linksOf(ctx *fasthttp.RequestCtx, now time.Time) []orderLink {
	var found []orderLink
	path, event := append([]byte(nil), ctx.Path()...), string(ctx.QueryArgs().Peek("event"))
	prefix := s.cookies.order
	for key, value := range ctx.Request.Header.Cookies() {
		if len(key) <= len(prefix) || string(key[:len(prefix)]) != prefix {
			continue
		}
		if link, ok := s.readLink(value, now); ok && lottery.ValidSlug(string(key[len(prefix):])) {
			slug := string(key[len(prefix):])
			asked := slug == event || bytes.HasPrefix(append(path, '/'), []byte("/e/"+slug+"/")) || bytes.Contains(path, []byte(link.Order.String()))
			found = append(found, orderLink{link.Order, slug, append([]byte(nil), value...), link.ExpiresAt, asked})
		}
	}
	slices.SortStableFunc(found, func(a, b orderLink) int {
		if a.asked != b.asked {
			if a.asked {
				return -1
			}
			return 1
		}
		return b.until.Compare(a.until)
	})
	return found[:min(len(found), maxLinks)]
}

// readLink reads a link's text as far as an edge can: its form and its time.
func (s *Server) readLink(value []byte, now time.Time) (admission.OrderLink, bool) {
	var buf [admission.OrderLinkSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return admission.OrderLink{}, false
	}
	link, err := admission.ParseOrderLink(raw)
	return link, err == nil && s.clock.at(now).Before(link.ExpiresAt)
}

// openLink takes the token of a mail's link, asks core for its order, and makes it a cookie of this browser.
//
//	POST /v1/orders/{id}/link {"token": "…"}
func (s *Server) openLink(ctx *fasthttp.RequestCtx, order []byte) {
	now, client := s.now(), s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	var request struct {
		Token string `json:"token"`
	}
	if !readObject(ctx.PostBody(), &request) {
		refuse(ctx, problemBadJSON)
		return
	}
	link, ok := s.readLink([]byte(request.Token), now)
	if !ok || link.Order.String() != string(order) {
		refuse(ctx, problemLinkDead)
		return
	}
	if s.limited(ctx, guard.Session, now, link.Order[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	c := caller{event: link.Order, links: []orderLink{{order: link.Order, text: []byte(request.Token)}}}
	if who, known := s.cookies.browserOf(ctx); known {
		c.device = who.hash
	}
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodGet)
	req.SetRequestURI("/v1/orders/" + string(order))
	c.identify(req, client.String())
	s.counts.forwarded.Inc()
	if err := s.core.exchange(c.event, req, resp); err != nil {
		s.refuseUpstream(ctx, err)
		return
	}
	switch status := resp.StatusCode(); {
	case status == fasthttp.StatusUnauthorized || status == fasthttp.StatusNotFound:
		refuse(ctx, problemLinkDead)
		return
	case status == fasthttp.StatusOK:
		var got struct{ Event string }
		if json.Unmarshal(resp.Body(), &got) != nil || !lottery.ValidSlug(got.Event) {
			s.refuseUpstream(ctx, errLost)
			return
		}
		s.cookies.set(ctx, s.cookies.order+got.Event, []byte(request.Token))
	}
	s.copyResponse(ctx, resp)
}

// unfinishedOf is what core says of the orders that this browser can still pay, of one event or, without one, of all; nil where there are
// none that anybody could tell. No page waits for more than that, or fails without it: whatever refusal there was is taken back, so this
// comes before anything else of an answer.
func (s *Server) unfinishedOf(ctx *fasthttp.RequestCtx, slug string) []byte {
	now, client := s.now(), s.proxies.client(ctx)
	if slug != "" && s.crowded(ctx, now, client) { // anybody can make up links, a new one each time; the account's page has looked before
		ctx.Response.Reset()
		return nil
	}
	buyer, ok := s.callerOf(ctx, true, linkToo, now)
	if !ok || !s.enter(ctx) {
		ctx.Response.Reset()
		return nil
	}
	defer s.leave()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodGet)
	req.SetRequestURI("/v1/orders")
	if slug != "" {
		req.URI().SetQueryString("event=" + slug)
	}
	buyer.identify(req, client.String())
	s.counts.forwarded.Inc()
	if err := s.core.exchange(buyer.event, req, resp); err != nil || resp.StatusCode() != fasthttp.StatusOK {
		return nil
	}
	return append([]byte(nil), resp.Body()...)
}

// hasBegun tells whether this browser may have an order of the event, or without one of any: whoever only waits costs core nothing.
func (s *Server) hasBegun(ctx *fasthttp.RequestCtx, slug string) bool {
	for key := range ctx.Request.Header.Cookies() {
		for _, prefix := range []string{s.cookies.sess, s.cookies.order} {
			if len(key) > len(prefix) && string(key[:len(prefix)]) == prefix && (slug == "" || string(key[len(prefix):]) == slug) {
				return true
			}
		}
	}
	return slug == "" && len(ctx.Request.Header.Cookie(s.cookies.acct)) > 0
}
