package gate

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

func shown(t testing.TB, ticket uuid.UUID, epoch uint32, place string) string {
	t.Helper()
	text, err := code.Code{KeyNo: 3, TicketID: ticket, EventID: lottery.EventID("arena"), Epoch: epoch, Place: place}.Sign(ticketKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// stand is a gate with a clock of its own.
type stand struct {
	*Gate
	t   *testing.T
	cfg Config
	now time.Time
}

func newStand(t *testing.T, p *Pack, zone string) *stand {
	s := &stand{t: t, now: doors}
	s.cfg = Config{Name: "north", Zone: zone, Pack: open(t, p), Log: filepath.Join(t.TempDir(), "north.log"), Now: func() time.Time { return s.now }}
	s.open()
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *stand) open() {
	s.t.Helper()
	g, err := New(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Gate = g
}

func (s *stand) scan(text string, d Direction, want error) Answer {
	s.t.Helper()
	s.now = s.now.Add(time.Second)
	a, err := s.Scan(text, d)
	if !errors.Is(err, want) {
		s.t.Errorf("scan: %v, want %v", err, want)
	}
	return a
}

func TestAGateOffLineRefusesWhatItsPackSays(t *testing.T) {
	p := packOf(0)
	void, renewed, good, fresh := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	p.States = map[uuid.UUID]State{void: StateOf(1, true), renewed: StateOf(2, false)}
	p.Version = Sum(p.States)
	s := newStand(t, p, "floor")
	s.scan(shown(t, void, 1, "floor"), In, ErrVoid)
	s.scan(shown(t, renewed, 1, "floor"), In, ErrSuperseded)
	s.scan(shown(t, renewed, 2, "floor"), In, nil)
	s.scan(shown(t, good, 1, "upper"), In, ErrZone)
	s.scan(shown(t, good, 1, "box/A/1"), In, nil)
	s.scan(shown(t, good, 1, "box/A/1"), In, ErrInside)
	s.scan(shown(t, fresh, 2, "floor"), In, nil) // newer than the pack
	s.scan(shown(t, fresh, 1, "floor"), In, ErrSuperseded)
	other, _ := code.Code{KeyNo: 3, TicketID: good, EventID: lottery.EventID("club"), Epoch: 1, Place: "floor"}.Sign(ticketKey)
	s.scan(other, In, code.ErrOtherEvent)
	forged, _ := code.Code{KeyNo: 3, TicketID: good, EventID: p.Event, Epoch: 1, Place: "floor"}.Sign(packKey)
	s.scan(forged, In, code.ErrForged)
	s.scan("https://example.com", In, code.ErrMalformed)
	s.now = p.Rules.ClosesAt
	s.scan(shown(t, uuid.New(), 1, "floor"), In, ErrClosed)
	if c := s.Counts(); c != (Counts{In: 3, Refused: 9}) {
		t.Errorf("counts %+v", c)
	}
	text := must(os.ReadFile(s.cfg.Log))
	records, _, err := ReadLog(bytes.NewReader(text))
	if err != nil || len(records) != 12 || bytes.Contains(text, []byte("example.com")) || bytes.Contains(text, []byte(other)) || bytes.Contains(text, []byte(forged)) {
		t.Errorf("%d records, %v:\n%s", len(records), err, text)
	}
	for i, want := range map[int]string{8: "other_event", 9: "forged", 10: "malformed"} {
		if r := records[i]; r.Refused != want || !r.Strange() || r.Event != p.Event {
			t.Errorf("record %d is %+v, want %s", i, r, want)
		}
	}
	for _, bad := range []Record{{Refused: "used"}, {Refused: ""}, {Refused: "malformed", Reason: "r"}, {Refused: "malformed", Undo: uuid.New()}} {
		bad.ID, bad.Event, bad.Gate, bad.At, bad.Direction = uuid.New(), p.Event, "north", s.now, In
		if err := bad.Check(); !errors.Is(err, ErrLog) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(s.cfg)
	if err != nil || again.Counts() != (Counts{In: 3, Refused: 9}) {
		t.Fatalf("started again: %+v, %v", again.Counts(), err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Name: "x", Zone: "roof", Pack: s.cfg.Pack, Log: s.cfg.Log + "2"}); !errors.Is(err, ErrZone) {
		t.Errorf("a zone that is not there: %v", err)
	}
}

func TestAGateThatCrashesGoesOnWhereItWas(t *testing.T) {
	s := newStand(t, packOf(0), "")
	a, b := uuid.New(), uuid.New()
	first := s.scan(shown(t, a, 2, "floor"), In, nil)
	s.scan(shown(t, b, 1, "floor"), In, nil)
	s.scan(shown(t, b, 1, "floor"), Out, nil)
	if err := s.Undo(first.Scan, "wrong family"); err != nil {
		t.Fatal(err)
	}
	if err := s.Undo(first.Scan, "again"); !errors.Is(err, ErrScanUnknown) {
		t.Errorf("undone twice: %v", err)
	}
	s.scan(shown(t, a, 2, "floor"), In, nil)
	if _, err := New(s.cfg); !errors.Is(err, ErrLogInUse) {
		t.Errorf("a second process: %v", err)
	}
	before := s.Counts()
	s.Close()
	if _, err := s.Scan(shown(t, a, 2, "floor"), In); err == nil || Reason(err) != "" {
		t.Errorf("a closed gate: %v", err)
	}

	// It died in the middle of writing a line, of which nobody was told.
	whole, err := os.ReadFile(s.cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.cfg.Log, append(bytes.Clone(whole), []byte(`{"id":"0a1b2c3d-4e5f`)...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.open()
	if s.Counts() != before {
		t.Errorf("counts %+v, were %+v", s.Counts(), before)
	}
	s.scan(shown(t, a, 2, "floor"), In, ErrInside)
	s.scan(shown(t, a, 1, "floor"), In, ErrSuperseded) // the epoch it saw is remembered as well
	s.scan(shown(t, b, 1, "floor"), In, nil)
	records, _, err := ReadLog(bytes.NewReader(must(os.ReadFile(s.cfg.Log))))
	if err != nil || len(records) != 8 || !strings.HasPrefix(string(must(os.ReadFile(s.cfg.Log))), string(whole)) {
		t.Errorf("%d records, %v", len(records), err)
	}
	other := s.cfg
	other.Name = "south"
	s.Close()
	if _, err := New(other); !errors.Is(err, ErrLog) {
		t.Errorf("another gate's log: %v", err)
	}
	if err := os.WriteFile(s.cfg.Log, append([]byte("{}\n"), whole...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(s.cfg); !errors.Is(err, ErrLog) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a spoilt line: %v", err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestAGateTakesADeltaUpWhileItIsOpen(t *testing.T) {
	p := packOf(0)
	s := newStand(t, p, "")
	ticket := uuid.New()
	delta := *p
	delta.Base, delta.AsOf, delta.States, delta.Version = p.AsOf, p.AsOf.Add(time.Minute), map[uuid.UUID]State{ticket: StateOf(1, true)}, 1
	if err := s.Update(open(t, &delta)); err != nil {
		t.Fatal(err)
	}
	s.scan(shown(t, ticket, 1, "floor"), In, ErrVoid)
	delta.AsOf, delta.Version = p.AsOf.Add(2*time.Minute), 9
	if err := s.Update(open(t, &delta)); !errors.Is(err, ErrGap) {
		t.Errorf("got %v", err)
	}
	s.scan(shown(t, ticket, 1, "floor"), In, ErrVoid)
}

func TestARotatingCodeIsLoggedWithoutItsRotatingPart(t *testing.T) {
	p := packOf(0)
	p.Rotating = true
	s := newStand(t, p, "")
	ticket := uuid.New()
	text := shown(t, ticket, 1, "floor")
	s.scan(text, In, code.ErrStatic)
	seed := code.Seed(p.GateKeys[0], ticket, 1)
	s.scan(code.Rotate(text, seed, s.now.Add(-time.Minute)), In, code.ErrExpired)
	s.scan(code.Rotate(text, seed, s.now), In, nil)
	records, _, err := ReadLog(bytes.NewReader(must(os.ReadFile(s.cfg.Log))))
	if err != nil || len(records) != 3 || records[0].Refused != "static" || records[1].Refused != "expired" || records[2].Refused != "" {
		t.Fatalf("%+v, %v", records, err)
	}
	for _, r := range records {
		if r.Code != text {
			t.Errorf("logged %q", r.Code)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte(`{"id":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","event":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","gate":"n","at":"2027-06-12T18:00:00Z","direction":"in","code":"AE"}` + "\n"))
	f.Add([]byte(`{"id":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","event":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","gate":"n","at":"2027-06-12T18:00:00Z","undo":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","reason":"r"}` + "\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, whole, err := ReadLog(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrLog) {
				t.Fatal(err)
			}
			return
		}
		if whole > int64(len(b)) || whole > 0 && b[whole-1] != '\n' || bytes.Count(b[:whole], []byte("\n")) != len(records) {
			t.Fatalf("%d records in %d bytes of %d", len(records), whole, len(b))
		}
	})
}
