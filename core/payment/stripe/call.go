package stripe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
)

// maxKeys is how many keys one step may use up before somebody has to look: each one after the first means that Stripe
// stored a failure of its own. Of calls that fail one time in ten, one in a million uses up six.
const maxKeys = 6

// Steps of a payment, as they appear in keys.
const (
	stepBegin   = "begin"
	stepCapture = "capture"
	stepVoid    = "void"
)

// Begin makes the PaymentIntent.
func (p *Provider) Begin(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	if i.PaymentID == [16]byte{} || i.OrderID == [16]byte{} || i.Amount.Minor <= 0 || len(i.Amount.Currency) != 3 {
		return payment.Outcome{}, fmt.Errorf("begin payment %s: %w: it has no amount, order or id", i.PaymentID, payment.ErrRejected)
	}
	return p.step(ctx, i, stepBegin, func(key string) (*stripego.PaymentIntent, error) {
		if err := p.wait(ctx, endpointCreate); err != nil {
			return nil, err
		}
		params := &stripego.PaymentIntentParams{
			Amount:             stripego.Int64(i.Amount.Minor),
			Currency:           stripego.String(strings.ToLower(i.Amount.Currency)),
			CaptureMethod:      stripego.String(string(stripego.PaymentIntentCaptureMethodManual)),
			PaymentMethodTypes: stripego.StringSlice(p.methods(i)),
			Metadata:           i.Metadata(), // Stripe copies it to the charges of the intent
		}
		if i.Challenge {
			params.PaymentMethodOptions = &stripego.PaymentIntentPaymentMethodOptionsParams{
				Card: &stripego.PaymentIntentPaymentMethodOptionsCardParams{
					RequestThreeDSecure: stripego.String(string(stripego.PaymentIntentPaymentMethodOptionsCardRequestThreeDSecureAny)),
				},
			}
		}
		if i.EventSlug != "" {
			params.Metadata["event"] = i.EventSlug
		}
		if i.Description != "" {
			params.Description = stripego.String(i.Description)
		}
		if i.Email != "" {
			params.ReceiptEmail = stripego.String(i.Email)
		}
		params.Context = ctx
		params.SetIdempotencyKey(key)
		return p.intents.New(params)
	})
}

// methods are the payment methods that an intent offers: the one that the buyer chose where it is among the account's.
func (p *Provider) methods(i payment.Intent) []string {
	if slices.Contains(p.cfg.PaymentMethodTypes, i.Method) {
		return []string{i.Method}
	}
	return p.cfg.PaymentMethodTypes
}

// Lookup asks where the payment stands.
func (p *Provider) Lookup(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	found, err := p.find(ctx, i)
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("look up payment %s: %w", i.PaymentID, err)
	}
	return p.outcome(i, found[0])
}

// Capture takes the authorized money.
func (p *Provider) Capture(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	i, err := p.named(ctx, i)
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("capture payment %s: %w", i.PaymentID, err)
	}
	return p.step(ctx, i, stepCapture, func(key string) (*stripego.PaymentIntent, error) {
		if err := p.wait(ctx, endpointCapture); err != nil {
			return nil, err
		}
		params := &stripego.PaymentIntentCaptureParams{AmountToCapture: stripego.Int64(i.Amount.Minor)}
		params.Context = ctx
		params.SetIdempotencyKey(key)
		return p.intents.Capture(i.ProviderRef, params)
	})
}

// Void cancels the payment's intent, or without a reference every intent that bears its id.
func (p *Provider) Void(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	if i.ProviderRef != "" {
		return p.cancel(ctx, i, stepVoid)
	}
	found, err := p.find(ctx, i)
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("void payment %s: %w", i.PaymentID, err)
	}
	var first payment.Outcome
	for n, intent := range found {
		i.ProviderRef = intent.ID
		// Keys tell the intents of one payment apart, or the second cancel would be the first one repeated.
		outcome, err := p.cancel(ctx, i, stepVoid+":"+intent.ID)
		if err != nil {
			return outcome, err
		}
		if n == 0 {
			first = outcome
		}
	}
	return first, nil
}

func (p *Provider) cancel(ctx context.Context, i payment.Intent, step string) (payment.Outcome, error) {
	return p.step(ctx, i, step, func(key string) (*stripego.PaymentIntent, error) {
		if err := p.wait(ctx, endpointCancel); err != nil {
			return nil, err
		}
		params := &stripego.PaymentIntentCancelParams{CancellationReason: stripego.String("abandoned")}
		params.Context = ctx
		params.SetIdempotencyKey(key)
		return p.intents.Cancel(i.ProviderRef, params)
	})
}

// named returns i with its reference, searched for if need be.
func (p *Provider) named(ctx context.Context, i payment.Intent) (payment.Intent, error) {
	if i.ProviderRef != "" {
		return i, nil
	}
	found, err := p.find(ctx, i)
	if err != nil {
		return i, err
	}
	i.ProviderRef = found[0].ID
	return i, nil
}

// suffix tells the n-th of something apart in a key; the first has none.
func suffix(n int) string {
	if n == 1 {
		return ""
	}
	return ":" + strconv.Itoa(n)
}

