package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/payment"
	"fairgate/core/payment/offline"
	"fairgate/core/payment/paypal"
	"fairgate/core/payment/stripe"
)

// paymentConfig is the section payment of the configuration. A provider whose keys are empty is not configured.
type paymentConfig struct {
	Stripe  stripeConfig
	Offline offlineConfig
	PayPal  paypalConfig
	Routes  []routeConfig
	Breaker struct {
		Window       time.Duration
		MinCalls     int           `mapstructure:"min_calls"`
		FailureRatio float64       `mapstructure:"failure_ratio"`
		OpenFor      time.Duration `mapstructure:"open_for"`
		Probes       int
	}
}

type stripeConfig struct {
	BaseURL        string  `mapstructure:"base_url"`
	SecretKey      string  `mapstructure:"secret_key"`
	PublishableKey string  `mapstructure:"publishable_key"`
	WebhookSecret  string  `mapstructure:"webhook_secret"`
	PayURL         string  `mapstructure:"pay_url"`
	RatePerSecond  float64 `mapstructure:"rate_per_second"`
	// EndpointRatePerSecond bounds each kind of call.
	EndpointRatePerSecond float64 `mapstructure:"endpoint_rate_per_second"`
}

// paypalConfig is a PayPal account; without a client id there is none.
type paypalConfig struct {
	BaseURL       string  `mapstructure:"base_url"`
	ClientID      string  `mapstructure:"client_id"`
	ClientSecret  string  `mapstructure:"client_secret"`
	WebhookID     string  `mapstructure:"webhook_id"`
	ReturnURL     string  `mapstructure:"return_url"`
	CancelURL     string  `mapstructure:"cancel_url"`
	BrandName     string  `mapstructure:"brand_name"`
	CertRootsFile string  `mapstructure:"cert_roots_file"`
	RatePerSecond float64 `mapstructure:"rate_per_second"`
	// EndpointRatePerSecond bounds each kind of call.
	EndpointRatePerSecond float64 `mapstructure:"endpoint_rate_per_second"`
}

// offlineConfig is about money that comes by bank transfer or at a box office.
type offlineConfig struct {
	Account string
	Methods []string
}

// configured tells whether buyers have somewhere to pay to.
func (c offlineConfig) configured() bool { return c.Account != "" }

// routeConfig is a payment.Route as a file says it.
type routeConfig struct {
	Currencies []string
	Countries  []string
	Methods    []string
	Providers  []struct {
		Provider string
		Cost     *struct {
			Percent    string // with up to four decimals
			FixedMinor int64  `mapstructure:"fixed_minor"`
		}
	}
}

// paymentDefaults are what configs/core.yaml says of payments.
var paymentDefaults = map[string]any{
	"payment.stripe.base_url": "", "payment.stripe.secret_key": "", "payment.stripe.publishable_key": "",
	"payment.stripe.webhook_secret": "", "payment.stripe.pay_url": "", "payment.stripe.rate_per_second": 100, "payment.stripe.endpoint_rate_per_second": 25,
	"payment.paypal.base_url": "", "payment.paypal.client_id": "", "payment.paypal.client_secret": "", "payment.paypal.webhook_id": "",
	"payment.paypal.return_url": "", "payment.paypal.cancel_url": "", "payment.paypal.brand_name": "", "payment.paypal.cert_roots_file": "",
	"payment.paypal.rate_per_second": 30, "payment.paypal.endpoint_rate_per_second": 15,
	"payment.offline.account": "", "payment.offline.methods": []string{payment.MethodBankTransfer},
	"payment.routes":         []any{},
	"payment.breaker.window": "10s", "payment.breaker.min_calls": 20, "payment.breaker.failure_ratio": 0.5, "payment.breaker.open_for": "10s", "payment.breaker.probes": 3,
}

// routesFromText lets the environment give payment.routes as JSON.
func routesFromText(from, to reflect.Type, data any) (any, error) {
	if from.Kind() != reflect.String || to != reflect.TypeFor[[]routeConfig]() {
		return data, nil
	}
	var routes []any
	if text := strings.TrimSpace(data.(string)); text != "" {
		if err := json.Unmarshal([]byte(text), &routes); err != nil {
			return nil, fmt.Errorf("payment.routes: in the environment it is a JSON list: %w", err)
		}
	}
	return routes, nil
}

// decoding is how settings become configuration.
var decoding = mapstructure.ComposeDecodeHookFunc(
	mapstructure.StringToTimeDurationHookFunc(), routesFromText, mapstructure.StringToSliceHookFunc(","))

