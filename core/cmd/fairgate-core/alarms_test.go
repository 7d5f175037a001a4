package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
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

func TestEveryAlarmIsAboutAMetricThatExistsAndSaysWhatToDo(t *testing.T) {
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
	source := programs(t)
	metric := regexp.MustCompile(`\b(?:core|edge)_[a-z0-9_]+`)
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
