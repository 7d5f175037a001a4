package edge

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairgate/edge/queue"
)

func TestTheEventsPageFollowsItsSaleWithoutMovingAndKeepsWhatItSaw(t *testing.T) {
	ctx, _ := startBrowser(t)
	world := newWorld(t)
	season := newSeason()
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // whose waiting list takes who asks
		if r.URL.Path != "/v1/events/arena" {
			season.ServeHTTP(w, r)
			return
		}
		said := httptest.NewRecorder()
		season.ServeHTTP(said, r)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, strings.Replace(said.Body.String(), "{", `{"waiting_list":true,`, 1))
	})
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 200 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	c := &counter{t: t, ctx: ctx, base: "http://" + n.Addr().String()}
	c.step("a desk", chromedp.EmulateViewport(1280, 900))
	c.step("the page", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
	is := func(what, expression, want string) {
		t.Helper()
		var got string
		eventually(t, what+" is "+want, func() bool {
			got = asks[string](ctx, t, expression)
			return got == want
		})
	}
	const phase = `document.getElementById('phase').textContent`
	is("the phase", phase, "Waiting room open")
	c.evaluate(`window.moved = []; new PerformanceObserver((list) => list.getEntries().forEach((e) => { if (!e.hadRecentInput) for (const s of e.sources) if (s.node && document.getElementById('about').contains(s.node)) moved.push(s.node.className + ' ' + e.value); })).observe({ type: 'layout-shift' })`)
	c.evaluate(`window.stays = true`) // as long as the page is not loaded anew
	places := `JSON.stringify([...document.querySelectorAll('#about > .card')].slice(0, 4).map((n) => n.getBoundingClientRect().top + scrollY))`
	before := asks[string](ctx, t, places)
	opens := world.now().Add(2 * time.Hour)
	world.change(func() { event.state.OpensAt = queue.Instant{Time: opens} })
	is("the time of the sale", `String(Math.abs(Date.parse(document.getElementById('opens_at').dataset.at) - `+fmt.Sprint(opens.UnixMilli())+`) < 2000 && document.getElementById('opens_at').textContent.includes('`+opens.In(madrid(t)).Format("15:04")+`'))`, "true")
	for _, step := range []struct {
		phase queue.Phase
		says  string
	}{{queue.PhasePaused, "Paused"}, {queue.PhaseOpen, "On sale"}, {queue.PhaseSoldOut, "Sold out"}} {
		world.change(func() { event.state.Phase = step.phase })
		is("the phase", phase, step.says)
	}
	if after := asks[string](ctx, t, places); after != before {
		t.Errorf("cards that were at %s are at %s", before, after)
	}
	if moved := asks[[]string](ctx, t, `moved`); len(moved) != 0 || !asks[bool](ctx, t, `window.stays === true`) {
		t.Errorf("the page moves %q, or was loaded anew", moved)
	}
	is("what is asked for when nothing is left", `String(document.querySelectorAll('#about .later').length)`, "1")
	is("where it leads", `document.querySelector('#about .later').innerText.includes('what comes back') ? 'to the list' : ''`, "to the list")

	// What it saw published is kept as it was first seen.
	world.open("arena", nobody)
	kept := func() string {
		return asks[string](ctx, t, `(() => { const { seen } = JSON.parse(localStorage.getItem('fairgate:arena') || '{}'); return seen ? [seen.generation, seen.commitment, ...Object.values(seen.roots)].join(' ') : ''; })()`)
	}
	first := ""
	world.mu.Lock()
	first = fmt.Sprintf("1 %s %s", event.state.Commitment, event.state.Windows[0].Root)
	world.mu.Unlock()
	eventually(t, "commitment and root are kept", func() bool { return kept() == first })
	world.change(func() { event.state.Windows[0].Root[0] ^= 1; event.state.Commitment[0] ^= 1; event.state.CalledCount++ })
	time.Sleep(700 * time.Millisecond) // three looks at the state
	if now := kept(); now != first || strings.Count(now, " ") != 2 {
		t.Errorf("what was seen first is forgotten: %s", now)
	}
}

func madrid(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// What is chosen stands in a bar of its own: on a desk it lies on nothing, wherever one has scrolled to.
func TestTheBarOfWhatIsChosenCoversNothingOnADesk(t *testing.T) {
	ctx, _ := startBrowser(t)
	world := newWorld(t)
	world.shop = newEvening()
	event := world.addEvent("arena", time.Hour)
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	c := &counter{t: t, ctx: ctx, base: "http://" + n.Addr().String()}
	c.step("join", chromedp.Navigate(c.base+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"))
	c.shows("The order is drawn when the sale opens")
	world.open("arena", everybody)
	c.step("the shop", chromedp.WaitVisible(".views"))
	c.step("choose", inList, press(".seat:first-child:not([disabled])"))
	c.evaluate(`[...document.querySelectorAll('.seatlist > details')].forEach((d) => { d.open = true; })`)
	const covered = `(async () => {
	  const bar = document.querySelector('.buybar'), found = [];
	  let out = 0, steps = 0;
	  for (let y = 0; ; y += 150) {
	    scrollTo(0, y);
	    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
	    steps++;
	    const b = bar.getBoundingClientRect();
	    if (b.top < 0 || b.bottom > innerHeight) out++;
	    for (const other of document.querySelectorAll('#view > *, .foot, .top')) {
	      const r = other.getBoundingClientRect();
	      if (other === bar || !r.width || r.right <= b.left || r.left >= b.right || r.bottom <= b.top || r.top >= b.bottom) continue;
	      found.push(y + ': ' + other.className);
	    }
	    if (scrollY < y) break;
	  }
	  return [steps, out, ...found];
	})()`
	for _, size := range [][2]int64{{1280, 900}, {1100, 640}} {
		for _, view := range []string{"first", "last"} {
			c.step("a desk", chromedp.EmulateViewport(size[0], size[1]), chromedp.Click(".views button:"+view+"-child"), chromedp.Sleep(200*time.Millisecond))
			got := asks[[]any](ctx, t, covered)
			if len(got) > 2 {
				t.Errorf("%v, %s view: the bar lies on %v", size, view, got[2:])
			}
			t.Logf("%v, %s view: in %v of %v places part of the bar is out of sight", size, view, got[1], got[0])
			if view == "last" && got[1].(float64) > got[0].(float64)/3 {
				t.Errorf("%v, %s view: in %v of %v places the bar is out of sight", size, view, got[1], got[0])
			}
		}
	}
}
