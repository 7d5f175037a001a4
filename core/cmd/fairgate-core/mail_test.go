package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/emersion/go-smtp"
	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

// letterbox is a mail server that keeps what it takes, and refuses one recipient.
type letterbox struct {
	port   int
	refuse string

	mu   sync.Mutex
	kept map[string][]letter // by recipient
}

// letter is a mail that was taken: its subject, and its parts by media type.
type letter struct {
	subject     string
	unsubscribe [2]string // List-Unsubscribe and List-Unsubscribe-Post
	parts       map[string]string
}

func newLetterbox(t *testing.T) *letterbox {
	t.Helper()
	b := &letterbox{kept: map[string][]letter{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &posting{t: t, box: b}, nil }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // until it is closed
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return b
}

// of are the letters that somebody got about something.
func (b *letterbox) of(to, subject string) (found []letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.kept[to] {
		if strings.HasPrefix(l.subject, subject) {
			found = append(found, l)
		}
	}
	return found
}

type posting struct {
	t   *testing.T
	box *letterbox
	to  string
}

func (p *posting) Reset()                               {}
func (p *posting) Logout() error                        { return nil }
func (p *posting) Mail(string, *smtp.MailOptions) error { return nil }
func (p *posting) Rcpt(to string, _ *smtp.RcptOptions) error {
	p.to = to
	if to == p.box.refuse {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user " + to}
	}
	return nil
}

func (p *posting) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		p.t.Error(err)
		return err
	}
	l := letter{parts: map[string]string{}, unsubscribe: [2]string{m.Header.Get("List-Unsubscribe"), m.Header.Get("List-Unsubscribe-Post")}}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		p.t.Error(err)
	}
	if err := l.read(m.Header, m.Body); err != nil {
		p.t.Error(err)
	}
	p.box.mu.Lock()
	defer p.box.mu.Unlock()
	p.box.kept[p.to] = append(p.box.kept[p.to], l)
	return nil
}

func (l *letter) read(header interface{ Get(string) string }, body io.Reader) error {
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(media, "multipart/") {
		switch header.Get("Content-Transfer-Encoding") {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		text, err := io.ReadAll(body)
		l.parts[media] = string(text)
		return err
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = l.read(part.Header, part)
		}
		if err != nil {
			return err
		}
	}
}

// newMailRig is a rig that sells the club's event, with more in its file, and hands mails to a letterbox.
func newMailRig(t *testing.T, box *letterbox, more string) *rig {
	return newMailRigWith(t, box, more, func(*config) {})
}

// newMailRigWith is newMailRig with another configuration of core.
func newMailRigWith(t *testing.T, box *letterbox, more string, change func(*config)) *rig {
	t.Helper()
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "club.yaml")
	if err := os.WriteFile(file, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRigWith(t, file, paysim.Faults{}, func(c *config) {
		c.Mail.Host, c.Mail.Port, c.Mail.TLS, c.Mail.From, c.Mail.PublicURL = "127.0.0.1", box.port, "none", "Tickets <tickets@example.org>", "https://t.example.org/"
		c.Mail.RatePerSecond = 0
		withWallets(t, c)
		change(c)
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
	})
}

