package scan_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
)

// record is a scan off line, so many seconds after noon.
func record(name string, x ticket.Ticket, d gate.Direction, second int) gate.Record {
	return gate.Record{ID: uuid.New(), Event: arena, Gate: name, At: time.Now().UTC().Truncate(time.Hour).Add(time.Duration(second) * time.Second), Direction: d, Code: x.Code}
}

// gates adds the gates of records to the event, unless it has them.
func (w *world) gates(records ...gate.Record) {
	w.t.Helper()
	for _, r := range records {
		if _, err := w.s.AddGate(w.t.Context(), arena, scan.NewGate{Name: r.Gate}, "operator:ann"); err != nil && !errors.Is(err, scan.ErrGateExists) {
			w.t.Fatal(err)
		}
	}
}

// merge merges records of gates that the event has.
func (w *world) merge(records ...gate.Record) scan.Report {
	w.t.Helper()
	w.gates(records...)
	r, err := w.s.Merge(w.t.Context(), arena, records)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestTwoGatesOffLineFindTheirDuplicatesWhenTheyMerge(t *testing.T) {
	w := newWorld(t, gate.Once)
	all := w.issue(2)
	north := []gate.Record{record("north", all[0], gate.In, 10), record("north", all[1], gate.In, 11)}
	south := []gate.Record{record("south", all[0], gate.In, 5)}
	if r := w.merge(north...); r.New != 2 || len(r.Findings) != 0 || len(r.Rejected) != 0 {
		t.Errorf("the first log: %+v", r)
	}
	r := w.merge(south...)
	if r.New != 1 || len(r.Findings) != 1 || r.Findings[0].Scan != north[0].ID || r.Findings[0].BeforeGate != "south" || !r.Findings[0].BeforeAt.Equal(south[0].At) || r.Findings[0].What != "duplicate" {
		t.Errorf("the second log: %+v", r)
	}
	if again := w.merge(append(north, south...)...); again.New != 0 || len(again.Findings) != 1 {
		t.Errorf("both again: %+v", again)
	}
	w.scan(at("west", ""), all[1].Code, gate.In, gate.ErrUsed) // on line knows of it now
	if found, err := w.s.Findings(t.Context(), arena, time.Time{}, uuid.Nil, 10); err != nil || len(found) != 1 || found[0].Tier != "floor" {
		t.Errorf("%+v, %v", found, err)
	}
}

// Logs of three gates, with undone scans and tickets that move in and out, merged in any order, in any pieces, several times: the tables come
// to the same.
func TestLogsMergeToTheSameInAnyOrder(t *testing.T) {
	for _, rule := range []gate.Reentry{gate.Once, gate.AfterExit, gate.Free} {
		w := newWorld(t, rule)
		all := w.issue(6)
		random := rand.New(rand.NewPCG(11, uint64(rule)))
		logs := map[string][]gate.Record{}
		for second := range 60 {
			name := fmt.Sprintf("gate-%d", random.IntN(3))
			way := gate.In
			if random.IntN(3) == 0 {
				way = gate.Out
			}
			r := record(name, all[random.IntN(len(all))], way, second)
			logs[name] = append(logs[name], r)
			if random.IntN(6) == 0 {
				logs[name] = append(logs[name], gate.Record{ID: uuid.New(), Event: arena, Gate: name, At: r.At.Add(time.Second), Undo: r.ID, Reason: "wrong one"})
			}
		}
		var want string
		for round := range 4 {
			if _, err := w.db.Pool.Exec(t.Context(), `DELETE FROM scans`); err != nil {
				t.Fatal(err)
			}
			if _, err := w.db.Pool.Exec(t.Context(), `DELETE FROM entries`); err != nil {
				t.Fatal(err)
			}
			var pieces [][]gate.Record
			for _, name := range []string{"gate-0", "gate-1", "gate-2"} {
				pieces = append(pieces, slices.Collect(slices.Chunk(logs[name], 1+random.IntN(30)))...)
			}
			pieces = interleave(random, logs, pieces)
			for range 2 {
				for _, piece := range pieces {
					w.merge(piece...)
				}
			}
			if round == 0 {
				want = w.rows()
			} else if got := w.rows(); got != want {
				t.Fatalf("rule %d, round %d:\n%s\nnot\n%s", rule, round, got, want)
			}
		}
	}
}

// Entries that were moved scan by scan are what all passes come to.
func TestEntriesMovedOnLineAreThoseMadeAnewFromAllPasses(t *testing.T) {
	for _, rule := range []gate.Reentry{gate.Once, gate.AfterExit, gate.Free} {
		w := newWorld(t, rule)
		random := rand.New(rand.NewPCG(3, uint64(rule)))
		all := w.issue(3)
		known := map[int]gate.Record{}
		for range 30 {
			i, way := random.IntN(len(all)), []gate.Direction{gate.In, gate.In, gate.Out}[random.IntN(3)]
			g := at(fmt.Sprintf("gate-%d", random.IntN(2)), "")
			r, err := w.s.Scan(t.Context(), g, scan.Request{ID: uuid.New(), Shown: all[i].Code, Direction: way}, time.Now())
			if err != nil && gate.Reason(err) == "" {
				t.Fatal(err)
			}
			if err == nil {
				known[i] = gate.Record{ID: r.Scan, Event: arena, Gate: g.Name, At: r.At, Direction: way, Code: all[i].Code}
			}
		}
		before := w.rows()
		for _, r := range known { // known records change nothing, but their tickets' entries are made anew
			if report := w.merge(r); report.New != 0 || len(report.Findings) != 0 {
				t.Errorf("rule %d: %+v", rule, report)
			}
		}
		if len(known) != len(all) || w.rows() != before {
			t.Errorf("rule %d: %s\nbecame %s", rule, before, w.rows())
		}
	}
}

// interleave mixes the pieces of several logs; those of one stay in their order.
func interleave(random *rand.Rand, logs map[string][]gate.Record, pieces [][]gate.Record) (mixed [][]gate.Record) {
	byGate := map[string][][]gate.Record{}
	for _, p := range pieces {
		byGate[p[0].Gate] = append(byGate[p[0].Gate], p)
	}
	for len(mixed) < len(pieces) {
		name := fmt.Sprintf("gate-%d", random.IntN(len(logs)))
		if rest := byGate[name]; len(rest) > 0 {
			mixed, byGate[name] = append(mixed, rest[0]), rest[1:]
		}
	}
	return mixed
}

func TestWhatNoGateCanHaveWrittenIsLeftOut(t *testing.T) {
	w := newWorld(t, gate.Once)
	x := w.issue(1)[0]
	good := record("north", x, gate.In, 1)
	forged, other, missing := good, good, good
	forged.ID, other.ID, missing.ID = uuid.New(), uuid.New(), uuid.New()
	c, err := code.Parse(x.Code)
	if err != nil {
		t.Fatal(err)
	}
	if forged.Code, err = c.Sign(packKey); err != nil {
		t.Fatal(err)
	}
	c.TicketID = uuid.New()
	if missing.Code, err = c.Sign(ticketKey); err != nil {
		t.Fatal(err)
	}
	other.Event = uuid.New()
	astray := gate.Record{ID: uuid.New(), Event: arena, Gate: "south", At: good.At, Undo: good.ID, Reason: "not its own"}
	r := w.merge(forged, other, missing, good, astray)
	why := map[uuid.UUID]string{}
	for _, one := range r.Rejected {
		why[one.ID] = one.Why
	}
	if r.New != 1 || len(why) != 4 || why[forged.ID] != "forged" || why[other.ID] != "other_event" || why[missing.ID] != "ticket_unknown" || why[astray.ID] != "scan_unknown" {
		t.Errorf("got %+v", r)
	}
	bad := good
	bad.Direction = "up"
	if _, err := w.s.Merge(t.Context(), arena, []gate.Record{bad}); !errors.Is(err, gate.ErrLog) {
		t.Errorf("an impossible record: %v", err)
	}
	if _, err := w.s.Merge(t.Context(), arena, make([]gate.Record, scan.MaxMerge+1)); !errors.Is(err, gate.ErrLog) {
		t.Errorf("too many: %v", err)
	}
}

func TestScansOfAGateOrZoneThatTheEventHasNotAreLeftOut(t *testing.T) {
	w := newWorld(t, gate.Once)
	for _, g := range []scan.NewGate{{Name: "north", Zone: "floor"}, {Name: "south"}} {
		if _, err := w.s.AddGate(t.Context(), arena, g, "operator:bob"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.s.RevokeGate(t.Context(), arena, "south"); err != nil { // a log may come home after that
		t.Fatal(err)
	}
	x := w.issue(1)[0]
	good, revoked, moon, nowhere := record("north", x, gate.In, 1), record("south", x, gate.In, 2), record("north", x, gate.In, 3), record("west", x, gate.In, 4)
	good.Zone, moon.Zone, nowhere.Zone = "floor", "moon", "floor"
	strange := gate.Record{ID: uuid.New(), Event: arena, Gate: "north", Zone: "moon", At: good.At, Direction: gate.In, Refused: "malformed"}
	undo := gate.Record{ID: uuid.New(), Event: arena, Gate: "west", Zone: "floor", At: good.At, Undo: nowhere.ID, Reason: "wrong one"}
	r, err := w.s.Merge(t.Context(), arena, []gate.Record{good, revoked, moon, nowhere, strange, undo})
	if err != nil {
		t.Fatal(err)
	}
	why := map[uuid.UUID]string{}
	for _, one := range r.Rejected {
		why[one.ID] = one.Why
	}
	if r.New != 2 || len(why) != 4 || why[moon.ID] != "zone_unknown" || why[strange.ID] != "zone_unknown" || why[nowhere.ID] != "gate_unknown" || why[undo.ID] != "gate_unknown" {
		t.Errorf("got %+v", r)
	}
	gates, zones, err := w.s.Counts(t.Context(), arena)
	if err != nil || len(gates) != 2 || len(zones) != 2 {
		t.Errorf("%+v, %+v, %v", gates, zones, err)
	}
}

func TestAMergeWhoseProcessDiesIsDoneAgain(t *testing.T) {
	w := newWorld(t, gate.Once)
	for _, done := range []bool{false, true} {
		x := w.issue(1)[0]
		log := []gate.Record{record("north", x, gate.In, 1), record("south", x, gate.In, 2)}
		w.gates(log...)
		dying, died := dbtest.Dying(t, w.db, 1, done)
		if _, err := w.service(dying).Merge(t.Context(), arena, log); err == nil || !died() {
			t.Fatalf("the process lives: %v", err)
		}
		if r := w.merge(log...); len(r.Findings) != 1 || r.Findings[0].Scan != log[1].ID {
			t.Errorf("done %t: %+v", done, r)
		}
	}
}

// The whole way: a pack is made, a gate goes off line with it, a ticket is refunded meanwhile, a delta comes, the log is merged.
func TestAGateGoesOffLineAndComesBack(t *testing.T) {
	w := newWorld(t, gate.Once)
	all := w.issue(4)
	good, refunded, late, renewed := all[0], all[1], all[2], all[3]
	w.void(refunded)
	w.void(renewed)
	now := w.renew(renewed)
	sealed, err := w.s.Pack(t.Context(), arena, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	pack, err := gate.Open(sealed, packKey.Public().(ed25519.PublicKey))
	if err != nil || len(pack.States) != 2 || pack.GateKeys != nil {
		t.Fatalf("%+v, %v", pack, err)
	}
	path := filepath.Join(t.TempDir(), "north.log")
	g, err := gate.New(gate.Config{Name: "north", Pack: pack, Log: path})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	show := func(x ticket.Ticket, want error) {
		t.Helper()
		if _, err := g.Scan(x.Code, gate.In); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	show(good, nil)
	show(good, gate.ErrUsed)
	show(refunded, gate.ErrVoid)
	show(renewed, gate.ErrSuperseded)
	show(now, nil)
	w.void(late)
	show(late, nil) // the pack is older than the refund
	w.void(good)
	delta, err := w.s.Pack(t.Context(), arena, pack.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	news, err := gate.Open(delta, packKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Update(news); err != nil {
		t.Fatal(err)
	}
	show(late, gate.ErrVoid)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, _, err := gate.ReadLog(file)
	if err != nil || len(records) != 7 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	r := w.merge(records...)
	if r.New != 7 || len(r.Rejected) != 0 || len(r.Findings) != 1 || r.Findings[0].Ticket != late.ID || r.Findings[0].What != "void" {
		t.Errorf("got %+v", r)
	}
	w.scan(at("south", ""), now.Code, gate.In, gate.ErrUsed)
}
