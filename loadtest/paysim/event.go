package paysim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// toStripe names the target of events in Stripe's form.
const toStripe = "stripe"

// event is one thing that happened, with its object as it was then. Its body is made each time it is sent, byte for byte
// the same, so that a million waiting events are small.
type event struct {
	id      string
	kind    string
	created time.Time
	target  string // whose endpoint it goes to, a name that the courier knows
	subject string // events of one subject are those that can overtake each other: the id of the object
	name    string // what the dice know it by
	request string // id of the call that caused it; "" for a buyer's form or the course of time
	key     string // that call's idempotency key
	shows   shower
	body    func(*event) []byte
}

// shower is what an event is about, as it was then.
type shower interface {
	// show is the object in the event's body, something that JSON can show.
	show() any
}

// object is a shower that has an id.
type object interface {
	shower
	about() string // the id
}

// newEvent makes an event in Stripe's form about something that belongs to an intent. c may be nil.
func (s *Server) newEvent(kind string, of *fixed, shows object, c *call) *event {
	e := &event{
		id: s.newID("evt_"), kind: kind, created: s.clock.now(), target: toStripe, subject: shows.about(), shows: shows, body: stripeBody,
	}
	e.name = kind + " " + of.name()
	if s.cfg.Faults.ofWebhooks() {
		e.name = numbered(e.name, s.dice.nth(e.name))
	}
	if c != nil {
		e.request, e.key = c.request, c.key
	}
	return e
}

// stripeBody is an event as Stripe sends it.
func stripeBody(e *event) []byte {
	j := eventJSON{ID: e.id, Object: "event", APIVersion: apiVersion, Created: e.created.Unix(), PendingWebhooks: 1, Type: e.kind}
	j.Request.ID, j.Request.IdempotencyKey = optional(e.request), optional(e.key)
	j.Data.Object = e.shows.show()
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

// stripeSigner signs as Stripe does.
func stripeSigner(secret string) signer {
	return func(header http.Header, _ *event, body []byte, at time.Time) {
		header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
		header.Set("Stripe-Signature", Sign(body, at, secret))
	}
}
