package passes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"fairgate/core/ticket/wallet"
)

// The addresses of Google's API, and of where its access tokens come from.
const (
	GoogleURL      = "https://walletobjects.googleapis.com"
	GoogleTokenURL = "https://oauth2.googleapis.com/token"
)

const (
	// googleRate is how many calls a second are made: Google takes 20 of an issuer, and there may be two cores.
	googleRate = 8
	// classFresh is how long a class that was patched is taken to be as we said. Another core may have said something older.
	classFresh = time.Minute
	// maxClasses bounds how many are remembered.
	maxClasses = 1000
	// tokenMargin is how long before its end an access token is not used any more.
	tokenMargin = time.Minute
)

// errNotSaved means that Google does not know the resource: nobody has used the link, or not yet.
var errNotSaved = errors.New("passes: not in Google Wallet")

// GoogleConfig is what a GoogleAPI is made of.
type GoogleConfig struct {
	Wallet   *wallet.Google
	URL      string // GoogleURL, or a stand-in
	TokenURL string // GoogleTokenURL, or a stand-in
}

// GoogleAPI tells Google what has become of tickets that were saved: https://developers.google.com/wallet/reference/rest.
type GoogleAPI struct {
	cfg    GoogleConfig
	client *http.Client
	limit  *rate.Limiter

	mu      sync.Mutex // held while a token is fetched, so that it is fetched once
	token   string
	until   time.Time
	classes map[string]patched
}

type patched struct {
	body string
	at   time.Time
}

// NewGoogleAPI makes a GoogleAPI. It calls nobody before it is asked.
func NewGoogleAPI(cfg GoogleConfig) *GoogleAPI {
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	return &GoogleAPI{cfg: cfg, client: &http.Client{Timeout: callTimeout, CheckRedirect: stay},
		limit: rate.NewLimiter(googleRate, googleRate), classes: map[string]patched{}}
}

// Tell makes a saved ticket and its event look as they are now. errNotSaved when it is not in Google Wallet.
func (g *GoogleAPI) Tell(ctx context.Context, p wallet.Pass) error {
	class, object, err := g.cfg.Wallet.Patches(p)
	if err != nil {
		return err
	}
	if !p.Void && !g.fresh(class) {
		err := g.patch(ctx, "eventTicketClass", class)
		if err != nil { // errNotSaved: no ticket of the event is saved
			return err
		}
		g.remember(class)
	}
	return g.patch(ctx, "eventTicketObject", object)
}

func (g *GoogleAPI) fresh(class wallet.Patch) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was, ok := g.classes[class.ID]
	return ok && was.body == string(class.Body) && time.Since(was.at) < classFresh
}

func (g *GoogleAPI) remember(class wallet.Patch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.classes) >= maxClasses {
		clear(g.classes)
	}
	g.classes[class.ID] = patched{string(class.Body), time.Now()}
}

// patch changes one resource. errNotSaved when there is none.
func (g *GoogleAPI) patch(ctx context.Context, kind string, p wallet.Patch) error {
	if err := g.limit.Wait(ctx); err != nil {
		return fmt.Errorf("wait to call Google: %w", err)
	}
	token, err := g.access(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, g.cfg.URL+"/walletobjects/v1/"+kind+"/"+url.PathEscape(p.ID), bytes.NewReader(p.Body))
	if err != nil {
		return errors.New("the address of Google's API makes no request")
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.client.Do(req)
	if err != nil {
		return fmt.Errorf("patch %s: %w", kind, plain(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection is kept
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return errNotSaved
	case http.StatusUnauthorized:
		g.drop(token)
	}
	return fmt.Errorf("patch %s: Google says %d", kind, resp.StatusCode)
}

// access is an access token of the service account, a new one when the last is about to end.
func (g *GoogleAPI) access(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.token != "" && now.Before(g.until) {
		return g.token, nil
	}
	assertion, err := g.cfg.Wallet.Assertion(g.cfg.TokenURL, now)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", errors.New("the address of Google's tokens makes no request")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := g.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for an access token: %w", plain(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("ask for an access token: %w", err)
	}
	var given struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
		Type    string `json:"token_type"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for an access token: Google says %d", resp.StatusCode)
	}
	if json.Unmarshal(body, &given) != nil || given.Token == "" || given.Seconds <= 0 || !strings.EqualFold(given.Type, "Bearer") {
		return "", errors.New("ask for an access token: the answer has none")
	}
	g.token, g.until = given.Token, now.Add(time.Duration(min(given.Seconds, 24*60*60))*time.Second-tokenMargin)
	return g.token, nil
}

// drop forgets an access token that is not taken any more.
func (g *GoogleAPI) drop(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.token == token {
		g.token = ""
	}
}
