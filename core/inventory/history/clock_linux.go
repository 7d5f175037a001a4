package history

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Now is the time since the machine was started, ns: all its processes see the same, and nobody can set it.
func Now() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		panic("history: the kernel has no monotonic clock")
	}
	return t.Nano()
}

// clockName is the same for two processes exactly if they see the same clock.
func clockName() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		host, _ := os.Hostname() // two files of one unnamed machine may be merged
		return "host-" + host
	}
	return "boot-" + strings.TrimSpace(string(id))
}
