package edge

import (
	"bytes"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
)

// maxProviderName bounds the name in a webhook's path.
const maxProviderName = 32

// handle is the node's only entrance. The list of routes is explicit: what is not here does not get to core.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	path := ctx.Path()
	switch {
	case bytes.HasPrefix(path, []byte("/q/")):
		s.routeQueue(ctx, path[len("/q/"):])
		s.problemPage(ctx)
	case bytes.HasPrefix(path, []byte("/v1/")):
		s.routeBuyer(ctx, path[len("/v1/"):])
	case bytes.HasPrefix(path, []byte("/wallet/v1/")):
		s.routeWallet(ctx, path[len("/wallet/v1/"):])
	case bytes.HasPrefix(path, []byte("/webhooks/")):
		if name := path[len("/webhooks/"):]; !validProvider(name) {
			refuse(ctx, problemNotFound)
		} else if allow(ctx, "POST") {
			s.webhook(ctx)
		}
	default:
		s.routePage(ctx, path)
		s.problemPage(ctx)
	}
}

// routeQueue: /q/{event}/state, join, claim, place, challenge.
func (s *Server) routeQueue(ctx *fasthttp.RequestCtx, rest []byte) {
	slash := bytes.IndexByte(rest, '/')
	if slash < 0 {
		refuse(ctx, problemNotFound)
		return
	}
	slug := rest[:slash]
	switch string(rest[slash+1:]) {
	case "state":
		if ctx.IsGet() || ctx.IsHead() {
			s.serveState(ctx, slug)
			return
		}
		allow(ctx, "GET, HEAD")
	case "join":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			if isForm(ctx) {
				s.joinByForm(ctx, slug)
				return
			}
			s.join(ctx, slug)
		}
	case "challenge":
		switch {
		case ctx.IsGet() || ctx.IsHead():
			s.serveChallenge(ctx, slug)
		case allow(ctx, "GET, HEAD, POST") && s.fromOurPages(ctx):
			s.takeAnswer(ctx, slug)
		}
	case "claim":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			if isForm(ctx) {
				s.claimByForm(ctx, slug)
				return
			}
			s.claim(ctx, slug)
		}
	case "leave":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.leaveRoom(ctx, slug)
		}
	case "place":
		if ctx.IsGet() || ctx.IsHead() {
			s.servePlace(ctx, slug)
			return
		}
		allow(ctx, "GET, HEAD")
	default:
		refuse(ctx, problemNotFound)
	}
}

// routeBuyer: /v1/events…, /v1/holds…, /v1/orders…, /v1/tickets…, /v1/transfers…, /v1/account….
func (s *Server) routeBuyer(ctx *fasthttp.RequestCtx, rest []byte) {
	collection, id, tail := cutPath(rest)
	if bytes.HasSuffix(rest, []byte("/")) || len(id) == 0 && len(rest) > len(collection) {
		refuse(ctx, problemNotFound) // one thing has one address
		return
	}
	if string(collection) == "listings" || string(collection) == "tickets" && string(tail) == "listing" {
		s.routeResale(ctx, id, tail)
		return
	}
	switch string(collection) {
	case "events":
		s.routeEvents(ctx, id, tail)
	case "holds":
		switch {
		case len(id) == 0:
			if allow(ctx, "POST") && s.fromOurPages(ctx) {
				s.createHold(ctx)
			}
		case len(tail) > 0 || !validUUID(id):
			refuse(ctx, problemNotFound)
		case allow(ctx, "GET, DELETE") && s.fromOurPages(ctx):
			s.forwardOwned(ctx, false)
		}
	case "orders":
		switch {
		case len(id) == 0 && ctx.IsGet():
			s.forwardLinked(ctx, false)
		case len(id) == 0:
			if allow(ctx, "GET, POST") && s.fromOurPages(ctx) {
				s.forwardOwned(ctx, true)
			}
		case !validUUID(id):
			refuse(ctx, problemNotFound)
		case len(tail) == 0:
			if allow(ctx, "GET") {
				s.forwardOrder(ctx)
			}
		case string(tail) == "pay":
			if allow(ctx, "POST") && s.fromOurPages(ctx) {
				s.forwardLinked(ctx, true)
			}
		case string(tail) == "link":
			if allow(ctx, "POST") && s.fromOurPages(ctx) {
				s.openLink(ctx, id)
			}
		case string(tail) == "refund":
			if allow(ctx, "POST") && s.fromOurPages(ctx) {
				s.forwardOwned(ctx, true)
			}
		default:
			refuse(ctx, problemNotFound)
		}
	case "tickets":
		switch {
		case !validUUID(id):
			refuse(ctx, problemNotFound)
		case len(tail) == 0 || string(tail) == "wallet/apple" || string(tail) == "wallet/google":
			if allow(ctx, "GET") {
				s.forwardPrivate(ctx, false)
			}
		case string(tail) == "transfers":
			if allow(ctx, "POST") && s.fromOurPages(ctx) {
				s.forwardOwned(ctx, true)
			}
		default:
			refuse(ctx, problemNotFound)
		}
	case "transfers":
		s.routeTransfers(ctx, id, tail)
	case "waitlist", "offers", "reminders":
		s.routeWaitlist(ctx, collection, id, tail)
	case "account":
		s.routeAccount(ctx, id, tail)
	default:
		refuse(ctx, problemNotFound)
	}
}

