package stripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"fairgate/core/payment"
)

// SignatureHeader is where Stripe puts a webhook's signature.
const SignatureHeader = "Stripe-Signature"

// maxIDBytes bounds the ids and types of events; Stripe promises 255 at most.
const maxIDBytes = 255

// Verify checks that Stripe signed these bytes within the tolerance.
func (p *Provider) Verify(raw []byte, header http.Header) error {
	err := webhook.ValidatePayloadWithTolerance(raw, header.Get(SignatureHeader), p.cfg.WebhookSecret, p.cfg.WebhookTolerance)
	if err != nil {
		return fmt.Errorf("%w: %w", payment.ErrSignature, err)
	}
	return nil
}

// Parse reads an event. Events of other kinds, and of intents that are not ours, come back without an outcome or payment.
func (p *Provider) Parse(raw []byte) (payment.Event, error) {
	var e stripego.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return payment.Event{}, fmt.Errorf("%w: it is no event: %s", payment.ErrMalformed, jsonProblem(err))
	}
	if !isName(e.ID) || !isName(string(e.Type)) {
		return payment.Event{}, fmt.Errorf("%w: the event has no proper id or type", payment.ErrMalformed)
	}
	event := payment.Event{Provider: Name, ID: e.ID, Type: string(e.Type), CreatedAt: time.Unix(e.Created, 0).UTC()}
	if !concernsPayment(e.Type) {
		return event, nil
	}
	if e.Data == nil {
		return payment.Event{}, fmt.Errorf("%w: the event has no object", payment.ErrMalformed)
	}
	var intent stripego.PaymentIntent
	if err := json.Unmarshal(e.Data.Raw, &intent); err != nil {
		return payment.Event{}, fmt.Errorf("%w: its object is no payment intent: %s", payment.ErrMalformed, jsonProblem(err))
	}
	if intent.Object != "payment_intent" || !isName(intent.ID) {
		return payment.Event{}, fmt.Errorf("%w: its object is no payment intent", payment.ErrMalformed)
	}
	paymentID, okPayment := parseID(intent.Metadata[payment.MetadataPayment])
	orderID, okOrder := parseID(intent.Metadata[payment.MetadataOrder])
	attempt, err := strconv.Atoi(intent.Metadata[payment.MetadataAttempt])
	if !okPayment || !okOrder || err != nil || attempt < 1 {
		return event, nil //nolint:nilerr // somebody else's, on the same account
	}
	event.PaymentID, event.OrderID, event.Attempt = paymentID, orderID, attempt
	event.Outcome = outcomeOf(&intent)
	return event, nil
}

// concernsPayment lists the kinds of events that say where a payment stands.
func concernsPayment(kind stripego.EventType) bool {
	switch kind {
	case stripego.EventTypePaymentIntentCreated, stripego.EventTypePaymentIntentRequiresAction,
		stripego.EventTypePaymentIntentAmountCapturableUpdated, stripego.EventTypePaymentIntentSucceeded,
		stripego.EventTypePaymentIntentPaymentFailed, stripego.EventTypePaymentIntentCanceled:
		return true
	default:
		return false
	}
}

// parseID reads a uuid in its canonical text only.
func parseID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == 36 && id != uuid.Nil
}

// isName tells whether a text can be an id or type: short, printable ASCII, no spaces.
func isName(text string) bool {
	if text == "" || len(text) > maxIDBytes {
		return false
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// jsonProblem describes a decoding error without quoting what was decoded.
func jsonProblem(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return "bad JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	return "a field has the wrong type"
}
