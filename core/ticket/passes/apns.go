package passes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// PushURL is Apple's push service.
const PushURL = "https://api.push.apple.com"

var (
	// ErrGone means that there is no such phone any more, or it has no pass of ours.
	ErrGone = errors.New("passes: the phone is gone")
	// ErrRefused means that the push token is none of this service and pass type. It may be the token that is wrong, or what is configured: the
	// sandbox refuses every token so.
	ErrRefused = errors.New("passes: the push token is refused")
)

// callTimeout bounds one call of a wallet's service, connecting included.
const callTimeout = 10 * time.Second

// maxAnswer is how much of an answer is read.
const maxAnswer = 16 << 10

// reasonForm is what Apple's reasons look like. No other text of an answer gets into a log.
var reasonForm = regexp.MustCompile(`^[A-Za-z]{1,64}$`)

// APNsConfig is what an APNs is made of.
type APNsConfig struct {
	URL    string          // PushURL, or a stand-in
	Topic  string          // the pass type
	Client tls.Certificate // of the pass type
	Roots  *x509.CertPool  // whose certificates of the service are believed; nil: the system's
}

// APNs sends pushes: https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns, over HTTP/2, with the
// certificate of the pass type.
type APNs struct {
	cfg    APNsConfig
	client *http.Client
}

// NewAPNs makes an APNs. It connects at the first push, and keeps the connection.
func NewAPNs(cfg APNsConfig) *APNs {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: callTimeout, IdleConnTimeout: time.Hour,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cfg.Client}, RootCAs: cfg.Roots},
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	return &APNs{cfg: cfg, client: &http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: stay}}
}

// stay keeps clients from going elsewhere with what was meant for one service.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Push tells a phone that some pass of it has changed: an empty message, all that Wallet takes. Errors: ErrGone, ErrRefused; anything but
// ErrGone may be tried again. No error has the push token in it.
func (a *APNs) Push(ctx context.Context, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.URL+"/3/device/"+token, strings.NewReader("{}"))
	if err != nil {
		return errors.New("the address of the push service makes no request")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Apns-Topic", a.cfg.Topic)
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("push: %w", plain(err))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // without it the status says enough
	if resp.ProtoMajor != 2 {
		return errors.New("push: the service does not speak HTTP/2, so it is not Apple's")
	}
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var said struct {
		Reason string `json:"reason"`
	}
	_ = json.Unmarshal(body, &said)
	if !reasonForm.MatchString(said.Reason) {
		said.Reason = "no reason"
	}
	switch {
	case resp.StatusCode == http.StatusBadRequest && (said.Reason == "BadDeviceToken" || said.Reason == "DeviceTokenNotForTopic"):
		return fmt.Errorf("%w: %d %s", ErrRefused, resp.StatusCode, said.Reason)
	case resp.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: %d %s", ErrGone, resp.StatusCode, said.Reason)
	}
	return fmt.Errorf("push: %d %s", resp.StatusCode, said.Reason)
}

// plain is a client's error without the address, which has the push token or a ticket's name in it.
func plain(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
