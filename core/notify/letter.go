package notify

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
)

// Composer loads what a mail of its kind tells now. It may be called several times for one mail, and changes nothing.
type Composer func(ctx context.Context, m Message) (Letter, error)

// Letter is what a mail tells: what its kind's templates are given, and what is attached.
type Letter struct {
	Values      any
	Attachments []Attachment
	// Unsubscribe is a URL at which the recipient ends mails of this kind, with one click that posts to it (RFC 8058). Empty: there is none.
	Unsubscribe string
}

// Attachment is a file that comes with a mail.
type Attachment struct {
	Name  string // of the file, plain ASCII
	Media string // media type
	Bytes []byte
}

// FromData is the Composer of kinds whose data says it all.
func FromData(_ context.Context, m Message) (Letter, error) { return Letter{Values: m.Data}, nil }

//go:embed templates
var templateFiles embed.FS

// letterhead is what all mails look like.
const letterhead = "templates/letterhead.html.tmpl"

// page are the templates of one kind in one language: subject and text, and html with the letterhead around it.
type page struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

var (
	pagesMu sync.Mutex
	pages   = map[string]page{} // by file, parsed when they are first needed
)

// LanguageOf is the one of Languages in which somebody with a language tag is written to: the tag's, or else the first.
func LanguageOf(tag string) string {
	language, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if slices.Contains(Languages, language) {
		return language
	}
	return Languages[0]
}

// pageOf finds the templates of a kind in a language.
func pageOf(kind Kind, language string) (p page, err error) {
	file := "templates/" + string(kind) + "." + language + ".tmpl"
	pagesMu.Lock()
	defer pagesMu.Unlock()
	if p, ok := pages[file]; ok {
		return p, nil
	}
	words := words(language)
	if p.text, err = texttemplate.New("").Funcs(words).Option("missingkey=error").ParseFS(templateFiles, file); err == nil {
		p.html, err = htmltemplate.New("").Funcs(words).Option("missingkey=error").ParseFS(templateFiles, letterhead, file)
	}
	if err != nil {
		return page{}, fmt.Errorf("the templates of mails %s: %w", kind, err)
	}
	pages[file] = p
	return p, nil
}

// written is a mail's words.
type written struct {
	language, subject, text, html string
}

// maxSubject bounds a subject line, in bytes.
const maxSubject = 200

// write fills in the templates of a kind.
func write(kind Kind, tag string, values any) (w written, err error) {
	language := LanguageOf(tag)
	p, err := pageOf(kind, language)
	if err != nil {
		return w, err
	}
	w.language = language
	var out bytes.Buffer
	for _, part := range []struct {
		into *string
		run  func() error
	}{
		{&w.subject, func() error { return p.text.ExecuteTemplate(&out, "subject", values) }},
		{&w.text, func() error { return p.text.ExecuteTemplate(&out, "text", values) }},
		{&w.html, func() error {
			return p.html.ExecuteTemplate(&out, "letterhead", map[string]any{"Language": language, "Subject": w.subject, "Values": values})
		}},
	} {
		out.Reset()
		if err := part.run(); err != nil {
			return w, fmt.Errorf("write a mail %s: %w", kind, err)
		}
		*part.into = strings.TrimSpace(out.String()) + "\n"
		if part.into == &w.subject {
			w.subject = oneLine(w.subject)
		}
	}
	if len(w.subject) > maxSubject {
		w.subject = strings.ToValidUTF8(w.subject[:maxSubject-len("…")], "") + "…"
	}
	return w, nil
}
