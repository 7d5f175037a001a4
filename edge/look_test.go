package edge

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// screenshotsTo is where pictures of the pages go, when somebody wants them: make screenshots.
const screenshotsTo = "FAIRGATE_SCREENSHOTS"

// axe is axe-core as npm has it, which looks for what keeps people from using a page.
var axe = sync.OnceValues(func() (string, error) {
	file, err := os.Open("web/testdata/axe-core/axe.min.js.gz")
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
})

type device struct {
	name          string
	width, height int64
	options       []chromedp.EmulateViewportOption
}

// devices are those on which pages are looked at.
var devices = []device{
	{"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile}},
	{"desktop", 1200, 800, nil},
}

// scheme has the browser prefer a colour scheme.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

// awaits waits for a promise.
func awaits(p *runtime.EvaluateParams) { yes := true; p.AwaitPromise = &yes }

// look looks at the page that is shown, on a phone and on a desk, light and dark: axe-core finds nothing in its way, and nothing sticks out.
// It leaves the browser a light phone.
func look(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	for _, device := range []string{"desktop", "phone"} {
		for _, colours := range []string{"dark", "light"} {
			lookOn(ctx, t, name, device, colours)
			if to := os.Getenv(screenshotsTo); to != "" {
				picture(ctx, t, filepath.Join(to, fmt.Sprintf("%s-%s-%s.png", name, device, colours)))
			}
		}
	}
}

// lookOn looks at the page that is shown on one device and in one colour scheme, in which it leaves the browser.
func lookOn(ctx context.Context, t *testing.T, name, on, colours string) {
	t.Helper()
	device := devices[slices.IndexFunc(devices, func(d device) bool { return d.name == on })]
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(device.width, device.height, device.options...), scheme(colours)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	shoot(ctx, t, strings.ReplaceAll(fmt.Sprintf("%s-%s-%s", name, on, colours), " ", "-"))
	found, err := faults(ctx)
	if err != nil || found != "" {
		t.Errorf("%s on a %s %s: %v\n%s", name, colours, on, err, found)
	}
	if wide, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)); err != nil || wide > 0 {
		t.Errorf("%s on a %s sticks out by %d: %v", name, on, wide, err)
	}
}

// faults are what axe-core has against the page that is shown. Pages without scripts load themselves anew every few seconds, at which a page is
// gone with what was put into it and what looks at it: then the next one is looked at. So what looks is put in by the same call that has it look.
func faults(ctx context.Context) (found string, err error) {
	script, err := axe()
	if err != nil {
		return "", err
	}
	for range 5 {
		if found, err = chromedp.Run(ctx, chromedp.Evaluate[string](`if (!window.axe) {`+script+`};
			new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
			.then(() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] }))
			.then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target.join(' ') + ' ' + n.failureSummary.replace(/\s+/g, ' ')).join('; ')).join('\n'))`, awaits)); err == nil {
			return found, nil
		}
	}
	return "", err
}

