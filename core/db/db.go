// Package db is the service's door to its database.
//
// It owns: starting a private server where none is configured (Start), the pool and the detection of the engine (Open),
// the one way to run a transaction (InTx), the schema (Migrate), and group commit (Lane). It refuses: any isolation
// level other than SERIALIZABLE, any engine other than CockroachDB and PostgreSQL 14 or later, and running cockroach-go's
// retry protocol against PostgreSQL.
//
// Concurrency: a DB may be used by any number of goroutines until Close. A Lane has one writer goroutine of its own and
// is closed by whoever made it. A Server belongs to its starter; with Detach off it dies with the process.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"
)

// ErrIsolation means the server would not give SERIALIZABLE transactions.
var ErrIsolation = errors.New("the database does not default to SERIALIZABLE")

// Options are the tunables of Open. The zero value is right for a service of one or two cores.
type Options struct {
	Application     string        // application_name; default "fairgate"
	MaxConns        int           // connections of the pool; default 16
	MinConns        int           // kept open when idle; default 2. Set it to MaxConns before an on-sale
	ConnectTimeout  time.Duration // how long Open retries until the server answers; default 30 s
	ReplicaURL      string        // of a copy for Browse, which may lag; empty: none
	FollowerReads   bool          // Browse reads what the nearest replica has, some seconds old; CockroachDB only
	AcquireTimeout  time.Duration // longest wait for a free connection; default 5 s
	MaxRetries      int           // of one transaction after its first attempt; default 100
	RetryBackoff    time.Duration // mean wait before the first retry, doubling; default 1 ms
	RetryBackoffMax time.Duration // longest mean wait between retries; default 100 ms
	Log             *slog.Logger  // default: discarded
}

