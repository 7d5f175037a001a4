// Package web is what a buyer's browser is given: pages, a style sheet and scripts, embedded in the binary.
//
// Pages are made from templates (template/, with what they have in common in layout.html) in the language of who asks. All that is said
// lies in words/, one file a language, for templates and scripts alike: a page carries those groups of words that its scripts need as JSON
// in the element #words (an event's page those that who waits needs, the others come with the part that needs them), so page and scripts always speak the same language, and t('room.ahead') in words.js says them. Adding a language
// is adding a file.
//
// The list of events and the account's page, on which offers of a waiting list are answered, too, are made of core's answers; they need no script. So is the page on which an order is paid,
// whose policy lets the form of that order's payment provider in, which gets the card data, so that none ever comes to us. The page
// of a challenge is a form that works without script too; its policy lets a CAPTCHA provider in where one is configured. No other
// page lets anything in from elsewhere. Of everything that is the same for everybody it owns the bytes,
// without their comments and compressed once at start, with an ETag that is the hash of the content. The script of an event's page (app.js, and a script for each
// part: room.js, shop.js, order.js) talks to the same JSON interfaces as everybody else, and puts what it gets into the
// page as text only, never as markup. Nothing is inline, so the Content-Security-Policy can forbid that. Pages never
// changes after New and may be used by any goroutine.
//
// Seats are chosen on a canvas or in a list, which can do the same (shop.js and choose.js around them). layout.js lays an event's sections out
// around the stage, since an event file does not say where they stand; seatmap.js looks at that from afar or from near, seatpaint.js draws
// what is in sight, mapinput.js is fingers, mouse and keys; seatlist.js is the list, for who hears the page. seats.js has the state of every
// seat, and follows its changes. hold.js is what is held and the way to the payment, owner.js what the owner of a ticket can do with it, receive.js
// a ticket that somebody offers.
//
// Tickets that were shown open without a network: the page keeps them in the browser (kept.js), a service worker whose scope is the
// page of that event alone keeps the page and its scripts (offline.js) and nothing else, and codes are then drawn there (ticket.js) with uqr 0.1.3
// (MIT, uqr.LICENSE.txt beside it). Signing out forgets all of it
// (account.js).
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"regexp"

	"fairgate/edge/lottery"
)

// ContentSecurityPolicy goes with every page. blob: is for the picture of a ticket's code, which is fetched with the
// session and shown from memory.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// EventPrefix is the path under which each event has its page.
const EventPrefix = "/e/"

// worker keeps an event's page for when there is no network.
const worker = "static/offline.js"

//go:embed static
var files embed.FS

// types are the content types of the embedded files.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".txt":  "text/plain; charset=utf-8", // the licence of what we did not write
}

// Page is one file, ready to be sent.
type Page struct {
	Type         string
	ETag         string
	CacheControl string
	Body, Gzip   []byte
	Worker       bool // of an event's page: its scope is wider than where it lies
}

// Pages are all files by path.
type Pages struct {
	byPath map[string]*Page // of the scripts and whatever else is the same for everybody

	languages map[string]*Language
	templates map[string]*template.Template // by language
}

// New reads and compresses the embedded files.
func New() (*Pages, error) {
	p := &Pages{byPath: make(map[string]*Page)}
	err := fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		page, err := newPage(path.Ext(name), lean(name, body))
		if err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		page.Worker = name == worker
		p.byPath["/"+name] = page
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the embedded pages: %w", err)
	}
	if err := p.readTemplates(); err != nil {
		return nil, err
	}
	for code, l := range p.languages {
		words, err := l.script(laterWords...)
		if err != nil {
			return nil, fmt.Errorf("prepare the words of %s: %w", code, err)
		}
		if p.byPath["/static/words."+code+".json"], err = newPage(".json", []byte(words)); err != nil {
			return nil, fmt.Errorf("prepare the words of %s: %w", code, err)
		}
	}
	if icon := p.byPath["/static/icon.svg"]; icon != nil {
		p.byPath["/favicon.ico"] = icon
	}
	return p, nil
}

// comment is what our scripts and styles say to people who read them: comments that begin a line.
var comment = regexp.MustCompile(`(?ms)^[ \t]*(?://[^\n]*|/\*.*?\*/[ \t]*)\n`)

// indent is what stands before a line.
var indent = regexp.MustCompile(`(?m)^[ \t]+`)

// lean is a script or a style as it is sent: without comments and indentation, which a phone would pay for. What others wrote stays as it is.
func lean(name string, body []byte) []byte {
	if ext := path.Ext(name); ext != ".js" && ext != ".css" || path.Base(name) == "uqr.js" {
		return body
	}
	return indent.ReplaceAll(comment.ReplaceAll(body, nil), nil)
}

func newPage(ext string, body []byte) (*Page, error) {
	contentType, ok := types[ext]
	if !ok {
		return nil, fmt.Errorf("no content type for %q files", ext)
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &Page{
		Type: contentType, ETag: `"` + hex.EncodeToString(sum[:12]) + `"`, Body: body, Gzip: zipped.Bytes(),
		// Revalidated at each use, which costs a 304: a new release must not meet old scripts.
		CacheControl: "no-cache",
	}, nil
}

// Find returns the file that lies at a path, or nil.
func (p *Pages) Find(path []byte) *Page { return p.byPath[string(path)] }

// EventPath splits /e/{event}; ok is false for any other path.
func EventPath(path []byte) (slug string, ok bool) {
	if len(path) > len(EventPrefix) && string(path[:len(EventPrefix)]) == EventPrefix && lottery.ValidSlug(string(path[len(EventPrefix):])) {
		return string(path[len(EventPrefix):]), true
	}
	return "", false
}
