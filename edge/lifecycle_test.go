package edge

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestAStopHandsOverWhoIsWaitingAndLeavesNoGoroutine(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	event := world.addEvent("arena", time.Hour)
	c := testConfig(t, core)
	c.Join.FlushInterval = 10 * time.Second // so that somebody is still in line
	n := startNode(t, c).ready("arena")
	for range 30 {
		newBuyer(t).join(n, "arena")
	}
	world.mu.Lock()
	world.refusePool = 3 // the hand-over is tried more than once
	world.mu.Unlock()
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	world.mu.Lock()
	if len(event.pool) != 30 {
		t.Errorf("%d of 30 entrants were handed over", len(event.pool))
	}
	world.mu.Unlock()
	if _, err := newBuyer(t).try(n, "GET", "/", ""); err == nil {
		t.Error("a stopped node answers")
	}
	eventually(t, "no goroutine of the node is left", func() bool { return !strings.Contains(stacks(), "edge.(*Server)") })
}

func TestAStopWithoutCoreEndsInTime(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	c := testConfig(t, core)
	c.Limits.Shutdown = 600 * time.Millisecond
	n := startNode(t, c).ready("arena")
	core.stop()
	newBuyer(t).join(n, "arena")
	began := time.Now()
	n.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if !strings.Contains(n.logs.String(), "core did not take all entrants") {
		t.Error("it was not said that somebody was left")
	}
	eventually(t, "no goroutine of the node is left", func() bool { return !strings.Contains(stacks(), "edge.(*Server)") })
}

func TestWhatIsWrongOnThisMachineIsSaidAtTheStart(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for what, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"listen address in use":  {func(c *Config) { c.Listen = taken.Addr().String() }, []string{"listen: " + taken.Addr().String(), "in use"}},
		"private address in use": {func(c *Config) { c.PrivateListen = taken.Addr().String() }, []string{"private_listen", "in use"}},
		"no secret":              {func(c *Config) { c.Core.SecretFile = "/nowhere/secret" }, []string{"core.secret_file", "/nowhere/secret", "missing"}},
		"several": {func(c *Config) {
			c.OnDoubt = "admit"
			c.Core.URLs = nil
			c.Join.Batch = 5000
			c.Feed.Silence = c.Feed.Wait
		},
			[]string{"on_doubt", "core.urls", "join.batch", "feed.silence"}},
		"cookies in the open": {func(c *Config) { c.Listen = "0.0.0.0:0" }, []string{"cookies.secure"}},
		"no proxies":          {func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/8", "proxy.example"} }, []string{"trusted_proxies", "proxy.example"}},
	} {
		config := testConfig(t, core)
		c.change(&config)
		s, err := New(config, nil)
		if err == nil {
			s.public.Close()
			t.Errorf("%s: no error", what)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; it does not say %q", what, err, part)
			}
		}
	}
}

func TestTheNodeKeepsItsIdentityInTheStateFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "edge.id")
	first, err := nodeID(IdentityConfig{StateFile: file})
	if err != nil {
		t.Fatal(err)
	}
	second, err := nodeID(IdentityConfig{StateFile: file})
	if err != nil || second != first {
		t.Errorf("%s became %s: %v", first, second, err)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := nodeID(IdentityConfig{StateFile: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a broken state file: %v", err)
	}
	given := uuid.NewString()
	if id, err := nodeID(IdentityConfig{ID: given, StateFile: file}); err != nil || id.String() != given {
		t.Errorf("a given id became %s: %v", id, err)
	}
}

func TestThePrivateListenerShowsMetricsAndHealth(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	newBuyer(t).joinFully(n, "arena")
	resp, err := http.Get("http://" + n.PrivateAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"edge_joins_total", "edge_acknowledged_total 1", "edge_doubt 0", `edge_guard_subjects{limit="device"}`, `edge_limit_total{limit="join_queue"} 0`, "process_resident_memory_bytes"} {
		if !strings.Contains(string(got), name) {
			t.Errorf("no %s among the metrics", name)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/q/arena/state": 404} {
		if status := n.privately(t, path); status != want {
			t.Errorf("%s: %d; want %d", path, status, want)
		}
	}
}

func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// privately asks the private listener.
func (n *testNode) privately(t *testing.T, path string) int {
	t.Helper()
	resp, err := http.Get("http://" + n.PrivateAddr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
