package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func pages(t *testing.T) *Pages {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryFileIsServedWithTypeTagAndCompressedCopy(t *testing.T) {
	p := pages(t)
	tags := map[string]string{}
	for path, wantType := range map[string]string{
		"/static/app.js": "text/javascript", "/static/page.js": "text/javascript", "/static/pay.js": "text/javascript", "/static/seats.js": "text/javascript", "/static/app.css": "text/css", "/static/kept.js": "text/javascript", "/static/ticket.js": "text/javascript", "/static/offline.js": "text/javascript", "/static/uqr.js": "text/javascript", "/static/uqr.LICENSE.txt": "text/plain", "/static/icon.svg": "image/svg+xml",
	} {
		page := p.Find([]byte(path))
		if page == nil || !strings.HasPrefix(page.Type, wantType) {
			t.Fatalf("%s: %+v", path, page)
		}
		if other, taken := tags[page.ETag]; taken || len(page.ETag) < 10 {
			t.Errorf("%s has the tag of %s", path, other)
		}
		tags[page.ETag] = path
		z, err := gzip.NewReader(bytes.NewReader(page.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, page.Body) {
			t.Errorf("%s is compressed to something else: %v", path, err)
		}
	}
}

func TestOnlyWhatIsPublishedIsFound(t *testing.T) {
	p := pages(t)
	for _, path := range []string{"", "/static", "/static/", "/", "/static/event.html", "/template/list.html", "/template/pay.html", "/static/pay.html", "/e/arena/pay", "/static/index.html", "/e/", "/e/Arena", "/e/a/b", "/web.go", "/e/" + strings.Repeat("a", 64)} {
		if _, ok := EventPath([]byte(path)); p.Find([]byte(path)) != nil || ok {
			t.Errorf("%q is found", path)
		}
	}
}

// The policy forbids all that is inline, so a page that has any would break silently.
func TestPagesObeyTheirPolicy(t *testing.T) {
	p := pages(t)
	inline := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+\s*=|\sstyle\s*=|javascript:|https?://`)
	links := regexp.MustCompile(`(?:src|href)="([^"?][^"]*)"`)
	list, err := p.List(p.Language("en"), Asked{Q: "jazz", City: "Łódź"}, []byte(strings.Replace(listAnswer, "onerror", "x", 1)), "")
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string][]byte{"/": list, "/e/arena": arena(t, p, "en")} {
		if found := inline.Find(body); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		for _, link := range links.FindAllSubmatch(body, -1) {
			target, _, _ := strings.Cut(string(link[1]), "?")
			_, event := EventPath([]byte(target))
			if !slices.Contains([]string{"/", "#main", "/early-entry", "/account", "/e/arena/draw", "/q/arena/place"}, target) && p.Find([]byte(target)) == nil && !event { // a trap: there is nothing behind it
				t.Errorf("%s links to %s, which is not there", path, link[1])
			}
		}
		for _, want := range []string{`lang="en"`, `name="viewport"`, `role="status"`, `<noscript>`} {
			if !bytes.Contains(body, []byte(want)) && !(path == "/" && want == `<noscript>`) { // the list needs no script
				t.Errorf("%s lacks %s", path, want)
			}
		}
	}
	for _, name := range []string{"about", "account", "app", "choose", "door", "draw", "event", "hold", "kept", "layout", "mapinput", "offline", "open", "order", "owner", "page", "pay", "receive", "room", "seatlist", "seatmap", "seatpaint", "seats", "shop", "ticket", "transcript", "words"} {
		script := p.Find([]byte("/static/" + name + ".js")).Body
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`).Find(script); found != nil {
			t.Errorf("%s.js makes markup or code out of text: %s", name, found)
		}
		if from := regexp.MustCompile(`https?://[a-z0-9.]+`).FindAllString(string(script), -1); name == "pay" && len(from) != 1 || name != "pay" && len(from) > 0 {
			t.Errorf("%s.js fetches from %q", name, from)
		}
	}
	if !strings.Contains(ContentSecurityPolicy, "default-src 'none'") || strings.Contains(ContentSecurityPolicy, "unsafe") {
		t.Errorf("policy %q", ContentSecurityPolicy)
	}
}

// Without a network the page is made of what the worker keeps: what it lacks would be missed at the gate.
func TestTheWorkerKeepsAllThatThePageOfTicketsIsMadeOf(t *testing.T) {
	p := pages(t)
	worker := p.Find([]byte("/static/offline.js"))
	if !worker.Worker || p.Find([]byte("/static/app.js")).Worker {
		t.Error("the worker is not known as one, or another script is")
	}
	imported := regexp.MustCompile(`(?:from |import\()'\./([a-z]+\.js)'`)
	needed := map[string]bool{}
	for _, link := range regexp.MustCompile(`(?:src|href)="/static/([^"]+)"`).FindAllSubmatch(arena(t, p, "en"), -1) {
		needed[string(link[1])] = true
	}
	for range 3 { // imports of imports
		for name := range needed {
			for _, more := range imported.FindAllSubmatch(p.Find([]byte("/static/"+name)).Body, -1) {
				needed[string(more[1])] = true
			}
		}
	}
	for _, l := range p.Languages() {
		needed["words."+l.Code+".json"] = true
	}
	for name := range needed {
		if !bytes.Contains(worker.Body, []byte("'"+name+"'")) {
			t.Errorf("the worker does not keep %s", name)
		}
	}
	if len(needed) < 9 {
		t.Errorf("the page is made of %v", needed)
	}
	if licence := p.Find([]byte("/static/uqr.LICENSE.txt")); !bytes.Contains(licence.Body, []byte("MIT License")) {
		t.Error("uqr is without its licence")
	}
}

func TestFindingAPageDoesNotAllocateMuch(t *testing.T) {
	p := pages(t)
	path := []byte("/static/app.js")
	if n := testing.AllocsPerRun(100, func() { p.Find(path) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// A buyer at a limit is told so in a sentence, not by its code.
func TestThePageHasASentenceForEveryLimit(t *testing.T) {
	p := pages(t)
	for _, l := range p.Languages() {
		for _, key := range []string{"failure.card_over_limit", "problem.over_limit_account", "problem.over_limit_device", "problem.over_limit_address",
			"shop.over_limit_account", "shop.over_limit_device", "shop.over_limit_address"} {
			if text := l.T(key); len(text) < 20 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s says %q about %s", l.Name, text, key)
			}
		}
	}
}

// A language that is written from right to left is one more file of words: the style says start and end, not left and right. The tip of the map
// alone is moved by pixels from the left.
func TestTheStyleReadsFromRightToLeftAsWell(t *testing.T) {
	style, err := files.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	sided := regexp.MustCompile(`(?:^|[\s;{])(?:(?:margin|padding|border)-(?:left|right)[a-z-]*|left|right|float|text-align:\s*(?:left|right))\s*[:;]`)
	rules := 0
	for _, rule := range strings.Split(string(style), "}") {
		rules++
		if found := sided.FindString(rule); found != "" && !strings.Contains(rule, ".map-tip {") {
			t.Errorf("%q has a side: %s", found, strings.TrimSpace(rule))
		}
	}
	if rules < 100 {
		t.Errorf("%d rules were looked at", rules)
	}
}
