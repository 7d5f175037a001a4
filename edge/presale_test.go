package edge

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// withSales gives a shop's event two sales: a presale by invitation that runs, and general sale after it.
type withSales struct {
	http.Handler
	over bool // the presale
}

func (s *withSales) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/v1/events/arena" {
		s.Handler.ServeHTTP(w, r)
		return
	}
	got := httptest.NewRecorder()
	s.Handler.ServeHTTP(got, r)
	var e map[string]any
	_ = json.Unmarshal(got.Body.Bytes(), &e) // of our own making
	states, presale := []string{"joining", "coming"}, "fans"
	if s.over {
		states, presale = []string{"over", "joining"}, ""
	}
	e["on_sale"].(map[string]any)["presale"] = presale
	e["sales"] = []map[string]any{
		{"presale": "fans", "name": "Fan club", "who": "invitation", "state": states[0], "opens_at": "2027-05-03T08:00:00Z", "ends_at": "2027-05-05T08:00:00Z"},
		{"presale": "members", "name": "Members", "who": "word", "state": "coming", "opens_at": "2027-05-06T08:00:00Z", "ends_at": "2027-05-07T08:00:00Z"},
		{"state": states[1], "joining_at": "2027-05-08T07:00:00Z", "opens_at": "2027-05-08T08:00:00Z", "ends_at": "2027-06-08T08:00:00Z"},
	}
	w.Header().Set("Cache-Control", "public, max-age=1")
	w.Header().Set("ETag", `"`+states[0]+`"`)
	fakeJSON(w, 200, e)
}

// succeeds ends the presale, and has general sale begin, which everybody may join.
func (w *fakeWorld) succeeds(s *withSales, e *fakeEvent) {
	w.change(func() {
		s.over = true
		e.state.Generation, e.state.Presale, e.state.Identity, e.state.Next = 2, "", "device", nil
		e.state.Phase, e.state.Cursor, e.state.CalledCount, e.state.Joined, e.state.Windows = queue.PhaseJoining, nil, 0, 0, []queue.Window{}
		e.pool = map[lottery.Entrant]*fakeEntrant{}
	})
}

// presaleWorld is a world in which a presale by invitation runs.
func presaleWorld(t *testing.T) (*fakeWorld, *withSales, *fakeEvent, *testNode, string) {
	t.Helper()
	world := newWorld(t)
	sales := &withSales{Handler: newShop(t)}
	world.shop = sales
	event := world.addEvent("arena", time.Hour)
	world.change(func() {
		event.state.Identity, event.state.Presale, event.state.PollAfterMS = "invitation", "fans", 300
		event.state.Next = &queue.Next{JoiningAt: queue.Instant{Time: time.Date(2027, 5, 8, 7, 0, 0, 0, time.UTC)},
			OpensAt: queue.Instant{Time: time.Date(2027, 5, 8, 8, 0, 0, 0, time.UTC)}, EndsAt: queue.Instant{Time: time.Date(2027, 6, 8, 8, 0, 0, 0, time.UTC)}}
	})
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	return world, sales, event, n, lottery.Invitation{Event: lottery.EventID("arena"), Presale: "fans", ID: [16]byte{1}, KeyNo: 1}.Sign(event.invitation)
}

