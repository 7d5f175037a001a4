package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/api"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/ticket"
	"fairgate/core/ticket/passes"
	"fairgate/core/ticket/wallet"
)

// walletConfig says which wallets tickets can be put into.
type walletConfig struct {
	Organization string
	PageURL      string `mapstructure:"page_url"`
	Signers      int
	Queue        int
	ForgetAfter  time.Duration `mapstructure:"forget_after"`
	Apple        struct {
		CertificateFile string `mapstructure:"certificate_file"`
		KeyFile         string `mapstructure:"key_file"`
		WWDRFile        string `mapstructure:"wwdr_file"`
		PassTypeID      string `mapstructure:"pass_type_id"`
		TeamID          string `mapstructure:"team_id"`
		WebServiceURL   string `mapstructure:"web_service_url"`
		PushURL         string `mapstructure:"push_url"`
		PushCAFile      string `mapstructure:"push_ca_file"`
	}
	Google struct {
		IssuerID       string `mapstructure:"issuer_id"`
		ServiceKeyFile string `mapstructure:"service_key_file"`
		ClassPrefix    string `mapstructure:"class_prefix"`
		Updates        bool
		APIURL         string `mapstructure:"api_url"`
		TokenURL       string `mapstructure:"token_url"`
	}
}

var walletDefaults = map[string]any{
	"wallet.organization": "", "wallet.page_url": "", "wallet.signers": 2, "wallet.queue": 50, "wallet.forget_after": "168h",
	"wallet.apple.certificate_file": "", "wallet.apple.key_file": "", "wallet.apple.wwdr_file": "", "wallet.apple.pass_type_id": "", "wallet.apple.team_id": "",
	"wallet.apple.web_service_url": "", "wallet.apple.push_url": passes.PushURL, "wallet.apple.push_ca_file": "",
	"wallet.google.issuer_id": "", "wallet.google.service_key_file": "", "wallet.google.class_prefix": "fairgate",
	"wallet.google.updates": false, "wallet.google.api_url": passes.GoogleURL, "wallet.google.token_url": passes.GoogleTokenURL,
}

func (c walletConfig) apple() bool {
	a := c.Apple
	return a.CertificateFile+a.KeyFile+a.WWDRFile+a.PassTypeID+a.TeamID != ""
}

func (c walletConfig) google() bool { return c.Google.IssuerID+c.Google.ServiceKeyFile != "" }

// validate refuses a wallet that is half configured.
func (c walletConfig) validate(bad func(key, format string, args ...any)) {
	need := func(values map[string]string) {
		for key, value := range values {
			if value == "" {
				bad("wallet."+key, "is missing; a wallet needs all of its keys, or none to be off")
			}
		}
	}
	if c.apple() {
		need(map[string]string{"organization": c.Organization, "apple.certificate_file": c.Apple.CertificateFile, "apple.key_file": c.Apple.KeyFile,
			"apple.wwdr_file": c.Apple.WWDRFile, "apple.pass_type_id": c.Apple.PassTypeID, "apple.team_id": c.Apple.TeamID})
	}
	if c.google() {
		need(map[string]string{"organization": c.Organization, "google.issuer_id": c.Google.IssuerID, "google.service_key_file": c.Google.ServiceKeyFile,
			"google.class_prefix": c.Google.ClassPrefix})
	}
	for key, value := range map[string]string{"page_url": c.PageURL, "apple.web_service_url": c.Apple.WebServiceURL, "apple.push_url": c.Apple.PushURL,
		"google.api_url": c.Google.APIURL, "google.token_url": c.Google.TokenURL} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(value) > 200) {
			bad("wallet."+key, "this is no URL of at most 200 characters")
		}
	}
	c.validateUpdates(bad)
	if c.ForgetAfter < 0 {
		bad("wallet.forget_after", "%s must not be negative", c.ForgetAfter)
	}
	if c.Signers < 1 || c.Queue < 0 {
		bad("wallet.signers", "%d must be 1 or more, and wallet.queue, %d, not negative", c.Signers, c.Queue)
	}
}

// validateUpdates refuses to tell wallets of changes that are not configured, or at addresses that are missing.
func (c walletConfig) validateUpdates(bad func(key, format string, args ...any)) {
	if c.Apple.WebServiceURL != "" {
		if !c.apple() || c.Apple.PushURL == "" {
			bad("wallet.apple.web_service_url", "needs the other keys of wallet.apple, and wallet.apple.push_url")
		}
		if !strings.HasSuffix(c.Apple.WebServiceURL, "/wallet") {
			bad("wallet.apple.web_service_url", "is the public address of the edges with /wallet, such as https://tickets.example.org/wallet")
		}
	}
	if c.Google.Updates && (!c.google() || c.Google.APIURL == "" || c.Google.TokenURL == "") {
		bad("wallet.google.updates", "needs the other keys of wallet.google, and its api_url and token_url")
	}
}

