package paypal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
)

// custom is what custom_id says: whose an object of PayPal's is. As text it is
//
//	fg.<payment>.<order>.<attempt>              an order, an authorization, a capture
//	fg.<payment>.<order>.<attempt>.r.<refund>   a refund
//	fg.<payment>.<order>.<attempt>.c.<unix>     an order that was closed then: it must not be authorized
//
// at most 126 characters of the 127 that PayPal allows, of the characters that all of its objects allow.
type custom struct {
	payment, order uuid.UUID
	attempt        int
	refund         uuid.UUID
	closed         time.Time
}

// maxAttempt keeps the text within its bound.
const maxAttempt = 999_999

func customOf(i payment.Intent) custom {
	return custom{payment: i.PaymentID, order: i.OrderID, attempt: i.Attempt}
}

func (c custom) String() string {
	text := fmt.Sprintf("fg.%s.%s.%d", c.payment, c.order, c.attempt)
	switch {
	case c.refund != uuid.Nil:
		text += ".r." + c.refund.String()
	case !c.closed.IsZero():
		text += ".c." + strconv.FormatInt(c.closed.Unix(), 10)
	}
	return text
}

// parseCustom reads a custom_id; ok is false for one that is not ours.
func parseCustom(text string) (c custom, ok bool) {
	parts := strings.Split(text, ".")
	if len(text) > 127 || len(parts) != 4 && len(parts) != 6 || parts[0] != "fg" {
		return custom{}, false
	}
	var okPayment, okOrder bool
	c.payment, okPayment = parseID(parts[1])
	c.order, okOrder = parseID(parts[2])
	attempt, err := strconv.Atoi(parts[3])
	if !okPayment || !okOrder || err != nil || attempt < 1 || attempt > maxAttempt {
		return custom{}, false
	}
	c.attempt = attempt
	if len(parts) == 4 {
		return c, c.String() == text
	}
	switch parts[4] {
	case "r":
		c.refund, ok = parseID(parts[5])
	case "c":
		seconds, err := strconv.ParseInt(parts[5], 10, 64)
		c.closed, ok = time.Unix(seconds, 0).UTC(), err == nil && seconds > 0
	}
	if !ok || c.String() != text {
		return custom{}, false
	}
	return c, true
}

// parseID reads a uuid in its canonical text only.
func parseID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == 36 && id != uuid.Nil
}
