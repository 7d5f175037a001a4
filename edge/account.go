package edge

import (
	"encoding/json"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
)

// accountKeys are core's public keys of account sessions. Any goroutine may use them.
type accountKeys struct {
	keys    atomic.Pointer[lottery.PublicKeys]
	askedAt atomic.Int64 // Unix nanoseconds: when core was last asked
	wanted  atomic.Bool  // a session named a key that is not known
}

func (k *accountKeys) learn(keys lottery.PublicKeys, now time.Time) {
	if len(keys) == 0 {
		return
	}
	k.keys.Store(&keys)
	k.askedAt.Store(now.UnixNano())
	k.wanted.Store(false)
}

// due tells whether the keys are to be asked for again, now: once in a while only, since anybody can make up numbers. One goroutine asks.
func (k *accountKeys) due(now time.Time) bool {
	if !k.wanted.Load() || now.UnixNano()-k.askedAt.Load() <= int64(keyPause) {
		return false
	}
	k.askedAt.Store(now.UnixNano())
	return true
}

// signedIn is an account that is signed in in the browser.
type signedIn struct {
	token admission.Account
	text  []byte // the cookie's value, copied
}

// accountOf is who is signed in in the browser, as far as an edge can tell: core knows whether it has signed out everywhere since. The
// problem says why nobody is.
func (s *Server) accountOf(ctx *fasthttp.RequestCtx, now time.Time) (signedIn, *problem) {
	value := ctx.Request.Header.Cookie(s.cookies.acct)
	if len(value) == 0 {
		return signedIn{}, problemSignedOut
	}
	var buf [admission.AccountSize]byte
	raw, ok := decodeText(buf[:], value)
	if !ok {
		return signedIn{}, problemSignedOut
	}
	keys := s.signers.keys.Load()
	if keys == nil {
		return signedIn{}, problemCoreUnreachable
	}
	token, err := admission.VerifyAccount(raw, *keys, s.clock.at(now))
	switch {
	case errors.Is(err, admission.ErrNoKey) && parsedNewer(raw, *keys):
		s.signers.wanted.Store(true) // perhaps core has made a new key
		return signedIn{}, problemCoreUnreachable
	case err != nil:
		return signedIn{}, problemSignedOut
	}
	if who, known := s.cookies.browserOf(ctx); !known || who.hash != token.Device {
		return signedIn{}, problemSignedOut
	}
	return signedIn{token: token, text: append([]byte(nil), value...)}, nil
}

// parsedNewer tells whether a session names a key newer than all that are known.
func parsedNewer(raw []byte, keys lottery.PublicKeys) bool {
	token, err := admission.ParseAccount(raw)
	if err != nil {
		return false
	}
	for _, key := range keys {
		if key.No >= token.KeyNo {
			return false
		}
	}
	return true
}

// refuseAccount answers why nobody is signed in.
func (s *Server) refuseAccount(ctx *fasthttp.RequestCtx, p *problem) {
	if p == problemCoreUnreachable {
		s.counts.unreachable.Inc()
		refuseUntil(ctx, p, coreRetry)
		return
	}
	refuse(ctx, p)
}

