package paypal_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

func TestAPaymentIsBegunApprovedAuthorizedAndCaptured(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, out := a.begin(newIntent(12345))
	if out.State != payment.Begun || out.Amount != i.Amount || i.ProviderRef == "" {
		t.Fatalf("begun as %+v", out)
	}
	if form := a.provider.Form(out.ProviderRef, out.ClientSecret); form.URL != a.url+"/checkoutnow?token="+i.ProviderRef || form.Shown() != payment.FormRedirect {
		t.Errorf("the form is %+v", form)
	}
	a.expect("lookup before the buyer approves", payment.Begun)(a.provider.Lookup(t.Context(), i))
	a.decide(i, "approve")
	if e := a.inbox.of(t, "CHECKOUT.ORDER.APPROVED", i.PaymentID); e.Outcome.State != payment.Approved || e.OrderID != i.OrderID || e.Attempt != 1 || e.Outcome.ProviderRef != i.ProviderRef || !e.Relevant() {
		t.Errorf("approved: %+v", e)
	}
	got := a.expect("lookup", payment.Authorized)(a.provider.Lookup(t.Context(), i))
	if got.Amount != i.Amount || !strings.HasPrefix(got.Card, "paypal:") || got.Risk.CardCountry != "PT" || got.ProviderRef != i.ProviderRef {
		t.Errorf("authorized as %+v", got)
	}
	if e := a.inbox.of(t, "PAYMENT.AUTHORIZATION.CREATED", i.PaymentID); e.Outcome.State != payment.Authorized || e.Outcome.ProviderRef != i.ProviderRef || e.Outcome.Amount != i.Amount {
		t.Errorf("authorized: %+v", e)
	}
	a.expect("lookup again", payment.Authorized)(a.provider.Lookup(t.Context(), i))
	got = a.expect("capture", payment.Captured)(a.provider.Capture(t.Context(), i))
	if got.Amount != i.Amount {
		t.Errorf("captured %v", got.Amount)
	}
	if e := a.inbox.of(t, "PAYMENT.CAPTURE.COMPLETED", i.PaymentID); e.Outcome.State != payment.Captured || e.Outcome.ProviderRef != i.ProviderRef || e.Outcome.Amount != i.Amount {
		t.Errorf("captured: %+v", e)
	}
	a.expect("capture again", payment.Captured)(a.provider.Capture(t.Context(), i))
	if out, err := a.provider.Void(t.Context(), i); !errors.Is(err, payment.ErrDeclined) || out.State != payment.Captured {
		t.Errorf("void of captured money: %s, %v", out.State, err)
	}
	if b := a.books(); b.Captured["EUR"] != 12345 || b.Tokens != 1 {
		t.Errorf("the books: %+v", b)
	}
	for _, kind := range []string{"/orders", "/authorize", "/capture"} {
		calls := a.between.made(http.MethodPost, kind)
		if len(calls) != 1 || !strings.HasPrefix(calls[0].key, "fg:"+i.PaymentID.String()+":") {
			t.Errorf("POST %s: %+v", kind, calls)
		}
	}
	if body := a.between.made(http.MethodPost, "/orders")[0].body; strings.Contains(body, i.Email) || !strings.Contains(body, "https://tickets.example/orders/"+i.OrderID.String()) ||
		!strings.Contains(body, `"value":"123.45"`) {
		t.Errorf("created with %s", body)
	}
	var captured struct {
		Final bool `json:"final_capture"`
	}
	if err := json.Unmarshal([]byte(a.between.made(http.MethodPost, "/capture")[0].body), &captured); err != nil || !captured.Final {
		t.Errorf("the capture was not final: %v", err)
	}
}

func TestABuyerWhoseWayToPayIsDeclinedApprovesAgain(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.begin(newIntent(500))
	a.decide(i, "decline")
	out := a.expect("lookup", payment.Failed)(a.provider.Lookup(t.Context(), i))
	if out.Failure != "instrument_declined" || out.Try == "" {
		t.Errorf("declined as %+v", out)
	}
	a.expect("lookup before they try again", payment.Begun)(a.provider.Lookup(t.Context(), i))
	a.decide(i, "approve")
	a.expect("lookup after it", payment.Authorized)(a.provider.Lookup(t.Context(), i))
	calls := a.between.made(http.MethodPost, "/authorize")
	if len(calls) != 2 || calls[0].key == calls[1].key {
		t.Errorf("authorized with %+v", calls)
	}
}

