package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prepare makes the data folder, or checks the one that is there. It never touches existing data.
func (in *instance) prepare(ctx context.Context) (fresh bool, err error) {
	version, err := os.ReadFile(filepath.Join(in.data, "PG_VERSION"))
	if err == nil {
		return false, in.checkVersion(ctx, strings.TrimSpace(string(version)))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if entries, err := os.ReadDir(in.data); err == nil && len(entries) > 0 {
		return false, fmt.Errorf("%w: %s is neither empty nor a database; move it away or choose another data folder", ErrDataDir, in.data)
	}
	return true, in.initialize(ctx)
}

func (in *instance) checkVersion(ctx context.Context, version string) error {
	out, err := in.command(ctx, "postgres", "--version").Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", in.bin, err)
	}
	// "postgres (PostgreSQL) 15.14 (Debian …)"
	_, rest, _ := strings.Cut(string(out), "(PostgreSQL) ")
	major, _, _ := strings.Cut(strings.TrimSpace(rest), ".")
	if major != version {
		return fmt.Errorf("%w: %s was written by PostgreSQL %s and %s is PostgreSQL %s; install version %s, or move the folder away to begin anew",
			ErrServerVersion, in.data, version, in.bin, major, version)
	}
	return nil
}

// initialize runs initdb in a folder beside and renames it into place, so that a crash half-way leaves no half database.
func (in *instance) initialize(ctx context.Context) error {
	in.log.Info("creating a private PostgreSQL data folder, this takes a few seconds", "data_dir", in.data, "binaries", in.bin)
	making := in.data + ".new"
	if err := os.RemoveAll(making); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := in.own(making); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := os.WriteFile(in.passwordFile(), []byte(newPassword()), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := in.own(in.passwordFile()); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	out, err := in.command(ctx, "initdb", "--pgdata="+making, "--username="+postgresUser, "--pwfile="+in.passwordFile(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// initdb leaves an existing empty folder in place; it is removed so that the rename can succeed.
	if err := os.Remove(in.data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if err := os.Rename(making, in.data); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return nil
}

// attach finds a server that already runs in the folder. What a dead one left behind is cleared away.
func (in *instance) attach(ctx context.Context, password string, detach bool) *Server {
	pidFile := filepath.Join(in.data, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return nil
	}
	// Lines: pid, data folder, start time, port, …
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || !pidAlive(pid) || !isPostgres(pid) {
		in.log.Info("clearing away what a crashed server left behind", "pid_file", pidFile)
		os.Remove(pidFile)
		return nil
	}
	if len(lines) < 4 {
		return nil // still starting; postgres itself will refuse to start beside it
	}
	port, err := strconv.Atoi(strings.TrimSpace(lines[3]))
	if err != nil {
		return nil
	}
	server := &Server{URL: postgresURL(password, port, postgresDatabase)}
	// One whose starter was killed is still stopping: it answers no more, and nobody may start beside it.
	// It may also just not have heard yet, so it has to answer twice.
	for deadline, answers := time.Now().Add(stopsWithin), 0; ; time.Sleep(100 * time.Millisecond) {
		err := ping(ctx, server.URL, sqlPostgresReady)
		if err == nil {
			if answers++; answers == 2 {
				break
			}
			continue
		}
		answers = 0
		if !pidAlive(pid) {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			in.log.Warn("a server runs in the data folder but does not answer", "pid", pid, "error", err.Error())
			return nil
		}
	}
	if detach { // it was left running on purpose, and whoever starts detached may stop it
		server.pid, server.fast = pid, syscall.SIGINT
	}
	in.log.Info("using the server that already runs in the data folder", "pid", pid, "port", port)
	return server
}

// stopsWithin is how long a server that does not answer is given to stop, or to get ready.
const stopsWithin = 10 * time.Second

// isPostgres tells whether a process is a PostgreSQL server, since the number may have been given to another program.
func isPostgres(pid int) bool {
	if runtime.GOOS != "linux" {
		return true // cannot tell; the server itself checks again
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.HasPrefix(string(name), "postgres")
}
