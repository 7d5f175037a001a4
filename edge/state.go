package edge

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/queue"
)

// The header lines of every state object and of most other answers, as bytes in canonical form, so that they need not be made into that each time.
// Caches between buyer and edge may keep a state object for a second.
var (
	keyCacheControl    = []byte(fasthttp.HeaderCacheControl)
	keyETag            = []byte(fasthttp.HeaderETag)
	keyVary            = []byte(fasthttp.HeaderVary)
	keyContentEncoding = []byte(fasthttp.HeaderContentEncoding)
	stateCacheControl  = []byte("public, max-age=1")
	varyByEncoding     = []byte(fasthttp.HeaderAcceptEncoding)
	encodedGzip        = []byte("gzip")
	noStore            = []byte("no-store")
)

// serveState answers with the state object. This is what hundreds of thousands poll: everything is prebuilt and nothing
// is allocated, looked up per buyer, or written down.
func (s *Server) serveState(ctx *fasthttp.RequestCtx, slug []byte) {
	entry := s.board.Entry(slug)
	if entry == nil {
		s.refuseUnknown(ctx)
		return
	}
	s.counts.states.Inc()
	s.notePoll(ctx)
	header := &ctx.Response.Header
	var tag [128]byte // the longest tag a board takes
	header.SetCanonical(keyCacheControl, stateCacheControl)
	header.SetCanonical(keyETag, append(tag[:0], entry.ETag...))
	header.SetCanonical(keyVary, varyByEncoding)
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 && matches(match, entry.ETag) {
		s.counts.statesFresh.Inc()
		ctx.Response.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	header.SetContentType(typeJSON)
	if accepts := ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding); len(accepts) > 0 && acceptsGzip(accepts) {
		header.SetCanonical(keyContentEncoding, encodedGzip)
		ctx.Response.SetBodyRaw(entry.Gzip)
		return
	}
	ctx.Response.SetBodyRaw(entry.Body)
}

// matches tells whether an If-None-Match header names the tag, weak or strong.
func matches(header []byte, etag string) bool {
	for len(header) > 0 {
		one := header
		if comma := bytes.IndexByte(header, ','); comma >= 0 {
			one, header = header[:comma], header[comma+1:]
		} else {
			header = nil
		}
		one = bytes.TrimPrefix(bytes.TrimSpace(one), []byte("W/"))
		if string(one) == etag || string(one) == "*" {
			return true
		}
	}
	return false
}

// acceptsGzip tells whether an Accept-Encoding header names gzip without refusing it.
func acceptsGzip(header []byte) bool {
	at := bytes.Index(header, []byte("gzip"))
	if at < 0 {
		return false
	}
	rest := header[at+len("gzip"):]
	if comma := bytes.IndexByte(rest, ','); comma >= 0 {
		rest = rest[:comma]
	}
	weight := bytes.IndexByte(rest, '=')
	return weight < 0 || len(bytes.Trim(rest[weight+1:], "0. ")) > 0
}

// refuseUnknown answers for an event that is not on the board: it does not exist, unless the node may have missed it.
func (s *Server) refuseUnknown(ctx *fasthttp.RequestCtx) {
	if !s.heard.Load() || s.doubt.Load() {
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	refuse(ctx, problemEventUnknown)
}

// untilNextPoll is when it makes sense to ask about an event again.
func untilNextPoll(state *queue.State) time.Duration {
	return time.Duration(state.PollAfterMS) * time.Millisecond
}
