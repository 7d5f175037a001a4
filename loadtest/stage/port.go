package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports of the programs: below those of outgoing connections, and apart from those of private databases.
const firstPort, lastPort = 10000, 20000

// given are the addresses that this process has handed out: nobody may listen there yet.
var given sync.Map

// FreePort is an address of loopback on which nobody listens, and another one each time. It is safe for concurrent use.
func FreePort() (string, error) {
	for range 500 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			if _, before := given.LoadOrStore(address, true); !before {
				return address, nil
			}
		}
	}
	return "", fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}
