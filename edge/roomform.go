package edge

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
	"fairgate/edge/web"
)

// typeForm is how a browser sends a form without a script. Those of the waiting room are answered by pages.
var typeForm = []byte("application/x-www-form-urlencoded")

func isForm(ctx *fasthttp.RequestCtx) bool {
	return bytes.HasPrefix(ctx.Request.Header.ContentType(), typeForm)
}

// formField is a field of a form, bounded.
func formField(ctx *fasthttp.RequestCtx, name string) string {
	value := strings.TrimSpace(strings.ToValidUTF8(string(ctx.PostArgs().Peek(name)), "\uFFFD"))
	return value[:min(len(value), maxField)]
}

// asJSON puts a body of JSON in the place of the form, for the handler that scripts call too.
func asJSON(ctx *fasthttp.RequestCtx, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}") // never of what is passed here
	}
	ctx.Request.Header.SetContentType(typeJSON)
	ctx.Request.SetBody(text)
}

// placePage is where who joined by a form waits.
func placePage(slug string) string { return "/q/" + slug + "/place" }

// joinByForm joins as a script would, and shows the place.
func (s *Server) joinByForm(ctx *fasthttp.RequestCtx, slug []byte) {
	asJSON(ctx, joinRequest{Invitation: formField(ctx, "invitation"), Website: formField(ctx, "website")})
	s.join(ctx, slug)
	if ctx.Response.StatusCode() == fasthttp.StatusOK {
		s.afterForm(ctx, placePage(string(slug)))
		return
	}
	s.showPlace(ctx, slug, nil)
}

// claimByForm claims as a script would, and goes on to choosing.
func (s *Server) claimByForm(ctx *fasthttp.RequestCtx, slug []byte) {
	asJSON(ctx, claimRequest{Move: formField(ctx, "move") != ""})
	s.claim(ctx, slug)
	switch p := readProblem(ctx.Response.Body()); {
	case ctx.Response.StatusCode() == fasthttp.StatusOK:
		s.afterForm(ctx, buyPage(string(slug)))
	case p.Code == problemChallengeRequired.code:
		s.afterForm(ctx, "/q/"+string(slug)+"/challenge")
	default:
		s.servePlaceWith(ctx, slug)
	}
}

// servePlace shows where a browser stands in the waiting room. A browser that has not joined goes to the event's page.
func (s *Server) servePlace(ctx *fasthttp.RequestCtx, slug []byte) {
	if s.crowded(ctx, s.now(), s.proxies.client(ctx)) {
		s.showPlace(ctx, slug, nil)
		return
	}
	s.servePlaceWith(ctx, slug)
}

// servePlaceWith shows the place and, if there is one, the refusal that has been answered.
func (s *Server) servePlaceWith(ctx *fasthttp.RequestCtx, slug []byte) {
	entry, room := s.board.Entry(slug), s.rooms.find(slug)
	if entry == nil || room == nil {
		s.toEvent(ctx, slug)
		return
	}
	who, known := s.cookies.browserOf(ctx)
	pass, bad := s.passOf(ctx, room, who, known)
	switch {
	case bad == problemCoreUnreachable:
		refuseUntil(ctx, bad, coreRetry)
		s.showPlace(ctx, slug, nil)
	case bad == nil && pass.Generation < entry.State.Generation:
		s.showOver(ctx, slug, &entry.State)
	case bad != nil || pass.Generation != entry.State.Generation:
		s.toEvent(ctx, slug) // which asks to join
	default:
		if keys := room.keys.Load(); pass.Provisional && keys != nil {
			s.acknowledged(ctx, room, keys, who, &pass)
		}
		s.showPlace(ctx, slug, &pass)
	}
}

// acknowledged asks again whether core has the entry, which a script does by joining again, and makes the pass a final one.
func (s *Server) acknowledged(ctx *fasthttp.RequestCtx, room *room, keys *roomKeys, who browser, pass *queue.Pass) {
	at := s.clock.at(s.now())
	place, full := room.stream.join(poolEntry{entrant: pass.Entrant, device: who.hash, network: lottery.NetworkOf(s.proxies.client(ctx))}, at, false)
	if full || place.receipt == "" {
		return
	}
	status, body := ctx.Response.StatusCode(), append([]byte(nil), ctx.Response.Body()...)
	out := joined{event: room.slug, entrant: pass.Entrant, generation: keys.generation, seat: place, final: true}
	s.answerJoin(ctx, &out, room, keys, who, at)
	ctx.SetStatusCode(status)
	ctx.Response.SetBody(body)
	pass.Window, pass.Band, pass.Provisional = place.window, place.band, false
}

