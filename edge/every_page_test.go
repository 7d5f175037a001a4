package edge

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"fairgate/edge/guard"
	"fairgate/edge/queue"
)

// scene is a page as a buyer may find it.
type scene struct {
	page string // the template of edge/web that it is made of
	view string // where event.js went, on the page of an event
	name string // of its pictures
	// set prepares what the page tells of. Afterwards show brings the page up, in whatever language the browser asks for.
	set func(v *viewer) (show func())
}

// opens is a scene that lies at an address.
func opens(path, selector string, set func(v *viewer)) func(v *viewer) func() {
	return func(v *viewer) func() {
		set(v)
		return func() { v.goes(path, selector) }
	}
}

// anEvening is a shop that answers some things differently.
func anEvening(answers map[string]any) http.Handler { return behind(newEvening(), answers) }

// phase has the sale stand at a phase.
func phase(p queue.Phase) func(*queue.State) { return func(s *queue.State) { s.Phase = p } }

func identity(kind string) func(*queue.State) { return func(s *queue.State) { s.Identity = kind } }

// remembersOne has been let in, and remembers a hold or an order.
func (v *viewer) remembersOne(what string) *viewer {
	return v.isLetIn().remembers(map[string]any{what: uuid.NewString()})
}

// orders shows an order in a state. The page forgets one of which nothing more comes.
func orders(selector string, change map[string]any) func(v *viewer) func() {
	return func(v *viewer) func() {
		v.before(anEvening(map[string]any{"GET /v1/orders/": anOrder(uuid.NewString(), change)})).isLetIn()
		return func() {
			v.remembers(map[string]any{"order": uuid.NewString()})
			v.goes("/e/arena", selector)
		}
	}
}

// ordersNoScript shows the same to who has no script.
func ordersNoScript(selector string, change map[string]any) func(v *viewer) func() {
	id := uuid.NewString()
	return opens("/e/arena/order/"+id, selector, func(v *viewer) {
		v.before(anEvening(map[string]any{"GET /v1/orders/": anOrder(id, change)})).isLetIn()
	})
}

// receives shows an offered ticket.
func receives(selector string, answer any) func(v *viewer) func() {
	return opens("/e/arena?transfer="+uuid.NewString(), selector, func(v *viewer) {
		v.before(anEvening(map[string]any{"GET /v1/transfers/": answer})).isLetIn() // who is nobody here is told to sign in before core is asked
	})
}

// lists is what a list of events answers.
func lists(answer any) func(v *viewer) {
	return func(v *viewer) { v.before(behind(newSeason(), map[string]any{"GET /v1/events": answer})) }
}

// tells shows the event with its answer or its sale changed.
func tells(selector string, answer map[string]any, changes ...func(*queue.State)) func(v *viewer) func() {
	return opens("/e/arena", selector, func(v *viewer) {
		answers := map[string]any{}
		if answer != nil {
			eur := func(minor int64) queue.Money { return queue.Money{Minor: minor, Currency: "EUR"} }
			full := map[string]any{"id": "arena", "name": "Midsummer Night at the Arena", "starts_at": "2027-06-12T19:00:00.000Z", "time_zone": "Europe/Madrid", "currency": "EUR", "per_buyer": 4, "state": "active",
				"venue": map[string]string{"name": "Arena del Puerto", "city": "Valencia", "country": "ES"}, "rules": map[string]any{},
				"tiers": []any{map[string]any{"id": "floor", "name": "Floor, standing", "kind": "general", "price": eur(6975), "face": eur(6500), "fee": eur(475), "tax": eur(634), "left": 0}}}
			for key, value := range answer {
				full[key] = value
			}
			answers["GET /v1/events/arena"] = full
		}
		v.before(behind(newSeason(), answers), changes...)
	})
}

