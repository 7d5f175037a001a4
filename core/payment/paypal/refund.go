package paypal

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/payment"
)

type refundBody struct {
	Amount    money  `json:"amount"`
	CustomID  string `json:"custom_id"`
	InvoiceID string `json:"invoice_id"`
}

// Refund gives captured money back. A refund that the order shows already is not made again, however long ago its key was
// used.
func (p *Provider) Refund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	outcome, err := p.refund(ctx, i, r)
	if err != nil {
		return outcome, fmt.Errorf("refund %s of payment %s: %w", r.ID, i.PaymentID, err)
	}
	return outcome, nil
}

func (p *Provider) refund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	amount, err := moneyOf(r.Amount)
	if err == nil && (r.ID == uuid.Nil || r.Amount.Minor <= 0) {
		err = fmt.Errorf("%w: it has no amount or id", payment.ErrRejected)
	}
	if err != nil {
		return payment.RefundOutcome{}, err
	}
	s, made, err := p.refundsOf(ctx, i)
	if err != nil {
		return payment.RefundOutcome{}, err
	}
	if known, ok := pick(made, r.ID); ok {
		return known.stands(r.Amount.Currency)
	}
	if s.captured.ID == "" || !s.captured.taken() {
		return payment.RefundOutcome{}, fmt.Errorf("%w: the payment is %s", payment.ErrRejected, s.outcome.State)
	}
	c := customOf(i)
	c.attempt, c.order, c.refund = s.custom.attempt, s.custom.order, r.ID
	var answer refund
	err = p.do(ctx, request{
		part: endpointRefund, method: http.MethodPost, path: at("/v2/payments/captures/", s.captured.ID, "/refund"), key: r.Key(),
		body: refundBody{Amount: amount, CustomID: c.String(), InvoiceID: r.ID.String()}, into: &answer,
	})
	switch issue := issueOf(err); {
	case err == nil:
		if answer.ID == "" {
			return payment.RefundOutcome{}, fmt.Errorf("%w: the refund has no id", payment.ErrUnknown)
		}
		return answer.stands(r.Amount.Currency)
	case issue == issueDuplicateInvoice, issue == issueFullyRefunded:
		// Perhaps it is this very refund, made under a key that PayPal has forgotten.
		if _, made, findErr := p.refundsOf(ctx, i); findErr != nil {
			return payment.RefundOutcome{}, findErr
		} else if known, ok := pick(made, r.ID); ok {
			return known.stands(r.Amount.Currency)
		}
		return payment.RefundOutcome{State: payment.RefundFailed, Failure: lower(issue), Amount: r.Amount}, fmt.Errorf("%w: %s", payment.ErrDeclined, describe(err))
	case issue == "REFUND_FAILED_INSUFFICIENT_FUNDS", issue == "PENDING_CAPTURE":
		return payment.RefundOutcome{}, fmt.Errorf("%w: %s", payment.ErrTemporary, describe(err))
	case refundRefused(issue):
		return payment.RefundOutcome{State: payment.RefundFailed, Failure: lower(issue), Amount: r.Amount}, fmt.Errorf("%w: %s", payment.ErrDeclined, describe(err))
	default:
		return payment.RefundOutcome{}, translate(err)
	}
}

// refundRefused lists the reasons for which PayPal will never make a refund.
func refundRefused(issue string) bool {
	switch issue {
	case "REFUND_AMOUNT_EXCEEDED", "REFUND_TIME_LIMIT_EXCEEDED", "REFUND_NOT_ALLOWED", "PARTIAL_REFUND_NOT_ALLOWED", "TRANSACTION_REFUSED", "TRANSACTION_DISPUTED",
		"REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK", "MAX_NUMBER_OF_REFUNDS_EXCEEDED", "REFUND_CAPTURE_CURRENCY_MISMATCH":
		return true
	default:
		return false
	}
}

// LookupRefund asks where the refund stands: by ProviderRef, or else in the order. One that somebody made in PayPal's pages is looked
// for among the order's by its ProviderRef: that it is of this payment nothing else says.
func (p *Provider) LookupRefund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	fail := func(err error) (payment.RefundOutcome, error) {
		return payment.RefundOutcome{}, fmt.Errorf("look up refund %s of payment %s: %w", r.ID, i.PaymentID, err)
	}
	if r.Found {
		out, err := p.lookupFound(ctx, i, r)
		if err != nil {
			return fail(err)
		}
		return out, nil
	}
	if r.ProviderRef == "" {
		_, made, err := p.refundsOf(ctx, i)
		if err != nil {
			return fail(err)
		}
		known, ok := pick(made, r.ID)
		if !ok {
			return fail(payment.ErrNoRefund)
		}
		out, err := known.stands(r.Amount.Currency)
		if err != nil {
			return fail(err)
		}
		return out, nil
	}
	var found refund
	if err := p.do(ctx, request{part: endpointRetrieve, method: http.MethodGet, path: at("/v2/payments/refunds/", r.ProviderRef, ""), into: &found}); err != nil {
		return fail(translate(err))
	}
	if c, ok := parseCustom(found.CustomID); !ok || c.refund != r.ID {
		return fail(fmt.Errorf("%w: refund %s is another one", payment.ErrRejected, clean(r.ProviderRef)))
	}
	out, err := found.stands(r.Amount.Currency)
	if err != nil {
		return fail(err)
	}
	return out, nil
}

