// Package passestest stands in for the services that wallets belong to, where tests need them: Apple's pushes and Google's API.
package passestest

import (
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"

	"fairgate/core/ticket/wallet/wallettest"
)

// APNs stands in for Apple's push service: over HTTP/2, for whoever shows the certificate of the pass type.
type APNs struct {
	*httptest.Server

	mu     sync.Mutex
	pushes map[string]int    // by push token
	refuse map[string]string // reason by push token
	down   bool
}

// NewAPNs starts one. Whoever starts it closes it.
func NewAPNs() *APNs {
	a := &APNs{pushes: map[string]int{}, refuse: map[string]string{}}
	a.Server = httptest.NewUnstartedServer(a)
	a.EnableHTTP2 = true
	a.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	a.StartTLS()
	return a
}

// CA is the certificate to believe, as PEM.
func (a *APNs) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
}

// Pushes is how many pushes a phone got.
func (a *APNs) Pushes(token string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pushes[token]
}

// Refuse has pushes to a token refused, with 410 for Unregistered and 400 for any other reason; an empty one takes that back.
func (a *APNs) Refuse(token, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse[token] = reason
}

// Down has every push refused with 503, or no more.
func (a *APNs) Down(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// ServeHTTP takes a push.
func (a *APNs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	refuse := func(status int, reason string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"reason": reason}) // the client has gone
	}
	body, _ := io.ReadAll(r.Body) // what is not read is not {}
	token, ok := strings.CutPrefix(r.URL.Path, "/3/device/")
	switch {
	case r.ProtoMajor != 2 || r.Method != http.MethodPost || !ok:
		refuse(http.StatusBadRequest, "BadPath")
	case a.down:
		refuse(http.StatusServiceUnavailable, "ServiceUnavailable")
	case !strings.Contains(r.TLS.PeerCertificates[0].Subject.CommonName, wallettest.PassTypeID):
		refuse(http.StatusForbidden, "BadCertificate")
	case r.Header.Get("Apns-Topic") != wallettest.PassTypeID:
		refuse(http.StatusBadRequest, "BadTopic")
	case string(body) != "{}":
		refuse(http.StatusBadRequest, "PayloadEmpty")
	case a.refuse[token] == "Unregistered":
		refuse(http.StatusGone, "Unregistered")
	case a.refuse[token] != "":
		refuse(http.StatusBadRequest, a.refuse[token])
	default:
		a.pushes[token]++
	}
}

// GoogleAPI stands in for Google's tokens and Wallet API: it knows the classes and objects it was given, and patches them.
type GoogleAPI struct {
	*httptest.Server
	public *rsa.PublicKey

	mu        sync.Mutex
	resources map[string]map[string]any // by kind/id
	patches   map[string]int
	tokens    int // that were given out; the last is good
	down      bool
}

// NewGoogleAPI starts one for the service account with a key. Whoever starts it closes it.
func NewGoogleAPI(public *rsa.PublicKey) *GoogleAPI {
	g := &GoogleAPI{public: public, resources: map[string]map[string]any{}, patches: map[string]int{}}
	g.Server = httptest.NewServer(g)
	return g
}

// Save does what Google does with the link to save a ticket: it keeps what is in its token, unless it has it already.
func (g *GoogleAPI) Save(link string) error {
	var claims struct {
		jwt.RegisteredClaims
		Payload map[string][]map[string]any `json:"payload"`
	}
	_, token, _ := strings.Cut(link, "/save/")
	if _, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return g.public, nil }); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for kind, name := range map[string]string{"eventTicketClasses": "eventTicketClass", "eventTicketObjects": "eventTicketObject"} {
		for _, resource := range claims.Payload[kind] {
			at := name + "/" + resource["id"].(string)
			if g.resources[at] == nil {
				g.resources[at] = resource
			}
		}
	}
	return nil
}

// Resource is a class or object as it is now, named kind/id, and how often it was patched.
func (g *GoogleAPI) Resource(at string) (map[string]any, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.resources[at]), g.patches[at]
}

// Down has every call refused with 503, or no more.
func (g *GoogleAPI) Down(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// Revoke makes the access token that was given out last worthless.
func (g *GoogleAPI) Revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens++
}

// ServeHTTP gives out access tokens and takes patches.
func (g *GoogleAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, api := strings.CutPrefix(r.URL.Path, "/walletobjects/v1/")
	switch {
	case g.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/token" && r.Method == http.MethodPost:
		g.giveToken(w, r)
	case !api || r.Method != http.MethodPatch:
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("Authorization") != "Bearer token-"+strconv.Itoa(g.tokens):
		w.WriteHeader(http.StatusUnauthorized)
	case g.resources[at] == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		var changes map[string]any
		if err := json.NewDecoder(r.Body).Decode(&changes); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		maps.Copy(g.resources[at], changes)
		g.patches[at]++
		_ = json.NewEncoder(w).Encode(g.resources[at]) // the client has gone
	}
}

func (g *GoogleAPI) giveToken(w http.ResponseWriter, r *http.Request) {
	var claims struct {
		jwt.RegisteredClaims
		Scope string `json:"scope"`
	}
	_, err := jwt.ParseWithClaims(r.PostFormValue("assertion"), &claims, func(*jwt.Token) (any, error) { return g.public, nil },
		jwt.WithAudience(g.URL+"/token"), jwt.WithIssuer(wallettest.Account), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"RS256"}))
	if err != nil || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || claims.Scope != "https://www.googleapis.com/auth/wallet_object.issuer" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	g.tokens++
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "token-" + strconv.Itoa(g.tokens), "expires_in": 3600, "token_type": "Bearer"})
}
