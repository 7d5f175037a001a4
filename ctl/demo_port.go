package ctl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// Ports of the demo's processes. They lie below those that outgoing connections get on any common system, and apart from the
// range of the private database.
const (
	firstPort = 10000
	lastPort  = 20000
)

// freePorts finds n ports of loopback on which nobody listens, as "127.0.0.1:port". They are tried all at once, so no two are the
// same.
func freePorts(n int) ([]string, error) {
	high := min(lastPort, ephemeralFrom())
	if high <= firstPort {
		return nil, fmt.Errorf("no room for ports: outgoing connections use all from %d on", high)
	}
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	var all []string
	for range 200 * n {
		if len(all) == n {
			return all, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(high-firstPort)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		held = append(held, l)
		all = append(all, address)
	}
	return nil, errors.New("no free ports on loopback between " + strconv.Itoa(firstPort) + " and " + strconv.Itoa(high))
}

// ephemeralFrom is the first port that the system gives to outgoing connections.
func ephemeralFrom() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return lastPort
	}
	var low, high int
	if _, err := fmt.Sscanf(string(text), "%d %d", &low, &high); err != nil {
		return lastPort
	}
	return low
}