// picture writes a picture of what is shown, in few colours, so that it is small.
func picture(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewer(full)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fewer is the picture in its most frequent colours.
func fewer(full image.Image) image.Image {
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	b := full.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	alike, most := map[color.RGBA]int{}, map[color.RGBA]color.RGBA{} // by their upper bits, so that rare colours have their place among the shades of frequent ones
	for c, n := range count {
		bits := color.RGBA{R: c.R >> 4, G: c.G >> 4, B: c.B >> 4}
		if alike[bits] += n; n > count[most[bits]] {
			most[bits] = c
		}
	}
	var colours []color.RGBA
	for _, c := range most {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range colours[:min(len(colours), 200)] {
		palette = append(palette, c)
	}
	nearest := map[color.RGBA]uint8{}
	small := image.NewPaletted(b, palette)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}

// season is what a busy shop has: some events, one of them told in full, and a buyer's account.
type season struct{ *http.ServeMux }

func newSeason() season {
	s := season{http.NewServeMux()}
	eur := func(minor int64) queue.Money { return queue.Money{Minor: minor, Currency: "EUR"} }
	event := func(id, name, at, venue, city, phase string, from, to int64) map[string]any {
		return map[string]any{"id": id, "name": name, "starts_at": at, "time_zone": "Europe/Madrid", "currency": "EUR", "category": "concert",
			"venue": map[string]string{"name": venue, "city": city, "country": "ES"}, "on_sale": map[string]string{"phase": phase, "opens_at": "2027-05-01T08:00:00.000Z"},
			"price_range": map[string]any{"from": eur(from), "to": eur(to)}}
	}
	arena := event("arena", "Midsummer Night at the Arena", "2027-06-12T19:00:00.000Z", "Arena del Puerto", "Valencia", "joining", 5350, 10125)
	s.HandleFunc("GET /v1/events", func(w http.ResponseWriter, _ *http.Request) {
		fakeJSON(w, 200, map[string]any{"events": []any{
			arena, event("winter", "Die Winterreise", "2027-02-03T18:30:00.000Z", "Kammersaal", "Valencia", "open", 2850, 6400),
			event("fuego", "Fuego: una noche de flamenco", "2027-03-20T20:00:00.000Z", "Teatro Olympia", "Valencia", "sold_out", 3200, 3200),
			event("derby", "Valencia against Villarreal", "2027-04-11T16:00:00.000Z", "Estadio Nuevo", "Valencia", "announced", 2500, 18000),
		}, "next": "more", "total": 128, "facets": map[string]any{"cities": []any{map[string]any{"value": "Valencia", "events": 12}}, "categories": []any{}}})
	})
	s.HandleFunc("GET /v1/events/arena", func(w http.ResponseWriter, _ *http.Request) {
		full := map[string]any{"state": "active", "summary": "The longest evening of the year, under the open roof.", "performers": []string{"Lumen", "Orquesta del Turia"}, "per_buyer": 4, "identity": "device",
			"payment_methods": []string{"card", "paypal", "bank_transfer"},
			"rules":           map[string]any{"refund_until": "2027-06-05T19:00:00.000Z", "refund_keep_fee": true, "transfer_until": "2027-06-12T16:00:00.000Z", "resale_until": "2027-06-12T16:00:00.000Z", "resale_over": "10%"},
			"tiers": []any{
				map[string]any{"id": "floor", "name": "Floor, standing", "kind": "general", "price": eur(6975), "face": eur(6500), "fee": eur(475), "tax": eur(634), "left": 1950},
				map[string]any{"id": "lower", "name": "Lower ring", "kind": "seated", "price": eur(10125), "face": eur(9500), "fee": eur(625), "tax": eur(920), "left": 1131},
				map[string]any{"id": "upper", "name": "Upper ring", "kind": "seated", "price": eur(5348), "face": eur(4950), "fee": eur(398), "tax": eur(486), "left": 1800},
			}}
		for key, value := range arena {
			full[key] = value
		}
		w.Header().Set("ETag", `"arena"`)
		w.Header().Set("Cache-Control", "public, max-age=1")
		fakeJSON(w, 200, full)
	})
	return s
}

// crowd fills window 0 of an on-sale with so many people that nobody in particular is in it, and stock to go with it.
func (w *fakeWorld) crowd(slug string, entrants, called int) {
	w.change(func() {
		e := w.events[slug]
		quantiles := make([]lottery.Fraction, 1000)
		for i := range quantiles {
			quantiles[i] = lottery.Fraction(uint64(i+1) * (^uint64(0) / 1000))
		}
		secret, err := e.chain.Secret(0)
		if err != nil {
			w.t.Error(err)
		}
		root := lottery.Hex32(lottery.Root(nil))
		e.state.Windows = []queue.Window{{Window: 0, Sealed: true, Entrants: entrants, Root: root, Secret: secret, Seed: lottery.Seed(lottery.EventID(slug), 0, secret, root, nil),
			Bands: []lottery.BandSummary{{Band: 0, Entrants: entrants, Quantiles: quantiles}}}}
		e.state.Phase, e.state.Joined, e.state.CalledCount, e.state.PacePerSecond = queue.PhaseOpen, entrants, called, 38
		e.state.Cursor = &queue.Cursor{Window: 0, Value: 1} // as if whoever is looked at were behind the first: who they are is drawn anew in every run
	})
}

// stocked puts prices and stock into the state.
func (w *fakeWorld) stocked(slug string) {
	eur := func(minor int64) queue.Money { return queue.Money{Minor: minor, Currency: "EUR"} }
	w.change(func() {
		e := w.events[slug]
		e.state.PriceRange = &queue.PriceRange{From: eur(5348), To: eur(10125)}
		e.state.Stock = []queue.Stock{{Tier: "floor", Name: "Floor, standing", Left: 1400, Rounded: true, Price: eur(6975)}, {Tier: "lower", Name: "Lower ring", Left: 0, Price: eur(10125)},
			{Tier: "upper", Name: "Upper ring", Left: 900, Rounded: true, Price: eur(5348)}}
		e.state.Joined = 48211
	})
}

func TestEverybodyCanUseThePagesWhereOneWaits(t *testing.T) {
	ctx, said := startBrowser(t)
	world := newWorld(t)
	world.shop = newSeason()
	event := world.addEvent("arena", 14*time.Minute)
	world.stocked("arena")
	world.change(func() { event.state.PollAfterMS = 300 })
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	base := "http://" + n.Addr().String()
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
	step("the list", chromedp.Navigate(base+"/"), chromedp.WaitVisible(".list a"))
	look(ctx, t, "list")
	step("the list, narrowed", chromedp.Click("summary"))
	look(ctx, t, "search")
	step("no such event", chromedp.Navigate(base+"/e/nothing"), chromedp.WaitVisible("h1"))
	look(ctx, t, "missing")
	step("the event", chromedp.Navigate(base+"/e/arena"), chromedp.WaitVisible("#view[aria-busy] ~ #status, #view:not([aria-busy]) form button"))
	eventually(t, "the script has the form", func() bool {
		busy, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById('view').hasAttribute('aria-busy') || document.querySelector('#view form').hidden`))
		return err == nil && !busy
	})
	look(ctx, t, "event")
	step("join", chromedp.Click("#view form button"))
	shows("The order is drawn when the sale opens")
	look(ctx, t, "joined")
	world.crowd("arena", 48211, 512)
	shows("Your place in the draw")
	look(ctx, t, "room")
	world.change(func() { event.state.Message = "Doors open at 19:00. Lumen play at 21:00 sharp." })
	shows("Doors open at 19:00")
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, text := range said.list {
		if !strings.Contains(text, "404") { // of the event that is not there
			t.Errorf("the browser complains: %s", text)
		}
	}
}

func TestEverybodyCanUseTheAccountsPage(t *testing.T) {
	ctx, _ := startBrowser(t)
	world, n := accountWorld(t, "arena")
	_ = world
	base := "http://" + n.Addr().String()
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/account?event=arena"), chromedp.WaitVisible("#email")); err != nil {
		t.Fatal(err)
	}
	look(ctx, t, "sign-in")
	if err := chromedp.Do(ctx, chromedp.SendKeys("#email", "ann@example.org"), chromedp.Click("form.card button"), chromedp.WaitVisible("#code")); err != nil {
		t.Fatal(err)
	}
	look(ctx, t, "code")
	if err := chromedp.Do(ctx, chromedp.SendKeys("#code", "123456"), chromedp.Click("form.card button"), chromedp.WaitVisible("#title, #out"), chromedp.Navigate(base+"/account"), chromedp.WaitVisible("#out")); err != nil {
		t.Fatal(err)
	}
	look(ctx, t, "account")
}

// The page that hundreds of thousands load is small: what a browser was sent for it, compressed.
func TestTheWaitingPageWithAllItLoadsIsSmall(t *testing.T) {
	world := newWorld(t)
	world.shop = newSeason()
	world.addEvent("arena", time.Hour)
	world.stocked("arena")
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	size := func(path string) (int, []byte) {
		req, err := http.NewRequest(http.MethodGet, "http://"+n.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
		}
		if resp.Header.Get("Content-Encoding") != "gzip" {
			return len(body), body
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return len(body), plain
	}
	var sizes []string
	add := func(total *int, paths ...string) {
		for _, path := range paths {
			n, _ := size(path)
			*total += n
			sizes = append(sizes, fmt.Sprintf("%s %d", path, n))
		}
	}
	waiting := 0
	add(&waiting, "/e/arena", "/static/app.css", "/static/icon.svg", "/v1/events/arena", "/q/arena/state")
	for _, script := range []string{"app", "event", "page", "words", "kept", "room", "challenge"} {
		add(&waiting, "/static/"+script+".js")
	}
	whole := waiting
	entries, err := os.ReadDir("web/static")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if path := "/static/" + entry.Name(); strings.HasSuffix(path, ".js") && !strings.Contains(strings.Join(sizes, " "), path+" ") {
			add(&whole, path)
		}
	}
	t.Logf("waiting %d bytes, everything %d: %s", waiting, whole, strings.Join(sizes, ", "))
	if waiting >= 30_000 || whole >= 150_000 {
		t.Errorf("waiting takes %d bytes, of 30,000; everything %d, of 150,000: %s", waiting, whole, strings.Join(sizes, ", "))
	}
}
