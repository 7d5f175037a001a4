package paysim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// local is a Server that is called without a network.
type local struct{ sim *Server }

func newLocal(t interface{ Fatal(...any) }, cfg Config) local {
	cfg.Log = slog.New(slog.DiscardHandler)
	cfg.Now = func() time.Time { return noon }
	cfg.Rate = 1e9
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return local{sim}
}

// call makes a call; status 0 means that the connection was closed without an answer.
func (l local) call(path string, fields ...string) (status int, body string) {
	form, key := url.Values{}, ""
	for n := 0; n < len(fields); n += 2 {
		if fields[n] == "Idempotency-Key" {
			key = fields[n+1]
			continue
		}
		form.Set(fields[n], fields[n+1])
	}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer sk_test_paysim")
	r.Header.Set("Idempotency-Key", key)
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			status = 0
		}
	}()
	l.sim.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// insist repeats a call until it is decided, with a new key after a failure that is kept.
func (l local) insist(path, key string, fields ...string) (status int) {
	for n := range 20 {
		status, _ = l.call(path, append([]string{"Idempotency-Key", fmt.Sprint(key, "/", n)}, fields...)...)
		if status != 0 && status != 429 && status != 500 {
			break
		}
	}
	return status
}

// buy is one order from its first call to its refund.
func (l local) buy(n int) {
	name := fmt.Sprint("p", n)
	l.insist("/v1/payment_intents", name+"create", "amount", "1000", "currency", "eur", "capture_method", "manual",
		"metadata[payment_id]", name, "metadata[order_id]", fmt.Sprint("o", n))
	l.sim.mu.Lock()
	made := l.sim.byPayment[name]
	l.sim.mu.Unlock()
	for _, i := range made { // one more for each 500 that came after the work
		for range 2 {
			l.call("/pay/"+i.id, "client_secret", i.clientSecret, "card", "4242424242424242")
		}
		l.insist("/v1/payment_intents/"+i.id+"/capture", i.id+"capture")
		if n%3 == 0 {
			l.insist("/v1/refunds", i.id+"refund", "payment_intent", i.id, "amount", "400", "metadata[refund_id]", name+"r")
		}
	}
}

// The same seed does the same to the same payments, however calls interleave.
func TestARunReplaysWhateverTheInterleaving(t *testing.T) {
	play := func(seed uint64, shuffle *rand.Rand) map[string]string {
		var f Faults
		f.Misbehave(0.15)
		f.AnswerSlow, f.AnswerLost = 0, 0 // these two need a connection; mishapOf has a test of its own
		l := newLocal(t, Config{Seed: seed, Faults: f})
		var buyers sync.WaitGroup
		for _, n := range shuffle.Perm(150) {
			buyers.Go(func() { l.buy(n) })
		}
		buyers.Wait()
		l.sim.Advance(t.Context(), 40*24*time.Hour)
		b := l.sim.Books()
		if !b.Consistent {
			t.Fatal(b.Problems)
		}
		story := make(map[string]string)
		for _, i := range b.Intents {
			story[i.Payment] += fmt.Sprint("intent ", i.Status, i.Captured, i.Refunded, i.Disputed, i.Charges, "; ")
		}
		for _, r := range b.Refunds {
			story[r.Payment] += fmt.Sprint("refund ", r.Status, r.Failure, r.Amount, "; ")
		}
		for _, d := range b.Disputes {
			story[d.Payment] += fmt.Sprint("dispute ", d.Status, d.Reason, d.Amount, "; ")
		}
		for kind, list := range map[string][]BookedMistake{"missing": b.Statement.Missing, "altered": b.Statement.Altered, "extra": b.Statement.Extra} {
			for _, one := range list {
				if one.Payment != "" {
					story[one.Payment+" "+kind] += fmt.Sprint(one.Type, one.Shown-one.Amount, "; ")
				}
			}
		}
		return story
	}
	first, again := play(3, rand.New(rand.NewPCG(1, 1))), play(3, rand.New(rand.NewPCG(2, 2)))
	if len(first) < 150 || len(first) != len(again) {
		t.Errorf("%d stories and %d", len(first), len(again))
	}
	differ := 0
	for name, told := range first {
		if again[name] != told {
			t.Errorf("%s: %s\nthen: %s", name, told, again[name])
		}
	}
	other := play(4, rand.New(rand.NewPCG(1, 1)))
	for name, told := range first {
		if other[name] != told {
			differ++
		}
	}
	if differ < 20 {
		t.Errorf("another seed tells %d of %d stories otherwise", differ, len(first))
	}
}

