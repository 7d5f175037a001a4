package paypal

import (
	"context"
	"fmt"
	"net/http"

	"fairgate/core/payment"
)

// Lookup asks where the payment stands, and has PayPal reserve the money of an order that the buyer has approved. Failed
// means that PayPal declined the buyer's way to pay; they may approve with another on the same page.
func (p *Provider) Lookup(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	outcome, err := p.lookup(ctx, i)
	if err != nil {
		return outcome, fmt.Errorf("look up payment %s: %w", i.PaymentID, err)
	}
	return outcome, nil
}

func (p *Provider) lookup(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	s, err := p.order(ctx, i)
	if err != nil {
		return payment.Outcome{}, err
	}
	if s.approved && !s.closed {
		if s, err = p.authorize(ctx, i, s); err != nil || s.outcome.State == payment.Failed {
			return s.outcome, err
		}
	}
	switch {
	case !s.closed:
		return s.outcome, nil
	case len(s.live) > 0: // authorized while Void closed the order
		return p.voidLive(ctx, i, s)
	case s.approved && !p.settled(s):
		s.outcome.State = payment.Begun // nobody knows yet whether it was authorized before it was closed
	case s.outcome.State == payment.Begun || s.outcome.State == payment.Approved:
		s.outcome.State, s.outcome.Failure = payment.Voided, "order/closed"
	}
	return s.outcome, nil
}

// authorize has PayPal reserve the money. Every approval has a key of its own, so that one that was declined is not what
// is answered when the buyer has approved with another card since; an order is authorized once whatever the keys.
func (p *Provider) authorize(ctx context.Context, i payment.Intent, s standing) (standing, error) {
	key := i.Key(stepAuthorize)
	if s.update != "" {
		key += ":" + s.update
	}
	var made order
	err := p.do(ctx, request{
		part: endpointAuthorize, method: http.MethodPost, path: at("/v2/checkout/orders/", i.ProviderRef, "/authorize"),
		key: key, body: struct{}{}, into: &made,
	})
	switch {
	case err == nil:
		if now, err := p.stand(i, &made); err == nil && (len(now.live) > 0 && now.live[len(now.live)-1].CustomID != "") {
			if now.outcome.Card == "" {
				now.outcome.Card, now.outcome.Risk = s.outcome.Card, s.outcome.Risk
			}
			return now, nil
		}
		return p.order(ctx, i) // a shorter answer than was asked for
	case payerIssue(issueOf(err)):
		s.outcome.State, s.outcome.Failure, s.outcome.Try = payment.Failed, lower(issueOf(err)), s.update
		return s, nil
	case stateIssue(err): // authorized before, and the answer lost; or not approved any more
		now, err := p.order(ctx, i)
		if err == nil && now.approved {
			return now, fmt.Errorf("%w: the order is being authorized", payment.ErrPending)
		}
		return now, err
	default:
		return standing{}, translate(err)
	}
}

// payerIssue tells whether the buyer's way to pay was refused, not our call.
func payerIssue(issue string) bool {
	switch issue {
	case issueDeclined, "PAYER_CANNOT_PAY", "PAYER_ACCOUNT_RESTRICTED", "PAYER_ACCOUNT_LOCKED_OR_CLOSED", "PAYER_ACTION_REQUIRED",
		"TRANSACTION_REFUSED", "TRANSACTION_LIMIT_EXCEEDED", "CARD_EXPIRED", "CARD_CLOSED", "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING":
		return true
	default:
		return false
	}
}

// settled tells whether an order was closed so long ago that no authorize call of before can be under way.
func (p *Provider) settled(s standing) bool {
	return s.closed && !s.custom.closed.IsZero() && p.cfg.Now().Sub(s.custom.closed) >= p.cfg.SettleAfter
}
