package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed words
var wordFiles embed.FS

// DefaultLanguage is that of who asks for none that there is.
const DefaultLanguage = "en"

// Language is everything that pages say in one language, and how it writes numbers and times. The words lie in words/CODE.json, in
// groups: a page's script is given the groups that it needs, in the page itself. Never changes after New.
type Language struct {
	Code   string // BCP 47
	Name   string // in itself
	Dir    string // "ltr" or "rtl"
	Locale string // with which scripts write numbers and times
	tag    language.Tag
	format formats
	words  map[string]map[string]message
}

// message is what is said: one text, or one for each plural category of the number "n".
type message struct {
	text  string
	forms map[string]string // by CLDR's names: zero, one, two, few, many, other
}

// UnmarshalJSON reads a text, or an object of texts by plural category.
func (m *message) UnmarshalJSON(body []byte) error {
	if len(body) > 0 && body[0] == '"' {
		return json.Unmarshal(body, &m.text)
	}
	if err := json.Unmarshal(body, &m.forms); err != nil {
		return fmt.Errorf("a message is a text, or texts by plural category: %w", err)
	}
	if m.forms["other"] == "" {
		return errors.New("a message with plurals needs the category other")
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (m message) MarshalJSON() ([]byte, error) {
	if m.forms != nil {
		return json.Marshal(m.forms)
	}
	return json.Marshal(m.text)
}

// formNames are CLDR's names of plural categories.
var formNames = map[plural.Form]string{plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other"}

// readLanguages reads all files of words.
func readLanguages() (map[string]*Language, error) {
	entries, err := wordFiles.ReadDir("words")
	if err != nil {
		return nil, fmt.Errorf("read the words: %w", err)
	}
	all := make(map[string]*Language, len(entries))
	for _, entry := range entries {
		body, err := wordFiles.ReadFile("words/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read the words: %w", err)
		}
		code := strings.TrimSuffix(entry.Name(), path.Ext(entry.Name()))
		if all[code], err = readLanguage(code, body); err != nil {
			return nil, fmt.Errorf("read the words of %s: %w", code, err)
		}
	}
	if all[DefaultLanguage] == nil {
		return nil, fmt.Errorf("there are no words of %s", DefaultLanguage)
	}
	return all, nil
}

func readLanguage(code string, body []byte) (*Language, error) {
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(body, &groups); err != nil {
		return nil, err
	}
	l := &Language{Code: code, words: make(map[string]map[string]message, len(groups))}
	var err error
	if l.tag, err = language.Parse(code); err != nil {
		return nil, err
	}
	for name, raw := range groups {
		switch name {
		case "language":
			var about struct{ Name, Dir, Locale string }
			if err := json.Unmarshal(raw, &about); err != nil {
				return nil, err
			}
			l.Name, l.Dir, l.Locale = about.Name, about.Dir, about.Locale
		case "format":
			if err := json.Unmarshal(raw, &l.format); err != nil {
				return nil, err
			}
		default:
			var group map[string]message
			if err := json.Unmarshal(raw, &group); err != nil {
				return nil, fmt.Errorf("group %s: %w", name, err)
			}
			l.words[name] = group
		}
	}
	if l.Dir != "ltr" && l.Dir != "rtl" || l.Name == "" || l.Locale == "" || len(l.format.Months) != 12 || len(l.format.Weekdays) != 7 || len(l.format.WeekdaysShort) != 7 {
		return nil, errors.New("language or format is not complete")
	}
	return l, nil
}

// find is the message of a key such as "list.title".
func (l *Language) find(key string) (message, bool) {
	group, name, _ := strings.Cut(key, ".")
	m, ok := l.words[group][name]
	return m, ok
}

// Has tells whether something is said under a key.
func (l *Language) Has(key string) bool { _, ok := l.find(key); return ok }

// T is what is said under a key, with {name} replaced by what follows it in pairs of name and value. Integers are written as the
// language writes them; that of "n" chooses the plural. A key that is not there is said itself: a test sees to it that there is none.
func (l *Language) T(key string, pairs ...any) string {
	m, ok := l.find(key)
	if !ok {
		return key
	}
	text := m.text
	if m.forms != nil {
		text = m.forms["other"]
		for i := 0; i+1 < len(pairs); i += 2 {
			if n, ok := whole(pairs[i+1]); ok && pairs[i] == "n" {
				if form := m.forms[formNames[plural.Cardinal.MatchPlural(l.tag, int(max(n, -n)), 0, 0, 0, 0)]]; form != "" {
					text = form
				}
			}
		}
	}
	if len(pairs) == 0 {
		return text
	}
	replace := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		value := fmt.Sprint(pairs[i+1])
		if n, ok := whole(pairs[i+1]); ok {
			value = l.Number(n)
		}
		replace = append(replace, "{"+fmt.Sprint(pairs[i])+"}", value)
	}
	return strings.NewReplacer(replace...).Replace(text)
}

func whole(value any) (int64, bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	}
	return 0, false
}

// Said is a refusal in the language: by its code, or the detail that came with it, which is in English.
func (l *Language) Said(code, detail string) string {
	switch {
	case code != "" && l.Has("problem."+code):
		return l.T("problem." + code)
	case code != "" && l.Has("refused."+code): // which only some pages have
		return l.T("refused." + code)
	case detail != "":
		return detail
	}
	return l.T("common.failed")
}

// script is what a page's script is given of the words: the groups named, as JSON that can stand in a script element.
func (l *Language) script(groups ...string) (template.JS, error) {
	given := map[string]any{"language": map[string]string{"locale": l.Locale, "date_time": l.format.DateTime}}
	for _, name := range groups {
		if l.words[name] == nil {
			return "", fmt.Errorf("there is no group of words %q", name)
		}
		given[name] = l.words[name]
	}
	body, err := json.Marshal(given) // which escapes <, > and &
	return template.JS(body), err    //nolint:gosec // JSON of our own files
}

// Languages are all there are, the default first, then by code.
func (p *Pages) Languages() []*Language {
	var all []*Language
	for _, l := range p.languages {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *Language) int {
		if (a.Code == DefaultLanguage) != (b.Code == DefaultLanguage) {
			if a.Code == DefaultLanguage {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Code, b.Code)
	})
	return all
}

// Language is the language of a code; the default for any that there is not.
func (p *Pages) Language(code string) *Language {
	if l := p.languages[code]; l != nil {
		return l
	}
	return p.languages[DefaultLanguage]
}

// Negotiate is the best language for who has these preferences, the first that can be met: codes, and the value of an Accept-Language
// header, of which no more than the first kilobyte is read.
func (p *Pages) Negotiate(accept string, codes ...string) *Language {
	for _, code := range codes {
		if l := p.languages[code]; l != nil {
			return l
		}
	}
	tags, _, err := language.ParseAcceptLanguage(accept[:min(len(accept), 1<<10)])
	if err != nil {
		return p.languages[DefaultLanguage]
	}
	for _, tag := range tags { // in the order of preference
		base, _ := tag.Base()
		if l := p.languages[base.String()]; l != nil {
			return l
		}
	}
	return p.languages[DefaultLanguage]
}
