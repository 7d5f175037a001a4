package edge

import "github.com/valyala/fasthttp"

// leaveRoom makes a browser forget its pass. The entry stays in the pool, which is sealed as it was joined, and holds nobody up: a
// called buyer who does not come is passed over. Whoever joins again with the same identity is the same entrant. Leaving twice, or
// without having joined, is the same.
func (s *Server) leaveRoom(ctx *fasthttp.RequestCtx, slug []byte) {
	if s.crowded(ctx, s.now(), s.proxies.client(ctx)) {
		return
	}
	room := s.rooms.find(slug)
	if room == nil {
		s.refuseUnknown(ctx)
		return
	}
	s.cookies.drop(ctx, s.cookies.pass+room.slug)
	if isForm(ctx) {
		s.toEvent(ctx, slug)
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}
