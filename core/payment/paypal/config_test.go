package paypal_test

import (
	"errors"
	"strings"
	"testing"

	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
)

func TestAConfigurationThatCannotWorkIsRefusedWithEveryProblem(t *testing.T) {
	_, err := paypal.New(paypal.Config{BaseURL: "http://api.example", ReturnURL: "/orders", RequestsPerSecond: -1})
	if !errors.Is(err, paypal.ErrConfig) {
		t.Fatalf("%v", err)
	}
	for _, problem := range []string{"client id", "client secret", "webhook id", "cancel URL is missing", "return URL is not", "not https", "negative"} {
		if !strings.Contains(err.Error(), problem) {
			t.Errorf("%q is not in %v", problem, err)
		}
	}
	if _, err := paypal.New(good()); err != nil {
		t.Errorf("%v", err)
	}
}

func good() paypal.Config {
	return paypal.Config{ClientID: "a", ClientSecret: "b", WebhookID: "c", ReturnURL: "https://tickets.example/", CancelURL: "https://tickets.example/"}
}

func TestTheFormIsPayPalsPageAndNothingElse(t *testing.T) {
	p, err := paypal.New(good())
	if err != nil {
		t.Fatal(err)
	}
	if form := p.Form("ORDER", "https://www.paypal.com/checkoutnow?token=ORDER"); form.Shown() != payment.FormRedirect {
		t.Errorf("%+v", form)
	}
	for _, secret := range []string{"", "pi_secret", "javascript:alert(1)", "http://www.paypal.com/checkoutnow", "//x", "https:"} {
		if form := p.Form("ORDER", secret); form != (payment.Form{}) {
			t.Errorf("%q: %+v", secret, form)
		}
	}
}

func TestTheSpareRateIsWhatTheTightestLimitLeaves(t *testing.T) {
	cfg := good()
	cfg.RequestsPerSecond, cfg.EndpointRequestsPerSecond = 100, 12
	p, err := paypal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if spare := p.SpareRate(); spare < 5.9 || spare > 6.1 { // two look-ups a payment
		t.Errorf("%v", spare)
	}
}
