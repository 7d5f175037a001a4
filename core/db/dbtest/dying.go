package dbtest

import (
	"bytes"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/core/db"
)

// commit is how a COMMIT travels to the server: a simple query.
var commit = []byte("Q\x00\x00\x00\x0bcommit\x00")

// death cuts all connections of one process at one of its commits.
type death struct {
	listener net.Listener
	network  string
	address  string
	at       int  // the commit, from 1
	done     bool // the server has carried it out; else it never hears of it
	wg       sync.WaitGroup

	mu    sync.Mutex
	seen  int
	dead  bool
	conns []net.Conn
}

// Dying opens d's database once more for a process that dies at its nth commit: after the server has done it and before the process hears
// of that, or before the server hears of it. Its connections are cut then, and there are no others. died tells whether it came to that.
func Dying(t testing.TB, d *db.DB, nth int, done bool) (dying *db.DB, died func() bool) {
	t.Helper()
	config := d.Pool.Config().ConnConfig
	c := &death{network: "tcp", address: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), at: nth, done: done}
	if strings.HasPrefix(config.Host, "/") {
		c.network, c.address = "unix", config.Host+"/.s.PGSQL."+strconv.Itoa(int(config.Port))
	}
	var err error
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("listen: %v", err)
	}
	c.wg.Go(c.accept)
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: c.listener.Addr().String(), Path: "/" + config.Database,
		RawQuery: "sslmode=disable"}
	dying, err = db.Open(t.Context(), u.String(), db.Options{Application: "fairgate-dying", AcquireTimeout: time.Second, MaxRetries: 5})
	if err != nil {
		t.Fatalf("open the database through a connection that dies: %v", err)
	}
	t.Cleanup(func() {
		c.kill()
		dying.Close()
		c.wg.Wait()
	})
	return dying, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.dead }
}

func (c *death) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(c.network, c.address)
		if err != nil {
			client.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, client, server)
		c.mu.Unlock()
		c.wg.Go(func() { c.answers(client, server) })
		c.wg.Go(func() { c.asks(client, server) })
	}
}

// asks carries what the process says, until the commit at which it dies.
func (c *death) asks(client, server net.Conn) {
	part := make([]byte, 64<<10)
	for {
		n, err := client.Read(part)
		if err != nil {
			server.Close()
			return
		}
		fatal := false
		c.mu.Lock()
		if bytes.Contains(part[:n], commit) {
			c.seen++
			fatal = c.seen == c.at
			c.dead = c.dead || fatal
		}
		lost := c.dead && !fatal
		c.mu.Unlock()
		if lost || fatal && !c.done {
			c.kill()
			return
		}
		if _, err := server.Write(part[:n]); err != nil {
			client.Close()
			return
		}
		// A fatal one ends when its answer has come, which nobody hears.
	}
}

// answers carries what the server says.
func (c *death) answers(client, server net.Conn) {
	part := make([]byte, 64<<10)
	for {
		n, err := server.Read(part)
		if err != nil {
			client.Close()
			return
		}
		c.mu.Lock()
		dead := c.dead
		c.mu.Unlock()
		if dead {
			if bytes.Contains(part[:n], []byte("COMMIT\x00")) {
				c.kill()
				return
			}
			if part[0] != 'E' {
				continue
			}
			// The server refuses the commit, such as for a conflict: it was not that one, and the process lives to try again.
			c.mu.Lock()
			c.dead, c.seen = false, c.seen-1
			c.mu.Unlock()
		}
		if _, err := client.Write(part[:n]); err != nil {
			server.Close()
			return
		}
	}
}

func (c *death) kill() {
	c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}
