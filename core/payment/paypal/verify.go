package paypal

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fairgate/core/payment"
)

// Headers of a webhook.
const (
	HeaderID        = "Paypal-Transmission-Id"
	HeaderTime      = "Paypal-Transmission-Time"
	HeaderSignature = "Paypal-Transmission-Sig"
	HeaderCert      = "Paypal-Cert-Url"
	HeaderAlgorithm = "Paypal-Auth-Algo"
)

const (
	algorithm = "SHA256withRSA"
	// maxAhead is how far PayPal's clock may be ahead of ours.
	maxAhead = 5 * time.Minute
	// verifyTimeout bounds one check, with what it fetches and asks.
	verifyTimeout = 10 * time.Second
)

// transmission is what a webhook's headers say.
type transmission struct {
	id, time, cert, algorithm, signature string
	raw                                  []byte // the signature, decoded
}

// Verify checks that PayPal signed these bytes within the tolerance. It may fetch a certificate, or ask PayPal when that
// cannot be had; when neither can be reached its error is ErrTemporary, and the webhook should come again. Anybody may send
// webhooks, so asking has an allowance of its own, which is small, and what PayPal does not know is not asked about again.
func (p *Provider) Verify(raw []byte, header http.Header) error {
	t, err := readTransmission(header)
	if err == nil {
		err = p.timely(t)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", payment.ErrSignature, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), verifyTimeout)
	defer cancel()
	key, err := p.certs.key(ctx, t.cert)
	switch {
	case errors.Is(err, errCertMissing):
		return p.ask(ctx, raw, t, err)
	case errors.Is(err, errCertBusy):
		return fmt.Errorf("%w: %w", payment.ErrTemporary, err)
	case err != nil:
		return fmt.Errorf("%w: %w", payment.ErrSignature, err)
	}
	sum := sha256.Sum256(t.signed(p.cfg.WebhookID, raw))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.raw) != nil {
		return fmt.Errorf("%w: another text was signed", payment.ErrSignature)
	}
	return nil
}

// readTransmission reads the headers, each of which must be there once.
func readTransmission(header http.Header) (transmission, error) {
	var t transmission
	for name, into := range map[string]*string{HeaderID: &t.id, HeaderTime: &t.time, HeaderSignature: &t.signature, HeaderCert: &t.cert, HeaderAlgorithm: &t.algorithm} {
		values := header.Values(name)
		if len(values) != 1 || values[0] == "" || len(values[0]) > 1000 {
			return transmission{}, fmt.Errorf("header %s is missing, repeated or too long", name)
		}
		*into = values[0]
	}
	if t.algorithm != algorithm {
		return transmission{}, errors.New("it is signed with another algorithm")
	}
	if !isName(t.id) || strings.Contains(t.id, "|") { // which parts the fields of what is signed
		return transmission{}, errors.New("the transmission has no proper id")
	}
	var err error
	if t.raw, err = base64.StdEncoding.DecodeString(t.signature); err != nil {
		return transmission{}, errors.New("the signature is not base64")
	}
	return t, nil
}

// timely checks the time of a transmission.
func (p *Provider) timely(t transmission) error {
	at, err := time.Parse(time.RFC3339, t.time)
	if err != nil {
		return errors.New("the time of transmission is none")
	}
	switch age := p.cfg.Now().Sub(at); {
	case age > p.cfg.WebhookTolerance:
		return errors.New("it was sent too long ago")
	case age < -maxAhead:
		return errors.New("it was sent in the future")
	}
	return nil
}

// signed is the text that PayPal signs.
func (t transmission) signed(webhookID string, raw []byte) []byte {
	return []byte(t.id + "|" + t.time + "|" + webhookID + "|" + strconv.FormatUint(uint64(crc32.ChecksumIEEE(raw)), 10))
}

type verifyBody struct {
	Algorithm string          `json:"auth_algo"`
	Cert      string          `json:"cert_url"`
	ID        string          `json:"transmission_id"`
	Signature string          `json:"transmission_sig"`
	Time      string          `json:"transmission_time"`
	WebhookID string          `json:"webhook_id"`
	Event     json.RawMessage `json:"webhook_event"`
}

// ask has PayPal check a signature, unless it has said lately that it does not know it.
func (p *Provider) ask(ctx context.Context, raw []byte, t transmission, missing error) error {
	what := t.digest(raw)
	if p.denied.has(what, p.cfg.Now()) {
		return fmt.Errorf("%w: PayPal did not know it", payment.ErrSignature)
	}
	err := p.askPayPal(ctx, raw, t, missing)
	if errors.Is(err, payment.ErrSignature) {
		p.denied.add(what, p.cfg.Now())
	}
	return err
}

// askPayPal makes the call. The checksum is of the very bytes, so the event is sent as it came; one that JSON would
// not leave as it is cannot be asked about.
func (p *Provider) askPayPal(ctx context.Context, raw []byte, t transmission, missing error) error {
	if !json.Valid(raw) {
		return fmt.Errorf("%w: it is no JSON", payment.ErrSignature)
	}
	body := verifyBody{
		Algorithm: t.algorithm, Cert: t.cert, ID: t.id, Signature: t.signature, Time: t.time, WebhookID: p.cfg.WebhookID, Event: raw,
	}
	text, err := verbatim(body)
	if err != nil {
		return fmt.Errorf("%w: it is no JSON", payment.ErrSignature)
	}
	var answer struct {
		Status string `json:"verification_status"`
	}
	err = p.do(ctx, request{
		part: endpointVerify, method: http.MethodPost, path: "/v1/notifications/verify-webhook-signature",
		raw: text, kind: "application/json", into: &answer,
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w, and PayPal does not say whether it signed: %w", payment.ErrTemporary, missing, translate(err))
	case answer.Status != "SUCCESS":
		return fmt.Errorf("%w: PayPal does not know it", payment.ErrSignature)
	}
	return nil
}

// verbatim writes the question with the event's bytes as they came: encoding/json would compact and escape them.
func verbatim(body verifyBody) ([]byte, error) {
	event := body.Event
	body.Event = json.RawMessage("null")
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	const hole = "null}"
	return append(append(text[:len(text)-len(hole):len(text)-len(hole)], event...), '}'), nil
}
