package scan_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	arena     = lottery.EventID("arena")
	ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	packKey   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	gateKey   = bytes.Repeat([]byte{7}, 32)
)

// world is an event with tickets and gates.
type world struct {
	t     *testing.T
	db    *db.DB
	s     *scan.Service
	event scan.Event
}

func newWorld(t *testing.T, rule gate.Reentry) *world {
	w := &world{t: t, db: dbtest.New(t)}
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	w.event = scan.Event{ID: arena, Slug: "arena", Reader: &code.Reader{Event: arena, Keys: lottery.PublicKeys{public}, GateKeys: [][]byte{gateKey}},
		Rules:   gate.Rules{Reentry: rule, ClosesAt: time.Now().Add(time.Hour), Zones: []gate.Zone{{ID: "floor", Places: []string{"floor"}}, {ID: "stands", Places: []string{"101/"}}}},
		PackKey: packKey}
	w.s = w.service(w.db)
	return w
}

// service is a core on a database.
func (w *world) service(d *db.DB) *scan.Service {
	return scan.New(d, func(_ context.Context, id uuid.UUID) (scan.Event, error) {
		if id != arena {
			return scan.Event{}, fmt.Errorf("no event %s", id)
		}
		return w.event, nil
	})
}

func (w *world) issuer() *ticket.Issuer {
	return ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
		return ticket.SigningKey{No: 1, Private: ticketKey}, nil
	})
}

// issue makes so many floor tickets.
func (w *world) issue(n int) []ticket.Ticket {
	w.t.Helper()
	o := uuid.New()
	items := make([]ticket.Item, n)
	for i := range items {
		items[i] = ticket.Item{Event: arena, Order: o, Item: i, Tier: "floor"}
	}
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.issuer().Issue(ctx, tx, items) })
	tickets, err := ticket.OfOrder(w.t.Context(), w.db.Pool, o, n)
	if err != nil || len(tickets) != n {
		w.t.Fatalf("%d tickets, %v", len(tickets), err)
	}
	return tickets
}

func (w *world) tx(fn func(ctx context.Context, tx pgx.Tx) error) {
	w.t.Helper()
	if err := w.db.InTx(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) void(t ticket.Ticket) {
	w.t.Helper()
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ticket.Void(ctx, tx, []uuid.UUID{t.ID}, "refund")
		return err
	})
}

