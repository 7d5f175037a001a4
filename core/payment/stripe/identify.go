package stripe

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
)

// Identify finds out whose payment an intent or a charge is.
func (p *Provider) Identify(ctx context.Context, ref string) (order, id uuid.UUID, attempt int, err error) {
	metadata, err := p.metadata(ctx, ref)
	if err != nil {
		return uuid.Nil, uuid.Nil, 0, fmt.Errorf("identify %s: %w", ref, translate(err))
	}
	who, ok := bearer(metadata)
	if !ok {
		return uuid.Nil, uuid.Nil, 0, fmt.Errorf("identify %s: %w", ref, payment.ErrNotFound)
	}
	return who.order, who.payment, who.attempt, nil
}

// metadata is what an intent or a charge bears.
func (p *Provider) metadata(ctx context.Context, ref string) (map[string]string, error) {
	if err := p.wait(ctx, endpointRetrieve); err != nil {
		return nil, err
	}
	if isCharge(ref) {
		params := &stripego.ChargeParams{}
		params.Context = ctx
		charge, err := p.charges.Get(ref, params)
		if err != nil {
			return nil, err
		}
		return charge.Metadata, nil
	}
	params := &stripego.PaymentIntentParams{}
	params.Context = ctx
	intent, err := p.intents.Get(ref, params)
	if err != nil {
		return nil, err
	}
	return intent.Metadata, nil
}

// isCharge tells by its prefix whether a reference names a charge. Ours have intents; charges of other products may not.
func isCharge(ref string) bool { return strings.HasPrefix(ref, "ch_") || strings.HasPrefix(ref, "py_") }

// whose names the payment that an object of Stripe's belongs to.
type whose struct {
	order, payment uuid.UUID
	attempt        int
}

// bearer reads whose an object is from its metadata; ok is false for one that is not ours.
func bearer(metadata map[string]string) (w whose, ok bool) {
	var okOrder, okPayment bool
	w.payment, okPayment = parseID(metadata[payment.MetadataPayment])
	w.order, okOrder = parseID(metadata[payment.MetadataOrder])
	attempt, err := strconv.Atoi(metadata[payment.MetadataAttempt])
	if !okPayment || !okOrder || err != nil || attempt < 1 {
		return whose{}, false
	}
	w.attempt = attempt
	return w, true
}

// paymentRef is our reference of the payment behind an object: its intent, or its charge where it has none.
func paymentRef(intent *stripego.PaymentIntent, charge *stripego.Charge) string {
	switch {
	case intent != nil && intent.ID != "":
		return intent.ID
	case charge != nil:
		return charge.ID
	default:
		return ""
	}
}
