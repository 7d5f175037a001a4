package edge

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/queue"
)

// resumable is a till whose order can be found again, by who has a session or the one good link to it.
type resumable struct {
	*till

	link string

	seen sync.Mutex
	of   []string // what each call to /v1/orders… was made with: "session" or "link" or ""
}

func newResumable(t *testing.T) *resumable {
	s := &resumable{till: newTill(t, "frame")}
	s.link = sealedLink(s.order, time.Now().Add(time.Hour))
	return s
}

func sealedLink(order uuid.UUID, until time.Time) string {
	return base64.RawURLEncoding.EncodeToString(admission.OrderLink{KeyNo: 1, Order: order, ExpiresAt: until}.Seal(nil, []byte("a key")))
}

func (s *resumable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/v1/orders") || r.Method == http.MethodPost && r.URL.Path == "/v1/orders" {
		s.till.ServeHTTP(w, r)
		return
	}
	session, linked := r.Header.Get("Fairgate-Session") != "", r.Header.Get("Fairgate-Order-Link") == s.link
	s.seen.Lock()
	s.of = append(s.of, fmt.Sprint(r.Method, " ", r.URL.RequestURI(), " ", session, " ", linked))
	s.seen.Unlock()
	switch {
	case !session && !linked:
		fakeProblem(w, 401, "session_missing")
	case strings.HasPrefix(r.URL.Path, "/v1/orders/") && !strings.HasPrefix(r.URL.Path, "/v1/orders/"+s.order.String()):
		fakeProblem(w, 404, "order_unknown")
	case r.URL.Path == "/v1/orders":
		s.mu.Lock()
		defer s.mu.Unlock()
		orders := []any{}
		if s.state != "ticket_issued" {
			orders = append(orders, map[string]any{"id": s.order, "event": "arena", "name": "Night", "time_zone": "Europe/Madrid", "state": s.state, "tickets": 2,
				"amount": queue.Money{Minor: 6975, Currency: "EUR"}, "server_time": time.Now(), "deadline": time.Now().Add(372 * time.Second)})
		}
		fakeJSON(w, 200, map[string]any{"orders": orders})
	case !session:
		s.mu.Lock()
		state, failure := s.state, s.failure
		s.mu.Unlock()
		pay := map[string]any{"attempt": 1, "state": "begun", "failure": failure}
		if state != "ticket_issued" {
			pay["form"], pay["client_secret"], pay["pay_url"] = s.form, "s", s.provider.URL+"/pay/pi_1?client_secret=s"
		}
		fakeJSON(w, 200, map[string]any{"id": s.order, "event": "arena", "state": state, "linked": true, "tickets": []uuid.UUID{}, "payment": pay,
			"amount": queue.Money{Minor: 6975, Currency: "EUR"}, "server_time": time.Now(), "deadline": time.Now().Add(time.Minute), "lines": []any{}})
	default:
		s.till.ServeHTTP(w, r)
	}
}

// asked are the calls to /v1/orders… since the last time.
func (s *resumable) asked() []string {
	s.seen.Lock()
	defer s.seen.Unlock()
	was := s.of
	s.of = nil
	return was
}

func TestALinkToAnOrderBecomesACookieThatOpensThatOrderOnly(t *testing.T) {
	world, shop := newWorld(t), newResumable(t)
	world.shop = shop
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	path := "/v1/orders/" + shop.order.String()
	b.do(n, "GET", path, "").expect(t, "without anything", 401, "session_missing")
	for what, token := range map[string]string{
		"no link": "x", "a link to another order": sealedLink(uuid.New(), time.Now().Add(time.Hour)), "one that has expired": sealedLink(shop.order, time.Now().Add(-time.Second)),
	} {
		b.do(n, "POST", path+"/link", `{"token":"`+token+`"}`).expect(t, what, 404, "order_link_dead")
	}
	if asked := shop.asked(); len(asked) != 0 {
		t.Errorf("core was asked %q", asked)
	}
	forged := base64.RawURLEncoding.EncodeToString(admission.OrderLink{KeyNo: 1, Order: shop.order, ExpiresAt: time.Now().Add(time.Hour)}.Seal(nil, []byte("another key")))
	b.do(n, "POST", path+"/link", `{"token":"`+forged+`"}`).expect(t, "a forged link", 404, "order_link_dead")
	if b.cookies["fg_order_arena"] != "" {
		t.Error("a link that is not good became a cookie")
	}
	b.do(n, "POST", path+"/link", `{"token":"`+shop.link+`"}`, "Origin: https://elsewhere.example").expect(t, "from a foreign page", 403, "origin_forbidden")

	r := b.do(n, "POST", path+"/link", `{"token":"`+shop.link+`"}`)
	cookie, err := http.ParseSetCookie(r.header.Get("Set-Cookie"))
	if r.status != 200 || err != nil || cookie.Name != "fg_order_arena" || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Fatalf("the good link: %d %v, %v", r.status, r.header, err)
	}
	if r := b.do(n, "GET", path, ""); r.status != 200 || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the order: %d %v", r.status, r.header)
	}
	if r := b.do(n, "GET", "/e/arena/pay/"+shop.order.String(), ""); r.status != 200 || r.header.Get("Referrer-Policy") == "" {
		t.Errorf("the page to pay on: %d", r.status)
	}
	for _, call := range [][2]string{{"POST", path + "/refund"}, {"GET", "/v1/tickets/" + uuid.NewString()}, {"DELETE", "/v1/holds/" + uuid.NewString()}, {"POST", "/v1/orders"}} {
		if r := b.do(n, call[0], call[1], "{}", "Idempotency-Key: k"); r.status != 401 {
			t.Errorf("%s %s with a link: %d %s", call[0], call[1], r.status, r.body)
		}
	}
	if strings.Contains(n.logs.String(), shop.link[:30]) {
		t.Error("the link is in the log")
	}
}

