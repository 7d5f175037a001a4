package wallet

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// saveURL is where a signed token is saved as a ticket.
const saveURL = "https://pay.google.com/gp/v/save/"

// issuerForm is what Google calls issuers; prefixForm what may stand in the name of a class.
var (
	issuerForm = regexp.MustCompile(`^[0-9]{1,30}$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
)

// GoogleConfig is what Google gives to who makes passes.
type GoogleConfig struct {
	IssuerID     string
	ServiceKey   []byte // the JSON file of a service account's key
	ClassPrefix  string // in front of our names of classes and objects
	Organization string // who issues tickets, as phones show it
	Updates      bool   // Google is told of changes, so an event has one class
}

// Google makes links that save tickets to Google Wallet.
type Google struct {
	cfg      GoogleConfig
	email    string
	header   string // of every token, as it is sent
	key      *rsa.PrivateKey
	throttle *Throttle
}

// NewGoogle reads the service account's key.
func NewGoogle(cfg GoogleConfig, throttle *Throttle) (*Google, error) {
	var account struct {
		Type  string `json:"type"`
		Email string `json:"client_email"`
		KeyID string `json:"private_key_id"`
		Key   string `json:"private_key"`
	}
	if err := json.Unmarshal(cfg.ServiceKey, &account); err != nil || account.Type != "service_account" || account.Email == "" {
		return nil, errors.New("this is no JSON key of a Google service account") // never with what is in it
	}
	if !issuerForm.MatchString(cfg.IssuerID) || !prefixForm.MatchString(cfg.ClassPrefix) || cfg.Organization == "" {
		return nil, errors.New("an issuer's number, a prefix of letters, digits, - and _, and the name of an organization are needed")
	}
	key, err := parseKey([]byte(account.Key))
	if err != nil {
		return nil, fmt.Errorf("read the service account's key: %w", err)
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
		Key       string `json:"kid,omitempty"`
	}{"RS256", "JWT", account.KeyID})
	if err != nil {
		return nil, fmt.Errorf("describe the service account's key: %w", err)
	}
	return &Google{cfg: cfg, email: account.Email, header: base64.RawURLEncoding.EncodeToString(header), key: key, throttle: throttle}, nil
}

// Link is the address at which the owner of a ticket saves it, for them alone: whoever has it has the ticket. A void ticket has none
// (ErrUnavailable), since nothing that is saved there can change what was saved before. Other errors: ErrBusy.
func (g *Google) Link(ctx context.Context, p Pass, now time.Time) (string, error) {
	if p.Void {
		return "", fmt.Errorf("%w: ticket %s is void", ErrUnavailable, p.Ticket)
	}
	if err := g.throttle.enter(ctx); err != nil {
		return "", err
	}
	defer g.throttle.leave()
	class, err := g.class(p)
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": g.email, "aud": "google", "typ": "savetowallet", "iat": now.Unix(), "origins": []string{},
		"payload": map[string]any{"eventTicketClasses": []eventTicketClass{class}, "eventTicketObjects": []eventTicketObject{g.object(p, class.ID)}},
	})
	if err != nil {
		return "", fmt.Errorf("describe ticket %s: %w", p.Ticket, err)
	}
	token, err := g.sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign the link of ticket %s: %w", p.Ticket, err)
	}
	googleLinks.Inc()
	return saveURL + token, nil
}

// sign makes a JWT of claims.
func (g *Google) sign(claims []byte) (string, error) {
	token := g.header + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(token))
	signature, err := rsa.SignPKCS1v15(rand.Reader, g.key, crypto.SHA256, sum[:])
	return token + "." + base64.RawURLEncoding.EncodeToString(signature), err
}
