package paypal

import (
	"context"
	"net/http"
	"net/url"

	paypalgo "github.com/plutov/paypal/v4"

	"fairgate/core/payment"
)

// Name is the provider's name in rows, routes and accounts.
const Name = "paypal"

// endpoint names the kinds of calls that are limited one by one.
type endpoint int

const (
	endpointCreate endpoint = iota
	endpointRetrieve
	endpointAuthorize
	endpointCapture
	endpointVoid
	endpointRefund
	endpointReport // disputes and settlements
	endpointVerify
	endpoints // how many there are
)

// Provider is a PayPal account. It implements payment.Provider, WebhookReader, Refunder, Disputer, Identifier and
// SettlementReader.
type Provider struct {
	cfg     Config
	client  *paypalgo.Client // its own token and log are never used
	token   tokenCache
	certs   *certCache
	denied  *denials
	total   *payment.Bucket
	byParts [endpoints]*payment.Bucket
}

// New makes a Provider. It does not call PayPal.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	client, err := paypalgo.NewClient(cfg.ClientID, cfg.ClientSecret, cfg.BaseURL)
	if err != nil {
		return nil, ErrConfig
	}
	client.SetReturnRepresentation() // an answer that says what became of the object
	bounded := *cfg.HTTPClient
	bounded.Transport = boundedTransport{next: cfg.HTTPClient.Transport}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.SetHTTPClient(&bounded)
	p := &Provider{
		cfg: cfg, client: client, token: newTokenCache(), certs: newCertCache(cfg), denied: newDenials(),
		total: payment.NewBucket(cfg.RequestsPerSecond, burst(cfg.RequestsPerSecond), cfg.MaxWait, cfg.Now),
	}
	for part := range p.byParts {
		p.byParts[part] = payment.NewBucket(cfg.EndpointRequestsPerSecond, burst(cfg.EndpointRequestsPerSecond), cfg.MaxWait, cfg.Now)
	}
	// Strangers can cause these calls: they wait for nothing and take nothing from what payments are made with.
	p.byParts[endpointVerify] = payment.NewBucket(verifyPerSecond, verifyBurst, verifyMaxWait, nil)
	return p, nil
}

// burst lets a tenth of a second's calls start at once.
func burst(rate float64) int { return max(int(rate/10), 1) }

// Name is "paypal".
func (p *Provider) Name() string { return Name }

// SpareRate is how many more payments a second the rate limits could carry than they carried in the last second, by the
// tightest of the limits. A payment is made of five calls: create, look up, authorize, capture, and one to spare.
func (p *Provider) SpareRate() float64 {
	return min(p.total.Spare()/5, p.byParts[endpointCreate].Spare(), p.byParts[endpointRetrieve].Spare()/2,
		p.byParts[endpointAuthorize].Spare(), p.byParts[endpointCapture].Spare())
}

// Form is how the buyer pays an order: on PayPal's page, whose address is the client secret that Begin returned.
func (p *Provider) Form(_, clientSecret string) payment.Form {
	u, err := url.Parse(clientSecret)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return payment.Form{}
	}
	return payment.Form{URL: clientSecret}
}

// wait takes one call out of both limits that it counts against; the checks of webhooks count against their own alone.
func (p *Provider) wait(ctx context.Context, part endpoint) error {
	if err := p.byParts[part].Wait(ctx); err != nil || part == endpointVerify {
		return err
	}
	return p.total.Wait(ctx)
}
