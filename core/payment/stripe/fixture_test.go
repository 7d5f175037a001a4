package stripe_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// Keys of the tests' account. Nothing that the adapter returns or logs may contain one.
const (
	secretKey     = "sk_test_very_secret_key_1234"
	publicKey     = "pk_test_public_key_1234"
	webhookSecret = "whsec_very_secret_1234"
)

// account is a provider and the adapter that talks to it over real HTTP.
type account struct {
	t        *testing.T
	sim      *paysim.Server
	url      string
	provider *stripe.Provider
	between  *between
}

// between stands between the adapter and paysim and can change what happens on the way.
type between struct {
	mu   sync.Mutex
	sim  http.Handler
	next func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool // true when it has dealt with the call
	keys []string                                                            // idempotency keys seen
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	next := b.next
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		b.keys = append(b.keys, r.URL.Path+" "+key)
	}
	b.mu.Unlock()
	if next != nil && next(w, r, b.sim) {
		return
	}
	b.sim.ServeHTTP(w, r)
}

// intercept sets what happens to calls from now on; nil is nothing.
func (b *between) intercept(f func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool) {
	b.mu.Lock()
	b.next = f
	b.mu.Unlock()
}

func newAccount(t *testing.T, cfg paysim.Config) *account {
	t.Helper()
	cfg.SecretKey, cfg.PublishableKey, cfg.WebhookSecret = secretKey, publicKey, webhookSecret
	cfg.Log = slog.New(slog.DiscardHandler)
	sim, err := paysim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{sim: sim.Handler()}
	server := httptest.NewServer(b)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(context.Background())
	delivered := make(chan struct{})
	go func() { sim.Deliver(ctx); close(delivered) }()
	t.Cleanup(func() { stop(); <-delivered })
	return &account{t: t, sim: sim, url: server.URL, between: b, provider: newProvider(t, server.URL)}
}

func newProvider(t *testing.T, base string) *stripe.Provider {
	t.Helper()
	p, err := stripe.New(stripe.Config{
		SecretKey: secretKey, PublishableKey: publicKey, WebhookSecret: webhookSecret, BaseURL: base, PayURL: base,
		RequestsPerSecond: 10_000, EndpointRequestsPerSecond: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newIntent() payment.Intent {
	order := uuid.New()
	return payment.Intent{
		PaymentID: payment.PaymentID(order, 1), OrderID: order, Attempt: 1,
		Amount: ledger.Amount{Minor: 12_345, Currency: "EUR"}, Description: "Two seats", Email: "buyer@example.com", EventSlug: "arena",
	}
}

// began begins a payment and returns it with its reference, and the client secret.
func (a *account) began() (payment.Intent, string) {
	a.t.Helper()
	i := newIntent()
	outcome, err := a.provider.Begin(a.t.Context(), i)
	if err != nil {
		a.t.Fatal(err)
	}
	i.ProviderRef = outcome.ProviderRef
	return i, outcome.ClientSecret
}

// pay is the buyer filling in the provider's form. It returns the status.
func (a *account) pay(i payment.Intent, clientSecret, card string, more ...string) int {
	a.t.Helper()
	form := url.Values{"card": {card}}
	for n := 0; n+1 < len(more); n += 2 {
		form.Set(more[n], more[n+1])
	}
	resp, err := http.PostForm(a.provider.Form(i.ProviderRef, clientSecret).URL, form)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// authorized is a payment that the buyer has confirmed.
func (a *account) authorized(card string) payment.Intent {
	a.t.Helper()
	i, secret := a.began()
	if status := a.pay(i, secret, card); status != http.StatusOK {
		a.t.Fatalf("the buyer's form answers %d", status)
	}
	return i
}

// expect checks a call's outcome and that neither it nor its error tells a secret.
func (a *account) expect(what string, outcome payment.Outcome, err error, state payment.OutcomeState, sentinel error) {
	a.t.Helper()
	expect(a.t, what, outcome, err, state, sentinel)
}

func expect(t *testing.T, what string, outcome payment.Outcome, err error, state payment.OutcomeState, sentinel error) {
	t.Helper()
	switch {
	case sentinel == nil && err != nil:
		t.Errorf("%s: %v", what, err)
	case sentinel != nil && !isOne(err, sentinel):
		t.Errorf("%s: error %v, want %v", what, err, sentinel)
	}
	if outcome.State != state {
		t.Errorf("%s: state %q, want %q", what, outcome.State, state)
	}
	if err != nil {
		for _, secret := range []string{secretKey, webhookSecret, "_secret_"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells a secret: %v", what, err)
			}
		}
	}
}

// booked is the one entry that the provider's books have for a payment.
func (a *account) booked(i payment.Intent) paysim.BookedIntent {
	a.t.Helper()
	var found []paysim.BookedIntent
	for _, entry := range a.sim.Books().Intents {
		if entry.Payment == i.PaymentID.String() {
			found = append(found, entry)
		}
	}
	if len(found) != 1 {
		a.t.Fatalf("the provider has %d intents for one payment: %+v", len(found), found)
	}
	return found[0]
}

// recorded lets the simulator answer without the caller seeing it.
func recorded(sim http.Handler, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	clone := r.Clone(context.Background())
	clone.Body = io.NopCloser(bytes.NewReader(body))
	sim.ServeHTTP(httptest.NewRecorder(), clone)
}
