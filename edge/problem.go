package edge

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// problem is a refusal in the words of RFC 9457. The variables below are all that an edge says by itself; problems of
// core are passed on as they are.
type problem struct {
	status int
	code   string
	title  string
	detail string
}

// Everything an edge refuses with. The detail is what helps most clients; handlers that know more say more.
var (
	problemEventUnknown    = &problem{404, "event_unknown", "No such event", "No on-sale of that name is known here. Check the address; an event just set up appears within seconds."}
	problemPassMissing     = &problem{401, "pass_missing", "No pass", "This browser has not joined the waiting room of this event. Join it first."}
	problemPassMalformed   = &problem{400, "pass_malformed", "Malformed pass", "The pass is not of the form that Fairgate issues. Join the waiting room again."}
	problemPassForged      = &problem{401, "pass_forged", "Forged pass", "The pass was not issued by Fairgate. Join the waiting room again."}
	problemPassOtherEvent  = &problem{400, "pass_other_event", "Pass of another on-sale", "The pass belongs to another event, or to an earlier on-sale of this one. Join this one's waiting room."}
	problemDeviceMismatch  = &problem{401, "device_mismatch", "Issued to another browser", "This was issued to another browser. Use the browser in which you joined."}
	problemNotYourTurn     = &problem{425, "not_your_turn", "Not your turn yet", "Your place is kept. Watch the state object and claim when the cursor has reached your place."}
	problemPassProvisional = &problem{425, "pass_provisional", "Pass not acknowledged yet", "Your entry has not been acknowledged yet. Repeat the join until it returns a receipt."}
	problemRoomNotOpen     = &problem{425, "room_not_open", "Not open", "The waiting room is not open for this now. The state object says when it is."}
	problemCoreUnreachable = &problem{503, "core_unreachable", "Please wait", "The sales system cannot be reached at the moment. Your place is kept; nothing is lost. Try again shortly."}
	problemOutcomeUnknown  = &problem{503, "core_unreachable", "Please ask again", "The answer of the sales system got lost, so the outcome is not known here. Repeat the request with the same Idempotency-Key: it is done once only."}
	problemRateLimited     = &problem{429, "rate_limited", "Too many requests", "Too many requests came from here. Asking more often does not improve anybody's place."}
	problemTooManyStreams  = &problem{429, "too_many_streams", "Too many streams", "This shopper, or this address, follows the event in many places already. Close some of them; the seats can be asked for all the same."}
	problemBanned          = &problem{403, "banned", "Excluded", "This entry was excluded. The reason is on record; ask the organizer."}

	problemNotRegistered = &problem{403, "not_registered", "Not registered", "This presale is for accounts that have registered for it, and yours has not."}

	problemChallengeRequired = &problem{403, "challenge_required", "One more step", "It is your turn and your place is kept. Something about this browser looked like a program. Answer the challenge, or open its page, which has other ways, then claim again."}
	problemChallengeFailed   = &problem{403, "challenge_failed", "Not the right answer", "That was not the right answer. Here is another challenge; its page has other ways."}
	problemChallengeExpired  = &problem{403, "challenge_expired", "Used or too old", "That challenge was used before, or is too old. Here is another one; its page has other ways."}
	problemChallengeForged   = &problem{400, "challenge_forged", "Not your challenge", "The challenge was not made here for this browser. Claim again to get one."}
	problemWaitLonger        = &problem{425, "wait_longer", "A little longer", "The time to wait is not over yet. Send the same again when it is."}
	problemDenied            = &problem{403, "denied", "Stopped by the filter", "What came from this browser looked like a program in many ways. The reasons are on record, and a person can lift this: ask the organizer."}

	problemSessionMissing   = &problem{401, "session_missing", "Not admitted", "There is no session of this event in this browser. Join the waiting room and claim when it is your turn."}
	problemSessionMalformed = &problem{400, "session_malformed", "Malformed session", "The session is not of the form that Fairgate issues. Claim your turn again."}
	problemSessionForged    = &problem{401, "session_forged", "Forged session", "The session was not issued by Fairgate. Claim your turn again."}
	problemSessionExpired   = &problem{401, "session_expired", "Session expired", "The time to shop is over. What was bought stays visible; to buy more, join again."}
	problemTokenMalformed   = &problem{400, "token_malformed", "Malformed admission token", "The admission token is not of the form that Fairgate issues. Leave it out to get a new one."}

	problemInvitationRequired = &problem{401, "invitation_required", "Invitation required", "This on-sale is by invitation. Send the invitation with the join."}
	problemInvitationForged   = &problem{401, "invitation_forged", "Invitation not valid", "The invitation was not issued for this sale of the event. Copy it completely; one made for another sale of the event is good in that one."}

	problemAccountRequired = &problem{401, "account_required", "Sign in first", "This on-sale is for accounts: one entry each, from as many browsers as you like. Sign in with your e-mail address, then join."}
	problemAccountOther    = &problem{401, "account_other", "Another account", "Another account joined in this browser. Sign in with that one, or join anew with yours."}

	problemSignedOut = &problem{401, "signed_out", "Not signed in", "Nobody is signed in in this browser. Ask for a code to your e-mail address, and sign in with it."}

	problemLinkDead = &problem{404, "order_link_dead", "No such link", "This link to an order is not, or no longer, good. Sign in with the address that the mail came to: your orders are there."}

	problemIdentityUnknown = &problem{425, "room_not_open", "Not open here", "This on-sale needs an identity that this node cannot check. Use the organizer's own page."}

	problemKeyMissing       = &problem{400, "idempotency_key_missing", "Idempotency-Key missing", "Send an Idempotency-Key header: a random value per purchase step, the same one when you repeat it."}
	problemKeyMalformed     = &problem{400, "idempotency_key_malformed", "Idempotency-Key malformed", "An Idempotency-Key is 1 to 128 visible ASCII characters."}
	problemOriginForbidden  = &problem{403, "origin_forbidden", "Foreign origin", "The request comes from a page of another site."}
	problemNotFound         = &problem{404, "not_found", "Not found", "There is nothing at this address."}
	problemMethodNotAllowed = &problem{405, "method_not_allowed", "Method not allowed", "This address does not take that method; see the Allow header."}
	problemBodyTooLarge     = &problem{413, "body_too_large", "Body too large", "The request body is larger than this address takes."}
	problemHeadersTooLarge  = &problem{431, "headers_too_large", "Headers too large", "The request line and headers are larger than this node takes. Delete cookies of old events."}
	problemBadJSON          = &problem{400, "bad_json", "Malformed JSON", "The body must be one JSON object."}
	problemBadRequest       = &problem{400, "bad_request", "Malformed request", "The request could not be understood."}
	problemRequestTimeout   = &problem{408, "request_timeout", "Request too slow", "The request did not arrive in time."}
	problemOverloaded       = &problem{503, "overloaded", "Please wait", "This node has as much to do as it takes. Try again shortly; your place is kept."}
)

