package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"fairgate/edge/queue"
)

// viewer is a browser of its own in front of a node of its own, in which somebody looks at one page.
type viewer struct {
	t     *testing.T
	ctx   context.Context
	world *fakeWorld
	event *fakeEvent // arena
	core  *fakeCore
	n     *testNode
	b     *buyer // has the browser's cookies
	base  string
}

// newViewer is somebody in a browser that others use as well, without knowing of each other.
func newViewer(t *testing.T, browser context.Context) *viewer {
	t.Helper()
	ctx, done := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(done)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil { // the tab lives as long as the context that it was made with
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return &viewer{t: t, ctx: ctx, b: newBuyer(t)}
}

// before is a node with a shop behind it, and an on-sale of arena that is joining unless it is changed.
func (v *viewer) before(shop http.Handler, changes ...func(*queue.State)) *viewer {
	v.t.Helper()
	v.world = newWorld(v.t)
	v.world.shop = shop
	v.event = v.world.addEvent("arena", 14*time.Minute)
	v.world.stocked("arena")
	phase := v.event.state.Phase
	v.world.change(func() {
		v.event.state.PollAfterMS = 300
		for _, change := range changes {
			change(&v.event.state)
		}
		phase, v.event.state.Phase = v.event.state.Phase, phase // a node gets ready for no sale that is over
	})
	v.core = v.world.start()
	v.at(startNode(v.t, testConfig(v.t, v.core)).ready("arena"))
	v.world.change(func() { v.event.state.Phase = phase })
	eventually(v.t, "the node knows how the sale stands", func() bool { return v.n.board.Entry([]byte("arena")).State.Phase == phase })
	return v
}

func (v *viewer) at(n *testNode) *viewer {
	v.n, v.base = n, "http://"+n.Addr().String()
	return v
}

// waits has joined the waiting room.
func (v *viewer) waits() *viewer {
	v.t.Helper()
	joined := v.b.joinFully(v.n, "arena")
	text, err := json.Marshal(joined)
	if err != nil {
		v.t.Fatal(err)
	}
	var mine map[string]any
	if err := json.Unmarshal(text, &mine); err != nil {
		v.t.Fatal(err)
	}
	return v.wears().remembers(map[string]any{"mine": mine})
}

// isLetIn has waited, and may choose.
func (v *viewer) isLetIn() *viewer {
	v.t.Helper()
	v.waits()
	v.world.open("arena", everybody)
	eventually(v.t, "everybody is called", func() bool { return v.n.board.Entry([]byte("arena")).State.Cursor != nil })
	v.b.claim(v.n, "arena")
	return v.wears()
}

// wears gives the browser the cookies of a buyer.
func (v *viewer) wears() *viewer {
	v.t.Helper()
	for name, value := range v.b.cookies {
		if _, err := chromedp.Call(v.ctx, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: v.base + "/"}); err != nil {
			v.t.Fatal(err)
		}
	}
	return v
}

// remembers puts what a page would remember into the browser.
func (v *viewer) remembers(what map[string]any) *viewer {
	v.t.Helper()
	text, err := json.Marshal(what)
	if err != nil {
		v.t.Fatal(err)
	}
	v.does("remember", chromedp.Navigate(v.base+"/static/icon.svg"), runs(fmt.Sprintf(`(localStorage.setItem('fairgate:arena', JSON.stringify({ ...JSON.parse(localStorage.getItem('fairgate:arena') || '{}'), ...%s })), '')`, text)))
	return v
}

func (v *viewer) does(what string, actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, actions...); err != nil {
		shown, _ := chromedp.Run(context.WithoutCancel(v.ctx), chromedp.Evaluate[string](`document.body.innerText`))
		v.t.Fatalf("%s: %v; the page shows:\n%.600s", what, err, shown)
	}
}

// goes opens an address and waits until something is there.
func (v *viewer) goes(path, selector string) {
	v.t.Helper()
	v.does(path, chromedp.Navigate(v.base+path), chromedp.WaitVisible(selector))
}

// reads has chosen a language.
func (v *viewer) reads(language string) {
	v.t.Helper()
	if _, err := chromedp.Call(v.ctx, network.SetCookie, network.SetCookieParams{Name: cookieLang, Value: language, URL: v.base + "/"}); err != nil {
		v.t.Fatal(err)
	}
}

// behind answers what is in answers, and leaves the rest to a shop. An answer is a body, or a refusal.
func behind(shop http.Handler, answers map[string]any) http.Handler {
	mux := http.NewServeMux()
	for pattern, body := range answers {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			if no, ok := body.(refused); ok {
				fakeProblem(w, no.status, no.code)
				return
			}
			fakeJSON(w, 200, body)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		shop.ServeHTTP(w, r)
	})
}

// refused is core's.
type refused struct {
	status int
	code   string
}

// anOrder is the evening's order of two seats, as it stands after a change.
func anOrder(id string, change map[string]any) map[string]any {
	eur := func(minor int64) queue.Money { return queue.Money{Minor: minor, Currency: "EUR"} }
	line := func(seat string) map[string]any {
		return map[string]any{"tier": "lower", "seat": seat, "face": eur(8636), "fee": eur(569), "tax": eur(920)}
	}
	order := map[string]any{"id": id, "event": "arena", "state": "payment_pending", "amount": eur(20250), "tickets": []string{}, "server_time": time.Now(), "deadline": time.Now().Add(9 * time.Minute),
		"lines": []any{line("102/C/10"), line("102/C/11")}, "payment": map[string]any{"attempt": 1, "state": "begun", "failure": ""}}
	for key, value := range change {
		order[key] = value
	}
	return order
}
