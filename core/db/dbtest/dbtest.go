// Package dbtest gives tests a real database, empty and with the current schema, one per test.
//
// It owns the server of the test binary: DATABASE_URL if that is set, else a private one started at the first New. It
// refuses mocks. New may be called from parallel tests. Use it with
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
package dbtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// shared is the one server of the test binary.
var shared struct {
	once   sync.Once
	server *db.Server
	err    error

	mu     sync.Mutex
	engine db.Engine // known after the first open
	spare  []string  // URLs of migrated databases that tests have given back
}

// Main runs the tests of a package, stops the server they used and exits. Where they ran on PostgreSQL only, it says so.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main without the exit, for a TestMain that has more to do.
func Run(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		for _, url := range shared.spare {
			if shared.server.Private {
				break // they go with the server
			}
			if err := drop(shared.server.URL, url, shared.engine); err != nil {
				fmt.Fprintln(os.Stderr, "drop a test database:", err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := shared.server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test database:", err)
			code = max(code, 1)
		}
		cancel()
		if shared.engine == db.PostgreSQL {
			fmt.Println("NOT RUN ON COCKROACHDB: these tests ran on", shared.engine)
		}
	}
	return code
}

// Server is the server of the test binary, started if it was not yet.
func Server(t testing.TB) *db.Server {
	t.Helper()
	shared.once.Do(func() {
		log := slog.New(slog.DiscardHandler)
		if testing.Verbose() {
			log = slog.New(slog.NewTextHandler(os.Stderr, nil))
		}
		shared.server, shared.err = db.Start(context.Background(), db.ServerConfig{URL: os.Getenv("DATABASE_URL"), Log: log})
	})
	if shared.err != nil {
		t.Fatalf("start the test database: %v", shared.err)
	}
	return shared.server
}

// New opens a database for the test alone, with the current schema and no rows. The test may leave any rows and tables
// behind, but a test that changes the tables of the schema takes an empty database from URL.
func New(t testing.TB) *db.DB {
	t.Helper()
	server := Server(t)
	url, used := takeSpare(), true
	if url == "" {
		url, used = create(t, server.URL), false
	}
	t.Cleanup(func() { giveBack(t, server.URL, url) })
	d := open(t, url)
	if used {
		return d
	}
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate the test database: %v", err)
	}
	return d
}

// URL creates a database with nothing in it, not even a schema, and tells where it is. It is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	server := Server(t)
	url := create(t, server.URL)
	t.Cleanup(func() {
		if err := drop(server.URL, url, engineNow()); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return url
}

// open connects to url and closes the pool when the test ends, before the database is given back.
func open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{Application: "fairgate-test"})
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	shared.mu.Lock()
	shared.engine = d.Engine
	shared.mu.Unlock()
	t.Cleanup(d.Close)
	return d
}

// create makes a database under a random name and tells its URL.
func create(t testing.TB, server string) string {
	t.Helper()
	name := "fairgate_test_" + strings.ToLower(rand.Text()[:12])
	if err := statement(server, `CREATE DATABASE `+name); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("parse the URL of the test server: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// drop takes a database away, on PostgreSQL together with connections that processes of the test left open.
func drop(server, database string, engine db.Engine) error {
	u, err := url.Parse(database)
	if err != nil {
		return fmt.Errorf("parse the URL of a test database: %w", err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if engine == db.CockroachDB {
		return statement(server, `DROP DATABASE IF EXISTS `+name+` CASCADE`)
	}
	return statement(server, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
}

// statement runs one statement on a connection of its own.
func statement(url, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
