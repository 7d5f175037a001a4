package paypal

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	paypalgo "github.com/plutov/paypal/v4"
)

// maxAnswer bounds one answer: a page of 500 settlement rows has some 700 KB.
const maxAnswer = 8 << 20

// errTooLong means an answer is larger than any that PayPal sends.
var errTooLong = errors.New("the answer is too long")

// boundedTransport bounds the answers that the library reads to their end.
type boundedTransport struct{ next http.RoundTripper }

// RoundTrip makes one request.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if status, ok := r.Context().Value(statusKey{}).(*int); ok {
		*status = resp.StatusCode
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxAnswer}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

// Read fails once more than maxAnswer bytes have come.
func (b *boundedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if b.left -= int64(n); b.left < 0 {
		return n, errTooLong
	}
	return n, err
}

// statusKey is where a call finds the status of its answer, which the library drops when it cannot read the body.
type statusKey struct{}

// request is one call of the API.
type request struct {
	part   endpoint
	method string
	path   string // with its query
	key    string // PayPal-Request-Id; "" for calls that change nothing
	body   any    // nil: none
	into   any    // nil: what the answer says does not matter
	// raw and kind are a body that is no JSON, and its Content-Type.
	raw  []byte
	kind string
}

// do makes one call. The error is the library's, the network's or one of payment's; translate turns it into payment's.
func (p *Provider) do(ctx context.Context, r request) error {
	if err := p.wait(ctx, r.part); err != nil {
		return err
	}
	token, err := p.bearer(ctx, "")
	if err != nil {
		return err
	}
	err = p.send(ctx, r, token)
	var refused *paypalgo.ErrorResponse
	if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusUnauthorized {
		return err
	}
	// The token was taken back before its time, and the call not carried out.
	if token, err = p.bearer(ctx, token); err != nil {
		return err
	}
	return p.send(ctx, r, token)
}

func (p *Provider) send(ctx context.Context, r request, token string) error {
	status := 0
	ctx = context.WithValue(ctx, statusKey{}, &status)
	req, err := p.newRequest(ctx, r)
	if err != nil {
		return errNotSent{err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if r.key != "" {
		req.Header.Set("PayPal-Request-Id", r.key)
	}
	err = p.client.Send(req, r.into)
	var refused *paypalgo.ErrorResponse
	if err == nil || errors.As(err, &refused) || status == 0 {
		return err
	}
	return errUnread{status: status, err: err}
}

func (p *Provider) newRequest(ctx context.Context, r request) (*http.Request, error) {
	if r.raw == nil {
		return p.client.NewRequest(ctx, r.method, p.cfg.BaseURL+r.path, r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, p.cfg.BaseURL+r.path, newReader(r.raw))
	if err == nil {
		req.Header.Set("Content-Type", r.kind)
	}
	return req, err
}

// at makes a path of fixed parts and an id.
func at(before, id, after string) string { return before + url.PathEscape(id) + after }
