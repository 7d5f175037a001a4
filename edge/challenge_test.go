package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fairgate/edge/guard"
	"fairgate/edge/guard/challenge"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// A program's headers, and a browser's as far as Go's client lets one choose.
var (
	programHeaders = []string{"User-Agent: python-requests/2.31"}
	browserHeaders = []string{"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Accept: */*", "Accept-Language: en-US"}
)

// guardedConfig asks and denies.
func guardedConfig(t *testing.T, core *fakeCore) Config {
	c := testConfig(t, core)
	c.Guard.Answers = guard.DefaultAnswers()
	c.Guard.Answers.MinBits, c.Guard.Answers.MaxBits = 8, 10
	c.Guard.Answers.Wait, c.Guard.Answers.WaitMost = time.Second, time.Second
	return c
}

// guarded is an on-sale at a node that asks.
type guarded struct {
	*testNode
	world *fakeWorld
	t     *testing.T
}

func newGuarded(t *testing.T, change func(*Config)) *guarded {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	c := guardedConfig(t, core)
	if change != nil {
		change(&c)
	}
	return &guarded{startNode(t, c).ready("arena"), world, t}
}

// program joins as one that fills in every field, and knocks before its turn so many times.
func (g *guarded) program(knocks int) *buyer {
	b := newBuyer(g.t)
	g.joins(b, `{"website":"x"}`, programHeaders)
	g.world.open("arena", nobody)
	eventually(g.t, "the draw is known", func() bool { return g.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })
	for range knocks {
		b.do(g.testNode, "POST", "/q/arena/claim", "{}", programHeaders...)
	}
	return b
}

func (g *guarded) joins(b *buyer, body string, headers []string) {
	eventually(g.t, "a receipt", func() bool {
		r := b.do(g.testNode, "POST", "/q/arena/join", body, headers...)
		var got joinAnswer
		r.into(g.t, &got)
		return got.Receipt != nil
	})
}

func (g *guarded) callEverybody() {
	g.world.open("arena", everybody)
	eventually(g.t, "everybody is called", func() bool { return g.board.Entry([]byte("arena")).State.Cursor != nil })
}

// asked is the challenge in an answer.
type asked struct {
	Code      string `json:"code"`
	Challenge struct {
		Kind, Token, Page string
		Bits              int
	} `json:"challenge"`
}

func (g *guarded) claims(b *buyer, headers []string) (reply, asked) {
	r := b.do(g.testNode, "POST", "/q/arena/claim", "{}", headers...)
	var a asked
	_ = json.Unmarshal(r.body, &a)
	return r, a
}

func (g *guarded) answers(b *buyer, token, answer string) reply {
	body, err := json.Marshal(challengeAnswer{token, answer})
	if err != nil {
		g.t.Fatal(err)
	}
	return b.do(g.testNode, "POST", "/q/arena/challenge", string(body), programHeaders...)
}

