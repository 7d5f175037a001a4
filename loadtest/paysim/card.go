package paysim

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// verdict is what becomes of a card.
type verdict uint8

const (
	approved verdict = iota
	declined
	needsAction   // approved once the buyer has proved who they are
	refusesAtTake // authorized, but the authorization has gone when it is captured
)

// card is a test card, by number and by the payment method that stands for it.
type card struct {
	number  string
	method  string
	brand   string
	country string // ISO 3166-1
	funding string // credit, debit or prepaid
	verdict verdict
	code    string // of the error, when declined
	reason  string // decline_code

	level        string // of risk; "": normal
	unchecked    string // which checks do not pass: cvc, postal, line1, or several
	unchallenged bool   // does not know 3-D Secure
	abandons     bool   // its owner is not heard of again once 3-D Secure is asked for
	disputes     string // for this reason, later
	inquiry      bool   // and asks first
	refunds      string // "pending": they succeed later; "failed": they succeed and fail later
	available    bool   // its money is available at once
}

const (
	codeDeclined        = "card_declined"
	codeIncorrectNumber = "incorrect_number"
)

// cards are Stripe's test cards as far as they behave differently, and two of our own that Stripe has no number for: one
// that is authorized and refuses the capture, and one whose owner is not heard of again when 3-D Secure is asked for.
var cards = testCards()

func testCards() []card {
	list := []card{
		{number: "4242424242424242", method: "pm_card_visa"},
		{number: "4000056655665556", method: "pm_card_visa_debit", funding: "debit"},
		{number: "5555555555554444", method: "pm_card_mastercard", brand: "mastercard"},
		{number: "5200828282828210", method: "pm_card_mastercard_debit", brand: "mastercard", funding: "debit"},
		{number: "5105105105105100", method: "pm_card_mastercard_prepaid", brand: "mastercard", funding: "prepaid"},
		{number: "378282246310005", method: "pm_card_amex", brand: "amex", unchallenged: true},
		{number: "6011111111111117", method: "pm_card_discover", brand: "discover"},

		{number: "4000002500003155", method: "pm_card_authenticationRequiredOnSetup", country: "FR", verdict: needsAction},
		{number: "4000002760003184", method: "pm_card_authenticationRequired", country: "DE", verdict: needsAction},
		{number: "4000008260003178", method: "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", country: "GB", verdict: needsAction, code: codeDeclined, reason: "insufficient_funds"},
		{number: "4000000000003220", method: "pm_card_threeDSecure2Required", verdict: needsAction},
		{number: "4000000000003063", method: "pm_card_threeDSecureRequired", verdict: needsAction},
		{number: "4000008400001629", method: "pm_card_threeDSecureRequiredChargeDeclined", verdict: needsAction, code: codeDeclined, reason: "generic_decline"},
		{number: "4000008400001280", method: "pm_card_threeDSecureRequiredProcessingError", verdict: declined, code: codeDeclined, reason: "processing_error"},
		{number: "4000000000003055", method: "pm_card_threeDSecureOptional"},
		{number: "4000009990000021", method: "pm_card_challengeAbandoned", verdict: needsAction, abandons: true},

		{number: "4000000000009235", method: "pm_card_riskLevelElevated", level: "elevated"},
		{number: "4000000000004954", method: "pm_card_riskLevelHighest", level: "highest"},
		{number: "4100000000000019", method: "pm_card_radarBlock", verdict: declined, code: codeDeclined, reason: "fraudulent", level: "highest"},
		{number: "4000000000000101", method: "pm_card_cvcCheckFail", unchecked: "cvc"},
		{number: "4000000000000036", method: "pm_card_avsZipFail", unchecked: "postal"},
		{number: "4000000000000028", method: "pm_card_avsLine1Fail", unchecked: "line1"},
		{number: "4000000000000010", method: "pm_card_avsFail", unchecked: "postal line1"},

		{number: "4000000000000259", method: "pm_card_createDispute", disputes: "fraudulent"},
		{number: "4000000000002685", method: "pm_card_createDisputeProductNotReceived", disputes: "product_not_received"},
		{number: "4000000000001976", method: "pm_card_createDisputeInquiry", disputes: "fraudulent", inquiry: true},
		{number: "4000000000007726", method: "pm_card_pendingRefund", refunds: "pending"},
		{number: "4000000000005126", method: "pm_card_refundFail", refunds: "failed"},
		{number: "4000000000000077", method: "pm_card_bypassPending", available: true},
		{number: "4000003720000278", method: "pm_card_bypassPendingInternational", country: "IE", available: true},
		{number: "4000009990000005", method: "pm_card_captureRefused", verdict: refusesAtTake},
	}
	for _, d := range [][4]string{
		{"4000000000000002", "pm_card_visa_chargeDeclined", codeDeclined, "generic_decline"},
		{"4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", codeDeclined, "insufficient_funds"},
		{"4000000000009987", "pm_card_visa_chargeDeclinedLostCard", codeDeclined, "lost_card"},
		{"4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", codeDeclined, "stolen_card"},
		{"4000000000006975", "pm_card_visa_chargeDeclinedVelocityLimitExceeded", codeDeclined, "card_velocity_exceeded"},
		{"4000000000000341", "pm_card_chargeCustomerFail", codeDeclined, "generic_decline"},
		{"4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired_card", ""},
		{"4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", ""},
		{"4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing_error", ""},
	} {
		list = append(list, card{number: d[0], method: d[1], verdict: declined, code: d[2], reason: d[3]})
	}
	for _, c := range [][2]string{
		{"4000000760000002", "BR"}, {"4000001240000000", "CA"}, {"4000004840008001", "MX"}, {"4000000400000008", "AT"}, {"4000000560000004", "BE"},
		{"4000002500000003", "FR"}, {"4000002760000016", "DE"}, {"4000003720000005", "IE"}, {"4000003800000008", "IT"}, {"4000005280000002", "NL"},
		{"4000006200000007", "PT"}, {"4000007240000007", "ES"}, {"4000007560000009", "CH"}, {"4000008260000000", "GB"}, {"4000000360000006", "AU"},
		{"4000001560000002", "CN"}, {"4000003560000008", "IN"}, {"4000003920000003", "JP"}, {"4000006160000005", "PL"}, {"4000007520000008", "SE"},
	} {
		list = append(list, card{number: c[0], method: "pm_card_" + strings.ToLower(c[1]), country: c[1]})
	}
	for n := range list {
		list[n].complete()
	}
	return list
}

