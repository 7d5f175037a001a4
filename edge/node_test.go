package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/edge/guard"
)

// testNode is a running edge.
type testNode struct {
	*Server

	t    *testing.T
	logs *logBuffer
	stop func()
}

// testConfig is fast enough for tests: what takes seconds in production takes tenths here.
func testConfig(t *testing.T, cores ...*fakeCore) Config {
	t.Helper()
	c := DefaultConfig()
	c.Listen, c.PrivateListen = "127.0.0.1:0", "127.0.0.1:0"
	c.Cookies.Secure = false
	c.Core.SecretFile = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(c.Core.SecretFile, []byte(testSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Core.URLs, c.Core.WebhookURL = nil, ""
	for _, core := range cores {
		c.Core.URLs = append(c.Core.URLs, core.url())
		c.Core.WebhookURL = core.hook
	}
	c.Core.Timeout = 2 * time.Second
	c.Feed.Wait, c.Feed.Silence = 100*time.Millisecond, 600*time.Millisecond
	c.Join.FlushInterval = 10 * time.Millisecond
	c.Limits.Shutdown = 3 * time.Second
	c.Guard = guard.Config{Subjects: 1000}
	return c
}

func startNode(t *testing.T, c Config) *testNode {
	t.Helper()
	return startNodeAt(t, c, 0)
}

// startNodeAt is startNode on a machine whose clock is ahead by so much, or behind.
func startNodeAt(t *testing.T, c Config, ahead time.Duration) *testNode {
	t.Helper()
	logs := &logBuffer{}
	s, err := newAt(c, slog.New(slog.NewJSONHandler(logs, nil)), func() time.Time { return time.Now().Add(ahead) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	n := &testNode{Server: s, t: t, logs: logs}
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	}
	t.Cleanup(n.stop)
	return n
}

// ready waits until the node can serve the event.
func (n *testNode) ready(slug string) *testNode {
	n.t.Helper()
	eventually(n.t, "the node knows "+slug, func() bool {
		room := n.rooms.find([]byte(slug))
		return room != nil && room.keys.Load() != nil && !n.doubt.Load()
	})
	return n
}

// eventually repeats a question until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if yes() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// buyer is a browser: it keeps cookies, and its own connections.
type buyer struct {
	t       *testing.T
	cookies map[string]string
	client  *http.Client
}

func newBuyer(t *testing.T) *buyer {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &buyer{t: t, cookies: map[string]string{}, client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) code() string { return readProblem(r.body).Code }

func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
}

// do sends one request with the buyer's cookies; headers are "Name: value".
func (b *buyer) do(n *testNode, method, path, body string, headers ...string) reply {
	b.t.Helper()
	r, err := b.try(n, method, path, body, headers...)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *buyer) try(n *testNode, method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequest(method, "http://"+n.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	for _, cookie := range resp.Cookies() {
		b.cookies[cookie.Name] = cookie.Value
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(resp.Body); err != nil {
		return reply{}, err
	}
	return reply{resp.StatusCode, resp.Header, got.Bytes()}, nil
}

// joinAnswer is the answer to a join as a page reads it.
type joinAnswer struct {
	Event       string  `json:"event"`
	Entrant     string  `json:"entrant"`
	DeviceNew   bool    `json:"device_new"`
	Provisional bool    `json:"provisional"`
	Window      uint32  `json:"window"`
	Band        int     `json:"band"`
	Reason      int     `json:"reason"`
	Generation  uint32  `json:"generation"`
	Pass        string  `json:"pass"`
	Receipt     *string `json:"receipt"`
	RetryAfter  int     `json:"retry_after_ms"`
}

func (b *buyer) join(n *testNode, slug string) joinAnswer {
	b.t.Helper()
	r := b.do(n, "POST", "/q/"+slug+"/join", "{}")
	if r.status != 200 {
		b.t.Fatalf("join: %d %s", r.status, r.body)
	}
	var got joinAnswer
	r.into(b.t, &got)
	return got
}

// joinFully repeats the join until there is a receipt.
func (b *buyer) joinFully(n *testNode, slug string) joinAnswer {
	b.t.Helper()
	var got joinAnswer
	eventually(b.t, "a receipt", func() bool {
		got = b.join(n, slug)
		return got.Receipt != nil
	})
	return got
}

// claim repeats the claim until the buyer is called.
func (b *buyer) claim(n *testNode, slug string) {
	b.t.Helper()
	var r reply
	eventually(b.t, "a session", func() bool {
		r = b.do(n, "POST", "/q/"+slug+"/claim", "{}")
		return r.status == 200
	})
}

// expectCode fails unless the answer is this refusal of core.
func (r reply) expectCode(t *testing.T, what string, status int, code string) {
	t.Helper()
	if r.status != status || r.code() != code {
		t.Errorf("%s: got %d %s; want %d %s", what, r.status, r.body, status, code)
	}
}

// expect fails unless the answer is this refusal in proper form.
func (r reply) expect(t *testing.T, what string, status int, code string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Code string
		Status, RetryAfter        int
	}
	if r.status != status || json.Unmarshal(r.body, &p) != nil || p.Code != code {
		t.Errorf("%s: got %d %s; want %d %s", what, r.status, r.body, status, code)
		return
	}
	if p.Status != status || p.Detail == "" || p.Title == "" || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %s %s is no proper problem", what, r.header.Get("Content-Type"), r.body)
	}
	if retry := status == 429 || status == 503; retry && r.header.Get("Retry-After") == "" {
		t.Errorf("%s: %d without Retry-After", what, status)
	}
}

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
