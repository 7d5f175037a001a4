package edge

import (
	"github.com/valyala/fasthttp"

	"fairgate/edge/web"
)

// languageArg chooses a language on any page, and has the browser remember it.
const languageArg = "lang"

// varyByLanguage is said of pages that are there in several languages.
const varyByLanguage = "Accept-Encoding, Accept-Language, Cookie"

// language is that of the page which is asked for: what was chosen, else what the browser prefers.
func (s *Server) language(ctx *fasthttp.RequestCtx) *web.Language {
	return s.pages.Negotiate(string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)), string(ctx.Request.Header.Cookie(s.cookies.lang)))
}

// chooseLanguage takes the choice of a language from a page's address, and sends the browser to the page itself. False: there was none.
func (s *Server) chooseLanguage(ctx *fasthttp.RequestCtx) bool {
	args := ctx.QueryArgs()
	if !args.Has(languageArg) || !ctx.IsGet() {
		return false
	}
	if code := string(args.Peek(languageArg)); s.pages.Language(code).Code == code {
		s.cookies.set(ctx, s.cookies.lang, []byte(code))
	}
	args.Del(languageArg)
	to := append([]byte(nil), ctx.Path()...)
	if rest := args.QueryString(); len(rest) > 0 {
		to = append(append(to, '?'), rest...)
	}
	s.afterForm(ctx, string(to))
	return true
}
