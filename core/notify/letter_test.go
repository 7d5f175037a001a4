package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

// valuesOf are values of every kind, with everything that a template may ask for.
func valuesOf(t *testing.T, kind Kind) []any {
	t.Helper()
	some := someTickets()
	amount := ledger.Amount{Minor: 6550, Currency: "EUR"}
	rotating, was := some, some.Event.StartsAt.AddDate(0, -1, 0)
	rotating.Rotating, rotating.Wallet = true, true
	switch kind {
	case KindTickets:
		return []any{some, rotating}
	case KindRefunded:
		return []any{Refunded{Event: some.Event, Order: some.Order, Amount: amount}, Refunded{Event: some.Event, Order: some.Order, Amount: amount, Late: true}}
	case KindEventCancelled:
		return []any{Cancelled{Event: some.Event, Order: some.Order, Amount: amount}}
	case KindEventChanged:
		return []any{EventChanged{Event: some.Event, WasStartsAt: was, RefundUntil: was}, EventChanged{Event: some.Event, WasPlace: "Sant Jordi, Barcelona", RefundUntil: was}}
	case KindTransferOffer, KindTransferAccepted, KindTransferDeclined, KindTransferExpired, KindTransferCancelled:
		return []any{Transfer{Event: some.Event, Place: Place{Tier: "Lower ring", Seat: "101/A/7"}, From: "a…@example.org", To: "ben@example.org", Expires: was}}
	case KindTicketNews:
		news := TicketNews{Event: some.Event, Place: Place{Tier: "Lower ring", Seat: "101/A/7"}}
		var all []any
		for _, what := range []string{"cancelled", "refunded", "disputed", "lost", "restored", "moved", "changed"} {
			news.What, news.From, news.WasStartsAt, news.WasPlace = what, "", time.Time{}, ""
			if what == "moved" {
				news.From = "101/A/1"
			}
			if what == "changed" {
				news.WasStartsAt, news.WasPlace = was, "Sant Jordi, Barcelona"
			}
			all = append(all, news)
		}
		return all
	case KindReminder:
		return []any{Reminder{Event: some.Event, Occasion: "room_opens"}, Reminder{Event: some.Event, Occasion: "sale_opens", Sale: "The fan club", Unsubscribe: "https://tickets.example/unsubscribe/abc"},
			Reminder{Event: some.Event, Occasion: "returned"}}
	case KindUnpaidOrder:
		return []any{UnpaidOrder{Event: some.Event, Places: some.Places, Amount: amount, Until: was, URL: "https://tickets.example.org/e/night?order=1#link=2", Site: "https://tickets.example.org"}}
	case KindWaitlistOffer:
		o := WaitlistOffer{Event: some.Event, Tier: "Lower ring", Seats: []string{"101/A/1", "101/A/2"}, Units: 2, Wanted: 2, Amount: amount, Expires: was, Site: "https://tickets.example.org"}
		one := o
		one.Units, one.Seats, one.Resold, one.Site = 1, nil, true, ""
		return []any{o, one}
	case KindTicketMoved:
		return []any{TicketMoved{Event: some.Event, From: "101/A/1", To: "101/A/2"}}
	}
	return []any{map[string]string{"code": "123456", "minutes": "10"}}
}

func TestEveryKindIsWrittenInEveryLanguage(t *testing.T) {
	for _, kind := range Kinds {
		words := map[string]string{}
		for _, language := range Languages {
			for _, values := range valuesOf(t, kind) {
				w, err := write(kind, language, values)
				if err != nil {
					t.Fatal(err)
				}
				for part, text := range map[string]string{"subject": w.subject, "text": w.text, "html": w.html} {
					if strings.TrimSpace(text) == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "ZgotmplZ") {
						t.Errorf("%s in %s: the %s is %q", kind, language, part, text)
					}
				}
				if !strings.Contains(w.html, `<html lang="`+language+`">`) || w.language != language {
					t.Errorf("%s in %s calls itself %s", kind, language, w.language)
				}
				if other := words[w.text]; other != "" && other != language {
					t.Errorf("%s: the words in %s are those in %s", kind, language, other)
				}
				words[w.text] = language
			}
		}
	}
}