// appendProblem appends the JSON of a problem. retryAfter in seconds is left out when zero.
func appendProblem(dst []byte, p *problem, detail string, retryAfter int) []byte {
	dst = append(dst, `{"type":"about:blank","title":`...)
	dst = appendJSONString(dst, p.title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	dst = append(dst, `,"detail":`...)
	dst = appendJSONString(dst, detail)
	dst = append(dst, `,"code":"`...)
	dst = append(dst, p.code...)
	dst = append(dst, '"')
	if retryAfter > 0 {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendInt(dst, int64(retryAfter), 10)
	}
	return append(dst, '}')
}

// refuse answers with the problem and its own detail.
func refuse(ctx *fasthttp.RequestCtx, p *problem) { refuseFor(ctx, p, p.detail, 0) }

// refuseUntil answers with the problem and tells when to try again, in whole seconds and at least one.
func refuseUntil(ctx *fasthttp.RequestCtx, p *problem, wait time.Duration) {
	refuseFor(ctx, p, p.detail, wait)
}

// refuseFor answers with the problem, a particular detail and, unless wait is zero, when to try again.
func refuseFor(ctx *fasthttp.RequestCtx, p *problem, detail string, wait time.Duration) {
	seconds := wholeSeconds(wait)
	var body [512]byte
	ctx.Response.SetBody(appendProblem(body[:0], p, detail, seconds))
	ctx.SetStatusCode(p.status)
	ctx.Response.Header.SetContentType(typeProblem)
	ctx.Response.Header.SetCanonical(keyCacheControl, noStore)
	if seconds > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(seconds))
	}
}

// wholeSeconds rounds a wait up; zero stays zero.
func wholeSeconds(wait time.Duration) int {
	if wait <= 0 {
		return 0
	}
	return int((wait + time.Second - 1) / time.Second)
}

// appendJSONString appends a quoted string. Everything below 0x20 and the characters JSON or HTML could trip over are
// escaped; the texts are UTF-8.
func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	plain := 0 // where what needs no escape begins
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			continue
		}
		dst = append(dst, s[plain:i]...)
		plain = i + 1
		if c == '"' || c == '\\' {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[plain:]...), '"')
}
