package stripe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/core/payment/stripe"
	"fairgate/loadtest/paysim"
)

// loseFirst carries out the first call whose path ends so, and closes the connection instead of answering.
func loseFirst(suffix string) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	var once sync.Once
	return func(_ http.ResponseWriter, r *http.Request, sim http.Handler) bool {
		lost := false
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, suffix) {
			once.Do(func() { lost = true })
		}
		if lost {
			recorded(sim, r)
			panic(http.ErrAbortHandler)
		}
		return false
	}
}

// storedFailure answers the first key used on a path that ends so with status 500 for ever, as Stripe does, before or
// after the call was carried out.
func storedFailure(suffix string, carriedOut bool) func(http.ResponseWriter, *http.Request, http.Handler) bool {
	var mu sync.Mutex
	burnt, replays := "", 0
	return func(w http.ResponseWriter, r *http.Request, sim http.Handler) bool {
		key := r.Header.Get("Idempotency-Key")
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if burnt != "" && key != burnt {
			return false
		}
		burnt = key
		if replays++; replays > 1 {
			w.Header().Set("Idempotent-Replayed", "true")
		} else if carriedOut {
			recorded(sim, r)
		}
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"error":{"type":"api_error","message":"An unknown error occurred."}}`)
		return true
	}
}

func TestALostAnswerIsFoundOutByTheSameKey(t *testing.T) {
	for _, step := range []string{"begin", "capture", "void"} {
		t.Run(step, func(t *testing.T) {
			a := newAccount(t, paysim.Config{})
			i := newIntent()
			call, suffix, state := a.provider.Begin, "/payment_intents", payment.Begun
			switch step {
			case "capture":
				i, call, suffix, state = a.authorized("4242424242424242"), a.provider.Capture, "/capture", payment.Captured
			case "void":
				i, call, suffix, state = a.authorized("4242424242424242"), a.provider.Void, "/cancel", payment.Voided
			}
			// On a connection of its own: Go repeats a call by itself when a used connection turns out to be dead.
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			fresh := newProvider(t, a.url)
			a.between.intercept(loseFirst(suffix))
			switch step {
			case "begin":
				call = fresh.Begin
			case "capture":
				call = fresh.Capture
			case "void":
				call = fresh.Void
			}
			outcome, err := call(t.Context(), i)
			a.expect("the lost call", outcome, err, payment.Unknown, payment.ErrUnknown)
			outcome, err = call(t.Context(), i)
			a.expect("the same call again", outcome, err, state, nil)
			if calls := a.sim.Books().Calls; calls.Replayed != 1 {
				t.Errorf("%d answers were repeated from the key", calls.Replayed)
			}
			if entry := a.booked(i); step == "capture" && entry.Captured != i.Amount.Minor {
				t.Errorf("the books say %+v", entry)
			}
		})
	}
}

func TestAStoredFailureIsOvercome(t *testing.T) {
	for _, carriedOut := range []bool{false, true} {
		for _, step := range []string{"begin", "capture", "void"} {
			t.Run(fmt.Sprintf("%s, carried out %v", step, carriedOut), func(t *testing.T) {
				a := newAccount(t, paysim.Config{})
				i := newIntent()
				call, suffix, state := a.provider.Begin, "/payment_intents", payment.Begun
				switch step {
				case "capture":
					i, call, suffix, state = a.authorized("4242424242424242"), a.provider.Capture, "/capture", payment.Captured
				case "void":
					i, call, suffix, state = a.authorized("4242424242424242"), a.provider.Void, "/cancel", payment.Voided
				}
				a.between.intercept(storedFailure(suffix, carriedOut))
				outcome, err := call(t.Context(), i)
				a.expect("the failed call", outcome, err, payment.Unknown, payment.ErrUnknown)
				outcome, err = call(t.Context(), i)
				a.expect("the same call again", outcome, err, state, nil)
				outcome, err = call(t.Context(), i)
				a.expect("and again", outcome, err, state, nil)
				a.booked(i) // one intent
				if held := a.sim.Balances()["EUR"]; (held == i.Amount.Minor) != (step == "capture") {
					t.Errorf("the provider holds %d", held)
				}
			})
		}
	}
}

func TestEveryPaymentComesThroughAProviderThatMisbehaves(t *testing.T) {
	cfg := paysim.Config{Seed: 11, Rate: 100_000, Faults: paysim.Faults{AnswerError: 0.2, AnswerLost: 0.1}}
	a := newAccount(t, cfg)
	persist := func(call func(context.Context, payment.Intent) (payment.Outcome, error), i payment.Intent) (payment.Outcome, error) {
		for n := 0; ; n++ {
			outcome, err := call(t.Context(), i)
			if err == nil || isOne(err, payment.ErrDeclined) || isOne(err, payment.ErrRejected) || n == 40 {
				return outcome, err
			}
		}
	}
	var all sync.WaitGroup
	const payments = 60
	gate := make(chan struct{}, 8)
	for n := range payments {
		all.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			i := newIntent()
			begun, err := persist(a.provider.Begin, i)
			if err != nil {
				t.Errorf("begin: %v", err)
				return
			}
			i.ProviderRef = begun.ProviderRef
			a.pay(i, begun.ClientSecret, "4242424242424242")
			call, want := a.provider.Capture, payment.Captured
			if n%3 == 0 {
				call, want = a.provider.Void, payment.Voided
			}
			outcome, err := persist(call, i)
			expect(t, "capture or void", outcome, err, want, nil)
		})
	}
	all.Wait()
	books := a.sim.Books()
	captured := map[string]int64{}
	for _, entry := range books.Intents {
		captured[entry.Payment] += entry.Captured
		if entry.Status == "requires_capture" {
			t.Errorf("an authorization was left behind: %+v", entry)
		}
	}
	paid := int64(0)
	for id, minor := range captured {
		if minor != 0 && minor != 12_345 {
			t.Errorf("payment %s took %d", id, minor)
		}
		paid += minor
	}
	if want := int64(payments*2/3) * 12_345; paid != want || books.Balances["EUR"] != want || !books.Consistent {
		t.Errorf("captured %d, balance %d, want %d", paid, books.Balances["EUR"], want)
	}
	if books.Calls.Failed < 10 || books.Calls.Lost < 5 || books.Calls.Replayed < 5 {
		t.Errorf("the provider behaved too well to prove anything: %+v", books.Calls)
	}
}

// answering is a provider that answers everything alike.
func answering(t *testing.T, status int, body string) *stripe.Provider {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return newProvider(t, server.URL)
}

func TestAnswersAreUnderstood(t *testing.T) {
	i := newIntent()
	i.ProviderRef = "pi_1"
	errorBody := func(kind, code string) string {
		return `{"error":{"type":"` + kind + `","code":"` + code + `","message":"m","payment_intent":{"id":"pi_1","client_secret":"pi_1_secret_x"}}}`
	}
	intentBody := func(status string) string {
		return `{"id":"pi_1","object":"payment_intent","client_secret":"pi_1_secret_x","amount":12345,"currency":"eur","status":"` + status +
			`","metadata":{"payment_id":"` + i.PaymentID.String() + `"}}`
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"rate limit":              {429, errorBody("invalid_request_error", "rate_limit"), payment.ErrTemporary},
		"lock timeout":            {429, errorBody("invalid_request_error", "lock_timeout"), payment.ErrTemporary},
		"key in use":              {409, errorBody("idempotency_error", "idempotency_key_in_use"), payment.ErrTemporary},
		"declined":                {402, errorBody("card_error", "card_declined"), payment.ErrDeclined},
		"bad parameter":           {400, errorBody("invalid_request_error", "parameter_unknown"), payment.ErrRejected},
		"wrong secret key":        {401, errorBody("invalid_request_error", ""), payment.ErrRejected},
		"not allowed":             {403, errorBody("invalid_request_error", ""), payment.ErrRejected},
		"no such intent":          {404, errorBody("invalid_request_error", "resource_missing"), payment.ErrNotFound},
		"its own failure":         {500, errorBody("api_error", ""), payment.ErrUnknown},
		"a proxy's page":          {502, "<html>pi_1_secret_x</html>", payment.ErrUnknown},
		"JSON without an error":   {400, `{"client_secret":"pi_1_secret_x"}`, payment.ErrUnknown},
		"half an answer":          {200, `{"id":"pi_1","client_secret":"pi_1_secret_x`, payment.ErrUnknown},
		"a redirect":              {302, "", payment.ErrUnknown},
		"a status we do not know": {200, intentBody("levitating"), payment.ErrUnknown},
		"somebody else's intent":  {200, `{"id":"pi_1","status":"succeeded","metadata":{"payment_id":"x"}}`, payment.ErrRejected},
	} {
		t.Run(name, func(t *testing.T) {
			p := answering(t, c.status, c.body)
			for what, call := range map[string]func(context.Context, payment.Intent) (payment.Outcome, error){
				"begin": p.Begin, "lookup": p.Lookup, "capture": p.Capture, "void": p.Void,
			} {
				outcome, err := call(t.Context(), i)
				state := payment.Unknown
				if c.want == payment.ErrDeclined && what != "lookup" {
					state = payment.Failed
				}
				expect(t, what, outcome, err, state, c.want)
			}
		})
	}
}