func TestTheEventsPageAsksCoreForUnfinishedOrdersOnlyOfThoseWhoMayHaveOne(t *testing.T) {
	world, shop := newWorld(t), newResumable(t)
	world.shop = shop
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	waiting, shopping := newBuyer(t), newBuyer(t)
	for _, b := range []*buyer{waiting, shopping} {
		b.joinFully(n, "arena")
	}
	if r := waiting.do(n, "GET", "/e/arena", ""); r.status != 200 || strings.Contains(string(r.body), "unfinished") || len(shop.asked()) != 0 {
		t.Errorf("who waits: %d", r.status)
	}
	world.open("arena", everybody)
	shopping.claim(n, "arena")
	for _, page := range []string{"/e/arena", "/account"} {
		r := shopping.do(n, "GET", page, "")
		body := string(r.body)
		if r.status != 200 || r.header.Get("Cache-Control") != "no-store" || !strings.Contains(body, "You have an unfinished order") || !strings.Contains(body, "6:1") ||
			!strings.Contains(body, `href="/e/arena/order/`+shop.order.String()) || !strings.Contains(body, "2 tickets") {
			t.Errorf("%s: %d %v\n%s", page, r.status, r.header, body)
		}
	}
	if r := waiting.do(n, "GET", "/e/arena", ""); strings.Contains(string(r.body), shop.order.String()) {
		t.Error("somebody else is shown the order")
	}
	shop.try("4242")
	if r := shopping.do(n, "GET", "/e/arena", ""); r.status != 200 || strings.Contains(string(r.body), "unfinished") || r.header.Get("ETag") == "" {
		t.Errorf("once it is paid: %d %v", r.status, r.header)
	}
}

func TestMadeUpLinksCostCoreNoMoreThanOneAddressMayAsk(t *testing.T) {
	world, shop := newWorld(t), newResumable(t)
	world.shop = shop
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Guard = guard.Config{Address: guard.Rate{PerSecond: 0.1, Burst: 5}, Network: guard.Rate{PerSecond: 0.1, Burst: 20}, Subjects: 1000}
	n := startNode(t, c).ready("arena")
	for range 30 {
		b := newBuyer(t)
		b.cookies["fg_order_arena"] = sealedLink(uuid.New(), time.Now().Add(time.Hour))
		if r := b.do(n, "GET", "/e/arena", ""); r.status != 200 {
			t.Fatalf("the page: %d %s", r.status, r.body)
		}
	}
	if asked := shop.asked(); len(asked) == 0 || len(asked) > 5 {
		t.Errorf("core was asked %d times", len(asked))
	}
}

