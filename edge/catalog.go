package edge

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

// maxShelvedKey is the longest question that is remembered; a longer one is core's to refuse.
const maxShelvedKey = 1 << 10

// serveCatalog answers GET /v1/events and /v1/events/{event} from the shelf, or asks core. Caches between buyer and edge are told core's
// max-age and by Age how much of it has passed.
func (s *Server) serveCatalog(ctx *fasthttp.RequestCtx, event uuid.UUID) {
	key := appendCatalogKey(nil, ctx.Path(), ctx.QueryArgs(), event == uuid.Nil)
	if len(key) > maxShelvedKey {
		s.forwardPublic(ctx, event)
		return
	}
	entry, fresh := s.shelf.find(key)
	if fresh {
		s.counts.shelfHits.Inc()
		s.writeShelved(ctx, entry)
		return
	}
	f := s.lookUp(ctx, event, string(key), entry)
	switch {
	case f == nil: // answered: too many requests
	case f.entry != nil:
		s.writeShelved(ctx, f.entry)
	case f.other != nil:
		writeUnkept(ctx, f.other)
	default:
		s.refuseUpstream(ctx, f.err)
	}
}

// lookUp asks core for what is not fresh, as one of those who may wait for core. nil means that the request has been refused. While core
// is away, or has trouble, what is remembered is good for a few seconds more.
func (s *Server) lookUp(ctx *fasthttp.RequestCtx, event uuid.UUID, key string, known *shelved) *flight {
	client := s.proxies.client(ctx)
	if s.crowded(ctx, s.now(), client) || !s.enter(ctx) {
		return nil
	}
	defer s.leave()
	address := client.String()
	f := s.shelf.fetch(key, known, func(f *flight, known *shelved) { s.askCatalog(f, event, key, address, known) })
	trouble := f.err != nil || f.other != nil && f.other.status >= fasthttp.StatusInternalServerError
	if trouble && s.shelf.usable(known) {
		s.counts.shelfStale.Inc()
		return &flight{entry: known}
	}
	return f
}

// askCatalog is the one request to core that all who ask the same wait for.
func (s *Server) askCatalog(f *flight, event uuid.UUID, key, client string, known *shelved) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(key)
	req.Header.Set(headerClient, client)
	if known != nil {
		req.Header.Set(fasthttp.HeaderIfNoneMatch, known.etag)
	}
	at, version := s.shelf.now(), s.shelf.version.Load()
	s.counts.forwarded.Inc()
	s.counts.shelfMisses.Inc()
	if f.err = s.core.exchange(event, req, resp); f.err != nil {
		return
	}
	maxAge := maxAgeOf(resp.Header.Peek(fasthttp.HeaderCacheControl))
	switch status := resp.StatusCode(); {
	case status == fasthttp.StatusNotModified && known != nil:
		confirmed := *known
		confirmed.at, confirmed.version, confirmed.maxAge = at, version, maxAge
		f.entry = &confirmed
		s.counts.shelfConfirmed.Inc()
	case status == fasthttp.StatusOK && maxAge > 0 && len(resp.Header.Peek(fasthttp.HeaderETag)) > 0:
		f.entry = &shelved{
			key: key, etag: string(resp.Header.Peek(fasthttp.HeaderETag)), contentType: string(resp.Header.ContentType()),
			body: bytes.Clone(resp.Body()), maxAge: maxAge, at: at, version: version,
		}
		f.entry.gzip = compress(f.entry.body)
	default:
		f.other = &unkept{
			status: status, contentType: string(resp.Header.ContentType()), body: bytes.Clone(resp.Body()),
			cacheControl: string(resp.Header.Peek(fasthttp.HeaderCacheControl)), etag: string(resp.Header.Peek(fasthttp.HeaderETag)),
			retry: string(resp.Header.Peek(fasthttp.HeaderRetryAfter)),
		}
		return
	}
	s.shelf.put(f.entry)
}

// writeShelved answers with an entry, or that the client has it already.
func (s *Server) writeShelved(ctx *fasthttp.RequestCtx, e *shelved) {
	header := &ctx.Response.Header
	header.Set(fasthttp.HeaderCacheControl, "public, max-age="+strconv.Itoa(int(e.maxAge/time.Second)))
	header.Set(fasthttp.HeaderETag, e.etag)
	header.SetCanonical(keyVary, varyByEncoding)
	if age := s.shelf.age(e); age > 0 {
		header.Set(fasthttp.HeaderAge, strconv.Itoa(age))
	}
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 && matches(match, e.etag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	header.SetContentType(e.contentType)
	if e.gzip != nil && acceptsGzip(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)) {
		header.SetCanonical(keyContentEncoding, encodedGzip)
		ctx.Response.SetBodyRaw(e.gzip)
		return
	}
	ctx.Response.SetBodyRaw(e.body)
}

func writeUnkept(ctx *fasthttp.RequestCtx, r *unkept) {
	ctx.SetStatusCode(r.status)
	header := &ctx.Response.Header
	header.SetContentType(r.contentType)
	header.Set(fasthttp.HeaderCacheControl, "no-store")
	for name, value := range map[string]string{fasthttp.HeaderCacheControl: r.cacheControl, fasthttp.HeaderETag: r.etag, fasthttp.HeaderRetryAfter: r.retry} {
		if value != "" {
			header.Set(name, value)
		}
	}
	ctx.SetBody(r.body)
}

// maxAgeOf is for how long a Cache-Control header lets anybody keep an answer; 0 for not at all.
func maxAgeOf(header []byte) time.Duration {
	shared, seconds := false, 0
	for one := range strings.SplitSeq(string(header), ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(one), "="); strings.ToLower(name) {
		case "public":
			shared = true
		case "no-store", "no-cache", "private":
			return 0
		case "max-age":
			seconds, _ = strconv.Atoi(value) // 0 when it is no number
		}
	}
	if !shared {
		return 0
	}
	return time.Duration(min(max(seconds, 0), 3600)) * time.Second
}

// appendCatalogKey appends the address under which core is asked: the same for questions that mean the same. Parameters are sorted,
// empty ones left out, words in lower case with one space between them. An event's page has no parameters.
func appendCatalogKey(dst, path []byte, args *fasthttp.Args, query bool) []byte {
	dst = append(dst, path...)
	if !query || args.Len() == 0 {
		return dst
	}
	type pair struct{ name, value string }
	pairs := make([]pair, 0, args.Len())
	for name, value := range args.All() {
		v := strings.TrimSpace(string(value))
		if string(name) == "q" {
			v = strings.ToLower(strings.Join(strings.Fields(v), " "))
		}
		if v != "" {
			pairs = append(pairs, pair{string(name), v})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	var sorted fasthttp.Args
	for _, p := range pairs {
		sorted.Add(p.name, p.value)
	}
	if len(pairs) > 0 {
		dst = sorted.AppendBytes(append(dst, '?'))
	}
	return dst
}
