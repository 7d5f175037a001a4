// Package stripe makes payments with Stripe's PaymentIntents: authorized by the buyer in Stripe's own form, captured
// later by us. It is stripe-go with a backend of its own, so that nothing depends on stripe-go's globals and the same code
// talks to Stripe and to a stand-in.
//
// It refuses to retry on its own: the outbox repeats calls, with the same idempotency key, which survives the process. It
// never puts a key, a client secret or a provider's raw answer into an error or a log.
//
// # Keys
//
// Every call that changes something carries Intent.Key(step). Stripe keeps the answer to a key for at least 24 hours and
// repeats it, stored failures (status 500) too. When a repeated failure comes back, the intent is looked up: if it shows
// that the step was done, that is the answer; if it shows that it was not, the step is tried again under the next key,
// "fg:<payment>:capture:2". An intent that is begun twice that way does no harm: no buyer ever sees the first one's client
// secret, and Void without a reference cancels every intent of the payment.
//
// A refund would do harm: two refunds of a part of a payment are two parts. So Refund first looks for the refund among those
// of the intent, where each bears its id, and makes it only where there is none; the key covers the time between the two.
//
// A Provider is safe for concurrent use.
package stripe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/balancetransaction"
	"github.com/stripe/stripe-go/v76/charge"
	"github.com/stripe/stripe-go/v76/dispute"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/payout"
	"github.com/stripe/stripe-go/v76/refund"
	"github.com/stripe/stripe-go/v76/webhook"

	"fairgate/core/payment"
)

// Name is the provider's name in rows, routes and accounts.
const Name = "stripe"

// Stripe's own default limits: 100 requests a second for an account, 25 for one endpoint.
const (
	defaultRate         = 100
	defaultEndpointRate = 25
)

// ErrConfig means the configuration cannot work.
var ErrConfig = errors.New("stripe: wrong configuration")

