package stripe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// maxRefunds is how many refunds of one payment are looked through: more than an order has tickets, many times over.
const maxRefunds = 1000

// Refund gives captured money back, once, however often it is called and whatever became of earlier calls.
func (p *Provider) Refund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	if r.ID == uuid.Nil || r.Amount.Minor <= 0 || len(r.Amount.Currency) != 3 {
		return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w: it has no amount or id", r.ID, payment.ErrRejected)
	}
	i, err := p.named(ctx, i)
	if err != nil {
		return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w", r.ID, final(err))
	}
	for n := 1; ; n++ {
		// Keys are kept for a day, refunds for ever.
		found, err := p.findRefund(ctx, i, r)
		if err == nil {
			return judgeRefund(i, r, found)
		}
		if !errors.Is(err, payment.ErrNoRefund) {
			return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w", r.ID, final(err))
		}
		if n > maxKeys {
			return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w: after %d keys", r.ID, payment.ErrUnknown, maxKeys)
		}
		made, err := p.makeRefund(ctx, i, r, r.Key()+suffix(n))
		if err == nil {
			return judgeRefund(i, r, made)
		}
		// A failure that Stripe stored under the key comes back for ever, and a refund whose key was used by another release
		// may be there: look again, and go on under the next key if it is not.
		if !isStoredRefusal(err) && !isKeyReused(err) {
			return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w", r.ID, translateRefund(err))
		}
	}
}

func (p *Provider) makeRefund(ctx context.Context, i payment.Intent, r payment.Refund, key string) (*stripego.Refund, error) {
	if err := p.wait(ctx, endpointRefund); err != nil {
		return nil, err
	}
	params := &stripego.RefundParams{
		PaymentIntent: stripego.String(i.ProviderRef),
		Amount:        stripego.Int64(r.Amount.Minor),
		Reason:        stripego.String(string(stripego.RefundReasonRequestedByCustomer)),
		Metadata:      i.Metadata(), // refunds do not get that of their payment
	}
	params.Metadata[payment.MetadataRefund] = r.ID.String()
	params.Context = ctx
	params.SetIdempotencyKey(key)
	return p.refunds.New(params)
}

// LookupRefund asks where the refund stands.
func (p *Provider) LookupRefund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	if r.ProviderRef == "" || r.Found {
		var err error
		if i, err = p.named(ctx, i); err != nil {
			return payment.RefundOutcome{}, fmt.Errorf("look up refund %s: %w", r.ID, err)
		}
	}
	found, err := p.findRefund(ctx, i, r)
	if err != nil {
		return payment.RefundOutcome{}, fmt.Errorf("look up refund %s: %w", r.ID, err)
	}
	return judgeRefund(i, r, found)
}

// findRefund finds the refund by its reference, else among those of its intent by its id.
func (p *Provider) findRefund(ctx context.Context, i payment.Intent, r payment.Refund) (*stripego.Refund, error) {
	if r.ProviderRef != "" {
		if err := p.wait(ctx, endpointRefundRead); err != nil {
			return nil, err
		}
		params := &stripego.RefundParams{}
		params.Context = ctx
		found, err := p.refunds.Get(r.ProviderRef, params)
		if err != nil {
			return nil, translate(err)
		}
		return found, nil
	}
	var after string
	for seen := 0; seen < maxRefunds; {
		page, more, err := p.refundsOf(ctx, i.ProviderRef, after)
		if err != nil {
			return nil, translate(err)
		}
		for _, found := range page {
			if found.Metadata[payment.MetadataRefund] == r.ID.String() {
				return found, nil
			}
			after = found.ID
		}
		if !more || len(page) == 0 {
			return nil, payment.ErrNoRefund
		}
		seen += len(page)
	}
	return nil, fmt.Errorf("%w: the payment has more than %d refunds", payment.ErrRejected, maxRefunds)
}

// refundsOf is one page of an intent's refunds, newest first, and whether there are more.
func (p *Provider) refundsOf(ctx context.Context, intent, after string) (page []*stripego.Refund, more bool, err error) {
	if err := p.wait(ctx, endpointRefundRead); err != nil {
		return nil, false, err
	}
	params := &stripego.RefundListParams{PaymentIntent: stripego.String(intent)}
	params.ListParams = listing(ctx, after)
	iter := p.refunds.List(params)
	for iter.Next() {
		page = append(page, iter.Refund())
	}
	if err := iter.Err(); err != nil {
		return nil, false, err
	}
	return page, iter.Meta().HasMore, nil
}

