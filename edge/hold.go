package edge

import (
	"net/netip"

	"github.com/valyala/fasthttp"

	"fairgate/edge/batch"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// maxKeyLength is the longest Idempotency-Key.
const maxKeyLength = 128

// holdRequest is what an edge reads of the body of a hold; core reads the rest.
type holdRequest struct {
	Event string `json:"event"`
}

// createHold sends a hold to core together with those of others, and answers this buyer with their own result.
func (s *Server) createHold(ctx *fasthttp.RequestCtx) {
	now := s.now()
	client := s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	key := ctx.Request.Header.Peek(headerKey)
	if bad := checkKey(key); bad != nil {
		refuse(ctx, bad)
		return
	}
	body := ctx.PostBody()
	slug, ok := eventOf(body)
	if !ok {
		refuse(ctx, problemBadJSON)
		return
	}
	if !lottery.ValidSlug(slug) {
		refuse(ctx, problemEventUnknown)
		return
	}
	buyer, bad := s.findShopper(ctx, slug, now)
	if bad != nil {
		if _, none := s.accountOf(ctx, now); none == nil {
			s.forwardOwned(ctx, true) // core says whether an account needs to be admitted now
			return
		}
		s.refuseSession(ctx, bad)
		return
	}
	if s.limited(ctx, guard.Session, now, buyer.session.Session[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	it := s.holds.item(buyer.session.Event, ctx.Conn())
	defer s.holds.free(it)
	it.payload = appendHoldItem(it.payload, slug, &buyer, key, client, body)
	out := s.holds.submit(it, s.cfg.Core.Timeout)
	if out.err != nil {
		s.refuseUpstream(ctx, out.err)
		return
	}
	answerFromCore(ctx, out.answer)
}

// eventOf reads which event a hold is of. False means that the body is not one JSON object.
func eventOf(body []byte) (string, bool) {
	if slug, ok := batch.EventOf(body); ok {
		return string(slug), true
	}
	var request holdRequest
	if len(body) == 0 || batch.TooDeep(body) || !readObject(body, &request) {
		return "", false
	}
	return request.Event, true
}

// appendHoldItem appends one item of a hold batch. All of it is copied.
func appendHoldItem(dst []byte, slug string, buyer *shopper, key []byte, client netip.Addr, body []byte) []byte {
	dst = append(dst, `{"event":"`...)
	dst = append(dst, slug...)
	dst = append(dst, `","session":"`...)
	dst = append(dst, buyer.text...)
	dst = append(dst, `","device":"`...)
	dst = appendHex(dst, buyer.device[:])
	dst = append(dst, `","key":`...)
	dst = appendJSONString(dst, string(key))
	dst = append(dst, `,"client":"`...)
	dst = client.AppendTo(dst)
	dst = append(dst, `","body":`...)
	dst = append(dst, body...)
	return append(dst, '}')
}

// checkKey checks an Idempotency-Key: 1 to 128 visible ASCII characters.
func checkKey(key []byte) *problem {
	if len(key) == 0 {
		return problemKeyMissing
	}
	if len(key) > maxKeyLength {
		return problemKeyMalformed
	}
	for _, c := range key {
		if c <= ' ' || c >= 0x7f {
			return problemKeyMalformed
		}
	}
	return nil
}