// byForm shows what a form is answered that a browser without a script sends.
func byForm(path, selector string, fields map[string]string, set func(v *viewer)) func(v *viewer) func() {
	return func(v *viewer) func() {
		set(v)
		var inputs strings.Builder
		for name, value := range fields {
			fmt.Fprintf(&inputs, `f.append(Object.assign(document.createElement('input'), { name: %q, value: %q }));`, name, value)
		}
		return func() {
			v.goes("/account", "main")
			v.does("send the form to "+path, runs(`(() => { const f = document.createElement('form'); f.method = 'post'; f.action = '`+path+`';`+inputs.String()+` document.body.append(f); setTimeout(() => f.submit()); })(), ''`))
			eventually(v.t, "the answer is there", func() bool {
				there, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`document.readyState === 'complete' && document.querySelector('`+selector+`') !== null`))
				return err == nil && there
			})
		}
	}
}

// challenged is in front of a challenge.
func challenged(v *viewer, change func(*Config)) {
	g := newGuarded(v.t, func(c *Config) {
		servers(v.t, c)
		c.Guard.Answers.MinBits, c.Guard.Answers.MaxBits = 26, 26 // which takes longer than somebody looks at it
		c.Guard.Answers.Wait, c.Guard.Answers.WaitMost = time.Minute, time.Minute
		change(c)
	})
	g.world.change(func() { g.world.shop = newSeason() })
	v.b = g.program(5)
	thief := newBuyer(v.t)
	thief.cookies["fg_pass_arena"] = v.b.cookies["fg_pass_arena"]
	for range 4 {
		thief.do(g.testNode, "POST", "/q/arena/claim", "{}", programHeaders...)
	}
	g.callEverybody()
	v.at(g.testNode)
	g.claims(v.b, programHeaders)
	v.wears()
}

// atTheTill is somebody who has to pay.
func atTheTill(form string) func(v *viewer) *till {
	return func(v *viewer) *till {
		s := newTill(v.t, form)
		v.before(s).isLetIn()
		return s
	}
}

