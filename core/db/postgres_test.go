package db

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestTheNewestInstalledPostgreSQLIsChosenByNumber(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9", "14", "16"} {
		for _, name := range []string{"initdb", "postgres"} {
			path := filepath.Join(root, version, "bin", name)
			if version == "16" && name == "postgres" {
				continue // only the client programs of 16 are there
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", root) // nothing there
	if got, want := findPostgres(t.Context(), []string{root + "/*/bin"}), filepath.Join(root, "14", "bin"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := findPostgres(t.Context(), []string{root + "/none/*/bin"}); got != "" {
		t.Errorf("got %q where nothing is installed", got)
	}
	t.Setenv("PATH", filepath.Join(root, "9", "bin"))
	if got, want := findPostgres(t.Context(), []string{root + "/*/bin"}), filepath.Join(root, "9", "bin"); got != want {
		t.Errorf("got %q; the PATH, where somebody chose %q, comes first", got, want)
	}
}

func TestAPortThatIsTakenMeanwhileIsToldApart(t *testing.T) {
	bin := findPostgres(t.Context(), postgresFolders)
	if bin == "" {
		t.Skip("no PostgreSQL is installed")
	}
	dir, err := os.MkdirTemp("", "fairgate-db-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	server, err := startPostgres(t.Context(), bin, dir, false, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.child.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	rival, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rival.Close()
	in := &instance{bin: bin, dir: dir, data: filepath.Join(dir, "postgresql"), log: log}
	if os.Geteuid() == 0 {
		if in.user, err = findUnprivileged(); err != nil {
			t.Fatal(err)
		}
	}
	password, err := os.ReadFile(in.passwordFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.start(t.Context(), rival.Addr().(*net.TCPAddr).Port, string(password), false); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want EADDRINUSE", err)
	}
	again, err := startPostgres(t.Context(), bin, dir, false, log)
	if err != nil {
		t.Fatalf("after the failed start: %v", err)
	}
	if err := again.child.stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestPortsOfPrivateServersLieBelowTheEphemeralRange(t *testing.T) {
	for range 50 {
		port, err := freePort()
		if err != nil || port < firstPort || port >= lastPort {
			t.Fatalf("got %d, %v", port, err)
		}
	}
}

func TestTheEngineIsReadOutOfItsVersion(t *testing.T) {
	for version, want := range map[string]Engine{
		"PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu": PostgreSQL,
		"PostgreSQL 14.0": PostgreSQL,
		"PostgreSQL 18beta1 on aarch64-apple-darwin":           PostgreSQL,
		"CockroachDB CCL v24.3.1 (x86_64-pc-linux-gnu)":        CockroachDB,
		"CockroachDB OSS v22.1.0 (PostgreSQL 13.0 compatible)": CockroachDB,
		"PostgreSQL 13.9": "",
		"PostgreSQL":      "",
		"8.0.35 MySQL":    "",
	} {
		got, err := engineOf(version)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrEngine) {
			t.Errorf("%q: got %q, %v; want %q", version, got, err, want)
		}
	}
}

func TestOnlyAbandonedTemporaryFoldersAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	long := time.Now().Add(-time.Hour)
	make := func(name, file, text string, age time.Time) string {
		dir := filepath.Join(os.TempDir(), name)
		for path, content := range map[string]string{filepath.Join(dir, startLock): "", filepath.Join(dir, file): text} {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(filepath.Join(dir, startLock), age, age); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	const nobody = "2147483646\n" // no such process
	alive := strconv.Itoa(os.Getpid())
	gone := []string{
		make("fairgate-db-crashed", "postgresql/postmaster.pid", nobody, long),
		make("fairgate-db-stopped", "postgresql/PG_VERSION", "15", long),
		make("fairgate-db-roach", "cockroach.running", "2147483646 postgres://x", long),
	}
	kept := []string{
		make("fairgate-db-running", "postgresql/postmaster.pid", alive+"\n", long),
		make("fairgate-db-roach-running", "cockroach.running", alive+" postgres://x", long),
		make("fairgate-db-young", "postgresql/PG_VERSION", "15", time.Now()),
		make("somebody-elses", "postgresql/postmaster.pid", nobody, long),
		make("fairgate-db-starting", "postgresql/PG_VERSION", "15", long),
	}
	unlock, err := lockDir(t.Context(), filepath.Join(kept[len(kept)-1], startLock))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	made, err := newScrap(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(kept, made) {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s should be there: %v", filepath.Base(dir), err)
		}
	}
	for _, dir := range gone {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s should be gone: %v", filepath.Base(dir), err)
		}
	}
}

func TestOnlyCockroachDBHasFollowerReads(t *testing.T) {
	if params, ok := CockroachDB.browserParams(true); !ok || params["default_transaction_use_follower_reads"] != "on" {
		t.Errorf("CockroachDB: %v, %v", params, ok)
	}
	if params, ok := PostgreSQL.browserParams(true); ok {
		t.Errorf("PostgreSQL: %v", params)
	}
	for _, engine := range []Engine{CockroachDB, PostgreSQL} {
		if params, ok := engine.browserParams(false); !ok || len(params) != 0 {
			t.Errorf("%s, when not asked: %v, %v", engine, params, ok)
		}
	}
}