func TestAnOrderThatNobodyApprovedIsClosedAndALateApprovalTakesNothing(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.begin(newIntent(500))
	a.expect("void", payment.Voided)(a.provider.Void(t.Context(), i))
	a.decide(i, "approve")
	a.expect("lookup after a late approval", payment.Voided)(a.provider.Lookup(t.Context(), settled(t, a, i)))
	a.expect("void again", payment.Voided)(a.provider.Void(t.Context(), i))
	if calls := a.between.made(http.MethodPost, "/authorize"); len(calls) != 0 {
		t.Errorf("it was authorized: %+v", calls)
	}
	if e := a.books(); e.Authorized["EUR"] != 0 || len(e.Intents) != 1 {
		t.Errorf("the books: %+v", e)
	}
}

// settled waits until whatever was under way when an order was closed is over.
func settled(t *testing.T, a *account, i payment.Intent) payment.Intent {
	t.Helper()
	a.sim.Advance(t.Context(), 2*time.Second)
	return i
}

func TestAnApprovedOrderIsVoidedOnlyWhenNoAuthorizeCallCanBeUnderWay(t *testing.T) {
	a := newAccount(t, paysim.Config{}, func(c *paypal.Config) { c.SettleAfter = time.Minute })
	i, _ := a.begin(newIntent(500))
	a.decide(i, "approve")
	for range 2 {
		if out, err := a.provider.Void(t.Context(), i); !errors.Is(err, payment.ErrTemporary) {
			t.Fatalf("void: %s, %v", out.State, err)
		}
		a.expect("lookup meanwhile", payment.Begun)(a.provider.Lookup(t.Context(), i))
	}
	a.sim.Advance(t.Context(), 61*time.Second)
	a.expect("void", payment.Voided)(a.provider.Void(t.Context(), i))
	if calls := a.between.made(http.MethodPatch, i.ProviderRef); len(calls) != 1 || calls[0].key != i.Key("close") {
		t.Errorf("closed with %+v", calls)
	}
	if calls := a.between.made(http.MethodPost, "/authorize"); len(calls) != 0 {
		t.Errorf("it was authorized: %+v", calls)
	}
}

// A lookup reads an approved order; before it authorizes, another process closes it.
func TestALookupThatAuthorizesWhileTheOrderIsClosedVoidsItItself(t *testing.T) {
	a := newAccount(t, paysim.Config{}, func(c *paypal.Config) { c.SettleAfter = time.Minute })
	i, _ := a.begin(newIntent(500))
	a.decide(i, "approve")
	voided := false
	a.between.intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if strings.HasSuffix(r.URL.Path, "/authorize") && !voided {
			voided = true
			if out, err := a.provider.Void(t.Context(), i); !errors.Is(err, payment.ErrTemporary) {
				t.Errorf("void: %s, %v", out.State, err)
			}
		}
		return false
	})
	a.expect("lookup", payment.Voided)(a.provider.Lookup(t.Context(), i))
	a.expect("void", payment.Voided)(a.provider.Void(t.Context(), i))
	if b := a.books(); !voided || b.Authorized["EUR"] != 0 || b.Voided != 1 {
		t.Errorf("the books: %+v", b)
	}
	if e := a.inbox.of(t, "PAYMENT.AUTHORIZATION.CREATED", i.PaymentID); e.Outcome.State == payment.Authorized {
		t.Errorf("a webhook says that a closed order is authorized: %+v", e)
	}
}

// A lookup authorizes just before another process closes the order: that one finds the authorization.
func TestAVoidThatComesAfterTheAuthorizationVoidsIt(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(500)
	a.expect("void", payment.Voided)(a.provider.Void(t.Context(), i))
	a.expect("void again", payment.Voided)(a.provider.Void(t.Context(), i))
	a.expect("lookup", payment.Voided)(a.provider.Lookup(t.Context(), i))
	if out, err := a.provider.Capture(t.Context(), i); !errors.Is(err, payment.ErrDeclined) || out.State != payment.Voided {
		t.Errorf("capture of what is voided: %s, %v", out.State, err)
	}
	if calls := a.between.made(http.MethodPost, "/void"); len(calls) != 1 || calls[0].key != i.Key("void") {
		t.Errorf("voided with %+v", calls)
	}
	if e := a.inbox.of(t, "PAYMENT.AUTHORIZATION.VOIDED", i.PaymentID); e.Outcome.State != payment.Voided {
		t.Errorf("voided: %+v", e)
	}
	if b := a.books(); b.Voided != 1 || b.Authorized["EUR"] != 0 {
		t.Errorf("the books: %+v", b)
	}
}

func TestAnOldAuthorizationIsMadeAnewBeforeItIsCaptured(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(700)
	a.sim.Advance(t.Context(), 4*24*time.Hour)
	a.expect("capture", payment.Captured)(a.provider.Capture(t.Context(), i))
	calls := a.between.made(http.MethodPost, "/reauthorize")
	if len(calls) != 1 || !strings.HasPrefix(calls[0].key, i.Key("reauthorize")) {
		t.Errorf("authorized anew with %+v", calls)
	}
	if b := a.books(); b.Captured["EUR"] != 700 || b.Authorized["EUR"] != 0 {
		t.Errorf("the books: %+v", b)
	}
}

