package stage

import (
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

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
	p, err := NewProxy(u.Host, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	u.Host = p.Address()
	want := map[Trouble]struct {
		kept bool
		code string // of the error; "" for a broken connection
	}{CutBefore: {false, ""}, CutAfter: {true, ""}, Serialization: {false, "40001"}, UnknownResult: {true, "40003"}}
	seen := map[Trouble]int{}
	p.Trouble(0.5)
	for n := 0; len(seen) < 5 && n < 500; n++ {
		conn, err := pgx.Connect(t.Context(), u.String())
		if err != nil {
			t.Fatal(err)
		}
		var before [Troubles]int64
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
		what := NoTrouble
		for k := range p.did {
			if p.did[k].Load() != before[k] {
				what = Trouble(k)
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
		if what == NoTrouble {
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
