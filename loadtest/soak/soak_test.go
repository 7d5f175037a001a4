package soak

import (
	"os/exec"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// programs builds what a soak plays with.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "fairgate/core/cmd/fairgate-core", "fairgate/loadtest/paysim/cmd/paysim")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	return dir
}

// A small soak: cores and database die and commits go wrong, with a provider that behaves; make soak-money has the others. Its seed has
// buyers of every manner among the first 45, its holds live so short that the late ones need not wait long.
func TestEveryCentIsExplainedWhenCoresAndTheDatabaseDie(t *testing.T) {
	r, err := Run(t.Context(), Options{Programs: programs(t), Logs: t.TempDir(), Orders: 45, Seed: 215, Misbehave: -1, Trouble: 0.1,
		Buyers: 45, KillCore: 3 * time.Second, Hold: 6 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f s, %+v", r.Seconds, r.Outcomes)
	for _, v := range r.Verdicts {
		t.Log(v)
		if !v.Passed {
			t.Errorf("%s: %q", v, v.Failures)
		}
	}
}
