package paysim

import (
	_ "embed" // the page
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed paypal.html
var payPalPageText string

func parsePayPalPage() *template.Template {
	return template.Must(template.New("paypal").Parse(payPalPageText))
}

// payPalPage is what the page shows.
type payPalPage struct {
	Token, Description, Amount, Status string
	Back                               string // where a buyer who is through goes
}

// ppShowPage is the page on which a person approves, GET /checkoutnow?token=….
func (s *Server) ppShowPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	o := s.pp.byOrder[r.URL.Query().Get("token")]
	page := s.ppPageOf(o)
	s.mu.Unlock()
	s.ppSendPage(w, page)
}

// ppTakePage is what the buyer decided, POST /checkoutnow: fields token and action, which is approve, decline (a way to pay
// that will be declined) or cancel. A browser is sent back to the merchant; a program that accepts JSON is told the status.
func (s *Server) ppTakePage(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		s.ppSend(w, ppInvalid("MALFORMED_REQUEST"))
		return
	}
	action := r.Form.Get("action")
	s.mu.Lock()
	o := s.pp.byOrder[r.Form.Get("token")]
	var events []*event
	back := ""
	if o != nil {
		switch action {
		case "approve", "decline":
			if e := s.ppApprove(o, action == "decline" || s.dice.hits("declined", o.name, s.cfg.Faults.Declined) && o.status == "CREATED"); e != nil {
				events = append(events, e)
			}
			back = ppBack(o.returnURL, o)
		case "cancel":
			back = ppBack(o.cancelURL, o)
		}
	}
	page := s.ppPageOf(o)
	s.mu.Unlock()
	s.announce(r.Context(), events)
	switch {
	case strings.Contains(r.Header.Get("Accept"), "application/json") && o == nil:
		s.ppSend(w, ppMissing())
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		s.ppSend(w, &ppReply{http.StatusOK, map[string]any{"id": page.Token, "status": page.Status, "return_url": back}})
	case back != "":
		http.Redirect(w, r, back, http.StatusSeeOther)
	default:
		s.ppSendPage(w, page)
	}
}

// ppPageOf is the page about an order, nil for none. The caller holds the mutex.
func (s *Server) ppPageOf(o *ppOrder) payPalPage {
	if o == nil {
		return payPalPage{Status: "missing"}
	}
	return payPalPage{Token: o.id, Description: o.description, Amount: money(o.minor, o.currency), Status: o.status, Back: ppBack(o.returnURL, o)}
}

// ppBack is where a buyer goes, with what PayPal adds; "" for an address that is none.
func ppBack(text string, o *ppOrder) string {
	if text == "" || checkURL(text) != nil {
		return ""
	}
	u, _ := url.Parse(text) // checkURL has
	q := u.Query()
	q.Set("token", o.id)
	if o.payer != "" {
		q.Set("PayerID", o.payer)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func (s *Server) ppSendPage(w http.ResponseWriter, page payPalPage) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	if page.Status == "missing" {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = s.ppPage.Execute(w, page) // a buyer that is gone approves again or not
}