// renew makes a void ticket valid again.
func (w *world) renew(t ticket.Ticket) ticket.Ticket {
	w.t.Helper()
	now, err := ticket.Load(w.t.Context(), w.db.Pool, t.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	w.tx(func(ctx context.Context, tx pgx.Tx) error { return w.issuer().Reinstate(ctx, tx, []ticket.Ticket{now}) })
	if now, err = ticket.Load(w.t.Context(), w.db.Pool, t.ID); err != nil {
		w.t.Fatal(err)
	}
	return now
}

func at(name, zone string) scan.Gate { return scan.Gate{Event: arena, Name: name, Zone: zone} }

func (w *world) scan(g scan.Gate, shown string, d gate.Direction, want error) scan.Result {
	w.t.Helper()
	r, err := w.s.Scan(w.t.Context(), g, scan.Request{ID: uuid.New(), Shown: shown, Direction: d}, time.Now())
	if !errors.Is(err, want) {
		w.t.Errorf("scan at %s: %v, want %v", g.Name, err, want)
	}
	return r
}

// rows tells what the tables have, in words.
func (w *world) rows() string {
	w.t.Helper()
	var out strings.Builder
	for _, sql := range []string{
		`SELECT ticket_id::TEXT || zone || ' ' || ins::TEXT || outs::TEXT || inside::TEXT || first_id::TEXT || first_gate || first_at::TEXT || last_id::TEXT || last_gate || last_at::TEXT FROM entries ORDER BY ticket_id, zone`,
		`SELECT scan_id::TEXT || ticket_id::TEXT || gate || zone || direction || refused || at::TEXT || finding || coalesce(before_id::TEXT, '') || coalesce(undone_at::TEXT, '') || undo_reason FROM scans ORDER BY scan_id`,
	} {
		rows, err := w.db.Pool.Query(w.t.Context(), sql)
		if err != nil {
			w.t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			w.t.Fatal(err)
		}
		out.WriteString(strings.Join(lines, "\n") + "\n--\n")
	}
	return out.String()
}

func TestTheFirstScanWinsAndTheSecondIsToldWhenAndWhere(t *testing.T) {
	w := newWorld(t, gate.Once)
	x := w.issue(1)[0]
	first := w.scan(at("north", ""), x.Code, gate.In, nil)
	if first.Ticket != x.ID || first.Tier != "floor" || first.At.IsZero() {
		t.Errorf("got %+v", first)
	}
	_, err := w.s.Scan(t.Context(), at("south", ""), scan.Request{ID: uuid.New(), Shown: x.Code, Direction: gate.In}, time.Now())
	var refused *gate.Refusal
	if !errors.Is(err, gate.ErrUsed) || !errors.As(err, &refused) || refused.Before.Gate != "north" || !refused.Before.At.Equal(first.At) || refused.Before.ID != first.Scan {
		t.Errorf("got %v", err)
	}
	gates, zones, err := w.s.Counts(t.Context(), arena)
	if err != nil || len(gates) != 2 || gates[0] != (scan.GateCounts{Gate: "north", In: 1}) || gates[1] != (scan.GateCounts{Gate: "south", Refused: 1}) ||
		len(zones) != 1 || zones[0] != (scan.ZoneCounts{Entered: 1, Inside: 1}) {
		t.Errorf("%+v, %+v, %v", gates, zones, err)
	}
}

func TestWhatIsNoCodeOfTheEventIsCountedOnceAndNotKept(t *testing.T) {
	w := newWorld(t, gate.Once)
	x := w.issue(1)[0]
	w.scan(at("north", ""), x.Code, gate.In, nil)
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := code.Code{KeyNo: 3, TicketID: uuid.New(), EventID: lottery.EventID("elsewhere"), Epoch: 1, Place: "floor"}.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := code.Code{KeyNo: 3, TicketID: x.ID, EventID: arena, Epoch: 1, Place: "floor"}.Sign(private)
	if err != nil {
		t.Fatal(err)
	}
	for shown, why := range map[string]error{"hello": code.ErrMalformed, foreign: code.ErrOtherEvent, forged: code.ErrForged} {
		q := scan.Request{ID: uuid.New(), Shown: shown, Direction: gate.In}
		for range 2 { // the answer was lost
			if _, err := w.s.Scan(t.Context(), at("north", ""), q, time.Now()); !errors.Is(err, why) {
				t.Errorf("%.20q: %v", shown, err)
			}
		}
	}
	strange := gate.Record{ID: uuid.New(), Event: arena, Gate: "north", At: time.Now(), Direction: gate.In, Refused: "malformed"}
	w.gates(strange)
	for want := 1; want >= 0; want-- {
		if report, err := w.s.Merge(t.Context(), arena, []gate.Record{strange, strange}); err != nil || report.New != want || len(report.Rejected) != 0 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	gates, _, err := w.s.Counts(t.Context(), arena)
	if err != nil || len(gates) != 1 || gates[0] != (scan.GateCounts{Gate: "north", In: 1, Refused: 4}) {
		t.Errorf("%+v, %v", gates, err)
	}
}

func TestOfManyScansAtOnceOneWins(t *testing.T) {
	w := newWorld(t, gate.Once)
	for _, x := range w.issue(5) {
		var wait sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			wait.Go(func() {
				_, errs[i] = w.s.Scan(context.WithoutCancel(t.Context()), at(fmt.Sprintf("gate-%d", i), ""), scan.Request{ID: uuid.New(), Shown: x.Code, Direction: gate.In}, time.Now())
			})
		}
		wait.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, gate.ErrUsed) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
	}
}

