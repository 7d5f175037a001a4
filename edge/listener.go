package edge

import (
	"net"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// refusalTimeout bounds the writing of a refusal to somebody who is one connection too many.
const refusalTimeout = 500 * time.Millisecond

// boundedListener accepts no more connections than its limit; whoever comes beyond is told to come back. It gives
// connections on as they are: fasthttp writes head and body of an answer in one system call only to a *net.TCPConn.
type boundedListener struct {
	net.Listener

	limit   int32
	open    func() int32 // connections the server has
	refused *metrics.Counter
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open() < l.limit {
			return conn, nil
		}
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
