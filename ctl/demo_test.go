package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairgate/core/event"
	"fairgate/loadtest"
)

func TestTheDemosCopyOfAnEventHasTheDemosTimes(t *testing.T) {
	for _, path := range []string{"../configs/events/arena.yaml", "../configs/events/club.yaml"} {
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		before, err := event.Parse(original)
		if err != nil {
			t.Fatal(err)
		}
		text, slug, err := demoEvent(path)
		if err != nil {
			t.Fatal(err)
		}
		after, err := event.Parse(text)
		if err != nil {
			t.Fatalf("%s: the copy is not an event any more: %v\n%s", path, err, text)
		}
		if slug == "" || !strings.Contains(string(text), "ttl: 20s") || !strings.Contains(string(text), "window: 5s") {
			t.Errorf("%s: id %q, copy\n%s", path, slug, text)
		}
		if fmt.Sprint(before.Tiers) != fmt.Sprint(after.Tiers) {
			t.Errorf("%s: the copy sells something else: %v instead of %v", path, after.Tiers, before.Tiers)
		}
	}
	for name, text := range map[string]string{"list.yaml": "- a\n", "noid.yaml": "name: x\n", "broken.yaml": "a: [\n"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := demoEvent(path); err == nil {
			t.Errorf("%q was taken for an event", text)
		}
	}
}

func TestPortsAreFreeDistinctAndOutOfTheWayOfOutgoingConnections(t *testing.T) {
	all, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, a := range all {
		var port int
		if _, err := fmt.Sscanf(a, "127.0.0.1:%d", &port); err != nil || port < firstPort || port >= ephemeralFrom() || seen[a] {
			t.Errorf("address %s", a)
		}
		seen[a] = true
	}
}

