package edge

import (
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// What an identity is made of, as the event says.
const (
	identityDevice     = "device"
	identityInvitation = "invitation"
	identityAccount    = "account"
)

// joinRequest is the body of a join.
type joinRequest struct {
	// Invitation is required by events that sell by invitation.
	Invitation string `json:"invitation"`
	// Receipt may be sent back by a page that has one: with it, and the final pass, a join costs nothing.
	Receipt string `json:"receipt"`
	// Website is a field that people do not see. A program that fills in whatever there is gives itself away.
	Website string `json:"website"`
}

// join lets a browser into the waiting room: it gets a pass at once and, when core has the entry, a receipt. Joining
// again changes nothing.
func (s *Server) join(ctx *fasthttp.RequestCtx, slug []byte) {
	now := s.now()
	client := s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	var request joinRequest
	if !readObject(ctx.PostBody(), &request) {
		refuse(ctx, problemBadJSON)
		return
	}
	entry, room := s.board.Entry(slug), s.rooms.find(slug)
	if entry == nil || room == nil {
		s.refuseUnknown(ctx)
		return
	}
	state, at := &entry.State, s.clock.at(now)
	if !s.joinable(ctx, state, at) {
		return
	}
	keys := room.keys.Load()
	if keys == nil || keys.generation != state.Generation {
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	who, known := s.cookies.browserOf(ctx)
	if !known {
		if subject := guard.AddressSubject(client); s.limited(ctx, guard.NewDevice, now, subject[:]) {
			return
		}
		who = newBrowser()
	} else if s.limited(ctx, guard.Device, now, who.hash[:]) {
		return
	}
	entrant, refusal := s.entrantOf(ctx, room, keys, state.Presale, &request, who, now)
	if refusal != nil {
		s.refuseAccount(ctx, refusal)
		return
	}
	if keys.identity != identityDevice && s.limited(ctx, guard.Account, now, entrant[:]) {
		return
	}
	s.counts.joins.Inc()
	s.activate(room)
	s.judgeJoin(ctx, now, client, !known, who, room, entrant, state, request.Website != "")

	network := lottery.NetworkOf(client)
	suspect := s.guard.Maybe(guard.BannedDevice, who.hash[:]) || s.guard.Maybe(guard.BannedEntrant, entrant[:]) ||
		s.guard.Maybe(guard.BannedNetwork, network[:])
	out := joined{event: room.slug, entrant: entrant, deviceNew: !known, generation: keys.generation, retryAfter: s.cfg.Join.RetryAfter}
	held, holds := s.heldPass(ctx, room, keys, entrant, who)
	if receipt, ok := keys.verifyReceipt(room, request.Receipt, entrant); ok && holds && !suspect {
		out.final = true
		out.seat = seat{window: receipt.Window, band: receipt.Band, reason: receipt.Reason, receipt: request.Receipt}
	} else {
		place, full := room.stream.join(poolEntry{entrant: entrant, device: who.hash, network: network}, at, suspect)
		switch {
		case full:
			s.counts.poolFull.Inc()
			refuseUntil(ctx, problemOverloaded, coreRetry)
			return
		case place.banned:
			refuse(ctx, problemBanned)
			return
		case place.stranger:
			refuse(ctx, problemNotRegistered)
			return
		}
		out.seat, out.final = place, place.receipt != ""
		if holds && !out.final {
			// Core's word given before stands while its receipt is fetched again.
			out.seat.window, out.seat.band, out.final = held.Window, held.Band, true
		}
	}
	s.answerJoin(ctx, &out, room, keys, who, at)
}

// answerJoin makes the pass and answers.
func (s *Server) answerJoin(ctx *fasthttp.RequestCtx, out *joined, room *room, keys *roomKeys, who browser, at time.Time) {
	if out.seat.receipt != "" {
		s.counts.joinsFinal.Inc()
		out.retryAfter = 0
	}
	pass := queue.Pass{
		KeyNo: keys.newest.No, Event: room.event, Entrant: out.entrant, Device: who.hash, Generation: keys.generation,
		Window: out.seat.window, Band: out.seat.band, Provisional: !out.final, IssuedAt: at,
	}
	var buf [queue.PassSize]byte
	out.passText = text.AppendEncode(nil, pass.Sign(buf[:0], keys.newest.Key[:]))
	if out.deviceNew {
		s.cookies.set(ctx, s.cookies.device, text.AppendEncode(nil, who.secret[:]))
	}
	s.cookies.set(ctx, s.cookies.pass+room.slug, out.passText)
	answerJSON(ctx, fasthttp.StatusOK, out.append(make([]byte, 0, 768)))
}

// joinable tells whether the waiting room takes entries now; if not, it has answered.
func (s *Server) joinable(ctx *fasthttp.RequestCtx, state *queue.State, at time.Time) bool {
	if state.Phase == queue.PhaseEnded || !at.Before(state.EndsAt.Time) {
		refuseFor(ctx, problemRoomNotOpen, "The on-sale is over.", 0)
		return false
	}
	if wait := state.JoiningAt.Sub(at); wait > 0 && state.Phase == queue.PhaseAnnounced {
		refuseFor(ctx, problemRoomNotOpen, "The waiting room is not open yet. Coming early or often does not help.", wait)
		return false
	}
	return true
}

// entrantOf is who joins a presale, or general sale, by what that calls an identity.
func (s *Server) entrantOf(ctx *fasthttp.RequestCtx, room *room, k *roomKeys, presale string, request *joinRequest, who browser, now time.Time) (lottery.Entrant, *problem) {
	switch k.identity {
	case identityAccount:
		signed, none := s.accountOf(ctx, now)
		if none == problemSignedOut {
			none = problemAccountRequired
		}
		return signed.token.Subject.Entrant(k.pseudonym[:]), none
	case identityDevice:
		return lottery.NewEntrant(k.pseudonym[:], identityDevice, who.secret[:]), nil
	case identityInvitation:
		if request.Invitation == "" {
			return lottery.Entrant{}, problemInvitationRequired
		}
		invitation, ok := k.verifyInvitation(room.event, presale, request.Invitation)
		if !ok {
			return lottery.Entrant{}, problemInvitationForged
		}
		return lottery.NewEntrant(k.pseudonym[:], identityInvitation, invitation.ID[:]), nil
	}
	return lottery.Entrant{}, problemIdentityUnknown
}

// heldPass is the final pass the browser shows for this entrant, if it shows one.
func (s *Server) heldPass(ctx *fasthttp.RequestCtx, room *room, keys *roomKeys, entrant lottery.Entrant, who browser) (queue.Pass, bool) {
	var name [128]byte
	value := ctx.Request.Header.CookieBytes(append(append(name[:0], s.cookies.pass...), room.slug...))
	var buf [queue.PassSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return queue.Pass{}, false
	}
	pass, err := queue.VerifyPass(raw, keys.passes)
	if err != nil || pass.Provisional || pass.Event != room.event || pass.Generation != keys.generation ||
		pass.Entrant != entrant || pass.Device != who.hash {
		return queue.Pass{}, false
	}
	return pass, true
}

// verifyReceipt checks a receipt that a page sends back.
func (k *roomKeys) verifyReceipt(room *room, encoded string, entrant lottery.Entrant) (lottery.Receipt, bool) {
	if encoded == "" {
		return lottery.Receipt{}, false
	}
	var buf [lottery.ReceiptSize]byte
	raw, ok := decodeText(buf[:], []byte(encoded))
	if !ok {
		return lottery.Receipt{}, false
	}
	parsed, err := lottery.ParseReceipt(raw)
	if err != nil || parsed.Event != room.event || parsed.Generation != k.generation || parsed.Entrant != entrant {
		return lottery.Receipt{}, false
	}
	verified, err := lottery.VerifyReceipt(raw, k.receipts.Find(parsed.KeyNo))
	return verified, err == nil
}
