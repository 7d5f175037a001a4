package db_test

import (
	"context"
	"errors"
	neturl "net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

func statement(t testing.TB, d *db.DB, sql string) {
	t.Helper()
	if _, err := d.Pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestNoTransactionIsLostUnderContention(t *testing.T) {
	d := dbtest.New(t)
	statement(t, d, `CREATE TABLE counters (id INT8 PRIMARY KEY, n INT8 NOT NULL)`)
	statement(t, d, `INSERT INTO counters VALUES (1, 0)`)
	const workers, each = 8, 50
	var succeeded, attempts atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
					attempts.Add(1)
					var n int64
					if err := tx.QueryRow(ctx, `SELECT n FROM counters WHERE id = 1`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, `UPDATE counters SET n = $1 WHERE id = 1`, n+1)
					return err
				})
				switch {
				case err == nil:
					succeeded.Add(1)
				case !errors.Is(err, db.ErrConflict):
					t.Errorf("increment: %v", err)
				}
			}
		})
	}
	wg.Wait()
	var n int64
	if err := d.Pool.QueryRow(t.Context(), `SELECT n FROM counters WHERE id = 1`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != succeeded.Load() || n == 0 {
		t.Errorf("%d increments were reported as committed, %d are there", succeeded.Load(), n)
	}
	if attempts.Load() == succeeded.Load() {
		t.Error("nothing ever conflicted, so the test has shown nothing")
	}
	t.Logf("%d increments took %d attempts", n, attempts.Load())
}

// Each of two transactions reads what the other writes. READ COMMITTED and snapshot isolation let both commit; serially,
// the second would have seen the first.
func TestWriteSkewIsImpossible(t *testing.T) {
	d := dbtest.New(t)
	statement(t, d, `CREATE TABLE doctors (id INT8 PRIMARY KEY, on_call BOOL NOT NULL)`)
	statement(t, d, `INSERT INTO doctors VALUES (1, TRUE), (2, TRUE)`)
	var barrier sync.WaitGroup
	barrier.Add(2)
	var wg sync.WaitGroup
	for id := int64(1); id <= 2; id++ {
		wg.Go(func() {
			first := true
			err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				var others int64
				if err := tx.QueryRow(ctx, `SELECT count(*) FROM doctors WHERE on_call AND id <> $1`, id).Scan(&others); err != nil {
					return err
				}
				if first { // both have read before either writes
					first = false
					barrier.Done()
					barrier.Wait()
				}
				if others == 0 {
					return nil
				}
				_, err := tx.Exec(ctx, `UPDATE doctors SET on_call = FALSE WHERE id = $1`, id)
				return err
			})
			if err != nil {
				t.Errorf("go home: %v", err)
			}
		})
	}
	wg.Wait()
	var left int64
	if err := d.Pool.QueryRow(t.Context(), `SELECT count(*) FROM doctors WHERE on_call`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 1 {
		t.Errorf("%d doctors are on call, want 1", left)
	}
}

func TestTransactionsOnDifferentRowsOfASmallTableDoNotConflict(t *testing.T) {
	d := dbtest.New(t)
	statement(t, d, `CREATE TABLE counters (id INT8 PRIMARY KEY, n INT8 NOT NULL)`)
	statement(t, d, `INSERT INTO counters SELECT i, 0 FROM generate_series(1, 2000) AS i`)
	var barrier sync.WaitGroup
	barrier.Add(2)
	var attempts atomic.Int64
	var wg sync.WaitGroup
	for _, id := range []int64{1, 2000} { // far apart: on different pages of the index
		wg.Go(func() {
			first := true
			err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				attempts.Add(1)
				var n int64
				if err := tx.QueryRow(ctx, `SELECT n FROM counters WHERE id = $1`, id).Scan(&n); err != nil {
					return err
				}
				if first {
					first = false
					barrier.Done()
					barrier.Wait()
				}
				_, err := tx.Exec(ctx, `UPDATE counters SET n = $2 WHERE id = $1`, id, n+1)
				return err
			})
			if err != nil {
				t.Errorf("increment: %v", err)
			}
		})
	}
	wg.Wait()
	if attempts.Load() != 2 {
		t.Errorf("two independent transactions took %d attempts, want 2", attempts.Load())
	}
}

func TestEveryConnectionIsSerializableAndKeepsOffSequentialScans(t *testing.T) {
	d := dbtest.New(t)
	settings := map[string]string{"default_transaction_isolation": "serializable", "application_name": "fairgate-test"}
	if d.Engine == db.PostgreSQL {
		settings["enable_seqscan"] = "off"
	}
	for name, want := range settings {
		var got string
		if err := d.Pool.QueryRow(t.Context(), `SHOW `+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
	now, err := d.Now(t.Context())
	if err != nil || time.Since(now).Abs() > time.Hour || now.Location() != time.UTC {
		t.Errorf("Now = %v, %v", now, err)
	}
}

func TestOpenSaysAtOnceWhatWaitingWouldNotMend(t *testing.T) {
	url := dbtest.URL(t)
	started := time.Now()
	elsewhere, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Path = "/nowhere"
	for name, bad := range map[string]string{"no such database": elsewhere.String(), "not a URL": "postgres://["} {
		if d, err := db.Open(t.Context(), bad, db.Options{}); err == nil {
			d.Close()
			t.Errorf("%s: no error", name)
		} else if errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s: %v must not look like an outage", name, err)
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	server := newWireServer(t, "MariaDB 11", normally)
	if _, err := db.Open(t.Context(), server.url(), db.Options{}); !errors.Is(err, db.ErrEngine) {
		t.Errorf("another engine: got %v, want ErrEngine", err)
	}
	old := newWireServer(t, "PostgreSQL 13.4 on x86_64", normally)
	if _, err := db.Open(t.Context(), old.url(), db.Options{}); !errors.Is(err, db.ErrEngine) {
		t.Errorf("an old PostgreSQL: got %v, want ErrEngine", err)
	}
	if _, err := db.Open(t.Context(), "postgres://127.0.0.1:1/x", db.Options{ConnectTimeout: 100 * time.Millisecond}); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("nobody there: got %v, want ErrUnavailable", err)
	}
}

func TestOpenWaitsForAServerThatIsStartingUp(t *testing.T) {
	server := newWireServer(t, postgresVersion, func(n int, sql string) reply {
		if sql == "SELECT VERSION()" && n < 3 {
			return reply{code: "57P03", severity: "FATAL"}
		}
		return reply{}
	})
	openScripted(t, server, db.Options{})
}

func TestOpenRefusesAServerThatIsNotSerializable(t *testing.T) {
	server := newWireServer(t, postgresVersion, normally)
	server.isolation = "read committed"
	if _, err := db.Open(t.Context(), server.url(), db.Options{}); !errors.Is(err, db.ErrIsolation) {
		t.Errorf("got %v, want ErrIsolation", err)
	}
}
