package db

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAMigrationIsCutAtSemicolonsThatEndALine(t *testing.T) {
	got, err := splitStatements(`-- A comment; with a semicolon at its end;
CREATE TABLE a (
    b TEXT NOT NULL, -- ends here; really;
    c TEXT NOT NULL DEFAULT '--; not a comment'
);

CREATE INDEX i ON a (b); -- trailing
`)
	want := []string{"CREATE TABLE a (\n    b TEXT NOT NULL,\n    c TEXT NOT NULL DEFAULT '--; not a comment'\n)", "CREATE INDEX i ON a (b)"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := splitStatements("CREATE TABLE a (b TEXT)\n"); err == nil {
		t.Error("a statement without an end must not be dropped silently")
	}
}

func TestMigrationsForCockroachDBAreLeftOutElsewhere(t *testing.T) {
	files := fstest.MapFS{
		"migrations/0001_a.sql":           {Data: []byte("CREATE TABLE a (b TEXT);\n")},
		"migrations/0002_b_cockroach.sql": {Data: []byte("ALTER TABLE a SPLIT AT VALUES ('m');\n")},
	}
	for engine, want := range map[Engine]int{PostgreSQL: 1, CockroachDB: 2} {
		got, err := loadMigrations(files, engine)
		if err != nil || len(got) != want {
			t.Errorf("%s gets %d migrations, %v; want %d", engine, len(got), err, want)
		}
	}
}

func TestBadlyNamedMigrationsAreRefused(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"no number":  {"migrations/first.sql": {Data: []byte("SELECT 1;\n")}},
		"same twice": {"migrations/0001_a.sql": {Data: []byte("SELECT 1;\n")}, "migrations/0001_b.sql": {Data: []byte("SELECT 1;\n")}},
	} {
		if _, err := loadMigrations(files, PostgreSQL); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEveryMigrationStatementIsIdempotentDDL(t *testing.T) {
	migrations, err := loadMigrations(migrationFiles, CockroachDB)
	if err != nil || len(migrations) == 0 {
		t.Fatalf("%d migrations, %v", len(migrations), err)
	}
	n := 0
	for _, m := range migrations {
		if len(m.statements) == 0 {
			t.Errorf("%04d_%s has no statement", m.version, m.name)
		}
		for _, statement := range m.statements {
			n++
			if upper := strings.ToUpper(statement); !strings.Contains(upper, "IF NOT EXISTS") && !strings.Contains(upper, "IF EXISTS") {
				t.Errorf("%04d_%s: run twice, this would fail: %.60s", m.version, m.name, statement)
			}
			if strings.Contains(statement, ";") {
				t.Errorf("%04d_%s: more than one statement at once: %.60s", m.version, m.name, statement)
			}
		}
	}
	t.Logf("%d statements in %d migrations", n, len(migrations))
}
