package paypal

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"fairgate/core/payment"
)

// voidLooks is how often one Void looks at the order: before it acts, and after each thing it can do.
const voidLooks = 4

// Void makes sure that the payment takes no money: its authorizations are voided, or its order is closed to us. Without a
// reference there is nothing to void: no buyer saw the address at which the order is approved.
func (p *Provider) Void(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	outcome, err := p.void(ctx, i)
	if err != nil {
		return outcome, fmt.Errorf("void payment %s: %w", i.PaymentID, err)
	}
	return outcome, nil
}

func (p *Provider) void(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	var s standing
	var err error
	for range voidLooks {
		s, err = p.order(ctx, i)
		if errors.Is(err, payment.ErrNotFound) && i.ProviderRef != "" {
			// PayPal forgets orders that nobody paid.
			return payment.Outcome{State: payment.Voided, ProviderRef: i.ProviderRef, Failure: "order/expired", Amount: i.Amount}, nil
		}
		if err != nil {
			return payment.Outcome{}, err
		}
		switch {
		case s.outcome.State == payment.Captured:
			return s.outcome, fmt.Errorf("%w: it is captured", payment.ErrDeclined)
		case s.outcome.State == payment.Voided:
			return s.outcome, nil
		case len(s.live) > 0:
			if err := p.voidAll(ctx, i, s.live); err != nil {
				return s.outcome, err
			}
		case s.outcome.State == payment.Authorized:
			return s.outcome, fmt.Errorf("%w: a capture is pending at PayPal", payment.ErrPending)
		case !s.closed:
			if err := p.close(ctx, i, s); err != nil {
				return s.outcome, err
			}
		case s.approved && !p.settled(s):
			return s.outcome, fmt.Errorf("%w: the order was approved; whether it is authorized shows within %s", payment.ErrPending, p.cfg.SettleAfter)
		default:
			s.outcome.State, s.outcome.Failure = payment.Voided, "order/closed"
			return s.outcome, nil
		}
	}
	return s.outcome, fmt.Errorf("%w: it is still %s", payment.ErrPending, s.outcome.State)
}

// voidLive voids the authorizations of a standing and says what came of it.
func (p *Provider) voidLive(ctx context.Context, i payment.Intent, s standing) (payment.Outcome, error) {
	if err := p.voidAll(ctx, i, s.live); err != nil {
		return payment.Outcome{}, err
	}
	s.outcome.State, s.outcome.Failure = payment.Voided, "order/closed"
	return s.outcome, nil
}

// voidAll voids authorizations. One that is voided or captured already is no error: the order tells.
func (p *Provider) voidAll(ctx context.Context, i payment.Intent, all []authorization) error {
	for n, a := range all {
		key := i.Key(stepVoid)
		if n > 0 {
			key += ":" + a.ID
		}
		err := p.do(ctx, request{part: endpointVoid, method: http.MethodPost, path: at("/v2/payments/authorizations/", a.ID, "/void"), key: key})
		if err != nil && !stateIssue(err) {
			return translate(err)
		}
	}
	return nil
}

type patchBody struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// close marks an order as one that must not be authorized. PayPal refuses that once it is authorized; the order tells.
func (p *Provider) close(ctx context.Context, i payment.Intent, s standing) error {
	c := s.custom
	c.closed = p.cfg.Now()
	err := p.do(ctx, request{
		part: endpointVoid, method: http.MethodPatch, path: at("/v2/checkout/orders/", i.ProviderRef, ""), key: i.Key(stepClose),
		body: []patchBody{{Op: "replace", Path: "/purchase_units/@reference_id=='default'/custom_id", Value: c.String()}},
	})
	if err != nil && !stateIssue(err) && statusOf(err) != http.StatusNotFound {
		return translate(err)
	}
	return nil
}
