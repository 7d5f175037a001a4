package wallet

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// AppleType is the media type of a pass.
const AppleType = "application/vnd.apple.pkpass"

// relevantBefore is how long before the start a phone begins to show a pass by itself.
const relevantBefore = 4 * time.Hour

// AppleConfig is what Apple gives to who makes passes. Certificates and key are PEM; WWDR may be DER.
type AppleConfig struct {
	Certificate  []byte // of the pass type
	Key          []byte // RSA, not encrypted
	WWDR         []byte // Apple's certificate that issued it
	PassTypeID   string
	TeamID       string
	Organization string // who issues tickets, as phones show it
	WebService   string // where phones ask for changes of passes; empty: nowhere
}

// Apple makes passes for Apple Wallet.
type Apple struct {
	certificate, wwdr *x509.Certificate
	key               *rsa.PrivateKey
	cfg               AppleConfig
	throttle          *Throttle
	pictures          []file
	texts             [][]byte // by language
}

// NewApple checks that certificate, key, WWDR, pass type and team belong together, and draws the pictures.
func NewApple(cfg AppleConfig, throttle *Throttle) (*Apple, error) {
	a := &Apple{cfg: cfg, throttle: throttle, texts: texts()}
	var errs [3]error
	if a.certificate, errs[0] = parseCertificate(cfg.Certificate); errs[0] != nil {
		errs[0] = fmt.Errorf("read the certificate of the pass type: %w", errs[0])
	}
	if a.key, errs[1] = parseKey(cfg.Key); errs[1] != nil {
		errs[1] = fmt.Errorf("read the key of the pass type: %w", errs[1])
	}
	if a.wwdr, errs[2] = parseCertificate(cfg.WWDR); errs[2] != nil {
		errs[2] = fmt.Errorf("read the WWDR certificate: %w", errs[2])
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(cfg.PassTypeID, "pass.") || cfg.TeamID == "" || cfg.Organization == "" {
		return nil, errors.New("a pass type, which begins with pass., a team and the name of an organization are needed")
	}
	if err := checkCertificate(a.certificate, a.wwdr, a.key, cfg.PassTypeID, cfg.TeamID); err != nil {
		return nil, err
	}
	for _, p := range pictures {
		drawn, err := draw(p.side)
		if err != nil {
			return nil, err
		}
		a.pictures = append(a.pictures, file{name: p.name, bytes: drawn, sum: sumOf(drawn), store: true})
	}
	return a, nil
}

// Offers tells whether there is a pass for p: ErrUnavailable while the certificate is not valid, and where codes change but no page shows them.
func (a *Apple) Offers(p Pass) error {
	if now := time.Now(); now.Before(a.certificate.NotBefore) || now.After(a.certificate.NotAfter) {
		return fmt.Errorf("%w: the certificate of %s is valid until %s", ErrUnavailable, a.cfg.PassTypeID, a.certificate.NotAfter.Format(time.DateOnly))
	}
	if p.Seed != nil && p.Page == "" {
		return fmt.Errorf("%w: codes of %s change, and there is no page to show them", ErrUnavailable, p.Event.Slug)
	}
	return nil
}

// Expires is when the certificate stops to be valid.
func (a *Apple) Expires() time.Time { return a.certificate.NotAfter }

// Updates tells whether phones are told of changes: there is a web service for them to ask.
func (a *Apple) Updates() bool { return a.cfg.WebService != "" }

// PassType is the type of all passes, which is also the topic of pushes.
func (a *Apple) PassType() string { return a.cfg.PassTypeID }

// Client is the certificate that Apple's push service knows us by: the same that signs passes.
func (a *Apple) Client() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.certificate.Raw, a.wwdr.Raw}, PrivateKey: a.key, Leaf: a.certificate}
}

// Make makes the .pkpass of a ticket. Errors: ErrUnavailable, ErrBusy.
func (a *Apple) Make(ctx context.Context, p Pass) ([]byte, error) {
	if err := a.Offers(p); err != nil {
		return nil, err
	}
	if err := a.throttle.enter(ctx); err != nil {
		return nil, err
	}
	defer a.throttle.leave()
	described, err := json.Marshal(a.describe(p))
	if err != nil {
		return nil, fmt.Errorf("describe the pass %s: %w", p.name(), err)
	}
	files := append([]file{{name: "pass.json", bytes: described}}, a.pictures...)
	for i, language := range languages {
		files = append(files, file{name: language + ".lproj/pass.strings", bytes: stringsFile(a.texts[i], i, p.Event.Name)})
	}
	list, err := manifest(files)
	if err != nil {
		return nil, err
	}
	signature, err := a.sign(list)
	if err != nil {
		return nil, err
	}
	made, err := bundle(append(files, file{name: "manifest.json", bytes: list}, file{name: "signature", bytes: signature, store: true}))
	if err == nil {
		applePasses.Inc()
	}
	return made, err
}
