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
	verdict verdict
	code    string // of the error, when declined
	reason  string // decline_code
}

const (
	codeDeclined        = "card_declined"
	codeIncorrectNumber = "incorrect_number"
)

// cards are Stripe's test cards as far as they behave differently, and one of our own that Stripe has no number for: it
// is authorized and refuses the capture.
var cards = []card{
	{"4242424242424242", "pm_card_visa", "visa", approved, "", ""},
	{"4000056655665556", "pm_card_visa_debit", "visa", approved, "", ""},
	{"5555555555554444", "pm_card_mastercard", "mastercard", approved, "", ""},
	{"378282246310005", "pm_card_amex", "amex", approved, "", ""},
	{"4000002500003155", "pm_card_authenticationRequiredOnSetup", "visa", needsAction, "", ""},
	{"4000002760003184", "pm_card_authenticationRequired", "visa", needsAction, "", ""},
	{"4000000000000002", "pm_card_visa_chargeDeclined", "visa", declined, codeDeclined, "generic_decline"},
	{"4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", "visa", declined, codeDeclined, "insufficient_funds"},
	{"4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "visa", declined, codeDeclined, "lost_card"},
	{"4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "visa", declined, codeDeclined, "stolen_card"},
	{"4000000000006975", "pm_card_visa_chargeDeclinedVelocityLimitExceeded", "visa", declined, codeDeclined, "card_velocity_exceeded"},
	{"4000000000000069", "pm_card_chargeDeclinedExpiredCard", "visa", declined, "expired_card", ""},
	{"4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "visa", declined, "incorrect_cvc", ""},
	{"4000000000000119", "pm_card_chargeDeclinedProcessingError", "visa", declined, "processing_error", ""},
	{"4000000000000341", "pm_card_chargeCustomerFail", "visa", declined, codeDeclined, "generic_decline"},
	{"4000009990000005", "pm_card_captureRefused", "visa", refusesAtTake, "", ""},
}

// cardByMethod finds the card behind a payment method such as pm_card_visa.
func cardByMethod(method string) (card, bool) {
	if method == "pm_card_chargeDeclined" {
		method = "pm_card_visa_chargeDeclined"
	}
	for _, c := range cards {
		if c.method == method {
			return c, true
		}
	}
	return card{}, false
}

// ownCards is what numbers begin with that stand for approved cards of as many different people as one likes, each with a
// fingerprint of its own. Stripe has no such range.
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
	for _, c := range cards {
		if c.number == number {
			return c
		}
	}
	if strings.HasPrefix(number, ownCards) && len(number) == 16 && luhn(number) {
		return card{number, "pm_card_visa", "visa", approved, "", ""}
	}
	c := card{number: lastFour(number), method: "pm_card_unknown", brand: "unknown", verdict: declined}
	if luhn(number) {
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