func (o Options) withDefaults() Options {
	if o.Application == "" {
		o.Application = "fairgate"
	}
	if o.MaxConns <= 0 {
		o.MaxConns = 16
	}
	if o.MinConns <= 0 {
		o.MinConns = 2
	}
	o.MinConns = min(o.MinConns, o.MaxConns)
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	if o.AcquireTimeout <= 0 {
		o.AcquireTimeout = 5 * time.Second
	}
	if o.MaxRetries <= 0 {
		o.MaxRetries = 100
	}
	if o.RetryBackoff <= 0 {
		o.RetryBackoff = time.Millisecond
	}
	if o.RetryBackoffMax <= 0 {
		o.RetryBackoffMax = 100 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// DB is two pools of connections to one database. Those of Pool are SERIALIZABLE and for InTx. Those of Reader refuse to
// write and are for single statements that read outside a transaction: on PostgreSQL they see one committed snapshot and
// never fail with a serialization failure, which even a lone SELECT may under SERIALIZABLE; CockroachDB retries those itself.
type DB struct {
	Pool    *pgxpool.Pool
	Reader  *pgxpool.Pool
	Engine  Engine
	Version string // what the server answered to version()

	browsing      *pgxpool.Pool // of Browse; Reader when there is none of its own
	copyDownUntil atomic.Int64  // Unix nanoseconds
	policy        retryPolicy
	log           *slog.Logger
}

// Open connects to the database at url, waiting for it up to ConnectTimeout, finds out which engine it is, and checks
// that transactions are SERIALIZABLE.
func Open(ctx context.Context, url string, opt Options) (*DB, error) {
	opt = opt.withDefaults()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	engine, version, err := connectFirst(ctx, config.ConnConfig, opt)
	if err != nil {
		return nil, err
	}
	for key, value := range engine.sessionParams(opt.Application) {
		config.ConnConfig.RuntimeParams[key] = value
	}
	config.MaxConns = int32(opt.MaxConns)
	config.MinConns = int32(opt.MinConns)
	// Connections are renewed with jitter so that they follow the nodes of a cluster and never all expire at once.
	config.MaxConnLifetime = 20 * time.Minute
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	// Without it pgx writes and reads each uuid.UUID as text, which took a sixth of a busy core's time.
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		pgxuuid.Register(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the pool: %w", err)
	}
	reading := config.Copy()
	for key, value := range engine.readerParams() {
		reading.ConnConfig.RuntimeParams[key] = value
	}
	reader, err := pgxpool.NewWithConfig(ctx, reading)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the reading pool: %w", err)
	}
	browsing, err := openBrowsing(ctx, engine, config, reader, opt)
	if err != nil {
		reader.Close()
		pool.Close()
		return nil, err
	}
	d := &DB{
		Pool: pool, Reader: reader, browsing: browsing, Engine: engine, Version: version, log: opt.Log,
		policy: retryPolicy{
			retries: opt.MaxRetries, base: opt.RetryBackoff, ceiling: opt.RetryBackoffMax,
			acquire: opt.AcquireTimeout, rollback: 5 * time.Second,
		},
	}
	if err := d.checkIsolation(ctx); err != nil {
		d.Close()
		return nil, err
	}
	opt.Log.Info("database connected", "engine", string(engine), "version", version,
		"host", config.ConnConfig.Host, "port", config.ConnConfig.Port, "database", config.ConnConfig.Database)
	return d, nil
}

// connectFirst makes the first connection, with retries, and detects the engine.
func connectFirst(ctx context.Context, config *pgx.ConnConfig, opt Options) (Engine, string, error) {
	deadline := time.Now().Add(opt.ConnectTimeout)
	bounded, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	wait := retryPolicy{base: 50 * time.Millisecond, ceiling: time.Second}
	for n := 0; ; n++ {
		engine, version, err := connectOnce(bounded, config)
		if err == nil {
			return engine, version, nil
		}
		if pg := pgErrorOf(err); errors.Is(err, ErrEngine) || pg != nil && !outageCode(pg.Code) {
			return "", "", fmt.Errorf("connect to the database: %w", err) // waiting would not help
		}
		if n == 0 {
			opt.Log.Info("waiting for the database", "host", config.Host, "port", config.Port, "error", err.Error())
		}
		if waitErr := wait.wait(bounded, n); waitErr != nil {
			return "", "", fmt.Errorf("%w: gave up after %s: %w", ErrUnavailable, opt.ConnectTimeout, err)
		}
	}
}

func connectOnce(ctx context.Context, config *pgx.ConnConfig) (Engine, string, error) {
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return "", "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return detect(ctx, conn)
}

// checkIsolation proves on a connection of the pool that the default is SERIALIZABLE.
func (d *DB) checkIsolation(ctx context.Context) error {
	var level string
	if err := d.Pool.QueryRow(ctx, sqlDefaultIsolation).Scan(&level); err != nil {
		return fmt.Errorf("ask for the default isolation: %w", err)
	}
	if level != "serializable" {
		return fmt.Errorf("%w: it answers %q", ErrIsolation, level)
	}
	return nil
}

// sqlNow reads the clock itself: now() stands still inside a transaction.
const sqlNow = `SELECT clock_timestamp()`

// Now is the database's clock, the only one expiry is decided by.
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	if err := d.Reader.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
		return time.Time{}, outageOf(fmt.Errorf("read the database clock: %w", err))
	}
	return now.UTC(), nil
}

// Reading runs fn, which only reads and only from Reader, again when the connection it got turned out to be dead, as all
// those that were idle when the server went away do.
func (d *DB) Reading(ctx context.Context, fn func() error) error {
	for dead := int32(0); ; dead++ {
		err := fn()
		var connect *pgconn.ConnectError
		switch {
		case err == nil || !IsUnavailable(err) && !pgconn.SafeToRetry(err) || ctx.Err() != nil:
			return err
		case dead >= d.Reader.Config().MaxConns || errors.As(err, &connect):
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// Exec runs one statement that writes, in a transaction of its own, with the retries and the outcomes of InTx.
func (d *DB) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err = tx.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Close waits for connections in use and closes the pools.
func (d *DB) Close() {
	if d.browsing != d.Reader {
		d.browsing.Close()
	}
	d.Reader.Close()
	d.Pool.Close()
}
