package storm

import (
	"errors"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

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

// The proxy does to a COMMIT what it counts, and the database shows it.
func TestTheProxyTroublesCommits(t *testing.T) {
	d := dbtest.New(t)
	if _, err := d.Pool.Exec(t.Context(), `CREATE TABLE troubled (n INT8 PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	defer d.Pool.Exec(t.Context(), `DROP TABLE troubled`)
	u, err := url.Parse(d.Pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProxy(u.Host, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	u.Host = p.address()
	want := map[trouble]struct {
		kept bool
		code string // of the error; "" for a broken connection
	}{cutBefore: {false, ""}, cutAfter: {true, ""}, serialization: {false, "40001"}, unknownResult: {true, "40003"}}
	seen := map[trouble]int{}
	p.trouble(0.5)
	for n := 0; len(seen) < 5 && n < 500; n++ {
		conn, err := pgx.Connect(t.Context(), u.String())
		if err != nil {
			t.Fatal(err)
		}
		var before [troubles]int64
		for k := range before {
			before[k] = p.did[k].Load()
		}
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `INSERT INTO troubled (n) VALUES ($1)`, n); err != nil {
			t.Fatal(err)
		}
		said := tx.Commit(t.Context())
		what := noTrouble
		for k := range p.did {
			if p.did[k].Load() != before[k] {
				what = trouble(k)
			}
		}
		seen[what]++
		var kept bool
		if err := d.Reader.QueryRow(t.Context(), `SELECT count(*) > 0 FROM troubled WHERE n = $1`, n).Scan(&kept); err != nil {
			t.Fatal(err)
		}
		var pg *pgconn.PgError
		code := ""
		if errors.As(said, &pg) {
			code = pg.Code
		}
		if what == noTrouble {
			if said != nil || !kept {
				t.Fatalf("an untroubled commit: %v, kept %t", said, kept)
			}
		} else if w := want[what]; said == nil || kept != w.kept || code != w.code {
			t.Errorf("%s: %v (%s), kept %t", what, said, code, kept)
		}
		if code != "" { // the connection goes on
			var one int
			if err := conn.QueryRow(t.Context(), `SELECT 1`).Scan(&one); err != nil {
				t.Errorf("after %s: %v", code, err)
			}
		}
		conn.Close(t.Context())
	}
	if len(seen) < 5 {
		t.Errorf("saw only %v", seen)
	}
}
