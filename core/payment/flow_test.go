package payment_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// progress orders states as whoever applies outcomes must: a later one stands.
var progress = map[payment.OutcomeState]int{
	payment.Begun: 1, payment.RequiresAction: 2, payment.Failed: 3, payment.Authorized: 4, payment.Captured: 5, payment.Voided: 5,
}

// applier is the simplest thing that applies events rightly.
type applier struct {
	mu     sync.Mutex
	states map[uuid.UUID]payment.OutcomeState
	refs   map[uuid.UUID]string
	events int
}

func newApplier() *applier {
	return &applier{states: make(map[uuid.UUID]payment.OutcomeState), refs: make(map[uuid.UUID]string)}
}

func (a *applier) handle(_ context.Context, events []payment.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		a.events++
		a.refs[e.PaymentID] = e.Outcome.ProviderRef
		if progress[e.Outcome.State] > progress[a.states[e.PaymentID]] {
			a.states[e.PaymentID] = e.Outcome.State
		}
	}
	return nil
}

func (a *applier) state(id uuid.UUID) payment.OutcomeState {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.states[id]
}

func (a *applier) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events
}

// shop is a provider that misbehaves, the adapter, and an inbox on a real database behind an endpoint.
type shop struct {
	t        *testing.T
	db       *db.DB
	sim      *paysim.Server
	provider *stripe.Provider
	inbox    *payment.Inbox
	applied  *applier
	hooks    struct {
		sync.Mutex
		raw     [][]byte
		headers []http.Header
	}
}