// listing asks for one page of a list, after an object's id.
func listing(ctx context.Context, after string) stripego.ListParams {
	params := stripego.ListParams{Context: ctx, Limit: stripego.Int64(100), Single: true}
	if after != "" {
		params.StartingAfter = stripego.String(after)
	}
	return params
}

// isRefund tells whether found is r: by the ids that we gave it, or, since one made in Stripe's pages bears none, by its reference
// and its intent.
func isRefund(i payment.Intent, r payment.Refund, found *stripego.Refund) bool {
	if r.Found {
		return r.ProviderRef != "" && found.ID == r.ProviderRef && found.PaymentIntent != nil && found.PaymentIntent.ID != "" && found.PaymentIntent.ID == i.ProviderRef
	}
	return found.Metadata[payment.MetadataRefund] == r.ID.String() && found.Metadata[payment.MetadataPayment] == i.PaymentID.String()
}

// judgeRefund reads an answer about r. A refund of another payment or amount is refused.
func judgeRefund(i payment.Intent, r payment.Refund, found *stripego.Refund) (payment.RefundOutcome, error) {
	outcome := refundOutcome(found)
	switch {
	case !isRefund(i, r, found):
		return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w: %s is not it", r.ID, payment.ErrRejected, found.ID)
	case outcome.Amount != r.Amount:
		return outcome, fmt.Errorf("refund %s: %w: %s is of %s, not %s", r.ID, payment.ErrRejected, found.ID, outcome.Amount, r.Amount)
	case outcome.State == "" || found.ID == "":
		return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w: %q has status %q", r.ID, payment.ErrUnknown, found.ID, found.Status)
	default:
		return outcome, nil
	}
}

// refundOutcome says in our words where a refund stands; the State is empty for a status that we do not know.
func refundOutcome(r *stripego.Refund) payment.RefundOutcome {
	outcome := payment.RefundOutcome{
		ProviderRef: r.ID,
		Amount:      ledger.Amount{Minor: r.Amount, Currency: strings.ToUpper(string(r.Currency))},
	}
	switch r.Status {
	case stripego.RefundStatusPending, stripego.RefundStatusRequiresAction:
		outcome.State = payment.RefundPending
	case stripego.RefundStatusSucceeded:
		outcome.State = payment.RefundSucceeded
	case stripego.RefundStatusFailed, stripego.RefundStatusCanceled:
		outcome.State, outcome.Failure = payment.RefundFailed, string(r.Status)
		if r.FailureReason != "" {
			outcome.Failure += "/" + string(r.FailureReason)
		}
	}
	return outcome
}

// final turns ErrNotFound, which says that the payment itself is not there, into what it means for a refund.
func final(err error) error {
	if errors.Is(err, payment.ErrNotFound) {
		return fmt.Errorf("%w: the provider does not know its payment", payment.ErrRejected)
	}
	return err
}

// translateRefund is translate with the refusals that refunds have.
func translateRefund(err error) error {
	var e *stripego.Error
	if !errors.As(err, &e) {
		return translate(err)
	}
	switch {
	case e.Code == stripego.ErrorCodeBalanceInsufficient: // until sales or a top-up fill the balance
		return fmt.Errorf("%w: %s", payment.ErrTemporary, describe(err))
	case isRefundRefusal(e):
		return fmt.Errorf("%w: %s", payment.ErrDeclined, describe(err))
	default:
		return final(translate(err))
	}
}

// isRefundRefusal tells whether Stripe refuses because of what became of the payment: it was given back or disputed.
func isRefundRefusal(e *stripego.Error) bool {
	switch e.Code {
	case stripego.ErrorCodeChargeAlreadyRefunded, stripego.ErrorCodeChargeDisputed, stripego.ErrorCodeChargeNotRefundable,
		stripego.ErrorCodeRefundDisputedPayment:
		return true
	default:
		return false
	}
}

// isStoredRefusal tells whether Stripe repeats what it answered to a refund's key before: a failure of its own, or a refusal
// for a reason that may have passed.
func isStoredRefusal(err error) bool {
	var e *stripego.Error
	if !errors.As(err, &e) || e.LastResponse == nil || e.LastResponse.Header.Get("Idempotent-Replayed") != "true" {
		return false
	}
	return e.HTTPStatusCode >= http.StatusInternalServerError || e.Code == stripego.ErrorCodeBalanceInsufficient || isRefundRefusal(e)
}
