package paysim

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"time"
)

// keyLife is how long an answer is kept under its key.
const keyLife = 24 * time.Hour

// reply is an answer before it is written: an intent as it was, a refusal, or a body. It is what a key keeps, so it is
// kept small: bodies are made when they are sent.
type reply struct {
	status int
	shown  *snapshot
	public bool
	charge bool // shown with its latest charge in full
	fail   *failure
	other  []byte
}

func (r *reply) body() []byte {
	switch {
	case r.fail != nil:
		return r.fail.body()
	case r.shown != nil:
		return encode(r.shown.expanded(r.public, r.charge))
	default:
		return r.other
	}
}

func refusal(f *failure) *reply { return &reply{status: f.status, fail: f} }

// keyed is what is known about one idempotency key.
type keyed struct {
	print   [16]byte // of the call: method, path and parameters
	reply   *reply   // nil while the first call is being carried out
	request string   // id of the first call
}

type keyAge struct {
	key string
	at  time.Time
}

// keyring is the memory of idempotency keys. It is guarded by the Server's mutex.
type keyring struct {
	known map[string]*keyed
	ages  []keyAge // oldest first; a key that was given back is there too and does no harm
}

// fingerprint tells two calls under one key apart.
func fingerprint(method, path string, form url.Values) [16]byte {
	sum := sha256.Sum256([]byte(method + "\x00" + path + "\x00" + form.Encode()))
	return [16]byte(sum[:16])
}

// begin claims a key for a call. When the key is known, it returns the stored reply, or a refusal.
func (k *keyring) begin(key, request string, print [16]byte, now time.Time) (stored *keyed, refused *failure) {
	for len(k.ages) > 0 && now.Sub(k.ages[0].at) > keyLife {
		delete(k.known, k.ages[0].key)
		k.ages = k.ages[1:]
	}
	known, ok := k.known[key]
	switch {
	case !ok:
		k.known[key] = &keyed{print: print, request: request}
		k.ages = append(k.ages, keyAge{key, now})
		return nil, nil
	case known.print != print:
		return nil, &failure{status: http.StatusBadRequest, Type: typeIdempotency,
			Message: "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '" + key + "' if you meant to execute a different request."}
	case known.reply == nil:
		return nil, &failure{status: http.StatusConflict, Type: typeIdempotency, Code: "idempotency_key_in_use",
			Message: "There is currently another in-progress request using this Idempotency Key (that probably means you submitted twice, and the other request is still going through): " + key + ". Please try again later."}
	}
	return known, nil
}

// keep stores the answer to a key; forget gives the key back, as after a call that was not valid.
func (k *keyring) keep(key string, r *reply) {
	if known := k.known[key]; known != nil {
		known.reply = r
	}
}

func (k *keyring) forget(key string) { delete(k.known, key) }