// showPlace writes the page: what is wrong, if something was refused, and the place of a pass, if there is one.
func (s *Server) showPlace(ctx *fasthttp.RequestCtx, slug []byte, pass *queue.Pass) {
	l, status := s.language(ctx), ctx.Response.StatusCode()
	about := s.shelvedEvent(slug)
	view := web.PlaceView{Slug: string(slug), Name: nameIn(about, slug)}
	if status >= fasthttp.StatusBadRequest {
		p := readProblem(ctx.Response.Body())
		view.Problem, view.SignIn, view.Elsewhere = l.Said(p.Code, p.Detail), p.Code == problemAccountRequired.code || p.Code == problemAccountOther.code, p.Code == "session_bound_elsewhere"
	}
	entry := s.board.Entry(slug)
	switch {
	case entry == nil:
		s.toEvent(ctx, slug)
		return
	case pass == nil && view.Problem == "":
		s.toEvent(ctx, slug)
		return
	}
	state := &entry.State
	view.Phase, view.OpensAt, view.TimeZone, view.Joined = string(state.Phase), state.OpensAt.Time, state.TimeZone, state.Joined
	view.Sale = l.SaleIn(about, state.Presale)
	if !state.Doubt {
		view.Message = state.Message
	}
	for _, one := range state.Stock {
		view.Stock = append(view.Stock, web.StockView{Name: one.Name, Left: one.Left, Rounded: one.Rounded, Minor: one.Price.Minor, Currency: one.Price.Currency})
	}
	if pass == nil {
		s.writeForm(ctx, status, func() ([]byte, error) { return s.pages.Refused(l, view) })
		return
	}
	if state.Phase == queue.PhaseEnded && view.Problem == "" {
		s.showOver(ctx, slug, state)
		return
	}
	view.Late, view.Provisional = pass.Window > 0, pass.Provisional
	if place, drawn := state.Place(*pass); drawn {
		view.Drawn, view.Rank, view.Ahead = true, state.Rank(place)+1, state.Ahead(place)
		view.Wait, _ = state.Wait(place)
		view.Called = state.Called(place) && (state.Phase == queue.PhaseOpen || state.Phase == queue.PhaseSoldOut)
	}
	if !view.Called {
		again := max(5, int(untilNextPoll(state)/time.Second))
		ctx.Response.Header.Set("Refresh", strconv.Itoa(again)+"; url="+placePage(view.Slug))
	}
	s.writeForm(ctx, status, func() ([]byte, error) { return s.pages.Place(l, view) })
}

// showOver tells who had a place that the sale it was in is over, and which one comes next: the one the state is of, or the one after it.
func (s *Server) showOver(ctx *fasthttp.RequestCtx, slug []byte, state *queue.State) {
	l, about := s.language(ctx), s.shelvedEvent(slug)
	view := web.PlaceView{Slug: string(slug), Name: nameIn(about, slug), Over: l.T("room.over")}
	switch {
	case state.Phase != queue.PhaseEnded:
		view.Next = l.NextSale(about, state.Presale, state.JoiningAt.Time, state.TimeZone, state.Phase != queue.PhaseAnnounced)
	case state.Next != nil:
		view.Next = l.NextSale(about, state.Next.Presale, state.Next.JoiningAt.Time, state.TimeZone, false)
	}
	s.writeForm(ctx, fasthttp.StatusOK, func() ([]byte, error) { return s.pages.Refused(l, view) })
}

// shelvedEvent is core's answer about an event as the shelf has it, nil where it has none: pages are shown while core is away, too.
func (s *Server) shelvedEvent(slug []byte) []byte {
	if entry, _ := s.shelf.find(append([]byte("/v1/events/"), slug...)); entry != nil {
		return entry.body
	}
	return nil
}

// nameIn is the name of an event, else its slug.
func nameIn(about, slug []byte) string {
	var e struct{ Name string }
	if about == nil || json.Unmarshal(about, &e) != nil || e.Name == "" {
		return string(slug)
	}
	return e.Name
}

// writeForm writes a page of one buyer. Cookies that are set stay; whatever body there was goes.
func (s *Server) writeForm(ctx *fasthttp.RequestCtx, status int, write func() ([]byte, error)) {
	body, err := write()
	if err != nil {
		s.log.Error("a page cannot be shown", "path", string(ctx.Path()), "error", err)
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	pageHeaders(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetStatusCode(status)
	ctx.SetBody(body)
}