var scenes = []scene{
	{"list", "", "list", opens("/", ".list a", func(v *viewer) { v.before(newSeason()) })},
	{"list", "", "list-empty", opens("/?q=zzz", ".search", lists(map[string]any{"events": []any{}, "next": "", "total": 0}))},
	{"list", "", "list-refused", opens("/?from=x", ".notice", lists(refused{400, "bad_request"}))},

	{"missing", "", "missing", opens("/e/nothing", "h1", func(v *viewer) { v.before(newSeason()) })},
	{"problem", "", "nowhere", opens("/nowhere", ".notice", func(v *viewer) { v.before(newSeason()) })},
	{"problem", "", "core-away", opens("/e/arena/order/"+uuid.NewString(), ".notice", func(v *viewer) {
		v.before(newSeason()).isLetIn().core.stop()
	})},

	{"event", "", "announced", tells("#view .facts", nil, phase(queue.PhaseAnnounced))},
	{"event", "", "ended", tells("#view .facts", map[string]any{"waiting_list": true}, phase(queue.PhaseEnded))},
	{"event", "", "sold-out", tells("#view:not([aria-busy]) form", map[string]any{"waiting_list": true}, phase(queue.PhaseSoldOut))},
	{"event", "", "paused", tells("#view:not([aria-busy]) form", nil, phase(queue.PhasePaused))},
	{"event", "", "cancelled", tells("#view:not([aria-busy])", map[string]any{"state": "cancelled"}, phase(queue.PhaseEnded))},
	{"event", "waitingRoom", "invitation", tells("#view:not([aria-busy]) #invitation", nil, identity("invitation"))},
	{"event", "waitingRoom", "joined", opens("/e/arena", ".gateway", func(v *viewer) { v.before(newSeason()).waits() })},
	{"event", "waitingRoom", "waiting", opens("/e/arena", ".gateway .quiet", func(v *viewer) {
		v.before(newSeason()).waits()
		v.world.crowd("arena", 48211, 512)
		v.world.change(func() { v.event.state.Message = "Doors open at 19:00. Lumen play at 21:00 sharp." })
		eventually(v.t, "the node knows of the draw", func() bool { return v.n.board.Entry([]byte("arena")).State.Message != "" })
	})},
	{"event", "waitingRoom", "called-elsewhere", opens("/e/arena", ".gateway.open", func(v *viewer) {
		v.before(newSeason()).waits()
		v.world.open("arena", everybody)
		v.world.change(func() { v.world.refuseClaims = "device_mismatch" })
	})},
	{"event", "waitingRoom", "doubt", opens("/e/arena", ".gateway", func(v *viewer) {
		v.before(newSeason()).waits()
		v.world.crowd("arena", 48211, 512)
		v.goes("/e/arena", ".gateway .big")
		v.core.stop()
		eventually(v.t, "the node has lost core", func() bool { return v.n.doubt.Load() })
	})},

	{"event", "", "unfinished", opens("/e/arena", ".unfinished .clock", unfinished)},
	{"event", "orderPage", "paid-by-link", orders("#view .quiet", map[string]any{"state": "ticket_issued", "linked": true, "tickets": []uuid.UUID{}})},
	{"event", "orderPage", "mail-link-dead", opens("/e/arena?order="+uuid.NewString()+"#link=x", "#view .notice.bad", func(v *viewer) {
		v.before(anEvening(map[string]any{"GET /v1/orders/": refused{404, "order_unknown"}})).isLetIn()
	})},
	{"account", "", "account-unfinished", opens("/account", ".unfinished .clock", unfinished)},

	{"event", "shop", "seats", opens("/e/arena", ".map canvas", func(v *viewer) { v.before(newEvening()).isLetIn() })},
	{"event", "shop", "gone", opens("/e/arena", ".seatcard", func(v *viewer) {
		v.before(anEvening(map[string]any{"GET /v1/events/arena/seats": map[string]any{"id": "none-1", "geometry": fakeGeometry, "states": taken(2364), "sections": []count{}, "tiers": []count{{"floor", 0}, {"lower", 0}, {"upper", 0}}},
			"GET /v1/events/arena/listings": map[string]any{"listings": []any{}}})).isLetIn()
	})},
	{"event", "shop", "time-over", func(v *viewer) func() {
		v.before(anEvening(map[string]any{"GET /v1/holds/": map[string]any{"id": uuid.New(), "event": "arena", "state": "expired", "items": []any{map[string]any{"tier": "floor", "allocation": "general", "quantity": 2, "seats": []string{}}}}})).isLetIn()
		return func() {
			v.remembers(map[string]any{"hold": uuid.NewString()})
			v.goes("/e/arena", ".notice.bad")
		}
	}},
	{"event", "holdPage", "hold", opens("/e/arena", "#email", func(v *viewer) { v.before(newEvening()).remembersOne("hold") })},
	{"event", "holdPage", "address-wrong", func(v *viewer) func() {
		v.before(newEvening()).remembersOne("hold")
		return func() {
			v.goes("/e/arena", "#email")
			v.does("an address that is none", chromedp.SendKeys("#email", "nobody"), chromedp.Click("form button"), chromedp.WaitVisible(".wrong"))
		}
	}},

	{"event", "orderPage", "transfer", orders("#view .facts", map[string]any{"payment": map[string]any{"attempt": 1, "state": "begun", "failure": "", "form": "instructions", "method": "bank_transfer", "pay_to": "ES91 2100 0418 4502 0005 1332, Arena del Puerto", "provider_ref": "RF18539007547034"}})},
	{"event", "orderPage", "pay-elsewhere", orders("#view a.button", map[string]any{"payment": map[string]any{"attempt": 1, "state": "begun", "failure": "", "form": "redirect", "pay_url": "https://pay.example/1"}})},
	{"event", "orderPage", "pay-failed", orders(".notice.bad", map[string]any{"state": "payment_failed", "payment": map[string]any{"attempt": 1, "state": "failed", "failure": "card_declined/insufficient_funds"}})},
	{"event", "orderPage", "refunded", orders("#view .actions", map[string]any{"state": "refunded", "payment": map[string]any{"attempt": 1, "state": "refunded", "failure": ""}})},
	{"event", "orderPage", "review", orders("#view h2", map[string]any{"state": "payment_review", "payment": map[string]any{"attempt": 1, "state": "authorized", "failure": ""}})},
	{"event", "resume", "link-dead", opens("/e/arena?order="+uuid.NewString()+"#link=x", "#view .notice, #status:not(:empty)", func(v *viewer) { v.before(newResumable(v.t)) })},
	{"event", "ticketsPage", "tickets", opens("/e/arena", ".ticket img", func(v *viewer) { v.before(newEvening()).remembersOne("order") })},
	{"event", "ticketsPage", "ticket-gone", opens("/e/arena?ticket="+uuid.NewString(), "#view .notice", func(v *viewer) {
		v.before(anEvening(map[string]any{"GET /v1/tickets/": refused{404, "ticket_unknown"}, "GET /v1/listings": map[string]any{"listings": []any{}}})).isLetIn()
	})},
	{"event", "ticketsPage", "at-the-gate", func(v *viewer) func() {
		v.before(newEvening()).remembersOne("order")
		return func() {
			v.goes("/e/arena", ".ticket img")
			v.does("show at the gate", chromedp.Click(".ticket > .actions button, .ticket .actions button"), chromedp.WaitVisible(".atgate"))
		}
	}},
	{"event", "offline", "no-network", func(v *viewer) func() {
		v.before(newEvening())
		line := layCable(v.t, v.n.Addr().String())
		v.base = "http://" + line.address
		v.remembersOne("order")
		return func() {
			v.goes("/e/arena", ".ticket img")
			eventually(v.t, "the page is kept", func() bool {
				return asks[bool](v.ctx, v.t, `navigator.serviceWorker.ready.then(() => caches.keys()).then(async (names) => (await Promise.all(names.map(async (n) => (await (await caches.open(n)).keys()).length))).some((n) => n > 20))`)
			})
			line.cut()
			v.goes("/e/arena", "#view > .notice + .ticket img")
			line.mend(v.t) // for the next language
		}
	}},
	{"event", "receivePage", "received", receives("#view .actions button", map[string]any{"id": uuid.New(), "ticket_id": uuid.New(), "tier": "lower", "seat": "102/C/10", "state": "offered", "from": "a…@example.org", "expires_at": time.Now().Add(time.Hour)})},
	{"event", "receivePage", "received-signed-out", receives("#view .actions a", refused{401, "signed_out"})},
	{"event", "receivePage", "received-over", receives("#view .notice", map[string]any{"id": uuid.New(), "ticket_id": uuid.New(), "tier": "lower", "seat": "102/C/10", "state": "expired", "expires_at": time.Now().Add(-time.Hour)})},

	{"place", "", "place", opens("/q/arena/place", ".gateway", func(v *viewer) { v.before(newSeason()).waits() })},
	{"place", "", "place-waiting", opens("/q/arena/place", ".gateway .big", func(v *viewer) {
		v.before(newSeason()).waits()
		v.world.crowd("arena", 48211, 512)
		eventually(v.t, "the node knows of the draw", func() bool { return v.n.board.Entry([]byte("arena")).State.CalledCount > 0 })
	})},
	{"place", "", "place-called", opens("/q/arena/place", ".gateway.open", func(v *viewer) {
		v.before(newSeason()).waits()
		v.world.open("arena", everybody)
		eventually(v.t, "everybody is called", func() bool { return v.n.board.Entry([]byte("arena")).State.Cursor != nil })
	})},
	{"place", "", "place-early", byForm("/q/arena/claim", ".notice.bad", nil, func(v *viewer) { v.before(newSeason()).waits() })},
	{"refused", "", "refused", byForm("/q/arena/join", ".notice.bad", map[string]string{"invitation": "forged"}, func(v *viewer) { v.before(newSeason(), identity("invitation")) })},
	{"buy", "", "buy-nothing", byForm("/e/arena/buy", ".notice.bad", map[string]string{"key": uuid.NewString()}, func(v *viewer) { v.before(newEvening()).isLetIn() })},
	{"buy", "", "buy-sold-out", byForm("/e/arena/buy", ".notice.bad", map[string]string{"key": uuid.NewString(), "tier-gone": "2"}, func(v *viewer) { v.before(newEvening()).isLetIn() })},
	{"order", "", "order-pay", ordersNoScript("main a.button", map[string]any{"payment": map[string]any{"attempt": 1, "state": "begun", "failure": "card_declined", "form": "redirect", "pay_url": "https://pay.example/1"}})},
	{"order", "", "order-transfer", ordersNoScript(".facts", map[string]any{"payment": map[string]any{"attempt": 1, "state": "begun", "failure": "", "form": "instructions", "method": "bank_transfer", "pay_to": "ES91 2100 0418 4502 0005 1332, Arena del Puerto", "provider_ref": "RF18539007547034"}})},
	{"order", "", "order-tickets", ordersNoScript(".ticket", map[string]any{"state": "ticket_issued", "tickets": []string{uuid.NewString()}})},

	{"pay", "", "pay", func(v *viewer) func() {
		s := atTheTill("frame")(v)
		return func() { v.goes("/e/arena/pay/"+s.order.String(), "iframe.provider") }
	}},
	{"pay", "", "pay-declined", func(v *viewer) func() {
		s := atTheTill("frame")(v)
		s.try("0002")
		return func() { v.goes("/e/arena/pay/"+s.order.String(), ".notice.bad") }
	}},
	{"pay", "", "pay-not-loaded", func(v *viewer) func() {
		s := atTheTill("stripe_elements")(v)
		return func() { v.goes("/e/arena/pay/"+s.order.String(), ".notice.bad") }
	}},
	{"pay", "", "pay-transfer", func(v *viewer) func() {
		s := atTheTill("instructions")(v)
		s.method = "bank_transfer"
		return func() { v.goes("/e/arena/pay/"+s.order.String(), ".facts") }
	}},
	{"pay", "", "pay-office", func(v *viewer) func() {
		s := atTheTill("instructions")(v)
		s.method = "box_office"
		return func() { v.goes("/e/arena/pay/"+s.order.String(), ".facts") }
	}},

	{"challenge", "", "challenge", opens("/q/arena/challenge", "#script", func(v *viewer) { challenged(v, func(c *Config) { c.Guard.Answers.DenyFrom = 0 }) })},
	{"challenge", "", "denied", opens("/q/arena/challenge", ".notice.bad", func(v *viewer) {
		challenged(v, func(c *Config) { c.Guard.Answers.Appeal = "Write to help@example.org." })
	})},
	{"challenge", "", "captcha", opens("/q/arena/challenge", "#script form", func(v *viewer) {
		challenged(v, func(c *Config) {
			secret := filepath.Join(v.t.TempDir(), "captcha")
			if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
				v.t.Fatal(err)
			}
			c.Guard.Answers.DenyFrom = 0
			c.Guard.Answers.Captcha = guard.CaptchaConfig{Provider: "turnstile", SiteKey: "site", SecretFile: secret, VerifyURL: "http://127.0.0.1:1/siteverify", Timeout: time.Second}
		})
	})},

	{"account", "", "sign-in", opens("/account", "#email", func(v *viewer) { _, n := accountWorld(v.t, "arena"); v.at(n) })},
	{"account", "", "code", byForm("/account", "#code", map[string]string{"step": "code", "email": "ann@example.org"}, func(v *viewer) { _, n := accountWorld(v.t, "arena"); v.at(n) })},
	{"account", "", "code-wrong", byForm("/account", ".notice.bad", map[string]string{"step": "session", "email": "ann@example.org", "code": "1"}, func(v *viewer) { _, n := accountWorld(v.t, "arena"); v.at(n) })},
	{"account", "", "account", opens("/account", "#out", func(v *viewer) {
		_, n := accountWorld(v.t, "arena")
		v.at(n).b.signIn(n, "ann@example.org")
		v.wears()
	})},
	{"account", "", "offers", opens("/account", "#offers", func(v *viewer) {
		w := newListWorld(v.t, "ended")
		w.list.offered()
		v.b = w.b
		v.at(w.n).b.signIn(w.n, "ann@example.org")
		v.wears()
	})},

	{"unsubscribe", "", "unsubscribe", opens("/unsubscribe/token", "form.card", func(v *viewer) { v.before(newSeason()) })},

	{"draw", "", "draw-checked", func(v *viewer) func() {
		transcript, _, _ := aDraw(v.t, "arena")
		v.before(behind(newSeason(), map[string]any{"GET /v1/events/arena/transcript": transcript}))
		return func() {
			v.goes("/e/arena/draw", "#check button")
			v.does("check", chromedp.Click("#check button"), chromedp.WaitVisible("#result .notice"))
		}
	}},
	{"draw", "", "draw-wrong", func(v *viewer) func() {
		transcript, _, _ := aDraw(v.t, "arena")
		transcript.Windows[0].Seed[3] ^= 1
		v.before(behind(newSeason(), map[string]any{"GET /v1/events/arena/transcript": transcript}))
		return func() {
			v.goes("/e/arena/draw", "#check button")
			v.does("check", chromedp.Click("#check button"), chromedp.WaitVisible("#checks .no"))
		}
	}},
}

