package db_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

// whereAmI is the database that answers a Browse.
func whereAmI(t *testing.T, d *db.DB) (name string) {
	t.Helper()
	err := d.Browse(t.Context(), func(ctx context.Context, copied *pgxpool.Pool) error {
		return copied.QueryRow(ctx, `SELECT current_database()`).Scan(&name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestBrowsingGoesToTheReplicaAndBackWhenItFails(t *testing.T) {
	primary, replica := dbtest.New(t), dbtest.New(t)
	url := primary.Pool.Config().ConnString()
	d, err := db.Open(t.Context(), url, db.Options{ReplicaURL: replica.Pool.Config().ConnString()})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, want := whereAmI(t, d), replica.Pool.Config().ConnConfig.Database; got != want || !d.Copied() {
		t.Errorf("%s answers instead of %s", got, want)
	}
	err = d.Browse(t.Context(), func(ctx context.Context, copied *pgxpool.Pool) error {
		_, err := copied.Exec(ctx, `DELETE FROM events`)
		return err
	})
	if err == nil {
		t.Error("browsing could write")
	}
	// What the copy does not have is looked for at the primary.
	calls := 0
	missing := errors.New("not there")
	if err := d.Browse(t.Context(), func(context.Context, *pgxpool.Pool) error { calls++; return missing }); !errors.Is(err, missing) || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	away, err := db.Open(t.Context(), url, db.Options{ReplicaURL: "postgres://nobody@127.0.0.1:1/none"})
	if err != nil {
		t.Fatalf("a replica that is down keeps the primary from opening: %v", err)
	}
	defer away.Close()
	for range 2 {
		if got, want := whereAmI(t, away), primary.Pool.Config().ConnConfig.Database; got != want {
			t.Errorf("%s answers instead of %s", got, want)
		}
	}
	plain, err := db.Open(t.Context(), url, db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if plain.Copied() || whereAmI(t, plain) != primary.Pool.Config().ConnConfig.Database {
		t.Error("without a replica the primary is not the one that answers")
	}
	if plain.Engine == db.PostgreSQL {
		if _, err := db.Open(t.Context(), url, db.Options{FollowerReads: true}); !errors.Is(err, db.ErrEngine) {
			t.Errorf("follower reads of PostgreSQL: %v", err)
		}
	}
}
