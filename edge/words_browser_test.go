package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestARareRefusalIsSaidInThePagesLanguageThoughTheWaitingPageCarriesNoWordsOfIt(t *testing.T) {
	ctx, _ := startBrowser(t)
	world, shop := newWorld(t), newShop(t)
	world.shop = shop
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	const refused = `import('/static/page.js').then(async ({ api }) => {
		const { said, has } = await import('/static/words.js');
		const before = has('refused.pass_missing');
		const { data } = await api('POST', '/q/arena/claim', { body: {} });
		return [before, data.code, said(data)].join('|'); })`
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+n.Addr().String()+"/e/arena?lang=de"), chromedp.WaitVisible("#view:not([aria-busy]) form button")); err != nil {
		t.Fatal(err)
	}
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](refused, chromedp.EvalAwaitPromise))
	if want := "false|pass_missing|Dieser Browser ist noch nicht im Warteraum. Stell dich zuerst an."; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhereTheProvidersFrameIsBlockedItsPageIsOffered(t *testing.T) {
	ctx, _ := startBrowser(t)
	for what, c := range map[string]struct {
		speaks bool
		want   string
	}{"blocked": {false, "No form here? Pay on the page of the payment provider; this page sees when it is paid.|true"}, "speaking": {true, "|"}} {
		world, shop := newWorld(t), newResumable(t)
		world.shop = shop
		world.addEvent("arena", time.Hour)
		provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !c.speaks {
				w.Header().Set("X-Frame-Options", "DENY")
			}
			fmt.Fprint(w, `<!doctype html><title>Provider</title><script>parent.postMessage({ height: 300 }, new URLSearchParams(location.search).get('parent'))</script>`)
		}))
		t.Cleanup(provider.Close)
		was := shop.provider
		shop.provider = provider
		t.Cleanup(was.Close)
		n := startNode(t, testConfig(t, world.start())).ready("arena")
		base := "http://" + n.Addr().String()
		if err := chromedp.Do(ctx, chromedp.Navigate(base+"/e/arena?order="+shop.order.String()+"#link="+shop.link), chromedp.WaitVisible("main")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the link is a cookie", func() bool {
			status, err := chromedp.Run(ctx, chromedp.Evaluate[int](`fetch('/v1/orders/`+shop.order.String()+`').then((r) => r.status)`, chromedp.EvalAwaitPromise))
			return err == nil && status == 200
		})
		if err := chromedp.Do(ctx, chromedp.Navigate(base+"/e/arena/pay/"+shop.order.String()), chromedp.WaitReady("iframe.provider")); err != nil {
			t.Fatal(err)
		}
		if got := offered(ctx, t); got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// offered is what the page to pay on offers instead of its frame, once it has done so or been told that there is no need: the text, and whether
// the link leads to the provider's page by itself.
func offered(ctx context.Context, t *testing.T) string {
	t.Helper()
	const script = `new Promise((done) => {
		const look = () => {
			const other = document.getElementById('other');
			if (other && !other.hidden) done(other.querySelector('p').textContent + '|' + (other.querySelector('a').getAttribute('href') === document.getElementById('form').dataset.url));
			else if (document.querySelector('iframe.provider').style.height) done('|');
			else setTimeout(look, 50);
		};
		look(); })`
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(got)
}

func TestAWordOnTheMapIsNeverDrawnBeyondItsZone(t *testing.T) {
	ctx, _ := startBrowser(t)
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	const drawn = `Promise.all([import('/static/seatmap.js'), import('/static/seatpaint.js')]).then(([{ SeatMap }, { Paint }]) => {
		const ctx = document.createElement('canvas').getContext('2d');
		const wide = [];
		ctx.fillText = (words, x, y, most) => wide.push(Math.min(ctx.measureText(words).width, most === undefined ? Infinity : most));
		SeatMap.prototype.drawGround.call({ ctx, colours: {}, font: 'sans-serif', camera: { scale: 10 }, map: { stage: { x: 0, y: 0, w: 30, h: 0 }, zones: [{ tier: 0, x: 0, y: 5, w: 10, h: 8 }] },
			tiers: [{ id: 'floor', name: 'A very long name of a tier, '.repeat(4), left: 3 }], seats: { left: { tiers: {} } }, toScreen: (x, y) => [10 * x, 10 * y],
			fillTint() {}, price: () => '€69.75 '.repeat(9), t: (key) => key, text: Paint.prototype.text });
		return wide.length === 2 ? Math.max(...wide) : -1; })`
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+n.Addr().String()+"/e/arena"), chromedp.WaitVisible("main")); err != nil {
		t.Fatal(err)
	}
	if widest, err := chromedp.Run(ctx, chromedp.Evaluate[float64](drawn, chromedp.EvalAwaitPromise)); err != nil || widest <= 0 || widest > 100 {
		t.Errorf("in a zone of 100 pixels the widest word takes %.0f, %v", widest, err)
	}
}