// unfinished is a browser with an order that it has not paid, and that has forgotten it.
func unfinished(v *viewer) { v.before(newResumable(v.t)).isLetIn() }

// taken are the states of so many seats, all of which somebody has.
func taken(seats int) []byte {
	states := make([]byte, (seats+3)/4)
	for i := range states {
		states[i] = 0b10101010
	}
	return states
}

// Every page in every state that a buyer may find it in: axe-core has no objection, and nothing sticks out, in three languages, in both
// colour schemes, on a phone and on a desk. German, whose words are long, is looked at where there is least room.
func TestEverybodyCanUseEveryPage(t *testing.T) {
	browser, _ := startBrowserFor(t, 15*time.Minute)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			v := newViewer(t, browser)
			show := s.set(v)
			if os.Getenv(screenshotsTo) != "" {
				show()
				look(v.ctx, t, s.name)
				return
			}
			for _, at := range [][3]string{{"de", "phone", "light"}, {"es", "phone", "dark"}, {"en", "desktop", "dark"}} {
				v.reads(at[0])
				show()
				if lang, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](`document.documentElement.lang`)); err != nil || lang != at[0] {
					t.Fatalf("the page is in %q, %v", lang, err)
				}
				lookOn(v.ctx, t, s.name+" in "+at[0], at[1], at[2])
			}
		})
	}
}

