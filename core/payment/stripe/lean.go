package stripe

import (
	"encoding/json"

	stripego "github.com/stripe/stripe-go/v76"
)

// lean is stripe-go's backend, except that of the payment intents in answers it reads what matters here: stripe-go's type reads every
// field there is, each object over and over.
type lean struct{ stripego.Backend }

// leanIntent is an intent as an answer has it.
type leanIntent struct {
	stripego.APIResource
	intentObject
}

// Call is the backend's.
func (l lean) Call(method, path, key string, params stripego.ParamsContainer, v stripego.LastResponseSetter) error {
	intent, is := v.(*stripego.PaymentIntent)
	if !is {
		return l.Backend.Call(method, path, key, params, v)
	}
	var answer leanIntent
	if err := l.Backend.Call(method, path, key, params, &answer); err != nil {
		return err
	}
	read, err := answer.intent()
	if err != nil {
		return err
	}
	*intent, intent.APIResource = *read, answer.APIResource
	return nil
}

// quick is an event about an intent or a charge, read in one go. An event about something else may not fit, and is read otherwise.
type quick struct {
	ID      string             `json:"id"`
	Type    stripego.EventType `json:"type"`
	Created int64              `json:"created"`
	Data    *struct {
		Object struct {
			intentObject
			AmountCaptured       int64                                `json:"amount_captured"`
			Captured             bool                                 `json:"captured"`
			Outcome              *stripego.ChargeOutcome              `json:"outcome"`
			PaymentIntent        expandable                           `json:"payment_intent"`
			PaymentMethodDetails *stripego.ChargePaymentMethodDetails `json:"payment_method_details"`
		} `json:"object"`
	} `json:"data"`
}

// readQuickly reads an event in one go; false when that cannot be done, which says nothing about the event.
func readQuickly(raw []byte) (e quick, ok bool) {
	err := json.Unmarshal(raw, &e)
	return e, err == nil && e.Data != nil
}

// charge is the event's object as a charge.
func (e *quick) charge() chargeObject {
	o := &e.Data.Object
	return chargeObject{
		ID: o.ID, Object: o.Object, Amount: o.Amount, AmountCaptured: o.AmountCaptured, Captured: o.Captured, Currency: o.Currency,
		Metadata: o.Metadata, Outcome: o.Outcome, PaymentIntent: o.PaymentIntent, PaymentMethodDetails: o.PaymentMethodDetails,
		Status: stripego.ChargeStatus(o.Status),
	}
}
