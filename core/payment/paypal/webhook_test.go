package paypal_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/payment/paypal"
	"fairgate/loadtest/paysim"
)

// authority makes certificates as PayPal's would.
type authority struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// newKey is one key for all tests, since making one takes long.
var newKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func key(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const goodName = "messageverificationcerts.paypal.com"

func newAuthority(t testing.TB, k *rsa.PrivateKey) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: k, cert: cert}
}

// issue makes a certificate for a name, as PEM.
func (a *authority) issue(t testing.TB, name string, from, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// host is a host of PayPal's that serves certificates and the call that verifies signatures.
type host struct {
	*httptest.Server
	mu      sync.Mutex
	certs   map[string][]byte
	status  int    // of certificates; 0: found
	verdict string // of the call; "": it fails
	fetched atomic.Int64
	asked   atomic.Int64
}

func newHost(t testing.TB) *host {
	h := &host{certs: map[string][]byte{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *host) set(name string, pem []byte) { h.mu.Lock(); h.certs[name] = pem; h.mu.Unlock() }

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.URL.Path == "/v1/oauth2/token":
		_, _ = w.Write([]byte(`{"access_token":"t","expires_in":3600}`))
	case r.URL.Path == "/v1/notifications/verify-webhook-signature":
		h.asked.Add(1)
		if h.verdict == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, `{"verification_status":%q}`, h.verdict)
	default:
		h.fetched.Add(1)
		name := strings.TrimPrefix(r.URL.Path, "/v1/notifications/certs/")
		switch {
		case h.status == http.StatusFound:
			http.Redirect(w, r, "/v1/notifications/certs/good", http.StatusFound)
		case h.status != 0:
			w.WriteHeader(h.status)
		case h.certs[name] == nil:
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = w.Write(h.certs[name])
		}
	}
}

