package edge

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"fairgate/edge/queue"
)

// hostile is a name that would do harm if the page took it for markup.
const hostile = `Night <img src=x onerror="document.title='harmed'"> & Day`

// fakeShop is a shop behind the fake core with one order, and the page of its payment provider.
type fakeShop struct {
	*http.ServeMux

	mu       sync.Mutex
	paid     bool
	pictures int // of the ticket's code, each one larger up to the third
	order    uuid.UUID
	ticket   uuid.UUID
	provider *httptest.Server
}

func newShop(t *testing.T) *fakeShop {
	s := &fakeShop{ServeMux: http.NewServeMux(), order: uuid.New(), ticket: uuid.New()}
	s.provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("pay") != "" {
			s.mu.Lock()
			s.paid = true
			s.mu.Unlock()
			http.Redirect(w, r, r.URL.Query().Get("return_url")+"?redirect_status=succeeded", http.StatusSeeOther)
			return
		}
		fmt.Fprintf(w, `<!doctype html><title>Provider</title><a id="pay" href="?pay=1&amp;return_url=%s">Pay</a>`, r.URL.Query().Get("return_url"))
	}))
	t.Cleanup(s.provider.Close)
	money := queue.Money{Minor: 6975, Currency: "EUR"}
	tier := func(id, name, kind string, left int) map[string]any {
		return map[string]any{"id": id, "name": name, "kind": kind, "left": left, "price": money, "face": queue.Money{Minor: 6500, Currency: "EUR"},
			"fee": queue.Money{Minor: 475, Currency: "EUR"}, "tax": queue.Money{Currency: "EUR"}}
	}
	event := map[string]any{
		"id": "arena", "name": hostile, "starts_at": "2027-06-12T19:00:00.000Z", "time_zone": "Europe/Madrid", "currency": "EUR",
		"venue": map[string]string{"name": "Arena", "city": "Valencia", "country": "ES"}, "on_sale": map[string]string{"phase": "joining", "opens_at": "2026-05-01T10:00:00.000Z"},
		"per_buyer": 4, "tiers": []map[string]any{tier("floor", "Floor", "general", 100), tier("lower", "Lower ring", "seated", 1)},
	}
	s.HandleFunc("GET /v1/events", func(w http.ResponseWriter, _ *http.Request) {
		fakeJSON(w, 200, map[string]any{"events": []any{event}, "next": ""})
	})
	s.HandleFunc("GET /v1/events/arena", func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, event) })
	s.HandleFunc("GET /v1/events/arena/seats", func(w http.ResponseWriter, _ *http.Request) {
		fakeJSON(w, 200, map[string]any{"id": "none-1", "geometry": fakeGeometry, "states": []byte{4},
			"sections": []count{{"101", 1}}, "tiers": []count{{"floor", 100}}})
	})
	s.HandleFunc("GET /v1/events/arena/seats/geometry/"+fakeGeometry, func(w http.ResponseWriter, _ *http.Request) {
		fakeJSON(w, 200, map[string]any{"seats": 2, "sections": []any{map[string]any{"id": "101", "tier": "lower", "rows": []any{[]any{"A", 1, 2}}}}})
	})
	order := func() map[string]any {
		s.mu.Lock()
		defer s.mu.Unlock()
		state, tickets := "payment_pending", []uuid.UUID{}
		if s.paid {
			state, tickets = "ticket_issued", []uuid.UUID{s.ticket}
		}
		return map[string]any{
			"id": s.order, "event": "arena", "state": state, "amount": money, "tickets": tickets,
			"server_time": time.Now(), "deadline": time.Now().Add(time.Minute),
			"lines":   []map[string]any{{"tier": "floor", "seat": "", "face": money, "fee": queue.Money{Currency: "EUR"}, "tax": queue.Money{Currency: "EUR"}}},
			"payment": map[string]any{"attempt": 1, "state": "begun", "pay_url": s.provider.URL + "/?client_secret=s", "failure": ""},
		}
	}
	s.HandleFunc("GET /v1/events/arena/listings", func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, map[string]any{"listings": []any{}}) })
	s.HandleFunc("POST /v1/orders", func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 201, order()) })
	s.HandleFunc("GET /v1/orders/", func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, order()) })
	s.HandleFunc("GET /v1/tickets/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "image/png" {
			s.mu.Lock()
			s.pictures++
			side := min(s.pictures, 3)
			s.mu.Unlock()
			var picture bytes.Buffer
			_ = png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8*side, 8*side)))
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(picture.Bytes())
			return
		}
		fakeJSON(w, 200, map[string]any{"id": s.ticket, "tier": "floor", "seat": "", "code": "CODE", "rotating": map[string]any{"period": "1s"},
			"wallets": map[string]string{"apple": "/v1/tickets/" + s.ticket.String() + "/wallet/apple"}})
	})
	return s
}

