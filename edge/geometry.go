package edge

import (
	"bytes"
	"compress/gzip"
	"sync"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/singleflight"

	"fairgate/edge/lottery"
)

const (
	// geometryHash is the length of a geometry's hash, in hex digits.
	geometryHash = 32
	// maxGeometries and maxGeometryBytes bound those kept in memory.
	maxGeometries    = 256
	maxGeometryBytes = 64 << 20
	geometryForever  = "public, max-age=31536000, immutable"
)

// geometry is where an event's seats are, which never changes under its hash, ready to be sent.
type geometry struct{ body, zipped []byte }

// fetchedGeometry is core's answer: a geometry, or why there is none.
type fetchedGeometry struct {
	answer
	geometry
	retryAfter string
}

// geometries keeps what core has said once, and asks it only once at a time for each. The zero value is ready for use.
type geometries struct {
	flight singleflight.Group
	mu     sync.Mutex
	known  map[string]geometry
	bytes  int
}

func (g *geometries) find(hash string) (geometry, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found, ok := g.known[hash]
	return found, ok
}

// put keeps a geometry. When there are too many all others go: that takes hundreds of seated events.
func (g *geometries) put(hash string, one geometry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := len(one.body) + len(one.zipped)
	if g.known == nil || len(g.known) >= maxGeometries || g.bytes+size > maxGeometryBytes {
		g.known, g.bytes = make(map[string]geometry), 0
	}
	g.known[hash] = one
	g.bytes += size
}

// serveGeometry is GET /v1/events/{event}/seats/geometry/{hash}: core's answer, kept here and compressed, since everybody
// who is let in wants it at the same moment.
func (s *Server) serveGeometry(ctx *fasthttp.RequestCtx, slug, hash []byte) {
	if s.crowded(ctx, s.now(), s.proxies.client(ctx)) {
		return
	}
	key := string(hash)
	found, ok := s.geometries.find(key)
	if !ok {
		if !s.enter(ctx) {
			return
		}
		defer s.leave()
		path := string(ctx.Path())
		event := lottery.EventID(string(slug))
		got, err, _ := s.geometries.flight.Do(key+path, func() (any, error) { return s.fetchGeometry(event, path, key) })
		if err != nil {
			s.refuseUpstream(ctx, err)
			return
		}
		fetched := got.(fetchedGeometry)
		if fetched.status != fasthttp.StatusOK {
			ctx.SetStatusCode(fetched.status)
			ctx.Response.Header.SetContentType(typeProblem)
			ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
			if fetched.retryAfter != "" {
				ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, fetched.retryAfter)
			}
			ctx.Response.SetBody(fetched.answer.body)
			return
		}
		found = fetched.geometry
	}
	header := &ctx.Response.Header
	tag := `"` + key + `"`
	header.Set(fasthttp.HeaderCacheControl, geometryForever)
	header.Set(fasthttp.HeaderETag, tag)
	header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptEncoding)
	if match := ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch); len(match) > 0 && matches(match, tag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	header.SetContentType(typeJSON)
	if acceptsGzip(ctx.Request.Header.Peek(fasthttp.HeaderAcceptEncoding)) {
		header.Set(fasthttp.HeaderContentEncoding, "gzip")
		ctx.Response.SetBodyRaw(found.zipped)
		return
	}
	ctx.Response.SetBodyRaw(found.body)
}

// fetchGeometry asks core and keeps what it says.
func (s *Server) fetchGeometry(event uuid.UUID, path, hash string) (fetchedGeometry, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(path)
	s.counts.forwarded.Inc()
	if err := s.core.exchange(event, req, resp); err != nil {
		return fetchedGeometry{}, err
	}
	got := fetchedGeometry{answer: answer{status: resp.StatusCode()}, retryAfter: string(resp.Header.Peek(fasthttp.HeaderRetryAfter))}
	if got.status != fasthttp.StatusOK {
		got.answer.body = bytes.Clone(resp.Body())
		return got, nil
	}
	var err error
	if got.geometry, err = newGeometry(resp.Body()); err == nil {
		s.geometries.put(hash, got.geometry)
	}
	return got, err
}

func newGeometry(body []byte) (geometry, error) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(body); err != nil {
		return geometry{}, err
	}
	if err := z.Close(); err != nil {
		return geometry{}, err
	}
	return geometry{body: bytes.Clone(body), zipped: zipped.Bytes()}, nil
}

func validHash(hash []byte) bool {
	if len(hash) != geometryHash {
		return false
	}
	for _, c := range hash {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
