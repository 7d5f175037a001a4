package edge

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A browser without a window says so in its name, and this one follows a link that nobody sees. What is asked of it its pages answer by
// themselves, in a layout and a worker of its own; the person only sees the shop.
func TestARealBrowserAnswersWhatItIsAskedByItself(t *testing.T) {
	for asked, strange := range map[string]bool{"check": false, "work": true} {
		t.Run(asked, func(t *testing.T) {
			ctx, _ := startBrowser(t)
			g := newGuarded(t, func(c *Config) {
				c.Guard.Answers.MinBits, c.Guard.Answers.MaxBits = 12, 12
				if strange {
					servers(t, c)
				}
			})
			g.world.change(func() {
				g.world.shop = newShop(t)
				g.world.events["arena"].state.PollAfterMS = 300
			})
			g.world.addSeats(2)
			base := "http://" + g.Addr().String()
			step := func(what string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(ctx, actions...); err != nil {
					shown, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
					t.Fatalf("%s: %v; the page shows:\n%s", what, err, shown)
				}
			}
			step("join", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
			eventually(t, "the page has a receipt", func() bool {
				shown, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
				return err == nil && strings.Contains(shown, "The order is drawn when the sale opens")
			})
			step("the trap", chromedp.Navigate(base+decoyPath), chromedp.Navigate(base+"/e/arena"))
			g.world.open("arena", everybody)
			step("the shop", chromedp.WaitVisible("#tier-floor"))
			eventually(t, "what was asked is on record", func() bool {
				return len(g.world.recorded(func(v verdictJSON) bool { return v.Answer == "cleared" && v.By == asked })) == 1
			})
			if failed := g.world.recorded(func(v verdictJSON) bool { return v.Answer == "asked" && v.By != asked }); len(failed) > 0 {
				t.Errorf("it was asked for something else too: %+v", failed)
			}
		})
	}
}