// A page that is added to edge/web, or a part of an event's page, is looked at too.
func TestEveryPageHasAScene(t *testing.T) {
	templates, err := filepath.Glob("web/template/*.html")
	if err != nil || len(templates) == 0 {
		t.Fatal(templates, err)
	}
	for _, path := range templates {
		page := strings.TrimSuffix(filepath.Base(path), ".html")
		if page != "layout" && !slices.ContainsFunc(scenes, func(s scene) bool { return s.page == page }) {
			t.Errorf("nobody looks at %s", path)
		}
	}
	script, err := os.ReadFile("web/static/event.js")
	if err != nil {
		t.Fatal(err)
	}
	views := regexp.MustCompile(`(?m)^export const (\w+) = async `).FindAllSubmatch(script, -1)
	if len(views) < 7 {
		t.Fatalf("event.js goes to %d parts", len(views))
	}
	for _, view := range views {
		if !slices.ContainsFunc(scenes, func(s scene) bool { return s.view == string(view[1]) }) {
			t.Errorf("nobody looks at what %s of event.js shows", view[1])
		}
	}
	seen := map[string]bool{}
	for _, s := range scenes {
		if seen[s.name] {
			t.Errorf("two scenes are called %s", s.name)
		}
		seen[s.name] = true
	}
}