func TestVoidAndSupersededCodesAreRefused(t *testing.T) {
	w := newWorld(t, gate.Once)
	all := w.issue(3)
	gone, renewed, inside := all[0], all[1], all[2]
	w.scan(at("north", ""), inside.Code, gate.In, nil)
	for _, x := range all {
		w.void(x)
	}
	now := w.renew(renewed)
	w.scan(at("north", ""), gone.Code, gate.In, gate.ErrVoid)
	w.scan(at("north", ""), renewed.Code, gate.In, gate.ErrSuperseded)
	w.scan(at("north", ""), now.Code, gate.In, nil)
	w.scan(at("north", ""), now.Code, gate.In, gate.ErrUsed)
	w.scan(at("north", ""), inside.Code, gate.Out, nil) // whoever is inside gets out
	other, err := code.Code{KeyNo: 1, TicketID: uuid.New(), EventID: arena, Epoch: 1, Place: "floor"}.Sign(ticketKey)
	if err != nil {
		t.Fatal(err)
	}
	w.scan(at("north", ""), other, gate.In, scan.ErrTicketUnknown)
	w.scan(at("north", ""), "https://example.org", gate.In, code.ErrMalformed)
	w.event.Rules.ClosesAt = time.Now().Add(-time.Second)
	w.scan(at("north", ""), gone.Code, gate.In, gate.ErrClosed)
}

func TestZonesAreEnteredByTheirOwnTicketsOnceEach(t *testing.T) {
	w := newWorld(t, gate.AfterExit)
	x := w.issue(1)[0]
	w.scan(at("stairs", "stands"), x.Code, gate.In, gate.ErrZone)
	w.scan(at("street", ""), x.Code, gate.In, nil)
	w.scan(at("floor-1", "floor"), x.Code, gate.In, nil)
	w.scan(at("floor-2", "floor"), x.Code, gate.In, gate.ErrInside)
	w.scan(at("floor-2", "floor"), x.Code, gate.Out, nil)
	w.scan(at("floor-2", "floor"), x.Code, gate.Out, gate.ErrOutside)
	w.scan(at("floor-2", "floor"), x.Code, gate.In, nil)
	if _, zones, err := w.s.Counts(t.Context(), arena); err != nil || len(zones) != 2 || zones[0] != (scan.ZoneCounts{"", 1, 1}) || zones[1] != (scan.ZoneCounts{"floor", 1, 1}) {
		t.Errorf("%+v, %v", zones, err)
	}
}

func TestARotatingEventRefusesCopies(t *testing.T) {
	w := newWorld(t, gate.Once)
	w.event.Reader.Rotating = true
	x := w.issue(1)[0]
	now := time.Now()
	seed := code.Seed(gateKey, x.ID, x.Epoch)
	w.scan(at("north", ""), x.Code, gate.In, code.ErrStatic)
	w.scan(at("north", ""), code.Rotate(x.Code, seed, now.Add(-time.Minute)), gate.In, code.ErrExpired)
	w.scan(at("north", ""), code.Rotate(x.Code, seed, now), gate.In, nil)
}

func TestTheSameScanAgainHasTheSameAnswer(t *testing.T) {
	w := newWorld(t, gate.Once)
	all := w.issue(2)
	admitted, refused := uuid.New(), uuid.New()
	ask := func(g string, id uuid.UUID, shown string) (scan.Result, error) {
		return w.s.Scan(t.Context(), at(g, ""), scan.Request{ID: id, Shown: shown, Direction: gate.In}, time.Now())
	}
	first, err := ask("north", admitted, all[0].Code)
	if err != nil {
		t.Fatal(err)
	}
	_, why := ask("south", refused, all[0].Code)
	before := w.rows()
	for range 2 {
		if again, err := ask("north", admitted, all[0].Code); err != nil || again != first {
			t.Errorf("got %+v, %v, not %+v", again, err, first)
		}
		if _, err := ask("south", refused, all[0].Code); err == nil || err.Error() != why.Error() || !errors.Is(err, gate.ErrUsed) {
			t.Errorf("got %v, not %v", err, why)
		}
	}
	if _, err := ask("north", admitted, all[1].Code); !errors.Is(err, scan.ErrReused) {
		t.Errorf("another ticket: %v", err)
	}
	if _, err := ask("south", admitted, all[0].Code); !errors.Is(err, scan.ErrReused) {
		t.Errorf("another gate: %v", err)
	}
	if w.rows() != before {
		t.Errorf("it changed\n%s\nto\n%s", before, w.rows())
	}
}

