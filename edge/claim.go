package edge

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// claimRequest is the body of a claim.
type claimRequest struct {
	// AdmissionToken is passed on to core instead of a newly minted one.
	AdmissionToken string `json:"admission_token"`
	// Move takes an account's turn over from the browser that has it.
	Move bool `json:"move"`
}

// redeemed is core's answer to a redeemed token.
type redeemed struct {
	Session   string `json:"session"`
	ExpiresAt string `json:"expires_at"`
}

// claim turns a called place into a session. All checks here are filters: core decides when it redeems the token.
func (s *Server) claim(ctx *fasthttp.RequestCtx, slug []byte) {
	now := s.now()
	client := s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	var request claimRequest
	if !readObject(ctx.PostBody(), &request) {
		refuse(ctx, problemBadJSON)
		return
	}
	entry, room := s.board.Entry(slug), s.rooms.find(slug)
	if entry == nil || room == nil {
		s.refuseUnknown(ctx)
		return
	}
	s.counts.claims.Inc()
	who, known := s.cookies.browserOf(ctx)
	if known && s.limited(ctx, guard.Device, now, who.hash[:]) {
		return
	}
	var signed signedIn
	if entry.State.Identity == identityAccount {
		var none *problem
		if signed, none = s.accountOf(ctx, now); none != nil {
			if none == problemSignedOut {
				none = problemAccountRequired
			}
			s.refuseAccount(ctx, none)
			return
		}
	}
	var token []byte
	if request.AdmissionToken != "" {
		raw, ok := decodeToken(request.AdmissionToken)
		if !ok {
			refuse(ctx, problemTokenMalformed)
			return
		}
		if !known {
			refuse(ctx, problemDeviceMismatch)
			return
		}
		token = raw
	} else if token = s.tokenFor(ctx, entry, room, who, known, client, &signed, now); token == nil {
		return
	}
	if !s.enter(ctx) {
		return
	}
	defer s.leave()
	s.redeem(ctx, room, who, redemption{token: text.AppendEncode(nil, token), account: signed.text, move: request.Move})
}

// redemption is what is sent to core for a session.
type redemption struct {
	token   []byte // text
	account []byte // text; empty: the event's identity is none
	move    bool
}

func decodeToken(encoded string) ([]byte, bool) {
	raw, ok := decodeText(make([]byte, admission.TokenSize), []byte(encoded))
	if !ok {
		return nil, false
	}
	_, err := admission.Parse(raw)
	return raw, err == nil
}

// tokenFor checks the browser's pass and mints a token, or answers why not and returns nil.
func (s *Server) tokenFor(ctx *fasthttp.RequestCtx, entry *queue.Entry, room *room, who browser, known bool, client netip.Addr, signed *signedIn, now time.Time) []byte {
	pass, bad := s.passOf(ctx, room, who, known)
	if bad != nil {
		s.counts.passesBad.Inc()
		wait := time.Duration(0)
		if bad == problemCoreUnreachable {
			wait = coreRetry
		}
		refuseUntil(ctx, bad, wait)
		return nil
	}
	if keys := room.keys.Load(); entry.State.Identity == identityAccount && signed.token.Subject.Entrant(keys.pseudonym[:]) != pass.Entrant {
		refuse(ctx, problemAccountOther)
		return nil
	}
	state, at := &entry.State, s.clock.at(now)
	if state.Identity != identityDevice && s.limited(ctx, guard.Account, now, pass.Entrant[:]) {
		return nil
	}
	switch {
	case state.Doubt || s.doubt.Load():
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return nil
	case pass.Generation != state.Generation:
		refuse(ctx, problemPassOtherEvent)
		return nil
	case pass.Provisional:
		refuseUntil(ctx, problemPassProvisional, s.cfg.Join.RetryAfter)
		return nil
	case state.Phase == queue.PhaseEnded:
		refuseFor(ctx, problemRoomNotOpen, "The on-sale is over.", 0)
		return nil
	case state.Phase == queue.PhaseAnnounced || state.Phase == queue.PhaseJoining || state.Phase == queue.PhaseSealing || state.Phase == queue.PhaseDrawn:
		refuseFor(ctx, problemRoomNotOpen, "The sale has not begun. Your place is kept.", max(state.OpensAt.Sub(at), untilNextPoll(state)))
		return nil
	}
	place, drawn := state.Place(pass)
	if !drawn || !state.Called(place) {
		s.counts.claimsEarly.Inc()
		s.judges.early.Add(now, pass.Entrant[:], 1)
		refuseUntil(ctx, problemNotYourTurn, untilNextPoll(state))
		return nil
	}
	if keys := room.keys.Load(); keys != nil && !s.mayClaim(ctx, &claimant{who: who, pass: pass, room: room, keys: keys, state: state, client: client, now: now, at: at}) {
		return nil
	}
	var nonce [8]byte
	rand.Read(nonce[:])
	token, err := s.ring.Mint(make([]byte, 0, admission.TokenSize), admission.Token{
		Event: room.event, Entrant: pass.Entrant, Device: who.hash, Generation: pass.Generation, Nonce: nonce,
	}, at, s.cfg.Keys.TokenTTL)
	if err != nil {
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return nil
	}
	s.counts.tokens.Inc()
	return token
}

