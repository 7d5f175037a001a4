package paysim

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"hash/crc32"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ppShown is the object of an event as it was then.
type ppShown struct{ resource json.RawMessage }

func (s ppShown) show() any { return s.resource }

// ppEvent makes an event about something that belongs to an order. The caller holds the mutex.
func (s *Server) ppEvent(kind string, o *ppOrder, resource map[string]any) *event {
	e := &event{
		id: "WH-" + s.newID(""), kind: kind, created: s.clock.now(), target: toPayPal, subject: o.id, name: kind + " " + o.name,
		shows: ppShown{resource: json.RawMessage(encode(resource))}, body: payPalBody,
	}
	if s.cfg.Faults.ofWebhooks() {
		e.name = numbered(e.name, s.dice.nth(e.name))
	}
	return e
}

// payPalBody is an event as PayPal sends it.
func payPalBody(e *event) []byte {
	kind := "capture"
	switch {
	case strings.HasPrefix(e.kind, "CHECKOUT.ORDER"):
		kind = "checkout-order"
	case strings.HasPrefix(e.kind, "PAYMENT.AUTHORIZATION"):
		kind = "authorization"
	case strings.HasPrefix(e.kind, "CUSTOMER.DISPUTE"):
		kind = "dispute"
	case e.kind == "PAYMENT.CAPTURE.REFUNDED", strings.HasPrefix(e.kind, "PAYMENT.REFUND"):
		kind = "refund"
	}
	return bytes.TrimSpace(encode(map[string]any{
		"id": e.id, "event_version": "1.0", "create_time": e.created.UTC().Format("2006-01-02T15:04:05.000Z"), "resource_type": kind,
		"resource_version": "2.0", "event_type": e.kind, "summary": "Something happened.", "resource": e.shows.show(), "links": []any{},
	}))
}

// ppCert is what webhooks are signed with, and who vouches for it.
type ppCert struct {
	name  string // in its address
	chain []byte // PEM
	roots []byte // PEM
	key   *rsa.PrivateKey
}

// ppCertName is whom PayPal's certificate names.
const ppCertName = "messageverificationcerts.paypal.com"

// certificate makes the certificate when it is first wanted, since that takes a while.
func (p *paypal) certificate() (*ppCert, error) {
	p.stamp.Do(func() { p.cert, p.certErr = newPPCert() })
	return p.cert, p.certErr
}

func newPPCert() (*ppCert, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	from, until := time.Now().Add(-24*time.Hour), time.Now().Add(10*365*24*time.Hour)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "paysim"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: ppCertName}, DNSNames: []string{ppCertName}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	root, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, err
	}
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	return &ppCert{name: "CERT-paysim-" + strings.ToLower(randomText(8)), chain: block(signed), roots: block(root), key: key}, nil
}

// PayPalRoots is the certificate, as PEM, that vouches for the one that PayPal's webhooks are signed with.
func (s *Server) PayPalRoots() ([]byte, error) {
	cert, err := s.pp.certificate()
	if err != nil {
		return nil, err
	}
	return cert.roots, nil
}

// payPalSigner signs as PayPal does.
func (s *Server) payPalSigner() signer {
	return func(header http.Header, e *event, body []byte, at time.Time) {
		cert, err := s.pp.certificate()
		if err != nil {
			return // it goes out unsigned, and is refused
		}
		id, stamp := "tx-"+e.id, at.UTC().Format(time.RFC3339)
		sum := sha256.Sum256(ppSigned(id, stamp, s.pp.cfg.WebhookID, body))
		signature, err := rsa.SignPKCS1v15(rand.Reader, cert.key, crypto.SHA256, sum[:])
		if err != nil {
			return
		}
		public, _ := s.pp.public.Load().(string)
		header.Set("User-Agent", "PayPal/AUHD-1.0-1")
		header.Set("PAYPAL-TRANSMISSION-ID", id)
		header.Set("PAYPAL-TRANSMISSION-TIME", stamp)
		header.Set("PAYPAL-TRANSMISSION-SIG", base64.StdEncoding.EncodeToString(signature))
		header.Set("PAYPAL-CERT-URL", public+"/v1/notifications/certs/"+cert.name)
		header.Set("PAYPAL-AUTH-ALGO", "SHA256withRSA")
	}
}

// ppSigned is the text that is signed.
func ppSigned(id, stamp, webhook string, body []byte) []byte {
	return []byte(id + "|" + stamp + "|" + webhook + "|" + strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
}

func (s *Server) ppShowCert(w http.ResponseWriter, r *http.Request) {
	cert, err := s.pp.certificate()
	if err != nil || r.PathValue("name") != cert.name {
		s.ppSend(w, ppMissing())
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(cert.chain)
}

func (s *Server) ppShowRoots(w http.ResponseWriter, _ *http.Request) {
	roots, err := s.PayPalRoots()
	if err != nil {
		http.Error(w, "no certificate", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	_, _ = w.Write(roots)
}

// ppVerify says whether a webhook is ours.
func (s *Server) ppVerify(c *ppCall) (*ppReply, func() *ppReply) {
	var body struct {
		Algorithm string          `json:"auth_algo"`
		ID        string          `json:"transmission_id"`
		Signature string          `json:"transmission_sig"`
		Time      string          `json:"transmission_time"`
		WebhookID string          `json:"webhook_id"`
		Event     json.RawMessage `json:"webhook_event"`
	}
	if !c.read(&body) || body.ID == "" || len(body.Event) == 0 {
		return ppInvalid("MALFORMED_REQUEST_JSON"), nil
	}
	status := "FAILURE"
	signature, err := base64.StdEncoding.DecodeString(body.Signature)
	cert, certErr := s.pp.certificate()
	if err == nil && certErr == nil && body.WebhookID == s.pp.cfg.WebhookID {
		sum := sha256.Sum256(ppSigned(body.ID, body.Time, body.WebhookID, body.Event))
		if rsa.VerifyPKCS1v15(&cert.key.PublicKey, crypto.SHA256, sum[:], signature) == nil {
			status = "SUCCESS"
		}
	}
	return &ppReply{http.StatusOK, map[string]any{"verification_status": status}}, nil
}

// paymentOfCustom is the merchant's payment_id in a custom_id, "" where there is none.
func paymentOfCustom(custom string) string {
	if parts := strings.Split(custom, "."); len(parts) >= 4 {
		return parts[1]
	}
	return ""
}

// orderOfCustom is the merchant's order_id in it.
func orderOfCustom(custom string) string {
	if parts := strings.Split(custom, "."); len(parts) >= 4 {
		return parts[2]
	}
	return ""
}

// shortHash is a short text that stands for a name.
func shortHash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:4])
}
