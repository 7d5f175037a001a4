package db_test

import (
	"testing"

	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestMigrationsRunOnceAndThenNeverAgain(t *testing.T) {
	d := dbtest.New(t)
	applied, err := d.Migrate(t.Context())
	if err != nil || len(applied) != 0 {
		t.Fatalf("the second run applied %v, %v; want nothing", applied, err)
	}
}
