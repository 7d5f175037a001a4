package paysim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is done to an intent, in whatever order, its money adds up: nothing is captured that was not authorized, and an
// end is an end.
func TestAnIntentsMoneyAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := &intent{
			fixed: fixed{id: "pi_1", amount: rapid.Int64Range(1, maxAmount).Draw(t, "amount"), currency: "eur", manual: rapid.Bool().Draw(t, "manual")},
			state: state{status: requiresMethod},
		}
		authorized := false
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			before := i.state
			var kind string
			var fail *failure
			step := rapid.SampledFrom([]string{"confirm", "prove", "capture", "cancel"}).Draw(t, "step")
			with := try{card: rapid.SampledFrom(cards).Draw(t, "card"), challenge: rapid.Bool().Draw(t, "challenge")}
			switch step {
			case "confirm":
				kind, fail = i.confirm(with)
			case "prove":
				kind, fail = i.prove(rapid.Bool().Draw(t, "ok"), with)
			case "capture":
				kind, fail = i.capture(rapid.Int64Range(1, 2*i.amount).Draw(t, "take"), rapid.IntRange(0, 9).Draw(t, "refused") == 0)
			case "cancel":
				kind, fail = i.cancel("abandoned")
			}
			authorized = authorized || i.status == requiresCapture
			silent := step == "prove" && before.status == requiresAction && i.card.abandons
			switch {
			case fail != nil && kind == "" && i.state != before:
				t.Fatalf("%s was refused without an event and changed %+v to %+v", step, before, i.state)
			case fail == nil && kind == "" && !silent:
				t.Fatalf("%s changed something and made no event", step)
			case before.status == canceled && i.state != before, before.status == succeeded && i.status != succeeded:
				t.Fatalf("%s brought back %+v as %+v", step, before, i.state)
			case i.received > i.amount, i.received > 0 && i.manual && !authorized:
				t.Fatalf("%s led to %+v", step, i.state)
			case i.capturable != 0 && (i.status != requiresCapture || i.capturable != i.amount):
				t.Fatalf("%s left %+v", step, i.state)
			case (i.status == succeeded || i.status == requiresCapture) && (i.latest == nil || i.latest.failed):
				t.Fatalf("%s left money on a charge that failed: %+v", step, i.state)
			}
			if body := i.snapshot().json(false); body.Status != i.status || body.AmountReceived != i.received {
				t.Fatalf("shown as %+v", body)
			}
		}
	})
}

// One operation is a payment over HTTP: created, confirmed in the form, captured. That is two calls of the API and one of
// the form.
func BenchmarkPayments(b *testing.B) {
	sim, err := New(Config{Rate: 1e9})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var made struct {
				ID     string
				Secret string `json:"client_secret"`
			}
			benchmarkPost(b, client, server.URL+"/v1/payment_intents", &made,
				"amount=1000&currency=eur&capture_method=manual&metadata[payment_id]=9e1f6a34-6b7e-5c55-8f0f-0d1c2b3a4958")
			benchmarkPost(b, client, server.URL+"/pay/"+made.ID, nil, "client_secret="+made.Secret+"&card=4242424242424242")
			benchmarkPost(b, client, server.URL+"/v1/payment_intents/"+made.ID+"/capture", nil, "amount_to_capture=1000")
		}
	})
	b.StopTimer()
	if books := sim.Books(); books.Balances["EUR"] != int64(b.N)*1000 {
		b.Fatalf("%d payments left %d", b.N, books.Balances["EUR"])
	}
	b.ReportMetric(float64(3*b.N)/b.Elapsed().Seconds(), "requests/s")
}

func benchmarkPost(b *testing.B, client *http.Client, url string, into any, form string) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer sk_test_paysim")
	req.Header.Set("Idempotency-Key", randomText(20))
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %s", url, resp.Status)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(into)
	}
	if err != nil {
		b.Error(err)
	}
}
