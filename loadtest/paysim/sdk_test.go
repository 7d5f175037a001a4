package paysim

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
)

// merchant is a merchant who uses Stripe's own library, and hears of events.
type merchant struct {
	*api
	sdk  *client.API
	sink *sink
}

func newMerchant(t *testing.T, cfg Config) *merchant {
	t.Helper()
	m := &merchant{sink: newSink(t)}
	cfg.WebhookURL, cfg.WebhookWorkers = m.sink.url, 1
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return noon }
	}
	m.api = newAPI(t, cfg)
	none := int64(0)
	m.sdk = client.New("sk_test_paysim", &stripe.Backends{API: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(m.url), MaxNetworkRetries: &none, LeveledLogger: quietSDK{slog.New(slog.DiscardHandler)},
	})})
	return m
}

// quietSDK keeps the library from writing to the test's output.
type quietSDK struct{ *slog.Logger }

func (quietSDK) Debugf(string, ...any) {}
func (quietSDK) Infof(string, ...any)  {}
func (quietSDK) Warnf(string, ...any)  {}
func (quietSDK) Errorf(string, ...any) {}

// paid is an intent over an amount that a card has paid and the merchant captured.
func (m *merchant) paid(amount int64, currency, method string) *stripe.PaymentIntent {
	m.t.Helper()
	made, err := m.sdk.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: stripe.Int64(amount), Currency: stripe.String(currency), CaptureMethod: stripe.String("manual"),
		PaymentMethodTypes: stripe.StringSlice([]string{"card"}), Metadata: map[string]string{"payment_id": "p" + method + currency, "order_id": "o" + method},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.expect("confirm "+method, m.confirm(made.ID, made.ClientSecret, method), 200, "status", "requires_capture")
	captured, err := m.sdk.PaymentIntents.Capture(made.ID, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return captured
}

// events are the events that were delivered so far, once there are n of them, as the library reads them.
func (m *merchant) events(n int) (kinds []string, events []stripe.Event) {
	m.t.Helper()
	eventually(m.t, "the events arrive", func() bool { return m.sink.count() >= n })
	m.sink.mu.Lock()
	defer m.sink.mu.Unlock()
	for _, body := range m.sink.bodies {
		var e stripe.Event
		if err := json.Unmarshal(body, &e); err != nil {
			m.t.Fatal(err)
		}
		kinds, events = append(kinds, string(e.Type)), append(events, e)
	}
	return kinds, events
}

// advance moves the provider's clock.
func (m *merchant) advance(by string) {
	m.t.Helper()
	m.expect("advance", m.call("POST", "/_paysim/clock", "advance", by), 200)
}

// consistent fails the test unless the books add up.
func (a *api) consistent() Books {
	a.t.Helper()
	b := a.sim.Books()
	if !b.Consistent {
		a.t.Fatalf("the books do not add up: %v", b.Problems)
	}
	return b
}

func codeOf(err error) string {
	var e *stripe.Error
	if !errors.As(err, &e) {
		return "no error of Stripe's: " + err.Error()
	}
	return string(e.Code)
}

func TestARefundIsMadeFoundAndBounded(t *testing.T) {
	m := newMerchant(t, Config{})
	i := m.paid(1000, "eur", "pm_card_visa")
	params := &stripe.RefundParams{
		PaymentIntent: stripe.String(i.ID), Amount: stripe.Int64(300), Reason: stripe.String("requested_by_customer"),
		Metadata: map[string]string{"refund_id": "r1", "order_id": "o1", "payment_id": "p1"},
	}
	params.SetIdempotencyKey("fg:r1:refund")
	first, err := m.sdk.Refunds.New(params)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.sdk.Refunds.New(params)
	if err != nil || again.ID != first.ID {
		t.Errorf("the same key made refund %v, %v", again, err)
	}
	if first.Status != stripe.RefundStatusSucceeded || first.Amount != 300 || first.Metadata["refund_id"] != "r1" || first.PaymentIntent.ID != i.ID ||
		first.BalanceTransaction == nil || first.Charge.ID != i.LatestCharge.ID {
		t.Errorf("made %+v", first)
	}
	if got, err := m.sdk.Refunds.Get(first.ID, nil); err != nil || got.Amount != 300 || got.Reason != stripe.RefundReasonRequestedByCustomer {
		t.Errorf("found %+v, %v", got, err)
	}
	_, err = m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID), Amount: stripe.Int64(701)})
	if code := codeOf(err); code != "charge_already_refunded" {
		t.Errorf("more than is left: %s", code)
	}
	second, err := m.sdk.Refunds.New(&stripe.RefundParams{Charge: stripe.String(i.LatestCharge.ID)})
	if err != nil || second.Amount != 700 {
		t.Errorf("the rest: %+v, %v", second, err)
	}
	_, err = m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID)})
	if code := codeOf(err); code != "charge_already_refunded" {
		t.Errorf("nothing left: %s", code)
	}
	var listed []string
	list := m.sdk.Refunds.List(&stripe.RefundListParams{PaymentIntent: stripe.String(i.ID), ListParams: stripe.ListParams{Limit: stripe.Int64(1)}})
	for list.Next() {
		listed = append(listed, list.Refund().ID)
	}
	if list.Err() != nil || strings.Join(listed, " ") != second.ID+" "+first.ID {
		t.Errorf("listed %v, %v", listed, list.Err())
	}
	kinds, events := m.events(9)
	if got := strings.Join(kinds[5:], " "); got != "refund.created charge.refunded refund.created charge.refunded" {
		t.Errorf("told %s", got)
	}
	var charge stripe.Charge
	if err := json.Unmarshal(events[6].Data.Raw, &charge); err != nil || charge.AmountRefunded != 300 || charge.Refunded || charge.Metadata["payment_id"] == "" {
		t.Errorf("told of charge %+v, %v", charge, err)
	}
	if b := m.consistent(); b.Refunded["EUR"] != 1000 || b.Orders[0].Refunded != 1000 || b.Orders[0].Charges != 1 || b.Refunds[0].Refund != "r1" {
		t.Errorf("books %+v", b)
	}
}

