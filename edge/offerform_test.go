package edge

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// fakeList is a core's waiting list of one event and one account, behind what signsIn answers.
type fakeList struct {
	http.Handler
	mu        sync.Mutex
	entries   []map[string]any
	offer     map[string]any
	reminders []string
	wish      map[string]any
	ordered   map[string]any
	keys      []string // of orders
	order     uuid.UUID
	reordered bool // the hold has its order, opened with other details
}

func (l *fakeList) answer(rw http.ResponseWriter, r *http.Request, behind http.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, _ := l.offer["id"].(string)
	public := r.URL.Path == "/v1/events/arena" || r.URL.Path == "/v1/account/code" || r.URL.Path == "/v1/account/session"
	if !public && r.Header.Get("Fairgate-Account") == "" {
		fakeProblem(rw, 401, "signed_out")
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/events/arena":
		fakeJSON(rw, 200, map[string]any{"id": "arena", "name": "<i>Great</i> night", "state": "active", "time_zone": "Europe/Madrid", "per_buyer": 4, "waiting_list": true,
			"starts_at": "2027-06-12T19:00:00Z", "venue": map[string]string{"name": "Arena", "city": "Valencia"},
			"payment_methods": []string{"card", "bank_transfer"}, "tiers": []map[string]any{{"id": "floor", "name": "Floor", "kind": "general"}, {"id": "lower", "name": "Lower ring", "kind": "seated"}}})
	case "GET /v1/events/arena/waitlist":
		fakeJSON(rw, 200, map[string]any{"open": true})
	case "GET /v1/waitlist":
		fakeJSON(rw, 200, map[string]any{"entries": l.entries})
	case "GET /v1/reminders":
		list := []map[string]any{}
		if len(l.reminders) > 0 {
			list = append(list, map[string]any{"event": "arena", "occasions": l.reminders})
		}
		fakeJSON(rw, 200, map[string]any{"reminders": list})
	case "GET /v1/offers/" + id:
		fakeJSON(rw, 200, l.offer)
	case "POST /v1/offers/" + id + "/accept":
		l.offer["state"] = "accepted"
		l.entries[0]["offers"] = []any{l.offer}
		fakeJSON(rw, 200, l.offer)
	case "POST /v1/offers/" + id + "/decline":
		l.entries[0]["state"], l.entries[0]["offers"] = "left", []any{}
		fakeJSON(rw, 200, l.offer)
	case "POST /v1/orders":
		l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
		if l.reordered {
			fakeProblem(rw, 409, "order_exists")
			return
		}
		readJSON(rw, r, &l.ordered)
		fakeJSON(rw, 201, map[string]any{"id": l.order})
	case "GET /v1/account/orders":
		fakeJSON(rw, 200, map[string]any{"orders": []map[string]any{{"id": uuid.New(), "event": "other", "name": "Other", "state": "payment_pending", "amount": map[string]any{"minor": 1, "currency": "EUR"}, "created_at": "2027-01-02T10:00:00Z"}, {"id": l.order, "event": "arena", "name": "Night",
			"state": "payment_pending", "amount": map[string]any{"minor": 1, "currency": "EUR"}, "created_at": "2027-01-02T10:00:00Z"}}})
	case "GET /v1/orders/" + l.order.String():
		fakeJSON(rw, 200, map[string]any{"id": l.order, "event": "arena", "state": "payment_pending", "amount": map[string]any{"minor": 13950, "currency": "EUR"}, "lines": []any{},
			"payment": map[string]any{"pay_url": "https://pay.example/1"}})
	case "PUT /v1/events/arena/waitlist/entry":
		if l.wish = map[string]any{}; !readJSON(rw, r, &l.wish) {
			return
		}
		if l.wish["quantity"] == float64(0) {
			fakeProblem(rw, 422, "waiting_list_wish")
			return
		}
		l.entries = []map[string]any{{"event": "arena", "state": "waiting", "tiers": l.wish["tiers"], "quantity": l.wish["quantity"], "together": l.wish["together"], "resold": l.wish["resold"], "ahead": 7}}
		fakeJSON(rw, 201, l.entries[0])
	case "DELETE /v1/events/arena/waitlist/entry":
		l.entries = nil
		fakeJSON(rw, 200, map[string]bool{"left": true})
	case "PUT /v1/events/arena/reminders":
		var in struct{ Occasions []string }
		readJSON(rw, r, &in)
		if slices.Contains(in.Occasions, "sale_opens") {
			fakeProblem(rw, 409, "reminder_past")
			return
		}
		l.reminders = in.Occasions
		fakeJSON(rw, 200, map[string]any{"occasions": in.Occasions})
	case "DELETE /v1/events/arena/reminders":
		l.reminders = nil
		fakeJSON(rw, 200, map[string]any{"occasions": []string{}})
	default:
		behind.ServeHTTP(rw, r)
	}
}

