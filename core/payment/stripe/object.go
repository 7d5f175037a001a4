package stripe

import (
	"encoding/json"

	stripego "github.com/stripe/stripe-go/v76"
)

// What is read of the objects in webhooks. The types of stripe-go read every field there is, each object three times over, to find
// out which of its parts are expanded; webhooks are most of what Stripe sends, and few of their fields matter here.

// intentObject is a payment intent as an event has it.
type intentObject struct {
	ID                 string                                   `json:"id"`
	Object             string                                   `json:"object"`
	Amount             int64                                    `json:"amount"`
	AmountCapturable   int64                                    `json:"amount_capturable"`
	AmountReceived     int64                                    `json:"amount_received"`
	CancellationReason stripego.PaymentIntentCancellationReason `json:"cancellation_reason"`
	ClientSecret       string                                   `json:"client_secret"`
	Currency           stripego.Currency                        `json:"currency"`
	LastPaymentError   *stripego.Error                          `json:"last_payment_error"`
	LatestCharge       expandable                               `json:"latest_charge"`
	Metadata           map[string]string                        `json:"metadata"`
	Status             stripego.PaymentIntentStatus             `json:"status"`
}

// intent is the object in stripe-go's type.
func (o *intentObject) intent() (*stripego.PaymentIntent, error) {
	intent := &stripego.PaymentIntent{
		ID: o.ID, Object: o.Object, Amount: o.Amount, AmountCapturable: o.AmountCapturable, AmountReceived: o.AmountReceived,
		CancellationReason: o.CancellationReason, ClientSecret: o.ClientSecret, Currency: o.Currency, LastPaymentError: o.LastPaymentError,
		Metadata: o.Metadata, Status: o.Status,
	}
	if o.LatestCharge.object == nil {
		return intent, nil
	}
	var charge chargeObject
	if err := json.Unmarshal(o.LatestCharge.object, &charge); err != nil {
		return nil, err
	}
	intent.LatestCharge = charge.charge()
	return intent, nil
}

// chargeObject is a charge as an event has it.
type chargeObject struct {
	ID                   string                               `json:"id"`
	Object               string                               `json:"object"`
	Amount               int64                                `json:"amount"`
	AmountCaptured       int64                                `json:"amount_captured"`
	Captured             bool                                 `json:"captured"`
	Currency             stripego.Currency                    `json:"currency"`
	Metadata             map[string]string                    `json:"metadata"`
	Outcome              *stripego.ChargeOutcome              `json:"outcome"`
	PaymentIntent        expandable                           `json:"payment_intent"`
	PaymentMethodDetails *stripego.ChargePaymentMethodDetails `json:"payment_method_details"`
	Status               stripego.ChargeStatus                `json:"status"`
}

// charge is as much of the object, in stripe-go's type, as card and risk are read from.
func (o *chargeObject) charge() *stripego.Charge {
	return &stripego.Charge{ID: o.ID, Outcome: o.Outcome, PaymentMethodDetails: o.PaymentMethodDetails}
}

// expandable is another object: its id, or all of it where that was asked for. It is empty for null.
type expandable struct {
	id     string
	object json.RawMessage // nil where only the id is there
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *expandable) UnmarshalJSON(raw []byte) error {
	*e = expandable{}
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &e.id)
	}
	var whole *struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil || whole == nil {
		return err
	}
	e.id, e.object = whole.ID, append(json.RawMessage{}, raw...)
	return nil
}
