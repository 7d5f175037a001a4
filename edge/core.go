package edge

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Outcomes of a call to core. Everything core answers, refusals too, is no error.
var (
	// errNotSent means that no core got the request.
	errNotSent = errors.New("core cannot be reached")
	// errLost means that core may or may not have acted: the request went out and no answer came.
	errLost = errors.New("core's answer was lost")
)

// maxCores is how many cores an edge can tell apart in a set of bits.
const maxCores = 64

// core is one core process as an edge sees it: its address, its connections, and when it was last heard of.
type core struct {
	url    string
	hash   uint64 // of the url, for rendezvous hashing
	bit    uint64 // its own, in sets of cores
	calls  *fasthttp.HostClient
	poll   *fasthttp.HostClient // the feed's own connection, so that no burst of calls can starve it
	conns  *connSet             // of poll; closing them ends a poll that core would hold
	seenAt atomic.Int64         // Unix nanoseconds of the last sign of life; zero when a call could not be sent since
}

func newCore(rawURL string, c CoreConfig, limits LimitConfig) (*core, error) {
	calls, err := newHostClient(rawURL, c, limits, nil)
	if err != nil {
		return nil, err
	}
	conns := &connSet{}
	poll, err := newHostClient(rawURL, c, limits, conns)
	if err != nil {
		return nil, err
	}
	return &core{url: calls.Name, hash: hashString(calls.Name), calls: calls, poll: poll, conns: conns}, nil
}

// newHostClient makes a client for one base URL. Its Name keeps the normalized URL.
func newHostClient(rawURL string, c CoreConfig, limits LimitConfig, conns *connSet) (*fasthttp.HostClient, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parse core URL: %w", err)
	}
	secure := u.Scheme == "https"
	dialer := &net.Dialer{Timeout: c.ConnectTimeout}
	return &fasthttp.HostClient{
		Addr:  fasthttp.AddMissingPort(u.Host, secure),
		Name:  u.Scheme + "://" + u.Host,
		IsTLS: secure,
		Dial: func(addr string) (net.Conn, error) {
			conn, err := dialer.Dial("tcp", addr)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNotSent, err)
			}
			if conns != nil {
				return conns.add(conn)
			}
			return conn, nil
		},
		MaxConns:            c.Connections,
		MaxConnWaitTimeout:  c.Timeout,
		MaxIdleConnDuration: 30 * time.Second,
		ReadTimeout:         c.Timeout,
		WriteTimeout:        c.Timeout,
		ReadBufferSize:      16 << 10,
		WriteBufferSize:     64 << 10,
		MaxResponseBodySize: limits.Response,
		// A kept connection that core had closed meanwhile is found out at the first byte; everything an edge sends may
		// be sent twice, so one repetition is right for POST as well.
		RetryIfErr: func(_ *fasthttp.Request, attempts int, err error) (bool, bool) {
			return false, attempts < 2 && !errors.Is(err, fasthttp.ErrTimeout)
		},
	}, nil
}

// do sends a prepared request, whose path, body and own headers are set.
func (c *core) do(client *fasthttp.HostClient, req *fasthttp.Request, resp *fasthttp.Response, timeout time.Duration) error {
	req.URI().SetScheme(schemeOf(client.IsTLS))
	req.URI().SetHost(client.Addr)
	req.Header.SetUserAgent("fairgate-edge")
	err := client.DoTimeout(req, resp, timeout)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotSent):
		c.seenAt.Store(0)
		return err
	case errors.Is(err, fasthttp.ErrNoFreeConns):
		return fmt.Errorf("%w: %w", errNotSent, err)
	default:
		return fmt.Errorf("%w: %w", errLost, err)
	}
}

func schemeOf(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// seen notes a sign of life.
func (c *core) seen(now time.Time) { c.seenAt.Store(now.UnixNano()) }

// live tells whether the core was heard of within the silence.
func (c *core) live(now time.Time, silence time.Duration) bool {
	return now.UnixNano()-c.seenAt.Load() <= int64(silence)
}

// close ends the core's connections. A poll under way fails.
func (c *core) close() {
	c.conns.close()
	c.poll.CloseIdleConnections()
	c.calls.CloseIdleConnections()
}

// connSet knows open connections, so that they can be closed under whoever waits on them.
type connSet struct {
	mu     sync.Mutex
	closed bool
	conns  map[*trackedConn]struct{}
}

type trackedConn struct {
	net.Conn
	set *connSet
}

func (s *connSet) add(conn net.Conn) (net.Conn, error) {
	tracked := &trackedConn{Conn: conn, set: s}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		if s.conns == nil {
			s.conns = make(map[*trackedConn]struct{})
		}
		s.conns[tracked] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		conn.Close()
		return nil, fmt.Errorf("%w: the node is stopping", errNotSent)
	}
	return tracked, nil
}

// Close implements net.Conn.
func (c *trackedConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.conns, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

// close closes all connections and refuses new ones.
func (s *connSet) close() {
	s.mu.Lock()
	s.closed = true
	conns := make([]net.Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c.Conn)
	}
	s.conns = nil
	s.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}
