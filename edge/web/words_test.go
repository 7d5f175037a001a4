package web

import (
	"html"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// texts are all that a language says under a key, by plural category, "" for what has none.
func (m message) texts() map[string]string {
	if m.forms != nil {
		return m.forms
	}
	return map[string]string{"": m.text}
}

func names(text string) []string {
	found := map[string]bool{}
	for _, one := range placeholder.FindAllStringSubmatch(text, -1) {
		found[one[1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func TestEveryLanguageSaysTheSameThings(t *testing.T) {
	p := pages(t)
	first := p.Language(DefaultLanguage)
	for _, l := range p.Languages() {
		for group, words := range first.words {
			for name, m := range words {
				key := group + "." + name
				other, ok := l.find(key)
				if !ok {
					t.Errorf("%s has no %s", l.Name, key)
					continue
				}
				if (other.forms == nil) != (m.forms == nil) {
					t.Errorf("%s: %s has plurals in one language and none in another", l.Name, key)
				}
				want := names(m.texts()["other"] + m.texts()[""])
				for form, text := range other.texts() {
					if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "<>") {
						t.Errorf("%s: %s %s is %q", l.Name, key, form, text)
					}
					if got := names(text); !slices.Equal(got, want) && !(form == "one" && len(got) < len(want)) {
						t.Errorf("%s: %s %s has %v and not %v", l.Name, key, form, got, want)
					}
				}
			}
		}
		for group, words := range l.words {
			for name := range words {
				if !first.Has(group + "." + name) {
					t.Errorf("%s has %s.%s, which is nowhere else", l.Name, group, name)
				}
			}
		}
	}
	if n := len(p.Languages()); n < 3 {
		t.Errorf("%d languages", n)
	}
}

// sources are the templates and our own scripts by name.
func sources(t *testing.T) (templates, scripts map[string]string) {
	t.Helper()
	templates, scripts = map[string]string{}, map[string]string{}
	for dir, into := range map[string]map[string]string{"template": templates, "static": scripts} {
		files := map[string]fs.FS{"template": templateFiles, "static": files}[dir]
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if ext := path.Ext(entry.Name()); ext != ".html" && ext != ".js" || entry.Name() == "uqr.js" || entry.Name() == "work.js" { // no text, and somebody else's
				continue
			}
			body, err := fs.ReadFile(files, dir+"/"+entry.Name())
			if err != nil {
				t.Fatal(err)
			}
			into[entry.Name()] = string(body)
		}
	}
	return templates, scripts
}

func TestEveryKeyThatIsAskedForIsThereAndEveryOtherIsGone(t *testing.T) {
	p := pages(t)
	l := p.Language(DefaultLanguage)
	templates, scripts := sources(t)
	asked := map[string]bool{}
	for name, text := range templates {
		for _, key := range regexp.MustCompile(`\(?\bt "([^"]+)"`).FindAllStringSubmatch(text, -1) {
			asked[key[1]] = true
			if !l.Has(key[1]) {
				t.Errorf("%s asks for %s, which is not there", name, key[1])
			}
		}
	}
	given := map[string][]string{} // groups that a page gives to its script
	for name, text := range templates {
		for _, call := range regexp.MustCompile(`\{\{words ([^}]+)\}\}`).FindAllStringSubmatch(text, -1) {
			given[name] = strings.Fields(strings.ReplaceAll(call[1], `"`, ""))
		}
	}
	page := map[string]string{"door.js": "challenge.html", "pay.js": "pay.html", "draw.js": "draw.html"}
	for name, text := range scripts {
		for _, key := range regexp.MustCompile(`'([a-z]+\.[a-z_0-9]+)'`).FindAllStringSubmatch(text, -1) {
			group, _, _ := strings.Cut(key[1], ".")
			if l.words[group] == nil || strings.HasSuffix(key[1], ".js") {
				continue // a file
			}
			asked[key[1]] = true
			if !l.Has(key[1]) {
				t.Errorf("%s asks for %s, which is not there", name, key[1])
			}
			from := page[name]
			if from == "" {
				from = "event.html"
			}
			later := from == "event.html" && !slices.Contains(waitingModules, name) && slices.Contains(laterWords, group)
			if !later && !slices.Contains(given[from], group) {
				t.Errorf("%s asks for %s, which %s does not give it", name, key[1], from)
			}
		}
	}
	chosen := regexp.MustCompile(`^(phase|method|failure|problem|refused)\.|\.(state|over_limit|identity|kind|refund|transfer|resale)_|^steps\.|^draw\.(is_|commitment|roots|seen|seeds|order|signature|included)`) // by a value: nobody can say of which
	for group, words := range l.words {
		for name := range words {
			if key := group + "." + name; !asked[key] && !chosen.MatchString(key) && !usedInGo[key] {
				t.Errorf("nobody says %s", key)
			}
		}
	}
}

// usedInGo are the keys that only Go asks for.
var usedInGo = map[string]bool{"list.none": true, "list.count": true, "list.price_from": true, "list.too_long": true, "list.unavailable": true, "account.not_a_form": true,
	"account.signed_out": true, "account.unavailable": true, "door.early": true, "door.failed": true, "pay.still_held": true, "common.failed": true, "failure.other": true, "about.with": true, "about.price_parts": true, "about.price_tax": true, "about.per_buyer": true, "about.companions": true, "about.companions_free": true, "about.methods": true, "buy.nothing": true, "list.wrong_country": true, "list.wrong_currency": true, "list.needs_currency": true, "list.wrong_price": true,
	"offers.places": true, "offers.unavailable": true, "offers.which": true, "about.who_all": true, "about.who_invitation": true, "about.who_registered": true, "about.who_word": true,
	"about.sale_from": true, "about.time_unknown": true, "about.registered": true, "room.next_open": true}

// Whatever is said lies in the files of words.
func TestNoTemplateAndNoScriptSaysAnythingByItself(t *testing.T) {
	templates, scripts := sources(t)
	letters := regexp.MustCompile(`\pL{2,}`)
	for name, text := range templates {
		text = regexp.MustCompile(`(?s)\{\{.*?\}\}`).ReplaceAllString(text, "")
		for _, attribute := range regexp.MustCompile(`\s(?:alt|title|placeholder|aria-label|label|value)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if letters.MatchString(attribute[1]) && !regexp.MustCompile(`^[a-z_]+$`).MatchString(attribute[1]) { // the values of buttons are for programs
				t.Errorf("%s says %q", name, attribute[1])
			}
		}
		for _, said := range strings.Split(regexp.MustCompile(`(?s)<[^>]*>`).ReplaceAllString(text, "\n"), "\n") {
			if said = strings.TrimSpace(html.UnescapeString(said)); letters.MatchString(said) && said != "Fairgate" && !strings.HasPrefix(said, "ticketctl ") {
				t.Errorf("%s says %q", name, said)
			}
		}
	}
	sentence := regexp.MustCompile(`^\pLu\pL+$|^\pL[\pL,]* \pL+|[.…!?]$|\pLu\pL+ \pL+`)
	technical := regexp.MustCompile(`^(GET|POST|DELETE|HEAD|PATCH|PUT|HMAC|SHA-1|SHA-256|Accept|Content-Type|Retry-After|Idempotency-Key|ETag|If-None-Match|Date|Escape|Enter|Home|End|` +
		`(Arrow|Page)(Up|Down|Left|Right)|card ticket|card countdown|notice bad|button plain|allow-forms allow-scripts allow-same-origin)$`)
	for name, text := range scripts {
		for _, literal := range literals(text) {
			if sentence.MatchString(literal) && !technical.MatchString(literal) && !regexp.MustCompile(`^[.#\[:]|^[a-z0-9.#\[\]=" :>-]+$|^…$`).MatchString(literal) {
				t.Errorf("%s says %q", name, literal)
			}
		}
	}
}

// literals are the texts in a script, without what stands in ${} of a template.
func literals(script string) []string {
	var found []string
	for i := 0; i < len(script); i++ {
		switch c := script[i]; {
		case strings.HasPrefix(script[i:], "//"):
			if end := strings.IndexByte(script[i:], '\n'); end > 0 {
				i += end
			} else {
				return found
			}
		case strings.HasPrefix(script[i:], "/*"):
			i += strings.Index(script[i:], "*/") + 1
		case c == '/' && regexp.MustCompile(`[(,=:] *$`).MatchString(script[max(0, i-3):i]): // a pattern
			for i++; i < len(script) && script[i] != '/'; i++ {
				if script[i] == '\\' {
					i++
				}
			}
		case c == '\'' || c == '"' || c == '`':
			start := i + 1
			for i++; i < len(script) && script[i] != c; i++ {
				if script[i] == '\\' {
					i++
				}
			}
			text := script[start:min(i, len(script))]
			if c == '`' {
				text = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(text, "")
			}
			found = append(found, strings.TrimSpace(text))
		}
	}
	return found
}

func TestNumbersMoneyAndTimesAreWrittenAsTheLanguageWritesThem(t *testing.T) {
	p := pages(t)
	at := time.Date(2027, 6, 12, 19, 0, 0, 0, time.UTC)
	for code, want := range map[string][]string{
		"en": {"1,234", "€1,234.50", "CHF\u00a05.00", "Sat 12 June 2027, 21:00", "12 June 2027", "Saturday 12 June 2027, 19:00 UTC", "1 event", "1,000,000 events"},
		"es": {"1234", "1234,50\u00a0€", "5,00\u00a0CHF", "sáb, 12 de junio de 2027, 21:00", "12 de junio de 2027", "sábado, 12 de junio de 2027, 19:00 UTC", "1 evento", "1.000.000 eventos"},
		"de": {"1.234", "1.234,50\u00a0€", "5,00\u00a0CHF", "Sa, 12. Juni 2027, 21:00 Uhr", "12. Juni 2027", "Samstag, 12. Juni 2027, 19:00 Uhr UTC", "1 Veranstaltung", "1.000.000 Veranstaltungen"},
	} {
		l := p.Language(code)
		got := []string{l.Number(1234), l.Money(priceJSON{123450, "EUR"}), l.Money(priceJSON{500, "CHF"}), l.When(at, "Europe/Madrid"), l.Day(at, "Europe/Madrid"), l.WhenLong(at, "nowhere"),
			l.T("list.count", "n", 1), l.T("list.count", "n", 1_000_000)}
		if !slices.Equal(got, want) {
			t.Errorf("%s writes %q", code, got)
		}
	}
}

func TestTheBestLanguageIsFound(t *testing.T) {
	p := pages(t)
	for accept, want := range map[string]string{
		"": "en", "de": "de", "de-AT,de;q=0.9,en;q=0.5": "de", "fr-FR, es-MX;q=0.8, en;q=0.9": "en", "fr, es;q=0.5": "es", "ja": "en", "*": "en", "es;q=zero": "en",
		strings.Repeat("x", 5000): "en",
	} {
		if got := p.Negotiate(accept).Code; got != want {
			t.Errorf("%.40q gets %s", accept, got)
		}
	}
	if got := p.Negotiate("de", "", "es").Code; got != "es" {
		t.Errorf("who chose Spanish gets %s", got)
	}
	if got := p.Negotiate("de", "../en").Code; got != "de" {
		t.Errorf("who chose nonsense gets %s", got)
	}
}

func TestPagesSayInWhichLanguageTheyAre(t *testing.T) {
	p := pages(t)
	for _, l := range p.Languages() {
		list, err := p.List(l, Asked{Q: "a&b"}, []byte(listAnswer), "")
		if err != nil {
			t.Fatal(err)
		}
		event := arena(t, p, l.Code)
		for name, body := range map[string]string{"list": string(list), "event": string(event)} {
			for _, want := range []string{`<html lang="` + l.Code + `" dir="ltr">`, `hreflang="de" lang="de"`, `aria-current="true">` + l.Name + `<`} {
				if !strings.Contains(body, want) {
					t.Errorf("%s in %s lacks %s", name, l.Name, want)
				}
			}
			if strings.Contains(body, "[object") || strings.Contains(body, "ZgotmplZ") {
				t.Errorf("%s in %s is not written right", name, l.Name)
			}
		}
		if !strings.Contains(string(list), `href="?q=a%26b&amp;lang=es"`) {
			t.Errorf("the choice of a language forgets what was looked for: %s", list)
		}
	}
}