// routeTransfers: /v1/transfers, /v1/transfers/{id}, /v1/transfers/{id}/accept and /decline.
func (s *Server) routeTransfers(ctx *fasthttp.RequestCtx, id, tail []byte) {
	switch {
	case len(id) == 0:
		if allow(ctx, "GET") {
			s.forwardOwned(ctx, false)
		}
	case !validUUID(id):
		refuse(ctx, problemNotFound)
	case len(tail) == 0:
		if allow(ctx, "GET, DELETE") && s.fromOurPages(ctx) {
			s.forwardOwned(ctx, false)
		}
	case string(tail) == "accept" || string(tail) == "decline":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.forwardSigned(ctx)
		}
	default:
		refuse(ctx, problemNotFound)
	}
}

// routeWaitlist: /v1/waitlist, /v1/reminders, /v1/offers/{id}, /v1/offers/{id}/accept and /decline.
func (s *Server) routeWaitlist(ctx *fasthttp.RequestCtx, collection, id, tail []byte) {
	switch {
	case string(collection) != "offers" && len(id) == 0:
		if allow(ctx, "GET") {
			s.forwardAccount(ctx)
		}
	case string(collection) != "offers" || !validUUID(id):
		refuse(ctx, problemNotFound)
	case len(tail) == 0:
		if allow(ctx, "GET") {
			s.forwardAccount(ctx)
		}
	case string(tail) == "accept" || string(tail) == "decline":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.forwardSigned(ctx)
		}
	default:
		refuse(ctx, problemNotFound)
	}
}

// routeAccount: /v1/account, and of it /code, /session, /orders and /tickets.
func (s *Server) routeAccount(ctx *fasthttp.RequestCtx, part, tail []byte) {
	switch {
	case len(tail) > 0:
		refuse(ctx, problemNotFound)
	case string(part) == "code":
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.askForCode(ctx)
		}
	case string(part) == "session":
		switch {
		case !allow(ctx, "POST, DELETE") || !s.fromOurPages(ctx):
		case ctx.IsPost():
			s.signIn(ctx)
		default:
			s.signOut(ctx)
		}
	case len(part) == 0, string(part) == "orders", string(part) == "tickets":
		if allow(ctx, "GET") {
			s.forwardAccount(ctx)
		}
	default:
		refuse(ctx, problemNotFound)
	}
}

// routeResale: /v1/listings, /v1/listings/{id}, /v1/tickets/{id}/listing.
func (s *Server) routeResale(ctx *fasthttp.RequestCtx, id, tail []byte) {
	switch {
	case len(id) == 0:
		if allow(ctx, "GET") {
			s.forwardOwned(ctx, false)
		}
	case !validUUID(id):
		refuse(ctx, problemNotFound)
	case string(tail) == "listing":
		if allow(ctx, "GET, POST") && s.fromOurPages(ctx) {
			s.forwardOwned(ctx, ctx.IsPost())
		}
	case len(tail) > 0:
		refuse(ctx, problemNotFound)
	case allow(ctx, "PATCH, DELETE") && s.fromOurPages(ctx):
		s.forwardOwned(ctx, false)
	}
}

