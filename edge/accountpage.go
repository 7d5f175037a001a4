package edge

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// accountPage is the path of the page on which buyers sign in and find what they bought. It needs no script: its forms come back to it.
const accountPage = "/account"

// maxField bounds a field of the page's forms.
const maxField = 300

// serveAccount shows the page, or takes one of its forms.
func (s *Server) serveAccount(ctx *fasthttp.RequestCtx) {
	field := func(name string) string {
		args := ctx.QueryArgs()
		if ctx.IsPost() {
			args = ctx.PostArgs()
		}
		value := strings.TrimSpace(strings.ToValidUTF8(string(args.Peek(name)), "\uFFFD"))
		return value[:min(len(value), maxField)]
	}
	view := web.AccountView{}
	if slug := field("event"); lottery.ValidSlug(slug) {
		view.Event, view.Then = slug, field("then") == "ask"
	}
	if !ctx.IsPost() {
		s.showAccount(ctx, view)
		return
	}
	switch field("step") {
	case "code":
		s.takeAddress(ctx, view, field("email"))
	case "session":
		s.takeCode(ctx, view, field("email"), strings.ReplaceAll(field("code"), " ", ""))
	case "out", "everywhere":
		if s.endAccount(ctx, field("step") == "everywhere") {
			s.afterForm(ctx, accountPage)
			return
		}
		s.writeAccount(ctx, ctx.Response.StatusCode(), web.AccountView{Problem: s.said(ctx)})
	case "accept", "decline", "leave", "withdraw", "ask", "remind":
		s.takeLater(ctx, view, field("step"))
	default:
		s.writeAccount(ctx, fasthttp.StatusBadRequest, web.AccountView{Event: view.Event, Problem: s.language(ctx).T("account.not_a_form")})
	}
}

// takeAddress has a code mailed and asks for it.
func (s *Server) takeAddress(ctx *fasthttp.RequestCtx, view web.AccountView, email string) {
	got, ok := s.callAccount(ctx, "/v1/account/code", codeRequest{Email: email, Language: s.language(ctx).Code})
	switch {
	case !ok:
		view.Problem = s.said(ctx)
	case got.status == fasthttp.StatusAccepted:
		view.Asked = email
		s.writeAccount(ctx, fasthttp.StatusOK, view)
		return
	default:
		answerFromCore(ctx, got)
		view.Problem = s.said(ctx)
	}
	s.writeAccount(ctx, ctx.Response.StatusCode(), view)
}

// takeCode signs in.
func (s *Server) takeCode(ctx *fasthttp.RequestCtx, view web.AccountView, email, code string) {
	view.Asked = email
	got, ok := s.callAccount(ctx, "/v1/account/session", signInRequest{Email: email, Code: code})
	if ok && got.status == fasthttp.StatusOK {
		if _, ok = s.keepAccount(ctx, got.body); ok {
			to := accountPage
			switch {
			case view.Event != "" && view.Then:
				to += "?" + view.Query()
			case view.Event != "":
				to = "/e/" + view.Event
			}
			s.afterForm(ctx, to)
			return
		}
		refuseUntil(ctx, problemOutcomeUnknown, coreRetry)
	} else if ok {
		answerFromCore(ctx, got)
	}
	view.Problem = s.said(ctx)
	s.writeAccount(ctx, ctx.Response.StatusCode(), view)
}

