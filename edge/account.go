package edge

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// accountKeys are core's public keys of account sessions. Any goroutine may use them.
type accountKeys struct {
	keys     atomic.Pointer[lottery.PublicKeys]
	learntAt atomic.Int64 // Unix nanoseconds
	wanted   atomic.Bool  // a session named a key that is not known
}

func (k *accountKeys) learn(keys lottery.PublicKeys, now time.Time) {
	if len(keys) == 0 {
		return
	}
	k.keys.Store(&keys)
	k.learntAt.Store(now.UnixNano())
	k.wanted.Store(false)
}

// due tells whether the keys are to be asked for again: once in a while only, since anybody can make up numbers.
func (k *accountKeys) due(now time.Time) bool {
	return k.wanted.Load() && now.UnixNano()-k.learntAt.Load() > int64(keyPause)
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
