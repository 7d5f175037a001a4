package db_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// The test binary runs itself in two parts, told by this variable: as a process that starts a server and is then killed,
// and as a cockroach binary.
const partVariable = "FAIRGATE_DB_TEST_PART"

func startedBy(t *testing.T, dir string, detach bool) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), partVariable+"=starter", "STARTER_DIR="+dir, "STARTER_DETACH="+strconv.FormatBool(detach))
	cmd.Stderr = os.Stderr
	return cmd
}

// playStarter starts a server, says where, and waits to be killed.
func playStarter() {
	server, err := db.Start(context.Background(), db.ServerConfig{DataDir: os.Getenv("STARTER_DIR"), Detach: os.Getenv("STARTER_DETACH") == "true"})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(server.URL)
	select {}
}

// privateDir is a data folder that PostgreSQL's unprivileged user can reach: those of t.TempDir lie under a closed one.
func privateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fairgate-db-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// usedDir is one data folder for all tests that only start and stop what is in it, made once since initdb takes seconds.
// These tests do not run in parallel, and each leaves it without a running server.
var usedDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fairgate-db-test-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
})

func sharedDir(t *testing.T) string {
	t.Helper()
	needPostgres(t)
	dir, err := usedDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// needPostgres skips where tests run against something else; the folder's own tests must not fail for that.
func needPostgres(t *testing.T) {
	t.Helper()
	if os.Getenv("COCKROACH_BINARY") != "" {
		t.Skip("COCKROACH_BINARY is set: Start would choose CockroachDB")
	}
	if _, err := exec.LookPath("cockroach"); err == nil {
		t.Skip("cockroach is on the PATH: Start would choose it")
	}
}

func mustStart(t *testing.T, cfg db.ServerConfig) *db.Server {
	t.Helper()
	server, err := db.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return server
}

func run(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false
	}
	conn.Close(ctx)
	return true
}

// postmaster reads the server's process id from its data folder.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgresql", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}

func gone(pid int) func() bool {
	return func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
}

func TestAPrivateServerKeepsItsDataAndItsSettings(t *testing.T) {
	dir := sharedDir(t)
	server, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !server.Private || server.Engine != db.PostgreSQL {
		t.Errorf("got %+v, want a private PostgreSQL", server)
	}
	run(t, server.URL, `CREATE TABLE kept_stopped (n INT8 PRIMARY KEY)`)
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "200",
		"shared_buffers": "256MB", "max_pred_locks_per_transaction": "1024", "max_pred_locks_per_page": "64",
		"listen_addresses": "127.0.0.1", "data_checksums": "on", "password_encryption": "scram-sha-256",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", setting, got, err, want)
		}
	}
	conn.Close(t.Context())
	pid := postmaster(t, dir)
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid == syscall.Getpgrp() {
		t.Errorf("the server is in our process group (%d, %v): a Ctrl-C would hit it", pgid, err)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !gone(pid)() {
		t.Error("Stop returned before the server was gone")
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
	again := mustStart(t, db.ServerConfig{DataDir: dir})
	run(t, again.URL, `INSERT INTO kept_stopped VALUES (1)`)
}

func TestAServerThatWasKilledStartsAgainOnItsData(t *testing.T) {
	dir := sharedDir(t)
	server := mustStart(t, db.ServerConfig{DataDir: dir})
	run(t, server.URL, `CREATE TABLE kept_killed (n INT8 PRIMARY KEY)`)
	pid := postmaster(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server is gone", gone(pid))
	// Its number may since belong to another program: ours stands for it.
	pidFile := filepath.Join(dir, "postgresql", "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal("a killed server should have left its pid file behind:", err)
	}
	text = []byte(strings.Replace(string(text), strconv.Itoa(pid), strconv.Itoa(os.Getpid()), 1))
	if err := os.WriteFile(pidFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again := mustStart(t, db.ServerConfig{DataDir: dir})
	run(t, again.URL, `INSERT INTO kept_killed VALUES (1)`)
}

func TestAServerDiesWithAProcessThatIsKilled(t *testing.T) {
	dir := sharedDir(t)
	url, kill := runStarter(t, dir, false)
	pid := postmaster(t, dir)
	if !answers(url) {
		t.Fatal("the server does not answer")
	}
	kill()
	eventually(t, "the orphan has ended", gone(pid))
}

func TestAServerStartsWhileTheOneOfAKilledProcessIsStillStopping(t *testing.T) {
	dir := sharedDir(t)
	_, kill := runStarter(t, dir, false)
	pid := postmaster(t, dir)
	kill()
	again := mustStart(t, db.ServerConfig{DataDir: dir})
	eventually(t, "the orphan has ended", gone(pid))
	if !answers(again.URL) {
		t.Error("the new server does not answer")
	}
}

func TestADetachedServerOutlivesItsStarterAndIsFoundAgain(t *testing.T) {
	dir := sharedDir(t)
	url, kill := runStarter(t, dir, true)
	pid := postmaster(t, dir)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGQUIT) })
	kill()
	time.Sleep(300 * time.Millisecond)
	if !answers(url) {
		t.Fatal("the detached server ended with its starter")
	}
	guest, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir})
	if err != nil || guest.URL != url || !guest.Private {
		t.Fatalf("a second Start gave %+v, %v; want to be attached to the running server", guest, err)
	}
	if err := guest.Stop(t.Context()); err != nil || !answers(url) {
		t.Fatalf("a guest's Stop stopped somebody else's server (%v)", err)
	}
	owner, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir, Detach: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !gone(pid)() {
		t.Error("Stop did not stop the detached server")
	}
}

func runStarter(t *testing.T, dir string, detach bool) (url string, kill func()) {
	t.Helper()
	cmd := startedBy(t, dir, detach)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("the starter said %q, %v", line, err)
	}
	return strings.TrimSpace(line), kill
}