// verifier is a provider that believes an authority, and the host its certificates come from.
func verifier(t testing.TB, now func() time.Time) (*paypal.Provider, *host, *authority) {
	t.Helper()
	a, h := newAuthority(t, key(t)), newHost(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	p, err := paypal.New(paypal.Config{
		ClientID: clientID, ClientSecret: clientSecret, WebhookID: webhookID, BaseURL: h.URL, CertRoots: roots, Now: now,
		ReturnURL: "https://tickets.example/", CancelURL: "https://tickets.example/", WebhookTolerance: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.set("good", a.issue(t, goodName, time.Now().Add(-time.Hour), time.Now().Add(50*24*time.Hour)))
	return p, h, a
}

// signed are the headers of a webhook.
func signed(t testing.TB, k *rsa.PrivateKey, body []byte, at time.Time, webhook, cert string) http.Header {
	t.Helper()
	id, stamp := "b1d9a310-7a2c-11ef-8000-000000000001", at.UTC().Format(time.RFC3339)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", id, stamp, webhook, crc32.ChecksumIEEE(body)))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("PAYPAL-TRANSMISSION-ID", id)
	h.Set("PAYPAL-TRANSMISSION-TIME", stamp)
	h.Set("PAYPAL-TRANSMISSION-SIG", base64.StdEncoding.EncodeToString(signature))
	h.Set("PAYPAL-CERT-URL", cert)
	h.Set("PAYPAL-AUTH-ALGO", "SHA256withRSA")
	return h
}

func TestAWebhookIsBelievedOnlyIfPayPalSignedItForUsLately(t *testing.T) {
	p, h, a := verifier(t, nil)
	now := time.Now()
	body, good := []byte(`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}`), h.URL+"/v1/notifications/certs/good"
	h.set("other-name", a.issue(t, "www.paypal.com.example", now.Add(-time.Hour), now.Add(time.Hour)))
	h.set("expired", a.issue(t, goodName, now.Add(-3*time.Hour), now.Add(-2*time.Hour)))
	h.set("early", a.issue(t, goodName, now.Add(time.Hour), now.Add(2*time.Hour)))
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	h.set("forged", newAuthority(t, other).issue(t, goodName, now.Add(-time.Hour), now.Add(time.Hour)))
	h.set("rubbish", []byte("not a certificate"))
	h.set("huge", bytes.Repeat([]byte("x"), 1<<20))
	if err := p.Verify(body, signed(t, a.key, body, now, webhookID, good)); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	with := func(name, value string) http.Header {
		header := signed(t, a.key, body, now, webhookID, good)
		header.Set(name, value)
		return header
	}
	twice := signed(t, a.key, body, now, webhookID, good)
	twice.Add("PAYPAL-CERT-URL", good)
	for name, c := range map[string]struct {
		body   []byte
		header http.Header
	}{
		"another body":       {[]byte(`{"id":"WH-2"}`), signed(t, a.key, body, now, webhookID, good)},
		"another webhook":    {body, signed(t, a.key, body, now, "7WH0000000000OTHER", good)},
		"another key":        {body, signed(t, other, body, now, webhookID, good)},
		"too old":            {body, signed(t, a.key, body, now.Add(-61*time.Minute), webhookID, good)},
		"in the future":      {body, signed(t, a.key, body, now.Add(6*time.Minute), webhookID, good)},
		"another time":       {body, with("PAYPAL-TRANSMISSION-TIME", now.Add(-time.Minute).UTC().Format(time.RFC3339))},
		"no time":            {body, with("PAYPAL-TRANSMISSION-TIME", "yesterday")},
		"another id":         {body, with("PAYPAL-TRANSMISSION-ID", "someone-else")},
		"an id with a bar":   {body, with("PAYPAL-TRANSMISSION-ID", "a|b")},
		"another algorithm":  {body, with("PAYPAL-AUTH-ALGO", "SHA1withRSA")},
		"no signature":       {body, with("PAYPAL-TRANSMISSION-SIG", "")},
		"not base64":         {body, with("PAYPAL-TRANSMISSION-SIG", "!!!")},
		"two certificates":   {body, twice},
		"no headers":         {body, http.Header{}},
		"another name":       {body, signed(t, a.key, body, now, webhookID, h.URL+"/v1/notifications/certs/other-name")},
		"expired":            {body, signed(t, a.key, body, now, webhookID, h.URL+"/v1/notifications/certs/expired")},
		"not valid yet":      {body, signed(t, a.key, body, now, webhookID, h.URL+"/v1/notifications/certs/early")},
		"nobody vouches":     {body, signed(t, other, body, now, webhookID, h.URL+"/v1/notifications/certs/forged")},
		"no certificate":     {body, signed(t, a.key, body, now, webhookID, h.URL+"/v1/notifications/certs/rubbish")},
		"another host":       {body, signed(t, a.key, body, now, webhookID, "https://api.paypal.com.example/v1/notifications/certs/good")},
		"PayPal's, not ours": {body, signed(t, a.key, body, now, webhookID, "https://www.paypal.com/v1/notifications/certs/good")},
		"another path":       {body, signed(t, a.key, body, now, webhookID, h.URL+"/v2/good")},
		"up and away":        {body, signed(t, a.key, body, now, webhookID, h.URL+"/v1/notifications/certs/../../x")},
		"with a query":       {body, signed(t, a.key, body, now, webhookID, good+"?x=1")},
		"with a user":        {body, signed(t, a.key, body, now, webhookID, strings.Replace(good, "//", "//api.paypal.com@", 1))},
		"no address":         {body, signed(t, a.key, body, now, webhookID, "::")},
	} {
		if err := p.Verify(c.body, c.header); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := h.asked.Load(); n != 0 {
		t.Errorf("PayPal was asked %d times about what is plainly wrong", n)
	}
}

func TestACertificateIsFetchedOnceForAllAndAgainWhenItIsOld(t *testing.T) {
	var ahead atomic.Int64
	p, h, a := verifier(t, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	body, good := []byte(`{}`), h.URL+"/v1/notifications/certs/good"
	check := func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := p.Verify(body, signed(t, a.key, body, time.Now().Add(time.Duration(ahead.Load())), webhookID, good)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	check()
	if n := h.fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	ahead.Store(int64(25 * time.Hour))
	check()
	if n := h.fetched.Load(); n != 2 {
		t.Errorf("a day later fetched %d times", n)
	}
}

func TestMadeUpAddressesDoNotDriveOutAGoodCertificate(t *testing.T) {
	p, h, a := verifier(t, nil)
	h.verdict = "FAILURE"
	body, good := []byte(`{}`), h.URL+"/v1/notifications/certs/good"
	if err := p.Verify(body, signed(t, a.key, body, time.Now(), webhookID, good)); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		if err := p.Verify(body, signed(t, a.key, body, time.Now(), webhookID, fmt.Sprintf("%s/v1/notifications/certs/CERT-%d", h.URL, n))); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%v", err)
		}
	}
	before := h.fetched.Load()
	if err := p.Verify(body, signed(t, a.key, body, time.Now(), webhookID, good)); err != nil || h.fetched.Load() != before {
		t.Errorf("the good one was fetched again: %v", err)
	}
}

func TestPayPalIsAskedOnlyWhenTheCertificateCannotBeHad(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		verdict string
		want    error
	}{
		"PayPal knows it":          {http.StatusBadGateway, "SUCCESS", nil},
		"PayPal does not":          {http.StatusBadGateway, "FAILURE", payment.ErrSignature},
		"PayPal cannot be reached": {http.StatusBadGateway, "", payment.ErrTemporary},
		"a redirect is not gone":   {http.StatusFound, "FAILURE", payment.ErrSignature},
		"too many fetch it":        {http.StatusTooManyRequests, "SUCCESS", nil},
	} {
		p, h, a := verifier(t, nil)
		h.status, h.verdict = c.status, c.verdict
		body := []byte("{\"id\" : \"WH-1\", \"text\":\"<ü>\"}")
		err := p.Verify(body, signed(t, a.key, body, time.Now(), webhookID, h.URL+"/v1/notifications/certs/good"))
		if c.want == nil && err != nil || !errors.Is(err, c.want) || errors.Is(c.want, payment.ErrTemporary) && errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
		if h.asked.Load() != 1 || h.fetched.Load() != 1 {
			t.Errorf("%s: asked %d times, fetched %d times", name, h.asked.Load(), h.fetched.Load())
		}
	}
}

func TestAWebhookWhoseCertificatePayPalDoesNotHaveIsForgedAndNobodyIsAsked(t *testing.T) {
	p, h, a := verifier(t, nil)
	h.verdict = "SUCCESS"
	body := []byte(`{}`)
	for _, status := range []int{0, http.StatusNotFound, http.StatusForbidden, http.StatusGone} {
		h.mu.Lock()
		h.status = status
		h.mu.Unlock()
		cert := fmt.Sprintf("%s/v1/notifications/certs/made-up-%d", h.URL, status)
		if err := p.Verify(body, signed(t, a.key, body, time.Now(), webhookID, cert)); !errors.Is(err, payment.ErrSignature) || errors.Is(err, payment.ErrTemporary) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if n := h.asked.Load(); n != 0 {
		t.Errorf("PayPal was asked %d times", n)
	}
}

func TestForgedWebhooksTakeNothingFromTheCallsThatPaymentsAreMadeWith(t *testing.T) {
	for name, status := range map[string]int{"made-up certificates": 0, "certificates cannot be fetched": http.StatusBadGateway} {
		p, h, a := verifier(t, nil)
		h.verdict, h.status = "FAILURE", status
		before, body := p.SpareRate(), []byte(`{}`)
		var all sync.WaitGroup
		for n := range 60 {
			header := signed(t, a.key, body, time.Now(), "forged", fmt.Sprintf("%s/v1/notifications/certs/x%d", h.URL, n))
			all.Go(func() {
				if err := p.Verify(body, header); err == nil {
					t.Errorf("%s: a forged webhook is believed", name)
				}
				if spare := p.SpareRate(); spare != before {
					t.Errorf("%s: %.1f payments a second are left of %.1f", name, spare, before)
				}
			})
		}
		all.Wait()
		if n := h.asked.Load(); status == 0 && n != 0 || n > 30 {
			t.Errorf("%s: PayPal was asked %d times", name, n)
		}
	}
}

func TestPayPalIsAskedOnceAboutAWebhookThatItDoesNotKnow(t *testing.T) {
	var ahead atomic.Int64
	p, h, a := verifier(t, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	h.verdict, h.status = "FAILURE", http.StatusBadGateway
	body := []byte(`{}`)
	header := signed(t, a.key, body, time.Now().Add(33*time.Minute), webhookID, h.URL+"/v1/notifications/certs/good")
	ahead.Store(int64(29 * time.Minute))
	for range 3 {
		if err := p.Verify(body, header); !errors.Is(err, payment.ErrSignature) {
			t.Fatal(err)
		}
	}
	if n := h.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if err := p.Verify([]byte(`{"other":1}`), header); !errors.Is(err, payment.ErrSignature) || h.asked.Load() != 2 {
		t.Errorf("about another text: %v, asked %d times", err, h.asked.Load())
	}
	ahead.Store(int64(29*time.Minute + 61*time.Minute)) // within the tolerance still, and no answer is remembered for ever
	if err := p.Verify(body, header); !errors.Is(err, payment.ErrSignature) {
		t.Fatal(err)
	}
	if n := h.asked.Load(); n != 3 {
		t.Errorf("an hour later asked %d times", n)
	}
}

// The stand-in checks the very bytes, so the question must carry them as they came.
func TestTheStandInAgreesAboutItsOwnWebhooksWhenItIsAsked(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	i, _ := a.begin(newIntent(500))
	a.decide(i, "approve")
	a.inbox.of(t, "CHECKOUT.ORDER.APPROVED", i.PaymentID)
	a.inbox.mu.Lock()
	raw, header := a.inbox.raw[0], a.inbox.headers[0]
	a.inbox.mu.Unlock()
	a.between.intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.HasPrefix(r.URL.Path, "/v1/notifications/certs/") {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	header.Set("PAYPAL-CERT-URL", a.url+"/v1/notifications/certs/CERT-not-seen-yet")
	if err := a.provider.Verify(raw, header); err != nil {
		t.Errorf("asked: %v", err)
	}
	if err := a.provider.Verify(bytes.Replace(raw, []byte("Something"), []byte("Nothing"), 1), header); !errors.Is(err, payment.ErrSignature) {
		t.Errorf("asked about other bytes: %v", err)
	}
}

func TestWebhooksThatAreNotAboutOurPaymentsSayNothing(t *testing.T) {
	p, _, _ := verifier(t, nil)
	id := uuid.New()
	ours := fmt.Sprintf("fg.%s.%s.1", payment.PaymentID(id, 1), id)
	for name, c := range map[string]struct {
		raw      string
		want     error
		relevant bool
	}{
		"no JSON":             {`{`, payment.ErrMalformed, false},
		"no id":               {`{"event_type":"PAYMENT.CAPTURE.COMPLETED"}`, payment.ErrMalformed, false},
		"no object":           {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}`, payment.ErrMalformed, false},
		"another object":      {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":[]}`, payment.ErrMalformed, false},
		"another kind":        {`{"id":"WH-1","event_type":"BILLING.PLAN.CREATED"}`, nil, false},
		"somebody else's":     {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C","status":"COMPLETED","custom_id":"x","amount":{"currency_code":"EUR","value":"1.00"}}}`, nil, false},
		"no amount":           {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C","status":"COMPLETED","custom_id":"` + ours + `"}}`, payment.ErrMalformed, false},
		"ours":                {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C","status":"COMPLETED","custom_id":"` + ours + `","amount":{"currency_code":"EUR","value":"1.00"}}}`, nil, true},
		"a capture to come":   {`{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C","status":"PENDING","custom_id":"` + ours + `","amount":{"currency_code":"EUR","value":"1.00"}}}`, nil, false},
		"a closed order":      {`{"id":"WH-1","event_type":"CHECKOUT.ORDER.APPROVED","resource":{"id":"O","purchase_units":[{"custom_id":"` + ours + `.c.1700000000","amount":{"currency_code":"EUR","value":"1.00"}}]}}`, nil, false},
		"a dispute of nobody": {`{"id":"WH-1","event_type":"CUSTOMER.DISPUTE.CREATED","resource":{"dispute_id":"PP-D-1","dispute_amount":{"currency_code":"EUR","value":"1.00"}}}`, nil, true},
	} {
		event, err := p.Parse([]byte(c.raw))
		if !errors.Is(err, c.want) || event.Relevant() != c.relevant {
			t.Errorf("%s: %v, %v", name, event, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	p, _, _ := verifier(f, nil)
	id := uuid.New()
	ours := fmt.Sprintf("fg.%s.%s.1", payment.PaymentID(id, 1), id)
	for _, kind := range []string{"CHECKOUT.ORDER.APPROVED", "PAYMENT.AUTHORIZATION.CREATED", "PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED", "CUSTOMER.DISPUTE.CREATED"} {
		f.Add([]byte(`{"id":"WH-1","event_type":"` + kind + `","create_time":"2026-01-02T03:04:05Z","resource":{"id":"X","dispute_id":"D","status":"COMPLETED","custom_id":"` + ours +
			`","amount":{"currency_code":"EUR","value":"1.00"},"purchase_units":[{"custom_id":"` + ours + `","amount":{"currency_code":"JPY","value":"100"}}]}}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		event, err := p.Parse(raw)
		if err != nil {
			if !errors.Is(err, payment.ErrMalformed) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := p.Parse(raw)
		if err != nil || again.ID != event.ID || again.PaymentID != event.PaymentID || again.Outcome != event.Outcome {
			t.Fatalf("read twice: %v and %v, %v", event, again, err)
		}
		if event.ID == "" || event.Type == "" || !json.Valid(raw) {
			t.Fatalf("read %+v", event)
		}
		if event.Outcome.State != payment.Unknown && (event.PaymentID == uuid.Nil || event.OrderID == uuid.Nil || event.Attempt < 1) {
			t.Fatalf("an outcome of nobody's payment: %+v", event)
		}
	})
}

// Whatever is changed about a webhook, it is not believed, and nothing is fetched from elsewhere.
func FuzzVerify(f *testing.F) {
	p, h, a := verifier(f, nil)
	h.verdict = "FAILURE"
	body := []byte(`{"id":"WH-1"}`)
	good := signed(f, a.key, body, time.Now(), webhookID, h.URL+"/v1/notifications/certs/good")
	names := []string{"PAYPAL-TRANSMISSION-ID", "PAYPAL-TRANSMISSION-TIME", "PAYPAL-TRANSMISSION-SIG", "PAYPAL-CERT-URL", "PAYPAL-AUTH-ALGO"}
	for n, name := range names {
		f.Add(n, good.Get(name), body)
	}
	f.Add(3, "https://api.paypal.com/v1/notifications/certs/x", body)
	f.Add(0, good.Get(names[0]), []byte(`{"id":"WH-2"}`))
	f.Fuzz(func(t *testing.T, n int, value string, raw []byte) {
		header := good.Clone()
		name := names[((n%len(names))+len(names))%len(names)]
		header.Set(name, value)
		err := p.Verify(raw, header)
		// Base64 has more than one text for the same bytes only in its line ends.
		same := value == good.Get(name) || name == "PAYPAL-TRANSMISSION-SIG" && strings.NewReplacer("\r", "", "\n", "").Replace(value) == good.Get(name)
		if same && bytes.Equal(raw, body) {
			if err != nil {
				t.Fatalf("a good one: %v", err)
			}
			return
		}
		if err == nil {
			t.Fatalf("%s=%q was believed", name, value)
		}
	})
}
