package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
)

// ownTime is the processor time this process has used.
func ownTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// clockTick is the unit of /proc/*/stat on every Linux there is.
const clockTick = 10 * time.Millisecond

// databaseTime is the processor time that a PostgreSQL on this machine has used; ok is false when it cannot be told.
func databaseTime(ctx context.Context, d *db.DB) (used time.Duration, ok bool) {
	var folder string
	if d.Engine != db.PostgreSQL || d.Pool.QueryRow(ctx, "SHOW data_directory").Scan(&folder) != nil {
		return 0, false
	}
	text, err := os.ReadFile(filepath.Join(folder, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid … : what follows the name starts with field 3.
		_, rest, found := strings.Cut(string(line), ") ")
		fields := strings.Fields(rest)
		pid := filepath.Base(filepath.Dir(path))
		if !found || len(fields) < 15 || fields[1] != string(first) && pid != string(first) {
			continue
		}
		// Its own, in user and system mode, and that of children that have ended.
		for _, field := range fields[11:15] {
			ticks, _ := strconv.ParseInt(field, 10, 64)
			used += time.Duration(ticks) * clockTick
		}
		ok = true
	}
	return used, ok
}