func TestARefundThatFailsBringsTheMoneyBack(t *testing.T) {
	m := newMerchant(t, Config{WebhookEvents: []string{eventRefundMade, eventRefundUpdated, eventRefundFailed}})
	i := m.paid(1000, "eur", "pm_card_refundFail")
	made, err := m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID), Amount: stripe.Int64(600)})
	if err != nil || made.Status != stripe.RefundStatusSucceeded {
		t.Fatalf("made %+v, %v", made, err)
	}
	if left := m.sim.Balances()["EUR"]; left != 400 {
		t.Errorf("%d left", left)
	}
	m.advance("2h")
	failed, err := m.sdk.Refunds.Get(made.ID, nil)
	if err != nil || failed.Status != stripe.RefundStatusFailed || failed.FailureReason == "" || failed.FailureBalanceTransaction == nil {
		t.Errorf("failed %+v, %v", failed, err)
	}
	if left := m.sim.Balances()["EUR"]; left != 1000 {
		t.Errorf("%d left", left)
	}
	if _, err := m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID)}); err != nil {
		t.Errorf("all of it again: %v", err)
	}
	if kinds, _ := m.events(4); strings.Join(kinds[:3], " ") != "refund.created refund.updated refund.failed" {
		t.Errorf("told %v", kinds)
	}
	m.consistent()

	pending := m.paid(500, "eur", "pm_card_pendingRefund")
	made, err = m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(pending.ID)})
	if err != nil || made.Status != stripe.RefundStatusPending {
		t.Fatalf("made %+v, %v", made, err)
	}
	m.advance("1h")
	if got, err := m.sdk.Refunds.Get(made.ID, nil); err != nil || got.Status != stripe.RefundStatusSucceeded {
		t.Errorf("after an hour %+v, %v", got, err)
	}
	m.consistent()
}