func TestWhoReadsAnotherLanguageIsWrittenToInTheFirst(t *testing.T) {
	for tag, want := range map[string]string{"": "en", "de-AT": "de", "ES": "es", "es-419": "es", "fr": "en", "de_AT": "en", "esperanto": "en"} {
		if got := LanguageOf(tag); got != want {
			t.Errorf("%q is written to in %s, want %s", tag, got, want)
		}
	}
}

func TestTimesAndSumsAreWrittenAsTheyAreSaid(t *testing.T) {
	at := someTickets().Event.StartsAt
	for language, want := range map[string][2]string{
		"en": {"Saturday, 12 June 2027, 20:30 (CEST)", "1234.50 EUR"},
		"es": {"sábado, 12 de junio de 2027, 20:30 (CEST)", "1234,50 EUR"},
		"de": {"Samstag, 12. Juni 2027, 20:30 (CEST)", "1234,50 EUR"},
	} {
		if got := [2]string{When(language, at), money(language, someTickets().Paid)}; got != want {
			t.Errorf("%s: %q, want %q", language, got, want)
		}
	}
}

// parts are a mail's parts by media type, decoded, those inside others too.
func parts(t *testing.T, header interface{ Get(string) string }, body io.Reader, into map[string][]byte) {
	t.Helper()
	media, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(media, "multipart/") {
		switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		}
		if into[media], err = io.ReadAll(body); err != nil {
			t.Fatal(err)
		}
		return
	}
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		parts(t, p.Header, p, into)
	}
}

// composed is a mail as it travels.
func composed(t *testing.T, m Message, l Letter) *netmail.Message {
	t.Helper()
	s, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", TLS: TLSNone, From: "Tickets für alle <tickets@example.org>", ReplyTo: "help@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.compose(&claimed{Message: m, id: ID(m.Key)}, l)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	parsed, err := netmail.ReadMessage(&raw)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAMailHasTextHTMLAndItsAttachments(t *testing.T) {
	pdf, ics := []byte("%PDF-1.4 \x00\xff"), []byte("BEGIN:VCALENDAR\r\n")
	m := about(1)
	m.Language = "de"
	msg := composed(t, m, Letter{Values: someTickets(), Attachments: []Attachment{{"tickets.pdf", "application/pdf", pdf}, {"faros.ics", CalendarMedia, ics}}})
	found := map[string][]byte{}
	parts(t, msg.Header, msg.Body, found)
	if !bytes.Equal(found["application/pdf"], pdf) || !bytes.Equal(found["text/calendar"], ics) {
		t.Errorf("attached are %q and %q", found["application/pdf"], found["text/calendar"])
	}
	if text := string(found["text/plain"]); !strings.Contains(text, "Hier sind Ihre Tickets") || !strings.Contains(text, "Lower, 101/A/7") {
		t.Errorf("the text is %s", text)
	}
	if html := string(found["text/html"]); !strings.Contains(html, `<html lang="de">`) || !strings.Contains(html, "101/A/7") {
		t.Errorf("the HTML is %s", html)
	}
	from, err := netmail.ParseAddress(msg.Header.Get("From"))
	if err != nil || from.Name != "Tickets für alle" || msg.Header.Get("Reply-To") != "<help@example.org>" || msg.Header.Get("Content-Language") != "de" {
		t.Errorf("%v, %+v", err, msg.Header)
	}
}

func TestNothingThatPeopleWroteBecomesAHeaderOrMarkup(t *testing.T) {
	v := someTickets()
	v.Event.Name = "Rock\r\nBcc: victim@example.com\r\n\r\n<script>alert(1)</script>" + strings.Repeat("ñ", 300)
	msg := composed(t, about(1), Letter{Values: v})
	if bcc := msg.Header.Get("Bcc"); bcc != "" {
		t.Errorf("Bcc: %s", bcc)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, "Your tickets: Rock Bcc: victim@example.com <script>") || len(subject) > maxSubject || strings.ContainsAny(subject, "\r\n") {
		t.Errorf("subject %q, %v", subject, err)
	}
	found := map[string][]byte{}
	parts(t, msg.Header, msg.Body, found)
	if html := string(found["text/html"]); strings.Contains(html, "<script>") {
		t.Errorf("the HTML is %s", html)
	}
}

func TestAnAddressThatEndsAHeaderIsNotQueued(t *testing.T) {
	d := dbtest.New(t)
	for _, to := range []string{"", "a", "a@b\r\nBcc: c@d", "a@b, c@d", "Ana <a@b>", "a@b\x00", strings.Repeat("a", 250) + "@example.org", "<a@b>", "a@b\n"} {
		m := about(1)
		m.To = to
		err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return Queue(ctx, tx, m) })
		if !errors.Is(err, ErrAddress) || len(to) > 1 && strings.Contains(err.Error(), to) {
			t.Errorf("%q: %v", to, err)
		}
		if _, err := Retry(t.Context(), d, uuid.New(), to); to != "" && !errors.Is(err, ErrAddress) {
			t.Errorf("%q as another address: %v", to, err)
		}
	}
	for what, change := range map[string]func(*Message){
		"no key": func(m *Message) { m.Key = "" }, "no kind": func(m *Message) { m.Kind = "" }, "a long language": func(m *Message) { m.Language = strings.Repeat("x", 36) },
		"much data": func(m *Message) { m.Data = map[string]string{"a": strings.Repeat("x", maxData)} }, "a past": func(m *Message) { m.Within = -1 },
	} {
		m := about(1)
		change(&m)
		if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return Queue(ctx, tx, m) }); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestASenderThatIsNoneIsRefused(t *testing.T) {
	for _, from := range []string{"", "Tickets", "a@b\r\nBcc: c@d", "a@b, c@d", "\"x\r\ny\" <a@b>"} {
		if _, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", From: from}); err == nil {
			t.Errorf("%q was taken", from)
		}
	}
	if _, err := NewSMTP(SMTPConfig{Host: "127.0.0.1", From: "a@example.org", TLS: "yes"}); err == nil {
		t.Error("a TLS policy that is none was taken")
	}
}

