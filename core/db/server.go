package db

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Outcomes of Start that callers branch on.
var (
	// ErrNoServer means no database is configured and none is installed.
	ErrNoServer = errors.New("no database found")
	// ErrServerVersion means the data folder was written by another major version of PostgreSQL.
	ErrServerVersion = errors.New("the data folder belongs to another version of the server")
	// ErrDataDir means the data folder cannot be used.
	ErrDataDir = errors.New("unusable data folder")
)

// Ports of private servers lie below the ephemeral range, so that no outgoing connection takes one meanwhile.
const (
	firstPort    = 20000
	lastPort     = 32000
	portAttempts = 8
)

// startLock is the file in a data folder that is locked while a server is started in it.
const startLock = "start.lock"

const (
	startTimeout = 60 * time.Second // recovery after a crash can take a while
	stopTimeout  = 20 * time.Second // a fast shutdown writes a checkpoint
	killTimeout  = 5 * time.Second
)

// ServerConfig says which database to use.
type ServerConfig struct {
	// URL of a running server. With it set nothing is started and the rest does not matter.
	URL string
	// DataDir keeps the private server's data, log and password. Empty: a temporary folder that Stop removes. When we run
	// as root, PostgreSQL runs as an unprivileged user, who must be able to pass through every folder above it.
	DataDir string
	// CockroachBinary is the path of cockroach; empty: $COCKROACH_BINARY, then the PATH.
	CockroachBinary string
	// Detach lets the server outlive this process. Stop still stops it.
	Detach bool
	// Log gets the progress; nil discards it.
	Log *slog.Logger
}

// Server is a database to connect to. A private one belongs to the process that started it: Stop it, and if the process
// dies without having done so the kernel stops it, unless it was started detached.
type Server struct {
	URL string // of the owner, who may do everything; the configured one where there is one
	// ServiceURL is of the role that the service runs as on a private server, once OpenService has made it. Where URL was configured it
	// is the same.
	ServiceURL string
	Engine     Engine // empty when URL was configured: Open finds out
	Private    bool   // started by Start, or attached to a private one in the same data folder

	servicePassword string

	child *child
	pid   int // of a detached server that another process started; 0 when child is set
	fast  syscall.Signal
	scrap string // temporary data folder to remove
	log   *slog.Logger
}

// Start finds a database: the configured URL, else a cockroach binary as a private single node, else PostgreSQL's
// binaries as a private instance, else ErrNoServer. It returns when the server answers. A data folder that has been used
// before is used again with its data; if a live server is already running in it, Start attaches to that one.
func Start(ctx context.Context, cfg ServerConfig) (*Server, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.URL != "" {
		log.Info("database is configured", "source", "database.url")
		return &Server{URL: cfg.URL, ServiceURL: cfg.URL, log: log}, nil
	}
	if binary := findCockroach(cfg.CockroachBinary); binary != "" {
		return startPrivate(ctx, cfg, log, CockroachDB, func(dir string) (*Server, error) {
			return startCockroach(ctx, binary, dir, cfg.Detach, log)
		})
	}
	if cfg.CockroachBinary != "" {
		return nil, fmt.Errorf("%w: the configured cockroach binary %s cannot be run", ErrNoServer, cfg.CockroachBinary)
	}
	if bin := findPostgres(ctx, postgresFolders); bin != "" {
		return startPrivate(ctx, cfg, log, PostgreSQL, func(dir string) (*Server, error) {
			return startPostgres(ctx, bin, dir, cfg.Detach, log)
		})
	}
	return nil, fmt.Errorf("%w: install PostgreSQL %d or later (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install "+
		"postgresql-server; macOS: brew install postgresql), or put cockroach on the PATH or its path into COCKROACH_BINARY, or set "+
		"database.url; looked for initdb and postgres on the PATH, in %s, and where pg_config --bindir says",
		ErrNoServer, minPostgreSQL, strings.Join(postgresFolders, ", "))
}

