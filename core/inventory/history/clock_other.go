//go:build !linux

package history

import (
	"os"
	"time"
)

// Now is the machine's time, ns since 1970. A clock that is set meanwhile spoils the history.
func Now() int64 { return time.Now().UnixNano() }

// clockName is the same for two processes exactly if they see the same clock.
func clockName() string {
	host, _ := os.Hostname()
	return "host-" + host
}
