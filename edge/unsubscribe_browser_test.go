package edge

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTheButtonOfTheUnsubscribingPageWorksInABrowser(t *testing.T) {
	ctx, _ := startBrowser(t)
	world, n := accountWorld(t)
	world.mu.Lock()
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, map[string]any{"event": "arena"}) })
	world.mu.Unlock()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+n.Addr().String()+"/unsubscribe/good_token-1"), press("main form button"), chromedp.WaitVisible("main .notice")); err != nil {
		t.Fatal(err)
	}
	if said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('main').innerText`)); err != nil || !strings.Contains(said, "You get no more reminders of this event.") {
		t.Errorf("the button was pressed: %q, %v", said, err)
	}
}
