package inventory_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/inventory/seating"
	"fairgate/edge/lottery"
)

// withCompanions gives the row of the seated tier an accessible seat, A/1/1, and a companion's beside it, A/1/2.
func withCompanions(t *testing.T, w *world) {
	t.Helper()
	chart, err := seating.NewChart([]seating.Section{{ID: "A", Tier: "lower", Rows: []seating.Row{{Label: "1", Seats: []seating.Seat{
		{Number: 1, Use: seating.Accessible}, {Number: 2, Use: seating.Companion}, {Number: 3}, {Number: 4}, {Number: 5}, {Number: 6}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.offer.Chart = chart
}

func TestACompanionsSeatIsSoldWithTheAccessibleSeatBesideItOrToWhoHasThat(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	withCompanions(t, w)
	s := w.service(inventory.Hooks{})
	ann, ben := w.someone(), w.someone()
	if _, err := s.Hold(w.ctx, w.request(ben, "alone", seats("A/1/2"))); !errors.Is(err, inventory.ErrCompanionAlone) {
		t.Errorf("alone: %v", err)
	}
	if _, err := s.Hold(w.ctx, w.request(ben, "beside", seats("A/1/2", "A/1/3"))); !errors.Is(err, inventory.ErrCompanionAlone) {
		t.Errorf("with an ordinary seat: %v", err)
	}
	both, err := s.Hold(w.ctx, w.request(ann, "both", seats("A/1/1"), seats("A/1/2")))
	if err != nil {
		t.Fatalf("together: %v", err)
	}
	if _, err := s.Release(w.ctx, both.ID, ann); err != nil {
		t.Fatal(err)
	}
	own, err := s.Hold(w.ctx, w.request(ann, "own", seats("A/1/1")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, w.request(ann, "early", seats("A/1/2"))); !errors.Is(err, inventory.ErrCompanionAlone) {
		t.Errorf("beside a seat that is held, and could be let go: %v", err)
	}
	if failed := w.sell(own.ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	if _, err := s.Hold(w.ctx, w.request(ben, "other", seats("A/1/2"))); !errors.Is(err, inventory.ErrCompanionAlone) {
		t.Errorf("beside somebody else's: %v", err)
	}
	later, err := s.Hold(w.ctx, w.request(ann, "later", seats("A/1/2")))
	if err != nil {
		t.Errorf("beside one's own: %v", err)
	}
	if _, err := s.Release(w.ctx, later.ID, ann); err != nil {
		t.Fatal(err)
	}
	w.offer.CompanionsFree = true
	if _, err := s.Hold(w.ctx, w.request(ben, "released", seats("A/1/2"))); err != nil {
		t.Errorf("when they are released: %v", err)
	}
	if failures := w.audit(); len(failures) > 0 {
		t.Error(failures)
	}
}

func TestTheBestSeatsOfWhoComesAloneAreNoCompanions(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	withCompanions(t, w)
	s := w.service(inventory.Hooks{})
	best := func(quantity, accessible, companions int) inventory.Item {
		return inventory.Item{Tier: "lower", Best: &inventory.Best{Quantity: quantity, Accessible: accessible, Companions: companions,
			Allow: seating.Allow{Orphans: true, Split: true, Neighbours: true}}}
	}
	w.mustHold(s, best(2, 0, 0)) // the ordinary ones
	h := w.mustHold(s, best(1, 0, 0))
	if got := h.Items[0].Seats; len(got) != 1 || got[0] != "A/1/1" {
		t.Errorf("without need, and nothing else is left: %v", got)
	}
	var apart *inventory.Apart
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", best(1, 0, 0))); !errors.As(err, &apart) {
		t.Errorf("a companion's seat is all there is: %v", err)
	}
	if _, err := s.Release(w.ctx, h.ID, h.Entrant); err != nil {
		t.Fatal(err)
	}
	h = w.mustHold(s, best(2, 1, 1))
	if got := h.Items[0].Seats; len(got) != 2 {
		t.Errorf("with need: %v", got)
	}
}

func TestACompanionsSeatIsForWhoHasTheAccessibleTicketAndNotForWhoBoughtIt(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	withCompanions(t, w)
	s := w.service(inventory.Hooks{})
	ann, ben := w.someone(), w.someone()
	own, err := s.Hold(w.ctx, w.request(ann, "own", seats("A/1/1")))
	if err != nil {
		t.Fatal(err)
	}
	if failed := w.sell(own.ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	may := func(who lottery.Entrant, key string) bool {
		t.Helper()
		h, err := s.Hold(w.ctx, w.request(who, key, seats("A/1/2")))
		if errors.Is(err, inventory.ErrCompanionAlone) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Release(w.ctx, h.ID, who); err != nil {
			t.Fatal(err)
		}
		return true
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Pool.Exec(w.ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(id uuid.UUID, owner lottery.Entrant) {
		exec(`INSERT INTO tickets (ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, issued_at)
			VALUES ($1, $2, $1, 0, 'lower', 'A/1/1', $3, 1, 1, '', 'valid', now())`, id, w.event, owner[:])
	}
	if !may(ann, "paid") || may(ben, "paid-other") {
		t.Error("before the ticket is issued it is for its buyer")
	}
	first := uuid.New()
	issue(first, ann)
	if !may(ann, "issued") || may(ben, "issued-other") {
		t.Error("with the ticket it is for its buyer")
	}
	exec(`UPDATE tickets SET owner = $2, epoch = 2 WHERE ticket_id = $1`, first, ben[:]) // handed on
	if may(ann, "gone") || !may(ben, "got") {
		t.Error("handed on it is for who has it")
	}
	exec(`UPDATE tickets SET state = 'void' WHERE ticket_id = $1`, first) // resold, back to ann
	issue(uuid.New(), ann)
	if !may(ann, "bought") || may(ben, "sold") {
		t.Error("resold it is for who bought it")
	}
}
