package event_test

import (
	"errors"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

func TestACancelledEventStaysCancelledWhateverIsAppliedLater(t *testing.T) {
	d := dbtest.New(t)
	s := event.NewStore(d, event.Options{})
	if _, err := s.Apply(t.Context(), edit(t, hall)); err != nil {
		t.Fatal(err)
	}
	before, err := s.BySlug(t.Context(), "hall")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e, err := s.Cancel(t.Context(), "hall")
		if err != nil || e.State != event.Cancelled || e.Revision != before.Revision+1 {
			t.Fatalf("cancelled: %+v, %v", e, err)
		}
	}
	if _, err := s.Apply(t.Context(), edit(t, hall, "name: Chamber Music", "name: Chamber Music, moved")); err != nil {
		t.Fatal(err)
	}
	e, err := s.BySlug(t.Context(), "hall")
	if err != nil || e.State != event.Cancelled || e.Spec.Name != "Chamber Music, moved" {
		t.Errorf("after another file: %s %q, %v", e.State, e.Spec.Name, err)
	}
	var listed string
	if err := d.Pool.QueryRow(t.Context(), `SELECT state FROM catalog WHERE event_id = $1`, e.ID).Scan(&listed); err != nil || listed != "cancelled" {
		t.Errorf("the list says %s, %v", listed, err)
	}
	if _, err := s.Cancel(t.Context(), "nothing"); !errors.Is(err, event.ErrUnknown) {
		t.Errorf("an unknown event: %v", err)
	}
}

func TestRefundsAreForOperatorsUnlessTheFileSaysOtherwise(t *testing.T) {
	if s := edit(t, hall); s.Refunds != (event.Refunds{}) || s.LateMoney != "" {
		t.Errorf("by default %+v, late money %q", s.Refunds, s.LateMoney)
	}
	s := edit(t, hall+"refunds: {by: buyer, until: 2027-06-10T12:00:00+02:00, keep_fee: true, resell: false}\nlate_money: void\n")
	want := event.Refunds{By: event.RefundByBuyer, Until: time.Date(2027, 6, 10, 10, 0, 0, 0, time.UTC), KeepFee: true, KeepOff: true}
	if s.Refunds != want || s.LateMoney != event.LateVoid {
		t.Errorf("got %+v, late money %q", s.Refunds, s.LateMoney)
	}
	if s := edit(t, hall+"refunds: {by: operator, resell: true}\nlate_money: reseat\n"); s.Refunds != (event.Refunds{}) || s.LateMoney != "" {
		t.Errorf("the defaults spelt out are %+v, late money %q", s.Refunds, s.LateMoney)
	}
}
