package ctl

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is a writer that closes said with the first line.
type told struct {
	mu   sync.Mutex
	text strings.Builder
	once sync.Once
	said chan struct{}
}

func (t *told) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.once.Do(func() { close(t.said) })
	return t.text.Write(p)
}

func TestAVerificationIsWaitedForLongerThanTheTimeoutAndSaysSo(t *testing.T) {
	out := &told{said: make(chan struct{})}
	core := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-out.said: // the timeout is over
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"ok":true}`))
		case <-r.Context().Done():
		}
	}))
	defer core.Close()
	c, err := newClient(core.URL, "secret", 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := c.getLong(ctx, out, path("ledger", "verify"), nil)
	if err != nil || string(answer) != `{"ok":true}` {
		t.Fatalf("%s, %v", answer, err)
	}
	if !strings.HasPrefix(out.text.String(), "core is still at it, after ") {
		t.Errorf("said %q", out.text.String())
	}
}
