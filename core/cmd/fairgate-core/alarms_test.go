package main

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

// alarms is the form of Prometheus' rule files, as far as ours use it.
type alarms struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

// readAlarms reads the file that is shipped.
func readAlarms(t *testing.T) alarms {
	t.Helper()
	text, err := os.ReadFile("../../../configs/alarms.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var a alarms
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

// metric finds the names of metrics in a rule.
var metric = regexp.MustCompile(`\b(?:core|edge)_[a-z0-9_]+`)

func TestEveryAlarmIsAboutAMetricThatExistsAndSaysWhatToDo(t *testing.T) {
	a := readAlarms(t)
	source := programs(t)
	names, checked := map[string]bool{}, 0
	for _, g := range a.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || names[r.Alert] || r.Annotations["summary"] == "" || len(r.Annotations["runbook"]) < 40 || r.Labels["severity"] == "" {
				t.Errorf("alarm %q lacks a name of its own, a summary, a severity or a runbook", r.Alert)
			}
			names[r.Alert] = true
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: for %q", r.Alert, r.For)
			}
			found := metric.FindAllString(r.Expr, -1)
			if len(found) == 0 {
				t.Errorf("%s is about no metric: %s", r.Alert, r.Expr)
			}
			for _, name := range found {
				checked++
				if !named(source, name) {
					t.Errorf("%s: no program has a metric %s", r.Alert, name)
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d metrics were looked up", checked)
	}
}

func TestACoreThatRunsExportsTheMetricsOfEveryAlarm(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(cfg *config) {
		cfg.Ledger.ClearingWithin.LateMoney = time.Nanosecond
		cfg.Ledger.ClearingEvery = 50 * time.Millisecond
	})
	// Something is late, a payout waits, a day was read: these metrics are of what was seen.
	late, err := ledger.LateMoneyTransfers(ledger.Terms{Order: uuid.New(), Organizer: "lumen-live", Provider: "stripe", Currency: "EUR"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.db.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return ledger.NewWriter(r.db.Reader).Record(ctx, tx, late) }); err != nil {
		t.Fatal(err)
	}
	if _, err := r.db.Exec(t.Context(), `INSERT INTO payouts (payout_id, organizer, currency, amount_minor, state, events, created_at, updated_at)
		VALUES ($1, 'lumen-live', 'EUR', 100, 'proposed', 0, now(), now() - INTERVAL '8 days')`, uuid.New()); err != nil {
		t.Fatal(err)
	}
	r.admin(http.MethodPost, "/admin/v1/settlement/stripe/days/"+time.Now().UTC().Format(time.DateOnly), "{}", http.StatusOK, nil)
	r.startCore() // looks at payouts at once
	want := map[string]bool{`core_payouts_waiting{state="proposed"} 1`: true}
	for _, g := range readAlarms(t).Groups {
		for _, rule := range g.Rules {
			for _, name := range metric.FindAllString(rule.Expr, -1) {
				want[name] = true
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var missing []string
		exported := r.metrics()
		for name := range want {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `(\{|\s|$)`).MatchString(exported) {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("core does not export %q", missing)
		}
	}
}

// metrics is what the private listener exports.
func (r *rig) metrics() string {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(r.request("private", http.MethodGet, "/metrics", nil))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return string(text)
}

// named tells whether a literal has the name, or two make it: its beginning, up to an underscore, and its end.
func named(source, name string) bool {
	if regexp.MustCompile(`\b` + name + `\b`).MatchString(source) {
		return true
	}
	for at := strings.Index(name, "_"); at < len(name)-1; at++ {
		if name[at] == '_' && strings.Contains(source, "`"+name[:at+1]+"`\n") && strings.Contains(source, "\""+name[at+1:]+"\"\n") {
			return true
		}
	}
	return false
}

// programs is what stands in string literals of all Go files of core but tests: a comment about a metric makes none.
func programs(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				all.WriteString(literal.Value + "\n")
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