// complaints are what a browser says is wrong with a page: exceptions, failed requests, violations of the policy.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) add(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, text)
}

// startBrowser starts a Chromium with one tab.
func startBrowser(t *testing.T, options ...chromedp.ExecAllocatorOption) (context.Context, *complaints) {
	t.Helper()
	return startBrowserFor(t, 5*time.Minute, options...)
}

// startBrowserFor is startBrowser for a test that may take so long.
func startBrowserFor(t *testing.T, atMost time.Duration, options ...chromedp.ExecAllocatorOption) (context.Context, *complaints) {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("the pages cannot be tested without a browser: `make setup` installs Chromium, or run apt-get install chromium")
	}
	options = append([]chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true)}, options...)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, atMost)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil {
		t.Fatal(err)
	}
	said := &complaints{}
	go func() { // ends with ctx
		for message := range chromedp.Console(ctx) {
			if message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleException {
				said.add(message.Text + " (" + message.URL + ")")
			}
		}
	}()
	return ctx, said
}

// press clicks on something in the middle of the screen.
func press(selector string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if v, err := chromedp.WaitVisible(selector)(ctx, t); err != nil {
			return v, err
		}
		if _, err := chromedp.Evaluate[any](`document.querySelector('`+selector+`').scrollIntoView({ block: 'center' })`)(ctx, t); err != nil {
			return chromedp.Void{}, err
		}
		return chromedp.Click(selector)(ctx, t)
	}
}

// inList opens the first row of the first section in the list of seats.
func inList(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	for _, selector := range []string{".views button:last-child", ".seatlist > details:first-child > summary", ".seatrows > details:first-child > summary"} {
		if v, err := press(selector)(ctx, t); err != nil {
			return v, err
		}
	}
	return chromedp.WaitVisible(".seat:first-child")(ctx, t)
}

