package edge

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"image/png"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"fairgate/core/ticket/code"
)

// cable is between a browser and a node, and can be cut, or swallow what is sent.
type cable struct {
	address string
	to      string
	silent  atomic.Bool

	mu   sync.Mutex
	open net.Listener
	ends []net.Conn
}

func layCable(t *testing.T, to string) *cable {
	c := &cable{address: "127.0.0.1:0", to: to}
	c.mend(t)
	t.Cleanup(c.cut)
	return c
}

func (c *cable) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.open, c.address = listener, listener.Addr().String()
	go func() { // ends with the listener
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			if c.silent.Load() {
				c.mu.Lock()
				c.ends = append(c.ends, near)
				c.mu.Unlock()
				continue
			}
			far, err := net.Dial("tcp", c.to)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.mu.Lock()
			c.ends = append(c.ends, near, far)
			c.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() { // ends when either side closes
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
}

func (c *cable) cut() {
	_ = c.open.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}

// ticketShop is a shop whose order is of two tickets, the code of the second of which rotates.
type ticketShop struct {
	*fakeShop

	seed    []byte
	still   uuid.UUID
	turning uuid.UUID
}

func newTicketShop(t *testing.T) *ticketShop {
	s := &ticketShop{fakeShop: newShop(t), seed: bytes.Repeat([]byte{0x5a}, code.SeedSize), still: uuid.New(), turning: uuid.New()}
	s.paid = true
	return s
}

func (s *ticketShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/orders/"):
		fakeJSON(w, 200, map[string]any{"id": s.order, "event": "arena", "state": "ticket_issued", "tickets": []uuid.UUID{s.still, s.turning}})
	case !strings.HasPrefix(r.URL.Path, "/v1/tickets/"):
		s.fakeShop.ServeHTTP(w, r)
	case r.Header.Get("Accept") == "image/png":
		picture, err := code.PNG("SERVER " + strings.ToUpper(id))
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture)
	case id == s.turning.String():
		fakeJSON(w, 200, map[string]any{"id": id, "tier": "floor", "seat": "", "state": "valid", "code": "TURNING",
			"rotating": map[string]any{"seed": hex.EncodeToString(s.seed), "algorithm": "SHA1", "period": code.Period.String(), "digits": code.Digits}})
	default:
		fakeJSON(w, 200, map[string]any{"id": id, "tier": "floor", "seat": "101/A/1", "state": "valid", "code": "STILL"})
	}
}

// runs runs a script.
func runs(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[string](expression)(ctx, t)
		return err
	})
}

// reads is what somebody else's decoder reads on the screen; "" when it reads nothing.
func reads(ctx context.Context, t *testing.T, selector string) string {
	t.Helper()
	shot, err := chromedp.Run(ctx, chromedp.Screenshot(selector))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return ""
	}
	return read.GetText()
}

