package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/jackc/pgx/v5"
)

// seatedEvents are what people with a browser go to: an evening with seats whose tickets may be handed on and sold, one of two places whose
// holds are short, and two whose waiting rooms
// open long before the sale, of which one is opened while people wait.
const seatedEvents = `id: matinee
name: A Matinée
organizer: somebody
venue: {name: Theatre, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 60}
  - {id: stalls, name: Stalls, kind: seated, price: "45.50"}
  - {id: circle, name: Circle, kind: seated, price: "28.00"}
seating:
  sections:
    - {id: "S1", tier: stalls, rows: [{row: A-F, seats: 12}]}
    - {id: "S2", tier: stalls, rows: [{row: A-F, seats: 12}]}
    - {id: "C1", tier: circle, rows: [{row: A-D, seats: 20}]}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 120s, payment_extension: 60s}
refunds: {by: buyer, keep_fee: true}
resale: {allowed: true, authorized: true, cap: percent, cap_percent: 10, seller_fee_percent: 5, organizer_share_percent: 10, buyer_fee: "1.00"}
on_sale: {joining_before: 30s, window: 1s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
---
id: brief
name: A Brief Evening
organizer: somebody
venue: {name: Cellar, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 2}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 15s, payment_extension: 10s}
on_sale: {joining_before: 30s, window: 1s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
---
id: late
name: A Late Evening
organizer: somebody
venue: {name: Cellar, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 20}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 120s, payment_extension: 60s}
on_sale: {joining_before: 2h, window: 1s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
---
id: tunnel
name: An Evening Beyond a Tunnel
organizer: somebody
venue: {name: Cellar, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 20}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 120s, payment_extension: 60s}
on_sale: {joining_before: 2h, window: 1s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
`

// house is a stage whose people sit in one browser, each with cookies and storage of their own.
type house struct {
	*stage
	browser context.Context
	line    *cable // to the first edge
}

// guest lets somebody in through the doors who is alone in a browser, as far as they can tell.
func (h *house) person(t *testing.T) *person {
	t.Helper()
	ctx, done := chromedp.NewContext(h.browser, chromedp.WithNewBrowserContext())
	t.Cleanup(done)
	// The tab lives as long as the context that it was made with.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil {
		t.Fatal(err)
	}
	return &person{t: t, ctx: ctx, base: h.outer[0]}
}

// tab is another tab of the same person; the first one is closed.
func (p *person) tab() *person {
	p.t.Helper()
	ctx, done := chromedp.NewContext(p.ctx)
	p.t.Cleanup(done)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil {
		p.t.Fatal(err)
	}
	return &person{t: p.t, ctx: ctx, base: p.base}
}

// enters joins the waiting room of an event and is let in to choose.
func (p *person) enters(slug string) {
	p.t.Helper()
	p.does("the event", chromedp.Navigate(p.base+"/e/"+slug), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"), chromedp.WaitVisible(".buybar"))
}

// sits opens a row in the list and chooses seats in it.
func (p *person) sits(section, row int, seats ...int) {
	p.t.Helper()
	if p.ask(`String(!document.querySelector('.seatlist').checkVisibility())`) == "true" {
		p.does("the list", chromedp.Click(".views button:last-child"))
	}
	at := fmt.Sprintf(".seatlist > details:nth-child(%d)", section)
	in := fmt.Sprintf("%s .seatrows > details:nth-child(%d)", at, row)
	p.taps(at + " > summary")
	p.taps(in + " > summary")
	for _, seat := range seats {
		p.taps(fmt.Sprintf("%s .seat:nth-child(%d)", in, seat))
	}
}

// taps clicks on something in the middle of the screen.
func (p *person) taps(selector string) {
	p.t.Helper()
	p.does(selector, chromedp.WaitVisible(selector))
	p.script(fmt.Sprintf(`document.querySelector(%q).scrollIntoView({ block: 'center' })`, selector))
	p.does(selector, chromedp.Click(selector))
}

// stands chooses places by number.
func (p *person) stands(n int) {
	p.t.Helper()
	p.does("places", chromedp.WaitVisible("#tier-floor"), chromedp.SetValue("#tier-floor", fmt.Sprint(n)))
	p.script(`document.getElementById('tier-floor').dispatchEvent(new Event('change'))`)
}

func (p *person) holds() {
	p.t.Helper()
	p.does("a hold", chromedp.Click(".buybar > button"), chromedp.WaitVisible("#email"))
}

func (p *person) checksOut() {
	p.t.Helper()
	p.does("an order", chromedp.Click("#view form button"), chromedp.WaitVisible("iframe.provider"))
}

// pays types a good card and waits for the tickets.
func (p *person) pays() {
	p.t.Helper()
	p.card("4242424242424242", "")
	p.sees("Your tickets are here")
}

func (p *person) ask(expression string) string {
	p.t.Helper()
	got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

// awaits asks until the answer is as wanted.
func (p *person) awaits(expression, want string) {
	p.t.Helper()
	var got string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if got = p.ask(expression); got == want {
			return
		}
	}
	p.t.Fatalf("%s is %q and not %q", expression, got, want)
}

// shoot keeps pictures of the page, on a phone and a desk, light and dark, where FAIRGATE_SHOTS says, for people to look at.
func (p *person) shoot(name string) {
	p.t.Helper()
	dir := os.Getenv("FAIRGATE_SHOTS")
	if dir == "" {
		return
	}
	for device, size := range map[string][2]int64{"desk": {1280, 900}, "phone": {390, 844}} {
		for _, scheme := range []string{"dark", "light"} {
			looks := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
			if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, looks); err != nil {
				p.t.Fatal(err)
			}
			p.does("look", chromedp.EmulateViewport(size[0], size[1]), chromedp.Sleep(300*time.Millisecond))
			picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, device, scheme)), picture, 0o644)
			}
			if err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.does("the phone again", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
}

