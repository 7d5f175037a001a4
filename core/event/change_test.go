package event_test

import (
	"strings"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

func TestAMovedEventIsNotedAndItsBuyersMayGiveTicketsBackForAWhile(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	id := lottery.EventID("hall")
	window := func(bought time.Time) time.Duration {
		t.Helper()
		until, err := s.RefundWindow(t.Context(), id, bought)
		if err != nil {
			t.Fatal(err)
		}
		if until.IsZero() {
			return 0
		}
		return time.Until(until).Round(time.Hour)
	}
	changes := func() []event.Change {
		t.Helper()
		found, err := s.Changes(t.Context(), "hall")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	apply(t, s, edit(t, hall))
	apply(t, s, edit(t, hall, "20:00:00", "19:00:00")) // nobody has anything yet
	if n := len(changes()); n != 0 {
		t.Errorf("%d changes before anything was sold", n)
	}
	if _, err := d.Pool.Exec(t.Context(), `UPDATE stock SET taken = 3 WHERE tier = 'standing' AND allocation = 'general'`); err != nil {
		t.Fatal(err)
	}
	bought := time.Now().Add(-time.Hour)
	apply(t, s, edit(t, hall, "20:00:00", "19:00:00", "name: Chamber Music", "name: Chamber Music at Night"))
	if n, left := len(changes()), window(bought); n != 0 || left != 0 {
		t.Errorf("%d changes, %s, of another name", n, left)
	}
	result := apply(t, s, edit(t, hall, "2027-06-12T20", "2027-06-13T20"))
	if said := strings.Join(result.Changes, "\n"); !strings.Contains(said, "moved: everybody with a ticket is told, and may give it back for 336h") {
		t.Error(said)
	}
	if left := window(bought); left != 14*24*time.Hour {
		t.Errorf("tickets may be given back for %s", left)
	}
	if left := window(time.Now().Add(time.Minute)); left != 0 {
		t.Errorf("what is bought afterwards may be given back for %s", left)
	}
	apply(t, s, edit(t, hall, "2027-06-12T20", "2027-06-13T20", "City Hall, city: Graz", "Town Hall, city: Linz", "fees:", "refunds: {on_change: 48h}\nfees:"))
	found := changes()
	if len(found) != 2 || found[0].StartsAt.Format(time.RFC3339) != "2027-06-13T20:00:00+02:00" || found[0].WasStarts.Day() != 12 ||
		found[1].WasVenue != "City Hall, Graz" || found[1].Venue != "Town Hall, Linz" || !found[1].ToldAt.IsZero() {
		t.Errorf("%+v", found)
	}
	if left := window(bought); left != 14*24*time.Hour { // the longer of the two
		t.Errorf("tickets may be given back for %s", left)
	}
	if result := apply(t, s, edit(t, hall, "2027-06-12T20", "2027-06-13T20", "City Hall, city: Graz", "Town Hall, city: Linz", "fees:", "refunds: {on_change: 48h}\nfees:")); result.Changed || len(changes()) != 2 {
		t.Errorf("applied again: %+v", result)
	}
}

func TestHowLongTicketsMayBeGivenBackIsBounded(t *testing.T) {
	for _, bad := range []string{"1h", "2400h", "-48h", "soon"} {
		if _, err := event.Parse([]byte(hall + "refunds: {on_change: " + bad + "}\n")); err == nil || !strings.Contains(err.Error(), "refunds.on_change") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
