package edge

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

const asForm = "Content-Type: application/x-www-form-urlencoded"

// formWorld is a world with a shop, and a buyer whose browser does not follow by itself.
func formWorld(t *testing.T, identity string) (*fakeWorld, *fakeEvent, *testNode, *buyer) {
	t.Helper()
	world := newWorld(t)
	world.shop = newShop(t)
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.Identity = identity })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return world, event, n, b
}

func TestOneJoinsWaitsAndBuysByFormsAlone(t *testing.T) {
	world, event, n, b := formWorld(t, "device")
	leads := func(r reply, to string) {
		t.Helper()
		if r.status != http.StatusSeeOther || r.header.Get("Location") != to {
			t.Fatalf("%d to %q instead of %q: %s", r.status, r.header.Get("Location"), to, r.body)
		}
	}
	page := func(r reply, status int, parts ...string) string {
		t.Helper()
		text := string(r.body)
		for _, part := range append(parts, "<!doctype html>", `class="hero"`) {
			if r.status != status || !strings.Contains(text, part) {
				t.Fatalf("%d lacks %q: %s", r.status, part, text)
			}
		}
		return text
	}
	leads(b.do(n, "GET", "/q/arena/place", ""), "/e/arena") // who has not joined
	leads(b.do(n, "POST", "/q/arena/join", "website=", asForm), "/q/arena/place")
	eventually(t, "core has the entry, and the pass is a final one", func() bool {
		r := b.do(n, "GET", "/q/arena/place", "")
		page(r, 200, "You are in", `action="/q/arena/claim"`)
		if r.header.Get("Refresh") == "" || r.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("the page does not look again by itself, or is kept: %v", r.header)
		}
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 1
	})
	world.open("arena", nobody)
	eventually(t, "the page shows the place", func() bool {
		return strings.Contains(string(b.do(n, "GET", "/q/arena/place", "").body), "about 1 of 1")
	})
	page(b.do(n, "POST", "/q/arena/claim", "", asForm), 425, "not your turn yet")
	world.open("arena", everybody)
	eventually(t, "the page calls", func() bool {
		r := b.do(n, "GET", "/q/arena/place", "")
		return strings.Contains(string(r.body), "Go in and choose") && r.header.Get("Refresh") == ""
	})
	leads(b.do(n, "GET", "/e/arena/buy", ""), "/q/arena/place") // not yet let in
	leads(b.do(n, "POST", "/q/arena/claim", "", asForm), "/e/arena/buy")

	form := page(b.do(n, "GET", "/e/arena/buy", ""), 200, `name="tier-floor"`, "€69.75", "<option>4</option>", "100 left")
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(form)
	if key == nil || strings.Contains(form, "<option>5</option>") {
		t.Fatalf("the form has no key, or offers more than a buyer may have: %s", form)
	}
	page(b.do(n, "POST", "/e/arena/buy", "key="+key[1]+"&tier-floor=0", asForm), 422, "Choose how many")
	page(b.do(n, "POST", "/e/arena/buy", "key=mine&tier-floor=1", asForm), 400, `name="tier-floor"`)
	r := b.do(n, "POST", "/e/arena/buy", "key="+key[1]+"&tier-floor=2&email=ann%40example.org", asForm)
	to := r.header.Get("Location")
	if !strings.HasPrefix(to, "/e/arena/order/") {
		t.Fatalf("%d to %q: %s", r.status, to, r.body)
	}
	if again := b.do(n, "POST", "/e/arena/buy", "key="+key[1]+"&tier-floor=2&email=ann%40example.org", asForm); again.header.Get("Location") != to {
		t.Errorf("a form that is sent twice is another order: %q", again.header.Get("Location"))
	}
	text := page(b.do(n, "GET", to, ""), 200, "Waiting for your payment", "Pay €69.75")
	pay := regexp.MustCompile(`href="(http[^"]+return_url=[^"]+)"`).FindStringSubmatch(text)
	if pay == nil || !strings.Contains(pay[1], "%2Fe%2Farena%2Forder%2F") {
		t.Fatalf("the way to pay does not lead back: %s", text)
	}
	shop := world.shop.(*fakeShop)
	shop.mu.Lock()
	shop.paid = true
	shop.mu.Unlock()
	page(b.do(n, "GET", to, ""), 200, `<img src="/v1/tickets/`+shop.ticket.String())
	leads(newBuyer(t).follow(n, to), "/e/arena") // somebody else's
}

// follow asks for a page without following where it leads.
func (b *buyer) follow(n *testNode, path string) reply {
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b.do(n, "GET", path, "")
}

func TestFormsOfTheWaitingRoomAreRefusedInWords(t *testing.T) {
	_, _, n, b := formWorld(t, "invitation")
	if r := b.do(n, "POST", "/q/arena/join", "", asForm, "Origin: https://elsewhere.example"); r.status != 403 || len(b.cookies) != 0 {
		t.Errorf("a form of another site joins: %d", r.status)
	}
	if r := b.do(n, "POST", "/e/arena/buy", "", asForm, "Origin: https://elsewhere.example"); r.status != 403 {
		t.Errorf("a form of another site buys: %d", r.status)
	}
	if r := b.do(n, "POST", "/q/arena/join", "invitation=forged%3Cb%3E", asForm); r.status != 401 || !strings.Contains(string(r.body), "That invitation is not for this sale") {
		t.Errorf("a forged invitation: %d %s", r.status, r.body)
	}
	for path, allowed := range map[string]string{"/q/arena/place": "GET, HEAD", "/e/arena/order/" + uuid.NewString(): "GET, HEAD", "/e/arena/buy": "GET, HEAD, POST"} {
		if r := b.do(n, "DELETE", path, ""); r.status != 405 || r.header.Get("Allow") != allowed {
			t.Errorf("DELETE %s: %d, %q", path, r.status, r.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/e/arena/buy/", "/e/arena/order", "/e/arena/order/x", "/e/Arena/buy", "/e//buy", "/e/arena/order/" + uuid.NewString() + "/x"} {
		if r := b.do(n, "GET", path, ""); r.status != 404 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

func TestABrowserWithoutScriptsGetsItsTicket(t *testing.T) {
	ctx, said := startBrowser(t)
	world, event, n, _ := formWorld(t, "device")
	base := "http://" + n.Addr().String()
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	scripts := func(run bool) chromedp.Action[chromedp.Void] {
		return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run})
			return err
		})
	}
	lookAt := func(name string) { // what looks is a script
		t.Helper()
		step("scripts", scripts(true))
		look(ctx, t, name)
		step("no scripts", scripts(false))
	}
	step("join", scripts(false), chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("noscript p"), chromedp.Click("#view form button"), chromedp.WaitVisible(".gateway"))
	eventually(t, "core has the entry", func() bool {
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 1
	})
	lookAt("place")
	world.open("arena", everybody)
	eventually(t, "it is called", func() bool {
		step("look again", chromedp.Navigate(base+"/q/arena/place"), chromedp.WaitVisible(".gateway"))
		called, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector('.gateway.open') !== null`))
		return err == nil && called
	})
	step("go in", chromedp.Click("main form button"), chromedp.WaitVisible("#tier-floor"))
	lookAt("buy")
	step("choose", chromedp.SendKeys("#tier-floor", "2"), chromedp.Click("main form button"), chromedp.WaitVisible("a[href*=return_url]"))
	step("pay", chromedp.Click("a[href*=return_url]"), chromedp.WaitVisible("#pay"), chromedp.Click("#pay"), chromedp.WaitVisible(".ticket img"))
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, text := range said.list {
		t.Errorf("the browser complains: %s", text)
	}
}
