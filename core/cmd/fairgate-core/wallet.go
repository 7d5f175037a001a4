package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"fairgate/core/api"
	"fairgate/core/ticket/wallet"
)

// walletConfig says which wallets tickets can be put into.
type walletConfig struct {
	Organization string
	PageURL      string `mapstructure:"page_url"`
	Signers      int
	Queue        int
	Apple        struct {
		CertificateFile string `mapstructure:"certificate_file"`
		KeyFile         string `mapstructure:"key_file"`
		WWDRFile        string `mapstructure:"wwdr_file"`
		PassTypeID      string `mapstructure:"pass_type_id"`
		TeamID          string `mapstructure:"team_id"`
	}
	Google struct {
		IssuerID       string `mapstructure:"issuer_id"`
		ServiceKeyFile string `mapstructure:"service_key_file"`
		ClassPrefix    string `mapstructure:"class_prefix"`
	}
}

var walletDefaults = map[string]any{
	"wallet.organization": "", "wallet.page_url": "", "wallet.signers": 2, "wallet.queue": 50,
	"wallet.apple.certificate_file": "", "wallet.apple.key_file": "", "wallet.apple.wwdr_file": "", "wallet.apple.pass_type_id": "", "wallet.apple.team_id": "",
	"wallet.google.issuer_id": "", "wallet.google.service_key_file": "", "wallet.google.class_prefix": "fairgate",
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
	if u, err := url.Parse(c.PageURL); c.PageURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(c.PageURL) > 200) {
		bad("wallet.page_url", "this is no URL of at most 200 characters")
	}
	if c.Signers < 1 || c.Queue < 0 {
		bad("wallet.signers", "%d must be 1 or more, and wallet.queue, %d, not negative", c.Signers, c.Queue)
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
			PassTypeID: c.Apple.PassTypeID, TeamID: c.Apple.TeamID, Organization: c.Organization}, throttle)
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
			Organization: c.Organization}, throttle)
		if err != nil {
			return wallets, fmt.Errorf("open wallet.google: %w", err)
		}
	}
	return wallets, nil
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