func TestAPersonIsAskedForNothingAndAProgramForWork(t *testing.T) {
	g := newGuarded(t, nil)
	person := newBuyer(t)
	g.joins(person, "{}", browserHeaders)
	program := g.program(1)
	g.callEverybody()
	if r, _ := g.claims(person, browserHeaders); r.status != 200 {
		t.Fatalf("a person: %d %s", r.status, r.body)
	}
	r, got := g.claims(program, programHeaders)
	if r.status != 403 || got.Code != "challenge_required" || got.Challenge.Kind != "work" || got.Challenge.Page != "/q/arena/challenge" {
		t.Fatalf("a program: %d %s", r.status, r.body)
	}
	right, _ := challenge.Solve(got.Challenge.Token, got.Challenge.Bits)

	thief := newBuyer(t)
	g.joins(thief, "{}", browserHeaders)
	g.answers(thief, got.Challenge.Token, right).expect(t, "another browser's challenge", 400, "challenge_forged")
	if _, cleared := thief.cookies["fg_clear_arena"]; cleared {
		t.Error("another browser was cleared")
	}
	g.answers(program, flipped(t, got.Challenge.Token, 3), right).expect(t, "a challenge made easier", 400, "challenge_forged")
	wrong := g.answers(program, got.Challenge.Token, "0x")
	wrong.expect(t, "a wrong answer", 403, "challenge_failed")
	if r := g.answers(program, got.Challenge.Token, right); r.status != 200 {
		t.Fatalf("the right answer: %d %s", r.status, r.body)
	}
	g.answers(program, got.Challenge.Token, right).expect(t, "the same again", 403, "challenge_expired")
	if r, _ := g.claims(program, programHeaders); r.status != 200 {
		t.Fatalf("after the work: %d %s", r.status, r.body)
	}
	thief.cookies["fg_clear_arena"] = program.cookies["fg_clear_arena"] // bound to the entrant: of no use, and not needed here
	eventually(t, "the verdicts are on record", func() bool {
		return len(g.world.recorded(func(v verdictJSON) bool { return v.Answer == "asked" && v.By == "work" })) == 1 &&
			len(g.world.recorded(func(v verdictJSON) bool { return v.Answer == "cleared" && v.By == "work" })) == 1 &&
			len(g.world.recorded(func(v verdictJSON) bool { return v.Answer == "noted" && v.Place == "join" })) == 1
	})
	for _, v := range g.world.recorded(func(verdictJSON) bool { return true }) {
		if len(v.Reasons) < 2 || v.Reasons[0].Said == "" || v.Network != "127.0.0.1/32" { // loopback stands for itself
			t.Errorf("recorded %+v", v)
		}
	}
}

func TestTheInvisibleCheckClearsWhoIsOnlyALittleOdd(t *testing.T) {
	g := newGuarded(t, nil)
	odd := newBuyer(t)
	g.joins(odd, "{}", programHeaders)
	g.world.open("arena", nobody)
	eventually(t, "the draw is known", func() bool { return g.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })
	for range 2 {
		odd.do(g.testNode, "POST", "/q/arena/claim", "{}", programHeaders...)
	}
	g.callEverybody()
	_, got := g.claims(odd, programHeaders)
	if got.Challenge.Kind != "check" {
		t.Fatalf("asked for %+v", got)
	}
	g.answers(odd, got.Challenge.Token, "0.0.0").expect(t, "no layout", 403, "challenge_failed")
	if r := g.answers(odd, got.Challenge.Token, challenge.SolveCheck(got.Challenge.Token)); r.status != 200 {
		t.Fatalf("a layout: %d %s", r.status, r.body)
	}
	if r, _ := g.claims(odd, programHeaders); r.status != 200 {
		t.Errorf("after the check: %d %s", r.status, r.body)
	}
}