// forwardAccount passes on a look at an account's own things.
func (s *Server) forwardAccount(ctx *fasthttp.RequestCtx) {
	now, client := s.now(), s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	signed, none := s.accountOf(ctx, now)
	if none != nil {
		s.refuseAccount(ctx, none)
		return
	}
	if s.limited(ctx, guard.Session, now, signed.token.Account[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	copyRequest(req, ctx)
	signed.identify(req, client)
	s.exchange(ctx, signed.token.Account, req, resp)
}

// identify tells core which account is signed in in which browser.
func (a *signedIn) identify(req *fasthttp.Request, client netip.Addr) {
	req.Header.SetBytesV(headerAccount, a.text)
	req.Header.SetBytesV(headerDevice, appendHex(nil, a.token.Device[:]))
	req.Header.Set(headerClient, client.String())
}

// codeRequest asks for a code, and is what core gets.
type codeRequest struct {
	Email    string `json:"email"`
	Language string `json:"language,omitempty"`
}

// signInRequest uses a code, and is what core gets.
type signInRequest struct {
	Email    string `json:"email"`
	Code     string `json:"code"`
	Language string `json:"language,omitempty"`
}

// askForCode passes on a wish for a code. A browser without a device gets one: the code will work in this browser only.
func (s *Server) askForCode(ctx *fasthttp.RequestCtx) {
	var request codeRequest
	if !readObject(ctx.PostBody(), &request) {
		refuse(ctx, problemBadJSON)
		return
	}
	if got, ok := s.callAccount(ctx, "/v1/account/code", request); ok {
		answerFromCore(ctx, got)
	}
}

// signIn passes on a code, and makes the session that core answers the browser's.
func (s *Server) signIn(ctx *fasthttp.RequestCtx) {
	var request signInRequest
	if !readObject(ctx.PostBody(), &request) {
		refuse(ctx, problemBadJSON)
		return
	}
	got, ok := s.callAccount(ctx, "/v1/account/session", request)
	if !ok {
		return
	}
	if got.status != fasthttp.StatusOK {
		answerFromCore(ctx, got)
		return
	}
	session, ok := s.keepAccount(ctx, got.body)
	if !ok {
		s.refuseUpstream(ctx, errLost)
		return
	}
	body := append(make([]byte, 0, 256), `{"email":`...)
	body = appendJSONString(body, session.Email)
	body = append(body, `,"expires_at":`...)
	body = appendJSONString(body, session.ExpiresAt)
	answerJSON(ctx, fasthttp.StatusOK, append(body, '}'))
}

// signedInAnswer is core's answer to a code.
type signedInAnswer struct {
	Session   string `json:"session"`
	Email     string `json:"email"`
	ExpiresAt string `json:"expires_at"`
}

// keepAccount makes core's answer to a code the browser's cookie. False: it cannot be read.
func (s *Server) keepAccount(ctx *fasthttp.RequestCtx, body []byte) (signedInAnswer, bool) {
	var got signedInAnswer
	if json.Unmarshal(body, &got) != nil || len(got.Session) != text.EncodedLen(admission.AccountSize) {
		s.log.Error("core's answer to a sign-in code cannot be read")
		return got, false
	}
	s.cookies.set(ctx, s.cookies.acct, []byte(got.Session))
	return got, true
}

// callAccount asks core about a code for this browser. False: it has answered that it cannot.
func (s *Server) callAccount(ctx *fasthttp.RequestCtx, path string, request any) (answer, bool) {
	now, client := s.now(), s.proxies.client(ctx)
	address := guard.AddressSubject(client)
	if s.crowded(ctx, now, client) || s.limited(ctx, guard.SignIn, now, address[:]) {
		return answer{}, false
	}
	who, known := s.cookies.browserOf(ctx)
	if !known {
		if s.limited(ctx, guard.NewDevice, now, address[:]) {
			return answer{}, false
		}
		who = newBrowser()
		s.cookies.set(ctx, s.cookies.device, text.AppendEncode(nil, who.secret[:]))
	} else if s.limited(ctx, guard.Device, now, who.hash[:]) {
		return answer{}, false
	}
	body, err := json.Marshal(request)
	if err != nil || !s.enter(ctx) {
		return answer{}, false
	}
	defer s.leave()
	req, resp := s.core.prepare(path, body)
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetBytesV(headerDevice, appendHex(nil, who.hash[:]))
	req.Header.Set(headerClient, client.String())
	s.counts.forwarded.Inc()
	if err := s.core.exchange(uuid.UUID(who.hash), req, resp); err != nil {
		s.refuseUpstream(ctx, err)
		return answer{}, false
	}
	return answer{status: resp.StatusCode(), body: append([]byte(nil), resp.Body()...)}, true
}

// signOut ends the session in this browser, whatever core says. With ?everywhere=true it is core that ends it, in all browsers.
func (s *Server) signOut(ctx *fasthttp.RequestCtx) {
	everywhere := string(ctx.QueryArgs().Peek("everywhere")) == "true"
	if !s.endAccount(ctx, everywhere) {
		return
	}
	answerJSON(ctx, fasthttp.StatusOK, []byte(`{"signed_out":true}`))
}

// endAccount is signOut without its answer. False: it has answered that it failed.
func (s *Server) endAccount(ctx *fasthttp.RequestCtx, everywhere bool) bool {
	now, client := s.now(), s.proxies.client(ctx)
	signed, none := s.accountOf(ctx, now)
	if none == problemCoreUnreachable && everywhere {
		s.refuseAccount(ctx, none)
		return false
	}
	if none == nil {
		if s.limited(ctx, guard.Session, now, signed.token.Account[:]) || !s.enter(ctx) {
			return false
		}
		defer s.leave()
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(resp)
		req.Header.SetMethod(fasthttp.MethodDelete)
		req.SetRequestURI("/v1/account/session")
		if everywhere {
			req.URI().SetQueryString("everywhere=true")
		}
		signed.identify(req, client)
		s.counts.forwarded.Inc()
		err := s.core.exchange(signed.token.Account, req, resp)
		switch {
		case err == nil && resp.StatusCode() == fasthttp.StatusOK:
		case !everywhere: // the cookie goes all the same; a code of the last minute is worth nothing without its mail
			s.log.Warn("core was not told that somebody signed out", "status", resp.StatusCode(), "error", err)
		case err != nil:
			s.refuseUpstream(ctx, err)
			return false
		default:
			answerFromCore(ctx, answer{status: resp.StatusCode(), body: resp.Body()})
			return false
		}
	}
	s.cookies.drop(ctx, s.cookies.acct)
	return true
}
