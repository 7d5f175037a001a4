package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/loadtest"
)

// Database is a private PostgreSQL behind a Proxy. It belongs to one goroutine; URL and Proxy do not change.
type Database struct {
	Proxy *Proxy
	dir   string
	log   *slog.Logger

	server *db.Server
}

// NewDatabase starts a database in a folder that does not exist yet, and the proxy before it. The folder's parents must be
// open to other users: PostgreSQL does not run as root.
func NewDatabase(ctx context.Context, dir string, seed uint64, log *slog.Logger) (*Database, error) {
	d := &Database{dir: dir, log: log}
	host, err := d.start(ctx)
	if err != nil {
		return nil, err
	}
	if d.Proxy, err = NewProxy(host, seed); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// start starts PostgreSQL on the folder, for the first time or after a crash, and answers where it listens.
func (d *Database) start(ctx context.Context) (host string, err error) {
	server, err := db.Start(ctx, db.ServerConfig{DataDir: d.dir, Log: d.log})
	if err != nil {
		return "", fmt.Errorf("start the database: %w", err)
	}
	d.server = server
	if server.Engine != db.PostgreSQL {
		return "", errors.Join(fmt.Errorf("this needs PostgreSQL and found %s; take cockroach off the PATH for it", server.Engine), d.Stop())
	}
	target, err := url.Parse(server.URL)
	if err != nil {
		return "", fmt.Errorf("parse the URL of the database: %w", err)
	}
	return target.Host, nil
}

// DirectURL is the database without the proxy. It changes with every crash.
func (d *Database) DirectURL() string { return d.server.URL }

// URL is the database through the proxy, which stays the same.
func (d *Database) URL() (string, error) {
	u, err := url.Parse(d.server.URL)
	if err != nil {
		return "", fmt.Errorf("parse the URL of the database: %w", err)
	}
	u.Host = d.Proxy.Address()
	return u.String(), nil
}

// Crash stops the whole database at once and starts it again, on another port.
func (d *Database) Crash(ctx context.Context) error {
	pid, err := d.postmaster()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("stop the database at once: %w", err)
	}
	for until := time.Now().Add(ReadyWithin); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(until) || !Sleep(ctx, 20*time.Millisecond) {
			return errors.Join(ctx.Err(), fmt.Errorf("the database process %d does not end", pid))
		}
	}
	host, err := d.start(ctx)
	if err != nil {
		return err
	}
	d.Proxy.Redirect(host)
	return nil
}

// CrashBackend kills one process of the database that serves core, whereupon all end their connections and it recovers by itself.
func (d *Database) CrashBackend() error {
	pid, err := d.postmaster()
	if err != nil {
		return err
	}
	for _, child := range loadtest.ChildrenOf(pid) {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if err == nil && strings.Contains(string(title), "fairgate") { // "postgres: fairgate fairgate 127.0.0.1(…) …"
			return syscall.Kill(child, syscall.SIGKILL)
		}
	}
	return nil // nobody is connected at the moment
}

// postmaster is the database's first process.
func (d *Database) postmaster() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.dir, "postgresql", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return 0, fmt.Errorf("find the database's process: %w", err)
	}
	return pid, nil
}

// Stop closes the proxy and stops the database in good order.
func (d *Database) Stop() error {
	if d.Proxy != nil {
		d.Proxy.Close()
	}
	if d.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), ReadyWithin)
	defer cancel()
	return d.server.Stop(ctx)
}
