package stripe

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// SignatureHeader is where Stripe puts a webhook's signature.
const SignatureHeader = "Stripe-Signature"

// maxIDBytes bounds the ids and types of events; Stripe promises 255 at most.
const maxIDBytes = 255

// Verify checks that Stripe signed these bytes within the tolerance of now, before it or after it.
func (p *Provider) Verify(raw []byte, header http.Header) error {
	signature := header.Get(SignatureHeader)
	err := webhook.ValidatePayloadWithTolerance(raw, signature, p.cfg.WebhookSecret, p.cfg.WebhookTolerance)
	if err != nil {
		return fmt.Errorf("%w: %w", payment.ErrSignature, err)
	}
	if ahead := time.Until(signedAt(signature)); ahead > p.cfg.WebhookTolerance {
		return fmt.Errorf("%w: it was signed %s in the future", payment.ErrSignature, ahead.Round(time.Second))
	}
	return nil
}

// signedAt is the time in a signature header that stripe-go has found valid, and of whose times it takes the last one; stripe-go
// itself compares it with the past only.
func signedAt(header string) (at time.Time) {
	for pair := range strings.SplitSeq(header, ",") {
		if text, is := strings.CutPrefix(pair, "t="); is {
			if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
				at = time.Unix(seconds, 0)
			}
		}
	}
	return at
}

// Parse reads an event. Events of other kinds, and of objects that are not ours, come back without an outcome or payment.
//
//	payment_intent.*                    where the payment stands
//	charge.succeeded, charge.captured   the same, with the card and the risk, which the events of the intent leave out
//	refund.*, charge.refund.updated     where one refund stands; of refunds made by hand too, once they have moved money
//	charge.dispute.*                    where a dispute stands; whose payment it is only Identify knows
//
// charge.refunded says of the charge only how much of it was given back in all, which the events of its refunds say one by
// one and by name: it means nothing here, so that nothing is counted twice. Nor do charge.failed and charge.expired, beside
// the intent's own events, and payouts, which are no payments.
func (p *Provider) Parse(raw []byte) (payment.Event, error) {
	if event, ok := parseQuickly(raw); ok {
		return event, nil
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return payment.Event{}, fmt.Errorf("%w: it is no event: %s", payment.ErrMalformed, jsonProblem(err))
	}
	if !isName(e.ID) || !isName(string(e.Type)) {
		return payment.Event{}, fmt.Errorf("%w: the event has no proper id or type", payment.ErrMalformed)
	}
	event := payment.Event{Provider: Name, ID: e.ID, Type: string(e.Type), CreatedAt: time.Unix(e.Created, 0).UTC()}
	read := readerOf(e.Type)
	if read == nil {
		return event, nil
	}
	if e.Data == nil {
		return payment.Event{}, fmt.Errorf("%w: the event has no object", payment.ErrMalformed)
	}
	if err := read(e.Data.Object, &event); err != nil {
		return payment.Event{}, err
	}
	return event, nil
}

// parseQuickly is Parse for the events of purchases, which are nearly all: those of intents and charges. ok is false for all others,
// and for those that are not as they should be.
func parseQuickly(raw []byte) (event payment.Event, ok bool) {
	e, ok := readQuickly(raw)
	if !ok || !isName(e.ID) {
		return event, false
	}
	event = payment.Event{Provider: Name, ID: e.ID, Type: string(e.Type), CreatedAt: time.Unix(e.Created, 0).UTC()}
	var err error
	switch {
	case aboutIntents(e.Type):
		err = e.Data.Object.intentObject.tell(&event)
	case aboutCharges(e.Type):
		charge := e.charge()
		err = charge.tell(&event)
	default:
		return payment.Event{}, false
	}
	return event, err == nil // what is not as it should be is explained by reading it again
}

