package db_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// txCase is one way a transaction can go on a scripted server.
type txCase struct {
	name   string
	script func(nth int, sql string) reply
	want   []error // what the error must be; none: success
	not    []error // what it must not be
	unique bool    // want a unique violation
	runs   int     // of the closure
	effect int     // INSERTs that are in the database afterwards
}

// at makes a script that answers the nth statement with the prefix.
func at(prefix string, nth int, r reply) func(int, string) reply {
	return func(n int, sql string) reply {
		if strings.HasPrefix(sql, prefix) && (nth == 0 || n == nth) {
			return r
		}
		return reply{}
	}
}

func normally(int, string) reply { return reply{} }

func runTxCases(t *testing.T, version string, cases []txCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newWireServer(t, version, c.script)
			d := openScripted(t, server, db.Options{MaxRetries: 3})
			runs := 0
			err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				runs++
				_, err := tx.Exec(ctx, "INSERT INTO book VALUES (1)")
				return err
			})
			if len(c.want) == 0 && !c.unique && err != nil {
				t.Errorf("got %v, want success", err)
			}
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			if c.unique && (!db.IsUnique(err) || !db.Violates(err, "scripted_constraint") || db.Violates(err, "another") || db.IsCheck(err)) {
				t.Errorf("got %v, want a violation of scripted_constraint", err)
			}
			for _, not := range c.not {
				if errors.Is(err, not) {
					t.Errorf("got %v, which must not be %v", err, not)
				}
			}
			if runs != c.runs {
				t.Errorf("the closure ran %d times, want %d", runs, c.runs)
			}
			if got := server.committed(); got != c.effect {
				t.Errorf("%d effects are in the database, want %d", got, c.effect)
			}
			if err == nil && server.committed() != 1 {
				t.Error("a success without its effect is a lost transaction")
			}
		})
	}
}

func openScripted(t *testing.T, server *wireServer, opt db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), server.url(), opt)
	if err != nil {
		t.Fatalf("open the scripted server: %v", err)
	}
	t.Cleanup(d.Close)
	return d
}

var errAny = []error{db.ErrAmbiguous, db.ErrUnavailable, db.ErrConflict}

