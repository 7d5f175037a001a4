package stripe

import (
	"fmt"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// outcome reads an intent that answers a question about i. An intent of another payment is refused.
func (p *Provider) outcome(i payment.Intent, intent *stripego.PaymentIntent) (payment.Outcome, error) {
	if bears := intent.Metadata[payment.MetadataPayment]; bears != i.PaymentID.String() {
		return payment.Outcome{}, fmt.Errorf("%w: intent %s belongs to payment %q, not %s", payment.ErrRejected, intent.ID, bears, i.PaymentID)
	}
	outcome := outcomeOf(intent)
	if outcome.State == payment.Unknown || outcome.ProviderRef == "" {
		return payment.Outcome{}, fmt.Errorf("%w: intent %q has status %q", payment.ErrUnknown, intent.ID, intent.Status)
	}
	return outcome, nil
}

// outcomeOf says in our words where an intent stands.
func outcomeOf(intent *stripego.PaymentIntent) payment.Outcome {
	outcome := payment.Outcome{
		State:        stateOf(intent),
		ProviderRef:  intent.ID,
		ClientSecret: intent.ClientSecret,
		Amount:       ledger.Amount{Minor: intent.Amount, Currency: strings.ToUpper(string(intent.Currency))},
	}
	switch outcome.State {
	case payment.Authorized:
		outcome.Amount.Minor, outcome.Card, outcome.Risk = intent.AmountCapturable, cardOf(intent.LatestCharge), riskOf(intent.LatestCharge)
	case payment.Captured:
		outcome.Amount.Minor, outcome.Card, outcome.Risk = intent.AmountReceived, cardOf(intent.LatestCharge), riskOf(intent.LatestCharge)
	case payment.Failed:
		outcome.Failure = failureOf(intent.LastPaymentError)
		outcome.Try = intent.LastPaymentError.ChargeID // "" when the card's owner could not prove who they are: nothing was charged
	case payment.Voided:
		outcome.Failure = "canceled"
		if intent.CancellationReason != "" {
			outcome.Failure += "/" + string(intent.CancellationReason)
		}
	}
	return outcome
}

func stateOf(intent *stripego.PaymentIntent) payment.OutcomeState {
	switch intent.Status {
	case stripego.PaymentIntentStatusRequiresPaymentMethod:
		if intent.LastPaymentError != nil {
			return payment.Failed
		}
		return payment.Begun
	case stripego.PaymentIntentStatusRequiresConfirmation, stripego.PaymentIntentStatusProcessing:
		return payment.Begun
	case stripego.PaymentIntentStatusRequiresAction:
		return payment.RequiresAction
	case stripego.PaymentIntentStatusRequiresCapture:
		return payment.Authorized
	case stripego.PaymentIntentStatusSucceeded:
		return payment.Captured
	case stripego.PaymentIntentStatusCanceled:
		return payment.Voided
	default:
		return payment.Unknown
	}
}

// progress orders the intents of one payment by how much they matter: money taken, then money reserved, then the rest.
func progress(intent *stripego.PaymentIntent) int {
	switch stateOf(intent) {
	case payment.Captured:
		return 4
	case payment.Authorized:
		return 3
	case payment.RequiresAction:
		return 2
	case payment.Begun, payment.Failed:
		return 1
	default:
		return 0
	}
}

// failureOf is a decline as a code: "card_declined/insufficient_funds".
func failureOf(e *stripego.Error) string {
	if e == nil {
		return ""
	}
	code := string(e.Code)
	if code == "" {
		code = string(e.Type)
	}
	if e.DeclineCode != "" {
		code += "/" + string(e.DeclineCode)
	}
	return code
}
