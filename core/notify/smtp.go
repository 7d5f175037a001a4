package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// How the connection to the server is protected.
const (
	TLSRequired      = "required"      // STARTTLS, or nothing is sent
	TLSImplicit      = "implicit"      // TLS from the first byte, port 465
	TLSOpportunistic = "opportunistic" // STARTTLS where the server offers it
	TLSNone          = "none"          // for a server on the same machine
)

// SMTPConfig names a server. Host and From are required.
type SMTPConfig struct {
	Host     string
	Port     int           // default 587, or 465 with TLSImplicit
	TLS      string        // default TLSRequired
	User     string        // empty: nobody signs in
	Password string        // of the user
	From     string        // "Name <address>" or a plain address
	ReplyTo  string        // the same; empty: none
	Timeout  time.Duration // of connecting, and of handing over one mail; default 15 s
	// TLSConfig are the roots to trust and the like; nil: the system's.
	TLSConfig *tls.Config
}

// SMTP hands mails to a server. It is safe for concurrent use.
type SMTP struct {
	client        *mail.Client
	from, replyTo *netmail.Address
	domain        string
	timeout       time.Duration
	now           func() time.Time
}

// NewSMTP checks a configuration. It connects to nothing.
func NewSMTP(cfg SMTPConfig) (*SMTP, error) {
	s := &SMTP{timeout: cfg.Timeout, now: time.Now}
	if s.timeout <= 0 {
		s.timeout = 15 * time.Second
	}
	var err error
	if s.from, err = sender(cfg.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if cfg.ReplyTo != "" {
		if s.replyTo, err = sender(cfg.ReplyTo); err != nil {
			return nil, fmt.Errorf("reply_to: %w", err)
		}
	}
	s.domain = s.from.Address[strings.LastIndexByte(s.from.Address, '@')+1:]
	port := 587
	options := []mail.Option{mail.WithTimeout(s.timeout), mail.WithHELO(s.domain)}
	switch cfg.TLS {
	case TLSRequired, "":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case TLSImplicit:
		port = 465
		options = append(options, mail.WithSSL())
	case TLSOpportunistic:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	case TLSNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		return nil, fmt.Errorf("tls: %q is none of %s, %s, %s, %s", cfg.TLS, TLSRequired, TLSImplicit, TLSOpportunistic, TLSNone)
	}
	if cfg.Port != 0 {
		port = cfg.Port
	}
	options = append(options, mail.WithPort(port))
	if cfg.TLSConfig != nil {
		own := cfg.TLSConfig.Clone()
		own.ServerName, own.MinVersion = cfg.Host, max(own.MinVersion, tls.VersionTLS12)
		options = append(options, mail.WithTLSConfig(own))
	}
	if cfg.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(cfg.User), mail.WithPassword(cfg.Password))
	}
	if s.client, err = mail.NewClient(cfg.Host, options...); err != nil {
		return nil, err
	}
	return s, nil
}

// sender reads an address with or without a name.
func sender(text string) (*netmail.Address, error) {
	parsed, err := netmail.ParseAddress(text)
	if err != nil || !Addressable(parsed.Address) || parsed.Name != oneLine(parsed.Name) {
		return nil, fmt.Errorf("%q is no address such as \"Tickets <tickets@example.org>\"", text)
	}
	return parsed, nil
}

// compose makes the mail as it travels. Its Message-ID follows from its key, so that a mail that is sent twice is known by it.
func (s *SMTP) compose(c *claimed, letter Letter) (*mail.Msg, error) {
	written, err := write(c.Kind, c.Language, letter.Values)
	if err != nil {
		return nil, err
	}
	if !Addressable(c.To) {
		return nil, ErrAddress
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(s.from)
	m.ToMailAddress(&netmail.Address{Address: c.To})
	if s.replyTo != nil {
		m.ReplyToMailAddress(s.replyTo)
	}
	m.SetDateWithValue(s.now())
	m.SetMessageIDWithValue(c.id.String() + "@" + s.domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's machine shall answer
	m.SetGenHeader("Content-Language", written.language)
	if letter.Unsubscribe != "" {
		m.SetGenHeader("List-Unsubscribe", "<"+letter.Unsubscribe+">") // RFC 2369
		m.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	m.Subject(written.subject)
	m.SetBodyString(mail.TypeTextPlain, written.text)
	m.AddAlternativeString(mail.TypeTextHTML, written.html)
	for _, a := range letter.Attachments {
		if err := m.AttachReader(a.Name, bytes.NewReader(a.Bytes), mail.WithFileContentType(mail.ContentType(a.Media))); err != nil {
			return nil, fmt.Errorf("attach %s: %w", a.Name, err)
		}
	}
	return m, nil
}

// refusal is a server's answer to a mail.
type refusal struct {
	permanent bool
	err       error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// link is one worker's connection. It is made when it is needed, and again when it broke.
type link struct {
	smtp *SMTP
	conn *smtp.Client
}

// send hands over one mail. errAway means that no server was there to take it, and a refusal is the answer of one that was; after any other
// error it may or may not have been taken.
func (l *link) send(ctx context.Context, m *mail.Msg) error {
	fresh := l.conn == nil
	err := l.try(ctx, m)
	if errors.Is(err, errAway) && !fresh { // a connection that stood idle may be gone without a word
		l.close()
		err = l.try(ctx, m)
	}
	if refused := new(refusal); err != nil && !errors.As(err, &refused) {
		l.close()
	}
	return err
}

// closing is what a server answers that is about to hang up (RFC 5321).
const closing = 421

func (l *link) try(ctx context.Context, m *mail.Msg) error {
	if l.conn == nil {
		dialling, cancel := context.WithTimeout(ctx, l.smtp.timeout)
		defer cancel()
		conn, err := l.smtp.client.DialToSMTPClientWithContext(dialling)
		if err != nil {
			return fmt.Errorf("%w: connect: %w", errAway, err)
		}
		l.conn = conn
	}
	err := l.smtp.client.SendWithSMTPClient(l.conn, m)
	if err == nil || m.IsDelivered() {
		return nil
	}
	var failure *mail.SendError
	if !errors.As(err, &failure) {
		return err
	}
	switch failure.Reason {
	case mail.ErrConnCheck, mail.ErrSMTPMailFrom: // of the latter: what is refused is us, not this mail
		return fmt.Errorf("%w: %w", errAway, err)
	case mail.ErrSMTPRcptTo, mail.ErrSMTPData, mail.ErrSMTPDataClose:
		switch code := failure.ErrorCode(); {
		case code == closing:
			return fmt.Errorf("%w: %w", errAway, err)
		case code != 0:
			return &refusal{permanent: code >= 500, err: err}
		}
	}
	return err
}

func (l *link) close() {
	if l.conn == nil {
		return
	}
	if l.conn.UpdateDeadline(time.Second) == nil {
		_ = l.conn.Quit() // it is over either way
	}
	_ = l.conn.Close()
	l.conn = nil
}
