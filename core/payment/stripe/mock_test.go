package stripe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-mock/embedded"
	mock "github.com/stripe/stripe-mock/server"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
)

// published is Stripe's own mock, which checks requests by Stripe's published description of its API. Its answers are fixtures
// that know nothing of what was asked, so only what it says of the requests counts.
type published struct {
	handler http.Handler
	mu      sync.Mutex
	seen    []seen
}

// seen is one request of the adapter and what the mock made of it.
type seen struct {
	method, path, query, body string
	header                    http.Header
	status                    int
	answer                    string
}

func newPublished(t *testing.T) *published {
	t.Helper()
	spec, err := mock.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := mock.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		t.Fatal(err)
	}
	// Strict: the version that stripe-go names must be the one that is described.
	stub, err := mock.NewStubServer(fixtures, spec, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return &published{handler: http.HandlerFunc(stub.HandleRequest)}
}

// provider is the adapter, talking to the mock, which takes only keys that look like Stripe's.
func (p *published) provider(t *testing.T) *stripe.Provider {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	provider, err := stripe.New(stripe.Config{
		SecretKey: "sk_test_123", PublishableKey: publicKey, WebhookSecret: webhookSecret, BaseURL: server.URL,
		RequestsPerSecond: 10_000, EndpointRequestsPerSecond: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

func (p *published) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s := seen{method: r.Method, path: r.URL.Path, query: r.URL.RawQuery, body: string(body), header: r.Header.Clone()}
	p.ask(&s)
	p.mu.Lock()
	p.seen = append(p.seen, s)
	p.mu.Unlock()
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.answer)
}

// ask puts a request to the mock.
func (p *published) ask(s *seen) {
	r := httptest.NewRequest(s.method, s.path+"?"+s.query, bytes.NewReader([]byte(s.body)))
	r.Header = s.header.Clone()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	s.status, s.answer = w.Code, w.Body.String()
}

// changed is the same request with one more parameter, or another value of one that it has.
func (s seen) changed(name, value string) seen {
	text := &s.body
	if s.method == http.MethodGet {
		text = &s.query
	}
	values, _ := url.ParseQuery(*text)
	values.Set(name, value)
	*text = values.Encode()
	return s
}

var refPattern = regexp.MustCompile(`/(pi|re|dp|ch)_[A-Za-z0-9]+`)

func TestEveryRequestIsOneThatStripePublishes(t *testing.T) {
	mocked := newPublished(t)
	p := mocked.provider(t)
	ctx := t.Context()
	i := newIntent()
	i.Challenge, i.Method = true, "card"
	nameless := i
	i.ProviderRef = "pi_1"
	refund := payment.Refund{ID: uuid.New(), Amount: ledger.Amount{Minor: 500, Currency: "EUR"}}
	known := refund
	known.ProviderRef = "re_1"
	evidence := payment.Evidence{
		CustomerEmail: "buyer@example.com", ServiceDate: "2027-06-01", ProductText: "Two seats", AccessLog: "drawn, admitted, scanned",
		RefundPolicy: "none", Uncategorized: "more", SubmitNow: true, IdempotencySalt: "1",
	}
	from := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	// The mock's answers are of other payments, so the adapter refuses most of them. What counts is what was asked.
	_, _ = p.Begin(ctx, nameless)
	_, _ = p.Lookup(ctx, i)
	_, _ = p.Lookup(ctx, nameless)
	_, _ = p.Capture(ctx, i)
	_, _ = p.Void(ctx, i)
	_, _ = p.Refund(ctx, i, refund)
	_, _ = p.LookupRefund(ctx, i, known)
	_, _ = p.LookupDispute(ctx, "dp_1")
	_, _ = p.SubmitEvidence(ctx, "dp_1", evidence)
	if page, err := p.ListDisputes(ctx, from, "dp_1"); err != nil || len(page.Disputes) == 0 || page.Disputes[0].Ref == "" || page.Disputes[0].State == "" {
		t.Errorf("the list of disputes is %+v, %v", page, err)
	}
	_, _, _, _ = p.Identify(ctx, "pi_1")
	_, _, _, _ = p.Identify(ctx, "ch_1")
	rows := 0
	if err := p.Settlement(ctx, from, from.AddDate(0, 0, 1), func(payment.SettlementRow) error { rows++; return nil }); err != nil || rows == 0 {
		t.Errorf("the settlement has %d rows, %v", rows, err)
	}

	want := []string{
		"GET /v1/balance_transactions",
		"GET /v1/charges/ID",
		"GET /v1/disputes",
		"GET /v1/disputes/ID",
		"GET /v1/payment_intents",
		"GET /v1/payment_intents/ID",
		"GET /v1/payment_intents/search",
		"GET /v1/payouts",
		"GET /v1/refunds",
		"GET /v1/refunds/ID",
		"POST /v1/disputes/ID",
		"POST /v1/payment_intents",
		"POST /v1/payment_intents/ID/cancel",
		"POST /v1/payment_intents/ID/capture",
		"POST /v1/refunds",
	}
	var got []string
	for _, s := range mocked.seen {
		got = append(got, s.method+" "+refPattern.ReplaceAllString(s.path, "/ID"))
		if s.status != http.StatusOK {
			t.Errorf("Stripe's API would not take %s %s?%s %s: %s", s.method, s.path, s.query, s.body, s.answer)
		}
		if s.method == http.MethodPost && s.header.Get("Idempotency-Key") == "" {
			t.Errorf("%s has no idempotency key", s.path)
		}
		if v := s.header.Get("Stripe-Version"); v != stripego.APIVersion {
			t.Errorf("%s is of version %q", s.path, v)
		}
		// The check can fail: the same request with a parameter that is not published, or of the wrong type, is refused.
		for name, value := range map[string]string{"levitate": "true", "amount": "much", "expand[]": "zeppelin", "limit": "many", "amount_to_capture": "all"} {
			wrong := s.changed(name, value)
			if mocked.ask(&wrong); wrong.status == http.StatusOK {
				t.Errorf("%s %s was taken with %s=%s", s.method, s.path, name, value)
			}
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("the adapter was seen to call\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatIsAskedForIsInTheRequest(t *testing.T) {
	mocked := newPublished(t)
	p := mocked.provider(t)
	sent := func(call func()) url.Values {
		t.Helper()
		mocked.seen = nil
		call()
		last := mocked.seen[len(mocked.seen)-1]
		values, err := url.ParseQuery(last.body)
		if err != nil {
			t.Fatal(err)
		}
		return values
	}
	has := func(values url.Values, want map[string]string) {
		t.Helper()
		for name, value := range want {
			if got := values.Get(name); got != value {
				t.Errorf("%s is %q, want %q, in %v", name, got, value, values)
			}
		}
	}
	i := newIntent()
	plain := sent(func() { _, _ = p.Begin(t.Context(), i) })
	has(plain, map[string]string{
		"amount": "12345", "currency": "eur", "capture_method": "manual", "payment_method_types[0]": "card", "receipt_email": i.Email,
		"metadata[order_id]": i.OrderID.String(), "metadata[payment_id]": i.PaymentID.String(), "metadata[attempt]": "1",
		"metadata[event]": "arena", "payment_method_options[card][request_three_d_secure]": "",
	})
	i.Challenge = true
	has(sent(func() { _, _ = p.Begin(t.Context(), i) }), map[string]string{"payment_method_options[card][request_three_d_secure]": "any"})

	i.ProviderRef = "pi_1"
	r := payment.Refund{ID: uuid.New(), Amount: ledger.Amount{Minor: 500, Currency: "EUR"}}
	has(sent(func() { _, _ = p.Refund(t.Context(), i, r) }), map[string]string{
		"payment_intent": "pi_1", "amount": "500", "reason": "requested_by_customer", "metadata[refund_id]": r.ID.String(),
		"metadata[order_id]": i.OrderID.String(), "metadata[payment_id]": i.PaymentID.String(), "metadata[attempt]": "1",
	})
	if key := mocked.seen[len(mocked.seen)-1].header.Get("Idempotency-Key"); key != r.Key() {
		t.Errorf("the refund's key is %q", key)
	}

	long := strings.Repeat("drawn → admitted ", 2000)
	values := sent(func() {
		_, _ = p.SubmitEvidence(t.Context(), "dp_1", payment.Evidence{AccessLog: long, RefundPolicy: " ", ServiceDate: "2027-06-01", IdempotencySalt: "7"})
	})
	has(values, map[string]string{"submit": "false", "evidence[service_date]": "2027-06-01"})
	if log := values.Get("evidence[access_activity_log]"); len(log) > 20_000 || len(log) < 19_990 || !utf8.ValidString(log) || !strings.HasSuffix(log, " […]") {
		t.Errorf("a long log is handed in with %d bytes", len(log))
	}
	if values.Has("evidence[refund_policy_disclosure]") || values.Has("evidence[uncategorized_text]") {
		t.Errorf("what was not said erases what was drafted by hand: %v", values)
	}
}

// scripted is a provider whose API answers by a function.
func scripted(t *testing.T, answer func(r *http.Request, form url.Values) (int, any)) *stripe.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		status, body := answer(r, r.Form)
		if replayed, ok := body.(replay); ok {
			w.Header().Set("Idempotent-Replayed", "true")
			body = replayed.body
		}
		w.Header().Set("Date", "Tue, 01 Jun 2027 10:00:00 GMT")
		w.WriteHeader(status)
		if text, ok := body.(string); ok {
			fmt.Fprint(w, text)
			return
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	return newProvider(t, server.URL)
}

// replay marks an answer that is repeated from its key.
type replay struct{ body any }

// object is a JSON object.
type object = map[string]any

// refusal is an error as Stripe words it.
func refusal(kind, code string) object {
	return object{"error": object{"type": kind, "code": code, "message": "m"}}
}
