package stripe_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

func isOne(err, sentinel error) bool {
	all := []error{payment.ErrDeclined, payment.ErrTemporary, payment.ErrUnknown, payment.ErrNotFound, payment.ErrRejected}
	for _, other := range all {
		if errors.Is(err, other) != (other == sentinel) {
			return false
		}
	}
	return true
}

func TestAPaymentIsBegunPaidAndCaptured(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := newIntent()
	begun, err := a.provider.Begin(t.Context(), i)
	a.expect("begin", begun, err, payment.Begun, nil)
	if begun.ProviderRef == "" || begun.ClientSecret == "" || begun.Amount != i.Amount {
		t.Errorf("begun %+v", begun)
	}
	again, err := a.provider.Begin(t.Context(), i)
	a.expect("begin again", again, err, payment.Begun, nil)
	if again.ProviderRef != begun.ProviderRef {
		t.Errorf("the same payment was begun twice: %s and %s", begun.ProviderRef, again.ProviderRef)
	}
	i.ProviderRef = begun.ProviderRef
	if status := a.pay(i, begun.ClientSecret, "4242 4242 4242 4242"); status != http.StatusOK {
		t.Fatalf("the form answers %d", status)
	}
	looked, err := a.provider.Lookup(t.Context(), i)
	a.expect("lookup", looked, err, payment.Authorized, nil)
	if looked.Amount != i.Amount {
		t.Errorf("%s can be captured", looked.Amount)
	}
	captured, err := a.provider.Capture(t.Context(), i)
	a.expect("capture", captured, err, payment.Captured, nil)
	if captured.Amount != i.Amount {
		t.Errorf("captured %s", captured.Amount)
	}
	for range 2 { // late repetitions
		captured, err = a.provider.Capture(t.Context(), i)
		a.expect("capture again", captured, err, payment.Captured, nil)
	}
	entry := a.booked(i)
	if entry.Captured != i.Amount.Minor || entry.Order != i.OrderID.String() || entry.Attempt != "1" || entry.Currency != "EUR" {
		t.Errorf("the books say %+v", entry)
	}
	if balance := a.sim.Balances()["EUR"]; balance != i.Amount.Minor {
		t.Errorf("the provider holds %d", balance)
	}
	want := []string{
		"/v1/payment_intents fg:" + i.PaymentID.String() + ":begin",
		"/v1/payment_intents/" + i.ProviderRef + "/capture fg:" + i.PaymentID.String() + ":capture",
	}
	for _, key := range want {
		if !slices.Contains(a.between.keys, key) {
			t.Errorf("no call %q among %q", key, a.between.keys)
		}
	}
}

func TestADeclinedCardFailsAndAnotherMayFollow(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, secret := a.began()
	if status := a.pay(i, secret, "4000000000009995"); status != http.StatusPaymentRequired {
		t.Errorf("the form answers %d", status)
	}
	outcome, err := a.provider.Lookup(t.Context(), i)
	a.expect("lookup", outcome, err, payment.Failed, nil)
	if outcome.Failure != "card_declined/insufficient_funds" {
		t.Errorf("failure %q", outcome.Failure)
	}
	first := outcome.Try
	outcome, err = a.provider.Lookup(t.Context(), i)
	if err != nil || first == "" || outcome.Try != first {
		t.Errorf("the same decline is told as %q and %q, %v", first, outcome.Try, err)
	}
	a.pay(i, secret, "4000000000009995")
	outcome, err = a.provider.Lookup(t.Context(), i)
	if err != nil || outcome.Try == "" || outcome.Try == first {
		t.Errorf("two declines are told as %q and %q, %v", first, outcome.Try, err)
	}
	outcome, err = a.provider.Capture(t.Context(), i)
	a.expect("capture of a declined payment", outcome, err, payment.Failed, payment.ErrDeclined)
	a.pay(i, secret, "5555555555554444")
	outcome, err = a.provider.Lookup(t.Context(), i)
	a.expect("lookup after another card", outcome, err, payment.Authorized, nil)
	// The refusal of the first capture is stored under its key. The capture that is due now must still happen.
	outcome, err = a.provider.Capture(t.Context(), i)
	a.expect("capture", outcome, err, payment.Captured, nil)
}

