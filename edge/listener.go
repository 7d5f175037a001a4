package edge

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
)

const (
	// refusalTimeout bounds the conversation with somebody who is one connection too many.
	refusalTimeout = 500 * time.Millisecond
	// maxRefusals bounds how many such conversations are held at once; whoever comes on top is hung up on.
	maxRefusals = 64
)

// boundedListener accepts no more connections than its limit; whoever comes beyond is told to come back. It gives
// connections on as they are: fasthttp writes head and body of an answer in one system call only to a *net.TCPConn.
// Close joins the conversations it still has.
//
// Of one peer address it accepts no more than its share, so that nobody's idle connections take everybody's place. Proxies that are
// trusted are held to the limit of all alone: behind them is the world.
type boundedListener struct {
	net.Listener

	limit   int32
	open    func() int32 // connections the server has
	refused *metrics.Counter
	talks   chan struct{} // a place for each conversation
	talking sync.WaitGroup

	perAddress int // 0: no bound
	exempt     proxies
	mu         sync.Mutex
	addresses  map[netip.Addr]int // open connections, streams left out
}

func newBoundedListener(inner net.Listener, c LimitConfig, exempt proxies, open func() int32, refused *metrics.Counter) *boundedListener {
	return &boundedListener{
		Listener: inner, limit: int32(c.Connections), open: open, refused: refused, talks: make(chan struct{}, maxRefusals),
		perAddress: c.ConnectionsPerIP, exempt: exempt, addresses: make(map[netip.Addr]int),
	}
}

// counted is the address a connection is counted for; false when it is not.
func (l *boundedListener) counted(conn net.Conn) (netip.Addr, bool) {
	if l.perAddress == 0 {
		return netip.Addr{}, false
	}
	addr := peerAddr(conn.RemoteAddr())
	return addr, !l.exempt.contain(addr)
}

// admit counts a connection for its address, if there is room.
func (l *boundedListener) admit(conn net.Conn) bool {
	addr, counted := l.counted(conn)
	if !counted {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addresses[addr] >= l.perAddress {
		return false
	}
	l.addresses[addr]++
	return true
}

// released is told by the server what becomes of connections. One that became a stream is bounded as such.
func (l *boundedListener) released(conn net.Conn, state fasthttp.ConnState) {
	if state != fasthttp.StateClosed && state != fasthttp.StateHijacked {
		return
	}
	addr, counted := l.counted(conn)
	if !counted {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addresses[addr]--; l.addresses[addr] <= 0 {
		delete(l.addresses, addr)
	}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open() < l.limit && l.admit(conn) {
			return conn, nil
		}
		l.refused.Inc()
		select {
		case l.talks <- struct{}{}:
			l.talking.Go(func() {
				refuseConn(conn)
				<-l.talks
			})
		default:
			conn.Close()
		}
	}
}

// Close implements net.Listener.
func (l *boundedListener) Close() error {
	err := l.Listener.Close()
	l.talking.Wait()
	return err
}

// refuseConn waits for the request, as clients drop an answer that comes before it, and answers without looking at it.
func refuseConn(conn net.Conn) {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(refusalTimeout)) != nil {
		return
	}
	var request [4096]byte
	if _, err := conn.Read(request[:]); err != nil {
		return
	}
	body := appendProblem(nil, problemOverloaded, problemOverloaded.detail, wholeSeconds(coreRetry))
	head := "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + typeProblem + "\r\nConnection: close\r\nRetry-After: " +
		strconv.Itoa(wholeSeconds(coreRetry)) + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	_, _ = conn.Write(append([]byte(head), body...)) // the client may be gone already
}
