package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairgate/core/ticket/code"
	"fairgate/loadtest/paysim"
)

// film writes a video of a QR code held in front of a camera: YUV4MPEG2, grey, a few frames that Chromium shows again and again.
func film(t *testing.T, text string) (path string) {
	t.Helper()
	drawn, err := code.PNG(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		t.Fatal(err)
	}
	const width, height = 1280, 720
	luma := bytes.Repeat([]byte{70}, width*height) // it is dark around the phone
	size := picture.Bounds().Size()
	if size.X > height || size.Y > height {
		t.Fatalf("the code is larger than the picture: %v", size)
	}
	for y := range size.Y {
		for x := range size.X {
			r, _, _, _ := picture.At(x, y).RGBA()
			luma[(y+(height-size.Y)/2)*width+x+(width-size.X)/2] = byte(30 + r>>8*200/255)
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420mpeg2\n", width, height)
	for range 3 {
		out.WriteString("FRAME\n")
		out.Write(luma)
		out.Write(bytes.Repeat([]byte{128}, width*height/2))
	}
	path = filepath.Join(t.TempDir(), "camera.y4m")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// phone is a browser at a gate.
type phone struct {
	t   *testing.T
	ctx context.Context

	mu   sync.Mutex
	said []string
}

// newPhone starts a Chromium whose camera shows a film.
func newPhone(t *testing.T, film string) *phone {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("the scanner page cannot be tested without a browser: `make setup` installs Chromium, or run apt-get install chromium")
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-US"),
		chromedp.Flag("use-fake-ui-for-media-stream", true), chromedp.Flag("use-fake-device-for-media-stream", true),
		chromedp.Flag("use-file-for-fake-video-capture", film))
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(cancel)
	p := &phone{t: t, ctx: ctx}
	p.do("a small screen", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	go func() { // ends with ctx
		for message := range chromedp.Console(ctx) {
			if message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleException {
				p.mu.Lock()
				p.said = append(p.said, message.Text+" ("+message.URL+")")
				p.mu.Unlock()
			}
		}
	}()
	return p
}

func (p *phone) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v; the page shows:\n%s", what, err, p.text())
	}
}

func (p *phone) text() string {
	shown, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`))
	return shown
}

func (p *phone) evaluate(script string) string {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](script))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// becomes waits until a script evaluates to a text.
func (p *phone) becomes(script, want string) {
	p.t.Helper()
	var got string
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if got, err = chromedp.Run(p.ctx, chromedp.Evaluate[string](script)); err == nil && got == want {
			return
		}
	}
	p.t.Fatalf("%s is %q, not %q; the page shows:\n%s", script, got, want, p.text())
}

// answers waits for a verdict and its sentence.
func (p *phone) answers(verdict, part string) {
	p.t.Helper()
	p.becomes(fmt.Sprintf(`document.querySelector('#answer').dataset.verdict + (document.querySelector('#answer').innerText.includes(%q) ? '' : ' without it')`, part), verdict)
}

// types enters a line as a USB scanner does, wherever the focus is.
func (p *phone) types(text string) {
	p.t.Helper()
	p.do("type", chromedp.SendKeys("#code", text+"\r"))
}

// inside are the tickets that the database has inside.
func (r *rig) inside() int64 { return r.number(`SELECT count(*) FROM entries WHERE inside`) }

// dimText finds text whose contrast is less than WCAG's AA asks for: 4.5 to what is behind it.
const dimText = `(() => {
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.disabled || e.tagName === 'OPTION') continue;
    let behind = e, back = [0, 0, 0, 0];
    while (behind && (back[3] ?? 1) === 0) { back = colour(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
    const [a, b] = [light(colour(getComputedStyle(e).color).slice(0, 3)), light(back.slice(0, 3))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(e.tagName + ' ' + e.textContent.slice(0, 30) + ' ' + contrast.toFixed(1));
  }
  return bad.join('; ');
})()`

// nameless finds controls that a screen reader could not name.
const nameless = `[...document.querySelectorAll('input, select, button, video')].filter((e) => e.checkVisibility() &&
  !e.textContent.trim() && !e.ariaLabel && !e.labels?.length).map((e) => e.outerHTML).join('; ')`

func (p *phone) accessible(when string) {
	p.t.Helper()
	if bad := p.evaluate(dimText); bad != "" {
		p.t.Errorf("%s some text is hard to read: %s", when, bad)
	}
	if bad := p.evaluate(nameless); bad != "" {
		p.t.Errorf("%s controls have no name: %s", when, bad)
	}
}

func TestAPhoneIsAGate(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\ngates: {reentry: after_exit, zones: [{id: cellar, tiers: [door]}]}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 3)
	north := r.addGate(slug, "north", "cellar")
	south := r.addGate(slug, "south", "cellar")

	behind, err := url.Parse(r.servers["gate"].URL)
	if err != nil {
		t.Fatal(err)
	}
	// Between the phone and core stands a network that can be cut, or lose the answers alone.
	var cut, deaf atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ModifyResponse = func(w *http.Response) error {
		if deaf.Load() && w.Request.Method == http.MethodPost {
			return http.ErrAbortHandler
		}
		return nil
	}
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if cut.Load() && strings.HasPrefix(q.URL.Path, "/gate/") {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, q)
	}))
	defer network.Close()

	p := newPhone(t, film(t, r.codeOf(s, o.Tickets[0])))
	p.do("the page", chromedp.Navigate(network.URL+"/"), chromedp.WaitVisible("#credential"))
	p.accessible("at first")
	p.do("a wrong credential", chromedp.SendKeys("#credential", "wrong\r"))
	p.becomes(`document.querySelector('#sign-in-problem').textContent`, "This credential is wrong or was revoked.")
	p.do("sign in", chromedp.Evaluate[chromedp.Void](`void (document.querySelector('#credential').value = '')`), chromedp.SendKeys("#credential", north+"\r"), chromedp.WaitVisible("#camera"))
	p.becomes(`document.querySelector('#line-state').textContent`, "On line")
	p.accessible("signed in")
	if kept := p.evaluate(`document.cookie + JSON.stringify({...localStorage})`); strings.Contains(kept, north) {
		t.Errorf("the credential outlives the tab: %s", kept)
	}

	// The camera shows the first ticket all the time: it enters once.
	p.do("the camera", chromedp.Click("#camera"))
	p.answers("pass", "door")
	if got := p.evaluate(`document.querySelector('#video').dataset.reader + ('BarcodeDetector' in window)`); got != "fallbackfalse" {
		t.Errorf("the picture was read by %s", got)
	}
	p.accessible("open")
	p.becomes(`document.querySelector('#count-in').textContent + document.querySelector('#count-inside').textContent`, "11")
	if n := r.inside(); n != 1 || r.number(`SELECT count(*) FROM scans`) != 1 {
		t.Errorf("%d entries, %d scans", n, r.number(`SELECT count(*) FROM scans`))
	}
	p.do("the camera off", chromedp.Click("#camera"))

	// A line from a USB scanner: the second time is refused with the first one's time and gate.
	p.types(strings.ToLower(r.codeOf(s, o.Tickets[0])))
	p.answers("stop", "gate north")
	p.accessible("stop")
	p.types("https://example.org")
	p.answers("stop", "no ticket code")
	p.types(r.codeOf(s, o.Tickets[1]))
	p.answers("pass", "door")

	// Undone with a reason it may enter again, through the other gate.
	p.do("undo", chromedp.Click("#undo"), chromedp.WaitVisible("#reason"))
	p.accessible("the dialog")
	p.do("a reason", chromedp.SendKeys("#reason", "wrong person\r"), chromedp.WaitNotVisible("#reason"))
	p.answers("wait", "Undone")
	if n := r.inside(); n != 1 || r.number(`SELECT count(*) FROM scans WHERE undone_by = 'gate:north' AND undo_reason = 'wrong person'`) != 1 {
		t.Errorf("%d are inside", n)
	}

	// Out, and in again.
	p.do("the way out", chromedp.Click(`[value="out"]`))
	p.types(r.codeOf(s, o.Tickets[0]))
	p.answers("pass", "OUT")
	p.do("the way in", chromedp.Click(`[value="in"]`))
	if n := r.inside(); n != 0 {
		t.Errorf("%d are inside", n)
	}

	// Core commits, the answer is lost: the page does not open, and finds its own entry when the code is shown again.
	deaf.Store(true)
	p.types(r.codeOf(s, o.Tickets[2]))
	p.answers("undecided", "NOT DECIDED")
	deaf.Store(false)
	if n := r.inside(); n != 1 {
		t.Errorf("%d are inside, and core let one in", n)
	}
	p.becomes(`document.querySelector('#line-state').textContent`, "On line")
	p.types(r.codeOf(s, o.Tickets[2]))
	p.answers("pass", "door")

	// No network at all.
	cut.Store(true)
	p.types(r.codeOf(s, o.Tickets[1]))
	p.answers("undecided", "Do not let in")
	p.becomes(`document.querySelector('#line-state').textContent`, "OFF LINE")
	p.accessible("off line")
	p.do("again from the cache of the browser", chromedp.Evaluate[chromedp.Void](`void location.reload()`))
	p.becomes(`document.querySelector('#line-state')?.textContent ?? ''`, "OFF LINE")
	p.types(r.codeOf(s, o.Tickets[1]))
	p.answers("undecided", "Do not let in")
	if n := r.inside(); n != 1 {
		t.Errorf("%d are inside", n)
	}
	cut.Store(false)
	p.becomes(`document.querySelector('#line-state').textContent`, "On line")

	for language, word := range map[string]string{"es": "✕ SIN DECIDIR", "de": "✕ NICHT ENTSCHIEDEN"} {
		p.do("another language", chromedp.Evaluate[chromedp.Void](`(() => { const s = document.querySelector('#language'); s.value = '`+language+`'; s.dispatchEvent(new Event('change')); })()`))
		p.becomes(`document.documentElement.lang + ' ' + document.querySelector('#verdict').textContent`, language+" "+word)
		p.accessible("in " + language)
	}
	r.admin(http.MethodDelete, "/admin/v1/events/"+slug+"/gates/north", nil, http.StatusNoContent, nil)
	p.types(r.codeOf(s, o.Tickets[1]))
	p.do("signed out", chromedp.WaitVisible("#credential"))
	p.do("as another gate", chromedp.SendKeys("#credential", south+"\r"), chromedp.WaitVisible("#code"))
	if got := p.evaluate(`document.querySelector('#where').textContent`); !strings.Contains(got, "south") {
		t.Errorf("it is %s", got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.said {
		if !strings.Contains(text, "Failed to load resource") { // refusals, and what was cut
			t.Errorf("the browser complains: %s", text)
		}
	}
}

func TestAGateThatAsksTooOftenHasToWaitAndTheOthersDoNot(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) { c.Gates.RatePerSecond = 1 })
	r.with("")
	slug, _ := r.firstEvent()
	north, south := r.addGate(slug, "north", ""), r.addGate(slug, "south", "")
	limited := 0
	for range 30 {
		answer := r.raw(r.atGate(north, http.MethodGet, "/gate/v1/gate", nil))
		if answer.status == http.StatusTooManyRequests {
			limited++
			if answer.header.Get("Retry-After") != "1" || !strings.Contains(string(answer.body), "rate_limited") {
				t.Errorf("%v %s", answer.header, answer.body)
			}
		}
	}
	if limited < 20 {
		t.Errorf("%d of 30 requests were refused", limited)
	}
	r.call(r.atGate(south, http.MethodGet, "/gate/v1/gate", nil), http.StatusOK, nil)
	r.call(r.atGate("wrong", http.MethodGet, "/gate/v1/gate", nil), http.StatusUnauthorized, nil)
}
