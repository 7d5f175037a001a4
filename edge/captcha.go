package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
)

const (
	// captchaRest is how long a provider is left alone that did not answer.
	captchaRest = 30 * time.Second
	// captchaCalls bounds the look-ups under way.
	captchaCalls = 64
	// maxCaptchaAnswer bounds a provider's answer in bytes.
	maxCaptchaAnswer = 16 << 10
)

// errCaptchaDown means that the provider could not say whether a token is right. Nobody is held to that.
var errCaptchaDown = errors.New("the CAPTCHA provider does not answer")

// captchaProviders are where tokens are looked up, and the field in which the provider's script puts one into a form.
var captchaProviders = map[string]struct{ verify, field string }{
	"turnstile": {"https://challenges.cloudflare.com/turnstile/v0/siteverify", "cf-turnstile-response"},
	"hcaptcha":  {"https://api.hcaptcha.com/siteverify", "h-captcha-response"},
}

// captcha asks a provider about tokens. Any goroutine may use it. nil is no provider.
type captcha struct {
	provider, siteKey, secret, field, path string
	timeout                                time.Duration
	client                                 *fasthttp.HostClient
	restUntil                              atomic.Int64 // Unix nanoseconds
}

func newCaptcha(c guard.CaptchaConfig) (*captcha, error) {
	if c.Provider == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(c.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("read the CAPTCHA provider's secret (guard.answers.captcha.secret_file): %w", err)
	}
	provider := captchaProviders[c.Provider]
	address := provider.verify
	if c.VerifyURL != "" {
		address = c.VerifyURL
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("guard.answers.captcha.verify_url: %q is no address", address)
	}
	secure := u.Scheme == "https"
	return &captcha{
		provider: c.Provider, siteKey: c.SiteKey, secret: strings.TrimSpace(string(raw)), field: provider.field, path: u.RequestURI(), timeout: c.Timeout,
		client: &fasthttp.HostClient{
			Addr: fasthttp.AddMissingPort(u.Host, secure), IsTLS: secure, MaxConns: captchaCalls, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
			MaxResponseBodySize: maxCaptchaAnswer, MaxIdleConnDuration: 30 * time.Second,
		},
	}, nil
}

// up tells whether the provider may be asked, and people sent to it.
func (c *captcha) up(now time.Time) bool { return c != nil && now.UnixNano() >= c.restUntil.Load() }

// siteverify is a provider's answer; both have the same form.
type siteverify struct {
	Success bool     `json:"success"`
	Errors  []string `json:"error-codes"`
	CData   string   `json:"cdata"` // Turnstile's: what the page gave the widget
}

// verify looks a token up that the widget made for bound. errCaptchaDown when the provider cannot say.
func (c *captcha) verify(token, bound string, now time.Time) (bool, error) {
	right, err := c.ask(token, bound)
	if err != nil {
		c.restUntil.Store(now.Add(captchaRest).UnixNano())
		return false, fmt.Errorf("%w: %w", errCaptchaDown, err)
	}
	return right, nil
}

func (c *captcha) ask(token, bound string) (bool, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	scheme := schemeOf(c.client.IsTLS)
	req.SetRequestURI(scheme + "://" + c.client.Addr + c.path)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetContentType("application/x-www-form-urlencoded")
	args := fasthttp.AcquireArgs()
	defer fasthttp.ReleaseArgs(args)
	args.Set("secret", c.secret)
	args.Set("response", token)
	if c.provider == "hcaptcha" {
		args.Set("sitekey", c.siteKey)
	}
	req.SetBody(args.QueryString())
	if err := c.client.DoTimeout(req, resp, c.timeout); err != nil {
		return false, err
	}
	var got siteverify
	if resp.StatusCode() >= 500 || json.Unmarshal(resp.Body(), &got) != nil {
		return false, fmt.Errorf("it answered %d", resp.StatusCode())
	}
	for _, code := range got.Errors {
		switch code {
		case "internal-error", "missing-input-secret", "invalid-input-secret", "sitekey-secret-mismatch", "bad-request":
			return false, errors.New(code) // the provider's fault, or ours; not the person's
		}
	}
	return got.Success && (got.CData == "" || got.CData == bound), nil
}

// captchaPolicy is what the page with the provider's widget lets in besides our own.
var captchaPolicy = map[string]string{
	"turnstile": "https://challenges.cloudflare.com",
	"hcaptcha":  "https://hcaptcha.com https://*.hcaptcha.com",
}