func TestAnUndoneScanThatIsAskedAgainOpensNoGate(t *testing.T) {
	w := newWorld(t, gate.Once)
	x := w.issue(1)[0]
	id := uuid.New()
	ask := func() (scan.Result, error) {
		return w.s.Scan(t.Context(), at("north", ""), scan.Request{ID: id, Shown: x.Code, Direction: gate.In}, time.Now())
	}
	if _, err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Undo(t.Context(), at("north", ""), id, "gate:north", "wrong one"); err != nil {
		t.Fatal(err)
	}
	before := w.rows()
	if _, err := ask(); !errors.Is(err, scan.ErrUndone) || gate.Reason(err) != "" {
		t.Errorf("got %v", err)
	}
	if w.rows() != before {
		t.Errorf("it changed\n%s\nto\n%s", before, w.rows())
	}
	w.scan(at("north", ""), x.Code, gate.In, nil) // as another scan the ticket enters
}

func TestAScanWhoseProcessDiesIsAskedAgain(t *testing.T) {
	w := newWorld(t, gate.Once)
	for _, done := range []bool{false, true} {
		x := w.issue(1)[0]
		q := scan.Request{ID: uuid.New(), Shown: x.Code, Direction: gate.In}
		dying, died := dbtest.Dying(t, w.db, 1, done)
		if _, err := w.service(dying).Scan(t.Context(), at("north", ""), q, time.Now()); err == nil || gate.Reason(err) != "" || !died() {
			t.Fatalf("the process lives: %v", err)
		}
		if r, err := w.s.Scan(t.Context(), at("north", ""), q, time.Now()); err != nil || r.Ticket != x.ID {
			t.Errorf("done %t: %+v, %v", done, r, err)
		}
		w.scan(at("south", ""), x.Code, gate.In, gate.ErrUsed)
	}
}

func TestAScanIsUndoneWithAReason(t *testing.T) {
	w := newWorld(t, gate.Once)
	x := w.issue(1)[0]
	first := w.scan(at("north", ""), x.Code, gate.In, nil)
	second := w.scan(at("south", ""), x.Code, gate.In, gate.ErrUsed)
	undo := func(g string, id uuid.UUID, reason string, want error) {
		t.Helper()
		if err := w.s.Undo(t.Context(), at(g, ""), id, "gate:"+g, reason); !errors.Is(err, want) {
			t.Errorf("undo: %v, want %v", err, want)
		}
	}
	undo("north", first.Scan, " ", scan.ErrReason)
	undo("south", first.Scan, "not mine", scan.ErrUnknown)
	undo("south", second.Scan, "was refused", scan.ErrUnknown)
	undo("north", uuid.New(), "nobody's", scan.ErrUnknown)
	undo("north", first.Scan, "wrong family", nil)
	undo("", first.Scan, "twice", nil)
	w.scan(at("south", ""), x.Code, gate.In, nil)
	if gates, zones, err := w.s.Counts(t.Context(), arena); err != nil || gates[0].Undone != 1 || gates[0].In != 0 || zones[0].Inside != 1 {
		t.Errorf("%+v, %+v, %v", gates, zones, err)
	}
	undo("", w.scan(at("north", ""), x.Code, gate.Out, nil).Scan, "did not go", nil)
	w.scan(at("north", ""), x.Code, gate.Out, nil)
}