func TestOnCockroachDBATransactionEndsAsItsReleaseDid(t *testing.T) {
	runTxCases(t, cockroachVersion, []txCase{
		{name: "all is well", script: normally, runs: 1, effect: 1},
		{name: "serialization failure at a statement", script: at("INSERT", 1, reply{code: "40001"}), runs: 2, effect: 1},
		{name: "serialization failure at the release", script: at("RELEASE", 1, reply{code: "40001"}), runs: 2, effect: 1},
		{name: "serialization failures without end", script: at("RELEASE", 0, reply{code: "40001"}),
			want: []error{db.ErrUnavailable, db.ErrConflict}, not: []error{db.ErrAmbiguous}, runs: 4},
		{name: "unknown outcome, not committed", script: at("RELEASE", 1, reply{code: "40003"}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1},
		{name: "unknown outcome, committed", script: at("RELEASE", 1, reply{code: "40003", after: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1, effect: 1},
		{name: "connection lost before the release was done", script: at("RELEASE", 1, reply{hangUp: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1},
		{name: "connection lost after the release was done", script: at("RELEASE", 1, reply{hangUp: true, after: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1, effect: 1},
		{name: "connection lost at the commit that follows the release", script: at("COMMIT", 1, reply{hangUp: true}), runs: 1, effect: 1},
		{name: "node drains at the release", script: at("RELEASE", 1, reply{code: "57P01", severity: "FATAL"}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1},
		{name: "connection lost at a statement", script: at("INSERT", 1, reply{hangUp: true}),
			want: []error{db.ErrUnavailable}, not: []error{db.ErrAmbiguous}, runs: 1},
		{name: "a statement is wrong", script: at("INSERT", 1, reply{code: "23505"}), unique: true, not: errAny, runs: 1},
	})
}

func TestOnPostgreSQLATransactionEndsAsItsCommitDid(t *testing.T) {
	runTxCases(t, postgresVersion, []txCase{
		{name: "all is well", script: normally, runs: 1, effect: 1},
		{name: "serialization failure at a statement", script: at("INSERT", 1, reply{code: "40001"}), runs: 2, effect: 1},
		{name: "serialization failure at the commit", script: at("COMMIT", 1, reply{code: "40001"}), runs: 2, effect: 1},
		{name: "deadlock at a statement", script: at("INSERT", 1, reply{code: "40P01"}), runs: 2, effect: 1},
		{name: "serialization failures without end", script: at("COMMIT", 0, reply{code: "40001"}),
			want: []error{db.ErrUnavailable, db.ErrConflict}, not: []error{db.ErrAmbiguous}, runs: 4},
		{name: "unknown outcome at the commit", script: at("COMMIT", 1, reply{code: "40003", after: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1, effect: 1},
		{name: "connection lost before the commit was done", script: at("COMMIT", 1, reply{hangUp: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1},
		{name: "connection lost after the commit was done", script: at("COMMIT", 1, reply{hangUp: true, after: true}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1, effect: 1},
		{name: "shutdown at the commit", script: at("COMMIT", 1, reply{code: "57P01", severity: "FATAL"}),
			want: []error{db.ErrAmbiguous}, not: []error{db.ErrUnavailable}, runs: 1},
		{name: "shutdown at a statement", script: at("INSERT", 1, reply{code: "57P01", severity: "FATAL"}),
			want: []error{db.ErrUnavailable}, not: []error{db.ErrAmbiguous}, runs: 1},
		{name: "connection lost at a statement", script: at("INSERT", 1, reply{hangUp: true}),
			want: []error{db.ErrUnavailable}, not: []error{db.ErrAmbiguous}, runs: 1},
		{name: "connection lost at the begin", script: at("BEGIN", 1, reply{hangUp: true}),
			want: []error{db.ErrUnavailable}, not: []error{db.ErrAmbiguous}, runs: 0},
		{name: "a constraint fails at the commit", script: at("COMMIT", 1, reply{code: "23505"}), unique: true, not: errAny, runs: 1},
	})
}

func TestTheTwoEnginesAreNeverRunWithEachOthersProtocol(t *testing.T) {
	noop := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO book VALUES (1)")
		return err
	}
	postgres := newWireServer(t, postgresVersion, normally)
	if err := openScripted(t, postgres, db.Options{}).InTx(t.Context(), noop); err != nil {
		t.Fatal(err)
	}
	if n := postgres.count("SAVEPOINT") + postgres.count("RELEASE"); n != 0 {
		t.Errorf("PostgreSQL got %d savepoint statements; its RELEASE does not commit", n)
	}
	if postgres.count("BEGIN ISOLATION LEVEL SERIALIZABLE") != 1 {
		t.Error("PostgreSQL was not asked for a SERIALIZABLE transaction")
	}
	cockroach := newWireServer(t, cockroachVersion, normally)
	if err := openScripted(t, cockroach, db.Options{}).InTx(t.Context(), noop); err != nil {
		t.Fatal(err)
	}
	if cockroach.count("SAVEPOINT COCKROACH_RESTART") != 1 || cockroach.count("RELEASE SAVEPOINT COCKROACH_RESTART") != 1 {
		t.Error("CockroachDB was not run with its restart protocol")
	}
	if cockroach.count("BEGIN ISOLATION LEVEL SERIALIZABLE") != 1 {
		t.Error("CockroachDB was not asked for a SERIALIZABLE transaction")
	}
}

func TestAContextThatEndsDuringTheCommitLeavesTheOutcomeOpen(t *testing.T) {
	for engine, prefix := range map[string]string{cockroachVersion: "RELEASE", postgresVersion: "COMMIT"} {
		server := newWireServer(t, engine, at(prefix, 1, reply{hang: true}))
		d := openScripted(t, server, db.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO book VALUES (1)")
			return err
		})
		cancel()
		if !errors.Is(err, db.ErrAmbiguous) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want ErrAmbiguous and the deadline", d.Engine, err)
		}
	}
}

func TestAContextThatEndsBeforeTheCommitCommitsNothing(t *testing.T) {
	for _, engine := range []string{cockroachVersion, postgresVersion} {
		server := newWireServer(t, engine, normally)
		d := openScripted(t, server, db.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO book VALUES (1)")
			cancel()
			return err
		})
		if !errors.Is(err, context.Canceled) || server.committed() != 0 {
			t.Errorf("%s: got %v and %d effects, want a cancelled context and none", d.Engine, err, server.committed())
		}
	}
}

func TestAStatementErrorThatTheClosureHidesIsNotASuccess(t *testing.T) {
	server := newWireServer(t, postgresVersion, at("INSERT", 1, reply{code: "23505"}))
	d := openScripted(t, server, db.Options{})
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, _ = tx.Exec(ctx, "INSERT INTO book VALUES (1)")
		return nil
	})
	if err == nil || errors.Is(err, db.ErrAmbiguous) || errors.Is(err, db.ErrUnavailable) {
		t.Errorf("got %v, want a plain error: the server rolled back", err)
	}
}

func TestAPanicInTheClosureRollsBackAndGivesTheConnectionBack(t *testing.T) {
	for _, engine := range []string{cockroachVersion, postgresVersion} {
		server := newWireServer(t, engine, normally)
		d := openScripted(t, server, db.Options{MaxConns: 1})
		for range 3 { // one connection: a leaked one would hang the second round
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic was swallowed")
					}
				}()
				_ = d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { panic("bug") })
			}()
		}
		if server.committed() != 0 || d.Pool.Stat().AcquiredConns() != 0 {
			t.Errorf("%s: %d effects, %d connections still taken", d.Engine, server.committed(), d.Pool.Stat().AcquiredConns())
		}
	}
}

func TestAnExhaustedPoolIsUnavailable(t *testing.T) {
	server := newWireServer(t, postgresVersion, normally)
	d := openScripted(t, server, db.Options{MaxConns: 1, AcquireTimeout: 50 * time.Millisecond})
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		inner := d.InTx(ctx, func(context.Context, pgx.Tx) error { return nil })
		if !errors.Is(inner, db.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", inner)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	server := newWireServer(t, postgresVersion, at("INSERT", 0, reply{hangUp: true}))
	d := openScripted(t, server, db.Options{MaxConns: 1, MinConns: 1, AcquireTimeout: time.Second})
	server.ln.Close()
	d.Reader.Reset() // its idle connection would still answer
	for range 3 {
		err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO book VALUES (1)")
			return err
		})
		if !errors.Is(err, db.ErrUnavailable) || errors.Is(err, db.ErrAmbiguous) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	if _, err := d.Now(t.Context()); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Now: got %v, want ErrUnavailable", err)
	}
	if _, err := d.Pool.Exec(t.Context(), "SELECT 1"); !db.IsUnavailable(err) {
		t.Errorf("a bare statement: %v is not recognised as an outage", err)
	}
}

func TestEveryEndOfATransactionIsCounted(t *testing.T) {
	server := newWireServer(t, postgresVersion, func(n int, sql string) reply {
		if strings.HasPrefix(sql, "COMMIT") {
			return []reply{{}, {code: "40001"}, {}, {hangUp: true}}[min(n-1, 3)]
		}
		return reply{}
	})
	d := openScripted(t, server, db.Options{})
	before := readMetrics(t)
	for range 3 {
		_ = d.InTx(t.Context(), func(context.Context, pgx.Tx) error { return nil })
	}
	after := readMetrics(t)
	for name, least := range map[string]float64{
		`core_db_tx_total{result="committed"}`: 2, `core_db_tx_total{result="ambiguous"}`: 1, `core_db_tx_retries_total`: 1,
	} {
		if got := after[name] - before[name]; got < least { // other tests may count at the same time
			t.Errorf("%s grew by %v, want at least %v", name, got, least)
		}
	}
}

// readMetrics reads the process's metrics as a scraper would.
func readMetrics(t *testing.T) map[string]float64 {
	t.Helper()
	var text bytes.Buffer
	metrics.WritePrometheus(&text, false)
	out := map[string]float64{}
	for line := range strings.Lines(text.String()) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[name] = n
		}
	}
	return out
}