func TestAProcessThatDiesEndsTheDemoAndShowsTheEndOfItsLog(t *testing.T) {
	n := newNursery(false)
	ctx, cancel := n.watched(t.Context())
	defer cancel()
	quiet, err := n.start("quiet", filepath.Join(t.TempDir(), "quiet.log"), "/bin/sleep", "100")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.start("core", filepath.Join(t.TempDir(), "core.log"), "/bin/sh", "-c", "echo first; echo 'address already in use' >&2; exit 3"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
	why := cause(ctx, errors.New("something else")).Error()
	for _, want := range []string{"core ended unexpectedly", "exit status 3", "address already in use"} {
		if !strings.Contains(why, want) {
			t.Errorf("%q is missing in: %s", want, why)
		}
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if running(quiet.pid) {
		t.Error("the other process outlived the nursery")
	}
}

func TestAProcessThatDoesNotHeedIsKilled(t *testing.T) {
	n := newNursery(false)
	n.patience = 300 * time.Millisecond
	log := filepath.Join(t.TempDir(), "deaf.log")
	c, err := n.start("deaf", log, "/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	if err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); !strings.Contains(tail(log), "ready") && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	if err := n.stop(); err != nil || running(c.pid) {
		t.Errorf("still there: %v", err)
	}
	if took := time.Since(began); took < n.patience || took > 5*time.Second {
		t.Errorf("it took %s, want a little more than %s", took, n.patience)
	}
}

// TestHelperDemo is not a test: it is the demo that TestACrashLeavesNothingBehind kills.
func TestHelperDemo(t *testing.T) {
	dir := os.Getenv("CTL_TEST_WORK_FOLDER")
	if dir == "" {
		t.Skip("helper of TestACrashLeavesNothingBehind")
	}
	if _, err := hireJanitor(dir); err != nil {
		t.Fatal(err)
	}
	c, err := newNursery(false).start("child", filepath.Join(dir, "child.log"), "/bin/sleep", "100")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("child %d\n", c.pid)
	time.Sleep(100 * time.Second)
}

func TestACrashLeavesNothingBehind(t *testing.T) {
	dir, err := os.MkdirTemp("", workPrefix)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperDemo$", "-test.v")
	cmd.Env = append(os.Environ(), "CTL_TEST_WORK_FOLDER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	var pid int
	for chunk := make([]byte, 512); pid == 0; {
		n, err := out.Read(chunk)
		text.Write(chunk[:n])
		if _, after, ok := strings.Cut(text.String(), "child "); ok {
			fmt.Sscanf(after, "%d\n", &pid)
		}
		if err != nil && pid == 0 {
			t.Fatalf("the helper ended: %s", text.String())
		}
	}
	if !running(pid) {
		t.Fatal("the helper's child does not run")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && !running(pid) {
			return
		}
	}
	t.Errorf("after a crash the folder or process %d is still there", pid)
}

func TestAKeptDemoIsRememberedAndStopped(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := stopDemo(&out); err != nil || !strings.Contains(out.String(), "No demo is running") {
		t.Fatalf("%q, %v", out.String(), err)
	}
	dir, err := os.MkdirTemp("", workPrefix)
	if err != nil {
		t.Fatal(err)
	}
	n := newNursery(true)
	var k kept
	k.Dir = dir
	for _, name := range []string{"core", "edge1"} {
		c, err := n.start(name, filepath.Join(dir, name), "/bin/sleep", "100")
		if err != nil {
			t.Fatal(err)
		}
		k.Processes = append(k.Processes, keptProcess{Name: name, PID: c.pid, Began: began(c.pid)})
	}
	// A process that got the id of one of ours later is none of ours.
	k.Processes = append(k.Processes, keptProcess{Name: "stranger", PID: os.Getpid(), Began: "1"})
	if err := k.remember(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(keptFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the password: %v, %v", info, err)
	}
	got, err := recall()
	if err != nil || len(got.alive()) != 2 {
		t.Fatalf("recalled %+v, %v", got, err)
	}
	out.Reset()
	if err := stopDemo(&out); err != nil || !strings.Contains(out.String(), "Stopped 2 processes") {
		t.Errorf("%q, %v", out.String(), err)
	}
	for _, p := range k.Processes[:2] {
		if running(p.PID) {
			t.Errorf("%s still runs", p.Name)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the work folder is still there: %v", err)
	}
	if _, err := recall(); !errors.Is(err, errNothingKept) {
		t.Errorf("still remembered: %v", err)
	}
}

// running tells whether a process exists and has not ended.
func running(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

func TestProgressIsPlainWhereItIsNotATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	s := loadtest.Snapshot{At: -3 * time.Second, Phase: "joining", Waiting: 12345, HoldP99: 12.4}
	p.show(s)
	p.show(s) // nothing new so soon
	s.Phase = "open"
	p.show(s)
	p.end()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "-3s joining") || !strings.Contains(lines[0], "waiting  12345") || strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("%q", out.String())
	}
	out.Reset()
	p.width = 30
	p.show(s)
	if text := out.String(); !strings.HasPrefix(text, "\r\x1b[K") || len([]rune(text)) != 4+29 {
		t.Errorf("%q", text)
	}
}

func TestADemoWithoutItsProgramsSaysWhatToDo(t *testing.T) {
	cmd := newDemo(Env{Stdout: io.Discard, Stderr: io.Discard})
	cmd.SetArgs([]string{"--event", "../configs/events/arena.yaml"})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(context.Background())
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v", err)
	}
}

func TestADemoOfNobodyIsRefusedBeforeAnythingStarts(t *testing.T) {
	for _, args := range [][]string{{"--buyers", "0"}, {"--bots", "-1"}, {"--event", "no-such-file.yaml"}} {
		cmd := newDemo(Env{Stdout: io.Discard, Stderr: io.Discard})
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if code := exitCode(cmd.ExecuteContext(t.Context())); code != ExitUsage && code != ExitRefused {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}

func TestDemoPlansAreValid(t *testing.T) {
	a := addresses{Edges: []string{"127.0.0.1:1", "127.0.0.1:2"}, CoreAdmin: "127.0.0.1:3", CoreGate: "127.0.0.1:5", Paysim: "127.0.0.1:4", Database: "postgres://x", SecretFile: "s"}
	for _, f := range []demoFlags{{buyers: 20000, bots: 1000}, {buyers: 1, bots: 0}, {buyers: 50, bots: 7}, {buyers: 8000, bots: 470, adversaries: true}} {
		p := demoPlan(f, "arena", a)
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
		if p.Bots.Count() != f.bots {
			t.Errorf("%d bots, want %d", p.Bots.Count(), f.bots)
		}
		first, last := p.Arrivals[0], p.Arrivals[len(p.Arrivals)-1]
		if first.From.D() < -10*time.Second || last.To.D() > 10*time.Second {
			t.Errorf("arrivals from %s to %s", first.From.D(), last.To.D())
		}
	}
}