// offered makes the account one that is offered two tickets.
func (l *fakeList) offered() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := uuid.NewString()
	l.offer = map[string]any{"id": id, "event": "arena", "tier": "lower", "quantity": 2, "state": "open", "expires_at": "2027-05-01T10:00:00Z", "hold_id": uuid.NewString(),
		"hold": map[string]any{"deadline": "2027-05-01T10:00:00Z", "amount": map[string]any{"minor": 13950, "currency": "EUR"}, "items": []map[string]any{{"seats": []string{"101/A/1", "101/A/2"}}}}}
	l.entries = []map[string]any{{"event": "arena", "state": "offered", "tiers": []string{"lower"}, "quantity": 2, "offers": []any{l.offer}}}
	return id
}

type listWorld struct {
	t    *testing.T
	list *fakeList
	n    *testNode
	b    *buyer
}

func newListWorld(t *testing.T, phase string) *listWorld {
	t.Helper()
	world, n := accountWorld(t, "arena")
	list := &fakeList{order: uuid.New()}
	world.mu.Lock()
	behind := world.shop
	world.shop = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { list.answer(rw, r, behind) })
	event := world.events["arena"]
	world.mu.Unlock()
	if phase == "ended" {
		world.change(func() { event.state.Phase = "ended" })
	}
	if phase != "joining" {
		eventually(t, "the node knows how the sale stands", func() bool { return string(n.board.Entry([]byte("arena")).State.Phase) == phase })
	}
	b := newBuyer(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &listWorld{t, list, n, b}
}

func (w *listWorld) form(fields url.Values, headers ...string) reply {
	w.t.Helper()
	return w.b.do(w.n, "POST", "/account", fields.Encode(), append(headers, asForm)...)
}

func (w *listWorld) leads(what string, r reply, to string) {
	w.t.Helper()
	if r.status != http.StatusSeeOther || r.header.Get("Location") != to {
		w.t.Fatalf("%s: %d to %q instead of %q: %s", what, r.status, r.header.Get("Location"), to, r.body)
	}
}

// page expects the account's page to have some texts, and not to have those that begin with an exclamation mark.
func (w *listWorld) page(what string, r reply, status int, texts ...string) {
	w.t.Helper()
	if r.status != status || r.header.Get("Cache-Control") != "no-store" || !strings.Contains(r.header.Get("Content-Security-Policy"), "form-action 'self'") {
		w.t.Fatalf("%s: %d %v: %s", what, r.status, r.header, r.body)
	}
	for _, text := range texts {
		without, not := strings.CutPrefix(text, "!")
		if strings.Contains(string(r.body), without) == not {
			w.t.Errorf("%s, %q: %s", what, text, r.body)
		}
	}
}

func (w *listWorld) account(what string, texts ...string) {
	w.t.Helper()
	w.page(what, w.b.do(w.n, "GET", "/account", ""), 200, texts...)
}