func TestACardMayAskForAProof(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	for proof, want := range map[string]payment.OutcomeState{"approve": payment.Authorized, "fail": payment.Failed} {
		i, secret := a.began()
		a.pay(i, secret, "4000002760003184")
		outcome, err := a.provider.Lookup(t.Context(), i)
		a.expect("lookup before the proof", outcome, err, payment.RequiresAction, nil)
		outcome, err = a.provider.Capture(t.Context(), i)
		a.expect("capture before the proof", outcome, err, payment.RequiresAction, payment.ErrRejected)
		a.pay(i, secret, "", "authentication", proof)
		outcome, err = a.provider.Lookup(t.Context(), i)
		a.expect("lookup after "+proof, outcome, err, want, nil)
		if want == payment.Failed && outcome.Failure != "payment_intent_authentication_failure" {
			t.Errorf("failure %q", outcome.Failure)
		}
	}
}

func TestVoidEndsAPaymentInAnyStateButCaptured(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	begun, secret := a.began()
	failed, failedSecret := a.began()
	a.pay(failed, failedSecret, "4000000000000002")
	for name, i := range map[string]payment.Intent{"begun": begun, "failed": failed, "authorized": a.authorized("4242424242424242")} {
		for _, again := range []string{"", " again"} {
			outcome, err := a.provider.Void(t.Context(), i)
			a.expect("void "+name+again, outcome, err, payment.Voided, nil)
		}
		outcome, err := a.provider.Capture(t.Context(), i)
		a.expect("capture voided "+name, outcome, err, payment.Voided, payment.ErrDeclined)
	}
	if status := a.pay(begun, secret, "4242424242424242"); status != http.StatusGone {
		t.Errorf("the form of a voided payment answers %d", status)
	}
	captured := a.authorized("4242424242424242")
	if _, err := a.provider.Capture(t.Context(), captured); err != nil {
		t.Fatal(err)
	}
	outcome, err := a.provider.Void(t.Context(), captured)
	a.expect("void captured", outcome, err, payment.Captured, payment.ErrDeclined)
	if held := a.sim.Balances()["EUR"]; held != captured.Amount.Minor {
		t.Errorf("the provider holds %d", held)
	}
}

func TestACaptureThatComesTooLateIsDeclinedForGood(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized("4000009990000005")
	for range 2 {
		outcome, err := a.provider.Capture(t.Context(), i)
		a.expect("capture", outcome, err, payment.Voided, payment.ErrDeclined)
	}
	if entry := a.booked(i); entry.Captured != 0 || entry.Status != "canceled" {
		t.Errorf("the books say %+v", entry)
	}
}

func TestAPaymentIsFoundByItsMetadata(t *testing.T) {
	for name, cfg := range map[string]paysim.Config{"by search": {}, "by list, since the search lags": {SearchLag: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, cfg)
			i := a.authorized("4242424242424242")
			ref := i.ProviderRef
			i.ProviderRef = ""
			outcome, err := a.provider.Lookup(t.Context(), i)
			a.expect("lookup", outcome, err, payment.Authorized, nil)
			if outcome.ProviderRef != ref {
				t.Errorf("found %s, want %s", outcome.ProviderRef, ref)
			}
			outcome, err = a.provider.Capture(t.Context(), i)
			a.expect("capture", outcome, err, payment.Captured, nil)
			none := newIntent()
			for what, call := range map[string]func(context.Context, payment.Intent) (payment.Outcome, error){
				"lookup": a.provider.Lookup, "capture": a.provider.Capture, "void": a.provider.Void,
			} {
				outcome, err = call(t.Context(), none)
				a.expect(what+" of nothing", outcome, err, payment.Unknown, payment.ErrNotFound)
			}
		})
	}
}

func TestVoidWithoutAReferenceCancelsEveryIntentOfThePayment(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.began()
	second := i
	second.ProviderRef = ""
	// Another intent with the same metadata, as after a stored failure: made by another key.
	twin := newTwin(t, a, second)
	i.ProviderRef = ""
	for range 2 {
		outcome, err := a.provider.Void(t.Context(), i)
		a.expect("void", outcome, err, payment.Voided, nil)
	}
	for _, entry := range a.sim.Books().Intents {
		if entry.Status != "canceled" {
			t.Errorf("%s (twin %s) is %s", entry.ID, twin, entry.Status)
		}
	}
}

