package paysim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// status is where an intent stands.
type status string

const (
	requiresMethod  status = "requires_payment_method"
	requiresAction  status = "requires_action"
	requiresCapture status = "requires_capture"
	succeeded       status = "succeeded"
	canceled        status = "canceled"
)

// intent is one payment. What is fixed is written once, before the intent is shared; the rest is guarded by the Server's
// mutex.
type intent struct {
	fixed
	state
	past     []*charge // before the latest, oldest first
	refunds  []*refund
	disputes []*dispute
}

// fixed is what an intent is made with.
type fixed struct {
	no           int // place in the list of all intents
	id           string
	clientSecret string
	amount       int64
	currency     string // lower case
	created      int64
	manual       bool // captured by a call of its own
	challenge    bool // the buyer is to prove who they are, whatever the card asks for
	description  string
	email        string
	methodTypes  []string
	metadata     [][2]string
}

// state is what changes about an intent. It can be compared, and what it points to never changes.
type state struct {
	status      status
	capturable  int64
	received    int64
	refunded    int64 // by refunds that have not failed
	disputed    int64 // taken back by disputes that are open or lost
	settled     int64 // what the received came to in the currency of the balance
	out         int64 // what of that has gone back
	card        *card // last used, nil before
	latest      *charge
	declined    bool // the last card was
	unproven    bool // the buyer failed to prove who they are
	tries       int  // cards put in
	charges     int
	canceledAt  int64
	cancelledBy string // cancellation_reason
}

// left is what can still be given back.
func (s *state) left() int64 { return s.received - s.refunded - s.disputed }

// snapshot is an intent at one moment: what an answer, a stored answer or an event shows.
type snapshot struct {
	*fixed
	state
}

func (i *intent) snapshot() snapshot { return snapshot{fixed: &i.fixed, state: i.state} }

// name is what the dice know the intent by: the merchant's own name of it, where it has one.
func (f *fixed) name() string {
	if name := f.value(metadataPayment); name != "" {
		return name
	}
	if name := f.value("order_id"); name != "" {
		return name + "/" + f.value("attempt")
	}
	return "intent " + strconv.Itoa(f.no)
}

// show is the object of an event about the intent.
func (s snapshot) show() any { return s.json(false) }

func (s snapshot) about() string { return s.id }

// value is the metadata of a key.
func (f *fixed) value(key string) string {
	for _, pair := range f.metadata {
		if pair[0] == key {
			return pair[1]
		}
	}
	return ""
}

// Kinds of events.
const (
	eventCreated    = "payment_intent.created"
	eventAction     = "payment_intent.requires_action"
	eventCapturable = "payment_intent.amount_capturable_updated"
	eventSucceeded  = "payment_intent.succeeded"
	eventFailed     = "payment_intent.payment_failed"
	eventCanceled   = "payment_intent.canceled"

	eventChargeOK       = "charge.succeeded"
	eventChargeCaptured = "charge.captured"
	eventChargeFailed   = "charge.failed"
	eventChargeExpired  = "charge.expired"
	eventRefunded       = "charge.refunded"
)

// try is a card that somebody pays with.
type try struct {
	card      card
	challenge bool  // its owner is to prove who they are, whatever the card asks for
	proven    bool  // they have done so
	at        int64 // by the provider's clock
	until     int64 // till when the authorization lives
}

// confirm pays with a card. It returns the kind of event that tells about it, and a refusal when the card is declined.
func (i *intent) confirm(t try) (string, *failure) {
	switch i.status {
	case requiresMethod, requiresAction:
	default:
		return "", wrongState(i.snapshot(), "confirmed")
	}
	i.card, i.declined, i.unproven = &t.card, false, false
	i.tries++
	asks := t.card.verdict == needsAction || (t.challenge || i.challenge) && t.card.verdict != declined && !t.card.unchallenged
	switch {
	case t.card.verdict == declined:
		i.charge(t)
		return eventFailed, i.decline(false)
	case asks:
		i.status = requiresAction
		return eventAction, nil
	}
	return i.approve(t), nil
}

// prove ends the proof that a card asked for. One whose owner is not heard of again stays where it is.
func (i *intent) prove(ok bool, t try) (string, *failure) {
	if i.status != requiresAction {
		return "", wrongState(i.snapshot(), "authenticated")
	}
	t.card, t.proven = *i.card, true
	switch {
	case !ok:
		return eventFailed, i.decline(true)
	case i.card.abandons:
		return "", nil
	case i.card.code != "": // proven, and declined all the same
		i.charge(t)
		return eventFailed, i.decline(false)
	}
	return i.approve(t), nil
}

func (i *intent) approve(t try) string {
	c := i.charge(t)
	if i.manual {
		i.status, i.capturable, c.until = requiresCapture, i.amount, t.until
		return eventCapturable
	}
	i.status, i.received, c.captured = succeeded, i.amount, i.amount
	return eventSucceeded
}

func (i *intent) decline(unproven bool) *failure {
	i.status, i.declined, i.unproven = requiresMethod, true, unproven
	s := i.snapshot()
	f := s.lastError()
	f.intent = &s
	return f
}

// lastError is why the last card was not taken, nil if it was.
func (s snapshot) lastError() *failure {
	switch {
	case !s.declined:
		return nil
	case s.unproven:
		f := invalid(http.StatusPaymentRequired, "payment_intent_authentication_failure", "", "The provided PaymentMethod has failed authentication.")
		f.Type, f.method = typeCard, s.card
		return f
	}
	return &failure{
		status: http.StatusPaymentRequired, Type: typeCard, Code: s.card.code, Decline: s.card.reason,
		Message: s.card.message(), DocURL: docURL(s.card.code), Charge: s.chargeID(), method: s.card,
	}
}

// capture takes up to what was authorized and lets the rest go.
func (i *intent) capture(amount int64, refused bool) (string, *failure) {
	if i.status != requiresCapture {
		return "", wrongState(i.snapshot(), "captured")
	}
	if amount > i.capturable {
		return "", invalid(http.StatusBadRequest, "amount_too_large", "amount_to_capture",
			"The amount to capture is greater than the amount that can be captured.")
	}
	if refused || i.card.verdict == refusesAtTake {
		kind := i.expire()
		s := i.snapshot()
		f := invalid(http.StatusBadRequest, "charge_expired_for_capture", "", "The charge cannot be captured because it has expired.")
		f.Charge, f.intent = s.chargeID(), &s
		return kind, f
	}
	i.status, i.received, i.capturable = succeeded, amount, 0
	i.amend(func(c *charge) { c.captured = amount })
	return eventSucceeded, nil
}

// expire ends an intent whose authorization is gone.
func (i *intent) expire() string {
	i.amend(func(c *charge) { c.expired = true })
	return i.end("automatic")
}

// cancel ends an intent that has taken no money.
func (i *intent) cancel(reason string) (string, *failure) {
	if i.status == succeeded || i.status == canceled {
		return "", wrongState(i.snapshot(), "canceled")
	}
	return i.end(reason), nil
}

func (i *intent) end(reason string) string {
	i.status, i.capturable, i.cancelledBy = canceled, 0, reason
	return eventCanceled
}

func (s snapshot) chargeID() string {
	if s.latest == nil {
		return ""
	}
	return s.latest.id(s.fixed)
}

// sortedMetadata makes metadata of the fields metadata[key], in a fixed order.
func sortedMetadata(fields map[string]string) [][2]string {
	pairs := make([][2]string, 0, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		pairs = append(pairs, [2]string{key, fields[key]})
	}
	return pairs
}