// envelope is what is read of every event. stripe-go's own type reads the object as well, into a map that nobody looks at;
// most events mean nothing here, and their objects are only stepped over.
type envelope struct {
	ID      string             `json:"id"`
	Type    stripego.EventType `json:"type"`
	Created int64              `json:"created"`
	Data    *struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

// Events are the kinds of events that an endpoint of ours is to be set to, sorted. Others may come and are stored, but nothing
// follows from them: of an intent that was made or asks for a proof, the buyer's page knows; payment_intent.amount_capturable_updated
// says less than the charge.succeeded beside it, and charge.captured the same as payment_intent.succeeded.
func Events() []string {
	return []string{
		string(stripego.EventTypeChargeDisputeClosed), string(stripego.EventTypeChargeDisputeCreated),
		string(stripego.EventTypeChargeDisputeFundsReinstated), string(stripego.EventTypeChargeDisputeFundsWithdrawn),
		string(stripego.EventTypeChargeDisputeUpdated), string(stripego.EventTypeChargeRefundUpdated),
		string(stripego.EventTypeChargeSucceeded),
		string(stripego.EventTypePaymentIntentCanceled), string(stripego.EventTypePaymentIntentPaymentFailed),
		string(stripego.EventTypePaymentIntentSucceeded),
		string(stripego.EventTypeRefundCreated), string(typeRefundFailed), string(stripego.EventTypeRefundUpdated),
	}
}

// typeRefundFailed is an event of API versions after the one that stripe-go knows; endpoints may be set to one.
const typeRefundFailed stripego.EventType = "refund.failed"

// readerOf is what reads the object of an event; nil for kinds that mean nothing here.
func readerOf(kind stripego.EventType) func(json.RawMessage, *payment.Event) error {
	switch {
	case aboutIntents(kind):
		return readIntent
	case aboutCharges(kind):
		return readCharge
	}
	switch kind {
	case stripego.EventTypeRefundCreated, stripego.EventTypeRefundUpdated, typeRefundFailed, stripego.EventTypeChargeRefundUpdated:
		return readRefund
	case stripego.EventTypeChargeDisputeCreated, stripego.EventTypeChargeDisputeUpdated, stripego.EventTypeChargeDisputeClosed,
		stripego.EventTypeChargeDisputeFundsWithdrawn, stripego.EventTypeChargeDisputeFundsReinstated:
		return readDispute
	default:
		return nil
	}
}

func aboutIntents(kind stripego.EventType) bool {
	switch kind {
	case stripego.EventTypePaymentIntentCreated, stripego.EventTypePaymentIntentRequiresAction,
		stripego.EventTypePaymentIntentAmountCapturableUpdated, stripego.EventTypePaymentIntentSucceeded,
		stripego.EventTypePaymentIntentPaymentFailed, stripego.EventTypePaymentIntentCanceled:
		return true
	}
	return false
}

func aboutCharges(kind stripego.EventType) bool {
	return kind == stripego.EventTypeChargeSucceeded || kind == stripego.EventTypeChargeCaptured
}

func readIntent(raw json.RawMessage, event *payment.Event) error {
	var o intentObject
	if err := json.Unmarshal(raw, &o); err != nil {
		return notA("payment intent", err)
	}
	return o.tell(event)
}

// tell puts what an intent says into its event.
func (o *intentObject) tell(event *payment.Event) error {
	if o.Object != "payment_intent" || !isName(o.ID) {
		return notA("payment intent", nil)
	}
	intent, err := o.intent()
	if err != nil {
		return notA("payment intent", err)
	}
	if named(event, intent.Metadata) {
		event.Outcome = outcomeOf(intent)
	}
	return nil
}

func readCharge(raw json.RawMessage, event *payment.Event) error {
	var charge chargeObject
	if err := json.Unmarshal(raw, &charge); err != nil {
		return notA("charge", err)
	}
	return charge.tell(event)
}

// tell puts what a charge says of its intent into its event.
func (charge *chargeObject) tell(event *payment.Event) error {
	if charge.Object != "charge" || !isName(charge.ID) {
		return notA("charge", nil)
	}
	if !isName(charge.PaymentIntent.id) || charge.Status != stripego.ChargeStatusSucceeded ||
		!named(event, charge.Metadata) {
		return nil // of another product, or not paid
	}
	event.Outcome = payment.Outcome{
		State:       payment.Authorized,
		ProviderRef: charge.PaymentIntent.id,
		Card:        cardOf(charge.charge()),
		Risk:        riskOf(charge.charge()),
		Amount:      ledger.Amount{Minor: charge.Amount, Currency: strings.ToUpper(string(charge.Currency))},
	}
	if charge.Captured {
		event.Outcome.State, event.Outcome.Amount.Minor = payment.Captured, charge.AmountCaptured
	}
	return nil
}

func readRefund(raw json.RawMessage, event *payment.Event) error {
	var refund stripego.Refund
	if err := json.Unmarshal(raw, &refund); err != nil {
		return notA("refund", err)
	}
	if refund.Object != "refund" || !isName(refund.ID) {
		return notA("refund", nil)
	}
	ref, outcome := paymentRef(refund.PaymentIntent, refund.Charge), refundOutcome(&refund)
	id, ours := parseID(refund.Metadata[payment.MetadataRefund])
	if !isName(ref) || outcome.State == "" {
		return nil
	}
	if !ours && refund.BalanceTransaction == nil {
		return nil // an authorization that was let go, which Stripe books as a refund too; or one that moved nothing yet
	}
	named(event, refund.Metadata)
	event.Refund = &payment.RefundNews{RefundID: id, PaymentRef: ref, Outcome: outcome}
	return nil
}

func readDispute(raw json.RawMessage, event *payment.Event) error {
	var dispute stripego.Dispute
	if err := json.Unmarshal(raw, &dispute); err != nil {
		return notA("dispute", err)
	}
	if dispute.Object != "dispute" || !isName(dispute.ID) {
		return notA("dispute", nil)
	}
	news := disputeNews(&dispute)
	if news.State == "" || !isName(news.PaymentRef) {
		return nil
	}
	named(event, dispute.Metadata)
	news.At = event.CreatedAt
	event.Dispute = &news
	return nil
}

// named puts whose an object is into the event; false when it is somebody else's, on the same account.
func named(event *payment.Event, metadata map[string]string) bool {
	who, ok := bearer(metadata)
	if ok {
		event.OrderID, event.PaymentID, event.Attempt = who.order, who.payment, who.attempt
	}
	return ok
}

// notA says that an event's object is not what its type promises.
func notA(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: its object is no %s: %s", payment.ErrMalformed, what, jsonProblem(err))
	}
	return fmt.Errorf("%w: its object is no %s", payment.ErrMalformed, what)
}

// parseID reads a uuid in its canonical text only; uuid.Nil for anything else.
func parseID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 || id == uuid.Nil {
		return uuid.Nil, false
	}
	return id, true
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
