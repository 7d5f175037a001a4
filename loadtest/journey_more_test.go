package loadtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// cutFor is for how long somebody in a tunnel has no network.
const cutFor = 30 * time.Second

// through has a person go to the edge through a cable.
func (p *person) through(c *cable) *person { p.base = "http://" + c.address; return p }

// order is what a browser remembers of an event.
func (p *person) order(slug string) string {
	p.t.Helper()
	return p.ask(fmt.Sprintf(`String(JSON.parse(localStorage.getItem('fairgate:%s') || '{}').order || '')`, slug))
}

// paidOnce checks that an order was charged once, for what it costs, and has its tickets.
func (h *house) paidOnce(t *testing.T, order string, minor, tickets int64) {
	t.Helper()
	if order == "" {
		t.Fatal("there is no order")
	}
	charges, captured := 0, 0.0
	for _, intent := range h.booked() {
		if intent["order"] == order {
			if got, _ := intent["captured"].(float64); got > 0 {
				charges++
				captured += got
			}
		}
	}
	if charges != 1 || int64(captured) != minor {
		t.Errorf("the order was charged %d times, %v in all, and costs %d", charges, captured, minor)
	}
	if n := h.count(`SELECT count(*) FROM tickets WHERE order_id = $1`, order); n != tickets {
		t.Errorf("the order has %d tickets", n)
	}
}

// getsInLine joins the waiting room of an event that is not sold yet.
func (p *person) getsInLine(slug string) {
	p.t.Helper()
	p.does("join", chromedp.Navigate(p.base+"/e/"+slug), chromedp.WaitVisible("#view:not([aria-busy]) form button"), chromedp.Click("#view form button"), chromedp.WaitVisible(".gateway"))
	p.sees("You have a signed receipt")
}

