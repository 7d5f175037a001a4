package payment_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"fairgate/core/payment"
)

// plain is a provider that can do only what every one must.
type plain struct{ name string }

func (p plain) Name() string { return p.name }
func (p plain) Begin(context.Context, payment.Intent) (payment.Outcome, error) {
	return payment.Outcome{State: payment.Begun, ProviderRef: p.name}, nil
}

func (p plain) Lookup(context.Context, payment.Intent) (payment.Outcome, error) {
	return payment.Outcome{State: payment.Begun, ProviderRef: p.name}, nil
}

func (p plain) Capture(context.Context, payment.Intent) (payment.Outcome, error) {
	return payment.Outcome{State: payment.Captured, ProviderRef: p.name}, nil
}

func (p plain) Void(context.Context, payment.Intent) (payment.Outcome, error) {
	return payment.Outcome{State: payment.Voided, ProviderRef: p.name}, nil
}

// refunding gives money back as well.
type refunding struct{ plain }

func (r refunding) Refund(context.Context, payment.Intent, payment.Refund) (payment.RefundOutcome, error) {
	return payment.RefundOutcome{State: payment.RefundPending, ProviderRef: r.name}, nil
}

func (r refunding) LookupRefund(context.Context, payment.Intent, payment.Refund) (payment.RefundOutcome, error) {
	return payment.RefundOutcome{State: payment.RefundSucceeded, ProviderRef: r.name}, nil
}

func TestWhatAProviderCanDoIsReachedByItsName(t *testing.T) {
	providers := payment.NewProviders(refunding{plain{"able"}}, plain{"plain"})
	if names := providers.Names(); !slices.Equal(names, []string{"able", "plain"}) {
		t.Errorf("names are %v", names)
	}
	refunder, err := providers.Refunder("able")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := refunder.Refund(t.Context(), payment.Intent{}, payment.Refund{}); err != nil || out.ProviderRef != "able" {
		t.Errorf("the refund went to %q, %v", out.ProviderRef, err)
	}
	if _, err := providers.Refunder("plain"); !errors.Is(err, payment.ErrUnsupported) {
		t.Errorf("a provider without refunds: %v", err)
	}
	for what, err := range map[string]error{
		"refunder": second(providers.Refunder("nobody")), "disputer": second(providers.Disputer("nobody")),
		"identifier": second(providers.Identifier("nobody")), "settlement": second(providers.SettlementReader("nobody")),
	} {
		if !errors.Is(err, payment.ErrUnknownProvider) {
			t.Errorf("%s of a provider that is not there: %v", what, err)
		}
	}
	if len(providers.WebhookReaders()) != 0 {
		t.Error("providers without webhooks are given some")
	}
}

// apart reports who paid in a webhook of its own.
type apart struct{ plain }

func (apart) SignalsApart() bool { return true }

// The breaker around a provider must not hide that: a payment would be judged by a webhook that says nothing of who paid.
func TestThatSignalsComeApartIsSeenThroughTheBreaker(t *testing.T) {
	providers := payment.NewProviders(apart{plain{"apart"}}, plain{"plain"})
	for name, want := range map[string]bool{"apart": true, "plain": false, "nobody": false} {
		if got := providers.SignalsApart(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func second[T any](_ T, err error) error { return err }
