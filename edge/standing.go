package edge

import (
	"strings"

	"github.com/valyala/fasthttp"

	"fairgate/edge/queue"
)

// maxStanding is how many passes and sessions of a request are looked at: a buyer has those of a few events.
const maxStanding = 4

// stands reports whether the browser shows that it is somebody: a session, or the pass of an entrant whom core has acknowledged,
// made by Fairgate for this very browser. Neither can be had without joining, which is limited by itself.
func (s *Server) stands(ctx *fasthttp.RequestCtx) bool {
	who, known := s.cookies.browserOf(ctx)
	if !known {
		return false
	}
	looked := 0
	for key, value := range ctx.Request.Header.Cookies() {
		name := string(key)
		switch {
		case looked == maxStanding:
			return false
		case strings.HasPrefix(name, s.cookies.sess):
			looked++
			if found, bad := s.checkSession(value, who, known); bad == nil && !found.session.Expired(s.clock.at(s.now())) {
				return true
			}
		case strings.HasPrefix(name, s.cookies.pass):
			looked++
			if s.passStands(value, who) {
				return true
			}
		}
	}
	return false
}

// passStands reports whether a pass is final, of an on-sale there is, and this browser's.
func (s *Server) passStands(value []byte, who browser) bool {
	var buf [queue.PassSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return false
	}
	parsed, err := queue.ParsePass(raw)
	if err != nil || parsed.Provisional || parsed.Device != who.hash {
		return false
	}
	room := s.rooms.byEvent(parsed.Event)
	if room == nil {
		return false
	}
	keys := room.keys.Load()
	if keys == nil || keys.generation != parsed.Generation {
		return false
	}
	_, err = queue.VerifyPass(raw, keys.passes)
	return err == nil
}