// step makes one call that changes something, under the step's key, or under a further key once Stripe has proved to
// repeat a stored failure while the intent shows that the step was not done.
func (p *Provider) step(ctx context.Context, i payment.Intent, step string, call func(key string) (*stripego.PaymentIntent, error)) (payment.Outcome, error) {
	for n := 1; ; n++ {
		intent, err := call(i.Key(step) + suffix(n))
		if err == nil {
			return p.judge(i, step, intent)
		}
		stored := isStoredFailure(err)
		if !stored && !isStateError(err) && !isKeyReused(err) {
			return p.refused(i, step, err)
		}
		// The answer does not say what became of the call, but the intent does.
		found, findErr := p.find(ctx, i)
		switch {
		case errors.Is(findErr, payment.ErrNotFound) && stored && step == stepBegin:
			// Nothing was begun, so nothing can be done twice.
		case errors.Is(findErr, payment.ErrNotFound):
			return p.refused(i, step, err)
		case findErr != nil:
			return payment.Outcome{}, fmt.Errorf("%s payment %s: %w: %s, and then %w", step, i.PaymentID, payment.ErrUnknown, describe(err), findErr)
		default:
			outcome, judged := p.judge(i, step, found[0])
			if !errors.Is(judged, errNotDone) || !stored {
				return outcome, judged
			}
		}
		if n == maxKeys {
			return payment.Outcome{}, fmt.Errorf("%s payment %s: %w: after %d keys: %s", step, i.PaymentID, payment.ErrUnknown, n, describe(err))
		}
	}
}

// errNotDone says that an intent proves that a step was not carried out, which its state now may or may not allow.
var errNotDone = errors.New("the step was not done")

// judge says what the state of an intent means for a step.
func (p *Provider) judge(i payment.Intent, step string, intent *stripego.PaymentIntent) (payment.Outcome, error) {
	step, _, _ = strings.Cut(step, ":")
	outcome, err := p.outcome(i, intent)
	if err == nil && step != stepVoid && intent.Amount != i.Amount.Minor {
		err = fmt.Errorf("%w: intent %s is for %d, not %d", payment.ErrRejected, intent.ID, intent.Amount, i.Amount.Minor)
	}
	if err != nil {
		return outcome, fmt.Errorf("%s payment %s: %w", step, i.PaymentID, err)
	}
	state := outcome.State
	undecided := state == payment.Begun || state == payment.RequiresAction
	switch {
	case step == stepBegin, step == stepCapture && state == payment.Captured, step == stepVoid && state == payment.Voided:
		return outcome, nil
	case step == stepCapture && state == payment.Authorized, step == stepVoid && state != payment.Captured:
		return outcome, fmt.Errorf("%s payment %s: %w: %w: it is %s", step, i.PaymentID, payment.ErrTemporary, errNotDone, state)
	case step == stepCapture && undecided: // somebody captures what was never authorized
		return outcome, fmt.Errorf("%s payment %s: %w: %w: it is %s", step, i.PaymentID, payment.ErrRejected, errNotDone, state)
	default: // voided or failed where it should be captured, or captured where it should be voided
		return outcome, fmt.Errorf("%s payment %s: %w: it is %s", step, i.PaymentID, payment.ErrDeclined, state)
	}
}

// find returns the payment's intents, the one that has come furthest first: by reference, else by metadata.
func (p *Provider) find(ctx context.Context, i payment.Intent) ([]*stripego.PaymentIntent, error) {
	if i.ProviderRef != "" {
		if err := p.wait(ctx, endpointRetrieve); err != nil {
			return nil, err
		}
		params := &stripego.PaymentIntentParams{}
		params.Context = ctx
		params.AddExpand("latest_charge") // for the card and the risk
		intent, err := p.intents.Get(i.ProviderRef, params)
		if err != nil {
			return nil, translate(err)
		}
		return []*stripego.PaymentIntent{intent}, nil
	}
	found, err := p.search(ctx, i)
	if err == nil && len(found) == 0 {
		found, err = p.listed(ctx, i) // the search lags behind by up to a minute, the list does not
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, payment.ErrNotFound
	}
	for n := 1; n < len(found); n++ {
		if progress(found[n]) > progress(found[0]) {
			found[0], found[n] = found[n], found[0]
		}
	}
	return found, nil
}

// search finds intents by metadata.
func (p *Provider) search(ctx context.Context, i payment.Intent) ([]*stripego.PaymentIntent, error) {
	if err := p.wait(ctx, endpointSearch); err != nil {
		return nil, err
	}
	params := &stripego.PaymentIntentSearchParams{SearchParams: stripego.SearchParams{
		Context: ctx, Limit: stripego.Int64(10), Single: true,
		Query: fmt.Sprintf("metadata['%s']:'%s'", payment.MetadataPayment, i.PaymentID),
	}}
	params.AddExpand("data.latest_charge")
	iter := p.intents.Search(params)
	var found []*stripego.PaymentIntent
	for iter.Next() {
		found = append(found, iter.PaymentIntent())
	}
	if err := iter.Err(); err != nil {
		return nil, translate(err)
	}
	return p.ours(i, found), nil
}

// listed finds intents among the newest hundred.
func (p *Provider) listed(ctx context.Context, i payment.Intent) ([]*stripego.PaymentIntent, error) {
	if err := p.wait(ctx, endpointRetrieve); err != nil {
		return nil, err
	}
	params := &stripego.PaymentIntentListParams{ListParams: stripego.ListParams{Context: ctx, Limit: stripego.Int64(100), Single: true}}
	params.AddExpand("data.latest_charge")
	iter := p.intents.List(params)
	var found []*stripego.PaymentIntent
	for iter.Next() {
		found = append(found, iter.PaymentIntent())
	}
	if err := iter.Err(); err != nil {
		return nil, translate(err)
	}
	return p.ours(i, found), nil
}

// ours keeps the intents that bear the payment's id.
func (p *Provider) ours(i payment.Intent, intents []*stripego.PaymentIntent) []*stripego.PaymentIntent {
	kept := intents[:0]
	for _, intent := range intents {
		if intent.Metadata[payment.MetadataPayment] == i.PaymentID.String() {
			kept = append(kept, intent)
		}
	}
	return kept
}