// expiresSoon is how long before its end a certificate is worth a warning at the start.
const expiresSoon = 30 * 24 * time.Hour

// open reads certificates and keys. What does not fit together ends the start: phones would refuse every pass, without a word to us.
func (c walletConfig) open(log *slog.Logger) (api.Wallets, error) {
	wallets := api.Wallets{PageURL: c.PageURL}
	throttle := wallet.NewThrottle(c.Signers, c.Queue)
	if c.apple() {
		files, err := readFiles(c.Apple.CertificateFile, c.Apple.KeyFile, c.Apple.WWDRFile)
		if err != nil {
			return wallets, fmt.Errorf("open wallet.apple: %w", err)
		}
		wallets.Apple, err = wallet.NewApple(wallet.AppleConfig{Certificate: files[0], Key: files[1], WWDR: files[2],
			PassTypeID: c.Apple.PassTypeID, TeamID: c.Apple.TeamID, Organization: c.Organization, WebService: c.Apple.WebServiceURL}, throttle)
		if err != nil {
			return wallets, fmt.Errorf("open wallet.apple: %w", err)
		}
		if until := wallets.Apple.Expires(); time.Until(until) < expiresSoon {
			log.Warn("the certificate of Apple's passes ends soon, and with it the passes", "until", until.UTC())
		}
	}
	if c.google() {
		files, err := readFiles(c.Google.ServiceKeyFile)
		if err != nil {
			return wallets, fmt.Errorf("open wallet.google: %w", err)
		}
		wallets.Google, err = wallet.NewGoogle(wallet.GoogleConfig{IssuerID: c.Google.IssuerID, ServiceKey: files[0], ClassPrefix: c.Google.ClassPrefix,
			Organization: c.Organization, Updates: c.Google.Updates}, throttle)
		if err != nil {
			return wallets, fmt.Errorf("open wallet.google: %w", err)
		}
	}
	return wallets, nil
}

// openPasses makes the part that tells wallets of changes; nil when none is to be told. describe says what a pass shows.
func (c walletConfig) openPasses(d *db.DB, events *event.Store, wallets api.Wallets, log *slog.Logger,
	describe func(context.Context, passes.Saved, ticket.Ticket) (wallet.Pass, error)) (*passes.Service, error) {
	cfg := passes.Config{DB: d, Describe: describe, Log: log, Keys: func(ctx context.Context) ([][]byte, error) {
		ring, err := events.Keys(ctx, event.WalletPurpose, event.GlobalScope)
		keys := make([][]byte, len(ring))
		for i, key := range ring {
			keys[i] = key.Secret
		}
		return keys, err
	}}
	if a := wallets.Apple; a != nil && a.Updates() {
		push := passes.APNsConfig{URL: c.Apple.PushURL, Topic: a.PassType(), Client: a.Client()}
		if c.Apple.PushCAFile != "" {
			file, err := os.ReadFile(c.Apple.PushCAFile)
			if err != nil {
				return nil, fmt.Errorf("open wallet.apple.push_ca_file: %w", err)
			}
			push.Roots = x509.NewCertPool()
			if !push.Roots.AppendCertsFromPEM(file) {
				return nil, errors.New("open wallet.apple.push_ca_file: there is no certificate in it")
			}
		}
		cfg.Push = passes.NewAPNs(push)
	}
	if g := wallets.Google; g != nil && g.Updates() {
		cfg.Google = passes.NewGoogleAPI(passes.GoogleConfig{Wallet: g, URL: c.Google.APIURL, TokenURL: c.Google.TokenURL})
	}
	if cfg.Push == nil && cfg.Google == nil {
		return nil, nil
	}
	return passes.New(cfg), nil
}

// sweeper makes the part that forgets the phones that have passes of events that are over.
func (c walletConfig) sweeper(d *db.DB, events *event.Store, log *slog.Logger) *passes.Sweeper {
	return passes.NewSweeper(passes.SweeperConfig{DB: d, After: c.ForgetAfter, Log: log, ClosesAt: func(ctx context.Context, id uuid.UUID) (time.Time, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return time.Time{}, err
		}
		return e.Spec.ClosesAt(), nil
	}})
}

func readFiles(paths ...string) ([][]byte, error) {
	files := make([][]byte, len(paths))
	for i, path := range paths {
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}
