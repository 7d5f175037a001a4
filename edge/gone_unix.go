//go:build unix

package edge

import (
	"net"
	"syscall"
)

// hungUp tells whether the other side of a connection has closed it. fasthttp does not read while a handler runs, so the
// kernel is asked, without waiting and without taking anything a client may have sent already. Control, unlike Read, does
// not wait for the connection's own reader should the handler have ended meanwhile.
//
// A client that closes only its sending half counts as gone, as it does for net/http.
func hungUp(conn net.Conn) bool {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err == syscall.ECONNRESET || err == syscall.EPIPE || err == syscall.ETIMEDOUT
	})
	return gone || err != nil
}