// startPrivate prepares the data folder around start.
func startPrivate(ctx context.Context, cfg ServerConfig, log *slog.Logger, engine Engine, start func(dir string) (*Server, error)) (*Server, error) {
	dir, scrap := cfg.DataDir, ""
	if dir == "" {
		made, err := newScrap(log)
		if err != nil {
			return nil, err
		}
		dir, scrap = made, made
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	unlock, err := lockDir(ctx, filepath.Join(dir, startLock))
	if err != nil {
		return nil, err
	}
	defer unlock()
	server, err := start(dir)
	if err == nil {
		if err = server.serve(engine, dir); err != nil && server.child != nil {
			err = errors.Join(err, server.child.stop(ctx))
		}
	}
	if err != nil {
		if scrap != "" {
			os.RemoveAll(scrap)
		}
		return nil, fmt.Errorf("start a private %s: %w", engine, err)
	}
	server.Engine, server.Private, server.scrap, server.log = engine, true, scrap, log
	return server, nil
}

// serve settles where the service will connect. Its password is kept beside the owner's.
func (s *Server) serve(engine Engine, dir string) error {
	u, err := url.Parse(s.URL)
	if err != nil {
		return fmt.Errorf("parse the owner's URL: %w", err)
	}
	u.User = url.User(ServiceRole)
	if engine == PostgreSQL { // a private CockroachDB node has no passwords
		if s.servicePassword, err = keptPassword(filepath.Join(dir, "postgresql.service.password")); err != nil {
			return err
		}
		u.User = url.UserPassword(ServiceRole, s.servicePassword)
	}
	s.ServiceURL = u.String()
	return nil
}

// keptPassword reads a password, or makes it and keeps it.
func keptPassword(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		return string(text), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	password := newPassword()
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return password, nil
}

// OpenService opens a started or configured database for the service. On a private server it first brings the schema up to date and
// grants the service's role its privileges, both as the owner, and then connects as that role; what was applied it tells. A configured
// database is opened as it is: its owner migrates it.
func (s *Server) OpenService(ctx context.Context, opt Options) (*DB, []Applied, error) {
	if s.ServiceURL == s.URL {
		d, err := Open(ctx, s.URL, opt)
		return d, nil, err
	}
	owning := opt
	owning.MaxConns, owning.MinConns = 2, 1
	owner, err := Open(ctx, s.URL, owning)
	if err != nil {
		return nil, nil, err
	}
	defer owner.Close()
	applied, err := owner.Migrate(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := owner.EnsureServiceRole(ctx, ServiceRole, s.servicePassword); err != nil {
		return nil, nil, err
	}
	if err := owner.GrantService(ctx, ServiceRole); err != nil {
		return nil, nil, err
	}
	d, err := Open(ctx, s.ServiceURL, opt)
	return d, applied, err
}

// Stop shuts a private server down and waits until it is gone; a configured one is left alone, and so is one that
// another process started. Stopping twice does nothing more.
func (s *Server) Stop(ctx context.Context) error {
	if s == nil || !s.Private {
		return nil
	}
	var err error
	switch {
	case s.child != nil:
		s.log.Info("stopping the private database", "pid", s.child.pid)
		err = s.child.stop(ctx)
	case s.pid != 0:
		err = stopForeign(ctx, s.pid, s.fast)
	}
	if err == nil && s.scrap != "" {
		if err = os.RemoveAll(s.scrap); err != nil {
			err = fmt.Errorf("remove the temporary data folder: %w", err)
		}
	}
	return err
}

// freePort picks a port on loopback that nobody listens on. Somebody may still take it before the server does, so
// starting is tried again with another.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + mrand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		listener.Close()
		return port, nil
	}
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// newPassword makes a password that needs no escaping in a URL.
func newPassword() string { return rand.Text() }

// findBinary looks a program up on the PATH.
func findBinary(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}
