package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationName is NNNN_name.sql; a name ending in _cockroach is for CockroachDB alone.
var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

// ErrNotOwner means that the schema is not up to date and that the role in use may not change it.
var ErrNotOwner = errors.New("the database's role may not change the schema")

// migrateAttempts bounds how often one statement is tried again when another runner is at the same statement.
const migrateAttempts = 20

const (
	sqlCreateSchemaMigrations = `CREATE TABLE IF NOT EXISTS schema_migrations (
    version    INT8        NOT NULL PRIMARY KEY,
    name       TEXT        NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)`
	sqlAppliedVersions = `SELECT version FROM schema_migrations ORDER BY version`
	sqlRecordMigration = `INSERT INTO schema_migrations (version, name) VALUES ($1, $2) ON CONFLICT (version) DO NOTHING`
)

// Applied is one migration that this run brought in.
type Applied struct {
	Version    int64
	Name       string
	Statements int
	Took       time.Duration
}

// migration is one file, split into statements.
type migration struct {
	version    int64
	name       string
	statements []string
}

// Migrate brings the schema up to date and says what it applied; on a current schema it does nothing. Each statement is
// idempotent and runs in an implicit transaction of its own, and a version is recorded after its last statement, so a
// run that died half-way is simply run again and several may run at once without a lock.
func (d *DB) Migrate(ctx context.Context) ([]Applied, error) {
	migrations, err := loadMigrations(migrationFiles, d.Engine)
	if err != nil {
		return nil, err
	}
	// A role that may not make tables can still find that there is none to make.
	known, err := d.appliedVersions(ctx)
	if pg := pgErrorOf(err); pg != nil && pg.Code == codeUndefinedTable {
		if err := d.runDDL(ctx, sqlCreateSchemaMigrations); err != nil {
			return nil, fmt.Errorf("create schema_migrations: %w", err)
		}
		known, err = d.appliedVersions(ctx)
	}
	if err != nil {
		return nil, err
	}
	var applied []Applied
	for _, m := range migrations {
		if slices.Contains(known, m.version) {
			continue
		}
		started := time.Now()
		for i, statement := range m.statements {
			if err := d.runDDL(ctx, statement); err != nil {
				if pg := pgErrorOf(err); pg != nil && pg.Code == codePrivilege {
					err = fmt.Errorf("%w: run ticketctl migrate as the database's owner: %w", ErrNotOwner, err)
				}
				return applied, fmt.Errorf("migration %04d_%s, statement %d: %w", m.version, m.name, i+1, err)
			}
		}
		first, err := d.recordMigration(ctx, m)
		if err != nil {
			return applied, fmt.Errorf("record migration %04d_%s: %w", m.version, m.name, err)
		}
		if first { // else another runner recorded it first
			applied = append(applied, Applied{Version: m.version, Name: m.name, Statements: len(m.statements), Took: time.Since(started)})
			d.log.Info("migration applied", "version", m.version, "name", m.name, "statements", len(m.statements))
		}
	}
	return applied, nil
}

// runDDL runs one idempotent statement. Two runners at the same IF NOT EXISTS may both find nothing and collide in the
// catalog; the loser tries again and then finds it there.
func (d *DB) runDDL(ctx context.Context, statement string) error {
	for n := 0; ; n++ {
		_, err := d.Pool.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol) // nothing to prepare or cache
		if err == nil {
			return nil
		}
		if n+1 >= migrateAttempts || !isCatalogCollision(err) {
			return outageOf(err)
		}
		if waitErr := d.policy.wait(ctx, n); waitErr != nil {
			return waitErr
		}
	}
}

// isCatalogCollision recognises how the loser of two concurrent CREATE … IF NOT EXISTS is told.
func isCatalogCollision(err error) bool {
	pg := pgErrorOf(err)
	if pg == nil {
		return false
	}
	switch pg.Code {
	case codeSerialization, codeDeadlock, codeUniqueViolation,
		"42P07", // duplicate_table, also of an index
		"42710", // duplicate_object, also of a type
		"42701": // duplicate_column
		return true
	}
	return pg.Code == "XX000" && strings.Contains(pg.Message, "tuple concurrently updated")
}

func (d *DB) appliedVersions(ctx context.Context) ([]int64, error) {
	rows, err := d.Pool.Query(ctx, sqlAppliedVersions)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	defer rows.Close()
	var versions []int64
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("read applied migrations: %w", err)
		}
		versions = append(versions, v)
	}
	return versions, rows.Err()
}

// recordMigration tells whether this run was the first to record it.
func (d *DB) recordMigration(ctx context.Context, m migration) (bool, error) {
	for n := 0; ; n++ {
		tag, err := d.Pool.Exec(ctx, sqlRecordMigration, m.version, m.name)
		if err == nil {
			return tag.RowsAffected() == 1, nil
		}
		if n+1 >= migrateAttempts || !isRetryable(err) {
			return false, err
		}
		if waitErr := d.policy.wait(ctx, n); waitErr != nil {
			return false, waitErr
		}
	}
}

// loadMigrations reads the files meant for the engine, in order of version.
func loadMigrations(files fs.FS, engine Engine) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	var out []migration
	for _, file := range names {
		match := migrationName.FindStringSubmatch(path.Base(file))
		if match == nil {
			return nil, fmt.Errorf("migration %s: the name must look like 0001_name.sql", file)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", file, err)
		}
		version, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", file, err)
		}
		if len(out) > 0 && out[len(out)-1].version == version {
			return nil, fmt.Errorf("migration %s: version %d is used twice", file, version)
		}
		statements, err := splitStatements(string(text))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", file, err)
		}
		if !engine.runsMigration(file) {
			continue
		}
		out = append(out, migration{version: version, name: match[2], statements: statements})
	}
	return out, nil
}

// createTable finds the name of the table a statement creates.
var createTable = regexp.MustCompile(`(?i)^CREATE TABLE IF NOT EXISTS (\w+)`)

// Tables are the names of all tables that the common migrations create, sorted; without schema_migrations.
func Tables() ([]string, error) {
	migrations, err := loadMigrations(migrationFiles, PostgreSQL)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range migrations {
		for _, statement := range m.statements {
			if match := createTable.FindStringSubmatch(statement); match != nil {
				names = append(names, match[1])
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// splitStatements cuts a migration into statements. Comments start with -- and are dropped; a statement ends with a
// semicolon at the end of a line.
func splitStatements(text string) ([]string, error) {
	var out []string
	var statement strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(stripComment(line), " \t\r\n")
		if line == "" {
			continue
		}
		body, ends := strings.CutSuffix(line, ";")
		statement.WriteString(body)
		if ends {
			out = append(out, strings.TrimSpace(statement.String()))
			statement.Reset()
			continue
		}
		statement.WriteByte('\n')
	}
	if rest := strings.TrimSpace(statement.String()); rest != "" {
		return nil, fmt.Errorf("the last statement has no ; at the end of its line: %.60q", rest)
	}
	return out, nil
}

// stripComment cuts a line at the first -- that is not inside a quoted string.
func stripComment(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(line[i:], "--"):
			return line[:i]
		}
	}
	return line
}
