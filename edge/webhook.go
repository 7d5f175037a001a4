package edge

import (
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
)

// webhookHeaders are what providers sign their webhooks with.
var webhookHeaders = []string{
	"Stripe-Signature",
	"Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Transmission-Sig", "Paypal-Cert-Url", "Paypal-Auth-Algo",
}

// webhook passes a provider's bytes on as they came: their signature is over exactly these.
func (s *Server) webhook(ctx *fasthttp.RequestCtx) {
	if s.hooks == nil {
		refuse(ctx, problemNotFound)
		return
	}
	subject := guard.AddressSubject(s.proxies.client(ctx)) // whether a provider sent it is known after the work is done
	if s.limited(ctx, guard.Webhook, s.now(), subject[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	s.counts.webhooks.Inc()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURIBytes(ctx.Path())
	req.URI().SetScheme(schemeOf(s.hooks.IsTLS))
	req.URI().SetHost(s.hooks.Addr)
	req.Header.SetUserAgent("fairgate-edge")
	req.Header.SetContentTypeBytes(ctx.Request.Header.ContentType())
	for _, name := range webhookHeaders {
		if value := ctx.Request.Header.Peek(name); len(value) > 0 {
			req.Header.SetBytesV(name, value)
		}
	}
	req.SetBody(ctx.PostBody())
	if err := s.hooks.DoTimeout(req, resp, s.cfg.Core.Timeout); err != nil {
		// The provider repeats what was not answered with success.
		s.counts.coreFailed(err)
		if !errors.Is(err, errNotSent) {
			err = fmt.Errorf("%w: %w", errLost, err)
		}
		s.refuseUpstream(ctx, err)
		return
	}
	s.copyResponse(ctx, resp)
}
