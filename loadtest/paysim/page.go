package paysim

import (
	_ "embed" // the page
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

// parsePage reads the embedded page; a mistake in it is a mistake of this package.
func parsePage() *template.Template { return template.Must(template.New("page").Parse(pageText)) }

// pageData is what the form shows.
type pageData struct {
	ID, ClientSecret, ReturnURL string
	Description, Amount         string
	Status                      string
	Problem                     string
	Embed                       bool
	Parent                      string // the origin that is told how it went; "" when not embedded
	Silent                      bool   // the buyer's bank does not answer
	Nonce                       string // of the only script that may run
}

// paid tells whether there is nothing left for the buyer to do.
func (s snapshot) paid() bool { return s.status == requiresCapture || s.status == succeeded }

// showForm is the page on which a person pays.
func (s *Server) showForm(w http.ResponseWriter, r *http.Request) {
	shown, fail := s.buyersIntent(r)
	if fail != nil {
		s.sendPage(w, r, http.StatusNotFound, nil, fail)
		return
	}
	s.sendPage(w, r, pageStatus(shown), shown, nil)
}

// takeForm is a buyer's card: fields card (or number), return_url; or authentication=approve|fail when the card asked for
// a proof. A buyer whose payment is through already, as when the first answer was lost, is told so again.
func (s *Server) takeForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	shown, fail := s.buyersIntent(r)
	if fail != nil {
		s.sendPage(w, r, http.StatusNotFound, nil, fail)
		return
	}
	number := r.Form.Get("card")
	if number == "" {
		number = r.Form.Get("number")
	}
	if r.Form.Get("decline") != "" {
		number = "4000000000000002"
	}
	proof := r.Form.Get("authentication")
	after, events, fail := s.apply(shown.id, nil, func(i *intent) (string, *failure) {
		switch {
		case i.snapshot().paid(), i.status == canceled:
			return "", nil
		case proof != "":
			return i.prove(proof == "approve", s.attempt(i, card{verdict: needsAction}, false))
		default:
			return i.confirm(s.attempt(i, cardByNumber(number), false))
		}
	})
	s.announce(r.Context(), events)
	if fail != nil {
		s.sendPage(w, r, fail.status, after, fail)
		return
	}
	embedded, _ := s.embedded(r)
	if target := returnURL(r.Form.Get("return_url"), after); target != "" && after.paid() && !embedded {
		http.Redirect(w, r, target, http.StatusSeeOther)
		return
	}
	s.sendPage(w, r, pageStatus(after), after, nil)
}

// buyersIntent finds the intent that the path names, if the form or query brings its client secret.
func (s *Server) buyersIntent(r *http.Request) (*snapshot, *failure) {
	id := r.PathValue("id")
	if err := r.ParseForm(); err != nil {
		return nil, invalid(http.StatusBadRequest, "", "", "Invalid request body.")
	}
	shown, _, fail := s.apply(id, nil, func(i *intent) (string, *failure) {
		if !same(r.Form.Get("client_secret"), i.clientSecret) {
			return "", missing("payment_intent", id)
		}
		return "", nil
	})
	return shown, fail
}

func pageStatus(s *snapshot) int {
	if s.status == canceled {
		return http.StatusGone
	}
	return http.StatusOK
}

// returnURL is where the buyer goes after paying, with what Stripe adds; "" for none or one that is no web address.
func returnURL(text string, s *snapshot) string {
	if text == "" || checkURL(text) != nil {
		return ""
	}
	u, _ := url.Parse(text) // checkURL has
	q := u.Query()
	q.Set("payment_intent", s.id)
	q.Set("redirect_status", "succeeded")
	u.RawQuery = q.Encode()
	return u.String()
}

// sendPage answers a buyer: JSON if that is asked for, else the page.
func (s *Server) sendPage(w http.ResponseWriter, r *http.Request, code int, shown *snapshot, fail *failure) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		answer := &reply{status: code, shown: shown, public: true, fail: fail}
		if fail != nil && fail.intent != nil {
			answer.fail = &failure{status: fail.status, Type: fail.Type, Code: fail.Code, Decline: fail.Decline, Message: fail.Message, DocURL: fail.DocURL}
		}
		s.send(w, answer)
		return
	}
	data := pageData{Status: "missing"}
	if shown != nil {
		data = pageData{
			ID: shown.id, ClientSecret: shown.clientSecret, ReturnURL: r.Form.Get("return_url"),
			Description: shown.description, Amount: money(shown.amount, shown.currency), Status: string(shown.status),
			Silent: shown.status == requiresAction && shown.card.abandons && r.Form.Get("authentication") != "",
		}
	}
	data.Embed, data.Parent = s.embedded(r)
	if fail != nil {
		data.Problem = fail.Message
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	data.Nonce = randomText(22)
	script, ancestors := "", "'none'"
	if data.Embed {
		script, ancestors = "script-src 'nonce-"+data.Nonce+"'; ", strings.Join(s.cfg.FrameAncestors, " ")
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; "+script+"base-uri 'none'; frame-ancestors "+ancestors)
	w.WriteHeader(code)
	_ = s.page.Execute(w, data) // a buyer that is gone pays again or not
}

// embedded tells whether the page is asked for in a frame of a page that may frame it, and which origin that page has: the
// field parent, if it is one of FrameAncestors, or the only one of them.
func (s *Server) embedded(r *http.Request) (bool, string) {
	if r.Form.Get("embed") != "1" || len(s.cfg.FrameAncestors) == 0 {
		return false, ""
	}
	parent := r.Form.Get("parent")
	if slices.Contains(s.cfg.FrameAncestors, parent) {
		return true, parent
	}
	if parent == "" && len(s.cfg.FrameAncestors) == 1 {
		return true, s.cfg.FrameAncestors[0]
	}
	return true, ""
}
