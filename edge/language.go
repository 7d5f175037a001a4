package edge

import (
	"net/url"

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
	to := url.URL{Path: string(ctx.Path()), RawQuery: string(args.QueryString())}
	s.afterForm(ctx, to.String()) // escaped: browsers take a backslash for a slash, and two of them at the beginning for another site
	return true
}