func (p *Provider) lookupFound(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	_, made, err := p.refundsOf(ctx, i)
	if err != nil {
		return payment.RefundOutcome{}, err
	}
	for _, known := range made {
		if r.ProviderRef == "" || known.ID != r.ProviderRef {
			continue
		}
		if out := known.outcome(r.Amount.Currency); out.Amount != r.Amount {
			return out, fmt.Errorf("%w: refund %s is of %s, not %s", payment.ErrRejected, clean(known.ID), out.Amount, r.Amount)
		}
		return known.stands(r.Amount.Currency)
	}
	return payment.RefundOutcome{}, payment.ErrNotFound // it was there once: nothing can be said of it
}

// refundsOf reads the payment's order and the refunds in it.
func (p *Provider) refundsOf(ctx context.Context, i payment.Intent) (standing, []refund, error) {
	if i.ProviderRef == "" {
		return standing{}, nil, fmt.Errorf("%w: PayPal finds orders by their id only", payment.ErrNotFound)
	}
	var found order
	if err := p.do(ctx, request{part: endpointRetrieve, method: http.MethodGet, path: at("/v2/checkout/orders/", i.ProviderRef, ""), into: &found}); err != nil {
		return standing{}, nil, translate(err)
	}
	s, err := p.stand(i, &found)
	if err != nil {
		return standing{}, nil, err
	}
	return s, found.Units[0].Payments.Refunds, nil
}

func pick(refunds []refund, id uuid.UUID) (refund, bool) {
	for _, r := range refunds {
		if c, ok := parseCustom(r.CustomID); ok && c.refund == id {
			return r, true
		}
	}
	return refund{}, false
}

// outcome says in our words where a refund stands; State is "" for a status that is unknown.
func (r refund) outcome(currency string) payment.RefundOutcome {
	o := payment.RefundOutcome{ProviderRef: clean(r.ID), Amount: r.Amount.amountOr(currency)}
	switch r.Status {
	case statusCompleted:
		o.State = payment.RefundSucceeded
	case statusPending:
		o.State = payment.RefundPending
	case statusFailed, statusCancelled:
		o.State, o.Failure = payment.RefundFailed, lower(r.Status)
		if r.Details.Reason != "" {
			o.Failure += "/" + lower(r.Details.Reason)
		}
	}
	return o
}

// stands is outcome for a refund that was asked about: a status that is unknown is ErrUnknown, so that it is asked about again.
func (r refund) stands(currency string) (payment.RefundOutcome, error) {
	o := r.outcome(currency)
	if o.State == "" {
		return payment.RefundOutcome{}, fmt.Errorf("%w: the refund has status %q", payment.ErrUnknown, clean(r.Status))
	}
	return o, nil
}

// Identify tells whose payment a capture or an order is.
func (p *Provider) Identify(ctx context.Context, ref string) (orderID, paymentID uuid.UUID, attempt int, err error) {
	fail := func(err error) (uuid.UUID, uuid.UUID, int, error) {
		return uuid.Nil, uuid.Nil, 0, fmt.Errorf("identify %q: %w", clean(ref), err)
	}
	if ref == "" {
		return fail(payment.ErrNotFound)
	}
	var text string
	var found capture
	err = p.do(ctx, request{part: endpointRetrieve, method: http.MethodGet, path: at("/v2/payments/captures/", ref, ""), into: &found})
	text = found.CustomID
	if statusOf(err) == http.StatusNotFound {
		var o order
		err = p.do(ctx, request{part: endpointRetrieve, method: http.MethodGet, path: at("/v2/checkout/orders/", ref, ""), into: &o})
		if len(o.Units) == 1 {
			text = o.Units[0].CustomID
		}
	}
	if err != nil {
		return fail(translate(err))
	}
	c, ok := parseCustom(text)
	if !ok {
		return fail(payment.ErrNotFound) // somebody else's, on the same account
	}
	return c.order, c.payment, c.attempt, nil
}

var (
	_ payment.Provider         = (*Provider)(nil)
	_ payment.WebhookReader    = (*Provider)(nil)
	_ payment.Refunder         = (*Provider)(nil)
	_ payment.Disputer         = (*Provider)(nil)
	_ payment.Identifier       = (*Provider)(nil)
	_ payment.SettlementReader = (*Provider)(nil)
)
