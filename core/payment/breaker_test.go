package payment_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fairgate/core/payment"
)

// moody answers every call as its mood is, and counts them.
type moody struct {
	plain
	mood  error
	calls int
	spare float64
}

func (m *moody) Begin(context.Context, payment.Intent) (payment.Outcome, error) {
	m.calls++
	return payment.Outcome{State: payment.Begun, ProviderRef: m.name}, m.mood
}

func (m *moody) SpareRate() float64 { return m.spare }

func (m *moody) Refund(context.Context, payment.Intent, payment.Refund) (payment.RefundOutcome, error) {
	m.calls++
	return payment.RefundOutcome{}, m.mood
}

func (m *moody) LookupRefund(context.Context, payment.Intent, payment.Refund) (payment.RefundOutcome, error) {
	return payment.RefundOutcome{}, m.mood
}

// broken is a breaker that opens at the fourth of four failures in ten seconds, for five.
var broken = payment.BreakerConfig{MinCalls: 4, OpenFor: 5 * time.Second, Probes: 2, Log: slog.New(slog.DiscardHandler)}

func routed(t *testing.T, list ...payment.Provider) *payment.Providers {
	t.Helper()
	members := make([]payment.Member, len(list))
	for i, p := range list {
		members[i] = payment.Member{Provider: p}
	}
	providers, err := payment.NewRouted(payment.Routing{Breaker: broken}, members...)
	if err != nil {
		t.Fatal(err)
	}
	return providers
}

func begin(t *testing.T, providers *payment.Providers, name string) error {
	t.Helper()
	p, err := providers.Of(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Begin(t.Context(), payment.Intent{})
	return err
}

func TestAProviderThatFailsIsNotCalledUntilItsProbesSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &moody{plain: plain{"down1"}, mood: payment.ErrUnknown, spare: 7}, &moody{plain: plain{"up1"}, spare: 40}
		providers := routed(t, first, second)
		want := payment.Want{Currency: "EUR", Country: "ES", Minor: 100}
		if name, _ := providers.Route(want); name != "down1" {
			t.Fatalf("while both are up %q is chosen", name)
		}
		for range 4 {
			if err := begin(t, providers, "down1"); !errors.Is(err, payment.ErrUnknown) {
				t.Fatal(err)
			}
		}
		err := begin(t, providers, "down1")
		if !errors.Is(err, payment.ErrUnavailable) || !errors.Is(err, payment.ErrTemporary) || first.calls != 4 {
			t.Fatalf("after 4 failures the %d-th call answers %v", first.calls, err)
		}
		refunder, err := providers.Refunder("down1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := refunder.Refund(t.Context(), payment.Intent{}, payment.Refund{}); !errors.Is(err, payment.ErrUnavailable) || first.calls != 4 {
			t.Errorf("a refund passes the open breaker: %v", err)
		}
		if name, _ := providers.Route(want); name != "up1" {
			t.Errorf("while the first is down %q is chosen", name)
		}
		if spare := providers.SpareRate("EUR", "ES"); spare != 40 {
			t.Errorf("while the first is down the spare rate is %v, not that of the one that takes over", spare)
		}

		time.Sleep(6 * time.Second) // half open
		if spare := providers.SpareRate("EUR", "ES"); spare != 2 {
			t.Errorf("while the first is probed the spare rate is %v, not that of its probes", spare)
		}
		if err := begin(t, providers, "down1"); !errors.Is(err, payment.ErrUnknown) || first.calls != 5 {
			t.Errorf("the probe answers %v", err)
		}
		if err := begin(t, providers, "down1"); !errors.Is(err, payment.ErrUnavailable) {
			t.Errorf("after a probe that failed: %v", err)
		}

		time.Sleep(6 * time.Second)
		first.mood = nil
		for range 20 {
			if err := begin(t, providers, "down1"); err != nil {
				t.Fatal(err)
			}
		}
		if name, _ := providers.Route(want); name != "down1" || providers.SpareRate("EUR", "ES") != 7 {
			t.Errorf("after the probes %q is chosen, spare rate %v", name, providers.SpareRate("EUR", "ES"))
		}
	})
}

