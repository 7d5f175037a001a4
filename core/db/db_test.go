package db_test

import (
	"os"
	"sync"
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) {
	switch os.Getenv(partVariable) { // the test binary also plays the processes that tests start
	case "starter":
		playStarter()
	case "cockroach":
		playCockroach(os.Args[1:])
	}
	code := dbtest.Run(m)
	if dir, err := usedDir(); err == nil { // what the tests of the server share
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func TestMigrationsRunOnceAndThenNeverAgain(t *testing.T) {
	d, err := db.Open(t.Context(), dbtest.URL(t), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	applied, err := d.Migrate(t.Context())
	if err != nil || len(applied) == 0 {
		t.Fatalf("the first run applied %v, %v", applied, err)
	}
	if again, err := d.Migrate(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("the second run applied %v, %v; want nothing", again, err)
	}
	// A run that died before it recorded anything is simply run again over what it had made.
	statement(t, d, `DELETE FROM schema_migrations`)
	if again, err := d.Migrate(t.Context()); err != nil || len(again) != len(applied) {
		t.Errorf("the run over existing tables applied %d of %d, %v", len(again), len(applied), err)
	}
}

func TestMigrationsMayRunSeveralAtOnce(t *testing.T) {
	url := dbtest.URL(t)
	const runners = 4
	applied := make([][]db.Applied, runners)
	var wg sync.WaitGroup
	for i := range runners {
		wg.Go(func() {
			d, err := db.Open(t.Context(), url, db.Options{MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer d.Close()
			if applied[i], err = d.Migrate(t.Context()); err != nil {
				t.Errorf("runner %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	seen := map[int64]int{}
	for _, run := range applied {
		for _, a := range run {
			seen[a.Version]++
		}
	}
	if len(seen) == 0 {
		t.Error("nobody applied anything")
	}
	for version, n := range seen {
		if n != 1 {
			t.Errorf("migration %d was reported by %d runners, want 1", version, n)
		}
	}
}