const sqlMailedTo = `SELECT data FROM mails WHERE kind = 'sign_in_code' AND recipient = $1 ORDER BY created_at DESC LIMIT 1`

// signsIn signs in with the code that is mailed: the stage has no mail server, so the mail waits in the database.
func (h *house) signsIn(p *person, email string) {
	p.t.Helper()
	call := func(path, body string) string {
		status, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: %q }).then((r) => String(r.status))`, path, body), chromedp.EvalAwaitPromise))
		if err != nil {
			p.t.Fatalf("%s: %v", path, err)
		}
		return status
	}
	if status := call("/v1/account/code", fmt.Sprintf(`{"email":%q}`, email)); status != "202" {
		p.t.Fatalf("a code for %s: %s", email, status)
	}
	var data struct{ Code string }
	for end := time.Now().Add(20 * time.Second); data.Code == ""; time.Sleep(50 * time.Millisecond) {
		var text string
		err := h.db.Pool.QueryRow(p.t.Context(), sqlMailedTo, email).Scan(&text)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) || time.Now().After(end) {
			p.t.Fatalf("the code for %s: %v", email, err)
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &data)
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			p.t.Fatal(err)
		}
	}
	if status := call("/v1/account/session", fmt.Sprintf(`{"email":%q,"code":%q}`, email, data.Code)); status != "200" {
		p.t.Fatalf("sign in as %s: %s", email, status)
	}
}

// intents are how many the provider has made.
func (h *house) intents() int { h.t.Helper(); return len(h.booked()) }

func TestPeopleChooseSeatsAndKeepOrLoseThem(t *testing.T) {
	line := &cable{address: freePort(t)}
	s := newStage(t, stageConfig{from: []string{"http://" + line.address}})
	s.start()
	line.to = strings.TrimPrefix(s.outer[0], "http://")
	line.mend(t)
	t.Cleanup(line.cut)
	admin := s.operator(0)
	for _, text := range strings.Split(seatedEvents, "---\n") {
		slug, _, _ := strings.Cut(strings.TrimPrefix(text, "id: "), "\n")
		if err := admin.Apply(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		opens := time.Now().Add(2 * time.Second)
		if slug == "late" || slug == "tunnel" {
			opens = opens.Add(time.Hour)
		}
		if err := admin.Schedule(t.Context(), slug, time.Now(), opens); err != nil {
			t.Fatal(err)
		}
	}
	h := &house{s, launchBrowser(t), line}
	if err := chromedp.Do(h.browser, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	for _, journey := range []struct {
		name string
		play func(h *house, t *testing.T)
	}{
		{"two want one seat", twoWantOneSeat},
		{"a hold runs out, and everything is taken by others", outOfTime},
		{"core starts again while somebody pays", coreStartsAgain},
		{"a ticket is handed on", handedOn},
		{"a ticket is sold on", soldOn},
		{"tickets are given back", givenBack},
		{"a listing gets another price and is withdrawn", repricedAndWithdrawn},
		{"an order that was left unpaid is paid on another device", paidElsewhere},
	} {
		t.Run(journey.name, func(t *testing.T) { journey.play(h, t) })
	}
	// Nothing happens to what these people share, so they need not wait for each other.
	t.Run("at once", func(t *testing.T) {
		for _, journey := range []struct {
			name string
			play func(h *house, t *testing.T)
		}{
			{"the network is cut for 30 seconds while waiting, holding and paying", networkCut},
			{"a tab is closed while waiting, holding and paying", closedTabs},
			{"from the list to the gate with the keyboard alone", keyboardAlone},
			{"two press at once for one seat", twoPressAtOnce},
			{"two tabs, the way back and another load pay once", paysOnce},
			{"the language is changed on the way", changesLanguage},
			{"from the event to the ticket without JavaScript", withoutScript},
		} {
			t.Run(journey.name, func(t *testing.T) {
				t.Parallel()
				journey.play(h, t)
			})
		}
	})
}

func twoWantOneSeat(h *house, t *testing.T) {
	ann, bob := h.person(t), h.person(t)
	for _, p := range []*person{ann, bob} {
		p.enters("matinee")
		p.sits(1, 1, 5)
		p.sees("1 ticket · €49.28")
		p.sees("ticket €41.36 + fees €3.44 + tax €4.48")
	}
	ann.shoot("choose-list")
	ann.does("the map", chromedp.Click(".views button:first-child"), chromedp.Sleep(700*time.Millisecond))
	ann.shoot("choose-map")
	ann.holds()
	bob.sees("Somebody else was quicker: Section S1, row A, seat 5.")
	bob.awaits(`String(document.querySelectorAll('.seat[aria-pressed="true"]').length)`, "0")
	ann.shoot("hold")
	ann.does("an address that is none", chromedp.SendKeys("#email", "ann"), chromedp.Click("form button"))
	ann.sees("This is no e-mail address.")
	ann.does("an address", chromedp.SendKeys("#email", "@example.org"))
	// Two presses, as of somebody in doubt, are one order.
	before := h.intents()
	ann.script(`(() => { const f = document.querySelector('#email').form; f.requestSubmit(); f.requestSubmit(); })()`)
	ann.does("the form", chromedp.WaitVisible("iframe.provider"))
	ann.shoot("pay")
	ann.pays()
	ann.shoot("ticket")
	if n := h.intents() - before; n != 1 {
		t.Errorf("%d payments were begun for one order", n)
	}
	ann.awaits(`document.querySelector('.ticket h2').textContent`, "StallsS1 · A · 5")
}

func outOfTime(h *house, t *testing.T) {
	ann, bob := h.person(t), h.person(t)
	ann.enters("brief")
	bob.enters("brief")
	ann.stands(2)
	ann.holds()
	bob.sees("Everything is taken at the moment")
	bob.shoot("gone")
	ann.sees("Your time ran out. Nothing was charged")
	ann.shoot("hold-over")
	ann.does("the same again", chromedp.Click("#view > .actions:not(.buybar) button"), chromedp.WaitVisible("#email"))
	ann.sees("2 × Floor")
	bob.sees("Everything is taken at the moment")
	ann.does("give them back", chromedp.Click("form button.plain"), chromedp.WaitVisible(".buybar"))
	bob.awaits(`String(document.querySelector('#tier-floor option[value="2"]').disabled)`, "false")
}

func coreStartsAgain(h *house, t *testing.T) {
	p := h.person(t)
	p.enters("matinee")
	p.sits(2, 2, 3, 4)
	p.holds()
	p.checksOut()
	h.cores[0].kill()
	p.card("4242424242424242", "")
	p.sees("cannot be reached")
	h.cores[0].launch()
	h.cores[0].await()
	p.sees("Your tickets are here")
	p.awaits(`String(document.querySelectorAll('.ticket').length)`, "2")
}

// buysSignedIn has somebody buy a seat whose account is known.
func (h *house) buysSignedIn(p *person, email string, section, row, seat int) {
	p.t.Helper()
	p.does("the event", chromedp.Navigate(p.base+"/e/matinee"))
	h.signsIn(p, email)
	p.enters("matinee")
	p.sits(section, row, seat)
	p.holds()
	p.checksOut()
	p.pays()
}

func handedOn(h *house, t *testing.T) {
	ann := h.person(t)
	h.buysSignedIn(ann, "ann@example.org", 3, 1, 1)
	ann.taps(".owner summary")
	ann.does("hand it on", chromedp.WaitVisible(".owner input[type=email]"), chromedp.SendKeys(".owner input[type=email]", "bob@example.org"+kb.Enter))
	ann.sees("Offered to bob@example.org")
	ann.shoot("offered")
	ann.taps(".owner .notice button")
	ann.awaits(`String(document.querySelectorAll('.owner .notice').length)`, "0")
	ann.taps(".owner summary")
	ann.does("once more", chromedp.WaitVisible(".owner input[type=email]"), chromedp.SendKeys(".owner input[type=email]", "bob@example.org"+kb.Enter))
	ann.sees("Offered to bob@example.org")
	var offer string
	if err := h.db.Pool.QueryRow(t.Context(), `SELECT transfer_id::TEXT FROM transfers WHERE state = 'offered'`).Scan(&offer); err != nil {
		t.Fatal(err)
	}
	bob := h.person(t)
	link := bob.base + "/e/matinee?transfer=" + offer
	bob.does("the mail's link", chromedp.Navigate(link))
	bob.sees("Sign in with the address that the mail came to")
	h.signsIn(bob, "bob@example.org")
	bob.does("back to the event", chromedp.Navigate(bob.base+"/e/matinee"))
	bob.sees("wants to give you a ticket")
	bob.shoot("received")
	bob.does("accept", chromedp.Click("#view .actions button"))
	bob.sees("Your tickets are here")
	bob.awaits(`document.querySelector('.ticket h2').textContent`, "CircleC1 · A · 1")
	ann.does("look again", chromedp.Reload())
	ann.sees("This ticket is in other hands by now.")
}

func soldOn(h *house, t *testing.T) {
	cat := h.person(t)
	h.buysSignedIn(cat, "cat@example.org", 3, 2, 2)
	cat.taps(".owner details:nth-of-type(2) summary")
	cat.does("sell it", chromedp.WaitVisible(".owner .facts dd"))
	cat.sees("It may cost its buyer at most €33.99 in all")
	empty := `document.querySelector('.owner input').value = ''`
	cat.script(empty)
	cat.does("too much", chromedp.SendKeys(".owner input", "999"))
	cat.awaits(`document.querySelector('.owner input').getAttribute('aria-invalid')`, "true")
	cat.script(empty)
	cat.does("a fair price", chromedp.SendKeys(".owner input", "20.00"))
	cat.sees("€17.00") // what is left after the organizer's tenth and the platform's twentieth
	cat.shoot("sell")
	cat.taps(".owner form button")
	cat.sees("For sale at €21.00 in all")
	cat.shoot("listed")
	dan := h.person(t)
	dan.enters("matinee")
	dan.sees("From other buyers")
	dan.shoot("choose-offers")
	dan.taps(`button[aria-label^="Buy C1/B/2"]`)
	dan.does("buy it", chromedp.WaitVisible("#email"))
	dan.checksOut()
	dan.pays()
	dan.awaits(`document.querySelector('.ticket h2').textContent`, "CircleC1 · B · 2")
	cat.does("look again", chromedp.Reload())
	cat.sees("Sold. You get €17.00")
}

// opens opens a part of what the owner of a ticket can do, by its title; within is the ticket's place on the page, from 1.
func (p *person) opens(ticket int, title string) {
	p.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll('.ticket')][%d] && [...[...document.querySelectorAll('.ticket')][%d].querySelectorAll('.owner summary')].find((n) => n.textContent === %q)`, ticket-1, ticket-1, title)
	p.awaits(`String(Boolean(`+find+`))`, "true")
	p.script(`document.querySelectorAll('[data-opened]').forEach((n) => n.removeAttribute('data-opened')); (` + find + `).setAttribute('data-opened', '')`)
	p.taps("[data-opened]")
}

