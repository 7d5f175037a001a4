package paypal

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of certificates.
const (
	maxCert     = 64 << 10 // a chain has some 6 KB
	maxChain    = 8
	maxCerts    = 16             // kept; PayPal uses one or two at a time
	certLife    = 24 * time.Hour // after which one is fetched again, however long it is valid
	certRetry   = 30 * time.Second
	certTimeout = 5 * time.Second
	certPath    = "/v1/notifications/certs/"
)

var (
	// errCertForbidden means that a webhook names a certificate that PayPal would not name: nothing is fetched.
	errCertForbidden = errors.New("the certificate's address is not one of PayPal's")
	// errCertUntrusted means that the certificate is not PayPal's.
	errCertUntrusted = errors.New("the certificate is not PayPal's")
	// errCertUnknown means that PayPal has no certificate at the address: whoever signed made it up.
	errCertUnknown = errors.New("PayPal has no such certificate")
	// errCertBusy means that too many other certificates are being fetched, as when somebody makes up many.
	errCertBusy = errors.New("too many certificates are being fetched")
	// errCertMissing means that the certificate cannot be had now.
	errCertMissing = errors.New("the certificate cannot be had")
)

// certCache fetches and keeps the certificates that webhooks are signed with. Each is fetched once for all that want it.
type certCache struct {
	cfg    Config
	client *http.Client

	mu    sync.Mutex
	known map[string]*certEntry
}

// certEntry is a certificate, or that it could not be had. done is closed when the rest is set.
type certEntry struct {
	done  chan struct{}
	key   *rsa.PublicKey
	err   error
	until time.Time // when it is fetched again
	used  time.Time
}

func newCertCache(cfg Config) *certCache {
	return &certCache{
		cfg: cfg, known: make(map[string]*certEntry),
		client: &http.Client{
			Timeout: certTimeout,
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: certTimeout}).DialContext, TLSHandshakeTimeout: certTimeout,
				MaxIdleConns: 2, IdleConnTimeout: 10 * time.Second, MaxResponseHeaderBytes: maxCert, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// allowed tells whether a certificate may be fetched from an address: over TLS, unless it is from this machine and the API
// is there too, from one of the hosts, and from nowhere else on them.
func (c *certCache) allowed(address string) bool {
	u, err := url.Parse(address)
	if err != nil || len(address) > 500 || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "" || u.RawPath != "" {
		return false
	}
	secure := u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) && strings.HasPrefix(c.cfg.BaseURL, "http://")
	name, ok := strings.CutPrefix(u.Path, certPath)
	return secure && slices.Contains(c.cfg.CertHosts, u.Host) && ok && name != "" && clean(name) == name && !strings.Contains(name, "..")
}

// key returns the key of the certificate at an address.
func (c *certCache) key(ctx context.Context, address string) (*rsa.PublicKey, error) {
	if !c.allowed(address) {
		return nil, errCertForbidden
	}
	entry, mine, err := c.entry(address)
	if err != nil {
		return nil, err
	}
	if mine {
		entry.key, entry.until, entry.err = c.fetch(address)
		close(entry.done)
	}
	select {
	case <-entry.done:
		return entry.key, entry.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errCertMissing, ctx.Err())
	}
}

// entry finds an address's entry. mine is true for the one caller that has to fill it.
func (c *certCache) entry(address string) (entry *certEntry, mine bool, err error) {
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry := c.known[address]; entry != nil {
		if !entry.ready() || now.Before(entry.until) {
			entry.used = now
			return entry, false, nil
		}
		delete(c.known, address)
	}
	if len(c.known) >= maxCerts && !c.evict() {
		return nil, false, errCertBusy
	}
	entry = &certEntry{done: make(chan struct{}), used: now}
	c.known[address] = entry
	return entry, true, nil
}

func (e *certEntry) ready() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// evict forgets an entry: one that could not be had rather than a good one, the least used rather than a newer one, so that
// made-up addresses do not drive out PayPal's.
func (c *certCache) evict() bool {
	victim := ""
	for address, e := range c.known {
		if !e.ready() {
			continue
		}
		if v := c.known[victim]; v == nil || (e.err != nil) && v.err == nil || (e.err != nil) == (v.err != nil) && e.used.Before(v.used) {
			victim = address
		}
	}
	delete(c.known, victim)
	return victim != ""
}

// fetch gets a certificate, checks it, and says until when the result is good. It is not bound to the caller that happens
// to be the first, since others wait for it.
func (c *certCache) fetch(address string) (*rsa.PublicKey, time.Time, error) {
	ctx, cancel := context.WithTimeout(context.Background(), certTimeout)
	defer cancel()
	now := c.cfg.Now()
	text, err := c.get(ctx, address)
	var answered errUnread
	if errors.As(err, &answered) && absent(answered.status) {
		return nil, now.Add(certRetry), fmt.Errorf("%w: %s", errCertUnknown, describe(err))
	}
	if err != nil {
		return nil, now.Add(certRetry), fmt.Errorf("%w: %s", errCertMissing, describe(err))
	}
	key, ends, err := c.check(text, now)
	if err != nil {
		return nil, now.Add(certRetry), fmt.Errorf("%w: %w", errCertUntrusted, err)
	}
	until := now.Add(certLife)
	if ends.Before(until) {
		until = ends
	}
	return key, until, nil
}

// absent tells whether a status says that there is nothing, rather than that it cannot be had just now.
func absent(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooEarly && status != http.StatusTooManyRequests
}

func (c *certCache) get(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errUnread{status: resp.StatusCode}
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxCert+1))
	if err == nil && len(text) > maxCert {
		err = errTooLong
	}
	return text, err
}

// check reads a chain of certificates, the first of which signs, and checks whom it names and who vouches for it.
func (c *certCache) check(text []byte, now time.Time) (*rsa.PublicKey, time.Time, error) {
	var chain []*x509.Certificate
	for len(chain) < maxChain {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, time.Time{}, errors.New("it cannot be read")
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, time.Time{}, errors.New("it cannot be read")
	}
	leaf, between := chain[0], x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	if !c.named(leaf) {
		return nil, time.Time{}, errors.New("it bears another name")
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.cfg.CertRoots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, time.Time{}, errors.New("no trusted root vouches for it now")
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, time.Time{}, errors.New("its key is not RSA of 2048 bits or more")
	}
	return key, leaf.NotAfter, nil
}

// named tells whether a certificate bears one of the names: as a host where it names hosts, else as its subject.
func (c *certCache) named(leaf *x509.Certificate) bool {
	for _, name := range c.cfg.CertNames {
		if slices.Contains(leaf.DNSNames, name) || len(leaf.DNSNames) == 0 && leaf.Subject.CommonName == name {
			return true
		}
	}
	return false
}