func TestTroubleOnTheWay(t *testing.T) {
	i := newIntent()
	i.ProviderRef = "pi_1"
	nobody := newProvider(t, "http://127.0.0.1:1")
	outcome, err := nobody.Capture(t.Context(), i)
	expect(t, "nobody listens", outcome, err, payment.Unknown, payment.ErrTemporary)

	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	outcome, err = newProvider(t, server.URL).Capture(ctx, i)
	expect(t, "no answer in time", outcome, err, payment.Unknown, payment.ErrUnknown)
}

func TestTheAdapterKeepsToItsRateLimits(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	frozen := time.Now() // what a slow machine does must not matter
	p, err := stripe.New(stripe.Config{
		SecretKey: secretKey, PublishableKey: publicKey, WebhookSecret: webhookSecret, BaseURL: a.url,
		RequestsPerSecond: 20, MaxWait: 100 * time.Millisecond, Now: func() time.Time { return frozen },
	})
	if err != nil {
		t.Fatal(err)
	}
	if spare := p.SpareRate(); spare < 6 || spare > 7 {
		t.Errorf("idle, it could begin %v payments a second with 20 calls", spare)
	}
	results := make(chan error, 12)
	for range cap(results) {
		go func() {
			_, err := p.Begin(t.Context(), newIntent())
			results <- err
		}()
	}
	limited := 0
	for range cap(results) {
		if err := <-results; err != nil {
			expect(t, "over the limit", payment.Outcome{}, err, payment.Unknown, payment.ErrTemporary)
			limited++
		}
	}
	if limited != 8 {
		t.Errorf("of 12 calls at once %d were refused by a limit of 20 a second with a burst of 2 and 100 ms of patience", limited)
	}
	if spare := p.SpareRate(); spare > 6 {
		t.Errorf("busy, it could begin %v payments a second more", spare)
	}

	strict := newAccount(t, paysim.Config{Rate: 1})
	for n := 0; ; n++ {
		if _, err := strict.provider.Begin(t.Context(), newIntent()); err != nil {
			expect(t, "over the provider's limit", payment.Outcome{}, err, payment.Unknown, payment.ErrTemporary)
			break
		}
		if n == 10 {
			t.Fatal("the provider has no limit")
		}
	}
}

func TestWrongCredentialsAreRejectedWithoutTellingThem(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	p, err := stripe.New(stripe.Config{SecretKey: "sk_test_another_secret_key_999", PublishableKey: publicKey, WebhookSecret: webhookSecret, BaseURL: a.url})
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := p.Begin(t.Context(), newIntent())
	expect(t, "begin", outcome, err, payment.Unknown, payment.ErrRejected)
	if strings.Contains(err.Error(), "another_secret") {
		t.Errorf("the error tells the key: %v", err)
	}
}