// Without script and without sight: a form, and a stated time.
func TestThereIsADoorForWhoHasNoScript(t *testing.T) {
	g := newGuarded(t, nil)
	b := g.program(1)
	g.callEverybody()
	r := b.do(g.testNode, "GET", "/q/arena/challenge", "", programHeaders...)
	page := string(r.body)
	if r.status != 200 || !strings.Contains(page, "Press the button in 1 second.") || !strings.Contains(r.header.Get("Content-Security-Policy"), "form-action 'self'") {
		t.Fatalf("the page: %d %s", r.status, page)
	}
	tokens := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(page)
	if tokens == nil {
		t.Fatalf("no form in %s", page)
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	form := []string{"Content-Type: application/x-www-form-urlencoded", programHeaders[0]}
	early := b.do(g.testNode, "POST", "/q/arena/challenge", "token="+tokens[1], form...)
	if early.status != 425 || !strings.Contains(string(early.body), tokens[1]) || early.header.Get("Retry-After") != "1" {
		t.Fatalf("too early: %d %s", early.status, early.body)
	}
	eventually(t, "the wait is over", func() bool {
		r = b.do(g.testNode, "POST", "/q/arena/challenge", "token="+tokens[1], form...)
		return r.status != 425
	})
	if r.status != 303 || r.header.Get("Location") != "/e/arena" {
		t.Fatalf("after the wait: %d %s", r.status, r.body)
	}
	if again, _ := g.claims(b, programHeaders); again.status != 200 {
		t.Errorf("a claim after the wait: %d %s", again.status, again.body)
	}
	if r := b.do(g.testNode, "GET", "/q/arena/challenge", "", programHeaders...); r.status != 303 {
		t.Errorf("the page for who is cleared: %d", r.status)
	}
}

// A code by e-mail is the way around whatever is asked.
func TestWhoIsSignedInIsAskedForNothing(t *testing.T) {
	g := newGuarded(t, nil)
	g.world.signsIn()
	eventually(t, "the node is enrolled", func() bool { return g.signers.keys.Load() != nil })
	b := g.program(1)
	g.callEverybody()
	if r, _ := g.claims(b, programHeaders); r.code() != "challenge_required" {
		t.Fatalf("a program: %d %s", r.status, r.body)
	}
	if page := b.do(g.testNode, "GET", "/q/arena/challenge", "", programHeaders...); !strings.Contains(string(page.body), `href="/account?event=arena"`) {
		t.Errorf("the page does not lead there: %s", page.body)
	}
	b.signIn(g.testNode, "ann@example.org")
	if r, _ := g.claims(b, programHeaders); r.status != 200 {
		t.Fatalf("signed in: %d %s", r.status, r.body)
	}
	eventually(t, "that is on record", func() bool {
		return len(g.world.recorded(func(v verdictJSON) bool { return v.Answer == "cleared" && v.By == "account" })) == 1
	})
}

// servers makes the test's own address one of a data centre.
func servers(t *testing.T, c *Config) {
	c.Guard.DataCentres = filepath.Join(t.TempDir(), "servers")
	if err := os.WriteFile(c.Guard.DataCentres, []byte("127.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADenialIsOnRecordBeforeItIsToldAndAnOperatorLiftsIt(t *testing.T) {
	g := newGuarded(t, func(c *Config) {
		servers(t, c)
		c.Guard.Answers.Appeal = "Write to help@example.org."
	})
	b := g.program(5)
	thief := newBuyer(t)
	thief.cookies["fg_pass_arena"] = b.cookies["fg_pass_arena"]
	for range 4 {
		thief.do(g.testNode, "POST", "/q/arena/claim", "{}", programHeaders...)
	}
	g.callEverybody()
	r, _ := g.claims(b, programHeaders)
	r.expect(t, "a program in every way", 403, "denied")
	if !strings.Contains(string(r.body), "help@example.org") {
		t.Errorf("no word of an appeal: %s", r.body)
	}
	found := g.world.recorded(func(v verdictJSON) bool { return v.Answer == "denied" })
	if len(found) != 1 || len(found[0].Reasons) < 4 {
		t.Fatalf("on record when it was told: %+v", found)
	}
	if page := b.do(g.testNode, "GET", "/q/arena/challenge", "", programHeaders...); !strings.Contains(string(page.body), found[0].Entrant) {
		t.Errorf("the page does not say what to quote: %s", page.body)
	}
	entrant, err := lottery.ParseEntrant(found[0].Entrant)
	if err != nil {
		t.Fatal(err)
	}
	g.world.mu.Lock()
	g.world.lifts = append(g.world.lifts, entrant)
	g.world.mu.Unlock()
	eventually(t, "the lift has come", func() bool {
		r, _ := g.claims(b, programHeaders)
		time.Sleep(20 * time.Millisecond)
		return r.status == 200
	})
}

func TestWhatCannotBePutOnRecordIsAWait(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	c := guardedConfig(t, core)
	servers(t, &c)
	c.Core.Timeout = 300 * time.Millisecond
	c.Feed.Silence = 20 * time.Second
	g := &guarded{startNode(t, c).ready("arena"), world, t}
	b := g.program(5)
	thief := newBuyer(t)
	thief.cookies["fg_pass_arena"] = b.cookies["fg_pass_arena"]
	for range 4 {
		thief.do(g.testNode, "POST", "/q/arena/claim", "{}", programHeaders...)
	}
	g.callEverybody()
	core.stop()
	r, _ := g.claims(b, programHeaders)
	r.expect(t, "a denial that core has not got", 503, "core_unreachable")
}

// The stand-in speaks siteverify as both providers document it.
func TestACaptchaIsLookedUpAtItsProviderAndNobodyIsStuckWhenThatIsDown(t *testing.T) {
	for _, provider := range []string{"turnstile", "hcaptcha"} {
		t.Run(provider, func(t *testing.T) {
			var down atomic.Bool
			var cdata atomic.Value
			cdata.Store("")
			lookups := make(chan string, 100)
			stand := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if down.Load() {
					http.Error(w, "no", http.StatusServiceUnavailable)
					return
				}
				lookups <- r.FormValue("secret") + " " + r.FormValue("response") + " " + r.FormValue("sitekey")
				right := r.FormValue("secret") == "s3cret" && r.FormValue("response") == "person"
				codes := []string{}
				if !right {
					codes = []string{"invalid-input-response"}
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"success": right, "error-codes": codes, "hostname": "example.org", "cdata": cdata.Load()})
			}))
			t.Cleanup(stand.Close)
			g := newGuarded(t, func(c *Config) {
				servers(t, c)
				secret := filepath.Join(t.TempDir(), "captcha")
				if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				c.Guard.Answers.DenyFrom = 0
				c.Guard.Answers.Captcha = guard.CaptchaConfig{Provider: provider, SiteKey: "site", SecretFile: secret, VerifyURL: stand.URL + "/siteverify", Timeout: time.Second}
			})
			b := g.program(5)
			g.callEverybody()
			_, got := g.claims(b, programHeaders)
			if got.Challenge.Kind != "captcha" {
				t.Fatalf("asked for %+v", got)
			}
			page := string(b.do(g.testNode, "GET", "/q/arena/challenge", "", programHeaders...).body)
			if !strings.Contains(page, `data-sitekey="site"`) || !strings.Contains(page, "api.js") {
				t.Fatalf("no widget in %s", page)
			}
			g.answers(b, got.Challenge.Token, "robot").expect(t, "a wrong token", 403, "challenge_failed")
			if provider == "turnstile" {
				_, got = g.claims(b, programHeaders)
				cdata.Store("of another challenge")
				g.answers(b, got.Challenge.Token, "person").expect(t, "a token made for another challenge", 403, "challenge_failed")
				cdata.Store("")
			}
			_, got = g.claims(b, programHeaders)
			down.Store(true)
			again := g.answers(b, got.Challenge.Token, "person")
			var instead asked
			again.into(t, &instead)
			if instead.Challenge.Kind != "work" {
				t.Fatalf("with the provider down: %s", again.body)
			}
			number, _ := challenge.Solve(instead.Challenge.Token, instead.Challenge.Bits)
			if r := g.answers(b, instead.Challenge.Token, number); r.status != 200 {
				t.Fatalf("work in its place: %d %s", r.status, r.body)
			}
			if r, _ := g.claims(b, programHeaders); r.status != 200 {
				t.Errorf("after the work: %d %s", r.status, r.body)
			}
			if first := <-lookups; !strings.HasPrefix(first, "s3cret robot") || (provider == "hcaptcha") != strings.HasSuffix(first, " site") {
				t.Errorf("it was asked for %q", first)
			}
		})
	}
}

// A node's own log must not have what a verdict must not have.
func TestNoAddressIsInAVerdict(t *testing.T) {
	g := newGuarded(t, func(c *Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	b := newBuyer(t)
	headers := append(slices.Clone(programHeaders), "X-Forwarded-For: 203.0.113.77")
	for range 2 {
		b.do(g.testNode, "POST", "/q/arena/join", `{"website":"x"}`, headers...)
	}
	eventually(t, "a verdict is on record", func() bool { return len(g.world.recorded(func(verdictJSON) bool { return true })) > 0 })
	for _, v := range g.world.recorded(func(verdictJSON) bool { return true }) {
		text := fmt.Sprintf("%+v", v)
		if strings.Contains(text, "203.0.113.77") || v.Network != "203.0.113.0/24" {
			t.Errorf("recorded %s", text)
		}
	}
}
