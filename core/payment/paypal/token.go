package paypal

import (
	"bytes"
	"context"
	"net/http"
	"time"

	paypalgo "github.com/plutov/paypal/v4"
)

// A token is renewed this long before it ends, and believed to live no longer than maxTokenLife.
const (
	renewBefore  = 90 * time.Second
	maxTokenLife = 9 * time.Hour
)

// tokenCache keeps the access token. One goroutine fetches it for all; the others wait as long as their contexts allow.
type tokenCache struct {
	turn chan struct{} // holds the right to read and write what is below
	text string
	ends time.Time
}

func newTokenCache() tokenCache {
	t := tokenCache{turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// bearer returns a token that is good for a while, fetched if need be. not is one that PayPal has just refused.
func (p *Provider) bearer(ctx context.Context, not string) (string, error) {
	select {
	case <-p.token.turn:
	case <-ctx.Done():
		return "", errNotSent{ctx.Err()}
	}
	defer func() { p.token.turn <- struct{}{} }()
	if p.token.text != "" && p.token.text != not && p.cfg.Now().Before(p.token.ends) {
		return p.token.text, nil
	}
	p.token.text = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.BaseURL+"/v1/oauth2/token", bytes.NewBufferString("grant_type=client_credentials"))
	if err != nil {
		return "", errNotSent{err}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer paypalgo.TokenResponse
	if err := p.client.SendWithBasicAuth(req, &answer); err != nil {
		return "", errNotSent{err}
	}
	if answer.Token == "" {
		return "", errNotSent{errNoToken}
	}
	life := min(answer.ExpiresIn.ToDuration(), maxTokenLife)
	p.token.text, p.token.ends = answer.Token, p.cfg.Now().Add(max(life-renewBefore, life/2))
	return p.token.text, nil
}
