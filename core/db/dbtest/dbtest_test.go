package dbtest_test

import (
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestADatabaseIsEmptyWhateverTheTestBeforeLeft(t *testing.T) {
	for range 3 {
		t.Run("a test", func(t *testing.T) {
			d := dbtest.New(t)
			if n := rows(t, d, `SELECT count(*) FROM leases`); n != 0 {
				t.Fatalf("%d rows are left of another test", n)
			}
			if _, err := d.Pool.Exec(t.Context(), `INSERT INTO leases (name, holder, epoch, expires_at) VALUES ('x', gen_random_uuid(), 1, now())`); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("a test that makes a table", func(t *testing.T) {
			d := dbtest.New(t)
			if _, err := d.Pool.Exec(t.Context(), `CREATE TABLE extra (n INT8 PRIMARY KEY)`); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTwoDatabasesAtOnceAreTwo(t *testing.T) {
	a, b := dbtest.New(t), dbtest.New(t)
	if _, err := a.Pool.Exec(t.Context(), `INSERT INTO leases (name, holder, epoch, expires_at) VALUES ('x', gen_random_uuid(), 1, now())`); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, b, `SELECT count(*) FROM leases`); n != 0 {
		t.Error("a row of one database is in the other")
	}
}

func rows(t *testing.T, d *db.DB, sql string) int64 {
	t.Helper()
	var n int64
	if err := d.Pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
