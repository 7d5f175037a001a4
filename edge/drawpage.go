package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// drawPath takes the event from /e/{event}/draw; ok is false for any other path.
func drawPath(path []byte) (slug string, ok bool) {
	rest, ok := bytes.CutPrefix(path, []byte(web.EventPrefix))
	if !ok {
		return "", false
	}
	rest, ok = bytes.CutSuffix(rest, []byte("/draw"))
	return string(rest), ok && lottery.ValidSlug(string(rest))
}

// serveDraw shows the page on which a browser checks a draw. What it checks it reads from GET /v1/events/{event}/transcript.
func (s *Server) serveDraw(ctx *fasthttp.RequestCtx, slug string) {
	l := s.language(ctx)
	key := []byte(web.EventPrefix + slug + "/draw?" + l.Code)
	page, fresh := s.shelf.find(key)
	if !fresh {
		body, err := s.pages.Draw(l, slug)
		if err != nil {
			s.log.Error("the page of a draw cannot be shown", "event", slug, "error", err)
			refuseUntil(ctx, problemCoreUnreachable, coreRetry)
			return
		}
		sum := sha256.Sum256(body)
		page = &shelved{
			key: string(key), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, contentType: "text/html; charset=utf-8", body: body, gzip: compress(body),
			maxAge: eventPageMaxAge, at: s.shelf.now(), version: s.shelf.version.Load(),
		}
		s.shelf.put(page)
	}
	s.writeEventPage(ctx, page, fasthttp.StatusOK)
}