// routeEvents: /v1/events, /v1/events/{event}, and of an event /transcript, /transcript/{sale}, /seats, /seats/geometry/{hash}, /listings, /waitlist, /waitlist/entry,
// /reminders, /stream and /presales/{presale}/registration.
func (s *Server) routeEvents(ctx *fasthttp.RequestCtx, slug, tail []byte) {
	switch {
	case len(slug) == 0:
		if allow(ctx, "GET") {
			s.serveCatalog(ctx, uuid.Nil)
		}
	case isRegistration(tail) && lottery.ValidSlug(string(slug)):
		if allow(ctx, "POST") && s.fromOurPages(ctx) {
			s.forwardSigned(ctx)
		}
	case len(tail) > 0 && string(tail) != "seats" && !isTranscript(tail) && string(tail) != "listings" && string(tail) != "stream" &&
		string(tail) != "waitlist" && string(tail) != waitlistEntry && string(tail) != "reminders" && !isGeometry(tail):
		refuse(ctx, problemNotFound)
	case !lottery.ValidSlug(string(slug)):
		refuse(ctx, problemEventUnknown)
	case string(tail) == "stream":
		if allow(ctx, "GET") {
			s.serveStream(ctx, slug)
		}
	case string(tail) == waitlistEntry || string(tail) == "reminders":
		if allow(ctx, "GET, PUT, DELETE") && s.fromOurPages(ctx) {
			s.forwardSigned(ctx)
		}
	case isGeometry(tail):
		if allow(ctx, "GET") {
			s.serveGeometry(ctx, slug, tail[len(geometryPath):])
		}
	case !allow(ctx, "GET"):
	case len(tail) == 0, isTranscript(tail):
		s.serveCatalog(ctx, lottery.EventID(string(slug)))
	default:
		s.forwardPublic(ctx, lottery.EventID(string(slug)))
	}
}

// waitlistEntry is the caller's own place on an event's waiting list.
const waitlistEntry = "waitlist/entry"

// geometryPath is what comes before the hash in a geometry's address.
const geometryPath = "seats/geometry/"

func isGeometry(tail []byte) bool {
	return bytes.HasPrefix(tail, []byte(geometryPath)) && validHash(tail[len(geometryPath):])
}

// isTranscript tells whether the rest of an event's address is transcript, or transcript/{sale} of an earlier on-sale.
func isTranscript(tail []byte) bool {
	rest, is := bytes.CutPrefix(tail, []byte("transcript"))
	if !is || len(rest) == 0 {
		return is
	}
	number, is := bytes.CutPrefix(rest, []byte("/"))
	for _, c := range number {
		is = is && c >= '0' && c <= '9'
	}
	return is && len(number) > 0 && len(number) < 10 && number[0] != '0'
}

// isRegistration tells whether the rest of an event's address is presales/{presale}/registration.
func isRegistration(tail []byte) bool {
	rest, is := bytes.CutPrefix(tail, []byte("presales/"))
	name, is2 := bytes.CutSuffix(rest, []byte("/registration"))
	return is && is2 && lottery.ValidSlug(string(name))
}

// cutPath splits "orders/1/pay" into its three parts; a fourth stays in the third.
func cutPath(rest []byte) (collection, id, tail []byte) {
	collection, rest, _ = bytes.Cut(rest, []byte("/"))
	id, tail, _ = bytes.Cut(rest, []byte("/"))
	return collection, id, tail
}

// allow checks the method against a list, and answers when it is not in it.
func allow(ctx *fasthttp.RequestCtx, methods string) bool {
	for method := range bytes.SplitSeq([]byte(methods), []byte(", ")) {
		if bytes.Equal(method, ctx.Method()) {
			return true
		}
	}
	ctx.Response.Header.Set(fasthttp.HeaderAllow, methods)
	refuse(ctx, problemMethodNotAllowed)
	return false
}

// fromOurPages checks the Origin of a request that changes something. Programs send none; browsers always do. SameSite
// cookies are the first line of this defence, this is the second.
func (s *Server) fromOurPages(ctx *fasthttp.RequestCtx) bool {
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 || ctx.IsGet() {
		return true
	}
	if _, host, ok := bytes.Cut(origin, []byte("://")); ok && len(host) > 0 && bytes.EqualFold(host, ctx.Host()) {
		return true
	}
	for _, own := range s.cfg.PublicOrigins {
		if string(origin) == own {
			return true
		}
	}
	refuse(ctx, problemOriginForbidden)
	return false
}

// validUUID accepts the canonical text form only, so that an id has one address.
func validUUID(id []byte) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

func validProvider(name []byte) bool {
	if len(name) == 0 || len(name) > maxProviderName {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
