package edge

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// refusalTimeout bounds the writing of a refusal to somebody who is one connection too many.
const refusalTimeout = 500 * time.Millisecond

// boundedListener accepts no more connections than its limit; whoever comes beyond is told to come back.
type boundedListener struct {
	net.Listener

	limit   int64
	open    atomic.Int64
	refused *metrics.Counter
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return &boundedConn{Conn: conn, open: &l.open}, nil
		}
		l.open.Add(-1)
		l.refused.Inc()
		refuseConn(conn)
	}
}

// refuseConn answers without having read; the few bytes fit the socket's buffer, so this does not wait in practice.
func refuseConn(conn net.Conn) {
	body := appendProblem(nil, problemOverloaded, problemOverloaded.detail, wholeSeconds(coreRetry))
	head := "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + typeProblem + "\r\nConnection: close\r\nRetry-After: " +
		strconv.Itoa(wholeSeconds(coreRetry)) + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if conn.SetDeadline(time.Now().Add(refusalTimeout)) == nil {
		_, _ = conn.Write(append([]byte(head), body...)) // the client may be gone already
	}
	conn.Close()
}

// boundedConn gives its place back once, when closed.
type boundedConn struct {
	net.Conn

	open *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
