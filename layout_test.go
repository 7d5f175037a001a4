// Package fairgate_test checks the rules of the whole tree: which part may import which.
package fairgate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
	Standard   bool
}

func list(t *testing.T) map[string]pkg {
	t.Helper()
	var errText bytes.Buffer
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Deps,Standard", "./...")
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errText.String())
	}
	pkgs := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs[p.ImportPath] = p
	}
}

// in reports whether path is one of the trees or below one.
func in(path string, trees ...string) bool {
	for _, tree := range trees {
		if path == tree || strings.HasPrefix(path, tree+"/") {
			return true
		}
	}
	return false
}

// rule says what packages below one tree may depend on, directly or through others.
type rule struct {
	tree   string
	except []string // subtrees with rules of their own
	own    []string // trees of this module it may use; nil: any
	never  []string // modules it may not use
}

var rules = []rule{
	{tree: "fairgate/edge", own: []string{"fairgate/edge"},
		never: []string{"github.com/jackc/pgx", "github.com/stripe/stripe-go", "github.com/cockroachdb/cockroach-go"}},
	{tree: "fairgate/edge/lottery", own: []string{"fairgate/edge/lottery"}, never: []string{"net/http", "github.com/valyala/fasthttp"}},
	{tree: "fairgate/edge/admission", own: []string{"fairgate/edge/lottery", "fairgate/edge/admission"}, never: []string{"net/http", "github.com/valyala/fasthttp"}},
	{tree: "fairgate/edge/backlog", own: []string{"fairgate/edge/backlog"}, never: []string{"net/http", "github.com/valyala/fasthttp"}},
	{tree: "fairgate/edge/batch", own: []string{"fairgate/edge/batch"}, never: []string{"net/http", "github.com/valyala/fasthttp"}},
	{tree: "fairgate/edge/queue", own: []string{"fairgate/edge/lottery", "fairgate/edge/admission", "fairgate/edge/queue"}, never: []string{"net/http", "github.com/valyala/fasthttp"}},
	{tree: "fairgate/core", own: []string{"fairgate/core", "fairgate/ledger", "fairgate/edge/lottery", "fairgate/edge/admission", "fairgate/edge/backlog", "fairgate/edge/batch"},
		never: []string{"github.com/valyala/fasthttp"}},
	{tree: "fairgate/core/inventory", except: []string{"fairgate/core/inventory/cmd"}, own: []string{"fairgate/core/inventory", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/lottery", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/fraud", own: []string{"fairgate/core/fraud", "fairgate/core/payment", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/payment", own: []string{"fairgate/core/payment", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/payout", own: []string{"fairgate/core/payout", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/resale", own: []string{"fairgate/core/resale", "fairgate/core/inventory", "fairgate/core/ticket", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/lottery", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/settlement", except: []string{"fairgate/core/settlement/cmd"}, own: []string{"fairgate/core/settlement", "fairgate/core/payment", "fairgate/core/db", "fairgate/ledger", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/ticket", except: []string{"fairgate/core/ticket/cmd"}, own: []string{"fairgate/core/ticket", "fairgate/ledger", "fairgate/core/db", "fairgate/edge/lottery", "fairgate/edge/backlog"}},
	{tree: "fairgate/core/ticket/code", own: []string{"fairgate/core/ticket/code", "fairgate/edge/lottery"}, never: []string{"github.com/jackc/pgx", "net/http"}},
	{tree: "fairgate/core/ticket/wallet", own: []string{"fairgate/core/ticket/code", "fairgate/core/ticket/wallet", "fairgate/edge/lottery"}, never: []string{"github.com/jackc/pgx", "github.com/golang-jwt/jwt"}},
	{tree: "fairgate/core/ticket/gate", own: []string{"fairgate/core/ticket/code", "fairgate/core/ticket/gate", "fairgate/edge/lottery"}, never: []string{"github.com/jackc/pgx", "net/http"}},
	{tree: "fairgate/ledger", except: []string{"fairgate/ledger/cmd"}, own: []string{"fairgate/ledger"}, never: []string{"github.com/valyala/fasthttp", "github.com/stripe/stripe-go", "github.com/spf13/viper"}},
	{tree: "fairgate/loadtest/paysim", own: []string{"fairgate/loadtest/paysim"}, never: []string{"github.com/jackc/pgx"}},
}

func TestPartsImportOnlyWhatTheyMay(t *testing.T) {
	pkgs := list(t)
	for _, r := range rules {
		checked := 0
		for path, p := range pkgs {
			if !in(path, r.tree) || in(path, r.except...) {
				continue
			}
			checked++
			for _, dep := range p.Deps {
				if r.own != nil && in(dep, "fairgate") && !in(dep, r.own...) {
					t.Errorf("%s depends on %s; only %v are open to it", path, dep, r.own)
				}
				if in(dep, r.never...) {
					t.Errorf("%s depends on %s, which %s may not", path, dep, r.tree)
				}
			}
		}
		if checked == 0 {
			t.Errorf("the rule for %s applies to no package", r.tree)
		}
	}
}

func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	places := map[string][]string{
		"github.com/valyala/fasthttp":         {"fairgate/edge", "fairgate/loadtest"},
		"github.com/spf13/viper":              {"fairgate/ctl", "fairgate/core/cmd", "fairgate/edge/cmd", "fairgate/loadtest/paysim/cmd"},
		"github.com/stripe/stripe-go/v76":     {"fairgate/core/payment"},
		"github.com/plutov/paypal":            {"fairgate/core/payment"},
		"github.com/cockroachdb/cockroach-go": {"fairgate/core/db"},
	}
	used := map[string]int{}
	for path, p := range list(t) {
		if !in(path, "fairgate") {
			continue
		}
		for _, imported := range p.Imports {
			for library, trees := range places {
				if !in(imported, library) {
					continue
				}
				used[library]++
				if !in(path, trees...) {
					t.Errorf("%s imports %s; that belongs to %v", path, imported, trees)
				}
			}
		}
	}
	for library := range places {
		if used[library] == 0 {
			t.Errorf("nothing imports %s", library)
		}
	}
}

// Only migrate, demo, rehearse, storm, soak and prove may reach past core's HTTP.
func TestVerbsTalkToCoreOverHTTP(t *testing.T) {
	p, ok := list(t)["fairgate/ctl"]
	if !ok {
		t.Fatal("there is no package fairgate/ctl")
	}
	for _, name := range p.GoFiles {
		if strings.HasPrefix(name, "migrate") || strings.HasPrefix(name, "demo") || strings.HasPrefix(name, "rehearse") ||
			strings.HasPrefix(name, "prove") || strings.HasPrefix(name, "storm") || strings.HasPrefix(name, "soak") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte(`"fairgate/core/ticket/gate"`), nil) // a gate off line has no HTTP; the package has no I/O but its log
		for _, forbidden := range []string{`"fairgate/core/`, `"fairgate/loadtest`, `"github.com/jackc/pgx`} {
			if bytes.Contains(text, []byte(forbidden)) {
				t.Errorf("ctl/%s imports %s…: this verb talks to core over HTTP", name, forbidden[1:])
			}
		}
	}
}

func TestTopLevelHasNoOtherFolders(t *testing.T) {
	allowed := map[string]bool{"configs": true, "edge": true, "core": true, "ledger": true, "ctl": true, "loadtest": true, "bin": true, "var": true}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !allowed[e.Name()] {
			t.Errorf("folder %s: the tree has one place for everything, see README.md", e.Name())
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for path, p := range list(t) {
		if !in(path, "fairgate") || len(p.GoFiles) == 0 {
			continue
		}
		said := false
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			said = said || bytes.Contains(text, []byte("\n// Package ")) || bytes.HasPrefix(text, []byte("// Package ")) ||
				bytes.Contains(text, []byte("\n// Command ")) || bytes.HasPrefix(text, []byte("// Command "))
		}
		if !said {
			t.Errorf("%s has no package comment", path)
		}
	}
}
