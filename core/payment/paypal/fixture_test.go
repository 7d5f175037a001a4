package paypal_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// Secrets of the tests' account. Nothing that the adapter returns or logs may contain one.
const (
	clientID     = "client-of-the-tests"
	clientSecret = "client-secret-very-secret-1234"
	webhookID    = "7WH00000000000001"
)

// account is a stand-in for PayPal and the adapter that talks to it over real HTTP.
type account struct {
	t        *testing.T
	sim      *paysim.Server
	url      string
	provider *paypal.Provider
	between  *between
	inbox    *inbox
}

// between stands between the adapter and paysim and can change what happens on the way.
type between struct {
	mu    sync.Mutex
	sim   http.Handler
	next  func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool // true when it has dealt with the call
	calls []seen
}

// seen is a call that the adapter made.
type seen struct{ method, path, key, body string }

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.mu.Lock()
	next := b.next
	b.calls = append(b.calls, seen{r.Method, r.URL.Path, r.Header.Get("PayPal-Request-Id"), string(body)})
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

// made are the calls of a method whose path ends so.
func (b *between) made(method, suffix string) (calls []seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if c.method == method && strings.HasSuffix(c.path, suffix) {
			calls = append(calls, c)
		}
	}
	return calls
}

// inbox is where webhooks go: it verifies and reads each as core does.
type inbox struct {
	mu       sync.Mutex
	provider *paypal.Provider
	raw      [][]byte
	headers  []http.Header
	events   []payment.Event
	refused  []error
	handle   func(payment.Event) // runs before the webhook is acknowledged
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	provider, handle := i.provider, i.handle
	i.mu.Unlock()
	err = provider.Verify(raw, r.Header)
	var event payment.Event
	if err == nil {
		event, err = provider.Parse(raw)
	}
	i.mu.Lock()
	if err != nil {
		i.refused = append(i.refused, err)
	} else {
		i.raw, i.headers, i.events = append(i.raw, raw), append(i.headers, r.Header.Clone()), append(i.events, event)
	}
	i.mu.Unlock()
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if handle != nil {
		handle(event)
	}
}

// of waits for an event of a kind about a payment.
func (i *inbox) of(t *testing.T, kind string, paymentID uuid.UUID) payment.Event {
	t.Helper()
	var found payment.Event
	eventually(t, kind, func() bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, e := range i.events {
			if e.Type == kind && e.PaymentID == paymentID {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

func newAccount(t *testing.T, cfg paysim.Config, change ...func(*paypal.Config)) *account {
	t.Helper()
	a := &account{t: t, inbox: &inbox{}}
	hooks := httptest.NewServer(a.inbox)
	t.Cleanup(hooks.Close)
	cfg.PayPal = paysim.PayPal{ClientID: clientID, ClientSecret: clientSecret, WebhookID: webhookID, WebhookURL: hooks.URL}
	cfg.Log = slog.New(slog.DiscardHandler)
	if cfg.Rate == 0 {
		cfg.Rate = 100_000
	}
	sim, err := paysim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.sim, a.between = sim, &between{sim: sim.Handler()}
	server := httptest.NewServer(a.between)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	a.url = server.URL
	roots := x509.NewCertPool()
	pem, err := sim.PayPalRoots()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("no roots: %v", err)
	}
	own := paypal.Config{
		ClientID: clientID, ClientSecret: clientSecret, WebhookID: webhookID, BaseURL: server.URL, CertRoots: roots,
		ReturnURL: "https://tickets.example/orders/{order}", CancelURL: "https://tickets.example/orders/{order}?cancelled=1",
		RequestsPerSecond: 100_000, EndpointRequestsPerSecond: 100_000, SettleAfter: time.Millisecond, Now: sim.Now,
	}
	for _, f := range change {
		f(&own)
	}
	if a.provider, err = paypal.New(own); err != nil {
		t.Fatal(err)
	}
	a.inbox.provider = a.provider
	ctx, stop := context.WithCancel(context.Background())
	delivered := make(chan struct{})
	go func() { defer close(delivered); sim.Deliver(ctx) }()
	t.Cleanup(func() { stop(); <-delivered })
	return a
}

func newIntent(minor int64) payment.Intent {
	order := uuid.New()
	return payment.Intent{
		PaymentID: payment.PaymentID(order, 1), OrderID: order, Attempt: 1, Amount: ledger.Amount{Minor: minor, Currency: "EUR"},
		Description: "Tickets for arena", EventSlug: "arena", Email: "buyer@example.org",
	}
}

// begin makes an order and returns the intent with its reference, and what Begin said.
func (a *account) begin(i payment.Intent) (payment.Intent, payment.Outcome) {
	a.t.Helper()
	out, err := a.provider.Begin(a.t.Context(), i)
	if err != nil {
		a.t.Fatal(err)
	}
	i.ProviderRef = out.ProviderRef
	return i, out
}

// decide is the buyer on PayPal's page: approve, decline or cancel. It returns the order's status.
func (a *account) decide(i payment.Intent, action string) {
	a.t.Helper()
	if err := decide(a.t.Context(), a.url, i.ProviderRef, action); err != nil {
		a.t.Fatal(err)
	}
}

func decide(ctx context.Context, base, ref, action string) error {
	form := url.Values{"token": {ref}, "action": {action}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/checkoutnow", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &url.Error{Op: "POST", URL: base, Err: io.ErrUnexpectedEOF}
	}
	return nil
}

// authorized begins, approves and authorizes a payment.
func (a *account) authorized(minor int64) payment.Intent {
	a.t.Helper()
	i, _ := a.begin(newIntent(minor))
	a.decide(i, "approve")
	a.expect("lookup", payment.Authorized)(a.provider.Lookup(a.t.Context(), i))
	return i
}

// captured does all that and takes the money.
func (a *account) captured(minor int64) payment.Intent {
	a.t.Helper()
	i := a.authorized(minor)
	a.expect("capture", payment.Captured)(a.provider.Capture(a.t.Context(), i))
	return i
}

// expect checks an outcome that must come without an error.
func (a *account) expect(what string, want payment.OutcomeState) func(payment.Outcome, error) payment.Outcome {
	return func(out payment.Outcome, err error) payment.Outcome {
		a.t.Helper()
		if err != nil || out.State != want {
			a.t.Fatalf("%s: %s, %v; want %s", what, out.State, err, want)
		}
		return out
	}
}

// books are the PayPal side of paysim's.
func (a *account) books() *paysim.PayPalBooks {
	a.t.Helper()
	b := a.sim.Books().PayPal
	if b == nil || !b.Consistent {
		a.t.Fatalf("the books do not add up: %+v", b)
	}
	return b
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}
