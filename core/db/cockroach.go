package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// findCockroach looks for the binary: the configured path, $COCKROACH_BINARY, the PATH. Nothing is ever downloaded.
func findCockroach(configured string) string {
	for _, name := range []string{configured, os.Getenv("COCKROACH_BINARY"), "cockroach"} {
		if name == "" {
			continue
		}
		if path := findBinary(name); path != "" || name == configured {
			return path
		}
	}
	return ""
}

const sqlCreateCockroachDatabase = `CREATE DATABASE IF NOT EXISTS fairgate`

// startCockroach runs a private single node. It is insecure in CockroachDB's sense, without TLS and passwords, and
// therefore listens on loopback only.
func startCockroach(ctx context.Context, binary, dir string, detach bool, log *slog.Logger) (*Server, error) {
	if server := attachCockroach(ctx, dir, detach, log); server != nil {
		return server, nil
	}
	var last error
	for range portAttempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		server, err := startCockroachOn(ctx, binary, dir, port, detach, log)
		if err == nil {
			return server, nil
		}
		if last = err; !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, last
}

func startCockroachOn(ctx context.Context, binary, dir string, port int, detach bool, log *slog.Logger) (*Server, error) {
	logFile, err := os.OpenFile(filepath.Join(dir, "cockroach.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	defer logFile.Close()
	cmd := exec.Command(binary, cockroachArgs(dir, port)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	log.Info("starting a private CockroachDB node", "binary", binary, "data_dir", dir, "port", port)
	c, err := spawn(cmd, detach, syscall.SIGTERM, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	base := url.URL{Scheme: "postgres", User: url.User("root"), Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), RawQuery: "sslmode=disable"}
	if err := waitReady(ctx, c, withDatabase(base, "defaultdb"), sqlCreateCockroachDatabase); err != nil {
		stopErr := c.stop(ctx)
		text := tail(logFile.Name(), 0)
		if strings.Contains(text, "address already in use") {
			err = fmt.Errorf("%w: %w", syscall.EADDRINUSE, err)
		}
		return nil, errors.Join(fmt.Errorf("%w; its log ends: %s", err, text), stopErr)
	}
	server := &Server{URL: withDatabase(base, "fairgate"), child: c}
	note := fmt.Sprintf("%d %s\n", c.pid, server.URL)
	if err := os.WriteFile(cockroachNote(dir), []byte(note), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrDataDir, err), c.stop(ctx))
	}
	return server, nil
}

// cockroachNote is the file in which the process id and URL of the node are kept for the next Start.
func cockroachNote(dir string) string { return filepath.Join(dir, "cockroach.running") }

// attachCockroach finds a node that already runs in the folder.
func attachCockroach(ctx context.Context, dir string, detach bool, log *slog.Logger) *Server {
	note, err := os.ReadFile(cockroachNote(dir))
	if err != nil {
		return nil
	}
	var pid int
	var url string
	if _, err := fmt.Sscan(string(note), &pid, &url); err != nil || !pidAlive(pid) || ping(ctx, url, sqlCreateCockroachDatabase) != nil {
		return nil
	}
	log.Info("using the CockroachDB node that already runs in the data folder", "pid", pid)
	server := &Server{URL: url}
	if detach { // it was left running on purpose, and whoever starts detached may stop it
		server.pid, server.fast = pid, syscall.SIGTERM
	}
	return server
}

// cockroachArgs is the command line of a private node: SQL and its web page on loopback, the page on any free port.
func cockroachArgs(dir string, port int) []string {
	return []string{
		"start-single-node", "--insecure",
		"--listen-addr=" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		"--http-addr=127.0.0.1:0",
		"--store=" + filepath.Join(dir, "cockroach"),
	}
}

func withDatabase(base url.URL, name string) string {
	base.Path = "/" + name
	return base.String()
}

// waitReady connects until the server answers a statement, the process ends, or the bound is reached.
func waitReady(ctx context.Context, c *child, url, statement string) error {
	bounded, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		last := ping(bounded, url, statement)
		if last == nil {
			return nil
		}
		if pg := pgErrorOf(last); pg != nil && !outageCode(pg.Code) && !isRetryable(last) {
			return fmt.Errorf("the server refuses the first connection: %w", last)
		}
		select {
		case <-c.exited:
			return fmt.Errorf("the server ended while starting: %w", exitError(c.err))
		case <-bounded.Done():
			return fmt.Errorf("%w: the server did not answer in time: %w", ErrUnavailable, last)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// ping connects once and runs one statement.
func ping(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statement)
	return err
}