func TestDeclinesAndOurOwnLimitsOpenNoBreaker(t *testing.T) {
	for _, mood := range []error{payment.ErrDeclined, payment.ErrRejected, payment.ErrNotFound, payment.ErrRateLimited, context.Canceled} {
		p := &moody{plain: plain{"fine"}, mood: fmt.Errorf("begin: %w", mood)}
		providers := routed(t, p)
		for range 50 {
			if err := begin(t, providers, "fine"); !errors.Is(err, mood) {
				t.Fatal(err)
			}
		}
		if p.calls != 50 || !providers.Up("fine") {
			t.Errorf("%v: %d of 50 calls were made", mood, p.calls)
		}
	}
	for _, mood := range []error{payment.ErrTemporary, payment.ErrUnknown, context.DeadlineExceeded} {
		p := &moody{plain: plain{"bad"}, mood: fmt.Errorf("begin: %w", mood)}
		providers := routed(t, p)
		for range 50 {
			begin(t, providers, "bad")
		}
		if p.calls != 4 || providers.Up("bad") {
			t.Errorf("%v: %d calls were made, the breaker is open: %v", mood, p.calls, !providers.Up("bad"))
		}
	}
}

func TestAFewFailuresAmongSuccessesOpenNoBreaker(t *testing.T) {
	p := &moody{plain: plain{"mostly"}}
	providers := routed(t, p)
	for n := range 100 {
		p.mood = nil
		if n%10 == 5 {
			p.mood = payment.ErrUnknown
		}
		begin(t, providers, "mostly")
	}
	if p.calls != 100 {
		t.Errorf("of 100 calls, a tenth of which failed, %d were made", p.calls)
	}
}

func choices(names ...string) (list []payment.Choice) {
	for _, name := range names {
		list = append(list, payment.Choice{Provider: name})
	}
	return list
}

