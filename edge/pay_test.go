package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"fairgate/edge/queue"
)

// till is a shop behind the fake core with one order that waits to be paid, and the payment provider with its form.
type till struct {
	*http.ServeMux

	mu       sync.Mutex
	form     string   // how it is paid
	methods  []string // what the event offers
	method   string   // what the buyer chose
	going    string   // where the provider's page was asked to send the buyer back to
	state    string
	failure  string
	charges  int // how often the buyer's card was charged
	tries    int
	order    uuid.UUID
	provider *httptest.Server
}

// try is a card that the buyer's browser has handed to the provider.
func (s *till) try(card string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	switch {
	case s.state == "ticket_issued":
	case strings.HasPrefix(card, "4242"):
		s.state, s.failure = "ticket_issued", ""
		s.charges++
	default:
		s.state, s.failure = "payment_failed", "card_declined"
	}
}

func (s *till) counts() (charges, tries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.charges, s.tries
}

const frameForm = `<!doctype html><title>Provider</title><form method="post"><input id="card" name="card"><button id="pay">Pay</button></form>`

func newTill(t *testing.T, form string) *till {
	s := &till{ServeMux: http.NewServeMux(), form: form, state: "payment_pending", order: uuid.New()}
	if form == "" { // the buyer's choice
		s.methods = []string{"card", "paypal", "bank_transfer"}
	}
	s.provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path == "/checkoutnow" { // a page to which the buyer goes
			s.mu.Lock()
			s.going = q.Get("return_url")
			s.mu.Unlock()
			_, _ = io.WriteString(w, `<!doctype html><title>Provider</title><a id="approve" href="/approved">Pay</a>`)
			return
		}
		if r.URL.Path == "/approved" {
			s.try("4242")
			s.mu.Lock()
			defer s.mu.Unlock()
			http.Redirect(w, r, s.going, http.StatusSeeOther)
			return
		}
		if q.Get("embed") != "1" || q.Get("client_secret") != "s" {
			http.Error(w, "not embedded", http.StatusNotFound)
			return
		}
		// It lets itself be framed by the page that it was opened for only.
		w.Header().Set("Content-Security-Policy", "frame-ancestors "+q.Get("parent"))
		w.Header().Set("Content-Type", "text/html")
		if r.Method == http.MethodPost {
			s.try(r.PostFormValue("card"))
		}
		_, _ = io.WriteString(w, frameForm)
	}))
	t.Cleanup(s.provider.Close)
	money := queue.Money{Minor: 6975, Currency: "EUR"}
	event := map[string]any{
		"id": "arena", "name": "Night", "starts_at": "2027-06-12T19:00:00.000Z", "time_zone": "Europe/Madrid", "currency": "EUR",
		"venue": map[string]string{"name": "Arena", "city": "Valencia", "country": "ES"}, "per_buyer": 4,
		"tiers": []map[string]any{{"id": "floor", "name": "Floor", "kind": "general", "price": money, "face": money, "fee": queue.Money{Currency: "EUR"}, "tax": queue.Money{Currency: "EUR"}, "left": 100}},
	}
	s.HandleFunc("GET /v1/events/arena", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		event["payment_methods"] = s.methods
		fakeJSON(w, 200, event)
	})
	s.HandleFunc("POST /v1/orders", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Method string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.method, s.form = body.Method, map[string]string{"card": "frame", "paypal": "redirect", "bank_transfer": "instructions"}[body.Method]
		fakeJSON(w, 201, map[string]any{"id": s.order, "event": "arena", "state": "payment_pending"})
	})
	s.HandleFunc("GET /v1/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != s.order.String() {
			fakeProblem(w, 404, "order_unknown")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		pay := map[string]any{"attempt": 1, "state": "begun", "failure": s.failure}
		if s.state != "ticket_issued" {
			pay["form"], pay["client_secret"], pay["publishable_key"] = s.form, "s", "pk_test_1"
			switch s.form {
			case "frame":
				pay["pay_url"] = s.provider.URL + "/pay/pi_1?client_secret=s"
			case "redirect":
				pay["pay_url"] = s.provider.URL + "/checkoutnow?token=5O1"
			case "instructions":
				if s.method != "" {
					pay["method"], pay["pay_to"], pay["provider_ref"] = s.method, "PT50 0002 0123, <b>Club</b>", "RF18539007547034"
					break
				}
				pay["instructions"] = "Send 69.75 EUR to\nDE00 0000"
			}
		}
		tickets := []uuid.UUID{}
		if s.state == "ticket_issued" {
			tickets = []uuid.UUID{uuid.New()}
		}
		fakeJSON(w, 200, map[string]any{
			"id": s.order, "event": "arena", "state": s.state, "amount": money, "tickets": tickets, "payment": pay,
			"server_time": time.Now(), "deadline": time.Now().Add(time.Minute),
			"lines": []map[string]any{{"tier": "floor", "seat": "", "face": money, "fee": queue.Money{Currency: "EUR"}, "tax": queue.Money{Currency: "EUR"}}},
		})
	})
	s.HandleFunc("GET /v1/tickets/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "image/png" {
			fakeProblem(w, 404, "no_picture")
			return
		}
		fakeJSON(w, 200, map[string]any{"id": uuid.New(), "tier": "floor", "seat": "", "code": "THE-CODE"})
	})
	return s
}