func TestAnOfferIsShownAcceptedAndPaidByFormsAlone(t *testing.T) {
	w := newListWorld(t, "joining")
	id := w.list.offered()
	accept := url.Values{"step": {"accept"}, "offer": {id}, "method": {"bank_transfer"}}
	w.page("of nobody", w.form(accept), 401, `name="email"`)
	w.b.signIn(w.n, "ann@example.org")
	w.account("the offer", "2 tickets: Lower ring, 101/A/1, 101/A/2", "139.50", "12:00", id, `value="accept"`, `value="decline"`, `value="bank_transfer"`, "&lt;i&gt;Great&lt;/i&gt; night", "!<i>Great", "0f9f4e9a")
	w.form(accept, "Origin: https://evil.example").expect(t, "from elsewhere", 403, "origin_forbidden")
	if len(w.list.keys) != 0 {
		t.Fatal("a foreign page ordered")
	}
	to := "/e/arena/order/" + w.list.order.String()
	w.leads("accepting", w.form(accept), to)
	if o := w.list.ordered; o["hold_id"] != w.list.offer["hold_id"] || o["email"] != "ann@example.org" || o["method"] != "bank_transfer" {
		t.Errorf("ordered %v", o)
	}
	if r := w.b.do(w.n, "GET", to, ""); r.status != 200 || !strings.Contains(string(r.body), "https://pay.example/1") {
		t.Errorf("the order's page: %d %s", r.status, r.body)
	}
	w.account("accepted", "Continue to payment", "!bank_transfer")
	w.list.reordered = true
	w.leads("again, with other details", w.form(url.Values{"step": {"accept"}, "offer": {id}}), to)
	if len(w.list.keys) != 2 || w.list.keys[0] != w.list.keys[1] {
		t.Errorf("the keys of the orders: %v", w.list.keys)
	}
	w.page("no offer", w.form(url.Values{"step": {"accept"}, "offer": {"../../x"}}), 400, `role="alert"`)
}

func TestAnOfferIsDeclinedByFormsAlone(t *testing.T) {
	w := newListWorld(t, "joining")
	id := w.list.offered()
	w.b.signIn(w.n, "ann@example.org")
	w.leads("declining", w.form(url.Values{"step": {"decline"}, "offer": {id}}), "/account#offers")
	w.account("declined", "!"+id, "!Offers and waiting lists")
	w.page("one that is nobody's", w.form(url.Values{"step": {"accept"}, "offer": {uuid.NewString()}}), 502, `role="alert"`, "ann@example.org")
}

func TestOneAsksIsRemindedAndLeavesByFormsAlone(t *testing.T) {
	w := newListWorld(t, "ended")
	event := w.b.do(w.n, "GET", "/e/arena", "")
	if !strings.Contains(string(event.body), `href="/account?event=arena&amp;then=ask"`) || !strings.Contains(string(event.body), "Ask for what comes back") {
		t.Fatalf("the event's page leads nowhere: %s", event.body)
	}
	here := "/account?event=arena&then=ask"
	w.page("nobody", w.b.do(w.n, "GET", here, ""), 200, `name="then" value="ask"`, `name="email"`)
	w.form(url.Values{"step": {"code"}, "email": {"ann@example.org"}})
	w.leads("signing in", w.form(url.Values{"step": {"session"}, "email": {"ann@example.org"}, "code": {"123456"}, "event": {"arena"}, "then": {"ask"}}), here)
	w.page("asking", w.b.do(w.n, "GET", here, ""), 200, `value="lower"`, "<option>4</option>", "!<option>5</option>", `value="ask"`, "!"+`value="leave"`, "!"+`value="remind"`)
	ask := url.Values{"step": {"ask"}, "event": {"arena"}, "then": {"ask"}, "tier": {"lower", "floor"}, "quantity": {"2"}, "together": {"yes"}}
	w.page("nothing", w.form(url.Values{"step": {"ask"}, "event": {"arena"}, "quantity": {"2"}}), 422, `role="alert"`, "at least one kind")
	w.page("no number", w.form(url.Values{"step": {"ask"}, "event": {"arena"}, "tier": {"floor"}, "quantity": {"-1"}}), 422, `role="alert"`, "does not sell that")
	w.leads("asking", w.form(ask), here+"#offers")
	want := `{"language":"en","quantity":2,"resold":false,"tiers":["lower","floor"],"together":true}`
	if got, _ := json.Marshal(w.list.wish); string(got) != want {
		t.Errorf("asked %s", got)
	}
	w.page("on the list", w.b.do(w.n, "GET", here, ""), 200, "2 tickets: Lower ring, Floor", "7 people are in front of you", `value="leave"`, "Change what I ask for", "<option selected>2</option>", `name="together" value="yes" checked`)
	w.list.reminders = []string{"returned"}
	w.page("reminded", w.b.do(w.n, "GET", here, ""), 200, "when there are tickets again", `value="returned" checked`, `value="withdraw"`, "!room_opens")
	w.page("of what is past", w.form(url.Values{"step": {"remind"}, "event": {"arena"}, "occasion": {"sale_opens"}}), 409, `role="alert"`, "That is so already")
	w.leads("leaving", w.form(url.Values{"step": {"leave"}, "event": {"arena"}}), "/account#offers")
	w.leads("withdrawing", w.form(url.Values{"step": {"withdraw"}, "event": {"arena"}}), "/account#offers")
	w.account("after that", "!Offers and waiting lists")
	w.page("of no event", w.form(url.Values{"step": {"leave"}, "event": {"//x"}}), 400, `role="alert"`)
	w.leads("being reminded", w.form(url.Values{"step": {"remind"}, "event": {"arena"}, "occasion": {"returned", "room_opens"}, "then": {"ask"}}), here+"#offers")
	w.account("being reminded", "when there are tickets again", "when the waiting room opens")
}