func TestAnUnpaidOrderIsFoundAgainInTheBrowserAndOnAnotherDevice(t *testing.T) {
	ctx, said := startBrowser(t)
	world, shop := newWorld(t), newResumable(t)
	world.shop = shop
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	c := &counter{t: t, ctx: ctx, said: said, till: shop.till, base: "http://" + n.Addr().String()}
	c.step("join", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	c.shows("The order is drawn when the sale opens")
	world.open("arena", everybody)
	c.step("the shop", chromedp.WaitVisible("#tier-floor"))

	// The browser that began it, which has forgotten all but its cookies.
	c.evaluate(`localStorage.clear()`)
	c.step("the event's page", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible(".unfinished .clock"))
	c.shows("You have an unfinished order")
	var first string
	eventually(t, "the clock runs", func() bool {
		now, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('.unfinished .clock').textContent`))
		if first == "" {
			first = now
		}
		return err == nil && now != first && strings.HasPrefix(now, "6:")
	})
	slept := `import('/static/page.js').then(async ({ countdown }) => {
		const clock = countdown({ deadline: new Date(Date.now() + 600e3), server_time: new Date() });
		document.body.append(clock);
		const now = Date.now;
		Date.now = () => now() + 300e3; // as after a sleep that the other clock has slept through
		await new Promise((done) => setTimeout(done, 700));
		return clock.textContent; })`
	if left, err := chromedp.Run(ctx, chromedp.Evaluate[string](slept, chromedp.EvalAwaitPromise)); err != nil || left != "4:59" && left != "5:00" {
		t.Errorf("after a sleep of five minutes out of ten the clock shows %q, %v", left, err)
	}
	c.step("go on", chromedp.Click(".unfinished a"), chromedp.WaitVisible("iframe.provider"))
	c.at("/e/arena/pay/" + shop.order.String())
	c.step("the account's page", chromedp.Navigate(c.base+"/account"), chromedp.WaitVisible(".unfinished .clock"), chromedp.Click(".unfinished a"), chromedp.WaitVisible("iframe.provider"))

	// Another device, by the link.
	other, done := chromedp.NewContext(ctx, chromedp.WithNewBrowserContext())
	defer done()
	if err := chromedp.Do(other, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	phone := &counter{t: t, ctx: other, said: &complaints{}, till: shop.till, base: c.base}
	shop.asked()
	phone.step("a dead link", chromedp.Navigate(c.base+"/e/arena?order="+shop.order.String()+"#link="+sealedLink(uuid.New(), time.Now().Add(time.Hour))))
	phone.shows("its link is no longer good")
	phone.evaluate(`localStorage.setItem('fairgate:arena', JSON.stringify({ order: '` + uuid.NewString() + `' }))`) // of an order that was made here before
	phone.step("blank", chromedp.Navigate("about:blank"))
	phone.step("the mail's link", chromedp.Navigate(c.base+"/e/arena?order="+shop.order.String()+"#link="+shop.link), chromedp.WaitVisible("iframe.provider"))
	phone.at("/e/arena/pay/" + shop.order.String())
	phone.card("4242424242424242")
	phone.shows("The tickets belong to whoever began it")
	phone.at("/e/arena")
	c.shows("Your tickets are here") // the first browser, meanwhile
	if kept, err := chromedp.Run(other, chromedp.Evaluate[string](`document.cookie + JSON.stringify(localStorage) + location.href`)); err != nil || strings.Contains(kept, shop.link[:30]) {
		t.Errorf("scripts of the page can read the link: %s, %v", kept, err)
	}
	for _, call := range shop.asked() {
		if strings.Contains(call, shop.link[:30]) {
			t.Errorf("the link is in an address: %s", call)
		}
	}
	if charges, _ := shop.counts(); charges != 1 {
		t.Errorf("%d charges", charges)
	}
}

func TestOfManyLinksTheOneToWhatIsAskedForComesFirstAndThenThoseGoodForLongest(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	var mu sync.Mutex
	var shown []string
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/v1/orders") {
			shown = strings.Split(r.Header.Get("Fairgate-Order-Link"), ",")
		}
		fakeProblem(w, 404, "order_unknown")
	})
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	var cookies, links []string
	orders := make([]uuid.UUID, 6)
	for i, slug := range []string{"opera", "ballet", "circus", "derby", "arena-2", "arena"} {
		orders[i] = uuid.New()
		until := time.Now().Add(time.Duration(i+1) * time.Hour)
		if slug == "arena" {
			until = time.Now().Add(time.Minute) // good for the shortest
		}
		links = append(links, sealedLink(orders[i], until))
		cookies = append(cookies, "fg_order_"+slug+"="+links[i])
	}
	opera, ballet, circus, derby, second, arena := links[0], links[1], links[2], links[3], links[4], links[5]
	for path, want := range map[string][]string{
		"/e/arena":                         {arena, second, derby, circus},
		"/v1/orders/" + orders[5].String(): {arena, second, derby, circus},
		"/v1/orders/" + orders[0].String(): {opera, second, derby, circus},
		"/v1/orders/" + orders[1].String(): {ballet, second, derby, circus},
	} {
		newBuyer(t).do(n, "GET", path, "", "Cookie: "+strings.Join(cookies, "; "))
		mu.Lock()
		if strings.Join(shown, ",") != strings.Join(want, ",") {
			t.Errorf("%s: core is shown %d links, not those wanted", path, len(shown))
		}
		shown = nil
		mu.Unlock()
	}
}