// counter is a node with a till, and a browser whose turn it is.
type counter struct {
	t    *testing.T
	ctx  context.Context
	said *complaints
	till *till
	base string
}

func newCounter(t *testing.T, form string, options ...chromedp.ExecAllocatorOption) *counter {
	t.Helper()
	c := &counter{t: t, till: newTill(t, form)}
	c.ctx, c.said = startBrowser(t, options...)
	world := newWorld(t)
	world.shop = c.till
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	c.base = "http://" + n.Addr().String()
	c.step("join", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	c.shows("The order is drawn when the sale opens")
	world.open("arena", everybody)
	c.step("the shop", chromedp.WaitVisible("#tier-floor"))
	c.evaluate(`localStorage.setItem("fairgate:arena", JSON.stringify({order: "` + c.till.order.String() + `"}))`)
	return c
}

func (c *counter) step(what string, actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if err := chromedp.Do(c.ctx, actions...); err != nil {
		shown, _ := chromedp.Run(c.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		c.t.Fatalf("%s: %v; the page shows:\n%s", what, err, shown)
	}
}

func (c *counter) evaluate(script string) {
	c.t.Helper()
	if _, err := chromedp.Run(c.ctx, chromedp.Evaluate[any](script)); err != nil {
		c.t.Fatalf("%s: %v", script, err)
	}
}

func (c *counter) shows(what string) {
	c.t.Helper()
	eventually(c.t, "the page shows "+what, func() bool {
		shown, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		return err == nil && strings.Contains(shown, what)
	})
}

func (c *counter) at(path string) {
	c.t.Helper()
	eventually(c.t, "the browser is at "+path, func() bool {
		where, err := chromedp.Run(c.ctx, chromedp.Location())
		return err == nil && where == c.base+path
	})
}

// quiet checks that the browser has nothing to complain about but what is expected.
func (c *counter) quiet(but ...string) {
	c.t.Helper()
	c.said.mu.Lock()
	defer c.said.mu.Unlock()
next:
	for _, text := range c.said.list {
		for _, expected := range but {
			if strings.Contains(text, expected) {
				continue next
			}
		}
		c.t.Errorf("the browser complains: %s", text)
	}
}

// inFrame does something in the provider's form.
func (c *counter) inFrame(what string, actions func(frame chromedp.QueryOption) []chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	c.step("the frame", chromedp.WaitVisible("iframe.provider"))
	frames, err := chromedp.Run(c.ctx, chromedp.Nodes("iframe.provider"))
	if err != nil || len(frames) != 1 {
		c.t.Fatalf("%s: %d frames, %v", what, len(frames), err)
	}
	c.step(what, actions(chromedp.FromNode(frames[0]))...)
}

// card fills in a card and pays.
func (c *counter) card(number string) {
	c.t.Helper()
	_, before := c.till.counts()
	c.inFrame("a card", func(frame chromedp.QueryOption) []chromedp.Action[chromedp.Void] {
		return []chromedp.Action[chromedp.Void]{
			chromedp.WaitVisible("#card", frame), chromedp.SendKeys("#card", number, frame), chromedp.Click("#pay", frame),
		}
	})
	eventually(c.t, "the card gets to the provider", func() bool { _, after := c.till.counts(); return after == before+1 })
}

func TestACardIsPaidWithInTheProvidersFrame(t *testing.T) {
	c := newCounter(t, "frame")
	c.step("the order", chromedp.Navigate(c.base+"/e/arena"))
	page := "/e/arena/pay/" + c.till.order.String()
	c.at(page) // the event's page lets no form in, and hands over
	c.shows("€69.75")
	c.card("4000000000000002")
	c.shows("The card was declined. Your tickets are still held: try another card.")
	c.step("load the page again", chromedp.Reload())
	c.at(page)
	c.card("4242424242424242")
	c.at("/e/arena")
	c.shows("Your tickets are here")
	c.step("the address of the payment", chromedp.Navigate(c.base+page))
	c.at("/e/arena")
	c.shows("Your tickets are here")
	if charges, tries := c.till.counts(); charges != 1 || tries != 2 {
		t.Errorf("%d charges in %d tries", charges, tries)
	}
	c.quiet("404")
}

// stripeJS behaves as Stripe's script does, as far as the page uses it: the card is told apart by what is in the field.
const stripeJS = `window.Stripe = (key) => ({
  retrievePaymentIntent: async (secret) => ({ paymentIntent: { status: (await (await fetch('https://api.stripe.com/status')).json()).status } }),
  elements: ({ clientSecret }) => ({ create: (kind) => ({ mount: (node) => {
    const inner = document.createElement('iframe');
    inner.src = 'https://js.stripe.com/frame?' + kind;
    inner.addEventListener('load', () => { node.dataset.ready = key + ' ' + clientSecret; });
    const field = document.createElement('input');
    field.id = 'card';
    node.append(field, inner);
  } }) }),
  confirmPayment: async ({ elements, redirect, confirmParams }) => {
    const answer = await fetch('https://api.stripe.com/confirm', { method: 'POST', body: new URLSearchParams({ card: document.getElementById('card').value, redirect, return_url: confirmParams.return_url }) });
    return answer.json();
  },
});`

// fakeStripe is js.stripe.com and api.stripe.com to a browser that is told that they are here.
func fakeStripe(t *testing.T, s **till) chromedp.ExecAllocatorOption {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch r.Host + r.URL.Path {
		case "js.stripe.com/v3/":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, stripeJS)
		case "js.stripe.com/frame":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<!doctype html><title>f</title>")
		case "api.stripe.com/status":
			charges, _ := (*s).counts()
			fmt.Fprintf(w, `{"status":%q}`, [...]string{"requires_payment_method", "requires_capture"}[min(charges, 1)])
		case "api.stripe.com/confirm":
			card := r.PostFormValue("card")
			if r.PostFormValue("redirect") != "if_required" || !strings.HasSuffix(r.PostFormValue("return_url"), (*s).order.String()) {
				t.Errorf("confirmed with %v", r.PostForm)
			}
			if card == "3184" { // the buyer cannot prove who they are; the order hears of it by and by
				_, _ = io.WriteString(w, `{"error":{"code":"payment_intent_authentication_failure","message":"We are unable to authenticate your payment method."}}`)
				return
			}
			(*s).try(card)
			if strings.HasPrefix(card, "4242") {
				_, _ = io.WriteString(w, `{"paymentIntent":{"status":"requires_capture"}}`)
				return
			}
			_, _ = io.WriteString(w, `{"error":{"code":"card_declined","message":"Your card was declined."}}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return func(a *chromedp.ExecAllocator) {
		address := server.Listener.Addr().String()
		chromedp.Flag("host-resolver-rules", "MAP js.stripe.com:443 "+address+", MAP api.stripe.com:443 "+address+", MAP *.stripe.com ~NOTFOUND")(a)
		chromedp.Flag("ignore-certificate-errors", true)(a)
	}
}

func TestACardIsPaidWithInStripesOwnForm(t *testing.T) {
	var s *till
	c := newCounter(t, "stripe_elements", fakeStripe(t, &s))
	s = c.till
	c.step("the order", chromedp.Navigate(c.base+"/e/arena"))
	page := "/e/arena/pay/" + c.till.order.String()
	c.at(page)
	c.step("Stripe's form is there", chromedp.WaitVisible(`[data-ready="pk_test_1 s"]`))
	c.step("a proof that fails", chromedp.SendKeys("#card", "3184"), chromedp.Click("form button"))
	c.shows("We are unable to authenticate your payment method.")
	c.step("a card that is declined", chromedp.SetValue("#card", "0002"), chromedp.Click("form button"))
	c.shows("Your tickets are still held")
	c.step("another card, clicked twice", chromedp.SetValue("#card", "4242"))
	c.evaluate(`{ const go = document.querySelector('form button'); go.click(); go.click(); }`)
	c.at("/e/arena")
	c.shows("Your tickets are here")
	c.step("the address of the payment", chromedp.Navigate(c.base+page))
	c.at("/e/arena")
	if charges, tries := c.till.counts(); charges != 1 || tries != 2 {
		t.Errorf("%d charges in %d tries", charges, tries)
	}
	c.quiet("404")
}

func TestAFormThatCannotBeLoadedSaysSo(t *testing.T) {
	c := newCounter(t, "stripe_elements", chromedp.Flag("host-resolver-rules", "MAP *.stripe.com ~NOTFOUND"))
	c.step("the order", chromedp.Navigate(c.base+"/e/arena"))
	c.shows("The payment form cannot be loaded.")
	c.quiet("404", "ERR_NAME_NOT_RESOLVED")
}

func TestInstructionsAreShownAsTheyAre(t *testing.T) {
	c := newCounter(t, "instructions")
	c.step("the order", chromedp.Navigate(c.base+"/e/arena"))
	c.shows("DE00 0000")
	c.at("/e/arena")
	c.quiet("404")
}

// chooses holds a ticket and chooses how to pay for it.
func (c *counter) chooses(method string) {
	c.t.Helper()
	c.step("the shop", chromedp.WaitVisible("#tier-floor"), chromedp.SetValue("#tier-floor", "1"))
	c.evaluate(`document.querySelector('#tier-floor').dispatchEvent(new Event('change'))`)
	c.step("hold", chromedp.Click(".buybar > button"), chromedp.WaitVisible("#email"))
	if first, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](`document.querySelector('[name="method"]:checked').value`)); err != nil || first != "card" {
		c.t.Errorf("who makes no choice pays by %q, %v", first, err)
	}
	c.step("choose "+method, chromedp.Click(`input[value="`+method+`"]`), chromedp.Click("form .actions button"))
}

func TestWhoChoosesPayPalGoesThereAndComesBackWithTickets(t *testing.T) {
	c := newCounter(t, "")
	c.chooses("paypal")
	c.step("go to PayPal", chromedp.WaitVisible("#view a.button"), chromedp.Click("#view a.button"), chromedp.WaitVisible("#approve"), chromedp.Click("#approve"))
	c.at("/e/arena")
	c.shows("Your tickets are here")
	if charges, _ := c.till.counts(); charges != 1 || c.till.method != "paypal" {
		t.Errorf("%d charges by %q", charges, c.till.method)
	}
	c.quiet("404")
}

func TestWhoChoosesATransferIsToldWhatToSendAndGetsTicketsWhenItIsThere(t *testing.T) {
	c := newCounter(t, "")
	c.chooses("bank_transfer")
	for _, part := range []string{"Pay by bank transfer", "PT50 0002 0123, <b>Club</b>", "RF18 5390 0754 7034", "69.75", "Until"} {
		c.shows(part)
	}
	c.at("/e/arena")
	c.step("a closed and opened tab keeps it", chromedp.Navigate(c.base+"/e/arena"))
	c.shows("RF18 5390 0754 7034")
	c.step("the page that needs no script", chromedp.Navigate(c.base+"/e/arena/pay/"+c.till.order.String()))
	c.shows("RF18 5390 0754 7034")
	c.till.try("4242") // an operator records the money
	c.at("/e/arena")
	c.shows("Your tickets are here")
	c.quiet("404")
}

func TestAPaymentPageIsOnlyForWhoHasSomethingToPay(t *testing.T) {
	world := newWorld(t)
	s := newTill(t, "frame")
	world.shop = s
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page := "/e/arena/pay/" + s.order.String()
	away := func(what, path string) {
		t.Helper()
		r := b.do(n, "GET", path, "")
		if r.status != http.StatusSeeOther || r.header.Get("Location") != "/e/arena" || len(r.body) > 0 || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d to %q with %q", what, r.status, r.header.Get("Location"), r.body)
		}
	}
	away("without a session", page)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	r := b.do(n, "GET", page, "")
	policy := r.header.Get("Content-Security-Policy")
	if r.status != http.StatusOK || !strings.Contains(policy, "frame-src "+s.provider.URL) || strings.Contains(policy, "stripe") ||
		r.header.Get("Cache-Control") != "no-store" || !strings.Contains(string(r.body), s.order.String()) {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	if other := b.do(n, "GET", "/e/arena", "").header.Get("Content-Security-Policy"); strings.Contains(other, "frame-src") {
		t.Errorf("the event's page lets in %q", other)
	}
	away("an order that is not theirs", "/e/arena/pay/"+uuid.NewString())
	b.do(n, "POST", page, "").expect(t, "a form sent to us", 405, "method_not_allowed")
	for _, wrong := range []string{"/e/arena/pay/", "/e/arena/pay/1", "/e/Arena/pay/" + s.order.String(), page + "/", "/e/arena/paid/" + s.order.String()} {
		b.do(n, "GET", wrong, "").expect(t, wrong, 404, "not_found")
	}
	s.try("4242")
	away("a paid order", page)
}
