package db_test

import (
	"os"
	"testing"

	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) {
	switch os.Getenv(partVariable) { // the test binary also plays the processes that tests start
	case "starter":
		playStarter()
	case "cockroach":
		playCockroach(os.Args[1:])
	}
	dbtest.Main(m)
}

func TestMigrationsRunOnceAndThenNeverAgain(t *testing.T) {
	d := dbtest.New(t)
	applied, err := d.Migrate(t.Context())
	if err != nil || len(applied) != 0 {
		t.Fatalf("the second run applied %v, %v; want nothing", applied, err)
	}
}
