package loadtest

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// galaEvent is what people with a browser buy from: they are slower than the buyers of a rehearsal.
const galaEvent = `id: gala
name: A Gala
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 60}
limits: {per_buyer: 4, per_device: 100, per_card: 100}
hold: {ttl: 120s, payment_extension: 60s}
on_sale: {joining_before: 30s, window: 1s, session_ttl: 300s, claim_within: 60s, max_inside: 60, pace_per_second: 15}
`

// person is somebody with a browser of their own, in front of a whole deployment.
type person struct {
	t    *testing.T
	ctx  context.Context
	base string
}

func newPerson(t *testing.T, base string) *person {
	t.Helper()
	ctx := launchBrowser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the tab lives as long as the context that it was made with
		t.Fatal(err)
	}
	return &person{t: t, ctx: ctx, base: base}
}

// launchBrowser is a browser with one tab, until the test ends.
func launchBrowser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("a purchase cannot be played without a browser: `make setup` installs Chromium, or run apt-get install chromium")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true))
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return ctx
}

// stepWithin bounds what somebody does at once: where it is not possible the test should say what is on the screen.
const stepWithin = 45 * time.Second

type step = chromedp.Action[chromedp.Void]

func (p *person) does(what string, steps ...step) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepWithin)
	defer cancel()
	_, err := chromedp.Call(ctx, page.BringToFront, cdp.Empty{}) // what is behind another tab is slow
	if err == nil {
		err = chromedp.Do(ctx, steps...)
	}
	if err != nil {
		shown, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		where, _ := chromedp.Run(p.ctx, chromedp.Location())
		p.t.Fatalf("%s: %v; at %s the page shows:\n%s", what, err, where, shown)
	}
}

// sees waits for a text on the page.
func (p *person) sees(what string) {
	p.t.Helper()
	var shown string
	for deadline := time.Now().Add(45 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if shown, err = chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`)); err == nil && strings.Contains(shown, what) {
			return
		}
	}
	p.t.Fatalf("the page never shows %q; it shows:\n%s", what, shown)
}

// inFrame does something in the provider's form and answers when its next page is there.
func (p *person) inFrame(what, shows string, steps func(frame chromedp.QueryOption) []step) {
	p.t.Helper()
	p.does("the provider's form", chromedp.WaitVisible("iframe.provider"))
	frames, err := chromedp.Run(p.ctx, chromedp.Nodes("iframe.provider"))
	if err != nil || len(frames) != 1 {
		p.t.Fatalf("%s: %d frames, %v", what, len(frames), err)
	}
	frame := chromedp.FromNode(frames[0])
	p.does(what, steps(frame)...)
	if shows != "" {
		p.does(what+" leads on", chromedp.WaitVisible(shows, frame))
	}
}

// card types a card into the provider's form and pays; then the form shows.
func (p *person) card(number, shows string) {
	p.t.Helper()
	p.inFrame("the card "+number, shows, func(frame chromedp.QueryOption) []step {
		return []step{
			chromedp.WaitVisible("input[name=card]", frame), chromedp.SetValue("input[name=card]", number, frame), chromedp.Click("button[name=pay]", frame),
		}
	})
}

// proves answers the bank's question who the buyer is.
func (p *person) proves(how, shows string) {
	p.t.Helper()
	p.inFrame("the proof: "+how, shows, func(frame chromedp.QueryOption) []step {
		button := "button[name=authentication][value=" + how + "]"
		return []step{chromedp.WaitVisible(button, frame), chromedp.Click(button, frame)}
	})
}

// orders goes through the waiting room and holds and orders one ticket; then there is a form to pay with.
func (p *person) orders() {
	p.t.Helper()
	p.does("the event", chromedp.Navigate(p.base+"/e/gala"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	p.does("the shop", chromedp.WaitVisible("#tier-floor"), chromedp.SetValue("#tier-floor", "1"))
	p.script(`document.getElementById('tier-floor').dispatchEvent(new Event('change'))`)
	p.does("a hold", chromedp.Click(".buybar > button"), chromedp.WaitVisible("#email"))
	p.does("an order", chromedp.Click("#view form button"), chromedp.WaitVisible("iframe.provider"))
}

func (p *person) script(text string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[any](text)); err != nil {
		p.t.Fatalf("%s: %v", text, err)
	}
}

// booked are the intents in the provider's books.
func (s *stage) booked() []map[string]any {
	s.t.Helper()
	resp, err := http.Get(strings.TrimSuffix(s.paysim.ready, "/_paysim/health") + "/_paysim/books")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var books struct {
		Intents []map[string]any `json:"intents"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&books); err != nil {
		s.t.Fatal(err)
	}
	return books.Intents
}

func TestPeoplePayInTheProvidersFormAndGetTheirTickets(t *testing.T) {
	s := newStage(t, stageConfig{})
	s.start()
	admin := s.operator(0)
	if err := admin.Apply(t.Context(), []byte(galaEvent)); err != nil {
		t.Fatal(err)
	}
	if err := admin.Schedule(t.Context(), "gala", time.Now(), time.Now().Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	const again = "input[name=card]" // the form lets the buyer try another card
	for name, pay := range map[string]func(p *person){
		"a card": func(p *person) { p.card("4242424242424242", "") },
		"a declined card, then another": func(p *person) {
			p.card("4000000000000002", again)
			p.sees("The card was declined. Your tickets are still held: try another card.")
			p.does("load the page again", chromedp.Reload())
			p.card("5555555555554444", "")
		},
		"a proof that is refused, then one that is accepted": func(p *person) {
			const asked = "button[name=authentication]"
			p.card("4000002760003184", asked)
			p.proves("fail", again)
			p.sees("The bank could not confirm that it is you. Your tickets are still held: try another card.")
			p.card("4000002760003184", asked)
			p.proves("approve", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.booked())
			p := newPerson(t, s.outer[0])
			p.orders()
			where, err := chromedp.Run(p.ctx, chromedp.Location())
			if err != nil || !strings.HasPrefix(where, p.base+"/e/gala/pay/") {
				t.Errorf("the form is at %s: %v", where, err)
			}
			pay(p)
			p.sees("Your tickets are here")
			p.does("ticket", chromedp.WaitVisible(".ticket img"))
			p.does("the address of the payment once more", chromedp.Navigate(where))
			p.sees("Your tickets are here")
			intents := s.booked()
			if len(intents) != before+1 {
				t.Errorf("%d intents were made for one order", len(intents)-before)
			}
		})
	}
	taken := 0.0
	for _, intent := range s.booked() {
		captured, _ := intent["captured"].(float64)
		taken += captured
	}
	if taken != 3*3000 {
		t.Errorf("the provider took %v for three tickets of 30.00", taken)
	}
}
