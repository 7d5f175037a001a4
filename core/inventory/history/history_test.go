package history

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func open(t *testing.T, path string, side Side) *Recorder {
	t.Helper()
	r, err := Open(Config{Path: path, Side: side, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hold(event uuid.UUID, commit int64) Op {
	return Op{Do: Hold, Event: event, Hold: uuid.New(), Buyer: "5f", Items: []Item{{Tier: "floor", Allocation: "general", Quantity: 2, Commit: commit}}}
}

func TestWhatIsRecordedIsRead(t *testing.T) {
	path, event := filepath.Join(t.TempDir(), "h.jsonl"), uuid.New()
	r := open(t, path, Core)
	rows := []Row{{Event: event, Tier: "floor", Allocation: "general", Version: 1, Taken: 2, Capacity: 10}}
	granted := hold(event, 1)
	n := r.Invoke(Call{At: 77, Rows: rows, Ops: []Op{granted}})
	r.Return(n, OK)
	refused := hold(event, 0)
	refused.Outcome, refused.Code = Refused, "sold_out"
	r.Answered(Call{From: 5, Ops: []Op{refused}})
	lost := r.Invoke(Call{Ops: []Op{hold(event, 2)}})
	asked := hold(event, 0)
	told := asked
	told.Outcome, told.State, told.Deadline = OK, "active", 99
	n = r.Invoke(Call{Ops: []Op{asked}})
	r.Return(n, "", told)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, path); err == nil || !strings.Contains(err.Error(), "give each history once") {
		t.Errorf("the same file twice: %v", err)
	}
	if len(h.Calls) != 4 || h.Processes != 1 || h.Torn != 0 {
		t.Fatalf("read %d calls of %d processes, %d torn", len(h.Calls), h.Processes, h.Torn)
	}
	first := h.Calls[0]
	if first.Outcome != OK || first.To < first.From || first.At != 77 || !reflect.DeepEqual(first.Rows, rows) || !reflect.DeepEqual(first.Ops, []Op{granted}) {
		t.Errorf("the first call came back as %+v", first)
	}
	if second := h.Calls[1]; second.From != 5 || !reflect.DeepEqual(second.Ops, []Op{refused}) {
		t.Errorf("the refusal came back as %+v", second)
	}
	if third := h.Calls[2]; third.N != lost || third.Outcome != Unknown || third.To != 0 {
		t.Errorf("the call without an answer came back as %+v", third)
	}
	if fourth := h.Calls[3]; !reflect.DeepEqual(fourth.Ops, []Op{told}) {
		t.Errorf("the client's call came back as %+v", fourth)
	}
}

func TestManyCanRecordAtOnce(t *testing.T) {
	path, event := filepath.Join(t.TempDir(), "h.jsonl"), uuid.New()
	r := open(t, path, Client)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				n := r.Invoke(Call{Ops: []Op{hold(event, 0)}})
				r.Return(n, Undone)
			}
		})
	}
	all.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range h.Calls {
		if c.Outcome != Undone {
			t.Fatalf("call %d is %s", c.N, c.Outcome)
		}
	}
	if len(h.Calls) != 1000 {
		t.Errorf("%d calls", len(h.Calls))
	}
}

// The test runs itself as the process that is killed: it invokes, says so, and never answers.
func TestInvocationsSurviveSIGKILL(t *testing.T) {
	if path := os.Getenv("HISTORY_TO_DIE_WITH"); path != "" {
		r := open(t, path, Core)
		r.Invoke(Call{Ops: []Op{hold(uuid.New(), 1)}})
		os.Stdout.WriteString("invoked\n")
		select {}
	}
	path := filepath.Join(t.TempDir(), "h.jsonl")
	for range 2 { // the second one goes on in the same file, behind a line that was torn
		cmd := exec.Command(os.Args[0], "-test.run", "^TestInvocationsSurviveSIGKILL$")
		cmd.Env = append(os.Environ(), "HISTORY_TO_DIE_WITH="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(`{"call":2,"from":12,"o`)
		f.Close()
	}
	h, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Calls) != 2 || h.Calls[0].Outcome != Unknown || h.Calls[1].Outcome != Unknown || h.Processes != 2 || h.Torn != 2 {
		t.Errorf("read %d calls of %d processes, %d torn: %+v", len(h.Calls), h.Processes, h.Torn, h.Calls)
	}
}

func TestASecondProcessCannotWriteTheSameFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl")
	r := open(t, path, Core)
	defer r.Close()
	if _, err := Open(Config{Path: path, Side: Core}); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
}

func TestARecordingThatFailsSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl")
	r, err := Open(Config{Path: path, Side: Core, MaxBytes: 600, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	lost := newFigures().lost.Get()
	for range 5 {
		r.Invoke(Call{Ops: []Op{hold(uuid.New(), 1)}})
	}
	if err := r.Close(); !errors.Is(err, errFull) {
		t.Errorf("closing it said %v", err)
	}
	if newFigures().lost.Get() == lost {
		t.Error("no lost line was counted")
	}
	if _, err := Read(path); err != nil {
		t.Errorf("what is there cannot be read: %v", err)
	}
}

func TestMalformedLinesAreNamed(t *testing.T) {
	const header = `{"history":1,"process":"p","side":"core","clock":"c"}`
	const id = `"event":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","hold":"6ba7b811-9dad-11d1-80b4-00c04fd430c8"`
	const begin = `{"call":1,"from":5,"ops":[{"do":"hold",` + id + `}]}`
	for name, c := range map[string]struct{ text, want string }{
		"no header":         {begin + "\n", "h.jsonl:1: a header must come first"},
		"empty":             {"", "it has no header"},
		"other format":      {`{"history":2,"process":"p","side":"core","clock":"c"}`, ":1: format 2"},
		"header without":    {`{"history":1}`, ":1: a header needs"},
		"garbage inside":    {header + "\n{\n" + begin + "\n", "h.jsonl:2: not a line of a history"},
		"only garbage":      {"{", "h.jsonl:1: not a line"},
		"empty line":        {header + "\n\n" + begin, ":2: not a line"},
		"nothing at all":    {header + "\n{}\n" + begin, ":2: neither"},
		"end without begin": {header + "\n" + `{"call":1,"to":5,"outcome":"ok"}`, ":2: call 1 ends and never began"},
		"two begins":        {header + "\n" + begin + "\n" + begin, ":3: call 1 begins twice"},
		"two ends":          {header + "\n" + begin + strings.Repeat("\n"+`{"call":1,"to":5,"outcome":"ok"}`, 2), ":4: call 1 ends twice"},
		"ends before":       {header + "\n" + begin + "\n" + `{"call":1,"to":4,"outcome":"ok"}`, ":3: call 1 ends before"},
		"unknown outcome":   {header + "\n" + begin + "\n" + `{"call":1,"to":6,"outcome":"fine"}`, `:3: call 1: outcome is "fine"`},
		"no outcome":        {header + "\n" + begin + "\n" + `{"call":1,"to":6}`, `:3: call 1: outcome is ""`},
		"answers too many":  {header + "\n" + begin + "\n" + `{"call":1,"to":6,"ops":[{"outcome":"ok"},{"outcome":"ok"}]}`, ":3: call 1 has 1 ops and 2 answers"},
		"unknown deed":      {header + "\n" + `{"call":1,"from":5,"ops":[{"do":"steal"}]}`, `:2: call 1: do is "steal"`},
		"hold without id":   {header + "\n" + `{"call":1,"from":5,"ops":[{"do":"hold"}]}`, ":2: call 1: hold without a hold"},
		"count without row": {header + "\n" + `{"call":1,"from":5,"ops":[{"do":"count"}]}`, ":2: call 1: count without a row"},
		"negative quantity": {header + "\n" + `{"call":1,"from":5,"ops":[{"do":"hold",` + id + `,"items":[{"quantity":-1}]}]}`, ":2: call 1: -1 units"},
		"a call of nothing": {header + "\n" + `{"call":1,"from":5}`, ":2: call 1 does nothing"},
		"two clocks":        {header + "\n" + strings.ReplaceAll(header, `"c"`, `"d"`), ":2: clock d is not that of"},
		"no such file":      {"", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "h.jsonl")
			if name != "no such file" {
				if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Read(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func FuzzReadNeverPanics(f *testing.F) {
	f.Add([]byte(`{"history":1,"process":"p","side":"core","clock":"c"}` + "\n" + `{"call":1,"from":5,"to":6,"outcome":"ok","ops":[{"do":"count"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "h.jsonl")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := Read(path)
		if (h == nil) == (err == nil) {
			t.Fatalf("%v and %v", h, err)
		}
	})
}