func TestAnAuthorizationThatHasEndedIsNotCaptured(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(700)
	a.sim.Advance(t.Context(), 30*24*time.Hour)
	out, err := a.provider.Capture(t.Context(), i)
	if !errors.Is(err, payment.ErrDeclined) || out.State != payment.Voided {
		t.Errorf("%s, %v", out.State, err)
	}
}

func TestAnAuthorizationThatIsGoneWhenItIsCapturedIsDeclined(t *testing.T) {
	a := newAccount(t, paysim.Config{Faults: paysim.Faults{CaptureRefused: 1}})
	i := a.authorized(700)
	out, err := a.provider.Capture(t.Context(), i)
	if !errors.Is(err, payment.ErrDeclined) || out.State != payment.Voided {
		t.Errorf("%s, %v", out.State, err)
	}
}

func TestAPaymentIsNotCapturedBeforeItIsAuthorized(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.begin(newIntent(500))
	for range 2 {
		if _, err := a.provider.Capture(t.Context(), i); !errors.Is(err, payment.ErrRejected) {
			t.Errorf("%v", err)
		}
		a.decide(i, "approve")
	}
}

func TestNothingIsDoneToAnOrderOfAnotherPayment(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := a.authorized(500)
	other := newIntent(500)
	other.ProviderRef = i.ProviderRef
	if _, err := a.provider.Lookup(t.Context(), other); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("lookup: %v", err)
	}
	if _, err := a.provider.Capture(t.Context(), other); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("capture: %v", err)
	}
	if _, err := a.provider.Void(t.Context(), other); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("void: %v", err)
	}
	more := i
	more.Amount.Minor++
	if _, err := a.provider.Capture(t.Context(), more); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("capture of another amount: %v", err)
	}
	if b := a.books(); b.Authorized["EUR"] != 500 || b.Captured["EUR"] != 0 {
		t.Errorf("the books: %+v", b)
	}
}

func TestWithoutAReferenceThereIsNothingToFindOrVoid(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i := newIntent(500)
	for name, call := range map[string]func() (payment.Outcome, error){
		"lookup": func() (payment.Outcome, error) { return a.provider.Lookup(t.Context(), i) },
		"void":   func() (payment.Outcome, error) { return a.provider.Void(t.Context(), i) },
	} {
		if _, err := call(); !errors.Is(err, payment.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAmountsAreWrittenAsPayPalWantsThem(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	for _, c := range []struct {
		amount ledger.Amount
		text   string
	}{
		{ledger.Amount{Minor: 1, Currency: "EUR"}, "0.01"}, {ledger.Amount{Minor: 100, Currency: "USD"}, "1.00"},
		{ledger.Amount{Minor: 4500, Currency: "JPY"}, "4500"}, {ledger.Amount{Minor: 450000, Currency: "HUF"}, "4500"}, {ledger.Amount{Minor: 100, Currency: "TWD"}, "1"},
	} {
		i := newIntent(1)
		i.Amount = c.amount
		i, out := a.begin(i)
		if out.Amount != c.amount {
			t.Errorf("%v came back as %v", c.amount, out.Amount)
		}
		calls := a.between.made(http.MethodPost, "/orders")
		if body := calls[len(calls)-1].body; !strings.Contains(body, `"currency_code":"`+c.amount.Currency+`","value":"`+c.text+`"`) {
			t.Errorf("%v was written as %s", c.amount, body)
		}
		a.decide(i, "approve")
		a.expect("lookup", payment.Authorized)(a.provider.Lookup(t.Context(), i))
		if got := a.expect("capture", payment.Captured)(a.provider.Capture(t.Context(), i)); got.Amount != c.amount {
			t.Errorf("%v was captured as %v", c.amount, got.Amount)
		}
	}
	before := len(a.between.made(http.MethodPost, "/orders"))
	for _, amount := range []ledger.Amount{{Minor: 450050, Currency: "HUF"}, {Minor: 100, Currency: "KWD"}, {Minor: 0, Currency: "EUR"}, {Minor: -5, Currency: "EUR"}, {Minor: 5, Currency: ""}} {
		i := newIntent(1)
		i.Amount = amount
		if _, err := a.provider.Begin(t.Context(), i); !errors.Is(err, payment.ErrRejected) {
			t.Errorf("%v: %v", amount, err)
		}
	}
	if after := len(a.between.made(http.MethodPost, "/orders")); after != before {
		t.Error("an amount that PayPal cannot take was sent")
	}
}