// A refund and a scan at the same instant: whichever is first, what is in the tables fits one of the two orders.
func TestAScanAndARefundAtOnceAreOneAfterTheOther(t *testing.T) {
	w := newWorld(t, gate.Once)
	for _, x := range w.issue(8) {
		var wait sync.WaitGroup
		var err error
		wait.Go(func() {
			_, err = w.s.Scan(context.WithoutCancel(t.Context()), at("north", ""), scan.Request{ID: uuid.New(), Shown: x.Code, Direction: gate.In}, time.Now())
		})
		wait.Go(func() { w.void(x) })
		wait.Wait()
		if err != nil && !errors.Is(err, gate.ErrVoid) {
			t.Fatal(err)
		}
		w.scan(at("south", ""), x.Code, gate.In, gate.ErrVoid)
	}
}

func TestACredentialIsGoodForItsGateUntilItIsRevoked(t *testing.T) {
	w := newWorld(t, gate.Once)
	for name, zone := range map[string]string{"north": "floor", "": "", "Nord": "", "west": "roof"} {
		if _, err := w.s.AddGate(t.Context(), arena, scan.NewGate{Name: name, Zone: zone, Replace: true}, "operator:ann"); (err == nil) != (name == "north") {
			t.Errorf("%q in %q: %v", name, zone, err)
		}
	}
	var no *scan.NoZone
	if _, err := w.s.AddGate(t.Context(), arena, scan.NewGate{Name: "west", Zone: "roof"}, "operator:ann"); !errors.Is(err, scan.ErrZoneUnknown) || !errors.As(err, &no) || !slices.Contains(no.Known, "floor") {
		t.Errorf("an unknown zone: %v, %+v", err, no)
	}
	north := scan.NewGate{Name: "north", Zone: "floor", Replace: true}
	first, err := w.s.AddGate(t.Context(), arena, north, "operator:ann")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := w.s.Authenticate(t.Context(), first); err != nil || g.Name != "north" || g.Zone != "floor" || g.Event != arena || g.CreatedBy != "operator:ann" {
		t.Errorf("got %+v, %v", g, err)
	}
	if _, err := w.s.AddGate(t.Context(), arena, scan.NewGate{Name: "north"}, "operator:ben"); !errors.Is(err, scan.ErrGateExists) {
		t.Errorf("a gate that is there: %v", err)
	}
	if g, err := w.s.Authenticate(t.Context(), first); err != nil || g.Zone != "floor" {
		t.Errorf("after somebody wanted its name: %+v, %v", g, err)
	}
	second, err := w.s.AddGate(t.Context(), arena, north, "operator:ann")
	if err != nil || second == first {
		t.Fatal(err)
	}
	bad := []string{"", ".", "x", first, strings.ToLower(second), second + "A", second[:len(second)-1], uuid.NewString() + second[36:], strings.Repeat("A", 1<<16)}
	for _, credential := range bad {
		if _, err := w.s.Authenticate(t.Context(), credential); !errors.Is(err, scan.ErrCredential) {
			t.Errorf("%.80q: %v", credential, err)
		}
	}
	if _, err := w.s.Authenticate(t.Context(), second); err != nil {
		t.Error(err)
	}
	if err := w.s.RevokeGate(t.Context(), arena, "north"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.Authenticate(t.Context(), second); !errors.Is(err, scan.ErrCredential) {
		t.Errorf("revoked: %v", err)
	}
	if err := w.s.RevokeGate(t.Context(), arena, "north"); !errors.Is(err, scan.ErrGateUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	third, err := w.s.AddGate(t.Context(), arena, scan.NewGate{Name: "north", Zone: "floor"}, "operator:ann") // revoked, so it is to be had
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.Authenticate(t.Context(), third); err != nil {
		t.Error(err)
	}
	if err := w.s.RevokeGate(t.Context(), arena, "north"); err != nil {
		t.Fatal(err)
	}
	if gates, err := w.s.Gates(t.Context(), arena); err != nil || len(gates) != 1 || gates[0].RevokedAt.IsZero() {
		t.Errorf("%+v, %v", gates, err)
	}
	var stored string
	if err := w.db.Pool.QueryRow(t.Context(), `SELECT encode(secret_hash, 'escape') FROM gates`).Scan(&stored); err != nil || strings.Contains(second, stored) {
		t.Errorf("stored as %q, %v", stored, err)
	}
}