func networkCut(h *house, t *testing.T) {
	waiting, holding, paying := h.person(t).through(h.line), h.person(t).through(h.line), h.person(t).through(h.line)
	waiting.getsInLine("tunnel")
	entrant := waiting.ask(`JSON.parse(localStorage.getItem('fairgate:tunnel')).mine.entrant`)
	holding.enters("matinee")
	holding.stands(1)
	holding.holds()
	paying.enters("matinee")
	paying.stands(1)
	paying.holds()
	paying.checksOut()
	order := paying.order("matinee")

	began := time.Now()
	h.line.goDeaf()                     // first nothing comes through, then nobody answers
	paying.card("4242424242424242", "") // the provider is reached by another way
	holding.script(`document.querySelector('#email').form.requestSubmit()`)
	waiting.sees("The network does not answer. Your place is kept.")
	h.line.cut()
	holding.sees("The network does not answer. Trying again")
	paying.sees("The network does not answer. Trying again")
	time.Sleep(time.Until(began.Add(cutFor)))
	h.line.mend(t)

	paying.sees("Your tickets are here")
	holding.does("the order that was asked for meanwhile", chromedp.WaitVisible("iframe.provider"))
	other := holding.order("matinee")
	holding.pays()
	if err := h.operator(0).Schedule(t.Context(), "tunnel", time.Now(), time.Now().Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	waiting.does("the turn comes", chromedp.WaitVisible(".buybar"))
	if now := waiting.ask(`JSON.parse(localStorage.getItem('fairgate:tunnel')).mine.entrant`); now != entrant {
		t.Errorf("who waited as %s is %s after the cut", entrant, now)
	}
	h.paidOnce(t, order, 3300, 1)
	h.paidOnce(t, other, 3300, 1)
}

// closes ends the tab, and answers another one of the same browser.
func (p *person) closes() *person {
	p.t.Helper()
	next := p.tab()
	if _, err := chromedp.Call(p.ctx, page.Close, cdp.Empty{}); err != nil && !strings.Contains(err.Error(), "detached") {
		p.t.Fatalf("close the tab: %v", err)
	}
	return next
}

func closedTabs(h *house, t *testing.T) {
	p := h.person(t)
	p.getsInLine("late")
	place := p.ask(`JSON.parse(localStorage.getItem('fairgate:late')).mine.entrant`)
	p = p.closes()
	p.does("come back to the waiting room", chromedp.Navigate(p.base+"/e/late"), chromedp.WaitVisible(".gateway"))
	p.sees("You have a signed receipt")
	if now := p.ask(`JSON.parse(localStorage.getItem('fairgate:late')).mine.entrant`); now != place {
		t.Errorf("the place was %s and is %s", place, now)
	}
	p.enters("matinee")
	p.stands(2)
	p.holds()
	p = p.closes()
	p.does("come back to the hold", chromedp.Navigate(p.base+"/e/matinee"), chromedp.WaitVisible("#email"))
	p.sees("2 × Floor")
	p.checksOut()
	order := p.order("matinee")
	p = p.closes()
	p.does("come back to the payment", chromedp.Navigate(p.base+"/e/matinee"), chromedp.WaitVisible("iframe.provider"))
	p.card("4242424242424242", "")
	p = p.closes() // before anything is said
	p.does("come back to the tickets", chromedp.Navigate(p.base+"/e/matinee"))
	p.sees("Your tickets are here")
	h.paidOnce(t, order, 6600, 2)
}

// tabsTo presses Tab until something has the focus, and shows it.
func (p *person) tabsTo(selector string) {
	p.t.Helper()
	for range 120 {
		p.does("a key", chromedp.KeyEvent(kb.Tab))
		if p.ask(fmt.Sprintf(`String(document.activeElement.matches(%q))`, selector)) == "true" {
			if p.ask(`String(document.activeElement.tagName === 'IFRAME' || getComputedStyle(document.activeElement).outlineStyle !== 'none')`) != "true" {
				p.t.Errorf("%s does not show that it has the focus", selector)
			}
			return
		}
	}
	p.t.Fatalf("%s is not reached by keyboard", selector)
}

func keyboardAlone(h *house, t *testing.T) {
	p := h.person(t)
	p.does("the list", chromedp.Navigate(p.base+"/"), chromedp.WaitVisible(".list a"))
	p.tabsTo(`.list a[href="/e/matinee"]`)
	p.does("the event", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
	p.tabsTo("#view form button")
	p.does("join", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(".buybar"))
	p.tabsTo(".map-stage")
	p.does("into the section", chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	p.awaits(`String(/row A, seat \d+ · €/.test(document.querySelector('.map .unseen[aria-live]').textContent))`, "true")
	p.does("a seat back and to the right, and choose it", chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.Enter))
	p.sees("1 ticket · €")
	said := p.ask(`document.querySelector('.map .unseen[aria-live]').textContent`)
	if !strings.Contains(said, "row B") || !strings.Contains(said, "chosen") {
		t.Errorf("the map says %q", said)
	}
	p.shoot("map-keyboard")
	p.tabsTo(".buybar > button")
	p.does("hold it", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#email"))
	p.tabsTo("#email")
	p.does("an address", chromedp.KeyEvent("keys@example.org"))
	p.tabsTo("#view form .actions button")
	p.does("check out", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("iframe.provider"))
	p.inFrame("the form is there", "", func(frame chromedp.QueryOption) []step {
		return []step{chromedp.WaitVisible("input[name=card]", frame)}
	})
	p.tabsTo("iframe.provider")
	p.does("pay", chromedp.KeyEvent(kb.Enter)) // in the field of the card, which is the first
	p.sees("Your tickets are here")
	p.does("the code", chromedp.WaitVisible(".ticket img"))
	p.tabsTo(".ticket .actions button")
	p.does("show it at the gate", chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(".atgate"))
	p.does("and put it away", chromedp.KeyEvent(kb.Escape))
	p.awaits(`String(document.querySelectorAll('.atgate').length)`, "0")
}

// together does the same for several people at the same moment.
func together(t *testing.T, what string, people []*person, steps ...step) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range people {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(p.ctx, stepWithin)
			defer cancel()
			if err := chromedp.Do(ctx, steps...); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	all.Wait()
}

// script is a step that runs a script.
func script(text string) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[any](text)(ctx, t)
		return err
	})
}

func twoPressAtOnce(h *house, t *testing.T) {
	both := []*person{h.person(t), h.person(t)}
	for _, p := range both {
		p.enters("matinee")
		p.sits(2, 5, 6)
		p.sees("1 ticket · €49.28")
	}
	together(t, "press", both, script(`document.querySelector('.buybar > button').click()`))
	won := 0
	for _, p := range both {
		p.awaits(`String(Boolean(document.querySelector('#email') || [...document.querySelectorAll('#view .notice.bad')].some((n) => !n.hidden && n.textContent)))`, "true")
		if p.ask(`String(Boolean(document.querySelector('#email')))`) == "true" {
			won++
			continue
		}
		p.awaits(`String(document.querySelectorAll('.seat[aria-pressed="true"]').length)`, "0")
	}
	if won != 1 {
		t.Errorf("%d people have one seat", won)
	}
}

