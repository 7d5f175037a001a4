package db

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Everything that differs between the two engines is decided in this file.

// Engine is the database product behind the connection.
type Engine string

// The engines the service runs on.
const (
	CockroachDB Engine = "CockroachDB"
	PostgreSQL  Engine = "PostgreSQL"
)

// ErrEngine means the server is neither CockroachDB nor a PostgreSQL that is recent enough.
var ErrEngine = errors.New("unsupported database engine")

// minPostgreSQL is the oldest major version the SQL is written for.
const minPostgreSQL = 14

const (
	sqlVersion          = `SELECT version()`
	sqlDefaultIsolation = `SHOW default_transaction_isolation`
)

// engineOf reads the engine out of the text of version().
func engineOf(version string) (Engine, error) {
	switch {
	case strings.HasPrefix(version, "CockroachDB "):
		return CockroachDB, nil
	case strings.HasPrefix(version, "PostgreSQL "):
		var major int
		if _, err := fmt.Sscanf(version, "PostgreSQL %d", &major); err != nil {
			return "", fmt.Errorf("%w: cannot read a version number from %q", ErrEngine, version)
		}
		if major < minPostgreSQL {
			return "", fmt.Errorf("%w: %q is older than PostgreSQL %d", ErrEngine, version, minPostgreSQL)
		}
		return PostgreSQL, nil
	default:
		return "", fmt.Errorf("%w: version() answered %q; want CockroachDB or PostgreSQL %d or later", ErrEngine, version, minPostgreSQL)
	}
}

// detect asks the server what it is.
func detect(ctx context.Context, conn *pgx.Conn) (Engine, string, error) {
	var version string
	if err := conn.QueryRow(ctx, sqlVersion).Scan(&version); err != nil {
		return "", "", fmt.Errorf("ask for the server's version: %w", err)
	}
	engine, err := engineOf(version)
	return engine, version, err
}

// sessionParams are the run-time parameters every connection of the pool starts with.
//
// On PostgreSQL sequential scans are discouraged: under SERIALIZABLE a sequential scan takes a predicate lock on the
// whole table, so that every concurrent writer of it conflicts and has to retry, whereas an index scan locks the rows
// and index pages it read. Tables of a sale are small at first, which is just when the planner likes to scan them.
func (e Engine) sessionParams(application string) map[string]string {
	params := map[string]string{
		"application_name":              application,
		"default_transaction_isolation": "serializable",
		"timezone":                      "UTC",
	}
	if e == PostgreSQL {
		params["enable_seqscan"] = "off"
	}
	return params
}

// readerParams are what connections that only read have besides.
func (e Engine) readerParams() map[string]string {
	params := map[string]string{"default_transaction_read_only": "on"}
	if e == PostgreSQL {
		params["default_transaction_isolation"] = "repeatable read"
	}
	return params
}

// browserParams are what connections that read an older copy have besides those of readers. On CockroachDB every statement of theirs
// then reads AS OF SYSTEM TIME follower_read_timestamp(), from whichever replica is near. ok is false where there is no such thing.
func (e Engine) browserParams(followers bool) (params map[string]string, ok bool) {
	switch {
	case !followers:
		return nil, true
	case e == CockroachDB:
		return map[string]string{"default_transaction_use_follower_reads": "on"}, true
	}
	return nil, false
}

// runTx runs one transaction to its end in the way the engine wants it. CockroachDB always runs it SERIALIZABLE.
func (e Engine) runTx(ctx context.Context, pool *pgxpool.Pool, level pgx.TxIsoLevel, policy retryPolicy, fn func(context.Context, pgx.Tx) error) error {
	if e == CockroachDB {
		return runCockroach(ctx, pool, policy, fn)
	}
	return runPostgres(ctx, pool, level, policy, fn)
}

// runsMigration tells whether a migration file is meant for the engine.
func (e Engine) runsMigration(file string) bool {
	return e == CockroachDB || !strings.HasSuffix(file, "_cockroach.sql")
}
