package paypal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"fairgate/core/payment"
)

// maxIDBytes bounds the ids and types of events.
const maxIDBytes = 255

// Kinds of events that say something about a payment of ours.
const (
	eventApproved       = "CHECKOUT.ORDER.APPROVED"
	eventAuthorized     = "PAYMENT.AUTHORIZATION.CREATED"
	eventVoided         = "PAYMENT.AUTHORIZATION.VOIDED"
	eventCaptured       = "PAYMENT.CAPTURE.COMPLETED"
	eventRefunded       = "PAYMENT.CAPTURE.REFUNDED"
	eventRefundPending  = "PAYMENT.REFUND.PENDING"
	eventRefundFailed   = "PAYMENT.REFUND.FAILED"
	eventDisputed       = "CUSTOMER.DISPUTE.CREATED"
	eventDisputeUpdated = "CUSTOMER.DISPUTE.UPDATED"
	eventDisputeEnded   = "CUSTOMER.DISPUTE.RESOLVED"
)

// Parse reads an event. Events of other kinds, and of objects that are not ours, come back without an outcome or payment.
func (p *Provider) Parse(raw []byte) (payment.Event, error) {
	var e struct {
		ID       string          `json:"id"`
		Type     string          `json:"event_type"`
		Created  time.Time       `json:"create_time"`
		Resource json.RawMessage `json:"resource"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return payment.Event{}, fmt.Errorf("%w: it is no event: %s", payment.ErrMalformed, jsonProblem(err))
	}
	if !isName(e.ID) || !isName(e.Type) {
		return payment.Event{}, fmt.Errorf("%w: the event has no proper id or type", payment.ErrMalformed)
	}
	event := payment.Event{Provider: Name, ID: e.ID, Type: e.Type, CreatedAt: e.Created.UTC().Truncate(time.Second)}
	read := readers[e.Type]
	if read == nil {
		return event, nil
	}
	if len(e.Resource) == 0 || string(e.Resource) == "null" {
		return payment.Event{}, fmt.Errorf("%w: the event has no object", payment.ErrMalformed)
	}
	if err := read(e.Resource, &event); err != nil {
		return payment.Event{}, err
	}
	return event, nil
}

// readers read the objects of the events that matter.
var readers = map[string]func([]byte, *payment.Event) error{
	eventApproved:       readApproved,
	eventAuthorized:     readAuthorization,
	eventVoided:         readAuthorization,
	eventCaptured:       readCapture,
	eventRefunded:       readRefund,
	eventRefundPending:  readRefund,
	eventRefundFailed:   readRefund,
	eventDisputed:       readDispute,
	eventDisputeUpdated: readDispute,
	eventDisputeEnded:   readDispute,
}

// concerns notes whose an event is.
func concerns(event *payment.Event, c custom) {
	event.PaymentID, event.OrderID, event.Attempt = c.payment, c.order, c.attempt
}

func readApproved(raw []byte, event *payment.Event) error {
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return fmt.Errorf("%w: its object is no order: %s", payment.ErrMalformed, jsonProblem(err))
	}
	if !isName(o.ID) {
		return fmt.Errorf("%w: its object is no order", payment.ErrMalformed)
	}
	if len(o.Units) != 1 {
		return nil // none of ours has more
	}
	c, ok := parseCustom(o.Units[0].CustomID)
	if !ok || !c.closed.IsZero() { // somebody else's, on the same account; or one that must not be authorized
		return nil
	}
	amount, err := o.Units[0].Amount.amount()
	if err != nil {
		return err
	}
	concerns(event, c)
	event.Outcome = payment.Outcome{State: payment.Approved, ProviderRef: o.ID, Amount: amount}
	return nil
}

func readAuthorization(raw []byte, event *payment.Event) error {
	var a authorization
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("%w: its object is no authorization: %s", payment.ErrMalformed, jsonProblem(err))
	}
	c, ok := parseCustom(a.CustomID)
	if !ok {
		return nil
	}
	if !isName(a.ID) {
		return fmt.Errorf("%w: its object is no authorization", payment.ErrMalformed)
	}
	concerns(event, c)
	amount, err := a.Amount.amount()
	if err != nil {
		return err
	}
	event.Outcome = payment.Outcome{ProviderRef: nameOr(a.Related.IDs.Order), Amount: amount}
	switch {
	case a.Status == statusCreated && c.closed.IsZero():
		event.Outcome.State = payment.Authorized
	case a.Status == statusPending:
		event.Outcome.State = payment.RequiresAction
	case a.Status == statusVoided, a.Status == statusDenied, a.Status == statusExpired:
		event.Outcome.State, event.Outcome.Failure = payment.Voided, "authorization/"+lower(a.Status)
	}
	return nil
}

func readCapture(raw []byte, event *payment.Event) error {
	var taken capture
	if err := json.Unmarshal(raw, &taken); err != nil {
		return fmt.Errorf("%w: its object is no capture: %s", payment.ErrMalformed, jsonProblem(err))
	}
	c, ok := parseCustom(taken.CustomID)
	if !ok || !taken.taken() {
		return nil
	}
	amount, err := taken.Amount.amount()
	if err != nil {
		return err
	}
	concerns(event, c)
	event.Outcome = payment.Outcome{State: payment.Captured, ProviderRef: nameOr(taken.Related.IDs.Order), Amount: amount}
	return nil
}

func readRefund(raw []byte, event *payment.Event) error {
	var r refund
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%w: its object is no refund: %s", payment.ErrMalformed, jsonProblem(err))
	}
	c, ok := parseCustom(r.CustomID)
	if !ok {
		return nil
	}
	if !isName(r.ID) {
		return fmt.Errorf("%w: its object is no refund", payment.ErrMalformed)
	}
	amount, err := r.Amount.amount()
	if err != nil {
		return err
	}
	concerns(event, c)
	outcome := r.outcome(amount.Currency)
	if outcome.State == "" {
		return nil
	}
	event.Refund = &payment.RefundNews{RefundID: c.refund, PaymentRef: upID(r.Links), Outcome: outcome}
	return nil
}

func readDispute(raw []byte, event *payment.Event) error {
	var d dispute
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("%w: its object is no dispute: %s", payment.ErrMalformed, jsonProblem(err))
	}
	news, err := d.news()
	if err != nil {
		return err
	}
	if c, ok := d.custom(); ok {
		concerns(event, c)
	}
	event.Dispute = &news
	return nil
}

// nameOr is an id, or "" where it is none.
func nameOr(text string) string {
	if isName(text) {
		return text
	}
	return ""
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