func TestTwoStartsAtOnceInOneFolderShareOneServer(t *testing.T) {
	needPostgres(t)
	dir := privateDir(t)
	writeFile(t, filepath.Join(dir, "postgresql.new", "half"), "the remains of an initdb that died")
	type result struct {
		server *db.Server
		err    error
	}
	results := make(chan result)
	for range 2 {
		go func() {
			server, err := db.Start(context.Background(), db.ServerConfig{DataDir: dir})
			results <- result{server, err}
		}()
	}
	a, b := <-results, <-results
	for _, r := range []result{a, b} {
		if r.err != nil {
			t.Fatal(r.err)
		}
		t.Cleanup(func() { _ = r.server.Stop(context.Background()) })
	}
	if a.server.URL != b.server.URL {
		t.Errorf("two servers: %s and %s", a.server.URL, b.server.URL)
	}
}

func TestATemporaryDataFolderIsRemoved(t *testing.T) {
	needPostgres(t)
	temp := privateDir(t)
	t.Setenv("TMPDIR", temp)
	server, err := db.Start(t.Context(), db.ServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUnusableDataFoldersAreNamedAndLeftAlone(t *testing.T) {
	needPostgres(t)
	t.Run("another version", func(t *testing.T) {
		dir := privateDir(t)
		data := filepath.Join(dir, "postgresql")
		writeFile(t, filepath.Join(data, "PG_VERSION"), "9.6\n")
		_, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir})
		if !errors.Is(err, db.ErrServerVersion) || !strings.Contains(err.Error(), "9.6") {
			t.Errorf("got %v, want ErrServerVersion naming 9.6", err)
		}
	})
	t.Run("something else", func(t *testing.T) {
		dir := privateDir(t)
		file := filepath.Join(dir, "postgresql", "thesis.txt")
		writeFile(t, file, "years of work")
		_, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir})
		if !errors.Is(err, db.ErrDataDir) {
			t.Errorf("got %v, want ErrDataDir", err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "years of work" {
			t.Errorf("the folder was touched: %q, %v", text, err)
		}
	})
	t.Run("closed to the unprivileged user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root runs the server as another user")
		}
		closed := privateDir(t)
		if err := os.Chmod(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := db.Start(t.Context(), db.ServerConfig{DataDir: filepath.Join(closed, "data")})
		if !errors.Is(err, db.ErrDataDir) || !strings.Contains(err.Error(), closed) {
			t.Errorf("got %v, want ErrDataDir naming %s", err, closed)
		}
	})
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAConfiguredURLIsUsedAndNeverStopped(t *testing.T) {
	const url = "postgres://somewhere/else"
	server, err := db.Start(t.Context(), db.ServerConfig{URL: url})
	if err != nil || server.URL != url || server.Private {
		t.Fatalf("got %+v, %v", server, err)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestACockroachBinaryIsPreferredAndStartedAsItsManualSays(t *testing.T) {
	dir := privateDir(t)
	binary := fakeCockroach(t, dir)
	server, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir, CockroachBinary: binary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	if server.Engine != db.CockroachDB || !server.Private || !strings.HasSuffix(server.URL, "/fairgate?sslmode=disable") {
		t.Errorf("got %+v", server)
	}
	text, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Fields(string(text))
	conn, err := pgx.ParseConfig(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"start-single-node", "--insecure", fmt.Sprintf("--listen-addr=127.0.0.1:%d", conn.Port),
		"--http-addr=127.0.0.1:0", "--store=" + filepath.Join(dir, "cockroach"),
	}
	if !slices.Equal(args, want) {
		t.Errorf("the command line was\n%q, want\n%q", args, want)
	}
	d, err := db.Open(t.Context(), server.URL+"&default_query_exec_mode=simple_protocol", db.Options{})
	if err != nil || d.Engine != db.CockroachDB {
		t.Fatalf("open: %+v, %v", d, err)
	}
	d.Close()
	guest, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir, CockroachBinary: binary})
	if err != nil || guest.URL != server.URL {
		t.Errorf("a second Start gave %+v, %v; want to be attached", guest, err)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answers(server.URL) {
		t.Error("the node still answers after Stop")
	}
}

func TestACockroachBinaryThatFailsIsQuoted(t *testing.T) {
	dir := privateDir(t)
	binary := filepath.Join(dir, "cockroach-broken")
	writeFile(t, binary, "#!/bin/sh\necho 'ERROR: store is on fire' >&2\nexit 1\n")
	if err := os.Chmod(binary, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := db.Start(t.Context(), db.ServerConfig{DataDir: dir, CockroachBinary: binary})
	if err == nil || !strings.Contains(err.Error(), "store is on fire") {
		t.Errorf("got %v, want the node's own words", err)
	}
	_, err = db.Start(t.Context(), db.ServerConfig{DataDir: dir, CockroachBinary: filepath.Join(dir, "nowhere")})
	if !errors.Is(err, db.ErrNoServer) {
		t.Errorf("a configured binary that does not exist: got %v, want ErrNoServer", err)
	}
}

// fakeCockroach is a script that notes its command line and becomes the scripted wire server.
func fakeCockroach(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "cockroach-fake")
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" > '%s/args'\n%s=cockroach exec '%s' \"$@\"\n", dir, partVariable, os.Args[0])
	writeFile(t, binary, script)
	if err := os.Chmod(binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return binary
}

// playCockroach serves the scripted protocol at --listen-addr until it is told to end.
func playCockroach(args []string) {
	for _, arg := range args {
		if address, ok := strings.CutPrefix(arg, "--listen-addr="); ok {
			serveWire(address, cockroachVersion)
		}
	}
	os.Exit(2)
}
