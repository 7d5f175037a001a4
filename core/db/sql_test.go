package db_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

// exempt tells whether a file may hold SQL of its own kind: tests and the tools only they use, which talk about one
// engine on purpose.
func exempt(file string) bool {
	return strings.HasPrefix(file, "core/db/") && (strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "core/db/dbtest/"))
}

// besides are files whose SQL need not stand in constants: tests and benchmarks.
func besides(file string) bool {
	return strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "core/db/dbtest/") || strings.Contains(filepath.Base(file), "bench") ||
		strings.Contains(filepath.Dir(file), "bench")
}

func TestNoSQLUsesWhatTheTwoEnginesDoNotShare(t *testing.T) {
	source := readSource(t)
	checked := 0
	for _, text := range source.sqlTexts() {
		if exempt(text.file) {
			continue
		}
		checked++
		for _, offence := range offences(text.sql) {
			if strings.HasSuffix(text.file, "_test.go") && strings.HasPrefix(offence, listColumns) {
				continue // no migration comes between a test and what it reads
			}
			if besides(text.file) && strings.HasPrefix(offence, "SKIP LOCKED") {
				continue // a benchmark shows what it costs
			}
			t.Errorf("%s: %s", text.where, offence)
		}
		if engineOnly.MatchString(plain(text.sql)) {
			t.Errorf("%s: belongs in a migration for CockroachDB alone", text.where)
		}
	}
	if checked < 20 {
		t.Errorf("only %d statements were found in the Go files: the search is broken", checked)
	}
	migrations, err := filepath.Glob(filepath.Join(source.root, "core/db/migrations/*.sql"))
	if err != nil || len(migrations) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, path := range migrations {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(data), ";\n") {
			for _, offence := range offences(statement) {
				t.Errorf("%s: %s", filepath.Base(path), offence)
			}
			if !strings.HasSuffix(path, "_cockroach.sql") && engineOnly.MatchString(plain(statement)) {
				t.Errorf("%s: belongs in a migration for CockroachDB alone: %.60q", filepath.Base(path), statement)
			}
		}
	}
	t.Logf("%d statements in Go files and %d migrations", checked, len(migrations))
}

// Every statement stands in a package-level constant named sql…, beside the function that runs it: that is how the next
// test finds all of them.
func TestEveryStatementStandsInAConstant(t *testing.T) {
	source := readSource(t)
	found := 0
	for _, text := range source.sqlTexts() {
		switch {
		case besides(text.file):
		case text.constant == "":
			t.Errorf("%s: this SQL is not a package-level constant: %.60q", text.where, text.sql)
		case !sqlConstant.MatchString(text.constant):
			t.Errorf("%s: constant %s holds SQL, so its name must begin with sql", text.where, text.constant)
		case !looksLikeSQL(text.sql) && plain(text.sql) != "SELECT 1":
			t.Errorf("%s: constant %s is not a whole statement, so its name must not begin with sql", text.where, text.constant)
		default:
			found++
		}
	}
	if found == 0 {
		t.Error("no statement was found: the search is broken")
	}
}

// Preparing a statement makes the server resolve every table, column, function and type in it.
func TestEveryStatementCanBePreparedOnTheSchema(t *testing.T) {
	d := dbtest.New(t)
	conn, err := d.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	prepared := map[string]int{}
	for _, text := range readSource(t).sqlTexts() {
		if besides(text.file) || !sqlConstant.MatchString(text.constant) || otherEngine(text.constant, d.Engine) {
			continue
		}
		if _, err := conn.Conn().PgConn().Prepare(t.Context(), "", text.sql, nil); err != nil {
			t.Errorf("%s: %s: %v", text.where, text.constant, err)
			continue
		}
		top, _, _ := strings.Cut(text.file, "/")
		prepared[top]++
	}
	for _, folder := range []string{"core", "ledger"} {
		if prepared[folder] == 0 {
			t.Errorf("no statement of %s was prepared: the search is broken", folder)
		}
	}
	t.Logf("prepared: %v", prepared)
}

// otherEngine tells whether a constant's name says that it is for the other engine alone.
func otherEngine(constant string, engine db.Engine) bool {
	if engine == db.CockroachDB {
		return strings.Contains(constant, "Postgres")
	}
	return strings.Contains(constant, "Cockroach")
}

