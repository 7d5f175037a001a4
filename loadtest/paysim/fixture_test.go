package paysim

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// api is a paysim and a client that speaks its protocol by hand.
type api struct {
	t   *testing.T
	sim *Server
	url string
}

// got is an answer.
type got struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (g got) str(path ...string) string {
	var at any = g.body
	for _, key := range path {
		m, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		at = m[key]
	}
	s, _ := at.(string)
	return s
}

func (g got) num(key string) int64 {
	f, _ := g.body[key].(float64)
	return int64(f)
}

func newAPI(t *testing.T, cfg Config) *api {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	sim, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ctx, stop := context.WithCancel(context.Background())
	var delivery sync.WaitGroup
	delivery.Go(func() { sim.Deliver(ctx) })
	t.Cleanup(func() { stop(); delivery.Wait(); server.Close() })
	return &api{t: t, sim: sim, url: server.URL}
}

// call makes a call with the secret key. fields are pairs; a field "Idempotency-Key" or "Authorization" is a header.
func (a *api) call(method, path string, fields ...string) got {
	a.t.Helper()
	g, err := a.try(method, path, fields...)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

func (a *api) try(method, path string, fields ...string) (got, error) {
	form, header := url.Values{}, http.Header{"Authorization": {"Bearer sk_test_paysim"}}
	for n := 0; n < len(fields); n += 2 {
		switch fields[n] {
		case "Idempotency-Key", "Authorization", "Accept":
			header.Set(fields[n], fields[n+1])
		default:
			form.Set(fields[n], fields[n+1])
		}
	}
	target, body := a.url+path, strings.NewReader(form.Encode())
	if method == http.MethodGet {
		if len(form) > 0 {
			target += "?" + form.Encode()
		}
		body = strings.NewReader("")
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, target, body)
	if err != nil {
		return got{}, err
	}
	req.Header = header
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return got{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return got{}, err
	}
	g := got{status: resp.StatusCode, header: resp.Header, text: string(raw)}
	_ = json.Unmarshal(raw, &g.body) // pages are no JSON
	return g, nil
}

// create makes an intent of 1000 and returns its id and client secret.
func (a *api) create(more ...string) (id, secret string) {
	a.t.Helper()
	g := a.call("POST", "/v1/payment_intents", append([]string{"amount", "1000", "currency", "eur", "capture_method", "manual"}, more...)...)
	if g.status != http.StatusOK {
		a.t.Fatalf("create: %d %s", g.status, g.text)
	}
	return g.str("id"), g.str("client_secret")
}

// confirm pays as a browser does.
func (a *api) confirm(id, secret, method string) got {
	a.t.Helper()
	return a.call("POST", "/v1/payment_intents/"+id+"/confirm", "Authorization", "Bearer pk_test_paysim", "client_secret", secret, "payment_method", method)
}

func (a *api) expect(what string, g got, status int, path ...string) {
	a.t.Helper()
	if g.status != status {
		a.t.Errorf("%s: status %d, want %d: %s", what, g.status, status, g.text)
		return
	}
	if len(path) > 0 {
		want := path[len(path)-1]
		if have := g.str(path[:len(path)-1]...); have != want {
			a.t.Errorf("%s: %v is %q, want %q", what, path[:len(path)-1], have, want)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}
