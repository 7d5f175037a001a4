package paysim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// sink is an endpoint that collects webhooks.
type sink struct {
	mu     sync.Mutex
	bodies [][]byte
	answer func(n int) int // status for the n-th webhook, from 0
	check  func(r *http.Request, body []byte)
	url    string
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.check != nil {
			s.check(r, body)
		}
		s.bodies = append(s.bodies, body)
		if s.answer != nil {
			w.WriteHeader(s.answer(len(s.bodies) - 1))
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

// kinds are the types of the events, in the order in which they came, of one intent or of all.
func (s *sink) kinds(t *testing.T, intent string) (kinds []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range s.bodies {
		var e struct {
			Type string
			Data struct{ Object struct{ ID string } }
		}
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		if intent == "" || e.Data.Object.ID == intent {
			kinds = append(kinds, strings.TrimPrefix(e.Type, "payment_intent."))
		}
	}
	return kinds
}

func TestWebhooksAreSignedAndDeliveredInOrder(t *testing.T) {
	s := newSink(t)
	a := newAPI(t, Config{WebhookURL: s.url, WebhookSecret: "whsec_test", WebhookWorkers: 1})
	s.check = func(r *http.Request, body []byte) {
		if _, err := webhook.ConstructEvent(body, r.Header.Get("Stripe-Signature"), "whsec_test"); err != nil {
			t.Errorf("the merchant's library refuses it: %v", err)
		}
	}
	id, secret := a.create("Idempotency-Key", "k1")
	a.confirm(id, secret, "pm_card_visa_chargeDeclined")
	a.confirm(id, secret, "pm_card_visa")
	a.call("POST", "/v1/payment_intents/"+id+"/capture")
	a.call("POST", "/v1/refunds", "payment_intent", id)
	const all = "created charge.failed payment_failed charge.succeeded amount_capturable_updated charge.captured succeeded refund.created charge.refunded"
	eventually(t, "all are delivered", func() bool { return s.count() == 9 })
	if got := strings.Join(s.kinds(t, ""), " "); got != all {
		t.Errorf("delivered %s", got)
	}
	var first struct {
		Request struct {
			Key string `json:"idempotency_key"`
		}
	}
	if err := json.Unmarshal(s.bodies[0], &first); err != nil || first.Request.Key != "k1" {
		t.Errorf("the event names the key %q, %v", first.Request.Key, err)
	}
	a.call("POST", "/v1/payment_intents", "Idempotency-Key", "k1", "amount", "1000", "currency", "eur", "capture_method", "manual")
	time.Sleep(50 * time.Millisecond)
	if s.count() != 9 {
		t.Error("a repeated answer made an event")
	}
}

func TestARefusedWebhookIsSentAgainWithTheSameBody(t *testing.T) {
	s := newSink(t)
	s.answer = func(n int) int {
		if n < 2 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	a := newAPI(t, Config{WebhookURL: s.url})
	a.create()
	eventually(t, "it is accepted", func() bool { return a.sim.Books().Webhooks.Delivered == 1 })
	if n := a.sim.Books().Webhooks; n.Retried != 2 || n.Created != 1 || n.Pending != 0 {
		t.Errorf("counted %+v", n)
	}
	if string(s.bodies[0]) != string(s.bodies[2]) {
		t.Errorf("sent first:\n%s\nand then:\n%s", s.bodies[0], s.bodies[2])
	}
}

func TestAWebhookIsGivenUpInTheEnd(t *testing.T) {
	s := newSink(t)
	s.answer = func(int) int { return http.StatusBadRequest }
	a := newAPI(t, Config{WebhookURL: s.url, WebhookAttempts: 2})
	a.create()
	eventually(t, "it is given up", func() bool { n := a.sim.Books().Webhooks; return n.GivenUp == 1 && n.Pending == 0 })
	if s.count() != 2 {
		t.Errorf("sent %d times", s.count())
	}
}

func TestWebhooksMisbehaveAsTold(t *testing.T) {
	play := func(t *testing.T, f Faults, want int) (*sink, *api, string) {
		t.Helper()
		s := newSink(t)
		a := newAPI(t, Config{WebhookURL: s.url, WebhookWorkers: 1, Faults: f, WebhookEvents: []string{eventCreated, eventCapturable}})
		id, secret := a.create()
		a.confirm(id, secret, "pm_card_visa")
		eventually(t, "they arrive", func() bool { return s.count() == want })
		return s, a, id
	}
	t.Run("twice", func(t *testing.T) {
		s, a, _ := play(t, Faults{WebhookTwice: 1}, 4)
		eventually(t, "all are counted", func() bool { return a.sim.Books().Webhooks.Pending == 0 && a.sim.Books().Webhooks.Delivered == 4 })
		if n := a.sim.Books().Webhooks; n.Repeated != 2 {
			t.Errorf("counted %+v", n)
		}
		counts := map[string]int{}
		for _, kind := range s.kinds(t, "") {
			counts[kind]++
		}
		if counts["created"] != 2 || counts["amount_capturable_updated"] != 2 {
			t.Errorf("delivered %v", counts)
		}
	})
	t.Run("reversed", func(t *testing.T) {
		s, _, _ := play(t, Faults{WebhookReorder: 1, ReorderFor: time.Hour}, 2)
		if got := strings.Join(s.kinds(t, ""), " "); got != "amount_capturable_updated created" {
			t.Errorf("delivered %s", got)
		}
	})
	t.Run("held back no longer than told", func(t *testing.T) {
		s := newSink(t)
		a := newAPI(t, Config{WebhookURL: s.url, Faults: Faults{WebhookReorder: 1, ReorderFor: 30 * time.Millisecond}})
		a.create() // no second event follows
		eventually(t, "it arrives", func() bool { return s.count() == 1 })
	})
	t.Run("before the answer", func(t *testing.T) {
		s := newSink(t)
		a := newAPI(t, Config{WebhookURL: s.url, Faults: Faults{WebhookEarly: 1}})
		for n := range 5 {
			a.create()
			if s.count() != n+1 {
				t.Fatalf("after %d answers there were %d webhooks", n+1, s.count())
			}
		}
	})
	t.Run("before the answer and again", func(t *testing.T) {
		s, a, _ := play(t, Faults{WebhookEarly: 1, WebhookTwice: 1}, 4)
		eventually(t, "all are counted", func() bool { return a.sim.Books().Webhooks.Delivered == 4 })
		if n := a.sim.Books().Webhooks; n.Created != 2 || n.Early != 2 || n.Repeated != 2 || n.Pending != 0 {
			t.Errorf("counted %+v; delivered %v", n, s.kinds(t, ""))
		}
	})
	t.Run("late", func(t *testing.T) {
		began := time.Now()
		play(t, Faults{WebhookDelayMin: 100 * time.Millisecond, WebhookDelayMax: 200 * time.Millisecond}, 2)
		if waited := time.Since(began); waited < 100*time.Millisecond {
			t.Errorf("both arrived after %s", waited)
		}
	})
	t.Run("never", func(t *testing.T) {
		_, a, _ := play(t, Faults{WebhookLost: 1}, 0)
		time.Sleep(50 * time.Millisecond)
		if n := a.sim.Books().Webhooks; n.Lost != 2 || n.Delivered != 0 {
			t.Errorf("counted %+v", n)
		}
	})
}

func TestAnswersAreLostAndSlowAsTold(t *testing.T) {
	a := newAPI(t, Config{Faults: Faults{AnswerLost: 1}})
	if _, err := a.try("POST", "/v1/payment_intents", "amount", "5", "currency", "eur"); err == nil {
		t.Error("it was answered")
	}
	if n := len(a.sim.Books().Intents); n != 1 {
		t.Errorf("%d intents: the call was not carried out", n)
	}
	slow := newAPI(t, Config{Faults: Faults{AnswerSlow: 1, SlowFor: 80 * time.Millisecond}})
	began := time.Now()
	slow.create()
	if waited := time.Since(began); waited < 80*time.Millisecond {
		t.Errorf("answered after %s", waited)
	}
	refused := newAPI(t, Config{Faults: Faults{CaptureRefused: 1}})
	id, secret := refused.create()
	refused.confirm(id, secret, "pm_card_visa")
	refused.expect("capture", refused.call("POST", "/v1/payment_intents/"+id+"/capture"), 400, "error", "code", "charge_expired_for_capture")
}

func TestWebhooksGoWhereTheMerchantSays(t *testing.T) {
	s := newSink(t)
	a := newAPI(t, Config{})
	a.create() // nobody listens yet
	a.expect("no address", a.call("POST", "/v1/webhook_endpoints", "url", "nowhere", "enabled_events[]", "*"), 400, "error", "code", "url_invalid")
	a.expect("subscribe", a.call("POST", "/v1/webhook_endpoints", "url", s.url, "enabled_events[]", "*"), 200, "secret", "whsec_paysim")
	a.create()
	eventually(t, "it arrives", func() bool { return s.count() == 1 })
	if n := a.sim.Books().Webhooks; n.Overflowed != 1 {
		t.Errorf("counted %+v", n)
	}
}

func TestTheFormTakesCards(t *testing.T) {
	s := newSink(t)
	a := newAPI(t, Config{WebhookURL: s.url})
	id, secret := a.create("description", `<b>Two</b> seats`)
	path := "/pay/" + id
	a.expect("without the secret", a.call("GET", path), 404)
	a.expect("with another secret", a.call("POST", path, "client_secret", secret+"x", "card", "4242424242424242"), 404)
	form := a.call("GET", path, "client_secret", secret)
	a.expect("the form", form, 200)
	for _, part := range []string{"10.00 EUR", "&lt;b&gt;Two&lt;/b&gt; seats", `name="card"`, secret} {
		if !strings.Contains(form.text, part) {
			t.Errorf("the form lacks %q", part)
		}
	}
	if strings.Contains(form.text, "http://") || strings.Contains(form.text, "https://") || strings.Contains(form.text, "<script") {
		t.Error("the form needs something from elsewhere")
	}
	if form.header.Get("Cache-Control") != "no-store" || form.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", form.header)
	}
	declined := a.call("POST", path+"?client_secret="+url.QueryEscape(secret), "card", "4000 0000 0000 9995")
	a.expect("declined", declined, 402)
	if !strings.Contains(declined.text, "insufficient funds") || !strings.Contains(declined.text, `name="card"`) {
		t.Errorf("after a decline the page says %s", declined.text)
	}
	a.expect("declined, as JSON", a.call("POST", path, "client_secret", secret, "number", "4000000000000002", "Accept", "application/json"), 402, "error", "code", "card_declined")
	a.expect("the button", a.call("POST", path, "client_secret", secret, "card", "4242 4242 4242 4242", "decline", "1"), 402)
	a.expect("proof asked for", a.call("POST", path, "client_secret", secret, "card", "4000002760003184"), 200)
	a.expect("proof failed", a.call("POST", path, "client_secret", secret, "authentication", "fail"), 402)
	paid := a.call("POST", path, "client_secret", secret, "card", "4242-4242-4242-4242", "return_url", "https://shop.example/done?order=1")
	a.expect("paid", paid, 303)
	if to := paid.header.Get("Location"); to != "https://shop.example/done?order=1&payment_intent="+id+"&redirect_status=succeeded" {
		t.Errorf("the buyer goes to %s", to)
	}
	again := a.call("POST", path, "client_secret", secret, "card", "4242424242424242", "return_url", "javascript:alert(1)")
	a.expect("paid already", again, 200)
	if !strings.Contains(again.text, "Paid.") {
		t.Errorf("it says %s", again.text)
	}
	if e := a.sim.Books().Intents[0]; e.Status != "requires_capture" || e.Charges != 4 { // three declines and one success; a failed proof is no charge
		t.Errorf("entry %+v", e)
	}
	a.call("POST", "/v1/payment_intents/"+id+"/cancel")
	a.expect("cancelled", a.call("GET", path, "client_secret", secret), 410)
	a.expect("paid too late", a.call("POST", path, "client_secret", secret, "card", "4242424242424242"), 410)
}

func TestTheBooksAreServed(t *testing.T) {
	a := newAPI(t, Config{})
	id, _ := a.create("metadata[order_id]", "o1")
	var books Books
	if err := json.Unmarshal([]byte(a.call("GET", "/_paysim/books").text), &books); err != nil {
		t.Fatal(err)
	}
	if len(books.Intents) != 1 || books.Intents[0].ID != id || books.Intents[0].Order != "o1" || books.Intents[0].Currency != "EUR" || !books.Consistent {
		t.Errorf("books %+v", books)
	}
	if text := a.call("GET", "/_paysim/books", "entries", "0").text; strings.Contains(text, id) || strings.Contains(text, "_secret_") {
		t.Errorf("the summary is %s", text)
	}
	a.expect("health", a.call("GET", "/_paysim/health"), 200)
}