// configured tells whether anything was said of the provider's account.
func (c stripeConfig) configured() bool {
	return c.SecretKey != "" || c.PublishableKey != "" || c.WebhookSecret != ""
}

// validate reports every problem of the section by key.
func (c paymentConfig) validate(bad func(key, format string, args ...any)) {
	before := false
	wrong := func(key, format string, args ...any) {
		before = true
		bad(key, format, args...)
	}
	if s := c.Stripe; s.configured() {
		for key, value := range map[string]string{
			"secret_key": s.SecretKey, "publishable_key": s.PublishableKey, "webhook_secret": s.WebhookSecret,
		} {
			if value == "" {
				wrong("payment.stripe."+key, "needed together with the account's other keys: webhooks are believed by their signature only, and browsers name the account by the publishable key")
			}
		}
		if s.RatePerSecond <= 0 {
			wrong("payment.stripe.rate_per_second", "must be more than 0")
		}
		if s.EndpointRatePerSecond <= 0 {
			wrong("payment.stripe.endpoint_rate_per_second", "must be more than 0")
		}
	}
	if s := c.PayPal; s.ClientID != "" {
		for key, value := range map[string]string{
			"client_secret": s.ClientSecret, "webhook_id": s.WebhookID, "return_url": s.ReturnURL, "cancel_url": s.CancelURL,
		} {
			if value == "" {
				wrong("payment.paypal."+key, "needed together with client_id")
			}
		}
		if s.RatePerSecond <= 0 {
			wrong("payment.paypal.rate_per_second", "must be more than 0")
		}
		if s.EndpointRatePerSecond <= 0 {
			wrong("payment.paypal.endpoint_rate_per_second", "must be more than 0")
		}
	}
	for _, m := range c.Offline.Methods {
		if m != payment.MethodBankTransfer && m != payment.MethodBoxOffice {
			wrong("payment.offline.methods", "%q is neither bank_transfer nor box_office", m)
		}
	}
	if c.Offline.configured() && len(c.Offline.Methods) == 0 {
		wrong("payment.offline.methods", "one of bank_transfer and box_office is needed")
	}
	b := c.Breaker
	for key, d := range map[string]time.Duration{"window": b.Window, "open_for": b.OpenFor} {
		if d <= 0 {
			wrong("payment.breaker."+key, "%s must be longer than nothing", d)
		}
	}
	for key, n := range map[string]int{"min_calls": b.MinCalls, "probes": b.Probes} {
		if n < 1 || n > 1_000_000 {
			wrong("payment.breaker."+key, "%d must be from 1 to 1000000", n)
		}
	}
	if b.FailureRatio <= 0 || b.FailureRatio > 1 {
		wrong("payment.breaker.failure_ratio", "%v must be more than 0 and at most 1", b.FailureRatio)
	}
	if before {
		return // what follows builds the providers
	}
	if _, err := c.providers(accounts{log: slog.New(slog.DiscardHandler)}); err != nil {
		bad("payment", "%w", err)
	}
}

// accounts are what providers are built with besides the configuration.
type accounts struct {
	db  *db.DB // nil while the configuration is only checked
	log *slog.Logger

	outbox *payment.Outbox
}

// errNoProvider means that nobody could pay.
var errNoProvider = errors.New("no provider is configured: give payment.stripe.secret_key, payment.stripe.publishable_key and " +
	"payment.stripe.webhook_secret, or payment.paypal.client_id and what belongs to it; for a try-out without a provider use `make demo KEEP=1`")

// providers builds every provider that is configured, the preferred first. It calls none of them.
func (c paymentConfig) providers(with accounts) (*payment.Providers, error) {
	var members []payment.Member
	if c.Stripe.configured() {
		provider, err := c.Stripe.build()
		if err != nil {
			return nil, err
		}
		members = append(members, payment.Member{Provider: provider, Methods: []string{payment.MethodCard}})
	}
	if c.PayPal.ClientID != "" {
		provider, err := c.PayPal.build()
		if err != nil {
			return nil, err
		}
		members = append(members, payment.Member{Provider: provider, Methods: []string{payment.MethodPayPal}})
	}
	if c.Offline.configured() {
		members = append(members, payment.Member{Provider: c.Offline.build(with), Methods: c.Offline.Methods})
	}
	if len(members) == 0 {
		return nil, errNoProvider
	}
	routes, err := c.routes()
	if err != nil {
		return nil, err
	}
	return payment.NewRouted(payment.Routing{Routes: routes, Breaker: payment.BreakerConfig{
		Window: c.Breaker.Window, MinCalls: c.Breaker.MinCalls, FailureRatio: c.Breaker.FailureRatio, OpenFor: c.Breaker.OpenFor,
		Probes: c.Breaker.Probes, Log: with.log,
	}}, members...)
}

