// Package dbtest gives tests a real database, fresh and migrated, one per test.
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
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// shared is the one server of the test binary.
var shared struct {
	once   sync.Once
	server *db.Server
	engine atomic.Value // db.Engine
	err    error
}

// Main runs the tests of a package, stops the server they used and exits. Where they ran on PostgreSQL only, it says so.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if err := shared.server.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test database:", err)
			code = max(code, 1)
		}
		cancel()
		if engine := shared.engine.Load(); engine != nil && engine != db.CockroachDB {
			fmt.Println("NOT RUN ON COCKROACHDB: these tests ran on", engine)
		}
	}
	os.Exit(code)
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

// New opens a database of its own for the test, with the current schema, and drops it when the test ends.
func New(t testing.TB) *db.DB {
	t.Helper()
	d := open(t, URL(t))
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatalf("migrate the test database: %v", err)
	}
	return d
}

// URL creates an empty database for the test, dropped when the test ends, and tells where it is. It is for tests that
// start processes of their own.
func URL(t testing.TB) string {
	t.Helper()
	server := Server(t)
	name := "fairgate_test_" + strings.ToLower(rand.Text()[:12])
	admin(t, server.URL, `CREATE DATABASE `+name)
	t.Cleanup(func() { dropDatabase(t, server.URL, name) })
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatalf("parse the URL of the test database: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// open connects to url and closes the pool when the test ends, before the database is dropped.
func open(t testing.TB, url string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), url, db.Options{Application: "fairgate-test"})
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	shared.engine.Store(d.Engine)
	t.Cleanup(d.Close)
	return d
}

// admin runs one statement on the server's own database.
func admin(t testing.TB, url, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect to the test server: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// dropDatabase takes the test's database away together with connections that processes of the test left open.
func dropDatabase(t testing.TB, url, name string) {
	t.Helper()
	if shared.engine.Load() == db.CockroachDB {
		admin(t, url, `DROP DATABASE IF EXISTS `+name+` CASCADE`)
		return
	}
	admin(t, url, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
}