// Config says which account is used and how.
type Config struct {
	SecretKey      string
	PublishableKey string
	WebhookSecret  string
	// BaseURL is where the API is; empty means Stripe's own.
	BaseURL string
	// PayURL is where the provider has a page on which buyers pay, without a slash at the end. Stripe has none for a
	// PaymentIntent (its form runs in our page); paysim has one at its own address.
	PayURL string
	// HTTPClient makes the calls. Nil means a client with its own connections and Timeout.
	HTTPClient *http.Client
	// Timeout bounds one call when HTTPClient is nil; default 20 s.
	Timeout time.Duration
	// PaymentMethodTypes are offered to the buyer; default card.
	PaymentMethodTypes []string
	// RequestsPerSecond and EndpointRequestsPerSecond are the account's limits; default Stripe's.
	RequestsPerSecond         float64
	EndpointRequestsPerSecond float64
	// MaxWait is how long a call may wait for the limits before it is refused with ErrTemporary; default 10 s.
	MaxWait time.Duration
	// WebhookTolerance is how old a webhook's signature may be; default 5 min.
	WebhookTolerance time.Duration
	// Now is the clock of the rate limits; nil means the machine's.
	Now func() time.Time
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var problems []error
	require := func(name, value string) {
		if strings.TrimSpace(value) == "" {
			problems = append(problems, fmt.Errorf("%w: %s is missing", ErrConfig, name))
		}
	}
	require("the secret key", c.SecretKey)
	require("the publishable key", c.PublishableKey)
	require("the webhook secret", c.WebhookSecret)
	checkURL := func(name, value string) {
		if value == "" {
			return
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, fmt.Errorf("%w: %s is not an http or https address", ErrConfig, name))
		}
	}
	checkURL("the base URL", c.BaseURL)
	checkURL("the pay URL", c.PayURL)
	if c.RequestsPerSecond < 0 || c.EndpointRequestsPerSecond < 0 {
		problems = append(problems, fmt.Errorf("%w: a rate is negative", ErrConfig))
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.BaseURL == "" {
		c.BaseURL = stripego.APIURL
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	c.PayURL = strings.TrimSuffix(c.PayURL, "/")
	if c.Timeout <= 0 {
		c.Timeout = 20 * time.Second
	}
	if c.HTTPClient == nil {
		c.HTTPClient = newClient(c.Timeout)
	}
	if len(c.PaymentMethodTypes) == 0 {
		c.PaymentMethodTypes = []string{"card"}
	}
	if c.RequestsPerSecond == 0 {
		c.RequestsPerSecond = defaultRate
	}
	if c.EndpointRequestsPerSecond == 0 {
		c.EndpointRequestsPerSecond = min(defaultEndpointRate, c.RequestsPerSecond)
	}
	if c.MaxWait <= 0 {
		c.MaxWait = 10 * time.Second
	}
	if c.WebhookTolerance <= 0 {
		c.WebhookTolerance = webhook.DefaultTolerance
	}
	return c
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
			MaxIdleConns:        256, // as many as there may be: whatever closes one makes another
			MaxIdleConnsPerHost: 256,
			MaxConnsPerHost:     256,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// endpoint names the parts of the API that Stripe limits one by one.
type endpoint int

const (
	endpointCreate endpoint = iota
	endpointRetrieve
	endpointCapture
	endpointCancel
	endpointSearch
	endpointRefund     // making refunds
	endpointRefundRead // finding them
	endpointDispute
	endpointSettlement // balance transactions and payouts
	endpoints          // how many there are
)

// Provider is a Stripe account. It implements payment.Provider, payment.WebhookReader, payment.Refunder, payment.Disputer,
// payment.Identifier and payment.SettlementReader.
type Provider struct {
	cfg      Config
	intents  paymentintent.Client
	charges  charge.Client
	refunds  refund.Client
	disputes dispute.Client
	balance  balancetransaction.Client
	payouts  payout.Client
	total    *payment.Bucket
	byParts  [endpoints]*payment.Bucket
}

// New makes a Provider. It does not call Stripe.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL:               stripego.String(cfg.BaseURL),
		HTTPClient:        cfg.HTTPClient,
		MaxNetworkRetries: stripego.Int64(0),
		EnableTelemetry:   stripego.Bool(false),
		// Its messages hold parts of answers, which hold client secrets.
		LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull},
	})
	p := &Provider{
		cfg:      cfg,
		intents:  paymentintent.Client{B: lean{backend}, Key: cfg.SecretKey},
		charges:  charge.Client{B: backend, Key: cfg.SecretKey},
		refunds:  refund.Client{B: backend, Key: cfg.SecretKey},
		disputes: dispute.Client{B: backend, Key: cfg.SecretKey},
		balance:  balancetransaction.Client{B: backend, Key: cfg.SecretKey},
		payouts:  payout.Client{B: backend, Key: cfg.SecretKey},
		total:    payment.NewBucket(cfg.RequestsPerSecond, burst(cfg.RequestsPerSecond), cfg.MaxWait, cfg.Now),
	}
	for part := range p.byParts {
		p.byParts[part] = payment.NewBucket(cfg.EndpointRequestsPerSecond, burst(cfg.EndpointRequestsPerSecond), cfg.MaxWait, cfg.Now)
	}
	return p, nil
}

// burst lets a tenth of a second's calls start at once: providers count by the second.
func burst(rate float64) int { return max(int(rate/10), 1) }

// Name is "stripe".
func (p *Provider) Name() string { return Name }

// SpareRate is how many more payments a second the rate limits could carry than they carried in the last second, by the
// tightest of the limits. A payment is made of three calls: create, capture, and one to spare for a lookup or cancel.
func (p *Provider) SpareRate() float64 {
	return min(p.total.Spare()/3, p.byParts[endpointCreate].Spare(), p.byParts[endpointCapture].Spare())
}

// SpareRefundRate is how many more refunds a second the rate limits could carry. A refund is made of two calls: one that
// looks whether it was made already, and one that makes it.
func (p *Provider) SpareRefundRate() float64 {
	return min(p.total.Spare()/2, p.byParts[endpointRefund].Spare(), p.byParts[endpointRefundRead].Spare())
}

// Form is how the buyer pays an intent: with Stripe's own form in our page, by the publishable key, or on the page at PayURL in
// a frame.
func (p *Provider) Form(ref, clientSecret string) payment.Form {
	form := payment.Form{PublishableKey: p.cfg.PublishableKey}
	switch {
	case ref == "" || clientSecret == "":
	case p.cfg.PayURL != "":
		form.Kind = payment.FormFrame
		form.URL = p.cfg.PayURL + "/pay/" + url.PathEscape(ref) + "?client_secret=" + url.QueryEscape(clientSecret)
	default:
		form.Kind = payment.FormStripe
	}
	return form
}

// wait takes one call out of both limits that it counts against.
func (p *Provider) wait(ctx context.Context, part endpoint) error {
	if err := p.byParts[part].Wait(ctx); err != nil {
		return err
	}
	return p.total.Wait(ctx)
}