// passOf reads and checks the browser's pass for the room's event.
func (s *Server) passOf(ctx *fasthttp.RequestCtx, room *room, who browser, known bool) (queue.Pass, *problem) {
	var name [128]byte
	value := ctx.Request.Header.CookieBytes(append(append(name[:0], s.cookies.pass...), room.slug...))
	if len(value) == 0 {
		return queue.Pass{}, problemPassMissing
	}
	var buf [queue.PassSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return queue.Pass{}, problemPassMalformed
	}
	parsed, err := queue.ParsePass(raw)
	if err != nil {
		return queue.Pass{}, problemPassMalformed
	}
	if parsed.Event != room.event {
		// Its MAC is of another event's key, which may not be known here; whoever made it, it is of no use.
		return queue.Pass{}, problemPassOtherEvent
	}
	keys := room.keys.Load()
	if keys == nil {
		return queue.Pass{}, problemCoreUnreachable
	}
	pass, err := queue.VerifyPass(raw, keys.passes)
	switch {
	case errors.Is(err, queue.ErrKeyUnknown) && parsed.KeyNo > keys.newest.No:
		// Perhaps core has made a new key and another node uses it already.
		room.wanted.Store(true)
		return queue.Pass{}, problemCoreUnreachable
	case err != nil:
		return queue.Pass{}, problemPassForged
	case !known || pass.Device != who.hash:
		s.judges.strangers.Add(s.now(), pass.Entrant[:], 1)
		return queue.Pass{}, problemDeviceMismatch
	}
	return pass, nil
}

// redeem lets core exchange the token for a session and answers the buyer.
func (s *Server) redeem(ctx *fasthttp.RequestCtx, room *room, who browser, r redemption) {
	it := s.redeems.item(room.event, ctx.Conn())
	defer s.redeems.free(it)
	it.payload = appendRedeem(it.payload, room.slug, r, who.hash)
	out := s.redeems.submit(it, s.cfg.Core.Timeout)
	if out.err != nil {
		s.refuseUpstream(ctx, out.err)
		return
	}
	if out.status != fasthttp.StatusOK {
		if s.keyRevoked(r.token, out.body) {
			s.counts.unreachable.Inc()
			refuseUntil(ctx, problemCoreUnreachable, coreRetry) // the turn is kept, and the next key is on its way
			return
		}
		answerFromCore(ctx, out.answer)
		return
	}
	var got redeemed
	if json.Unmarshal(out.body, &got) != nil || len(got.Session) != text.EncodedLen(admission.SessionSize) {
		s.log.Error("core's answer to a redeemed token cannot be read", "event", room.slug)
		s.refuseUpstream(ctx, errLost)
		return
	}
	s.counts.admitted.Inc()
	s.cookies.set(ctx, s.cookies.sess+room.slug, []byte(got.Session))
	body := append(make([]byte, 0, 512), `{"event":"`...)
	body = append(body, room.slug...)
	body = append(body, `","admission_token":"`...)
	body = append(body, r.token...)
	body = append(body, `","session_expires_at":`...)
	body = appendJSONString(body, got.ExpiresAt)
	answerJSON(ctx, fasthttp.StatusOK, append(body, '}'))
}

// keyRevoked tells whether core refused a token because it believes its key no longer, and that key is one of this node's own: then it
// is not used any more and another is made.
func (s *Server) keyRevoked(token, body []byte) bool {
	if readProblem(body).Code != "token_key_unknown" {
		return false
	}
	var buf [admission.TokenSize]byte
	raw, ok := decodeText(buf[:], token)
	if !ok {
		return false
	}
	parsed, err := admission.Parse(raw)
	if err != nil || !s.ring.Holds(parsed.KeyID) {
		return false
	}
	s.ring.Replace(parsed.KeyID, true)
	s.core.want()
	return true
}

// appendRedeem appends one item of a redeem batch.
func appendRedeem(dst []byte, slug string, r redemption, device lottery.DeviceHash) []byte {
	dst = append(dst, `{"event":"`...)
	dst = append(dst, slug...)
	dst = append(dst, `","token":"`...)
	dst = append(dst, r.token...)
	dst = append(dst, `","device":"`...)
	dst = appendHex(dst, device[:])
	if len(r.account) > 0 {
		dst = append(dst, `","account":"`...)
		dst = append(dst, r.account...)
		if r.move {
			return append(dst, `","move":true}`...)
		}
	}
	return append(dst, `"}`...)
}
