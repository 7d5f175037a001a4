package edge

import (
	"bytes"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/web"
)

// unsubscribePath is where mails lead with what their reader withdraws reminders with: a page with a button, which the mail program may press
// for its reader by posting there (RFC 8058). Nobody signs in. Looking at the page changes nothing: programs look at what mails link to. The
// address is the key: no other site is told it as a referrer. Ours is, since browsers say of a page without one that its forms are nobody's.
const unsubscribePath = "/unsubscribe/"

// maxToken bounds what comes behind it.
const maxToken = 128

// tokenIn is the token of a path; ok is false for any other path.
func tokenIn(path []byte) (token string, ok bool) {
	rest, is := bytes.CutPrefix(path, []byte(unsubscribePath))
	if !is || len(rest) == 0 || len(rest) > maxToken {
		return "", false
	}
	for _, c := range rest {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", false
		}
	}
	return string(rest), true
}

// serveUnsubscribe shows the page, or has core withdraw what the token is for, and says so. Twice is once.
func (s *Server) serveUnsubscribe(ctx *fasthttp.RequestCtx, token string) {
	view := web.UnsubscribeView{Token: token}
	if ctx.IsPost() {
		asJSON(ctx, map[string]string{"token": token})
		ctx.Request.SetRequestURI("/v1/reminders/unsubscribe")
		s.forwardPublic(ctx, uuid.Nil)
		if view.Done = ctx.Response.StatusCode() == fasthttp.StatusOK; !view.Done {
			view.Problem = s.said(ctx)
		}
	}
	s.writeForm(ctx, ctx.Response.StatusCode(), func() ([]byte, error) { return s.pages.Unsubscribe(s.language(ctx), view) })
}