func (c offlineConfig) build(with accounts) *offline.Provider {
	return offline.New(offline.Config{DB: with.db, Account: c.Account, Outbox: with.outbox})
}

func (c stripeConfig) build() (*stripe.Provider, error) {
	return stripe.New(stripe.Config{
		SecretKey: c.SecretKey, PublishableKey: c.PublishableKey, WebhookSecret: c.WebhookSecret, BaseURL: c.BaseURL, PayURL: c.PayURL,
		RequestsPerSecond: c.RatePerSecond, EndpointRequestsPerSecond: c.EndpointRatePerSecond,
	})
}

// build makes the account's adapter, with the roots of the file for its webhooks' certificates if it names one.
func (c paypalConfig) build() (*paypal.Provider, error) {
	var roots *x509.CertPool
	if c.CertRootsFile != "" {
		text, err := os.ReadFile(c.CertRootsFile)
		if err != nil {
			return nil, fmt.Errorf("payment.paypal.cert_roots_file: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("payment.paypal.cert_roots_file: it holds no certificate")
		}
	}
	return paypal.New(paypal.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, WebhookID: c.WebhookID, BaseURL: c.BaseURL, ReturnURL: c.ReturnURL, CancelURL: c.CancelURL,
		BrandName: c.BrandName, CertRoots: roots, RequestsPerSecond: c.RatePerSecond, EndpointRequestsPerSecond: c.EndpointRatePerSecond,
	})
}

// routes are the rules of the file as package payment knows them.
func (c paymentConfig) routes() ([]payment.Route, error) {
	var problems []error
	routes := make([]payment.Route, len(c.Routes))
	for i, r := range c.Routes {
		route := payment.Route{Currencies: r.Currencies, Countries: r.Countries, Methods: r.Methods}
		for _, p := range r.Providers {
			choice := payment.Choice{Provider: p.Provider, HasCost: p.Cost != nil}
			if p.Cost != nil {
				var err error
				if choice.Percent, err = millionths(p.Cost.Percent); err != nil {
					problems = append(problems, fmt.Errorf("route %d, %s: cost.percent %w", i+1, p.Provider, err))
				}
				choice.FixedMinor = p.Cost.FixedMinor
			}
			route.Providers = append(route.Providers, choice)
		}
		routes[i] = route
	}
	return routes, errors.Join(problems...)
}

// millionths reads a percentage with up to four decimals: "1.5" is 15,000 millionths.
func millionths(text string) (int64, error) {
	whole, decimals, _ := strings.Cut(text, ".")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(whole+(decimals + "0000")[:max(4, len(decimals))], 10, 32)
	if err != nil || len(decimals) > 4 || n > 1_000_000 {
		return 0, fmt.Errorf("%q is no percentage from 0 to 100 with up to four decimals", text)
	}
	return int64(n), nil
}

// maxWaiting is how many checkouts may wait for a commit before nobody more is let in: half a batch, some tenths of a second.
const maxWaiting = 100

// spareRate is what the provider of an event's payments has to spare, or nothing while core itself is behind: nobody is let
// in only to wait again.
func spareRate(providers *payment.Providers, events *event.Store, waiting func() int, log *slog.Logger) func(context.Context, uuid.UUID) float64 {
	return func(ctx context.Context, id uuid.UUID) float64 {
		if waiting() > maxWaiting {
			return 0
		}
		e, err := events.ByID(ctx, id)
		if err != nil {
			log.Warn("ask for the spare rate of an event's payments", "event_id", id, "error", err)
			return 0
		}
		return providers.SpareRate(e.Spec.Currency, e.Spec.Venue.Country)
	}
}

const sqlSoldIn = `SELECT DISTINCT currency, country FROM catalog WHERE state = 'active' ORDER BY currency, country LIMIT 1000`

// checkRoutes logs every currency that an event sells in at venues of a country for which no provider takes it: its buyers could
// not pay.
func checkRoutes(ctx context.Context, d *db.DB, providers *payment.Providers, log *slog.Logger) error {
	rows, err := d.Reader.Query(ctx, sqlSoldIn)
	if err != nil {
		return fmt.Errorf("read the currencies of events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var currency, country string
		if err := rows.Scan(&currency, &country); err != nil {
			return fmt.Errorf("read the currencies of events: %w", err)
		}
		if len(providers.Methods(currency, country)) == 0 {
			log.Error("no route of payment.routes takes this currency at venues of this country, where events are sold", "currency", currency, "country", country)
		}
	}
	return rows.Err()
}