func TestTheAccountShowsItsTicketsWhenCoreDoesNotSayWhatItWaitsFor(t *testing.T) {
	world, n := accountWorld(t)
	world.mu.Lock()
	behind := world.shop
	world.shop = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/waitlist" {
			fakeProblem(rw, 503, "database_unavailable")
			return
		}
		behind.ServeHTTP(rw, r)
	})
	world.mu.Unlock()
	w := &listWorld{t: t, n: n, b: newBuyer(t)}
	w.b.signIn(n, "ann@example.org")
	w.account("the page", "0f9f4e9a", "Offers and waiting lists cannot be shown")
}

func TestEverybodyCanAnswerOffersInABrowserWithoutScripts(t *testing.T) {
	w := newListWorld(t, "ended")
	w.list.offered()
	w.list.mu.Lock()
	w.list.reminders = []string{"returned"}
	offered := w.list.entries[0]
	offered["event"] = "other" // so that there is something to ask of this event
	w.list.entries = append(w.list.entries, map[string]any{"event": "arena", "state": "waiting", "tiers": []string{"floor"}, "quantity": 1, "ahead": 1, "resold": true})
	w.list.mu.Unlock()
	ctx, _ := startBrowser(t)
	base := "http://" + w.n.Addr().String()
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	step("sign in", chromedp.Navigate(base+"/account?event=arena&then=ask"), chromedp.WaitVisible("#email"), chromedp.SendKeys("#email", "ann@example.org"), chromedp.Click("form.card button"),
		chromedp.WaitVisible("#code"), chromedp.SendKeys("#code", "123456"), chromedp.Click("form.card button"), chromedp.WaitVisible("#offers #quantity"))
	look(ctx, t, "offers")
	noScript := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
	step("without scripts", noScript, chromedp.Navigate(base+"/account?event=arena&then=ask"), chromedp.WaitVisible(`button[value="leave"]`), chromedp.Click(`input[value="lower"]`), chromedp.Click(`button[value="ask"]`), chromedp.WaitVisible(`input[value="lower"][checked]`))
	w.list.offered()
	step("accept", chromedp.Navigate(base+"/account"), chromedp.WaitVisible(`button[value="accept"]`), chromedp.Click(`button[value="accept"]`), chromedp.WaitVisible(`a[href^="https://pay.example/1"]`))
}
