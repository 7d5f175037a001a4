package dbtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Creating a database costs PostgreSQL a thousand new files, close to a second here, so databases are emptied and used
// again. A test that changes the schema takes its database from URL; one whose tables are not exactly those of the schema is dropped instead, and so is one that cannot be emptied.

func engineNow() db.Engine {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	return shared.engine
}

func takeSpare() string {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if len(shared.spare) == 0 {
		return ""
	}
	last := len(shared.spare) - 1
	url := shared.spare[last]
	shared.spare = shared.spare[:last]
	return url
}

// giveBack empties a database for the next test, or drops it.
func giveBack(t testing.TB, server, url string) {
	t.Helper()
	engine := engineNow()
	if engine == db.PostgreSQL && empty(url) == nil {
		shared.mu.Lock()
		shared.spare = append(shared.spare, url)
		shared.mu.Unlock()
		return
	}
	if err := drop(server, url, engine); err != nil {
		t.Errorf("drop the test database: %v", err)
	}
}

// empty ends every other connection to the database and removes all rows, in PostgreSQL's own words.
func empty(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		return fmt.Errorf("end other connections: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'schema_migrations' ORDER BY table_name`)
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	known, err := db.Tables()
	if err != nil {
		return err
	}
	if !slices.Equal(tables, known) {
		return fmt.Errorf("the test changed the tables to %v", tables)
	}
	return truncate(ctx, conn, tables)
}

// truncate empties those of the tables that have a row; each truncated one costs new files.
func truncate(ctx context.Context, conn *pgx.Conn, tables []string) error {
	var probes []string
	for _, table := range tables {
		probes = append(probes, `SELECT '`+table+`' WHERE EXISTS (SELECT 1 FROM `+table+`)`)
	}
	rows, err := conn.Query(ctx, strings.Join(probes, ` UNION ALL `))
	if err != nil {
		return fmt.Errorf("look for rows: %w", err)
	}
	used, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(used) == 0 {
		return err
	}
	if _, err := conn.Exec(ctx, `TRUNCATE `+strings.Join(used, ", ")); err != nil {
		return fmt.Errorf("empty the tables: %w", err)
	}
	return nil
}
