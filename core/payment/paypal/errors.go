package paypal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	paypalgo "github.com/plutov/paypal/v4"

	"fairgate/core/payment"
)

// errNoToken means PayPal answered a request for a token without one.
var errNoToken = errors.New("no access token was given")

// errNotSent wraps what happened before a call was sent: it surely was not carried out.
type errNotSent struct{ error }

// Unwrap is the cause.
func (e errNotSent) Unwrap() error { return e.error }

// errUnread is an answer with a status and no body that can be read.
type errUnread struct {
	status int
	err    error
}

// Error does not quote the answer.
func (e errUnread) Error() string {
	return fmt.Sprintf("status %d, and the answer cannot be read", e.status)
}

// Issues that PayPal names in the details of a refusal.
const (
	issueDeclined         = "INSTRUMENT_DECLINED"
	issueNotApproved      = "ORDER_NOT_APPROVED"
	issueOrderAuthorized  = "ORDER_ALREADY_AUTHORIZED"
	issueOrderCaptured    = "ORDER_ALREADY_CAPTURED"
	issueOrderCompleted   = "ORDER_ALREADY_COMPLETED"
	issueAlreadyCaptured  = "AUTHORIZATION_ALREADY_CAPTURED"
	issueVoided           = "AUTHORIZATION_VOIDED"
	issueExpired          = "AUTHORIZATION_EXPIRED"
	issueDenied           = "AUTHORIZATION_DENIED"
	issuePreviousCaptured = "PREVIOUSLY_CAPTURED"
	issuePreviousVoided   = "PREVIOUSLY_VOIDED"
	issueMaxCaptures      = "MAX_CAPTURE_COUNT_EXCEEDED"
	issueDuplicateInvoice = "DUPLICATE_INVOICE_ID"
	issueFullyRefunded    = "CAPTURE_FULLY_REFUNDED"
	issueTooLarge         = "RESULTSET_TOO_LARGE"
	issueBusy             = "PREVIOUS_REQUEST_IN_PROGRESS"
)

// issueOf is the first issue of a refusal, or its name.
func issueOf(err error) string {
	var e *paypalgo.ErrorResponse
	if !errors.As(err, &e) {
		return ""
	}
	for _, detail := range e.Details {
		if detail.Issue != "" {
			return clean(detail.Issue)
		}
	}
	return clean(e.Name)
}

// statusOf is the status of an answer that is an error, 0 without one.
func statusOf(err error) int {
	var e *paypalgo.ErrorResponse
	if errors.As(err, &e) && e.Response != nil {
		return e.Response.StatusCode
	}
	var unread errUnread
	if errors.As(err, &unread) {
		return unread.status
	}
	return 0
}

// stateIssue tells whether PayPal refuses because of the state that an object is in, which then says more.
func stateIssue(err error) bool {
	switch issueOf(err) {
	case issueOrderAuthorized, issueOrderCaptured, issueOrderCompleted, issueAlreadyCaptured, issueVoided, issueExpired, issueDenied,
		issuePreviousCaptured, issuePreviousVoided, issueMaxCaptures, issueDuplicateInvoice, issueNotApproved:
		return true
	default:
		return false
	}
}

// translate turns an error of do into one of payment's. The text is made anew: the library's own holds addresses and
// values of answers.
func translate(err error) error {
	if isPayments(err) { // of our own rate limit, or made here
		return err
	}
	var early errNotSent
	if errors.As(err, &early) {
		if status := statusOf(err); status == http.StatusUnauthorized || status == http.StatusBadRequest || status == http.StatusForbidden {
			return fmt.Errorf("%w: the access token: %s", payment.ErrRejected, describe(err))
		}
		if ctx := contextError(err); ctx != nil {
			return fmt.Errorf("%w: the access token: %w", payment.ErrTemporary, ctx)
		}
		return fmt.Errorf("%w: the access token: %s", payment.ErrTemporary, describe(err))
	}
	if statusOf(err) != 0 {
		return fmt.Errorf("%w: %s", sentinelOf(err), describe(err))
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" { // no connection: the call did not reach PayPal
		return fmt.Errorf("%w: %s", payment.ErrTemporary, describe(err))
	}
	if ctx := contextError(err); ctx != nil {
		return fmt.Errorf("%w: %w", payment.ErrUnknown, ctx)
	}
	return fmt.Errorf("%w: %s", payment.ErrUnknown, describe(err))
}

func isPayments(err error) bool {
	for _, known := range []error{payment.ErrTemporary, payment.ErrUnknown, payment.ErrDeclined, payment.ErrRejected, payment.ErrNotFound, payment.ErrMalformed} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// sentinelOf says what a refusal means to us.
func sentinelOf(err error) error {
	var unread errUnread
	switch status := statusOf(err); {
	case status >= 200 && status < 300: // it was carried out; what became of it cannot be read
		return payment.ErrUnknown
	case status == http.StatusTooManyRequests, status == http.StatusConflict, issueOf(err) == issueBusy:
		return payment.ErrTemporary
	case status == http.StatusNotFound && !errors.As(err, &unread):
		return payment.ErrNotFound
	case status >= http.StatusInternalServerError, errors.As(err, &unread):
		return payment.ErrUnknown
	case issueOf(err) == issueDeclined:
		return payment.ErrDeclined
	default:
		return payment.ErrRejected
	}
}

// describe is an error as it may be logged: status, name, issue and PayPal's id of the call, nothing of the answer's values.
func describe(err error) string {
	var e *paypalgo.ErrorResponse
	if errors.As(err, &e) {
		text := fmt.Sprintf("status %d %s", statusOf(err), clean(e.Name))
		if issue := issueOf(err); issue != clean(e.Name) {
			text += " " + issue
		}
		if e.DebugID != "" {
			text += " (debug id " + clean(e.DebugID) + ")"
		}
		return text
	}
	var unread errUnread
	if errors.As(err, &unread) {
		return unread.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		return "the connection failed: " + u.Err.Error()
	}
	if errors.Is(err, errNoToken) {
		return errNoToken.Error()
	}
	return "the answer cannot be read"
}

// contextError is the context's part of an error, without the rest of its text; nil when it has none.
func contextError(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// clean is a code of PayPal's as it may be logged and kept: short, of the characters that codes have.
func clean(text string) string {
	if len(text) > 64 {
		text = text[:64]
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return -1
	}, text)
}

func newReader(raw []byte) io.Reader { return bytes.NewReader(raw) }
