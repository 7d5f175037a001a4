package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fairgate/edge/guard"
)

func dial(t *testing.T, n *testNode) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Slowloris: a request that comes byte by byte is cut off at the read timeout, head or body, and meanwhile nobody else notices.
func TestWhoSendsByteByByteIsCutOffAndNobodyElseNotices(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Limits.ReadTimeout, c.Limits.IdleTimeout = 400*time.Millisecond, 400*time.Millisecond
	n := startNode(t, c).ready("arena")
	for what, request := range map[string]string{
		"the request line": "GET /q/arena/st",
		"headers":          "GET /q/arena/state HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"a body":           "POST /q/arena/join HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
		"chunks":           "POST /q/arena/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
		"nothing":          "",
	} {
		var slow []net.Conn
		for range 20 {
			conn := dial(t, n)
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, conn)
		}
		if r := newBuyer(t).do(n, "GET", "/q/arena/state", ""); r.status != 200 {
			t.Errorf("%s: a page polls meanwhile and gets %d", what, r.status)
		}
		for _, conn := range slow {
			for alive := true; alive; { // one byte more now and then does not help
				_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				_, err := io.Copy(io.Discard, conn)
				timeout, ok := err.(net.Error)
				if alive = ok && timeout.Timeout(); alive && request != "" {
					_, err = io.WriteString(conn, "a")
					alive = err == nil
				}
			}
		}
		eventually(t, what+": their connections are closed", func() bool { return n.http.GetOpenConnectionsCount() <= 1 })
	}
}

func TestRequestsThatAreCutOffOrTooLargeCostNothingBeyondThemselves(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	for what, request := range map[string]string{
		"a truncated head": "POST /q/arena/claim HTTP/1.1\r\nHos",
		"a truncated body": "POST /q/arena/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
	} {
		conn := dial(t, n)
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		eventually(t, what+": the connection is gone", func() bool { return n.http.GetOpenConnectionsCount() == 0 })
	}
	for what, c := range map[string]struct {
		request string
		status  int
	}{
		"a body that says it is large":   {"POST /q/arena/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", 413},
		"a body that is and says so not": {"POST /q/arena/claim HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n", 413},
		"a head without end":             {"GET /q/arena/state HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 20<<10), 431},
		"a length that is no number":     {"POST /q/arena/claim HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400},
	} {
		conn := dial(t, n)
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || !resp.Close {
			t.Errorf("%s: %d, closed %v; want %d and closed", what, resp.StatusCode, resp.Close, c.status)
		}
	}
	if calls := world.recorded(func(verdictJSON) bool { return true }); len(calls) > 0 || len(world.poolCalls) > 0 {
		t.Errorf("core heard of it: %v %v", calls, world.poolCalls)
	}
}

// Forged and replayed passes, tokens and challenges end at the edge: core hears of none.
func TestForgedThingsEndAtTheEdge(t *testing.T) {
	g := newGuarded(t, nil)
	b := newBuyer(t)
	g.joins(b, "{}", browserHeaders)
	g.callEverybody()
	good := b.cookies["fg_pass_arena"]
	g.world.mu.Lock()
	sessions := len(g.world.sessions)
	g.world.mu.Unlock()
	for i := range 100 {
		if i >= 3 && i < 7 {
			continue // the number of a key that core may just have made: a wait, and one question to core in ten seconds
		}
		forger := newBuyer(t)
		forger.cookies["fg_device"] = b.cookies["fg_device"]
		forger.cookies["fg_pass_arena"] = flipped(t, good, i)
		if r := forger.do(g.testNode, "POST", "/q/arena/claim", "{}", browserHeaders...); r.status == 200 || r.status >= 500 {
			t.Fatalf("a pass with byte %d changed: %d %s", i, r.status, r.body)
		}
		if r := forger.do(g.testNode, "POST", "/q/arena/challenge", fmt.Sprintf(`{"token":"%0122d","answer":"1"}`, i), browserHeaders...); r.status == 200 || r.status >= 500 {
			t.Fatalf("a made-up challenge: %d %s", r.status, r.body)
		}
	}
	g.world.mu.Lock()
	defer g.world.mu.Unlock()
	if len(g.world.sessions) != sessions {
		t.Error("somebody was admitted")
	}
}

func TestOneAddressMayNotTakeAllConnectionsUnlessItIsATrustedProxy(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	core := world.start()
	for _, trusted := range []bool{false, true} {
		c := testConfig(t, core)
		c.Limits.ConnectionsPerIP = 5
		if trusted {
			c.TrustedProxies = []string{"127.0.0.1"}
		}
		c.Guard = guard.Config{Subjects: 1000}
		n := startNode(t, c).ready("arena")
		var held []net.Conn
		answered := func() bool {
			conn := dial(t, n)
			if _, err := io.WriteString(conn, "GET /q/arena/state HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				return false
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != 200 {
				return false
			}
			resp.Body.Close()
			held = append(held, conn)
			return true
		}
		for i := range 5 {
			if !answered() {
				t.Fatalf("connection %d is refused", i)
			}
		}
		if got := answered(); got != trusted {
			t.Errorf("a sixth connection of one address, trusted %v: %v", trusted, got)
		}
		for _, conn := range held {
			conn.Close()
		}
		eventually(t, "their places are free again", answered)
		n.stop()
	}
}
