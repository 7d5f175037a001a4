package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// eventPageMaxAge is for how long an event's page is shown without looking whether core says anything else by now. A change of the catalog
// or of the phase is shown at once.
const eventPageMaxAge = 30 * time.Second

// serveEventPage shows the page of an event: the same bytes for everybody who has its language, made once for each change, and for hundreds of
// thousands to load at once. While core cannot be asked the page is shown as it last was, or without what there is to know: the waiting
// room on it works all the same, and says what is wrong.
func (s *Server) serveEventPage(ctx *fasthttp.RequestCtx, slug string) {
	l, sale := s.language(ctx), s.saleOf(slug)
	if s.hasBegun(ctx, slug) && s.serveUnfinished(ctx, l, slug, sale) {
		return
	}
	key := appendEventPageKey(make([]byte, 0, 160), slug, l.Code, sale)
	page, fresh := s.shelf.find(key)
	if fresh {
		s.counts.shelfHits.Inc()
		s.writeEventPage(ctx, page, fasthttp.StatusOK)
		return
	}
	status, body, from := s.knownOf(ctx, slug)
	if body == nil && status == fasthttp.StatusOK && page != nil {
		s.writeEventPage(ctx, page, fasthttp.StatusOK)
		return
	}
	var made []byte
	var err error
	if status == fasthttp.StatusNotFound {
		made, err = s.pages.Missing(l)
	} else {
		made, err = s.pages.Event(l, slug, body, sale)
	}
	if err != nil {
		s.log.Error("an event's page cannot be shown", "event", slug, "error", err)
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	sum := sha256.Sum256(made)
	page = &shelved{key: string(key), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, contentType: "text/html; charset=utf-8", body: made, gzip: compress(made), at: s.shelf.now()}
	if from != nil {
		page.at, page.version, page.maxAge = from.at, from.version, eventPageMaxAge
		s.shelf.put(page)
	}
	s.writeEventPage(ctx, page, status)
}

// serveUnfinished shows the event's page to a browser that has an unfinished order of it, with the way back to that. False: it has none.
func (s *Server) serveUnfinished(ctx *fasthttp.RequestCtx, l *web.Language, slug string, sale *web.Sale) bool {
	open, err := s.pages.Unfinished(l, s.unfinishedOf(ctx, slug))
	if err != nil {
		s.log.Error("core's answer about unfinished orders cannot be read", "error", err)
	}
	if len(open) == 0 {
		return false
	}
	status, body, _ := s.knownOf(ctx, slug)
	if status != fasthttp.StatusOK {
		return false
	}
	page, err := s.pages.EventWith(l, slug, body, sale, open)
	if err != nil {
		s.log.Error("an event's page cannot be shown", "event", slug, "error", err)
		return false
	}
	pageHeaders(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store") // it is of one buyer
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(page)
	return true
}

// knownOf is what core says of an event, nil where it cannot be asked, with the status of the page. A refusal for asking too often is no reason
// not to show the page.
func (s *Server) knownOf(ctx *fasthttp.RequestCtx, slug string) (status int, body []byte, from *shelved) {
	key := "/v1/events/" + slug
	entry, fresh := s.shelf.find([]byte(key))
	if !fresh {
		switch f := s.lookUp(ctx, lottery.EventID(slug), key, entry); {
		case f == nil:
			ctx.Response.Reset()
		case f.entry != nil:
			entry = f.entry
		case f.other != nil && f.other.status == fasthttp.StatusOK: // which core does not want to be kept
			return fasthttp.StatusOK, f.other.body, nil
		case f.other != nil && f.other.status == fasthttp.StatusNotFound:
			return fasthttp.StatusNotFound, nil, nil
		}
	}
	if entry == nil {
		return fasthttp.StatusOK, nil, nil
	}
	return fasthttp.StatusOK, entry.body, entry
}

// saleOf is how the event's sale stands, nil where none is known here.
func (s *Server) saleOf(slug string) *web.Sale {
	entry := s.board.Entry([]byte(slug))
	if entry == nil {
		return nil
	}
	state := &entry.State
	return &web.Sale{Phase: string(state.Phase), Identity: state.Identity, Presale: state.Presale, Generation: state.Generation, JoiningAt: state.JoiningAt.Time, OpensAt: state.OpensAt.Time, EndsAt: state.EndsAt.Time}
}

// appendEventPageKey appends the key under which a page is shelved: everything on it that is not core's answer.
func appendEventPageKey(dst []byte, slug, language string, sale *web.Sale) []byte {
	dst = append(append(append(append(dst, web.EventPrefix...), slug...), '?'), language...)
	if sale == nil {
		return dst
	}
	dst = append(append(append(append(append(dst, '&'), sale.Phase...), '&'), sale.Identity...), '&')
	dst = append(append(strconv.AppendUint(dst, uint64(sale.Generation), 36), sale.Presale...), '&')
	for _, at := range []time.Time{sale.JoiningAt, sale.OpensAt, sale.EndsAt} {
		dst = append(strconv.AppendInt(dst, at.Unix(), 36), '&')
	}
	return dst
}

func (s *Server) writeEventPage(ctx *fasthttp.RequestCtx, page *shelved, status int) {
	pageHeaders(ctx)
	if status == fasthttp.StatusOK {
		s.writeShelved(ctx, page)
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-cache") // asked for again at each use, which costs a 304
		ctx.Response.Header.Del(fasthttp.HeaderAge)
	} else {
		ctx.SetStatusCode(status)
		ctx.Response.Header.SetContentType(page.contentType)
		ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		ctx.Response.SetBodyRaw(page.body)
	}
	ctx.Response.Header.Set(fasthttp.HeaderVary, varyByLanguage)
}