func TestATicketThatWasOpenedIsShownWithoutANetwork(t *testing.T) {
	ctx, said := startBrowser(t)
	world := newWorld(t)
	shop := newTicketShop(t)
	world.shop = shop
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	world.addSeats(2)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	line := layCable(t, n.Addr().String())
	base := "http://" + line.address
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			shown, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			t.Fatalf("%s: %v; the page shows:\n%s", what, err, shown)
		}
	}
	is := func(what, expression string, want string) {
		t.Helper()
		var got string
		defer func() {
			if t.Failed() {
				t.Logf("%s: %q", what, got)
			}
		}()
		eventually(t, what+" is "+want, func() bool {
			var err error
			got, err = chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
			return err == nil && got == want
		})
	}
	code1, code2 := ".ticket:nth-of-type(1) img", ".ticket:nth-of-type(2) img"
	const (
		worker = `navigator.serviceWorker.getRegistrations().then((all) => all.map((r) => new URL(r.scope).pathname + ' ' + (r.active || {}).state).join())`
		cached = `caches.keys().then(async (names) => (await Promise.all(names.map(async (n) => (await (await caches.open(n)).keys()).map((r) => new URL(r.url).pathname)))).flat().sort().join())`
		stored = `Object.keys(localStorage).sort().join()`
	)

	step("join", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	eventually(t, "the browser has joined", func() bool {
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 1
	})
	world.open("arena", everybody)
	step("the shop", chromedp.WaitVisible("#tier-floor"))
	is("who has no ticket's worker", worker, "")
	is("what is kept for them", cached+`.then((all) => all + localStorage.getItem('fairgate-tickets:arena'))`, "null")

	step("the order", chromedp.Navigate(base+"/e/arena?order="+shop.order.String()), chromedp.WaitVisible(code2))
	eventually(t, "with a network the pictures are the server's", func() bool {
		return reads(ctx, t, code1) == "SERVER "+strings.ToUpper(shop.still.String()) && reads(ctx, t, code2) == "SERVER "+strings.ToUpper(shop.turning.String())
	})
	is("the worker", worker, "/e/arena activated")
	files := []string{"/e/arena"}
	for _, name := range []string{"about.js", "app.css", "app.js", "challenge.js", "choose.js", "event.js", "hold.js", "icon.svg", "kept.js", "layout.js", "mapinput.js", "order.js", "owner.js", "page.js", "receive.js", "room.js", "seatlist.js", "seatmap.js", "seatpaint.js", "seats.js", "shop.js",
		"ticket.js", "uqr.js", "words.js", "words.de.json", "words.en.json", "words.es.json"} {
		files = append(files, "/static/"+name)
	}
	slices.Sort(files)
	is("what the worker keeps", cached, strings.Join(files, ","))
	is("what the page keeps", stored, "fairgate-tickets:arena,fairgate:arena")
	said.mu.Lock()
	for _, text := range said.list {
		t.Errorf("the browser complains: %s", text)
	}
	said.mu.Unlock()

	line.cut()
	step("open again without a network", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible(code2))
	offLine(ctx, t, shop, code1, code2)
	step("reload", chromedp.Reload(), chromedp.WaitVisible(code2))
	offLine(ctx, t, shop, code1, code2)
	is("what the page says", `document.querySelector('.notice').textContent`, "There is no network. These are the tickets as this browser last saw them.")

	line.silent.Store(true)
	line.mend(t)
	step("reload where the network is there and does not answer", chromedp.Reload(), chromedp.WaitVisible(code2))
	offLine(ctx, t, shop, code1, code2)
	line.cut()
	line.silent.Store(false)

	step("watch the screen's lock", runs(`(() => { window.locks = 0; navigator.wakeLock.request = async () => { window.locks++; return { release: async () => { window.locks--; } }; }; return ''; })()`))
	const locks, views = `String(window.locks)`, `String(document.querySelectorAll('dialog').length)`
	for _, end := range []struct {
		name   string
		action chromedp.Action[chromedp.Void]
	}{
		{"Escape", chromedp.KeyEvent(kb.Escape)},
		{"back", runs(`(history.back(), '')`)},
		{"the button", chromedp.Click(".atgate button")},
	} {
		step("show at the gate", chromedp.Click(".ticket:nth-of-type(2) button"), chromedp.WaitVisible(".atgate img"))
		is("locks while the view is open", locks, "1")
		is("the view's background", `getComputedStyle(document.querySelector('.atgate')).backgroundColor + ' ' + ((r) => [r.x, r.y, r.width, r.height].join())(document.querySelector('.atgate').getBoundingClientRect())`, "rgb(255, 255, 255) 0,0,390,844")
		eventually(t, "the code of now is on the white view", func() bool { return ofNow(shop, reads(ctx, t, ".atgate")) })
		step(end.name, end.action)
		is("views after "+end.name, views, "0")
		is("locks after "+end.name, locks, "0")
		is("the entry of the view in the history after "+end.name, `String(history.state)`, "null")
	}

	line.mend(t)
	step("try again", chromedp.Click("#view > .actions button"))
	is("what the page says", `document.querySelector('.good') ? 'tickets' : ''`, "tickets")
	is("forgetting", `import('/static/kept.js').then((m) => m.forget()).then(() => 'done')`, "done")
	is("the worker afterwards", worker, "")
	is("what is kept afterwards", cached, "")
	is("what the page keeps afterwards", stored, "fairgate:arena")

	step("one ticket, from the account's page", runs(`(localStorage.clear(), '')`), chromedp.Navigate(base+"/e/arena?ticket="+shop.still.String()), chromedp.WaitVisible(code1))
	step("which the page keeps showing", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible(code1))
	is("tickets", `String(document.querySelectorAll('.ticket').length)`, "1")
}

// ofNow says whether a text is the rotating ticket's code of this period or of one beside it.
func ofNow(shop *ticketShop, text string) bool {
	now := time.Now()
	return slices.ContainsFunc([]time.Duration{-code.Period, 0, code.Period}, func(d time.Duration) bool {
		return text == code.Rotate("TURNING", shop.seed, now.Add(d))
	})
}

// offLine checks both codes as the page draws them by itself.
func offLine(ctx context.Context, t *testing.T, shop *ticketShop, still, turning string) {
	t.Helper()
	var got string
	eventually(t, "the codes are drawn without a network", func() bool {
		got = fmt.Sprint(reads(ctx, t, still), " ", reads(ctx, t, turning))
		first, second, _ := strings.Cut(got, " ")
		return first == "STILL" && ofNow(shop, second)
	})
}

func TestSigningOutForgetsTheTicketsThatABrowserKeeps(t *testing.T) {
	ctx, _ := startBrowser(t)
	_, n := accountWorld(t)
	base := "http://" + n.Addr().String()
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/account"), chromedp.WaitVisible("#email"), chromedp.SendKeys("#email", "ann@example.org"), chromedp.Click("form.card button"),
		chromedp.WaitVisible("#code"), chromedp.SendKeys("#code", "123456"), chromedp.Click("form.card button"), chromedp.WaitVisible("#out")); err != nil {
		t.Fatal(err)
	}
	const left = `caches.keys().then((names) => [...names, ...Object.keys(localStorage)].sort().join())`
	ask := func(expression string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(`caches.open('fairgate-page:/e/arena').then(() => { localStorage['fairgate-tickets:arena'] = '{}'; localStorage['fairgate:arena'] = '{}'; return ` + left + `; })`); got != "fairgate-page:/e/arena,fairgate-tickets:arena,fairgate:arena" {
		t.Fatal(got)
	}
	if err := chromedp.Do(ctx, chromedp.Click("#out button"), chromedp.WaitVisible("#email")); err != nil {
		t.Fatal(err)
	}
	if got := ask(left); got != "fairgate:arena" {
		t.Errorf("%q is left", got)
	}
}
