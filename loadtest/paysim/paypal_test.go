package paysim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	paypalgo "github.com/plutov/paypal/v4"
)

// buyerAt is a paysim and PayPal's own SDK as far as others wrote it, which knows nothing of our adapter.
type buyerAt struct {
	*api
	sdk *paypalgo.Client
}

func newPayPalAPI(t *testing.T, cfg Config) *buyerAt {
	t.Helper()
	a := newAPI(t, cfg)
	sdk, err := paypalgo.NewClient("paysim", "paysim_secret", a.url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sdk.GetAccessToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &buyerAt{a, sdk}
}

func (b *buyerAt) order(custom, value, key string) *paypalgo.Order {
	b.t.Helper()
	o, err := b.sdk.CreateOrderWithPaypalRequestID(b.t.Context(), paypalgo.OrderIntentAuthorize, []paypalgo.PurchaseUnitRequest{{
		CustomID: custom, InvoiceID: "I-" + custom, Amount: &paypalgo.PurchaseUnitAmount{Currency: "EUR", Value: value},
	}}, nil, &paypalgo.ApplicationContext{ReturnURL: "https://tickets.example/back", CancelURL: "https://tickets.example/cancelled"}, key)
	if err != nil {
		b.t.Fatal(err)
	}
	return o
}

func (b *buyerAt) page(method, token, action, accept string) got {
	b.t.Helper()
	form := url.Values{"token": {token}, "action": {action}}
	target, body := b.url+"/checkoutnow", form.Encode()
	if method == http.MethodGet {
		target, body = target+"?token="+token, ""
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", accept)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	g := got{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	_ = json.Unmarshal(raw, &g.body) // pages are no JSON
	return g
}

// issue is what PayPal's SDK says was wrong.
func issue(err error) string {
	var e *paypalgo.ErrorResponse
	if errors.As(err, &e) && len(e.Details) > 0 {
		return e.Details[0].Issue
	}
	return ""
}

func TestPayPalsSDKMakesCapturesAndRefundsAPayment(t *testing.T) {
	b := newPayPalAPI(t, Config{})
	ctx := t.Context()
	o := b.order("fg.pay.order.1", "12.34", "k1")
	if again := b.order("fg.pay.order.1", "12.34", "k1"); again.ID != o.ID || o.Status != "CREATED" {
		t.Errorf("the repeated id made %q after %q, %s", again.ID, o.ID, o.Status)
	}
	if _, err := b.sdk.AuthorizeOrder(ctx, o.ID, paypalgo.AuthorizeOrderRequest{}); issue(err) != "ORDER_NOT_APPROVED" {
		t.Errorf("authorized before it was approved: %v", err)
	}
	if g := b.page("POST", o.ID, "approve", "application/json"); g.str("status") != "APPROVED" {
		t.Fatalf("approved: %d %s", g.status, g.text)
	}
	if _, err := b.sdk.AuthorizeOrder(ctx, o.ID, paypalgo.AuthorizeOrderRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.sdk.AuthorizeOrder(ctx, o.ID, paypalgo.AuthorizeOrderRequest{}); issue(err) != "ORDER_ALREADY_AUTHORIZED" {
		t.Errorf("authorized twice: %v", err)
	}
	full, err := b.sdk.GetOrder(ctx, o.ID)
	if err != nil || len(full.PurchaseUnits) != 1 || full.Status != "COMPLETED" {
		t.Fatalf("%+v, %v", full, err)
	}
	id := b.sim.pp.byOrder[o.ID].auths[0].id
	if found, err := b.sdk.GetAuthorization(ctx, id); err != nil || found.Status != "CREATED" {
		t.Errorf("%+v, %v", found, err)
	}
	taken, err := b.sdk.CaptureAuthorizationWithPaypalRequestId(ctx, id, &paypalgo.PaymentCaptureRequest{FinalCapture: true}, "k2")
	if err != nil || taken.Status != "COMPLETED" {
		t.Fatalf("%+v, %v", taken, err)
	}
	again, err := b.sdk.CaptureAuthorizationWithPaypalRequestId(ctx, id, &paypalgo.PaymentCaptureRequest{FinalCapture: true}, "k2")
	if err != nil || again.ID != taken.ID {
		t.Errorf("captured again as %+v, %v", again, err)
	}
	if _, err := b.sdk.CaptureAuthorization(ctx, id, &paypalgo.PaymentCaptureRequest{FinalCapture: true}); issue(err) != "AUTHORIZATION_ALREADY_CAPTURED" {
		t.Errorf("captured twice: %v", err)
	}
	if _, err := b.sdk.VoidAuthorization(ctx, id); issue(err) != "PREVIOUSLY_CAPTURED" {
		t.Errorf("voided: %v", err)
	}
	part := paypalgo.RefundCaptureRequest{Amount: &paypalgo.Money{Currency: "EUR", Value: "2.34"}}
	for range 2 {
		if back, err := b.sdk.RefundCaptureWithPaypalRequestId(ctx, taken.ID, part, "k3"); err != nil || back.Status != "COMPLETED" {
			t.Errorf("%+v, %v", back, err)
		}
	}
	now := time.Now()
	report, err := b.sdk.ListTransactions(ctx, &paypalgo.TransactionSearchRequest{StartDate: now.Add(-time.Hour), EndDate: now.Add(time.Hour)})
	if err != nil || len(report.TransactionDetails) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	books := b.sim.Books().PayPal
	if !books.Consistent || books.Captured["EUR"] != 1234 || books.Refunded["EUR"] != 234 || books.Balances["EUR"] != 1000 || len(books.Intents) != 1 || len(books.Refunds) != 1 {
		t.Errorf("%+v", books)
	}
	if i := books.Intents[0]; i.Payment != "pay" || i.Order != "order" || i.Attempt != "1" || i.Status != "captured" {
		t.Errorf("%+v", i)
	}
	if plain := b.sim.Books(); len(plain.Intents) != 0 || !plain.Consistent {
		t.Errorf("the books of the other side have %d payments", len(plain.Intents))
	}
}

func TestAPersonApprovesDeclinesOrCancelsOnThePage(t *testing.T) {
	b := newPayPalAPI(t, Config{})
	o := b.order("fg.pay.order.1", "12.34", "")
	if g := b.page("GET", o.ID, "", "text/html"); g.status != 200 || !strings.Contains(g.text, "Approve 12.34 EUR") || !strings.Contains(g.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %s", g.status, g.text)
	}
	if g := b.page("POST", o.ID, "cancel", "text/html"); g.status != 303 || !strings.HasPrefix(g.header.Get("Location"), "https://tickets.example/cancelled?token=") {
		t.Errorf("cancelled: %d %s", g.status, g.header.Get("Location"))
	}
	if g := b.page("POST", o.ID, "decline", "text/html"); g.status != 303 {
		t.Errorf("declined: %d", g.status)
	}
	if _, err := b.sdk.AuthorizeOrder(t.Context(), o.ID, paypalgo.AuthorizeOrderRequest{}); issue(err) != "INSTRUMENT_DECLINED" {
		t.Errorf("%v", err)
	}
	if g := b.page("GET", o.ID, "", "text/html"); !strings.Contains(g.text, "declined. Try another") {
		t.Errorf("%s", g.text)
	}
	if g := b.page("POST", o.ID, "approve", "text/html"); g.status != 303 || !strings.Contains(g.header.Get("Location"), "PayerID=PAYSIM") {
		t.Errorf("approved: %d %s", g.status, g.header.Get("Location"))
	}
	if g := b.page("GET", o.ID, "", "text/html"); !strings.Contains(g.text, "Go back to the shop") {
		t.Errorf("%s", g.text)
	}
	if g := b.page("GET", "nothing", "", "text/html"); g.status != 404 {
		t.Errorf("%d", g.status)
	}
}

func TestPayPalRefusesStrangersAndKeysUsedOtherwise(t *testing.T) {
	b := newPayPalAPI(t, Config{})
	stranger, err := paypalgo.NewClient("paysim", "wrong", b.url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.GetAccessToken(t.Context()); err == nil {
		t.Error("a wrong secret got a token")
	}
	stranger.SetAccessToken("made-up")
	if _, err := stranger.GetOrder(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a made-up token: %v", err)
	}
	b.order("fg.pay.order.1", "12.34", "k1")
	_, err = b.sdk.CreateOrderWithPaypalRequestID(t.Context(), "AUTHORIZE", []paypalgo.PurchaseUnitRequest{{CustomID: "x", Amount: &paypalgo.PurchaseUnitAmount{Currency: "EUR", Value: "1.00"}}}, nil, nil, "k1")
	if issue(err) != "PAYPAL_REQUEST_ID_PREVIOUSLY_USED" {
		t.Errorf("%v", err)
	}
	for _, value := range []string{"1.234", "0.00", "-1.00", "1e3", ""} {
		_, err := b.sdk.CreateOrder(t.Context(), "AUTHORIZE", []paypalgo.PurchaseUnitRequest{{Amount: &paypalgo.PurchaseUnitAmount{Currency: "EUR", Value: value}}}, nil, nil)
		if issue(err) != "DECIMAL_PRECISION" {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// A key is forgotten after its time, by the provider's clock.
func TestPayPalForgetsKeysAndOrdersInTime(t *testing.T) {
	b := newPayPalAPI(t, Config{})
	first := b.order("fg.pay.order.1", "12.34", "k1")
	b.sim.Advance(t.Context(), 7*time.Hour)
	if second := b.order("fg.pay.order.1", "12.34", "k1"); second.ID == first.ID {
		t.Error("the key was kept for seven hours")
	}
	if _, err := b.sdk.GetOrder(t.Context(), first.ID); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an order that nobody paid for seven hours: %v", err)
	}
}

func (b *buyerAt) captured(n int) *ppCapture {
	b.t.Helper()
	o := b.order(fmt.Sprintf("fg.pay%d.order%d.1", n, n), "10.00", "")
	b.page("POST", o.ID, "approve", "application/json")
	if _, err := b.sdk.AuthorizeOrder(b.t.Context(), o.ID, paypalgo.AuthorizeOrderRequest{}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.sdk.CaptureAuthorization(b.t.Context(), b.sim.pp.byOrder[o.ID].auths[0].id, &paypalgo.PaymentCaptureRequest{FinalCapture: true}); err != nil {
		b.t.Fatal(err)
	}
	return b.sim.pp.byOrder[o.ID].captures[0]
}

func TestWhatTakesDaysAtPayPalComesToPassByItsClock(t *testing.T) {
	b := newPayPalAPI(t, Config{Seed: 5, Faults: Faults{RefundFailed: 0.3, RefundPending: 0.3, Disputed: 0.4, SettlementMissing: 0.1, SettlementExtra: 0.1, SettlementAltered: 0.1}})
	for n := range 60 {
		taken := b.captured(n)
		if n%2 == 0 {
			custom := fmt.Sprintf("fg.pay%d.order%d.1.r.refund%d", n, n, n)
			req := map[string]any{"amount": map[string]string{"currency_code": "EUR", "value": "3.00"}, "custom_id": custom}
			r, err := b.sdk.NewRequest(t.Context(), http.MethodPost, b.url+"/v2/payments/captures/"+taken.id+"/refund", req)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.sdk.SendWithAuth(r, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := b.sim.Books().PayPal
	b.sim.Advance(t.Context(), 30*24*time.Hour)
	after := b.sim.Books().PayPal
	if !before.Consistent || !after.Consistent {
		t.Errorf("%+v\n%+v", before, after)
	}
	count := func(books *PayPalBooks) map[string]int {
		n := map[string]int{}
		for _, r := range books.Refunds {
			n[r.Status]++
		}
		for _, d := range books.Disputes {
			n[d.Status]++
		}
		return n
	}
	early, late := count(before), count(after)
	if early["pending"] == 0 || early["failed"] > 0 || late["pending"] > 0 || late["failed"] == 0 || late["succeeded"] <= early["succeeded"] {
		t.Errorf("refunds went from %v to %v", early, late)
	}
	if len(before.Disputes) > 0 || late["resolved_buyer_favour"] != len(after.Disputes) || len(after.Disputes) == 0 || after.Disputed["EUR"] == 0 {
		t.Errorf("disputes went from %v to %v", early, late)
	}
	if m := after.Statement; len(m.Missing) == 0 || len(m.Extra) == 0 || len(m.Altered) == 0 {
		t.Errorf("the report makes no mistakes: %+v", m)
	}
}

// The same seed misbehaves the same way, whatever the ids.
func TestPayPalMisbehavesTheSameOnTheSameSeed(t *testing.T) {
	play := func() (statuses []int) {
		b := newPayPalAPI(t, Config{Seed: 9, Faults: Faults{AnswerError: 0.3, RateBurst: 0.2}})
		for n := range 40 {
			body := fmt.Sprintf(`{"intent":"AUTHORIZE","purchase_units":[{"custom_id":"fg.p%d.o%d.1","amount":{"currency_code":"EUR","value":"1.00"}}]}`, n, n)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/v2/checkout/orders", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+b.sdk.Token.Token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			statuses = append(statuses, resp.StatusCode)
		}
		return statuses
	}
	first, second := play(), play()
	if fmt.Sprint(first) != fmt.Sprint(second) || !strings.Contains(fmt.Sprint(first), "500") || !strings.Contains(fmt.Sprint(first), "429") || !strings.Contains(fmt.Sprint(first), "201") {
		t.Errorf("%v\n%v", first, second)
	}
}

func TestPayPalsWebhooksAreRepeatedUntilTheyAreAccepted(t *testing.T) {
	var mu sync.Mutex
	ids := map[string]int{}
	bodies := map[string]string{}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("PAYPAL-TRANSMISSION-ID")
		if ids[id]++; ids[id] < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		if was := bodies[id]; was != "" && was != string(raw) {
			t.Errorf("%s changed", id)
		}
		bodies[id] = string(raw)
	}))
	defer hook.Close()
	b := newPayPalAPI(t, Config{PayPal: PayPal{WebhookURL: hook.URL}})
	b.captured(1)
	eventually(t, "three events came three times", func() bool {
		mu.Lock()
		defer mu.Unlock()
		done := 0
		for _, n := range ids {
			if n == 3 {
				done++
			}
		}
		return done == 3
	})
}
