package edge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestOneWaitsByKeyboardInGermanAndThroughACutNetwork(t *testing.T) {
	ctx, _ := startBrowser(t) // which complains about the cut
	world := newWorld(t)
	world.shop = newSeason()
	event := world.addEvent("arena", time.Hour)
	world.stocked("arena")
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	line := layCable(t, n.Addr().String())
	step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	shows := func(what string) {
		t.Helper()
		eventually(t, "the page shows "+what, func() bool {
			text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			return err == nil && strings.Contains(text, what)
		})
	}
	step("the page", chromedp.Navigate("http://"+line.address+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
	step("the language", chromedp.Click(`.languages a[lang="de"]`), chromedp.WaitVisible(`[lang="de"] #view:not([aria-busy]) form button`))
	shows("Mach mit und nimm an der Auslosung teil")
	reached := false
	for range 20 {
		step("a key", chromedp.KeyEvent(kb.Tab))
		on, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.activeElement.matches('#view form button') && getComputedStyle(document.activeElement).outlineStyle !== 'none'`))
		if err != nil {
			t.Fatal(err)
		}
		if reached = on; reached {
			break
		}
	}
	if !reached {
		t.Fatal("the way to join is not reached by keyboard, or does not show that it has the focus")
	}
	step("join", chromedp.KeyEvent(kb.Enter))
	shows("Mit der Auslosung vergleichen") // there is a receipt
	line.cut()
	shows("Das Netz antwortet nicht. Dein Platz bleibt dir.")
	world.crowd("arena", 48211, 512)
	line.mend(t)
	shows("Dein Platz in der Auslosung")
	step("another page load", chromedp.Reload())
	shows("Dein Platz in der Auslosung")
}

// What finds nothing anywhere might look at nothing.
func TestWhatLooksForFaultsFindsOne(t *testing.T) {
	ctx, _ := startBrowser(t)
	script, err := axe()
	if err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerHTML = '<input><p style="color:#bbb;background:#fff">pale</p>';`+script+
		`;axe.run({ runOnly: ['wcag2a', 'wcag2aa'] }).then((r) => r.violations.map((v) => v.id).join())`, awaits))
	if err != nil || !strings.Contains(found, "label") || !strings.Contains(found, "color-contrast") {
		t.Errorf("planted faults were not found: %q, %v", found, err)
	}
}

func TestAPageThatLoadsItselfAnewIsLookedAtAllTheSame(t *testing.T) {
	ctx, _ := startBrowser(t)
	var loads atomic.Int64
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		n := loads.Add(1)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// The first two go as soon as somebody has begun to look.
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>p</title><main><h1>p</h1><p style="color:#bbb;background:#fff">pale</p></main><script>
			if (%d < 3) { let put; Object.defineProperty(window, 'axe', { configurable: true, get: () => put, set: (v) => { put = v; setTimeout(() => location.reload(), 5); } }); }</script>`, n)
	}))
	t.Cleanup(site.Close)
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatal(err)
	}
	if found, err := faults(ctx); err != nil || !strings.Contains(found, "color-contrast") || loads.Load() != 3 {
		t.Errorf("%q is found by the %d. look, %v", found, loads.Load(), err)
	}
}
