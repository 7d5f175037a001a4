package paysim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// event is one thing that happened to an intent, with the intent as it was then. Its body is made each time it is sent,
// byte for byte the same, so that a million waiting events are small.
type event struct {
	id      string
	kind    string
	created int64
	shown   snapshot
	request string // id of the call that caused it; "" for a buyer's form
	key     string // that call's idempotency key
}

func (s *Server) newEvent(kind string, shown snapshot, c *call) *event {
	e := &event{id: s.newID("evt_"), kind: kind, created: s.cfg.Now().Unix(), shown: shown}
	if c != nil {
		e.request, e.key = c.request, c.key
	}
	return e
}

func (e *event) body() []byte {
	j := eventJSON{ID: e.id, Object: "event", APIVersion: apiVersion, Created: e.created, PendingWebhooks: 1, Type: e.kind}
	j.Request.ID, j.Request.IdempotencyKey = optional(e.request), optional(e.key)
	if e.kind == eventRefunded {
		j.Data.Object = chargeJSON{
			ID: e.shown.chargeID(), Object: "charge", Amount: e.shown.received, AmountRefunded: e.shown.refunded,
			Currency: e.shown.currency, PaymentIntent: e.shown.id, Refunded: e.shown.refunded == e.shown.received,
		}
	} else {
		j.Data.Object = e.shown.json(false)
	}
	return encode(j)
}

// Sign is the value of the Stripe-Signature header for a body signed at a time with a webhook secret.
func Sign(body []byte, at time.Time, secret string) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
