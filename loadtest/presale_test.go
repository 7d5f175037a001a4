package loadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairgate/edge/lottery"
)

// premiere has a presale for who knows a word, with seats and places of its own, before general sale.
const premiere = `id: premiere
name: A Premiere
organizer: somebody
venue: {name: Theatre, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 60}
  - {id: stalls, name: Stalls, kind: seated, price: "45.50"}
seating:
  sections:
    - {id: "S1", tier: stalls, rows: [{row: A, seats: 6, allocation: club}, {row: B, seats: 8}]}
allocations:
  - {id: club, tier: floor, quantity: 10}
  - {id: club, tier: stalls}
presales:
  - {id: club, name: The fan club, allocation: club, from: %s, until: %s, per_buyer: 2, who: word}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 300s, payment_extension: 60s}
on_sale: {joining_before: 30s, window: 1s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
`

// asks makes a request of the page and answers its status and the problem's code.
func (p *person) asks(method, path, body string) string {
	p.t.Helper()
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q, { method: %q, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': String(Math.random()) }, body: %q })
		.then((r) => r.json().catch(() => ({})).then((data) => r.status + ' ' + (data.code || data.state || '')))`, path, method, body), chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

// holdsBy is what a hold of these items is answered.
func (p *person) holdsBy(items, window string) string {
	p.t.Helper()
	body := `{"event":"premiere","items":` + items + `}`
	if window != "" {
		body = `{"event":"premiere","window":"` + window + `","items":` + items + `}`
	}
	return p.asks(http.MethodPost, "/v1/holds", body)
}

// registers says the word of the presale on the event's page.
func (p *person) registers(word, shows string) {
	p.t.Helper()
	p.does("the event", chromedp.Navigate(p.base+"/e/premiere"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.WaitVisible("#word-club"), chromedp.SendKeys("#word-club", word), chromedp.Click(`form[action$="/register"] button`))
	p.sees(shows)
	p.does("back", chromedp.Click(`a[href="/e/premiere"]`), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
}

func (p *person) joins() {
	p.t.Helper()
	p.does("join", chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	p.sees("The order is drawn when the sale opens")
}

func TestAPresaleAndGeneralSaleArePlayedFromJoiningToTheTicket(t *testing.T) {
	s := newStage(t, stageConfig{})
	s.start()
	admin := s.operator(0)
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	if err := admin.Apply(t.Context(), fmt.Appendf(nil, premiere, at(-time.Hour), at(time.Hour))); err != nil {
		t.Fatal(err)
	}
	const sale = "/admin/v1/events/premiere/onsale"
	operate := func(path string, body any) {
		t.Helper()
		if err := admin.do(t.Context(), http.MethodPost, path, "application/json", jsonBody(body), nil); err != nil {
			t.Fatal(err)
		}
	}
	operate("/admin/v1/events/premiere/presales/club/word", map[string]any{"word": "Open Sesame"})
	operate(sale+"/schedule", map[string]any{"presale": "club", "opens_at": at(30 * time.Minute), "joining_at": at(-time.Second)})
	operate(sale+"/schedule", map[string]any{"opens_at": at(3 * time.Hour), "joining_at": at(2 * time.Hour)})
	h := &house{stage: s, browser: launchBrowser(t)}
	if err := chromedp.Do(h.browser, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	ann, bob, cyd := h.person(t), h.person(t), h.person(t)

	// The presale. Cyd does not know the word, and so does not come in; nobody does who is not signed in.
	for p, email := range map[*person]string{ann: "ann@example.org", bob: "bob@example.org", cyd: "cyd@example.org"} {
		p.does("the event", chromedp.Navigate(p.base+"/e/premiere"), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
		p.sees("The fan club")
		if got := p.asks(http.MethodPost, "/q/premiere/join", "{}"); got != "401 account_required" {
			t.Errorf("%s joins the presale without being signed in: %s", email, got)
		}
		h.signsIn(p, email)
	}
	cyd.registers("open the door", "That is not the word of this presale.")
	cyd.does("join", chromedp.Click("#view form button"))
	cyd.sees("This presale is for accounts that have registered for it")
	for _, p := range []*person{ann, bob} {
		p.registers("open sesame", "This account is registered for The fan club.")
		p.joins()
	}
	operate(sale+"/open", map[string]any{})
	for _, p := range []*person{ann, bob} {
		p.does("the shop", chromedp.WaitVisible(".buybar"))
		p.sees("Choose up to 2 tickets")
	}
	for items, want := range map[string]string{
		`[{"seats":["S1/B/1"]}]`:               "409 seat_set_aside", // of general sale
		`[{"tier":"floor","quantity":3}]`:      "422 quantity_over_limit",
		`[{"seats":["S1/A/1","S1/B/2"]}]`:      "409 seat_set_aside",
		`[{"best":{"quantity":1,"tier":"x"}}]`: "404 tier_unknown",
	} {
		if got := ann.holdsBy(items, ""); got != want {
			t.Errorf("in the presale %s is answered %s, want %s", items, got, want)
		}
	}
	ann.sits(1, 1, 2) // S1/A/2, on the map's list
	ann.sees("1 ticket")
	ann.holds()
	ann.checksOut()
	ann.pays()

	// It ends, and bob, who is choosing, is told; what comes next is named.
	operate(sale+"/end", map[string]any{})
	bob.sees("The fan club is over.")
	bob.sees("Next: General sale.")
	if got := bob.holdsBy(`[{"seats":["S1/A/3"]}]`, ""); got != "409 sale_ended" {
		t.Errorf("after the presale its seats are answered %s", got)
	}
	if got := bob.holdsBy(`[{"seats":["S1/B/3"]}]`, ""); got != "409 sale_ended" {
		t.Errorf("with a session of the presale general sale's seats are answered %s", got)
	}

	// General sale, for everybody.
	operate(sale+"/schedule", map[string]any{"opens_at": at(30 * time.Minute), "joining_at": at(-time.Second)})
	bob.joins()
	cyd.does("the event", chromedp.Navigate(cyd.base+"/e/premiere"))
	cyd.joins()
	cyd.sees("General sale")
	operate(sale+"/open", map[string]any{})
	for _, p := range []*person{bob, cyd} {
		p.does("the shop", chromedp.WaitVisible(".buybar"))
		p.sees("Choose up to 4 tickets")
	}
	for _, ask := range []struct{ items, window, want string }{
		{`[{"seats":["S1/A/3"]}]`, "", "409 seat_set_aside"},
		{`[{"seats":["S1/A/3"]}]`, "club", "403 presale_not_yours"},
	} {
		if got := bob.holdsBy(ask.items, ask.window); got != ask.want {
			t.Errorf("in general sale %s through %q is answered %s, want %s", ask.items, ask.window, got, ask.want)
		}
	}
	bob.sits(1, 2, 3)
	bob.holds()
	bob.checksOut()
	bob.pays()
	cyd.stands(2)
	cyd.holds()
	cyd.checksOut()
	cyd.pays()

	if n := s.count(`SELECT count(*) FROM tickets WHERE seat = 'S1/A/2'`) + s.count(`SELECT count(*) FROM tickets WHERE seat = 'S1/B/3'`); n != 2 {
		t.Errorf("%d of the two seats have a ticket", n)
	}
	for generation, want := range map[int]struct {
		presale  string
		sessions int
	}{1: {"club", 2}, 2: {"", 2}} {
		var raw json.RawMessage
		if err := admin.Get(t.Context(), fmt.Sprintf("/admin/v1/events/premiere/lottery?generation=%d", generation), &raw); err != nil {
			t.Fatal(err)
		}
		transcript, err := lottery.ParseTranscript(raw)
		if err != nil {
			t.Fatal(err)
		}
		if v := transcript.Verify(lottery.Evidence{}); !v.OK() || transcript.Presale != want.presale || len(transcript.Sessions) != want.sessions {
			t.Errorf("sale %d of %q let in %d:\n%s", generation, transcript.Presale, len(transcript.Sessions), v)
		}
	}
}
