package edge

import (
	"bytes"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// Phones ask for changes of the passes they have in Apple Wallet: below the address in the passes, which is ours with /wallet, and without any
// cookie. What they prove themselves with is in Authorization; core, which has a secret of ours there, gets it in a header of its own.

// headerPassToken has the token of a pass.
const headerPassToken = "Fairgate-Pass-Token"

// passScheme is Apple's, in Authorization.
const passScheme = "ApplePass "

// Bounds of what stands in a path, and of a token. Which forms there are core knows.
const (
	maxPassPart  = 128
	maxPassToken = 128
)

// routeWallet: devices/{device}/registrations/{type}, the same with /{serial}, passes/{type}/{serial}, log.
func (s *Server) routeWallet(ctx *fasthttp.RequestCtx, rest []byte) {
	parts := bytes.Split(rest, []byte("/"))
	for _, part := range parts {
		if !validPassPart(part) {
			refuse(ctx, problemNotFound)
			return
		}
	}
	methods := ""
	switch {
	case len(parts) == 1 && string(parts[0]) == "log":
		methods = "POST"
	case len(parts) == 3 && string(parts[0]) == "passes":
		methods = "GET"
	case len(parts) == 4 && string(parts[0]) == "devices" && string(parts[2]) == "registrations":
		methods = "GET"
	case len(parts) == 5 && string(parts[0]) == "devices" && string(parts[2]) == "registrations":
		methods = "POST, DELETE"
	default:
		refuse(ctx, problemNotFound)
		return
	}
	if allow(ctx, methods) {
		s.forwardPass(ctx)
	}
}

// validPassPart accepts what stands between two slashes of a path: nothing that would have to be escaped.
func validPassPart(part []byte) bool {
	if len(part) == 0 || len(part) > maxPassPart {
		return false
	}
	for _, c := range part {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return string(part) != "." && string(part) != ".."
}

// forwardPass passes on what a phone asks about passes.
func (s *Server) forwardPass(ctx *fasthttp.RequestCtx) {
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
	if token, ok := bytes.CutPrefix(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization), []byte(passScheme)); ok && len(token) <= maxPassToken {
		req.Header.SetBytesV(headerPassToken, token)
	}
	if since := ctx.Request.Header.Peek(fasthttp.HeaderIfModifiedSince); len(since) > 0 {
		req.Header.SetBytesV(fasthttp.HeaderIfModifiedSince, since)
	}
	s.exchange(ctx, uuid.Nil, req, resp)
}
