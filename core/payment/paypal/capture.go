package paypal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"fairgate/core/payment"
)

// honorPeriod is how long PayPal promises the money of an authorization.
const honorPeriod = 3 * 24 * time.Hour

type captureBody struct {
	Amount money `json:"amount"`
	Final  bool  `json:"final_capture"`
}

// Capture takes the authorized money, all of it.
func (p *Provider) Capture(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	outcome, err := p.capture(ctx, i)
	if err != nil {
		return outcome, fmt.Errorf("capture payment %s: %w", i.PaymentID, err)
	}
	return outcome, nil
}

func (p *Provider) capture(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	amount, err := moneyOf(i.Amount)
	if err != nil {
		return payment.Outcome{}, err
	}
	s, err := p.order(ctx, i)
	if err != nil {
		return payment.Outcome{}, err
	}
	if outcome, done, err := judgeCapture(i, s); done {
		return outcome, err
	}
	from, key, err := p.freshen(ctx, i, s.live[len(s.live)-1], amount)
	if err != nil {
		return payment.Outcome{}, err
	}
	var made capture
	err = p.do(ctx, request{
		part: endpointCapture, method: http.MethodPost, path: at("/v2/payments/authorizations/", from.ID, "/capture"),
		key: key, body: captureBody{Amount: amount, Final: true}, into: &made,
	})
	switch {
	case err == nil && made.taken() && same(made.Amount.amountOr(""), i.Amount):
		s.outcome.State, s.outcome.Amount = payment.Captured, i.Amount
		return s.outcome, nil
	case err == nil && (made.Status == statusDeclined || made.Status == statusFailed):
		s.outcome.State, s.outcome.Failure = payment.Failed, "capture/"+lower(made.Status)
		return s.outcome, fmt.Errorf("%w: the capture is %s", payment.ErrDeclined, s.outcome.Failure)
	case err != nil && payerIssue(issueOf(err)):
		s.outcome.State, s.outcome.Failure = payment.Failed, lower(issueOf(err))
		return s.outcome, fmt.Errorf("%w: %s", payment.ErrDeclined, describe(err))
	case err != nil && !stateIssue(err):
		return payment.Outcome{}, translate(err)
	}
	// The answer does not say what became of the money, but the order does.
	now, findErr := p.order(ctx, i)
	if findErr != nil {
		return payment.Outcome{}, findErr
	}
	outcome, done, judged := judgeCapture(i, now)
	switch issue := issueOf(err); {
	case done:
		return outcome, judged
	case issue == issueExpired || issue == issueVoided || issue == issueDenied:
		outcome.State, outcome.Failure = payment.Voided, lower(issue)
		return outcome, fmt.Errorf("%w: %s", payment.ErrDeclined, describe(err))
	case issue == issueDuplicateInvoice:
		return outcome, fmt.Errorf("%w: %s", payment.ErrRejected, describe(err))
	default:
		return outcome, fmt.Errorf("%w: it is not captured yet", payment.ErrPending)
	}
}

// judgeCapture says what an order's standing means for a capture; done is false when it can be captured.
func judgeCapture(i payment.Intent, s standing) (outcome payment.Outcome, done bool, err error) {
	switch s.outcome.State {
	case payment.Captured:
		if !same(s.outcome.Amount, i.Amount) {
			return s.outcome, true, fmt.Errorf("%w: %v was captured", payment.ErrRejected, s.outcome.Amount)
		}
		return s.outcome, true, nil
	case payment.Authorized:
		if s.captured.ID != "" || len(s.live) == 0 {
			return s.outcome, true, fmt.Errorf("%w: the capture is pending at PayPal", payment.ErrPending)
		}
		if !same(s.outcome.Amount, i.Amount) {
			return s.outcome, true, fmt.Errorf("%w: %v is authorized", payment.ErrRejected, s.outcome.Amount)
		}
		return s.outcome, false, nil
	case payment.RequiresAction:
		return s.outcome, true, fmt.Errorf("%w: the authorization is pending at PayPal", payment.ErrPending)
	case payment.Voided:
		return s.outcome, true, fmt.Errorf("%w: it is %s", payment.ErrDeclined, s.outcome.Failure)
	default: // somebody captures what was never authorized
		return s.outcome, true, fmt.Errorf("%w: it is %s", payment.ErrRejected, s.outcome.State)
	}
}

// freshen authorizes anew what PayPal does not promise any more, and says what to capture under which key. What cannot be
// authorized anew is captured as it is.
func (p *Provider) freshen(ctx context.Context, i payment.Intent, a authorization, amount money) (authorization, string, error) {
	if a.CreateTime.IsZero() || p.cfg.Now().Sub(a.CreateTime) <= honorPeriod {
		return a, i.Key(stepCapture), nil
	}
	var made authorization
	err := p.do(ctx, request{
		part: endpointAuthorize, method: http.MethodPost, path: at("/v2/payments/authorizations/", a.ID, "/reauthorize"),
		key: i.Key(stepReauthorize) + ":" + a.ID, body: struct {
			Amount money `json:"amount"`
		}{amount}, into: &made,
	})
	if err == nil && made.ID != "" && made.Status == statusCreated {
		return made, i.Key(stepCapture) + ":" + made.ID, nil
	}
	if err != nil {
		if refused := translate(err); !errors.Is(refused, payment.ErrRejected) && !errors.Is(refused, payment.ErrDeclined) {
			return a, "", refused
		}
	}
	return a, i.Key(stepCapture), nil
}