func TestAPresaleIsJoinedWaitedForAndLeftForTheNextSaleByFormsAlone(t *testing.T) {
	world, sales, event, n, invitation := presaleWorld(t)
	b := newBuyer(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page := func(path string, parts ...string) string {
		t.Helper()
		r := b.do(n, "GET", path, "")
		for _, part := range parts {
			if r.status != 200 || !strings.Contains(string(r.body), part) {
				t.Fatalf("%s: %d lacks %q: %s", path, r.status, part, r.body)
			}
		}
		return string(r.body)
	}
	page("/e/arena", "<h2>Fan club</h2>", "For who was invited", "General sale", `name="invitation"`, `action="/e/arena/register"`)
	if r := b.do(n, "POST", "/q/arena/join", "invitation="+invitation, asForm); r.status != http.StatusSeeOther {
		t.Fatalf("joining by a form: %d %s", r.status, r.body)
	}
	page("/q/arena/place", "<dt>Sale</dt><dd>Fan club</dd>")
	eventually(t, "core has the entry", func() bool {
		b.do(n, "GET", "/q/arena/place", "")
		world.mu.Lock()
		defer world.mu.Unlock()
		return len(event.pool) == 1
	})
	world.open("arena", everybody)
	eventually(t, "the page calls", func() bool {
		return strings.Contains(string(b.do(n, "GET", "/q/arena/place", "").body), "Go in and choose")
	})
	if r := b.do(n, "POST", "/q/arena/claim", "", asForm); r.header.Get("Location") != "/e/arena/buy" {
		t.Fatalf("claiming: %d %s", r.status, r.body)
	}
	page("/e/arena/buy", "Fan club · Choose up to 4 tickets")
	world.change(func() { event.state.Phase = queue.PhaseEnded })
	eventually(t, "the page says that the sale is over, and what comes next", func() bool {
		text := string(b.do(n, "GET", "/q/arena/place", "").body)
		return strings.Contains(text, "The sale is over.") && strings.Contains(text, "Next: General sale. Its waiting room opens Sat 8 May 2027, 09:00.")
	})
	world.succeeds(sales, event)
	eventually(t, "the page says that the next sale's room is open", func() bool {
		text := string(b.do(n, "GET", "/q/arena/place", "").body)
		return strings.Contains(text, "The sale is over.") && strings.Contains(text, "Next: General sale. Its waiting room is open")
	})
	eventually(t, "the event's page offers it", func() bool {
		text := string(b.do(n, "GET", "/e/arena", "").body)
		return strings.Contains(text, "<h2>General sale</h2>") && !strings.Contains(text, `name="invitation"`)
	})
	eventually(t, "it is joined without an invitation", func() bool {
		return b.do(n, "POST", "/q/arena/join", "", asForm).status == http.StatusSeeOther
	})
	page("/q/arena/place", "<dt>Sale</dt><dd>General sale</dd>")
}

func TestAnInvitationOpensTheSaleItWasMadeForAlone(t *testing.T) {
	world, sales, event, n, invitation := presaleWorld(t)
	made := func(presale string) string {
		return lottery.Invitation{Event: lottery.EventID("arena"), Presale: presale, ID: [16]byte{1}, KeyNo: 1}.Sign(event.invitation)
	}
	join := func(code string) reply {
		return newBuyer(t).do(n, "POST", "/q/arena/join", `{"invitation":"`+code+`"}`)
	}
	join(made("")).expect(t, "one for general sale in the presale", 401, "invitation_forged")
	join(made("sponsors")).expect(t, "one for another presale", 401, "invitation_forged")
	if r := join(invitation); r.status != 200 {
		t.Errorf("its own: %d %s", r.status, r.body)
	}
	world.succeeds(sales, event)
	world.change(func() { event.state.Identity = "invitation" })
	eventually(t, "general sale takes an invitation of its own", func() bool { return join(made("")).status == 200 })
	join(invitation).expect(t, "the presale's in general sale", 401, "invitation_forged")
}

func TestOneRegistersForAPresaleByAFormWithItsWord(t *testing.T) {
	world, n := accountWorld(t, "arena")
	world.mu.Lock()
	behind := world.shop
	var words []string
	world.shop = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /v1/events/arena/presales/members/registration":
			text, _ := io.ReadAll(r.Body)
			words = append(words, string(text))
			if r.Header.Get("Fairgate-Account") == "" || !strings.Contains(string(text), "luna") {
				fakeProblem(w, 403, "presale_word_wrong")
				return
			}
			fakeJSON(w, 200, map[string]any{"registered": true})
		default:
			behind.ServeHTTP(w, r)
		}
	})
	world.mu.Unlock()
	b := newBuyer(t)
	says := func(body string, status int, what string) {
		t.Helper()
		if r := b.do(n, "POST", "/e/arena/register", body, asForm); r.status != status || !strings.Contains(string(r.body), what) {
			t.Errorf("%s: %d lacks %q: %s", body, r.status, what, r.body)
		}
	}
	says("presale=members&word=luna", 401, `href="/account?event=arena"`) // nobody is signed in
	b.signIn(n, "ann@example.org")
	says("presale=members&word=sol", 403, "That is not the word of this presale.")
	says("presale=members&word=luna", 200, "This account is registered for members.")
	if r := b.do(n, "POST", "/e/arena/register", "presale=members", asForm, "Origin: https://elsewhere.example"); r.status != 403 {
		t.Errorf("a form of another site: %d", r.status)
	}
	if len(words) != 2 {
		t.Errorf("core was asked with %q", words)
	}
}

func TestThePageGoesFromAPresaleToTheNextSaleByItself(t *testing.T) {
	ctx, _ := startBrowser(t)
	world, sales, event, n, invitation := presaleWorld(t)
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
	step("the page", chromedp.Navigate("http://"+n.Addr().String()+"/e/arena"), chromedp.WaitVisible("#view:not([aria-busy]) form button"))
	shows("Fan club")
	step("join", chromedp.SendKeys("#view #invitation", invitation), chromedp.Click("#view form button"))
	shows("The order is drawn when the sale opens")
	world.open("arena", everybody)
	step("the shop", chromedp.WaitVisible("#tier-floor"))
	world.succeeds(sales, event)
	// The stream tells the shopper that another sale has begun.
	shows("Fan club is over.")
	shows("General sale")
	step("the next sale's form", chromedp.WaitVisible("#view form button"))
	eventually(t, "the list of sales tells how each stands", func() bool {
		list, err := chromedp.Run(ctx, chromedp.Evaluate[string](`[...document.querySelectorAll('#sales .badge')].map((b) => b.textContent).join()`))
		return err == nil && list == "Over,Not yet,Waiting room open"
	})
	step("join", chromedp.Click("#view form button"))
	shows("The order is drawn when the sale opens")
}