func givenBack(h *house, t *testing.T) {
	p := h.person(t)
	p.enters("matinee")
	p.stands(2)
	p.holds()
	p.checksOut()
	p.pays()
	p.awaits(`String(document.querySelectorAll('.ticket').length)`, "2")
	refunded := func() (sum float64) {
		for _, intent := range h.booked() {
			n, _ := intent["refunded"].(float64)
			sum += n
		}
		return sum
	}
	before := refunded()
	p.opens(1, "Give it back")
	p.sees("You get back what you paid for this ticket without the fee")
	p.shoot("give-back")
	p.taps(".ticket [data-opened] + div button")
	p.sees("€30.27 is on its way back to you.")
	p.awaits(`String(document.querySelectorAll('.ticket .owner').length)`, "1")
	p.does("look again", chromedp.Reload())
	p.sees("€30.27 is on its way back to you.")
	p.opens(1, "Give it back")
	// Two presses, as of somebody in doubt, give it back once.
	p.awaits(`String(Boolean(document.querySelector('[data-opened] + div button')))`, "true")
	p.script(`(() => { const b = document.querySelector('[data-opened] + div button'); b.click(); b.click(); })()`)
	p.sees("You have your money back")
	p.shoot("given-back")
	for end := time.Now().Add(30 * time.Second); refunded()-before < 6054 && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
	}
	if sum := refunded() - before; sum != 6054 {
		t.Errorf("the provider gave back %v for two tickets of 33.00 whose fees, 2.73, are kept", sum)
	}
}