func newShop(t *testing.T, faults paysim.Faults) *shop {
	t.Helper()
	s := &shop{t: t, db: dbtest.New(t), applied: newApplier()}
	quiet := slog.New(slog.DiscardHandler)
	endpoint := httptest.NewServer(http.HandlerFunc(s.receive))
	sim, err := paysim.New(paysim.Config{WebhookURL: endpoint.URL, Seed: 3, Faults: faults, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s.sim = sim
	server := httptest.NewServer(sim.Handler())
	s.provider, err = stripe.New(stripe.Config{
		SecretKey: "sk_test_paysim", PublishableKey: "pk_test_paysim", WebhookSecret: "whsec_paysim",
		BaseURL: server.URL, PayURL: server.URL, RequestsPerSecond: 10_000, EndpointRequestsPerSecond: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.inbox = payment.NewInbox(s.db, map[string]payment.WebhookReader{stripe.Name: s.provider},
		payment.InboxConfig{Poll: 50 * time.Millisecond, Log: quiet})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { sim.Deliver(ctx) })
	running.Go(func() {
		if err := s.inbox.Run(ctx, s.applied.handle); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		server.Close()
		endpoint.Close()
		s.inbox.Close()
	})
	return s
}

// receive is the webhook endpoint: 2xx only for what is stored.
func (s *shop) receive(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.hooks.Lock()
	s.hooks.raw, s.hooks.headers = append(s.hooks.raw, raw), append(s.hooks.headers, r.Header.Clone())
	s.hooks.Unlock()
	switch err := s.inbox.Receive(r.Context(), stripe.Name, raw, r.Header); {
	case errors.Is(err, payment.ErrSignature):
		w.WriteHeader(http.StatusBadRequest)
	case err != nil:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// play takes one payment to the end that n asks for, and says which.
func (s *shop) play(n int) (uuid.UUID, payment.OutcomeState) {
	s.t.Helper()
	order := uuid.New()
	i := payment.Intent{PaymentID: payment.PaymentID(order, 1), OrderID: order, Attempt: 1, Amount: ledger.Amount{Minor: 500, Currency: "EUR"}}
	begun, err := s.provider.Begin(s.t.Context(), i)
	if err != nil {
		s.t.Fatal(err)
	}
	i.ProviderRef = begun.ProviderRef
	pay := func(card string) {
		resp, err := http.PostForm(s.provider.Form(i.ProviderRef, begun.ClientSecret).URL, url.Values{"card": {card}})
		if err != nil {
			s.t.Fatal(err)
		}
		resp.Body.Close()
	}
	pay("4000000000000002")
	if n%4 == 0 {
		return i.PaymentID, payment.Failed
	}
	pay("4242424242424242")
	if n%4 == 1 {
		return i.PaymentID, payment.Authorized
	}
	call, want := s.provider.Capture, payment.Captured
	if n%4 == 2 {
		call, want = s.provider.Void, payment.Voided
	}
	if outcome, err := call(s.t.Context(), i); err != nil || outcome.State != want {
		s.t.Fatalf("%s, %v", outcome.State, err)
	}
	return i.PaymentID, want
}

func (s *shop) settles(want map[uuid.UUID]payment.OutcomeState) {
	s.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for id, state := range want {
		for s.applied.state(id) != state {
			if time.Now().After(deadline) {
				s.t.Fatalf("payment %s stays %q, want %q; webhooks %+v", id, s.applied.state(id), state, s.sim.Books().Webhooks)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestWebhooksTwiceOutOfOrderEarlyAndLateEndInTheSameState(t *testing.T) {
	for name, faults := range map[string]paysim.Faults{
		"as they should be":    {},
		"all twice":            {WebhookTwice: 1},
		"pairs reversed":       {WebhookReorder: 1, ReorderFor: 300 * time.Millisecond},
		"before the answer":    {WebhookEarly: 1},
		"late":                 {WebhookDelayMax: 400 * time.Millisecond},
		"everything sometimes": {WebhookTwice: .5, WebhookReorder: .5, ReorderFor: 200 * time.Millisecond, WebhookEarly: .3, WebhookDelayMax: 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, faults)
			want := make(map[uuid.UUID]payment.OutcomeState)
			for n := range 16 {
				id, state := s.play(n)
				want[id] = state
			}
			s.settles(want)
			n := s.sim.Books().Webhooks
			if faults.WebhookTwice == 1 && n.Repeated == 0 || faults.WebhookEarly == 1 && n.Early == 0 || n.Created < 40 {
				t.Errorf("the provider did not misbehave: %+v", n)
			}
		})
	}
}

func TestWebhooksInReverseAndTwiceEndInTheSameState(t *testing.T) {
	s := newShop(t, paysim.Faults{})
	want := make(map[uuid.UUID]payment.OutcomeState)
	for n := range 12 {
		id, state := s.play(n)
		want[id] = state
	}
	s.settles(want)

	// The same webhooks come to another core with an empty database, the last first, each twice.
	other := newShop(t, paysim.Faults{})
	s.hooks.Lock()
	raw, headers := slices.Clone(s.hooks.raw), slices.Clone(s.hooks.headers)
	s.hooks.Unlock()
	slices.Reverse(raw)
	slices.Reverse(headers)
	distinct := make(map[string]bool)
	for n := range raw {
		e, err := s.provider.Parse(raw[n])
		if err != nil {
			t.Fatal(err)
		}
		if e.Relevant() {
			distinct[e.ID] = true
		}
		for range 2 {
			if err := other.inbox.Receive(t.Context(), stripe.Name, raw[n], headers[n]); err != nil {
				t.Fatal(err)
			}
		}
	}
	other.settles(want)
	for deadline := time.Now().Add(15 * time.Second); other.applied.count() < len(distinct) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	if n := other.applied.count(); n != len(distinct) {
		t.Errorf("%d webhooks, each delivered twice, were handled %d times", len(distinct), n)
	}
}

func TestAWebhookBeforeTheAnswerNamesThePayment(t *testing.T) {
	s := newShop(t, paysim.Faults{WebhookEarly: 1})
	order := uuid.New()
	i := payment.Intent{PaymentID: payment.PaymentID(order, 1), OrderID: order, Attempt: 1, Amount: ledger.Amount{Minor: 500, Currency: "EUR"}}
	begun, err := s.provider.Begin(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	// By now the webhook has been stored: it was answered before the call was.
	var stored int
	if err := s.db.Pool.QueryRow(t.Context(), `SELECT count(*)::INT8 FROM webhooks WHERE type = 'payment_intent.created'`).Scan(&stored); err != nil || stored != 1 {
		t.Fatalf("%d webhooks stored, %v", stored, err)
	}
	s.settles(map[uuid.UUID]payment.OutcomeState{i.PaymentID: payment.Begun})
	s.applied.mu.Lock()
	defer s.applied.mu.Unlock()
	if ref := s.applied.refs[i.PaymentID]; ref != begun.ProviderRef {
		t.Errorf("the webhook names %q, the answer %q", ref, begun.ProviderRef)
	}
}
