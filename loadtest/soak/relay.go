package soak

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// relay takes the provider's webhooks and passes each on to a core that lives, in turn, as edges do. When none takes it the
// provider is told so and sends it again.
type relay struct {
	listener net.Listener
	server   *http.Server
	client   *http.Client
	targets  atomic.Pointer[[]string]
	turn     atomic.Uint64
	passed   atomic.Int64 // accepted by a core
	refused  atomic.Int64 // by all of them
}

func newRelay() (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, client: newClient(5 * time.Second)}
	r.server = &http.Server{Handler: http.HandlerFunc(r.pass), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

// url is where a provider's webhooks go.
func (r *relay) url(provider string) string {
	return "http://" + r.listener.Addr().String() + "/webhooks/" + provider
}

func (r *relay) to(targets []string) { r.targets.Store(&targets) }

func (r *relay) pass(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	targets := *r.targets.Load()
	first := r.turn.Add(1)
	status := http.StatusBadGateway
	for n := range targets {
		target := targets[(int(first%uint64(len(targets)))+n)%len(targets)]
		if status = r.post(req.Context(), target+req.URL.RequestURI(), req.Header, body); status >= 200 && status < 300 {
			r.passed.Add(1)
			w.WriteHeader(status)
			return
		}
	}
	r.refused.Add(1)
	w.WriteHeader(status)
}

func (r *relay) post(ctx context.Context, url string, header http.Header, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway
	}
	req.Header = header.Clone()
	resp, err := r.client.Do(req)
	if err != nil {
		return http.StatusBadGateway
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	return resp.StatusCode
}

func (r *relay) close() {
	_ = r.server.Close() // what is under way belongs to processes that are stopped next
	r.client.CloseIdleConnections()
}
