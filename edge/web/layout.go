package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
)

//go:embed template
var templateFiles embed.FS

// link is one language to choose, on the page itself.
type link struct {
	Code, Name, Href string
	Current          bool
}

// waitingModules are the scripts that whoever waits needs: the page names them all, so that they come at once and not one after another.
var waitingModules = []string{"app.js", "event.js", "page.js", "words.js", "kept.js", "room.js", "challenge.js"}

// laterWords are the groups of words that the other parts of an event's page need, which who waits has no use for: they come with the first of
// these parts, by words.js.
var laterWords = []string{"method", "failure", "refused", "shop", "map", "resale", "transfer", "refund", "order", "ticket"}

// readTemplates reads words and templates: a set of templates for each language.
func (p *Pages) readTemplates() error {
	var err error
	if p.languages, err = readLanguages(); err != nil {
		return err
	}
	p.templates = make(map[string]*template.Template, len(p.languages))
	for code, l := range p.languages {
		if p.templates[code], err = template.New("").Funcs(p.functions(l)).ParseFS(templateFiles, "template/*.html"); err != nil {
			return fmt.Errorf("read the templates: %w", err)
		}
	}
	return nil
}

// functions are what templates say things with.
func (p *Pages) functions(l *Language) template.FuncMap {
	return template.FuncMap{
		"lang":    func() *Language { return l },
		"t":       l.T,
		"money":   l.Money,
		"words":   l.script,
		"modules": func() []string { return waitingModules },
		"rfc":     func(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }, // as the state object has it
		"languages": func(query string) []link {
			var links []link
			for _, other := range p.Languages() {
				href := "?" + url.Values{"lang": {other.Code}}.Encode()
				if query != "" {
					href = "?" + query + "&" + strings.TrimPrefix(href, "?")
				}
				links = append(links, link{other.Code, other.Name, href, other == l})
			}
			return links
		},
	}
}

// write makes a page in a language of its template and what it shows.
func (p *Pages) write(l *Language, name string, view any) ([]byte, error) {
	var out bytes.Buffer
	if err := p.templates[l.Code].ExecuteTemplate(&out, name+".html", view); err != nil {
		return nil, fmt.Errorf("write the page %s: %w", name, err)
	}
	return out.Bytes(), nil
}