func TestChargesShowTheCardAndTheRisk(t *testing.T) {
	m := newMerchant(t, Config{})
	i := m.paid(1000, "eur", "pm_card_riskLevelElevated")
	c, err := m.sdk.Charges.Get(i.LatestCharge.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	card := c.PaymentMethodDetails.Card
	if !c.Captured || c.AmountCaptured != 1000 || c.Outcome.RiskLevel != "elevated" || c.Outcome.RiskScore < 65 || c.Outcome.NetworkStatus != "approved_by_network" ||
		card.Fingerprint == "" || card.Country != "US" || string(card.Funding) != "credit" || string(card.Checks.CVCCheck) != "pass" || c.Metadata["order_id"] == "" ||
		c.PaymentIntent.ID != i.ID || c.BalanceTransaction == nil {
		t.Errorf("charge %+v", c)
	}
	kinds, events := m.events(5)
	if got := strings.Join(kinds, " "); got != "payment_intent.created charge.succeeded payment_intent.amount_capturable_updated charge.captured payment_intent.succeeded" {
		t.Errorf("told %s", got)
	}
	var authorized stripe.Charge
	if err := json.Unmarshal(events[1].Data.Raw, &authorized); err != nil || authorized.Captured || authorized.ID != c.ID || authorized.Metadata["payment_id"] == "" {
		t.Errorf("at authorization %+v, %v", authorized, err)
	}
	abroad := m.paid(1000, "eur", "pm_card_br")
	if c, err := m.sdk.Charges.Get(abroad.LatestCharge.ID, nil); err != nil || c.PaymentMethodDetails.Card.Country != "BR" {
		t.Errorf("from abroad %+v, %v", c, err)
	}
	id, secret := m.create()
	m.expect("blocked", m.confirm(id, secret, "pm_card_radarBlock"), 402, "error", "decline_code", "fraudulent")
	m.confirm(id, secret, "pm_card_visa")
	intent := m.call("GET", "/v1/payment_intents/"+id)
	last := intent.str("latest_charge")
	m.expect("the first charge is kept", m.call("GET", "/v1/charges/"+strings.TrimSuffix(last, "b")+"a"), 200, "outcome", "type", "blocked")
	m.expect("no such charge", m.call("GET", "/v1/charges/"+last+"z"), 404)
	m.expect("nonsense", m.call("GET", "/v1/charges/ch_"), 404)
	if one, other := cardByNumber("4000002760000107"), cardByNumber("4000 0027 6000 0206"); one.country != "DE" || other.country != "DE" || one.fingerprint() == other.fingerprint() {
		t.Errorf("people in Germany: %+v %+v", one, other)
	}
}

func TestAnAuthorizationLivesForSevenDays(t *testing.T) {
	m := newMerchant(t, Config{})
	id, secret := m.create()
	m.confirm(id, secret, "pm_card_visa")
	m.advance("167h59m")
	kept, keptSecret := m.create()
	m.confirm(kept, keptSecret, "pm_card_visa")
	m.advance("2m")
	m.expect("too late", m.call("POST", "/v1/payment_intents/"+id+"/capture"), 400, "error", "payment_intent", "status", "canceled")
	m.expect("in time", m.call("POST", "/v1/payment_intents/"+kept+"/capture"), 200, "status", "succeeded")
	kinds, _ := m.events(10)
	if got := strings.Join(kinds, " "); !strings.Contains(got, "charge.expired payment_intent.canceled") {
		t.Errorf("told %s", got)
	}
	m.advance("24h")
	m.consistent()
}

func TestTheBuyerCanBeAskedToProveWhoTheyAre(t *testing.T) {
	a := newAPI(t, Config{})
	const option = "payment_method_options[card][request_three_d_secure]"
	id, secret := a.create(option, "any")
	a.expect("a card that does not ask", a.confirm(id, secret, "pm_card_visa"), 200, "status", "requires_action")
	a.expect("approved", a.call("POST", "/pay/"+id, "client_secret", secret, "authentication", "approve", "Accept", "application/json"), 200, "status", "requires_capture")
	charge := a.call("GET", "/v1/charges/"+a.call("GET", "/v1/payment_intents/"+id).str("latest_charge"))
	a.expect("the charge says so", charge, 200, "payment_method_details", "card", "three_d_secure", "result", "authenticated")

	id, secret = a.create(option, "any")
	a.expect("a card that cannot", a.confirm(id, secret, "pm_card_amex"), 200, "status", "requires_capture")
	id, secret = a.create()
	a.confirm(id, secret, "pm_card_threeDSecureRequiredChargeDeclined")
	a.expect("proven and declined", a.call("POST", "/pay/"+id, "client_secret", secret, "authentication", "approve", "Accept", "application/json"), 402, "error", "code", "card_declined")
	id, secret = a.create()
	a.confirm(id, secret, "pm_card_challengeAbandoned")
	silent := a.call("POST", "/pay/"+id, "client_secret", secret, "authentication", "approve")
	a.expect("no answer", silent, 200)
	if !strings.Contains(silent.text, "does not answer") {
		t.Errorf("the page says %s", silent.text)
	}
	a.expect("still waiting", a.call("GET", "/v1/payment_intents/"+id), 200, "status", "requires_action")
	a.expect("nonsense", a.call("POST", "/v1/payment_intents", "amount", "1", "currency", "eur", option, "always"), 400, "error", "code", "parameter_invalid_enum")
	a.expect("asked of a browser", a.call("POST", "/v1/payment_intents/"+id+"/confirm", "client_secret", secret, "payment_method", "pm_card_visa", option, "any"), 200, "status", "requires_action")
}
