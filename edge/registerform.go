package edge

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// registerPath splits /e/{event}/register; ok is false for any other path.
func registerPath(path []byte) (slug string, ok bool) {
	rest, is := bytes.CutPrefix(path, []byte(web.EventPrefix))
	name, is2 := bytes.CutSuffix(rest, []byte("/register"))
	return string(name), is && is2 && lottery.ValidSlug(string(name))
}

// registerByForm puts the account that is signed in on the list of a presale, with the word that the presale asks for, if any. Sent twice it
// does the same.
func (s *Server) registerByForm(ctx *fasthttp.RequestCtx, slug string) {
	now, presale, word := s.now(), formField(ctx, "presale"), formField(ctx, "word")
	if s.crowded(ctx, now, s.proxies.client(ctx)) {
		s.showRegistered(ctx, slug, "")
		return
	}
	if !lottery.ValidSlug(presale) {
		s.toEvent(ctx, []byte(slug))
		return
	}
	signed, none := s.accountOf(ctx, now)
	switch {
	case none == problemSignedOut:
		refuse(ctx, problemAccountRequired)
	case none != nil:
		s.refuseAccount(ctx, none)
	case s.limited(ctx, guard.Session, now, signed.token.Account[:]) || !s.enter(ctx):
	default:
		body := map[string]any{}
		if word != "" {
			body["word"] = word
		}
		got, ok := s.doForAccount(ctx, &signed, fasthttp.MethodPost, "/v1/events/"+slug+"/presales/"+presale+"/registration", "", body)
		s.leave()
		if ok && got.status == fasthttp.StatusOK {
			s.showRegistered(ctx, slug, presale)
			return
		}
		if ok {
			answerFromCore(ctx, got)
		}
	}
	s.showRegistered(ctx, slug, "")
}

// showRegistered says that an account is on the list of a presale, or, without one, what has been answered.
func (s *Server) showRegistered(ctx *fasthttp.RequestCtx, slug, presale string) {
	l, about, status := s.language(ctx), s.shelvedEvent([]byte(slug)), fasthttp.StatusOK
	view := web.PlaceView{Slug: slug, Name: nameIn(about, []byte(slug))}
	if presale != "" {
		view.Done = l.T("about.registered", "sale", l.SaleIn(about, presale))
	} else {
		p := readProblem(ctx.Response.Body())
		status, view.Problem, view.SignIn = ctx.Response.StatusCode(), l.Said(p.Code, p.Detail), p.Code == problemAccountRequired.code
	}
	s.writeForm(ctx, status, func() ([]byte, error) { return s.pages.Refused(l, view) })
}