// newTwin makes a second intent of a payment behind the adapter's back.
func newTwin(t *testing.T, a *account, i payment.Intent) string {
	t.Helper()
	form := "amount=12345&currency=eur&capture_method=manual"
	for key, value := range i.Metadata() {
		form += "&metadata[" + key + "]=" + value
	}
	req := httptest.NewRequest(http.MethodPost, "/v1/payment_intents", strings.NewReader(form))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+secretKey)
	w := httptest.NewRecorder()
	a.sim.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()[7:26]
}

func TestAnIntentOfAnotherPaymentIsRefused(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	theirs := a.authorized("4242424242424242")
	ours := newIntent()
	ours.ProviderRef = theirs.ProviderRef
	outcome, err := a.provider.Lookup(t.Context(), ours)
	a.expect("lookup", outcome, err, payment.Unknown, payment.ErrRejected)
	wrong := newIntent()
	wrong.Amount = ledger.Amount{Minor: 0, Currency: "EUR"}
	outcome, err = a.provider.Begin(t.Context(), wrong)
	a.expect("begin without an amount", outcome, err, payment.Unknown, payment.ErrRejected)
	if _, err := a.provider.Begin(t.Context(), payment.Intent{Amount: ours.Amount}); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("begin without ids: %v", err)
	}
	bad := newIntent()
	bad.Amount.Currency = "€€€"
	outcome, err = a.provider.Begin(t.Context(), bad)
	a.expect("begin in no currency", outcome, err, payment.Unknown, payment.ErrRejected)
}

func TestAReusedKeyWithOtherParametersFindsTheFirstIntent(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.began()
	ref := i.ProviderRef
	i.ProviderRef, i.Description = "", "Worded by the next release"
	outcome, err := a.provider.Begin(t.Context(), i)
	a.expect("begin", outcome, err, payment.Begun, nil)
	if outcome.ProviderRef != ref {
		t.Errorf("found %s, want %s", outcome.ProviderRef, ref)
	}
	i.Amount.Minor++ // this is not a matter of wording
	outcome, err = a.provider.Begin(t.Context(), i)
	a.expect("begin for another amount", outcome, err, payment.Begun, payment.ErrRejected)
	a.booked(i)
}

func TestConfigurationIsCheckedAtOnce(t *testing.T) {
	_, err := stripe.New(stripe.Config{BaseURL: "localhost:1", PayURL: "ftp://x/", RequestsPerSecond: -1})
	for _, part := range []string{"secret key", "publishable key", "webhook secret", "base URL", "pay URL", "rate"} {
		if err == nil || !errors.Is(err, stripe.ErrConfig) || !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about the %s in: %v", part, err)
		}
	}
}

func TestTheFormIsWhereTheBuyerPays(t *testing.T) {
	keys := stripe.Config{SecretKey: secretKey, PublishableKey: publicKey, WebhookSecret: webhookSecret}
	real, err := stripe.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	if form := real.Form("pi_1", "pi_1_secret_2"); form.PublishableKey != publicKey || form.URL != "" || form.Shown() != payment.FormStripe {
		t.Errorf("form %+v", form)
	}
	keys.PayURL = "http://127.0.0.1:1/"
	sim, err := stripe.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	if form := sim.Form("pi_1", "a&b"); form.URL != "http://127.0.0.1:1/pay/pi_1?client_secret=a%26b" || form.Shown() != payment.FormFrame {
		t.Errorf("form %+v", form)
	}
	if form := sim.Form("", ""); form.URL != "" || form.Shown() != payment.FormNone {
		t.Errorf("a payment that is not begun has a form: %+v", form)
	}
}

var _ payment.Provider = (*stripe.Provider)(nil)
var _ payment.WebhookReader = (*stripe.Provider)(nil)

func TestPaymentIDsDependOnOrderAndAttempt(t *testing.T) {
	order := uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	if payment.PaymentID(order, 1) == payment.PaymentID(order, 2) || payment.PaymentID(order, 1) == payment.PaymentID(uuid.New(), 1) {
		t.Error("two payments have one id")
	}
	// Fixed for ever: the ids are the providers' idempotency keys.
	if got := payment.PaymentID(order, 1).String(); got != "34ef2794-3a17-50d2-b19d-9272d6f0b59a" {
		t.Errorf("payment id %s", got)
	}
}
