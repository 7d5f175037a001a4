package paysim

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// mostAnswer bounds the answer to a webhook, which nobody reads.
const mostAnswer = 1 << 20

// poster sends webhooks. Most of what a stand-in does is sending them, beside what it is measured with, so it does that cheaply.
// close ends what is under way.
type poster struct {
	client  fasthttp.Client
	timeout time.Duration

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

func newPoster(cfg *Config) *poster {
	p := &poster{timeout: cfg.WebhookTimeout, open: make(map[net.Conn]bool)}
	p.client = fasthttp.Client{
		Dial: p.dial, MaxConnsPerHost: 4 * cfg.WebhookWorkers, MaxIdleConnDuration: time.Minute, MaxResponseBodySize: mostAnswer,
		NoDefaultUserAgentHeader: true, ReadTimeout: cfg.WebhookTimeout, WriteTimeout: cfg.WebhookTimeout,
	}
	return p
}

// tracked is a connection that its poster knows of.
type tracked struct {
	net.Conn
	of *poster
}

// Close closes the connection.
func (t *tracked) Close() error {
	t.of.mu.Lock()
	delete(t.of.open, t)
	t.of.mu.Unlock()
	return t.Conn.Close()
}

func (p *poster) dial(address string) (net.Conn, error) {
	conn, err := fasthttp.DialDualStackTimeout(address, p.timeout)
	if err != nil {
		return nil, err
	}
	t := &tracked{conn, p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return nil, context.Canceled
	}
	p.open[t] = true
	return t, nil
}

// post sends a body with headers and answers the status.
func (p *poster) post(url string, header http.Header, body []byte) (status int, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI(url)
	req.Header.SetContentType("application/json; charset=utf-8")
	for name, values := range header {
		for _, value := range values {
			req.Header.Set(name, value)
		}
	}
	req.SetBodyRaw(body)
	if err := p.client.DoTimeout(req, resp, p.timeout); err != nil {
		return 0, err
	}
	return resp.StatusCode(), nil
}

// close closes all connections, so that whoever waits for an answer gets none.
func (p *poster) close() {
	p.mu.Lock()
	p.closed = true
	open := make([]net.Conn, 0, len(p.open))
	for conn := range p.open {
		open = append(open, conn)
	}
	p.mu.Unlock()
	for _, conn := range open {
		conn.Close()
	}
}
