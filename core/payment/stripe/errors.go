package stripe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
)

// refused turns an error of a step into one of payment's, with the outcome where the error brings one.
func (p *Provider) refused(i payment.Intent, step string, err error) (payment.Outcome, error) {
	failure := payment.Outcome{}
	var e *stripego.Error
	if errors.As(err, &e) && e.Type == stripego.ErrorTypeCard {
		failure = payment.Outcome{State: payment.Failed, ProviderRef: i.ProviderRef, Failure: failureOf(e), Amount: i.Amount}
	}
	return failure, fmt.Errorf("%s payment %s: %w", step, i.PaymentID, translate(err))
}

// translate turns an error of stripe-go or of the rate limits into one of payment's. The text is made anew: stripe-go's
// own holds whole answers, with the client secret in them.
func translate(err error) error {
	var e *stripego.Error
	switch {
	case errors.Is(err, payment.ErrTemporary): // of our own rate limit: nothing was sent
		return err
	case errors.As(err, &e):
		return fmt.Errorf("%w: %s", sentinelOf(e), describe(err))
	case notSent(err):
		return fmt.Errorf("%w: %s", payment.ErrTemporary, describe(err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", payment.ErrUnknown, contextError(err))
	default:
		return fmt.Errorf("%w: %s", payment.ErrUnknown, describe(err))
	}
}

// sentinelOf says what an answer of Stripe means to us.
func sentinelOf(e *stripego.Error) error {
	switch status := e.HTTPStatusCode; {
	case e.Type == stripego.ErrorTypeIdempotency && status != http.StatusConflict:
		return payment.ErrRejected
	case e.Type == stripego.ErrorTypeCard:
		return payment.ErrDeclined
	case status == http.StatusConflict, status == http.StatusTooManyRequests:
		return payment.ErrTemporary
	case status == http.StatusNotFound:
		return payment.ErrNotFound
	case status >= http.StatusInternalServerError:
		return payment.ErrUnknown
	default:
		return payment.ErrRejected
	}
}

// describe is an error as it may be logged.
func describe(err error) string {
	var e *stripego.Error
	if errors.As(err, &e) {
		text := fmt.Sprintf("status %d %s", e.HTTPStatusCode, e.Type)
		if code := failureOf(e); code != string(e.Type) {
			text += " " + code
		}
		if e.Msg != "" {
			text += ": " + e.Msg
		}
		if e.RequestID != "" {
			text += " (request " + e.RequestID + ")"
		}
		return text
	}
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		return "the connection failed: " + u.Err.Error()
	}
	if errors.Is(err, payment.ErrTemporary) {
		return err.Error()
	}
	return "the answer cannot be read"
}

// notSent tells whether no connection came about, so that the call surely did not reach Stripe.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// contextError is the context's part of an error, without the rest of its text.
func contextError(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// isStoredFailure tells whether Stripe repeats a failure that it stored under the key: one of its own, or a refusal because
// of a state the intent may have left since. A failure that is new is neither: repeating the call is the way to learn more.
func isStoredFailure(err error) bool {
	var e *stripego.Error
	return errors.As(err, &e) && (e.HTTPStatusCode >= http.StatusInternalServerError || isStateError(err)) &&
		e.LastResponse != nil && e.LastResponse.Header.Get("Idempotent-Replayed") == "true"
}

// isStateError tells whether Stripe refuses because of the state the intent is in, as when it was captured already.
func isStateError(err error) bool {
	var e *stripego.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case stripego.ErrorCodePaymentIntentUnexpectedState, stripego.ErrorCodeChargeAlreadyCaptured, stripego.ErrorCodeChargeExpiredForCapture:
		return true
	default:
		return false
	}
}

// isKeyReused tells whether the key was used before with other parameters, as by another release that words the
// description differently. What that call made is as good as what this one would have made.
func isKeyReused(err error) bool {
	var e *stripego.Error
	return errors.As(err, &e) && e.Type == stripego.ErrorTypeIdempotency && e.HTTPStatusCode == http.StatusBadRequest
}