// buys has a shopper who reads a language, and may have an address, buy.
func (r *rig) buys(s *shopper, slug, tier string, quantity int, email, language string) order {
	r.t.Helper()
	got := r.hold(slug, s, uuid.NewString(), fmt.Sprintf(`[{"tier":%q,"quantity":%d}]`, tier, quantity))
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil || got.Status != http.StatusCreated {
		r.t.Fatalf("hold: %+v, %v", got, err)
	}
	var o order
	r.call(r.keyed(r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": email, "language": language}), hold.ID.String()), http.StatusCreated, &o)
	r.call(r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	r.payForm(o, visa)
	return r.awaitOrder(s, o.ID, "ticket_issued")
}

// mailsAbout are the mails about an order by kind, as operators see them.
func (r *rig) mailsAbout(o order) map[string]string {
	r.t.Helper()
	var listed struct {
		Mails []struct{ Kind, State string } `json:"mails"`
	}
	r.admin(http.MethodGet, "/admin/v1/mails?subject="+o.ID.String(), nil, http.StatusOK, &listed)
	states := map[string]string{}
	for _, m := range listed.Mails {
		states[m.Kind] += m.State
	}
	return states
}

func TestBuyersGetTheirTicketsAndWhatBecomesOfThemByMail(t *testing.T) {
	box := newLetterbox(t)
	box.refuse = "gone@example.net"
	r := newMailRig(t, box, "")
	slug, tier := r.firstEvent()
	all := r.open(slug, 4)
	r.admit(slug, all...)
	german := r.buys(all[0], slug, tier, 2, "greta@example.net", "de-AT")
	silent := r.buys(all[1], slug, tier, 1, "", "")
	spanish := r.buys(all[2], slug, tier, 1, "sol@example.net", "es")
	gone := r.buys(all[3], slug, tier, 1, box.refuse, "")
	if code := r.code(r.keyed(r.as(all[0], http.MethodPost, "/v1/orders", map[string]any{"hold_id": uuid.New(), "language": "de\r\nBcc: x"}), "k"), http.StatusBadRequest); code != "bad_request" {
		t.Errorf("a language that is none: %s", code)
	}

	r.eventually("the tickets are sent", func() bool {
		return len(box.of("greta@example.net", "Ihre Tickets: Tuesday Jazz")) == 1 && len(box.of("sol@example.net", "Tus entradas: Tuesday Jazz")) == 1
	})
	got := box.of("greta@example.net", "")[0]
	link := "https://t.example.org/e/club?order=" + german.ID.String()
	for _, want := range []string{"Dienstag, 2. März 2027, 20:30 (WET)", "The Cellar, Lisbon", link, "- Door\n- Door", "24,00 EUR"} {
		if text := strings.ReplaceAll(got.parts["text/plain"], "\r\n", "\n"); !strings.Contains(text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, text)
		}
	}
	pdf := []byte(got.parts["application/pdf"])
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || bytes.Count(pdf, []byte("/Subtype /Image")) != 2 {
		t.Errorf("a PDF of %d bytes with %d pictures for 2 tickets", len(pdf), bytes.Count(pdf, []byte("/Subtype /Image")))
	}
	if pass := got.parts["application/vnd.apple.pkpass"]; !strings.HasPrefix(pass, "PK\x03\x04") || !strings.Contains(got.parts["text/plain"], "Wallet") {
		t.Errorf("a pass of %d bytes", len(pass))
	}
	calendar, err := ics.ParseCalendar(strings.NewReader(got.parts["text/calendar"]))
	if err != nil || len(calendar.Events()) != 1 {
		t.Fatalf("%v\n%s", err, got.parts["text/calendar"])
	}
	if at, err := calendar.Events()[0].GetStartAt(); err != nil || !at.Equal(time.Date(2027, 3, 2, 20, 30, 0, 0, time.UTC)) {
		t.Errorf("the calendar has %s, %v", at, err)
	}
	r.eventually("a refused mail bounces", func() bool { return r.mailsAbout(gone)["tickets"] == "bounced" })
	var failed struct {
		Mails []struct {
			ID        uuid.UUID `json:"id"`
			To        string    `json:"to"`
			LastError string    `json:"last_error"`
		} `json:"mails"`
	}
	r.admin(http.MethodGet, "/admin/v1/mails?state=bounced", nil, http.StatusOK, &failed)
	if len(failed.Mails) != 1 || failed.Mails[0].To != box.refuse || !strings.Contains(failed.Mails[0].LastError, "550") || strings.Contains(failed.Mails[0].LastError, "@") {
		t.Fatalf("bounced are %+v", failed.Mails)
	}
	again := "/admin/v1/mails/" + failed.Mails[0].ID.String() + "/retry"
	if code := r.code(r.request("admin", http.MethodPost, again, map[string]any{"to": "no address"}), http.StatusUnprocessableEntity); code != "email_invalid" {
		t.Errorf("an address that is none: %s", code)
	}
	r.admin(http.MethodPost, again, map[string]any{"to": "found@example.net"}, http.StatusOK, nil)
	r.eventually("it is sent to another address", func() bool { return len(box.of("found@example.net", "Your tickets: Tuesday Jazz")) == 1 })
	if code := r.code(r.request("admin", http.MethodPost, again, map[string]any{}), http.StatusConflict); code != "mail_alive" {
		t.Errorf("a mail that was sent is tried again: %s", code)
	}

	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+german.ID.String()+"/refunds", map[string]any{"reason": "ill"}), "whole"), http.StatusCreated, nil)
	r.eventually("a refund is told", func() bool { return len(box.of("greta@example.net", "Ihr Geld ist unterwegs")) == 1 })
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/cancel", map[string]any{"reason": "the singer is ill"}, http.StatusAccepted, nil)
	r.eventually("the end is told, and the money that goes back", func() bool {
		return len(box.of("sol@example.net", "Cancelado: Tuesday Jazz")) == 1 && len(box.of("sol@example.net", "Te hemos devuelto el dinero")) == 1
	})
	r.awaitOrder(all[1], silent.ID, "refunded")
	if told := r.mailsAbout(silent); len(told) != 0 {
		t.Errorf("who gave no address is written to: %v", told)
	}
	if told := box.of("greta@example.net", "Abgesagt"); len(told) != 0 || len(r.mailsAbout(spanish)) != 3 {
		t.Errorf("who had no tickets any more is told %v; the other was told %v", told, r.mailsAbout(spanish))
	}
}

func TestACodeThatRotatesIsInNoMail(t *testing.T) {
	box := newLetterbox(t)
	r := newMailRig(t, box, "gates: {rotating: true}\n")
	slug, tier := r.firstEvent()
	all := r.open(slug, 1)
	r.admit(slug, all...)
	o := r.buys(all[0], slug, tier, 1, "ana@example.net", "fr")
	r.eventually("the tickets are sent", func() bool { return len(box.of("ana@example.net", "Your tickets")) == 1 })
	got := box.of("ana@example.net", "")[0]
	if text := got.parts["text/plain"]; !strings.Contains(text, "there is none on paper") || !strings.Contains(text, o.ID.String()) {
		t.Errorf("the mail says\n%s", text)
	}
	if pdf := got.parts["application/pdf"]; !strings.HasPrefix(pdf, "%PDF-") || strings.Contains(pdf, "/Subtype /Image") {
		t.Errorf("the PDF has a picture, or is none: %d bytes", len(pdf))
	}
}
