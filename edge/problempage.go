package edge

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"fairgate/edge/web"
)

// problemPage makes a page of a refusal that a person would be shown as it is: one that a browser was led to by a link, a form or its address
// bar, and that no page says. Status and headers stay. Scripts and programs, which do not ask for HTML, get the problem itself.
func (s *Server) problemPage(ctx *fasthttp.RequestCtx) {
	status := ctx.Response.StatusCode()
	if status < fasthttp.StatusBadRequest || string(ctx.Response.Header.ContentType()) != typeProblem ||
		!bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html")) {
		return
	}
	p, l := readProblem(ctx.Response.Body()), s.language(ctx)
	s.writeForm(ctx, status, func() ([]byte, error) {
		return s.pages.Problem(l, web.ProblemView{Status: status, Code: p.Code, Detail: p.Detail, Again: ctx.IsGet()})
	})
	ctx.Response.Header.Set(fasthttp.HeaderVary, "Accept, "+varyByLanguage)
}
