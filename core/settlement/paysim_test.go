package settlement

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
	"fairgate/core/payment/stripe"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

const simKey, simPublic = "sk_test_settlement", "pk_test_settlement"

// adapter is a provider as core uses it, and its settlement.
type adapter interface {
	payment.Provider
	payment.Refunder
	payment.SettlementReader
}

// fair is a day of payments at paysim over HTTP, and what our books have of it.
type fair struct {
	*world
	name  string
	sim   *paysim.Server
	url   string
	real  adapter
	first time.Time // of the provider's days
	s     *Service
}

// newFair opens a provider two days ago, at six in the morning.
func newFair(t *testing.T, name string, cfg paysim.Config) *fair {
	t.Helper()
	f := &fair{world: newWorld(t, dbtest.New(t), time.Nanosecond), name: name}
	began := time.Now()
	f.first = f.day.Add(-2 * dayLength)
	cfg.Now = func() time.Time { return f.first.Add(6*time.Hour + time.Since(began)) }
	cfg.SecretKey, cfg.PublishableKey, cfg.Rate, cfg.Log = simKey, simPublic, 1e6, slog.New(slog.DiscardHandler)
	cfg.FeePercent, cfg.FeeFixed = 2.9, 30
	cfg.PayPal = paysim.PayPal{ClientID: "client", ClientSecret: "secret", WebhookID: "WH1"}
	var err error
	if f.sim, err = paysim.New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f.sim.Handler())
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(context.Background())
	delivered := make(chan struct{})
	go func() { defer close(delivered); f.sim.Deliver(ctx) }()
	t.Cleanup(func() { stop(); <-delivered })
	f.url = server.URL
	f.s = f.world.s
	if name == "stripe" {
		f.real, err = stripe.New(stripe.Config{SecretKey: simKey, PublishableKey: simPublic, WebhookSecret: "whsec_settlement", BaseURL: server.URL, PayURL: server.URL,
			RequestsPerSecond: 1e4, EndpointRequestsPerSecond: 1e4})
	} else {
		roots := x509.NewCertPool()
		pem, rootsErr := f.sim.PayPalRoots()
		if rootsErr != nil || !roots.AppendCertsFromPEM(pem) {
			t.Fatalf("no roots: %v", rootsErr)
		}
		f.real, err = paypal.New(paypal.Config{ClientID: "client", ClientSecret: "secret", WebhookID: "WH1", BaseURL: server.URL, CertRoots: roots,
			ReturnURL: "https://tickets.example/orders/{order}", CancelURL: "https://tickets.example/orders/{order}?cancelled=1",
			RequestsPerSecond: 1e5, EndpointRequestsPerSecond: 1e5, SettleAfter: time.Millisecond, Now: f.sim.Now})
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// form posts fields and returns the answer's.
func (f *fair) form(path, key string, fields url.Values) map[string]any {
	f.t.Helper()
	req, err := http.NewRequest(http.MethodPost, f.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	if resp.StatusCode >= 300 {
		f.t.Fatalf("%s answers %d: %v", path, resp.StatusCode, answer)
	}
	return answer
}

func (f *fair) book(order uuid.UUID) ledger.Terms {
	return ledger.Terms{Order: order, Organizer: "lumen-live", Provider: f.name, Currency: "EUR"}
}

// buy has a buyer pay an order at the provider, and books it.
func (f *fair) buy(minor int64) payment.Intent {
	f.t.Helper()
	ctx := f.t.Context()
	order := uuid.New()
	i := payment.Intent{PaymentID: payment.PaymentID(order, 1), OrderID: order, Attempt: 1, Amount: eur(minor), Description: "Seats", EventSlug: "arena", Email: "b@example.org"}
	out, err := f.real.Begin(ctx, i)
	if err != nil {
		f.t.Fatal(err)
	}
	i.ProviderRef = out.ProviderRef
	if f.name == "stripe" {
		f.form("/v1/payment_intents/"+i.ProviderRef+"/confirm", simPublic, url.Values{"client_secret": {out.ClientSecret}, "payment_method": {"pm_card_visa"}})
	} else {
		f.form("/checkoutnow", "", url.Values{"token": {i.ProviderRef}, "action": {"approve"}})
		if _, err := f.real.Lookup(ctx, i); err != nil {
			f.t.Fatal(err)
		}
	}
	if out, err = f.real.Capture(ctx, i); err != nil || out.State != payment.Captured {
		f.t.Fatalf("capture: %+v, %v", out, err)
	}
	f.record(ledger.PostAll(f.record(ledger.SaleTransfers(order, "lumen-live", f.name, eur(minor-200), eur(150), eur(50)))), nil)
	_, err = f.db.Exec(ctx, `INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor,
currency, created_at, updated_at) VALUES ($1, 1, $2, $3, $4, '', 'captured', FALSE, '', '', $5, 'EUR', now(), now())`, order, i.PaymentID, f.name, i.ProviderRef, minor)
	if err != nil {
		f.t.Fatal(err)
	}
	return i
}

// give refunds an amount at the provider, and in the books.
func (f *fair) give(i payment.Intent, minor int64) {
	f.t.Helper()
	r := payment.Refund{ID: uuid.New(), Amount: eur(minor)}
	m := f.money(i.OrderID)
	parts, err := m.Part(minor)
	if err != nil {
		f.t.Fatal(err)
	}
	promised := f.record(ledger.RefundTransfers(f.book(i.OrderID), r.ID, m, parts, minor))
	if out, err := f.real.Refund(f.t.Context(), i, r); err != nil || out.State != payment.RefundSucceeded {
		f.t.Fatalf("refund: %+v, %v", out, err)
	}
	f.record(ledger.PostAll(promised), nil)
}

// claim has the buyer's bank take a payment back.
func (f *fair) claim(i payment.Intent) {
	f.t.Helper()
	var ref string
	fee := int64(0)
	if f.name == "stripe" {
		ref, _ = f.form("/_paysim/dispute", simKey, url.Values{"payment_intent": {i.ProviderRef}})["id"].(string)
		fee = 1500
	} else {
		ref, _ = f.form("/_paysim/paypal/disputes", simKey, url.Values{"payment": {i.PaymentID.String()}})["dispute_id"].(string)
	}
	if ref == "" {
		f.t.Fatal("the dispute has no name")
	}
	if f.sim.Books().Accounts["EUR"].Movements == 0 {
		fee = 0 // it is in the currency of the balance, and comes with the settlement
	}
	f.record(ledger.DisputeOpenedTransfers(f.book(i.OrderID), payment.DisputeID(i.OrderID, f.name, ref), i.Amount.Minor, fee))
}

// day has n orders, some of them refunded, one in ten disputed.
func (f *fair) trade(n int) {
	for k := range n {
		i := f.buy(int64(5000 + 37*k))
		switch {
		case k%10 == 3:
			f.claim(i)
		case k%5 == 1:
			f.give(i, 1000+int64(k))
		}
	}
}

// readAll reads every day since the provider opened and returns what is open.
func (f *fair) readAll() (open []Item, worst int64) {
	f.t.Helper()
	now, err := f.db.Now(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	worst = whole
	for day := f.first; !day.After(now); day = day.Add(dayLength) {
		r, err := f.s.Reconcile(context.Background(), f.name, day, f.real)
		if err != nil {
			f.t.Fatal(err)
		}
		worst = min(worst, r.ExplainedPPM)
	}
	for day := f.first; !day.After(now); day = day.Add(dayLength) {
		items, err := f.s.Items(context.Background(), f.name, day, Open, uuid.Nil, 1000)
		if err != nil {
			f.t.Fatal(err)
		}
		open = append(open, items...)
	}
	return open, worst
}

func TestADayAtTheProvidersIsExplainedToTheCentWithFeesRefundsDisputesAndPayouts(t *testing.T) {
	for _, c := range []struct{ name, currency string }{{"stripe", ""}, {"stripe", "usd"}, {"paypal", ""}} {
		t.Run(c.name+" "+c.currency, func(t *testing.T) {
			f := newFair(t, c.name, paysim.Config{SettlementCurrency: c.currency, PayoutEvery: 24 * time.Hour})
			f.trade(20)
			f.sim.Advance(t.Context(), 24*time.Hour)
			open, worst := f.readAll()
			if worst != whole || len(open) > 0 {
				t.Fatalf("explained %d, open: %+v", worst, open)
			}
			balance := "EUR"
			if c.currency != "" {
				balance = strings.ToUpper(c.currency)
				if left := f.balance(ledger.ProviderClearing(c.name, "EUR")); left != 0 {
					t.Errorf("in euro the provider has %d, and nothing in truth", left)
				}
			}
			b := f.sim.Books()
			has := b.Accounts[balance].Available + b.Accounts[balance].Pending
			if c.name == "paypal" {
				has = b.PayPal.Balances[balance] - b.PayPal.Fees[balance]
			} else if b.Accounts[balance].PaidOut == 0 {
				t.Error("nothing was paid out")
			}
			if got := -f.balance(ledger.ProviderClearing(c.name, balance)); got != has {
				t.Errorf("the books say that the provider has %d, it says %d", got, has)
			}
			before := f.transfers()
			if again, worst := f.readAll(); len(again) > 0 || worst != whole || f.transfers() != before {
				t.Errorf("read again: %d, %+v", worst, again)
			}
		})
	}
}

// accusation is one mistake of a statement, and how it is found.
type accusation struct {
	paysim.BookedMistake
	class Class
	found bool
}

// by tells whether an item is about the mistake. Of two rows that say the same of one movement either is the one too many, and so it is
// of a true one that was made up and one that was altered.
func (a *accusation) by(i Item) bool {
	about := a.Order != "" && strings.Contains(i.Why, a.Order)
	switch a.class {
	case OursOnly:
		return i.Class == OursOnly && about
	case TheirsOnly:
		return i.RowID == a.Row || about && (i.Class == Duplicated || i.Class == AmountDiffers)
	}
	return i.RowID == a.Row
}

// key tells whether two mistakes are about one movement: a row that was made up in the place of one that is missing is as good as that.
func key(m paysim.BookedMistake) string { return fmt.Sprint(m.Order, m.Type, m.Amount) }

// expected are the mistakes that can be told from the truth.
func expected(st paysim.BookedStatement) (all []accusation) {
	instead := map[string]bool{}
	for _, m := range st.Extra {
		if m.Order != "" {
			instead[key(m)] = true
		}
	}
	filled := map[string]bool{}
	for _, m := range st.Missing {
		if instead[key(m)] {
			filled[key(m)] = true
			continue
		}
		all = append(all, accusation{m, OursOnly, false})
	}
	for _, m := range st.Extra {
		if m.Order == "" || !filled[key(m)] {
			all = append(all, accusation{m, TheirsOnly, false})
		}
	}
	for _, m := range st.Altered {
		if !instead[key(m)] { // else the made up row says what is true, and one of both is accused
			all = append(all, accusation{m, AmountDiffers, false})
		}
	}
	return all
}

func TestEveryMistakeOfAProvidersStatementIsFoundAndNothingElseIsAccused(t *testing.T) {
	for _, c := range []struct{ name, currency string }{{"stripe", ""}, {"stripe", "usd"}, {"paypal", ""}} {
		for seed := uint64(1); seed <= 3; seed++ {
			t.Run(fmt.Sprint(c.name, c.currency, seed), func(t *testing.T) {
				f := newFair(t, c.name, paysim.Config{Seed: seed, SettlementCurrency: c.currency,
					Faults: paysim.Faults{SettlementMissing: 0.12, SettlementExtra: 0.12, SettlementAltered: 0.12}})
				f.trade(30)
				open, _ := f.readAll()
				st := f.sim.Books().Statement
				if c.name == "paypal" {
					st = f.sim.Books().PayPal.Statement
				}
				want := expected(st)
				if len(want) < 3 {
					t.Fatalf("too few mistakes: %+v", st)
				}
				var strange []Item
				for _, item := range open {
					known := false
					for i := range want {
						if a := &want[i]; a.by(item) {
							a.found, known = true, true
						}
					}
					if !known {
						strange = append(strange, item)
					}
				}
				for _, a := range want {
					if !a.found {
						t.Errorf("not found: %s %+v", a.class, a.BookedMistake)
					}
				}
				for _, item := range strange {
					t.Errorf("accused: %s %s %s", item.Class, item.RowID, item.Why)
				}
			})
		}
	}
}

// late is a settlement whose rows come a while later than they are dated.
type late struct {
	payment.SettlementReader
	keep func(payment.SettlementRow) bool
}

func (l late) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	return l.SettlementReader.Settlement(ctx, from, until, func(r payment.SettlementRow) error {
		if !l.keep(r) {
			return nil
		}
		return each(r)
	})
}

func TestRowsOfAProviderThatComeLaterHealWhatTheirAbsenceAccused(t *testing.T) {
	for _, name := range []string{"stripe", "paypal"} {
		t.Run(name, func(t *testing.T) {
			f := newFair(t, name, paysim.Config{})
			f.trade(20)
			whole := f.real
			n := 0
			f.real = struct {
				payment.Provider
				payment.Refunder
				payment.SettlementReader
			}{whole, whole, late{whole, func(payment.SettlementRow) bool { n++; return n%4 != 0 }}}
			if open, _ := f.readAll(); len(open) == 0 {
				t.Fatal("nothing is missed")
			}
			f.real = whole
			if open, worst := f.readAll(); len(open) != 0 || worst != 1_000_000 {
				t.Errorf("explained %d, open: %+v", worst, open)
			}
		})
	}
}

func TestARateThatDoesNotExplainTheAmountIsNoMatch(t *testing.T) {
	for _, c := range []struct {
		gross, presented ledger.Amount
		rate             string
		fits             bool
	}{
		{ledger.Amount{Minor: 10850, Currency: "USD"}, eur(10000), "1.085", true},
		{ledger.Amount{Minor: 10851, Currency: "USD"}, eur(10000), "1.085", true},
		{ledger.Amount{Minor: 10950, Currency: "USD"}, eur(10000), "1.085", false},
		{ledger.Amount{Minor: -16250, Currency: "JPY"}, eur(-10000), "162.5", true},
		{ledger.Amount{Minor: 100, Currency: "JPY"}, eur(10000), "162.5", false},
		{ledger.Amount{Minor: 1, Currency: "USD"}, eur(10000), "", true},
		{ledger.Amount{Minor: 1, Currency: "USD"}, eur(10000), "1/0", false},
	} {
		r := row{SettlementRow: payment.SettlementRow{Gross: c.gross, Presentment: c.presented, Rate: c.rate}}
		if got := r.rateFits(); got != c.fits {
			t.Errorf("%v for %v at %q: %t", c.gross, c.presented, c.rate, got)
		}
	}
}
