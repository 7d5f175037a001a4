package edge

import (
	"github.com/valyala/fasthttp"

	"fairgate/edge/web"
)

// routePage serves the embedded pages and their files.
func (s *Server) routePage(ctx *fasthttp.RequestCtx, path []byte) {
	if s.chooseLanguage(ctx) {
		return
	}
	if string(path) == listPage {
		if ctx.IsGet() || ctx.IsHead() {
			s.serveList(ctx)
		} else {
			allow(ctx, "GET, HEAD")
		}
		return
	}
	if string(path) == decoyPath {
		s.decoy(ctx)
		return
	}
	if string(path) == accountPage {
		if allow(ctx, "GET, HEAD, POST") && s.fromOurPages(ctx) {
			s.serveAccount(ctx)
		}
		return
	}
	if token, ok := tokenIn(path); ok {
		if allow(ctx, "GET, HEAD, POST") && s.fromOurPages(ctx) {
			s.serveUnsubscribe(ctx, token)
		}
		return
	}
	if slug, ok := drawPath(path); ok {
		if ctx.IsGet() || ctx.IsHead() {
			s.serveDraw(ctx, slug)
		} else {
			allow(ctx, "GET, HEAD")
		}
		return
	}
	if slug, order, ok := buyPath(path); ok {
		switch {
		case order != "" && (ctx.IsGet() || ctx.IsHead()):
			s.serveOrder(ctx, slug, order)
		case order != "":
			allow(ctx, "GET, HEAD")
		case allow(ctx, "GET, HEAD, POST") && s.fromOurPages(ctx):
			s.serveBuy(ctx, slug)
		}
		return
	}
	if slug, ok := registerPath(path); ok {
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.registerByForm(ctx, slug)
		}
		return
	}
	if slug, order, ok := payPath(path); ok {
		if ctx.IsGet() || ctx.IsHead() {
			s.servePay(ctx, slug, order)
		} else {
			allow(ctx, "GET, HEAD")
		}
		return
	}
	if slug, ok := web.EventPath(path); ok {
		if ctx.IsGet() || ctx.IsHead() {
			s.serveEventPage(ctx, slug)
		} else {
			allow(ctx, "GET, HEAD")
		}
		return
	}
	page := s.pages.Find(path)
	if page == nil {
		refuse(ctx, problemNotFound)
		return
	}
	if !ctx.IsGet() && !ctx.IsHead() {
		allow(ctx, "GET, HEAD")
		return
	}
	header := &ctx.Response.Header
	pageHeaders(ctx)
	header.Set(fasthttp.HeaderCacheControl, page.CacheControl)
	header.Set(fasthttp.HeaderETag, page.ETag)
	header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if page.Worker {
		header.Set("Service-Worker-Allowed", web.EventPrefix)
	}
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 && matches(match, page.ETag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	header.SetContentType(page.Type)
	if len(page.Gzip) > 0 && acceptsGzip(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)) {
		header.Set(fasthttp.HeaderContentEncoding, "gzip")
		ctx.Response.SetBodyRaw(page.Gzip)
		return
	}
	ctx.Response.SetBodyRaw(page.Body)
}

// pageHeaders are those of every page and its files.
func pageHeaders(ctx *fasthttp.RequestCtx) {
	header := &ctx.Response.Header
	header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	header.Set("Content-Security-Policy", web.ContentSecurityPolicy)
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
}
