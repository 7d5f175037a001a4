package ctl_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"fairgate/core/db/dbtest"
	"fairgate/ctl"
	"fairgate/edge/lottery"
)

// Each script has a core of its own. The command core changes it; files of draws lie in the script's folder.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			transcript, err := writeDraws(env.WorkDir)
			if err != nil {
				return err
			}
			core := newFakeCore(transcript)
			env.Defer(core.Close)
			env.Values["core"] = core
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FAIRGATE_CTL_CORE", core.URL)
			env.Setenv("FAIRGATE_CTL_SECRET_FILE", filepath.Join(env.WorkDir, "admin.secret"))
			return os.WriteFile(filepath.Join(env.WorkDir, "admin.secret"), []byte(fakeSecret+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"core": changeCore, "exit": runFor},
	})
}

// changeCore is the script command core: core ledger-broken, core audit-broken, core busy, core down, core orders EVENT N.
func changeCore(ts *testscript.TestScript, _ bool, args []string) {
	core := ts.Value("core").(*fakeCore)
	core.mu.Lock()
	defer core.mu.Unlock()
	switch args[0] {
	case "ledger-broken":
		core.ledgerOK = false
	case "audit-broken":
		core.auditBroken = true
	case "busy":
		core.busy = true
	case "down":
		core.mu.Unlock()
		core.Close()
		core.mu.Lock()
	case "orders":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		core.addOrders(args[1], n)
	default:
		ts.Fatalf("core: what is %s?", args[0])
	}
}

// runFor is the script command exit CODE ARGS…: ticketctl with the arguments must end with the code.
func runFor(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("ticketctl", args[1:]...)
	got := 0
	var exit interface{ ExitCode() int }
	if err != nil {
		var ok bool
		if exit, ok = err.(interface{ ExitCode() int }); !ok {
			ts.Fatalf("run ticketctl: %v", err)
		}
		got = exit.ExitCode()
	}
	if neg || got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// writeDraws puts transcripts and receipts into a folder and returns the honest transcript.
func writeDraws(dir string) ([]byte, error) {
	signer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	event := lottery.EventID("arena")
	chain, err := lottery.NewChain(event, [32]byte{1}, 10)
	if err != nil {
		return nil, err
	}
	w := lottery.SealedWindow{Beacon: lottery.Hex{}, Entrants: 30}
	for i := range w.Entrants {
		w.Leaves = append(w.Leaves, lottery.Leaf{Entrant: lottery.NewEntrant([]byte("key"), "device", fmt.Append(nil, i))})
	}
	if w.Secret, err = chain.Secret(0); err != nil {
		return nil, err
	}
	w.Root = lottery.Root(w.Leaves)
	w.Seed = lottery.Seed(event, 0, w.Secret, w.Root, w.Beacon)
	order := lottery.Order(w.Seed, 0, w.Leaves)
	opened := time.Date(2027, 3, 1, 10, 0, 0, 0, time.UTC)
	t := lottery.Transcript{
		Event: "arena", Generation: 1, Commitment: chain.Commitment(), Length: chain.Length(), Windows: []lottery.SealedWindow{w},
		Keys:    lottery.PublicKeys{{No: 1, Public: lottery.Hex32(signer.Public().(ed25519.PublicKey))}},
		Cursors: []lottery.CursorMove{{Value: lottery.Fraction(order[9].Value), Called: 10, At: opened}},
	}
	admit := func(d lottery.Drawn) lottery.Admission {
		return lottery.Admission{Entrant: d.Entrant, Value: lottery.Fraction(d.Value), IssuedAt: opened.Add(time.Second)}
	}
	for _, d := range order[:5] {
		t.Sessions = append(t.Sessions, admit(d))
	}
	honest, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	t.Sessions = append(t.Sessions, admit(order[20])) // whose place was never called
	forged, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	t.Sessions, t.Generation = t.Sessions[:5], 7
	earlier, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	state := func(called int) []byte {
		d := order[called-1]
		return fmt.Appendf(nil, `{"event":"arena","commitment":%q,"windows":[{"window":0,"root":%q,"seed":%q}],"cursor":{"window":0,"band":0,"value":%q},"called":%d}`,
			t.Commitment, w.Root, w.Seed, lottery.Fraction(d.Value), called)
	}
	receipt := func(e lottery.Entrant, window uint32) []byte {
		r := lottery.Receipt{Event: event, Entrant: e, Generation: 1, Window: window, AcknowledgedAt: opened.Add(-time.Minute), KeyNo: 1}
		return []byte(base64.RawURLEncoding.EncodeToString(r.Sign(signer)) + "\n")
	}
	commitment := chain.Commitment()
	for name, content := range map[string][]byte{
		"transcript.json": honest, "forged.json": forged, "earlier.json": earlier, "state.json": state(10), "truncated.json": state(12),
		"receipt.txt":    receipt(order[2].Entrant, 0),
		"stranger.txt":   receipt(lottery.NewEntrant([]byte("key"), "device", []byte("left out")), 0),
		"later.txt":      receipt(order[2].Entrant, 1),
		"commitment.txt": fmt.Appendf(nil, "%x", commitment),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return honest, nil
}

func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(*cobra.Command)
	commands := 0
	walk = func(cmd *cobra.Command) {
		commands++
		if cmd.Short == "" || cmd.Example == "" || cmd.RunE == nil {
			t.Errorf("%s lacks a short description, an example or a function that returns its errors", cmd.CommandPath())
		}
		if cmd.Run != nil {
			t.Errorf("%s has a function that cannot fail", cmd.CommandPath())
		}
		if cmd.Flag("json") == nil && cmd.InheritedFlags().Lookup("json") == nil {
			t.Errorf("%s has no --json", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk(ctl.New(ctl.Env{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}))
	if commands < 20 {
		t.Errorf("only %d commands were looked at", commands)
	}
}

func TestMigrateBringsADatabaseUpToDateAndThenLeavesItAlone(t *testing.T) {
	url := dbtest.URL(t)
	run := func(args ...string) (code int, stdout, stderr string) {
		var out, complaints bytes.Buffer
		t.Setenv("HOME", t.TempDir())
		code = ctl.Run(t.Context(), ctl.Env{Stdout: &out, Stderr: &complaints}, args)
		return code, out.String(), complaints.String()
	}
	code, out, complaints := run("migrate", "--database", url)
	if code != 0 || !bytes.Contains([]byte(out), []byte("0001     event")) {
		t.Fatalf("exit %d\n%s%s", code, out, complaints)
	}
	code, out, _ = run("migrate", "--database", url)
	if code != 0 || !bytes.Contains([]byte(out), []byte("the schema is up to date (")) {
		t.Errorf("the second run: exit %d\n%s", code, out)
	}
	t.Setenv("FAIRGATE_CTL_DATABASE", url)
	code, out, _ = run("migrate", "--json")
	var view struct {
		Engine  string
		Applied []any
	}
	if err := json.Unmarshal([]byte(out), &view); code != 0 || err != nil || view.Engine == "" || view.Applied == nil {
		t.Errorf("--json: exit %d, %v\n%s", code, err, out)
	}
	if code, _, complaints = run("migrate", "--database", "postgres://127.0.0.1:1/x", "--timeout", "200ms"); code != ctl.ExitUnreachable {
		t.Errorf("no database: exit %d, want %d\n%s", code, ctl.ExitUnreachable, complaints)
	}
	t.Setenv("FAIRGATE_CTL_DATABASE", "")
	if code, _, complaints = run("migrate"); code != ctl.ExitUsage {
		t.Errorf("nothing named: exit %d, want %d\n%s", code, ctl.ExitUsage, complaints)
	}
}
