package edge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// hearsScript stands in for what a browser would ask its person and let them hear: notes are notifications, tones what was played.
const hearsScript = `(() => {
	window.notes = []; window.tones = 0; window.asked = 0;
	window.Notification = class { static permission = 'default'; static async requestPermission() { window.asked++; window.Notification.permission = 'granted'; return 'granted'; } constructor(title, { body }) { window.notes.push(title + ': ' + body); } close() {} };
	const node = () => ({ frequency: {}, gain: { setValueAtTime() {}, exponentialRampToValueAtTime() {} }, connect: (to) => to, start() { window.tones++; }, stop() {} });
	window.AudioContext = class { currentTime = 0; destination = node(); createOscillator() { return node(); } createGain() { return node(); } };
	Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
})()`

func TestWhoAskedIsCalledByTitleNotificationAndSoundAndNobodyElseIs(t *testing.T) {
	for _, asks := range []bool{true, false} {
		ctx, _ := startBrowser(t)
		world := newWorld(t)
		world.shop = newSeason()
		event := world.addEvent("arena", time.Hour)
		world.change(func() { event.state.PollAfterMS = 200 })
		n := startNode(t, testConfig(t, world.start())).ready("arena")
		c := &counter{t: t, ctx: ctx, base: "http://" + n.Addr().String()}
		c.step("join", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
		c.evaluate(hearsScript)
		c.step("join", chromedp.Click("#view form button"), chromedp.WaitVisible(".gateway"))
		if heard := asksFor(c); heard != "0 0 " {
			t.Errorf("before anybody has asked: %q", heard)
		}
		if asks {
			c.step("tell me", chromedp.WaitVisible("#view .card:not([hidden]) .actions button"), chromedp.Click("#view .card:not([hidden]) .actions button"))
			c.shows("You will be told")
		}
		world.change(func() { world.refuseClaims = "device_mismatch" }) // or the shop would take the place of what is looked at
		world.open("arena", everybody)
		want := "0 0 "
		if asks {
			want = "1 4 It is your turn: " // a short one when it was allowed
		}
		eventually(t, "the title calls", func() bool {
			title, err := chromedp.Run(ctx, chromedp.Title())
			return err == nil && strings.Contains(strings.ToLower(title), "your turn")
		})
		var heard string
		if asks {
			eventually(t, "they are called by sound and notification", func() bool { heard = asksFor(c); return strings.HasPrefix(heard, want) })
		} else if heard = asksFor(c); heard != want {
			t.Errorf("nobody asked, and there was %q", heard)
		}
	}
}

// asksFor is how often the browser asked for leave, how many tones were played, and the notifications.
func asksFor(c *counter) string {
	c.t.Helper()
	return asks[string](c.ctx, c.t, `window.asked + ' ' + window.tones + ' ' + window.notes.join()`)
}

func TestPricesAreFilteredAndTheBestSeatsAreAskedForByMapAndList(t *testing.T) {
	ctx, _ := startBrowser(t)
	world := newWorld(t)
	world.shop = newEvening()
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 200 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	c := &counter{t: t, ctx: ctx, base: "http://" + n.Addr().String()}
	c.step("join", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	c.shows("The order is drawn when the sale opens")
	world.open("arena", everybody)
	c.step("the shop", chromedp.WaitVisible(".keys button"))
	const shown = `[...document.querySelectorAll('.seatlist > details')].filter((d) => !d.hidden).length + ' of ' + document.querySelectorAll('.seatlist > details').length`
	c.step("the list", chromedp.Click(".views button:last-child"))
	if got := asks[string](ctx, t, shown); got != "8 of 8" {
		t.Errorf("without a filter there are %s sections", got)
	}
	c.step("a price", press(".keys button:last-child"))
	if got := asks[string](ctx, t, shown+` + ' ' + document.querySelector('.keys button:last-child').ariaPressed`); got != "5 of 8 true" {
		t.Errorf("filtered by a price there are %s", got)
	}
	c.step("all prices", press(".keys button:last-child"))
	c.step("by what is left", chromedp.Click(".views button:first-child"), press("#by-left"))
	if by := asks[bool](ctx, t, `document.getElementById('by-left').checked`); !by {
		t.Error("the map is not coloured by what is left")
	}
	c.step("the best", press(".best > summary"), press(".best details > summary"), chromedp.SetValue("#best-many", "3"), chromedp.SetValue("#best-accessible", "1"), chromedp.SetValue("#best-companions", "1"), press("#best-split"), press(".best form > .actions button"))
	var best struct {
		Items []struct{ Best map[string]any }
	}
	eventually(t, "core is asked for the best seats", func() bool {
		world.mu.Lock()
		defer world.mu.Unlock()
		for _, hold := range world.holds {
			var asked struct{ Asked json.RawMessage }
			return json.Unmarshal(hold, &asked) == nil && json.Unmarshal(asked.Asked, &best) == nil
		}
		return false
	})
	text, err := json.Marshal(best.Items)
	if err != nil || string(text) != `[{"Best":{"accessible":1,"allow":["split"],"companions":1,"quantity":3,"tier":"lower"}}]` {
		t.Errorf("asked for %s, %v", text, err)
	}
}