// Whatever is asked of the provider, in whatever order, its books add up at every moment.
func TestTheBooksAddUpWhateverIsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Seed: rapid.Uint64().Draw(t, "seed"), FeePercent: 2.9, FeeFixed: 30, ScreeningFee: 7, AvailableAfter: 48 * time.Hour, PayoutEvery: 24 * time.Hour,
			SettlementCurrency: rapid.SampledFrom([]string{"", "eur", "jpy"}).Draw(t, "settlement"),
			Faults:             Faults{RefundFailed: 0.3, RefundPending: 0.3, Disputed: 0.2, PayoutFailed: 0.3, SettlementMissing: 0.2, SettlementExtra: 0.2, SettlementAltered: 0.2, CaptureRefused: 0.1},
		}
		l := newLocal(t, cfg)
		var ids, secrets []string
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			at := rapid.IntRange(0, max(0, len(ids)-1)).Draw(t, "which")
			amount := rapid.StringMatching(`[1-9][0-9]{0,4}`).Draw(t, "amount")
			step := rapid.SampledFrom([]string{"create", "pay", "capture", "refund", "refund all", "cancel", "dispute", "answer", "wait"}).Draw(t, "step")
			if len(ids) == 0 {
				step = "create"
			}
			switch step {
			case "create":
				l.call("/v1/payment_intents", "amount", amount, "currency", rapid.SampledFrom([]string{"eur", "usd", "jpy", "kwd"}).Draw(t, "currency"),
					"capture_method", rapid.SampledFrom([]string{"manual", "automatic"}).Draw(t, "method"), "metadata[payment_id]", fmt.Sprint("p", n))
				made := l.sim.intents[len(l.sim.intents)-1]
				ids, secrets = append(ids, made.id), append(secrets, made.clientSecret)
			case "pay":
				l.call("/pay/"+ids[at], "client_secret", secrets[at], "card", rapid.SampledFrom(cards).Draw(t, "card").number)
			case "capture":
				l.call("/v1/payment_intents/"+ids[at]+"/capture", "amount_to_capture", amount)
				l.call("/v1/payment_intents/" + ids[at] + "/capture")
			case "refund":
				l.call("/v1/refunds", "payment_intent", ids[at], "amount", amount)
			case "refund all":
				l.call("/v1/refunds", "payment_intent", ids[at])
			case "cancel":
				l.call("/v1/payment_intents/" + ids[at] + "/cancel")
			case "dispute":
				l.call("/_paysim/dispute", "payment_intent", ids[at], "inquiry", rapid.SampledFrom([]string{"true", "false"}).Draw(t, "inquiry"))
			case "answer":
				for _, d := range l.sim.disputes {
					l.call("/v1/disputes/"+d.id, "evidence[uncategorized_text]", rapid.SampledFrom([]string{"winning_evidence", "losing_evidence", "so it was"}).Draw(t, "text"))
				}
			case "wait":
				l.sim.Advance(context.Background(), time.Duration(rapid.IntRange(1, 200).Draw(t, "hours"))*time.Hour)
			}
			if b := l.sim.Books(); !b.Consistent {
				t.Fatalf("after %s: %v", step, b.Problems)
			}
		}
	})
}

// Whatever a form says, the API answers it and the books add up.
func FuzzForms(f *testing.F) {
	for _, form := range []string{
		"amount=1000&currency=eur&capture_method=manual&metadata[payment_id]=p", "payment_method_data[card][number]=4242424242424242",
		"payment_intent=pi_&amount=5&metadata[refund_id]=r", "charge=ch_0000000000000000a", "evidence[uncategorized_text]=winning_evidence&submit=true",
		"created[gte]=1&created[lt]=9&limit=3&starting_after=txn_1&expand[]=data.source", "expand[0]=latest_charge", "a[[[]=&%zz", "advance=72h", `{"advance":"1h"}`,
	} {
		f.Add(form)
	}
	paths := []string{
		"/v1/payment_intents", "/v1/payment_intents/{id}/confirm", "/v1/payment_intents/{id}/capture", "/v1/payment_intents/{id}/cancel", "/v1/refunds",
		"/v1/disputes/dp_1", "/v1/webhook_endpoints", "/pay/{id}", "/_paysim/dispute", "/_paysim/clock",
	}
	f.Fuzz(func(t *testing.T, form string) {
		l := newLocal(t, Config{FrameAncestors: []string{"https://tickets.example"}})
		l.call("/v1/payment_intents", "amount", "1000", "currency", "eur", "capture_method", "manual")
		id := l.sim.intents[0].id
		ask := func(method, path, query, body string) {
			r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
			r.URL = &url.URL{Path: strings.Replace(path, "{id}", id, 1), RawQuery: query}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("sk_test_paysim", "")
			w := httptest.NewRecorder()
			l.sim.Handler().ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
			}
		}
		for _, path := range paths {
			ask(http.MethodPost, path, "", form)
		}
		for _, path := range []string{"/v1/payment_intents", "/v1/payment_intents/search", "/v1/refunds", "/v1/disputes", "/v1/balance_transactions", "/v1/payouts", "/pay/{id}", "/_paysim/books"} {
			ask(http.MethodGet, path, form, "")
		}
		if b := l.sim.Books(); !b.Consistent {
			t.Fatal(b.Problems)
		}
	})
}
