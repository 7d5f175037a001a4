package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

const (
	postgresUser     = "fairgate"
	postgresDatabase = "fairgate"
)

const sqlPostgresReady = `SELECT 1`

// postgresFolders are where distributions keep the server's binaries outside the PATH.
var postgresFolders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"}

// findPostgres returns the folder with initdb and postgres: the one on the PATH, the newest version in the folders, or
// what pg_config says; empty if there is none.
func findPostgres(ctx context.Context, folders []string) string {
	var candidates []string
	if initdb := findBinary("initdb"); initdb != "" {
		candidates = append(candidates, filepath.Dir(initdb))
	}
	var versioned []string
	for _, pattern := range folders {
		if found, err := filepath.Glob(pattern); err == nil {
			versioned = append(versioned, found...)
		}
	}
	slices.SortStableFunc(versioned, func(a, b string) int { return cmp.Compare(majorIn(b), majorIn(a)) })
	candidates = append(candidates, versioned...)
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(out)))
	}
	for _, dir := range candidates {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

// majorIn reads the version number in a path like /usr/lib/postgresql/15/bin.
func majorIn(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.Atoi(digits[len(digits)-1])
	if err != nil {
		return 0
	}
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// instance is one private PostgreSQL in its folder.
type instance struct {
	bin  string
	dir  string // parent of everything: data, log, password
	data string
	user *unprivileged // nil unless we are root
	log  *slog.Logger
}

// startPostgres starts the instance in dir, creating it first if it is not there.
func startPostgres(ctx context.Context, bin, dir string, detach bool, log *slog.Logger) (*Server, error) {
	in := &instance{bin: bin, dir: dir, data: filepath.Join(dir, "postgresql"), log: log}
	if os.Geteuid() == 0 {
		u, err := findUnprivileged()
		if err != nil {
			return nil, err
		}
		if err := u.mayEnter(dir); err != nil {
			return nil, err
		}
		in.user = u
	}
	fresh, err := in.prepare(ctx)
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(in.passwordFile())
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds a database but its password cannot be read: %w", ErrDataDir, dir, err)
	}
	if !fresh {
		if server := in.attach(ctx, string(password), detach); server != nil {
			return server, nil
		}
	}
	var last error
	for range portAttempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		server, err := in.start(ctx, port, string(password), detach)
		if err == nil {
			return server, nil
		}
		if last = err; !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
		log.Info("the port was taken meanwhile, trying another", "port", port)
	}
	return nil, last
}

func (in *instance) passwordFile() string { return filepath.Join(in.dir, "postgresql.password") }
func (in *instance) logFile() string      { return filepath.Join(in.dir, "postgresql.log") }

// command builds a command that runs as the unprivileged user when we are root.
func (in *instance) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(in.bin, name), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // initdb then clears away what it made
	cmd.WaitDelay = killTimeout
	cmd.Dir = in.dir // the caller's folder may be closed to the user
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if in.user != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: in.user.uid, Gid: in.user.gid}
	}
	return cmd
}

// own gives a path to the unprivileged user when there is one.
func (in *instance) own(path string) error {
	if in.user == nil {
		return nil
	}
	return os.Lchown(path, int(in.user.uid), int(in.user.gid))
}

// start runs the server on a port and makes sure the database exists.
func (in *instance) start(ctx context.Context, port int, password string, detach bool) (*Server, error) {
	logFile, err := os.OpenFile(in.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	defer logFile.Close()
	before, err := logFile.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	cmd := in.command(context.WithoutCancel(ctx), "postgres", in.settings(port)...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	in.log.Info("starting a private PostgreSQL", "binaries", in.bin, "data_dir", in.data, "port", port)
	c, err := spawn(cmd, detach, syscall.SIGINT, syscall.SIGQUIT)
	if err != nil {
		return nil, err
	}
	err = waitReady(ctx, c, postgresURL(password, port, "postgres"), sqlPostgresReady)
	if err == nil {
		err = createDatabase(ctx, postgresURL(password, port, "postgres"))
	}
	if err != nil {
		stopErr := c.stop(ctx)
		text := tail(in.logFile(), before)
		if strings.Contains(text, "Address already in use") {
			err = fmt.Errorf("%w: %w", syscall.EADDRINUSE, err)
		}
		return nil, errors.Join(fmt.Errorf("%w; %s ends: %s", err, in.logFile(), text), stopErr)
	}
	in.log.Info("the private PostgreSQL answers", "pid", c.pid, "port", port)
	return &Server{URL: postgresURL(password, port, postgresDatabase), child: c}, nil
}

// settings is the command line of the server. Durability is never traded away: figures measured on it are honest.
func (in *instance) settings(port int) []string {
	args := []string{"-D", in.data}
	for _, setting := range []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=" + in.socketDir(),
		"max_connections=200",
		"shared_buffers=256MB",
		"fsync=on",
		"synchronous_commit=on",
		"full_page_writes=on",
		// A batch of 500 holds touches thousands of rows. With room for them predicate locks stay on rows; without it they
		// are widened to pages and tables, and transactions that have nothing to do with each other conflict.
		"max_pred_locks_per_transaction=1024",
		"max_pred_locks_per_relation=65536",
		"max_pred_locks_per_page=64",
		"max_wal_size=2GB",
		"min_wal_size=256MB",
		"checkpoint_completion_target=0.9",
		"wal_compression=on",
		"default_transaction_isolation=serializable",
		"timezone=UTC",
		"log_timezone=UTC",
		"lc_messages=C",
		"log_destination=stderr",
		"logging_collector=off",
		"log_line_prefix=%m [%p] ",
		"log_min_messages=log", // leaves errors to the client: serialization failures are routine and would fill the log
		"jit=off",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// socketDir is the data folder, or nothing where its path is too long for a socket's address (107 bytes on Linux, less
// elsewhere). All connections use TCP on loopback.
func (in *instance) socketDir() string {
	if len(in.data)+len("/.s.PGSQL.65535.lock") > 100 {
		return ""
	}
	return in.data
}

const (
	sqlPostgresHasDatabase    = `SELECT count(*) FROM pg_database WHERE datname = 'fairgate'`
	sqlPostgresCreateDatabase = `CREATE DATABASE fairgate`
)

// createDatabase makes the service's database unless it exists; CREATE DATABASE has no IF NOT EXISTS in PostgreSQL.
func createDatabase(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to create the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var n int64
	if err := conn.QueryRow(ctx, sqlPostgresHasDatabase).Scan(&n); err != nil {
		return fmt.Errorf("look for the database: %w", err)
	}
	if n > 0 {
		return nil
	}
	if _, err := conn.Exec(ctx, sqlPostgresCreateDatabase); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

func postgresURL(password string, port int, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(postgresUser, password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}
