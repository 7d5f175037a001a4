package edge

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// maxSessions is how many sessions a request that names no event may show core: those of a buyer's last few events.
const maxSessions = 4

// shopper is who makes a buyer call: a session that passed the edge's filter, and the browser it is bound to.
type shopper struct {
	session admission.Session
	text    []byte // the cookie's value, copied
	device  lottery.DeviceHash
}

// shopperOf finds the session of the event, or answers and returns false.
func (s *Server) shopperOf(ctx *fasthttp.RequestCtx, slug string, now time.Time) (shopper, bool) {
	found, bad := s.findShopper(ctx, slug, now)
	if bad != nil {
		s.refuseSession(ctx, bad)
		return shopper{}, false
	}
	return found, !s.limited(ctx, guard.Session, now, found.session.Session[:])
}

// findShopper finds the session of the event, or why there is none that is good.
func (s *Server) findShopper(ctx *fasthttp.RequestCtx, slug string, now time.Time) (shopper, *problem) {
	who, known := s.cookies.browserOf(ctx)
	found, bad := s.checkSession(ctx.Request.Header.Cookie(s.cookies.sess+slug), who, known)
	if bad == nil && found.session.Event != lottery.EventID(slug) {
		bad = problemSessionForged
	}
	if bad == nil && found.session.Expired(s.clock.at(now)) {
		bad = problemSessionExpired
	}
	return found, bad
}

// findShoppers finds the newest sessions the browser has of any event, for requests that name none, or why it has none that are good.
// Reading what was bought works after a session's end: core decides for how long.
func (s *Server) findShoppers(ctx *fasthttp.RequestCtx, reading bool, now time.Time) ([]shopper, *problem) {
	who, known := s.cookies.browserOf(ctx)
	bad := problemSessionMissing
	var found []shopper
	prefix := s.cookies.sess
	for key, value := range ctx.Request.Header.Cookies() {
		if len(key) <= len(prefix) || string(key[:len(prefix)]) != prefix {
			continue
		}
		one, problem := s.checkSession(value, who, known)
		if problem == nil && !reading && one.session.Expired(s.clock.at(now)) {
			problem = problemSessionExpired
		}
		if problem != nil {
			bad = problem
			continue
		}
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, bad
	}
	slices.SortFunc(found, func(a, b shopper) int { return b.session.IssuedAt.Compare(a.session.IssuedAt) })
	return found[:min(len(found), maxSessions)], nil
}

// checkSession is the edge's filter: form, the edges' MAC, and the browser. Core looks again, by its own key.
func (s *Server) checkSession(value []byte, who browser, known bool) (shopper, *problem) {
	if len(value) == 0 {
		return shopper{}, problemSessionMissing
	}
	var buf [admission.SessionSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return shopper{}, problemSessionMalformed
	}
	session, err := admission.ParseSession(raw)
	if err != nil {
		return shopper{}, problemSessionMalformed
	}
	filters := s.filters.Load()
	if filters == nil {
		return shopper{}, problemCoreUnreachable
	}
	key := filters.Find(session.KeyNo)
	if newest, _ := filters.Newest(); key == nil && session.KeyNo > newest.No {
		// Perhaps core has made a new key; the node learns it with the event's others.
		if room := s.rooms.byEvent(session.Event); room != nil {
			room.wanted.Store(true)
			return shopper{}, problemCoreUnreachable
		}
	}
	if admission.CheckFilter(raw, key) != nil {
		return shopper{}, problemSessionForged
	}
	if !known || session.Device != who.hash {
		return shopper{}, problemDeviceMismatch
	}
	return shopper{session: session, text: append([]byte(nil), value...), device: who.hash}, nil
}

func (s *Server) refuseSession(ctx *fasthttp.RequestCtx, bad *problem) {
	s.counts.sessionsBad.Inc()
	wait := time.Duration(0)
	if bad == problemCoreUnreachable {
		wait = coreRetry
	}
	refuseUntil(ctx, bad, wait)
}

// byEvent finds a room by its event's id.
func (r *rooms) byEvent(event uuid.UUID) *room {
	for _, room := range r.all() {
		if room.event == event {
			return room
		}
	}
	return nil
}