// signingIn is a session that asks for a user and a password.
type signingIn struct {
	delivery
	in bool
}

func (s *signingIn) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *signingIn) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "core" || password != "secret" {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *signingIn) Mail(from string, options *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	return s.delivery.Mail(from, options)
}

// certificate is one for loopback, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestThePasswordAndTheMailTravelEncryptedOrNotAtAll(t *testing.T) {
	d := dbtest.New(t)
	cert, roots := certificate(t)
	secure := func(p *postbox) {
		p.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		p.server.Backend = smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &signingIn{delivery: delivery{box: p}}, nil })
	}
	n := 0
	try := func(adjust func(*postbox), change func(*SMTPConfig)) (row, *postbox) {
		t.Helper()
		n++
		box, m := newPostbox(t, "", adjust), about(n)
		at := SMTPConfig{Host: "127.0.0.1", Port: box.addr.Port, User: "core", Password: "secret", From: "tickets@example.org", Timeout: 5 * time.Second,
			TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		change(&at)
		cfg := quick(t, d, box)
		var err error
		if cfg.SMTP, err = NewSMTP(at); err != nil {
			t.Fatal(err)
		}
		queue(t, d, m)
		stop := start(t, cfg)
		eventually(t, "it was tried", func() bool { r := rowOf(t, d, m); return r.State == "sent" || r.Error != "" })
		stop()
		return rowOf(t, d, m), box
	}
	if r, box := try(secure, func(*SMTPConfig) {}); r.State != "sent" || len(box.mails()) != 1 {
		t.Errorf("with TLS and the password: %+v", r)
	}
	for name, r := range map[string]struct {
		adjust func(*postbox)
		change func(*SMTPConfig)
	}{
		"a server without TLS":        {nil, func(*SMTPConfig) {}},
		"a certificate nobody trusts": {secure, func(c *SMTPConfig) { c.TLSConfig = nil }},
		"the wrong password":          {secure, func(c *SMTPConfig) { c.Password = "wrong" }},
	} {
		got, box := try(r.adjust, r.change)
		if got.State != "ready" || len(box.mails()) != 0 || strings.Contains(got.Error, "secret") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAnOffersMailLinksToWhereItIsAnswered(t *testing.T) {
	const site = "https://t.example.org/account#offers"
	offer := valuesOf(t, KindWaitlistOffer)[0].(WaitlistOffer)
	offer.Site = site
	for _, language := range Languages {
		w, err := write(KindWaitlistOffer, language, offer)
		if err != nil || !strings.Contains(w.html, `<a href="`+site+`">`) || !strings.Contains(w.text, site) {
			t.Errorf("%s: %v, %s, %s", language, err, w.html, w.text)
		}
	}
}