func TestAPersonBuysATicketInARealBrowser(t *testing.T) {
	ctx, said := startBrowser(t)
	world := newWorld(t)
	shop := newShop(t)
	world.shop = shop
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	world.addSeats(2)
	world.moveSeats(1, 1)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	base := "http://" + n.Addr().String()
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			shown, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			t.Fatalf("%s: %v; the page shows:\n%s", what, err, shown)
		}
	}
	shows := func(what string) {
		t.Helper()
		eventually(t, "the page shows "+what, func() bool {
			shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			return err == nil && strings.Contains(shown, what)
		})
	}

	step("the list", chromedp.Navigate(base+"/"), chromedp.WaitVisible(".list a"))
	shows(hostile)
	step("the event", chromedp.Click(".list a"), chromedp.WaitVisible("form button"))
	shows(hostile)
	title, err := chromedp.Run(ctx, chromedp.Title())
	if err != nil || title != hostile+" · Fairgate" {
		t.Errorf("the title is %q: %v", title, err)
	}
	step("join", chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	shows("The order is drawn when the sale opens")
	world.open("arena", nobody)
	shows("People ahead of you")
	step("a closed and opened tab keeps the place", chromedp.Navigate(base+"/e/arena"))
	shows("Your place in the draw")
	world.open("arena", everybody)
	step("the shop", chromedp.WaitVisible("#tier-floor"))
	step("choose", inList, press(".seat:first-child"))
	shows("1 ticket · €69.75")
	shows("ticket €65.00 + fees €4.75")
	world.moveSeats(1, 0) // somebody else is quicker
	shows("Somebody else was quicker: Section 101, row A, seat 1.")
	if on, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('.seat').ariaPressed`)); err != nil || on != "false" {
		t.Errorf("a seat that was taken stays chosen: %s, %v", on, err)
	}
	world.moveSeats(0, 0) // and gives it back
	step("choose again", press(".seat:first-child:not([disabled])"))
	shows("1 ticket · €69.75")
	if off, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelectorAll('.seat')[1].disabled`)); err != nil || !off {
		t.Errorf("a seat that is taken can be chosen: %v", err)
	}
	step("hold", chromedp.Click(".buybar > button"), chromedp.WaitVisible("#email"))
	shows("Held for you")
	step("an address that is none", chromedp.SendKeys("#email", "buyer"), chromedp.Click("form button"))
	shows("This is no e-mail address.")
	step("order", chromedp.SendKeys("#email", "@example.org"), chromedp.Click("form button"), chromedp.WaitVisible("#view a.button"))
	step("pay", chromedp.Click("#view a.button"), chromedp.WaitVisible("#pay"), chromedp.Click("#pay"))
	step("ticket", chromedp.WaitVisible(".ticket img"))
	eventually(t, "the picture of the code is there, and drawn anew as the code rotates", func() bool {
		width, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelector('.ticket img').naturalWidth`))
		return err == nil && width == 24
	})
	if links, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll('.ticket > .actions a')].map((a) => a.textContent + ' ' + a.getAttribute('href')).join()`)); err != nil ||
		links != "Add to Apple Wallet /v1/tickets/"+shop.ticket.String()+"/wallet/apple" {
		t.Errorf("the ticket is offered to wallets by %q, %v", links, err)
	}
	if where, err := chromedp.Run(ctx, chromedp.Location()); err != nil || where != base+"/e/arena" {
		t.Errorf("after paying the browser is at %s: %v", where, err)
	}
	if harm, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll('[onerror]').length`)); err != nil || harm != 0 {
		t.Errorf("%d pieces of markup came from data: %v", harm, err)
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, text := range said.list {
		t.Errorf("the browser complains: %s", text)
	}
}

func TestThePageAsksAgainWhereThereIsNoStream(t *testing.T) {
	ctx, _ := startBrowser(t) // which complains about the refused stream
	world := newWorld(t)
	shop := newShop(t)
	world.addSeats(2)
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events/arena/seats" {
			shop.ServeHTTP(w, r)
			return
		}
		world.mu.Lock()
		defer world.mu.Unlock()
		fakeJSON(w, 200, map[string]any{"id": fmt.Sprintf("none-%d", len(world.seats.log)+1), "geometry": fakeGeometry, "states": world.seats.states,
			"sections": []count{{"101", int64(world.seats.left())}}, "tiers": []count{{"floor", 100}}})
	})
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	c := testConfig(t, world.start())
	c.Live.Streams = 1
	n := startNode(t, c).ready("arena")
	first := newBuyer(t)
	first.joinFully(n, "arena")
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+n.Addr().String()+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the browser has joined", func() bool {
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 2
	})
	world.open("arena", everybody)
	first.claim(n, "arena")
	stream := &listener{t: t}
	stream.listen(first, n, streamPath)
	stream.until("the only stream", stream.has(0, 0))
	if err := chromedp.Do(ctx, chromedp.WaitVisible(".views"), inList, press(".seat:first-child")); err != nil {
		t.Fatal(err)
	}
	world.moveSeats(1, 0)
	eventually(t, "the page tells of the seat", func() bool {
		shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
		return err == nil && strings.Contains(shown, "Somebody else was quicker: Section 101, row A, seat 1.")
	})
	if refused := n.counts.streamLimits[0].count.Get(); refused == 0 {
		t.Error("the page had a stream")
	}
}
