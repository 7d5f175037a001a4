package storm

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory/history"
	"fairgate/core/inventory/proof"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// A storm of some seconds: everything that can die does, and the histories are those of a correct inventory.
func TestNothingIsSoldTwiceOrLostInAStorm(t *testing.T) {
	programs := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", programs, "fairgate/core/cmd/fairgate-core")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build fairgate-core: %v\n%s", err, out)
	}
	o := Options{Programs: programs, History: t.TempDir(), Ops: 1 << 40, Seed: 3, Clients: 8, AtMost: 8 * time.Second,
		KillCore: 2 * time.Second, CrashDB: 2500 * time.Millisecond, Trouble: 0.15}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if calm := r.Calm(); len(calm) > 0 {
		t.Errorf("there were no %s", strings.Join(calm, ", no "))
	}
	h, err := history.Read(r.Histories...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := proof.Prove(h, proof.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Checks {
		t.Logf("%-10s %7d checked, %d wrong, %d undecided", c.Name, c.Checked, c.Wrong, c.Undecided)
		if c.Checked == 0 {
			t.Errorf("%s checked nothing", c.Name)
		}
	}
	t.Logf("%d attempts and requests without an answer: of core's %d happened, %d did not, %d are open", v.Unknown, v.Happened, v.Not, v.Open)
	if !v.Passed {
		t.Errorf("not proved:\n%s", strings.Join(v.Failures(), "\n"))
	}
	if v.Unknown == 0 {
		t.Error("nothing was left open: that was no storm")
	}
}