func repricedAndWithdrawn(h *house, t *testing.T) {
	fay, gus := h.person(t), h.person(t)
	h.buysSignedIn(fay, "fay@example.org", 3, 3, 3)
	gus.enters("matinee")
	fay.opens(1, "Sell it on")
	fay.does("sell it", chromedp.WaitVisible(".owner .facts dd"))
	empty := `document.querySelector('.owner input').value = ''`
	fay.script(empty)
	fay.does("a price", chromedp.SendKeys(".owner input", "20.00"))
	fay.sees("€17.00")
	fay.taps(".owner form button")
	fay.sees("For sale at €21.00 in all")
	const offer = `[...document.querySelectorAll('button[aria-label^="Buy C1/C/3"]')].map((n) => n.getAttribute('aria-label')).join()`
	gus.awaits(offer, "Buy C1/C/3 for €21.00")
	fay.opens(1, "Change the price")
	fay.awaits(`document.querySelector('.owner input') ? document.querySelector('.owner input').value : ''`, "20.00")
	fay.script(empty)
	fay.does("too much", chromedp.SendKeys(".owner input", "999"))
	fay.awaits(`document.querySelector('.owner input').getAttribute('aria-invalid')`, "true")
	fay.script(empty)
	fay.does("less", chromedp.SendKeys(".owner input", "18.00"))
	fay.sees("€15.30") // what is left after the organizer's tenth and the platform's twentieth
	fay.shoot("reprice")
	fay.taps(".owner form button")
	fay.sees("For sale at €19.00 in all")
	gus.awaits(offer, "Buy C1/C/3 for €19.00")
	fay.does("look again", chromedp.Reload())
	fay.sees("For sale at €19.00 in all")
	fay.taps(".owner .notice > div > .actions button")
	fay.does("the code is back", chromedp.WaitVisible(".ticket img"))
	fay.awaits(`String(document.querySelectorAll('.owner .notice').length)`, "0")
	gus.awaits(offer, "")
	fay.opens(1, "Sell it on") // it can be put up again
	fay.does("again", chromedp.WaitVisible(".owner .facts dd"))
}

