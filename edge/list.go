package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/web"
)

// listPage is the path of the list of events; it is no address of core, and so cannot be taken for one on the shelf.
const listPage = "/"

// serveList shows the list of events: the answer of GET /v1/events as a page, which lies on the shelf as long as the answer is fresh.
func (s *Server) serveList(ctx *fasthttp.RequestCtx) {
	asked := web.AskedOf(func(name string) string {
		v := strings.TrimSpace(strings.ToValidUTF8(string(ctx.QueryArgs().Peek(name)), "\uFFFD"))
		return v
	})
	query := asked.Values()
	l := s.language(ctx)
	pageKey := listPage + l.Code + "?" + query.Encode()
	query.Set("limit", "20")
	query.Set("facets", "1")
	var args fasthttp.Args
	args.Parse(query.Encode())
	key := appendCatalogKey(nil, []byte("/v1/events"), &args, true)
	if len(key) > maxShelvedKey || len(pageKey) > maxShelvedKey {
		s.writeList(ctx, l, asked, fasthttp.StatusBadRequest, l.T("list.too_long"))
		return
	}
	if page, fresh := s.shelf.find([]byte(pageKey)); fresh {
		s.counts.shelfHits.Inc()
		s.writeListPage(ctx, page)
		return
	}
	entry, fresh := s.shelf.find(key)
	if !fresh {
		f := s.lookUp(ctx, uuid.Nil, string(key), entry)
		switch {
		case f == nil: // answered: too many requests
			return
		case f.entry != nil:
			entry = f.entry
		case f.other != nil && f.other.status == fasthttp.StatusOK: // which core does not want to be kept
			entry = &shelved{body: f.other.body, at: s.shelf.now()}
		case f.other != nil:
			s.refuseList(ctx, l, asked, f.other)
			return
		default:
			ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "2")
			s.counts.unreachable.Inc()
			s.writeList(ctx, l, asked, fasthttp.StatusServiceUnavailable, l.T("list.unavailable"))
			return
		}
	}
	body, err := s.pages.List(l, asked, entry.body, "")
	if err != nil {
		s.log.Error("the list of events cannot be shown", "error", err)
		s.writeList(ctx, l, asked, fasthttp.StatusServiceUnavailable, l.T("list.unavailable"))
		return
	}
	sum := sha256.Sum256(body)
	page := &shelved{
		key: pageKey, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, contentType: "text/html; charset=utf-8", body: body, gzip: compress(body),
		maxAge: entry.maxAge, at: entry.at, version: entry.version,
	}
	s.shelf.put(page)
	s.writeListPage(ctx, page)
}

func (s *Server) writeListPage(ctx *fasthttp.RequestCtx, page *shelved) {
	pageHeaders(ctx)
	s.writeShelved(ctx, page)
	ctx.Response.Header.Set(fasthttp.HeaderVary, varyByLanguage)
}

// refuseList shows what core finds wrong with the search.
func (s *Server) refuseList(ctx *fasthttp.RequestCtx, l *web.Language, asked web.Asked, r *unkept) {
	if r.retry != "" {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, r.retry)
	}
	said := l.T("list.unavailable")
	if wrong := asked.Wrong(l); wrong != "" && r.status < fasthttp.StatusInternalServerError {
		said = wrong
	} else if p := readProblem(r.body); p.Detail != "" {
		said = l.Said(p.Code, p.Detail)
	}
	s.writeList(ctx, l, asked, r.status, said)
}

// writeList shows the form and a problem.
func (s *Server) writeList(ctx *fasthttp.RequestCtx, l *web.Language, asked web.Asked, status int, problem string) {
	body, err := s.pages.List(l, asked, nil, problem)
	if err != nil {
		refuseUntil(ctx, problemCoreUnreachable, 2*time.Second)
		return
	}
	pageHeaders(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetStatusCode(status)
	ctx.SetBody(bytes.TrimSpace(body))
}
