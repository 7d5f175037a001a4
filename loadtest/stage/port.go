package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports of the programs: below those of outgoing connections, and apart from those of private databases.
const firstPort, lastPort = 10000, 20000

// FreePort is an address of loopback on which nobody listens.
func FreePort() (string, error) {
	for range 500 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address, nil
		}
	}
	return "", fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}
