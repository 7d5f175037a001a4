package stripe

import (
	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
)

// cardOf is the fingerprint of the card behind a charge, "" where no card was used or the charge is only named. Answers and
// webhooks about an intent bring nothing but its charge's id by themselves; webhooks about the charge bring all of it.
func cardOf(charge *stripego.Charge) string {
	if card := cardDetails(charge); card != nil {
		return card.Fingerprint
	}
	return ""
}

func cardDetails(charge *stripego.Charge) *stripego.ChargePaymentMethodDetailsCard {
	if charge == nil || charge.PaymentMethodDetails == nil {
		return nil
	}
	return charge.PaymentMethodDetails.Card
}

// riskOf is what Stripe tells of who paid a charge. It does not tell from where; only Radar for Fraud Teams has a score.
func riskOf(charge *stripego.Charge) payment.Risk {
	var risk payment.Risk
	if charge == nil {
		return risk
	}
	if outcome := charge.Outcome; outcome != nil {
		// Stripe's scores go to 100, ours to 99.
		risk.Score = int(min(max(outcome.RiskScore, 0), 99))
		risk.Level = known(outcome.RiskLevel, "normal", "elevated", "highest")
	}
	card := cardDetails(charge)
	if card == nil {
		return risk
	}
	if len(card.Country) == 2 {
		risk.CardCountry = card.Country
	}
	risk.Funding = known(string(card.Funding), "credit", "debit", "prepaid")
	if checks := card.Checks; checks != nil {
		risk.PostalCheck = known(string(checks.AddressPostalCodeCheck), "pass", "fail", "unavailable")
		risk.CVCCheck = known(string(checks.CVCCheck), "pass", "fail", "unavailable")
	}
	// Not an attempt that the bank only acknowledged, nor an exemption: there the buyer proved nothing.
	risk.Challenged = card.ThreeDSecure != nil &&
		card.ThreeDSecure.Result == stripego.ChargePaymentMethodDetailsCardThreeDSecureResultAuthenticated
	return risk
}

// known is a word of Stripe's if it is one of those that say something; "unknown", "not_assessed" and "unchecked" do not.
func known(word string, words ...string) string {
	for _, w := range words {
		if w == word {
			return w
		}
	}
	return ""
}
