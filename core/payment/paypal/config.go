package paypal

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Where PayPal's API is.
const (
	LiveURL    = "https://api-m.paypal.com"
	SandboxURL = "https://api-m.sandbox.paypal.com"
)

// PayPal publishes no limits and asks for moderate use. These are what an account is known to be allowed.
const (
	defaultRate         = 30
	defaultEndpointRate = 15
)

// ErrConfig means the configuration cannot work.
var ErrConfig = errors.New("paypal: wrong configuration")

// Config says which account is used and how.
type Config struct {
	ClientID     string
	ClientSecret string
	// WebhookID is PayPal's id of our webhook subscription. It is part of what PayPal signs.
	WebhookID string
	// BaseURL is where the API is; empty means LiveURL.
	BaseURL string
	// ReturnURL and CancelURL are the pages of ours that PayPal sends the buyer to; "{order}" in them is the order's id.
	ReturnURL string
	CancelURL string
	// BrandName is what PayPal's page calls us; empty: the account's name.
	BrandName string
	// HTTPClient makes the calls. Nil means a client with its own connections and Timeout. It must not follow redirects.
	HTTPClient *http.Client
	// Timeout bounds one call when HTTPClient is nil; default 20 s.
	Timeout time.Duration
	// RequestsPerSecond and EndpointRequestsPerSecond are the limits we keep to; default 30 and 15.
	RequestsPerSecond         float64
	EndpointRequestsPerSecond float64
	// MaxWait is how long a call may wait for the limits before it is refused with ErrTemporary; default 10 s.
	MaxWait time.Duration
	// SettleAfter is how long an authorize call can be under way: what Void waits before it believes that an approved order
	// has no authorization. Default 1 min.
	SettleAfter time.Duration
	// WebhookTolerance is how old a webhook may be; default 75 h, since PayPal repeats one for three days and does not say
	// that it signs it anew.
	WebhookTolerance time.Duration
	// CertHosts are the hosts, with port if any, that a webhook's certificate may come from; default PayPal's own, or for
	// another BaseURL its host.
	CertHosts []string
	// CertNames are the names that the certificate may bear; default PayPal's.
	CertNames []string
	// CertRoots sign the certificate's chain; nil means the system's roots.
	CertRoots *x509.CertPool
	// Now is the clock; nil means the machine's.
	Now func() time.Time
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	for name, value := range map[string]string{
		"the client id": c.ClientID, "the client secret": c.ClientSecret, "the webhook id": c.WebhookID,
		"the return URL": c.ReturnURL, "the cancel URL": c.CancelURL,
	} {
		if strings.TrimSpace(value) == "" {
			wrong("%s is missing", name)
		}
	}
	for name, value := range map[string]string{"the base URL": c.BaseURL, "the return URL": c.ReturnURL, "the cancel URL": c.CancelURL} {
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			wrong("%s is not an http or https address", name)
		}
	}
	if u, err := url.Parse(c.BaseURL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		wrong("the base URL is not https")
	}
	if c.RequestsPerSecond < 0 || c.EndpointRequestsPerSecond < 0 {
		wrong("a rate is negative")
	}
	return errors.Join(problems...)
}

// loopback tells whether a host is this machine, the only one that may be reached without TLS.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) withDefaults() Config {
	wait := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.BaseURL == "" {
		c.BaseURL = LiveURL
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	wait(&c.Timeout, 20*time.Second)
	wait(&c.MaxWait, 10*time.Second)
	wait(&c.SettleAfter, time.Minute)
	wait(&c.WebhookTolerance, 75*time.Hour)
	if c.HTTPClient == nil {
		c.HTTPClient = newClient(c.Timeout)
	}
	if c.RequestsPerSecond == 0 {
		c.RequestsPerSecond = defaultRate
	}
	if c.EndpointRequestsPerSecond == 0 {
		c.EndpointRequestsPerSecond = min(defaultEndpointRate, c.RequestsPerSecond)
	}
	if len(c.CertHosts) == 0 {
		c.CertHosts = certHosts(c.BaseURL)
	}
	if len(c.CertNames) == 0 {
		c.CertNames = certNames(c.BaseURL)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// certHosts are where certificates may come from, by where the API is.
func certHosts(base string) []string {
	switch u, _ := url.Parse(base); u.Host {
	case "api-m.paypal.com", "api.paypal.com":
		return []string{"api.paypal.com", "api-m.paypal.com"}
	case "api-m.sandbox.paypal.com", "api.sandbox.paypal.com":
		return []string{"api.sandbox.paypal.com", "api-m.sandbox.paypal.com"}
	default:
		return []string{u.Host}
	}
}

// certNames are whom certificates may name. PayPal signs the sandbox's webhooks with either.
func certNames(base string) []string {
	const live, sandbox = "messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"
	if base == LiveURL || base == "https://api.paypal.com" {
		return []string{live}
	}
	return []string{live, sandbox}
}

// newClient makes a client that keeps enough connections for the outbox's workers and follows no redirects, since a
// payment API has none.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConns:        128,
			MaxIdleConnsPerHost: 128,
			MaxConnsPerHost:     256,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
