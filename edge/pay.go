package edge

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// payPath splits /e/{event}/pay/{order}; ok is false for any other path.
func payPath(path []byte) (slug, order []byte, ok bool) {
	rest, ok := bytes.CutPrefix(path, []byte("/e/"))
	if !ok {
		return nil, nil, false
	}
	slug, order, ok = bytes.Cut(rest, []byte("/pay/"))
	return slug, order, ok && lottery.ValidSlug(string(slug)) && validUUID(order)
}

// servePay shows the page on which an order is paid. Where there is nothing to pay on it the browser goes to the event's page,
// which knows what to do in any case: so an order that is paid cannot be paid again by going back or loading the page anew.
func (s *Server) servePay(ctx *fasthttp.RequestCtx, slug, order []byte) {
	s.withOrder(ctx, string(slug), string(order), func(order []byte) {
		_, known, _ := s.knownOf(ctx, string(slug))
		body, policy, err := s.pages.Pay(s.language(ctx), string(slug), order, known)
		if err != nil {
			if !errors.Is(err, web.ErrNothingToPay) {
				s.log.Error("a payment page cannot be shown", "error", err)
			}
			s.toEvent(ctx, slug)
			return
		}
		pageHeaders(ctx)
		ctx.Response.Header.Set("Content-Security-Policy", policy)
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store") // it holds the secret of this buyer's payment
		ctx.Response.Header.SetContentType("text/html; charset=utf-8")
		ctx.SetBody(body)
	})
}

// withOrder asks core for an order in the name of the browser and shows what it says, which is good until show returns. Whoever may not
// see it goes to the event's page.
func (s *Server) withOrder(ctx *fasthttp.RequestCtx, slug, order string, show func(order []byte)) {
	now, client := s.now(), s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	buyer, ok := s.callerOf(ctx, true, linkToo, now)
	if !ok {
		if ctx.Response.StatusCode() == fasthttp.StatusUnauthorized {
			ctx.Response.Reset()
			s.toEvent(ctx, []byte(slug))
		}
		return
	}
	if !s.enter(ctx) {
		return
	}
	defer s.leave()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodGet)
	req.SetRequestURI("/v1/orders/" + order)
	buyer.identify(req, client.String())
	s.counts.forwarded.Inc()
	if err := s.core.exchange(buyer.event, req, resp); err != nil {
		s.refuseUpstream(ctx, err)
		return
	}
	if resp.StatusCode() != fasthttp.StatusOK {
		s.toEvent(ctx, []byte(slug))
		return
	}
	show(resp.Body())
}

// toEvent sends the browser to the event's page.
func (s *Server) toEvent(ctx *fasthttp.RequestCtx, slug []byte) {
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.Set(fasthttp.HeaderLocation, "/e/"+string(slug))
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}