func paidElsewhere(h *house, t *testing.T) {
	ida, phone := h.person(t), h.person(t)
	ida.enters("matinee")
	ida.sits(3, 4, 7)
	ida.holds()
	before := h.intents()
	ida.does("an address", chromedp.SendKeys("#email", "ida@example.org"))
	ida.checksOut()
	phone.does("her phone", chromedp.Navigate(phone.base+"/account"), chromedp.WaitVisible("#email"))
	h.signsIn(phone, "ida@example.org")
	phone.does("her account", chromedp.Navigate(phone.base+"/account"), chromedp.WaitVisible(".unfinished .clock"))
	phone.sees("You have an unfinished order")
	phone.shoot("unfinished")
	phone.does("go on", chromedp.Click(".unfinished a"), chromedp.WaitVisible("iframe.provider"))
	phone.pays()
	phone.awaits(`document.querySelector('.ticket h2').textContent`, "CircleC1 · D · 7")
	ida.sees("Your tickets are here")
	if n := h.intents() - before; n != 1 {
		t.Errorf("%d payments were begun for one order", n)
	}
	phone.does("her account once more", chromedp.Navigate(phone.base+"/account"))
	phone.sees("Your tickets")
	phone.awaits(`String(document.querySelectorAll('.unfinished').length)`, "0")
}
