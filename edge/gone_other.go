//go:build !unix

package edge

import "net"

// hungUp cannot tell here; deadlines bound what is spent on clients that have gone.
func hungUp(net.Conn) bool { return false }
