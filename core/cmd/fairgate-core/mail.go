package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"fairgate/core/db"
	"fairgate/core/notify"
)

// mailConfig is the section mail of the configuration. Without a host nothing is sent.
type mailConfig struct {
	Host          string
	Port          int
	TLS           string
	CAFile        string `mapstructure:"ca_file"`
	User          string
	PasswordFile  string `mapstructure:"password_file"`
	From          string
	ReplyTo       string        `mapstructure:"reply_to"`
	PublicURL     string        `mapstructure:"public_url"`
	RatePerSecond float64       `mapstructure:"rate_per_second"`
	Connections   int           // at once
	Timeout       time.Duration // of connecting, and of one mail
	BackoffMax    time.Duration `mapstructure:"backoff_max"`
	MaxAttempts   int           `mapstructure:"max_attempts"`
	MaxAge        time.Duration `mapstructure:"max_age"`
}

// mailDefaults are what configs/core.yaml says of mail.
var mailDefaults = map[string]any{
	"mail.host": "", "mail.port": 0, "mail.tls": notify.TLSRequired, "mail.ca_file": "", "mail.user": "", "mail.password_file": "", "mail.from": "", "mail.reply_to": "",
	"mail.public_url": "", "mail.rate_per_second": 10, "mail.connections": 4, "mail.timeout": "15s", "mail.backoff_max": "1h", "mail.max_attempts": 20, "mail.max_age": "72h",
}

func (c mailConfig) problems() (errs []error) {
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("mail.%s: "+format, append([]any{key}, args...)...))
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme == "" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		bad("public_url", "this is no URL such as https://tickets.example.org")
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("port", "%d is no port", c.Port)
	}
	if c.RatePerSecond < 0 {
		bad("rate_per_second", "%v must not be negative", c.RatePerSecond)
	}
	for key, n := range map[string]int{"connections": c.Connections, "max_attempts": c.MaxAttempts} {
		if n < 1 || n > 1000 {
			bad(key, "%d must be from 1 to 1000", n)
		}
	}
	for key, d := range map[string]time.Duration{"timeout": c.Timeout, "backoff_max": c.BackoffMax, "max_age": c.MaxAge} {
		if d <= 0 {
			bad(key, "%s must be longer than nothing", d)
		}
	}
	if c.Host != "" {
		if _, err := c.smtp(); err != nil {
			bad("host", "%w", err)
		}
	}
	return errs
}

// smtp is the server that mails are handed to; nil where none is configured.
func (c mailConfig) smtp() (*notify.SMTP, error) {
	if c.Host == "" {
		return nil, nil
	}
	server := notify.SMTPConfig{Host: c.Host, Port: c.Port, TLS: c.TLS, User: c.User, From: c.From, ReplyTo: c.ReplyTo, Timeout: c.Timeout}
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read password_file: %w", err)
		}
		server.Password = strings.TrimRight(string(text), "\r\n")
	}
	if (c.User == "") != (server.Password == "") {
		return nil, errors.New("user and password_file belong together")
	}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("ca_file holds no certificate")
		}
		server.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return notify.NewSMTP(server)
}

// mailer sends what is in the mail outbox.
func (c mailConfig) mailer(d *db.DB, composers map[notify.Kind]notify.Composer, log *slog.Logger) (*notify.Mailer, error) {
	server, err := c.smtp()
	if err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	return notify.New(notify.Config{DB: d, SMTP: server, Composers: composers, Rate: c.RatePerSecond, Workers: c.Connections,
		BackoffMax: c.BackoffMax, MaxAttempts: c.MaxAttempts, MaxAge: c.MaxAge, Log: log}), nil
}