func paysOnce(h *house, t *testing.T) {
	first := h.person(t)
	first.enters("matinee")
	first.stands(2)
	first.holds()
	second := first.tab()
	second.does("another tab", chromedp.Navigate(first.base+"/e/matinee"), chromedp.WaitVisible("#email"))
	both := []*person{first, second}
	together(t, "go on to the payment", both, script(`document.querySelector('#email').form.requestSubmit()`), chromedp.WaitVisible("iframe.provider"))
	order := first.order("matinee")
	if other := second.order("matinee"); other != order || order == "" {
		t.Errorf("two tabs have two orders: %s and %s", order, other)
	}
	pay := make(map[*person]chromedp.QueryOption)
	for _, p := range both {
		p.inFrame("the card", "", func(frame chromedp.QueryOption) []step {
			pay[p] = frame
			return []step{chromedp.WaitVisible("input[name=card]", frame), chromedp.SetValue("input[name=card]", "4242424242424242", frame)}
		})
	}
	var pressed sync.WaitGroup
	for _, p := range both {
		pressed.Go(func() {
			ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
			defer cancel()
			_ = chromedp.Do(ctx, chromedp.Click("button[name=pay]", pay[p])) // of the slower one the form may be gone
		})
	}
	pressed.Wait()
	for _, p := range both {
		p.sees("Your tickets are here")
	}
	where := first.base + "/e/matinee/pay/" + order
	first.does("the way back", chromedp.Navigate(where))
	first.sees("Your tickets are here")
	first.script(`history.back()`) // which may show the page as it was left, without loading it
	first.sees("Your tickets are here")
	first.does("another load", chromedp.Reload())
	first.sees("Your tickets are here")
	h.paidOnce(t, order, 6600, 2)
}

func changesLanguage(h *house, t *testing.T) {
	p := h.person(t)
	speaks := func(code, shows string) {
		t.Helper()
		p.taps(`.languages a[lang="` + code + `"]`)
		p.does("the page in "+code, chromedp.WaitVisible(`html[lang="`+code+`"] `+shows))
	}
	p.getsInLine("late")
	speaks("de", ".gateway")
	p.sees("Mit der Auslosung vergleichen")
	p.enters("matinee")
	p.sees("Stehplätze")
	p.stands(1)
	p.holds()
	p.sees("Für dich vorgemerkt, noch")
	hold := p.ask(`JSON.parse(localStorage.getItem('fairgate:matinee')).hold`)
	speaks("es", "#email")
	if now := p.ask(`JSON.parse(localStorage.getItem('fairgate:matinee')).hold`); now != hold {
		t.Errorf("the hold is %s in one language and %s in the other", hold, now)
	}
	p.checksOut()
	order := p.order("matinee")
	speaks("de", "iframe.provider")
	p.card("4242424242424242", "")
	p.does("the ticket", chromedp.WaitVisible(`html[lang="de"] .ticket img`))
	h.paidOnce(t, order, 3300, 1)
}

func withoutScript(h *house, t *testing.T) {
	p := h.person(t)
	off := emulation.SetScriptExecutionDisabledParams{Value: true}
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, off); err != nil {
		t.Fatal(err)
	}
	p.does("join", chromedp.Navigate(p.base+"/e/matinee"), chromedp.WaitVisible("noscript p"), chromedp.Click("#view form button"), chromedp.WaitVisible(".gateway"))
	p.does("the page looks again by itself until it is the turn", chromedp.WaitVisible(".gateway.open"))
	p.does("go in", chromedp.Click("main form button"), chromedp.WaitVisible("#tier-floor"))
	p.does("choose", chromedp.SetValue("#tier-floor", "2"), chromedp.Click("main form button"), chromedp.WaitVisible(`a[href*="return_url"]`))
	order, err := chromedp.Run(p.ctx, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	p.does("the provider's page", chromedp.Click(`a[href*="return_url"]`), chromedp.WaitVisible("input[name=card]"), chromedp.SetValue("input[name=card]", "4242424242424242"), chromedp.Click("button[name=pay]"))
	p.does("the tickets", chromedp.WaitVisible(".ticket img"))
	h.paidOnce(t, order[strings.LastIndexByte(order, '/')+1:], 6600, 2)
}