func TestTheRulesCatchWhatTheyAreMeantToAndNothingElse(t *testing.T) {
	bad := []string{
		`SELECT pg_advisory_xact_lock(1)`, `SELECT pg_try_advisory_lock($1)`, `LISTEN outbox`, `NOTIFY outbox, 'x'`, `SELECT pg_notify('a', 'b')`,
		`ALTER TABLE a ADD CONSTRAINT b UNIQUE (c) DEFERRABLE INITIALLY DEFERRED`, `CREATE TRIGGER t AFTER INSERT ON a`,
		`CREATE TABLE a (r TSTZRANGE, EXCLUDE USING gist (r WITH &&))`, `CREATE TABLE a (r int8range)`, `CREATE DOMAIN money AS INT8`,
		`MERGE INTO a USING b ON TRUE WHEN MATCHED THEN DO NOTHING`, `LOCK TABLE a IN EXCLUSIVE MODE`, `CREATE TEMP TABLE a (b TEXT)`,
		`create temporary table a (b text)`, `SAVEPOINT a`, `ROLLBACK TO SAVEPOINT a`, `SELECT * FROM a`, `select a.* from a`, `SELECT b, * FROM a`,
		`INSERT INTO a (b) VALUES (1) RETURNING *`, `SELECT b FROM a FOR UPDATE SKIP LOCKED`, `CREATE TABLE a (b BIGSERIAL)`, `CREATE TABLE a (b SERIAL)`,
		`CREATE SEQUENCE a`, `SELECT nextval('a')`, `CREATE TABLE a (b INT8 GENERATED ALWAYS AS IDENTITY)`, `CREATE TABLE a (b INT)`, `SELECT $1::int FROM a`,
		`SELECT unnest($1::INTEGER[])`, `CREATE TABLE a (b BIGINT)`, `INSERT INTO a (b) VALUES (1) ON CONFLICT DO NOTHING`,
		`INSERT INTO a (b) VALUES (1) ON CONFLICT ON CONSTRAINT c DO NOTHING`, `SELECT sum(b) FROM a`, `SELECT coalesce(sum(b), 0) FROM a`,
		`SELECT sum(b) FILTER (WHERE c) FROM a`, `SELECT sum(b)::INT8, sum(c) FROM a`, `SELECT b / 2 FROM a`, `SELECT make_interval(secs => 1) FROM a`,
		`WITH x AS (UPDATE a SET b = 1), y AS (DELETE FROM a) SELECT count(*) FROM x`, `CREATE UNLOGGED TABLE a (b TEXT)`, `SELECT ctid FROM a`,
	}
	for _, sql := range bad {
		if !looksLikeSQL(sql) {
			t.Errorf("not recognised as SQL: %s", sql)
		}
		if len(offences(sql)) == 0 {
			t.Errorf("not caught: %s", sql)
		}
	}
	good := []string{
		`SELECT count(*) FROM a`, `SELECT b FROM a WHERE c = '/*'`, `SELECT sum(b)::INT8 FROM a`, `SELECT coalesce(sum(b), 0)::INT8 FROM a`,
		`SELECT sum(b) FILTER (WHERE c)::INT8 FROM a`, `SELECT CAST(sum(b) AS INT8) FROM a`, `SELECT sum(b) OVER (ORDER BY c)::INT8 FROM a`,
		`INSERT INTO a (b) VALUES ($1) ON CONFLICT (b) DO UPDATE SET b = EXCLUDED.b`, `INSERT INTO a (b) VALUES ($1) ON CONFLICT (b) WHERE c DO NOTHING`,
		`SELECT b FROM a ORDER BY b FOR UPDATE`, `SELECT b -- * all of them, or int
FROM a`, `SELECT b FROM a WHERE c <> 'SELECT * FROM d'`, `WITH x AS (UPDATE a SET b = 1 RETURNING c) INSERT INTO d (c) SELECT c FROM x`,
		`SELECT b * 2 FROM a`, `SELECT sequence FROM a`, `SELECT 2 * b, c FROM a`, `UPDATE a SET point = 1, print = 2 WHERE c = 3`,
	}
	for _, sql := range good {
		if !looksLikeSQL(sql) {
			t.Errorf("not recognised as SQL: %s", sql)
		}
		if found := offences(sql); len(found) != 0 {
			t.Errorf("%s: wrongly said to be %v", sql, found)
		}
	}
	prose := []string{"Update the event from a file", "select a seat", "Delete from cart", "Create an event", "with the file as input", "insert", "Lists orders", "SELECT", "listen on address", "Notify, then wait", "show", "show EVENT", "begin", "begin the sale"}
	for _, s := range prose {
		if looksLikeSQL(s) {
			t.Errorf("taken for SQL: %q", s)
		}
	}
}

func TestAStatementThatIsWrongWouldBeFound(t *testing.T) {
	d := dbtest.New(t)
	conn, err := d.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{`SELECT nothing FROM leases`, `SELECT name FROM nowhere`, `UPDATE leases SET epoch = $1::BYTEA`} {
		if _, err := conn.Conn().PgConn().Prepare(t.Context(), "", sql, nil); err == nil {
			t.Errorf("prepared: %s", sql)
		}
	}
	tables, err := db.Tables()
	if err != nil || !slices.Contains(tables, "leases") || !slices.IsSorted(tables) {
		t.Errorf("Tables: %v, %v", tables, err)
	}
}