func TestRoutesChooseByCurrencyCountryMethodAndCost(t *testing.T) {
	providers, err := payment.NewRouted(payment.Routing{Routes: []payment.Route{
		{Currencies: []string{"JPY"}, Providers: choices("b")},
		{Currencies: []string{"EUR"}, Countries: []string{"PT"}, Providers: choices("b", "a")},
		{Methods: []string{"bank_transfer"}, Currencies: []string{"EUR"}, Providers: choices("bank")},
		{Currencies: []string{"EUR", "USD"}, Providers: []payment.Choice{
			{Provider: "a", HasCost: true, Percent: 29_000, FixedMinor: 30}, {Provider: "b", HasCost: true, Percent: 15_000, FixedMinor: 100},
		}},
	}}, payment.Member{Provider: plain{"a"}, Methods: []string{"card"}}, payment.Member{Provider: plain{"b"}, Methods: []string{"paypal", "card"}},
		payment.Member{Provider: plain{"bank"}, Methods: []string{"bank_transfer"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want payment.Want
		name string
	}{
		{payment.Want{Currency: "JPY", Country: "JP", Minor: 1}, "b"},
		{payment.Want{Currency: "EUR", Country: "PT", Minor: 1}, "b"},
		{payment.Want{Currency: "EUR", Country: "PT", Method: "bank_transfer", Minor: 1}, "bank"},
		{payment.Want{Currency: "EUR", Country: "ES", Method: "card", Minor: 1000}, "a"},    // 59 against 115
		{payment.Want{Currency: "EUR", Country: "ES", Method: "card", Minor: 10_000}, "b"},  // 320 against 250
		{payment.Want{Currency: "EUR", Country: "ES", Method: "card", Minor: 5_000}, "a"},   // 175 each: the first
		{payment.Want{Currency: "EUR", Country: "ES", Method: "paypal", Minor: 1000}, "b"},  // the only one
		{payment.Want{Currency: "USD", Country: "US", Method: "card", Minor: 1 << 60}, "b"}, // no overflow
	} {
		for range 3 {
			if name, err := providers.Route(test.want); err != nil || name != test.name {
				t.Errorf("%+v is routed to %q, %v, want %q", test.want, name, err, test.name)
			}
		}
	}
	for _, none := range []payment.Want{{Currency: "GBP"}, {Currency: "USD", Method: "bank_transfer"}, {Currency: "JPY", Method: "cash"}} {
		if name, err := providers.Route(none); !errors.Is(err, payment.ErrNoRoute) || !errors.Is(err, payment.ErrUnknownProvider) {
			t.Errorf("%+v is routed to %q, %v", none, name, err)
		}
	}
	if got := fmt.Sprint(providers.Methods("EUR", "ES")); got != "[bank_transfer card paypal]" {
		t.Errorf("in Spain one pays by %s", got)
	}
	if got := providers.Methods("GBP", "GB"); len(got) != 0 {
		t.Errorf("in pounds one pays by %v", got)
	}
	if name, ok := providers.FailOver(payment.Want{Currency: "EUR", Country: "ES", Method: "card", Minor: 1000}, "a"); !ok || name != "b" {
		t.Errorf("after a comes %q, %v", name, ok)
	}
	if name, ok := providers.FailOver(payment.Want{Currency: "EUR", Country: "ES", Method: "paypal", Minor: 1000}, "b"); ok {
		t.Errorf("%q takes over for the only one that takes PayPal", name)
	}
}

func TestEverythingThatIsWrongWithRoutesIsSaidAtOnce(t *testing.T) {
	_, err := payment.NewRouted(payment.Routing{Routes: []payment.Route{
		{Currencies: []string{"euro"}, Providers: choices("a", "nobody", "a")},
		{},
		{Methods: []string{"paypal"}, Providers: choices("a")},
		{Providers: []payment.Choice{{Provider: "a", HasCost: true, Percent: 2_000_000}, {Provider: "b"}}},
	}}, payment.Member{Provider: plain{"a"}}, payment.Member{Provider: plain{"b"}})
	if !errors.Is(err, payment.ErrRoutes) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{`"euro"`, `"nobody"`, `"a" stands there twice`, "route 2: it has no providers", "none of the methods", "the cost of", "have a cost"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not said in\n%v", part, err)
		}
	}
}

func TestNobodyWhoChoseNothingIsSentToABank(t *testing.T) {
	down := &moody{plain: plain{"down2"}, mood: payment.ErrUnknown, spare: 7}
	providers, err := payment.NewRouted(payment.Routing{Breaker: broken}, payment.Member{Provider: down},
		payment.Member{Provider: plain{"bank2"}, Methods: []string{payment.MethodBankTransfer, payment.MethodBoxOffice}})
	if err != nil {
		t.Fatal(err)
	}
	for providers.Up("down2") {
		begin(t, providers, "down2")
	}
	want := payment.Want{Currency: "EUR", Country: "ES", Minor: 100}
	if name, err := providers.Route(want); err != nil || name != "down2" {
		t.Errorf("it is routed to %q, %v", name, err)
	}
	if name, ok := providers.FailOver(want, "down2"); ok {
		t.Errorf("%q takes over", name)
	}
	if spare := providers.SpareRate("EUR", "ES"); spare != 0 {
		t.Errorf("while the only provider is down the spare rate is %v", spare)
	}
	want.Method = payment.MethodBankTransfer
	if name, err := providers.Route(want); err != nil || name != "bank2" {
		t.Errorf("a bank transfer is routed to %q, %v", name, err)
	}
}

// limited says what it has to spare for refunds.
type limited struct {
	moody
	refunds float64
}

func (l *limited) SpareRefundRate() float64 { return l.refunds }

func TestTheSpareRateOfRefundsIsTheLeastOfTheProvidersThatTookTheMoney(t *testing.T) {
	euros := &limited{moody: moody{plain: plain{name: "euros"}, spare: 90}, refunds: 30}
	other := &moody{plain: plain{name: "other"}, spare: 40}
	dollars := &moody{plain: plain{name: "dollars"}, spare: 3}
	providers, err := payment.NewRouted(payment.Routing{Routes: []payment.Route{
		{Currencies: []string{"EUR"}, Providers: []payment.Choice{{Provider: "euros"}, {Provider: "other"}}},
		{Currencies: []string{"USD"}, Providers: []payment.Choice{{Provider: "dollars"}}},
	}}, payment.Member{Provider: euros}, payment.Member{Provider: other}, payment.Member{Provider: dollars})
	if err != nil {
		t.Fatal(err)
	}
	for currency, want := range map[string]float64{"EUR": 30, "USD": 3, "JPY": 0} {
		if spare := providers.SpareRefundRate(currency, "ES"); spare != want {
			t.Errorf("%s: %v, want %v", currency, spare, want)
		}
	}
}