// complete fills in what most cards have.
func (c *card) complete() {
	if c.brand == "" {
		c.brand = "visa"
	}
	if c.country == "" {
		c.country = "US"
	}
	if c.funding == "" {
		c.funding = "credit"
	}
}

// cardByMethod finds the card behind a payment method such as pm_card_visa.
func cardByMethod(method string) (card, bool) {
	if method == "pm_card_chargeDeclined" {
		method = "pm_card_visa_chargeDeclined"
	}
	for n := range cards {
		if cards[n].method == method {
			return cards[n], true
		}
	}
	return card{}, false
}

// ownCards is what numbers begin with that stand for approved cards of as many different people as one likes, each with a
// fingerprint of its own. Stripe has no such range. Numbers that begin like the test card of a country, 4000 0027 6 for
// Germany, stand for as many people there.
const ownCards = "42424242"

// fingerprint names the card, the same for the same number always. It tells nothing about the number.
func (c card) fingerprint() string {
	sum := sha256.Sum256([]byte("paysim card " + c.number))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// cardByNumber is what becomes of a number that somebody typed. A number that could be a real card is declined, as Stripe
// does in test mode.
func cardByNumber(number string) card {
	number = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, number)
	for n := range cards {
		if cards[n].number == number {
			return cards[n]
		}
	}
	valid := luhn(number)
	if valid && len(number) == 16 {
		for n := range cards {
			if abroad := cards[n].country != "US"; abroad && number[:9] == cards[n].number[:9] {
				c := card{number: number, method: "pm_card_" + strings.ToLower(cards[n].country), country: cards[n].country}
				c.complete()
				return c
			}
		}
		if strings.HasPrefix(number, ownCards) {
			c := card{number: number, method: "pm_card_visa"}
			c.complete()
			return c
		}
	}
	c := card{number: lastFour(number), method: "pm_card_unknown", brand: "unknown", verdict: declined}
	c.complete()
	if valid {
		c.code, c.reason = codeDeclined, "test_mode_live_card"
	} else {
		c.code = codeIncorrectNumber
	}
	return c
}

// lastFour keeps of a number what may be kept.
func lastFour(number string) string {
	if len(number) > 4 {
		return number[len(number)-4:]
	}
	return number
}

// luhn tells whether the digits' checksum is that of a card number.
func luhn(number string) bool {
	if len(number) < 12 || len(number) > 19 {
		return false
	}
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// message is what the buyer is told about a decline.
func (c card) message() string {
	switch c.code {
	case "expired_card":
		return "Your card has expired."
	case "incorrect_cvc":
		return "Your card's security code is incorrect."
	case "processing_error":
		return "An error occurred while processing your card. Try again in a little bit."
	case codeIncorrectNumber:
		return "Your card number is incorrect."
	}
	if c.reason == "insufficient_funds" {
		return "Your card has insufficient funds."
	}
	return "Your card was declined."
}

// outcome is what the provider makes of a charge of the card.
func (c *card) outcome(failed bool) outcomeJSON {
	o := outcomeJSON{NetworkStatus: "approved_by_network", RiskLevel: "normal", RiskScore: c.score(), SellerMessage: "Payment complete.", Type: "authorized"}
	if c.level != "" {
		o.RiskLevel = c.level
	}
	switch {
	case failed && c.level == "highest":
		reason := "highest_risk_level"
		o.NetworkStatus, o.Reason, o.Type, o.SellerMessage = "not_sent_to_network", &reason, "blocked", "Stripe blocked this payment as too risky."
	case failed:
		reason := c.reason
		if reason == "" {
			reason = c.code
		}
		o.NetworkStatus, o.Reason, o.Type, o.SellerMessage = "declined_by_network", &reason, "issuer_declined", "The bank did not return any further details with this decline."
	case c.level == "elevated":
		reason := "elevated_risk_level"
		o.Reason, o.Type, o.SellerMessage = &reason, "manual_review", "Stripe evaluated this payment as having elevated risk, and placed it in your manual review queue."
	}
	return o
}

// score is 0 to 99, the same for the same card always, within what its level allows.
func (c *card) score() int {
	sum := sha256.Sum256([]byte("paysim risk " + c.number))
	switch c.level {
	case "elevated":
		return 65 + int(sum[0])%10
	case "highest":
		return 76 + int(sum[0])%24
	}
	return int(sum[0]) % 60
}

// details is the card as its charges show it.
func (c *card) details() *methodDetailsJSON {
	check := func(which string) *string {
		result := "pass"
		if strings.Contains(c.unchecked, which) {
			result = "fail"
		}
		return &result
	}
	o := &methodDetailsJSON{Type: "card"}
	d := &o.Card
	d.Brand, d.Network, d.Country, d.Funding, d.Fingerprint, d.Last4 = c.brand, c.brand, c.country, c.funding, c.fingerprint(), lastFour(c.number)
	d.Checks = checksJSON{AddressLine1: check("line1"), PostalCode: check("postal"), CVC: check("cvc")}
	d.ExpMonth, d.ExpYear = 12, 2034
	return o
}
