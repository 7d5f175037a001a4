package scan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
)

// party is an order of an accessible seat, its companion's and one of the floor.
func (w *world) party(row string) (accessible, companion, other ticket.Ticket) {
	w.t.Helper()
	o := uuid.New()
	seats := []string{"101/" + row + "/1", "101/" + row + "/2", ""}
	items := make([]ticket.Item, len(seats))
	for i, seat := range seats {
		items[i] = ticket.Item{Event: arena, Order: o, Item: i, Tier: "lower", Seat: seat}
	}
	items[2].Tier = "floor"
	w.event.Rules.Together = true
	w.event.Accessible, w.event.Companions = append(w.event.Accessible, seats[0]), append(w.event.Companions, seats[1])
	w.tx(func(ctx context.Context, tx pgx.Tx) error {
		lines := "[" + strings.Repeat("{},", len(seats)-1) + "{}]"
		if _, err := tx.Exec(ctx, `INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, head, address, created_at, updated_at)
			VALUES ($1, $2, $1, $3, 'ticket_issued', 1, 'EUR', $4, '', $3, $1, 1, $3, $3, now(), now())`, o, arena, []byte{1}, lines); err != nil {
			return err
		}
		return w.issuer().Issue(ctx, tx, items)
	})
	tickets, err := ticket.OfOrder(w.t.Context(), w.db.Pool, o, len(seats))
	if err != nil || len(tickets) != len(seats) {
		w.t.Fatalf("%d tickets, %v", len(tickets), err)
	}
	return tickets[0], tickets[1], tickets[2]
}

func TestACompanionEntersWithOrAfterTheOneWhomTheyAccompany(t *testing.T) {
	w := newWorld(t, gate.AfterExit)
	venue, stands := at("main", ""), at("stands", "stands")
	first, companion, other := w.party("T")
	second, _, _ := w.party("S")
	w.scan(venue, companion.Code, gate.In, gate.ErrCompanion)
	w.scan(venue, other.Code, gate.In, nil)  // of the same order, but not accessible
	w.scan(venue, second.Code, gate.In, nil) // accessible, but of another order
	w.scan(venue, companion.Code, gate.In, gate.ErrCompanion)
	entered := w.scan(venue, first.Code, gate.In, nil)
	w.scan(venue, companion.Code, gate.In, nil)
	w.scan(stands, companion.Code, gate.In, nil)
	w.scan(venue, companion.Code, gate.Out, nil)
	if err := w.s.Undo(t.Context(), venue, entered.Scan, "gate:main", "wrong person"); err != nil {
		t.Fatal(err)
	}
	w.scan(venue, companion.Code, gate.In, gate.ErrCompanion) // once nobody is accompanied any more
	w.event.Rules.Together = false
	w.scan(venue, companion.Code, gate.In, nil)
}

func TestACompanionWhoCameFirstOffLineIsFoundInWhateverOrderLogsAreMerged(t *testing.T) {
	w := newWorld(t, gate.Once)
	first, companion, _ := w.party("T")
	alone, late, _ := w.party("S")
	now := time.Now().UTC().Truncate(time.Millisecond)
	record := func(name string, x ticket.Ticket, after time.Duration) gate.Record {
		return gate.Record{ID: uuid.New(), Event: arena, Gate: name, At: now.Add(after), Direction: gate.In, Code: x.Code}
	}
	merge := func(want string, records ...gate.Record) {
		t.Helper()
		w.gates(records...)
		if _, err := w.s.Merge(t.Context(), arena, records); err != nil {
			t.Fatal(err)
		}
		found, err := w.s.Findings(t.Context(), arena, time.Time{}, uuid.Nil, 10)
		var said []string
		for _, f := range found {
			said = append(said, fmt.Sprint(f.Seat, " ", f.What))
		}
		if got := strings.Join(said, ", "); err != nil || got != want {
			t.Errorf("found %q, %v; want %q", got, err, want)
		}
	}
	came, followed := record("north", companion, 2*time.Second), record("north", late, 4*time.Second)
	merge("101/T/2 companion, 101/S/2 companion", came, followed)
	merge("101/T/2 companion, 101/S/2 companion", record("south", first, 3*time.Second)) // who came after their companion
	merge("101/T/2 companion", record("south", alone, 3*time.Second))
	earlier := record("west", first, time.Second)
	merge("101/T/1 duplicate", earlier) // they had been through another gate before, twice in all
	merge("101/T/2 companion", gate.Record{ID: uuid.New(), Event: arena, Gate: "west", At: now.Add(time.Minute), Undo: earlier.ID, Reason: "wrong person"})
	merge("101/T/2 companion", came, followed)
}

func TestOfACancelledEventNobodyEntersWhetherRefundedOrNot(t *testing.T) {
	w := newWorld(t, gate.AfterExit)
	tickets := w.issue(2)
	venue := at("main", "")
	w.scan(venue, tickets[0].Code, gate.In, nil)
	if _, err := w.db.Pool.Exec(t.Context(), `INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, 'arena', '', 'cancelled', '', 'EUR', 'UTC', now(), '', $2, 1, $2)`, arena, []byte{}); err != nil {
		t.Fatal(err)
	}
	w.scan(venue, tickets[1].Code, gate.In, gate.ErrVoid)
	w.scan(venue, tickets[0].Code, gate.Out, nil) // whoever is inside may leave
	w.scan(venue, tickets[0].Code, gate.In, gate.ErrVoid)
	w.event.Cancelled = true
	if pack := w.pack(time.Time{}); !pack.Cancelled {
		t.Error("the pack does not say that the event is cancelled")
	}
}

// A companion's seat that was sold when such seats were released, or whose accessible seat was given back or sold on, has nobody to wait for.
func TestACompanionWithNobodyLeftToAccompanyEntersAlone(t *testing.T) {
	w := newWorld(t, gate.AfterExit)
	venue := at("main", "")
	first, companion, _ := w.party("T")
	w.scan(venue, companion.Code, gate.In, gate.ErrCompanion)
	if _, err := w.db.Pool.Exec(t.Context(), `UPDATE tickets SET state = 'void', void_reason = 'refunded' WHERE ticket_id = $1`, first.ID); err != nil {
		t.Fatal(err)
	}
	w.scan(venue, companion.Code, gate.In, nil)
}