// afterForm sends the browser on, so that loading the page anew sends no form again.
func (s *Server) afterForm(ctx *fasthttp.RequestCtx, to string) {
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.Set(fasthttp.HeaderLocation, to)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// said is the sentence of the refusal that has been answered, to be shown on the page instead.
func (s *Server) said(ctx *fasthttp.RequestCtx) string {
	p := readProblem(ctx.Response.Body())
	return s.language(ctx).Said(p.Code, p.Detail)
}

// showAccount shows what the account that is signed in has, or the form to sign in with.
func (s *Server) showAccount(ctx *fasthttp.RequestCtx, view web.AccountView) {
	now, client := s.now(), s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	if s.hasBegun(ctx, "") {
		var err error
		if view.Open, err = s.pages.Unfinished(s.language(ctx), s.unfinishedOf(ctx, "")); err != nil {
			s.log.Error("core's answer about unfinished orders cannot be read", "error", err)
		}
	}
	signed, none := s.accountOf(ctx, now)
	if none != nil {
		if none == problemCoreUnreachable {
			s.refuseAccount(ctx, none)
			view.Problem = s.said(ctx)
			s.writeAccount(ctx, none.status, view)
			return
		}
		s.writeAccount(ctx, fasthttp.StatusOK, view)
		return
	}
	if s.limited(ctx, guard.Session, now, signed.token.Account[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	s.showSigned(ctx, &signed, view)
}

// showSigned shows what an account has, and what went wrong, if the view says so, with the status that has been answered.
func (s *Server) showSigned(ctx *fasthttp.RequestCtx, signed *signedIn, view web.AccountView) {
	status := fasthttp.StatusOK
	if view.Problem != "" {
		status = ctx.Response.StatusCode()
	}
	var parts [3][]byte
	for i, path := range []string{"/v1/account", "/v1/account/orders", "/v1/account/tickets"} {
		got, ok := s.askAccount(ctx, signed, path)
		if ok && got.status == fasthttp.StatusUnauthorized { // signed out elsewhere, meanwhile
			s.cookies.drop(ctx, s.cookies.acct)
			view.Problem = s.language(ctx).T("account.signed_out")
			s.writeAccount(ctx, fasthttp.StatusOK, view)
			return
		}
		if ok && got.status != fasthttp.StatusOK {
			answerFromCore(ctx, got)
		}
		if !ok || got.status != fasthttp.StatusOK {
			view.Problem = s.said(ctx)
			s.writeAccount(ctx, ctx.Response.StatusCode(), view)
			return
		}
		parts[i] = got.body
	}
	if err := view.Fill(s.language(ctx), parts[0], parts[1], parts[2]); err != nil {
		s.log.Error("core's answer about an account cannot be read", "error", err)
		view.Problem = s.language(ctx).T("account.unavailable")
	} else {
		s.addLater(ctx, signed, &view)
	}
	s.writeAccount(ctx, status, view)
}

// askAccount asks core for a part of what an account has. False: it has answered that it cannot.
func (s *Server) askAccount(ctx *fasthttp.RequestCtx, signed *signedIn, path string) (answer, bool) {
	return s.doForAccount(ctx, signed, fasthttp.MethodGet, path, "", nil)
}

// doForAccount has core do something for an account; a key and a body are sent where there are any. False: it has answered that it cannot.
func (s *Server) doForAccount(ctx *fasthttp.RequestCtx, signed *signedIn, method, path, key string, body any) (answer, bool) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(method)
	req.SetRequestURI(path)
	if key != "" {
		req.Header.Set(headerKey, key)
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			text = []byte("{}") // never of what is passed here
		}
		req.Header.SetContentType(typeJSON)
		req.SetBody(text)
	}
	signed.identify(req, s.proxies.client(ctx))
	s.counts.forwarded.Inc()
	if err := s.core.exchange(signed.token.Account, req, resp); err != nil {
		s.refuseUpstream(ctx, err)
		return answer{}, false
	}
	if renewed := resp.Header.Peek(headerAccount); len(renewed) > 0 {
		s.cookies.set(ctx, s.cookies.acct, renewed)
	}
	return answer{status: resp.StatusCode(), body: append([]byte(nil), resp.Body()...)}, true
}

// writeAccount writes the page. Cookies that are set stay; whatever body there was goes.
func (s *Server) writeAccount(ctx *fasthttp.RequestCtx, status int, view web.AccountView) {
	body, err := s.pages.Account(s.language(ctx), view)
	if err != nil {
		s.log.Error("the account's page cannot be shown", "error", err)
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	pageHeaders(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetStatusCode(status)
	ctx.SetBody(bytes.TrimSpace(body))
}
