package checkout

import "testing"

// An order whose row somebody has spoilt is listed with the others.
func TestAnOrderThatCannotBeReadDoesNotHideTheOthers(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	spoilt, whole := s.sold(n, buyer, floor(2)), s.sold(n, buyerNo(30), floor(1))
	s.exec(`UPDATE orders SET lines = 'nonsense' WHERE order_id = $1`, spoilt.ID)
	listed, err := n.List(t.Context(), Page{Event: spoilt.Event, Limit: 10})
	if err != nil || len(listed) != 2 {
		t.Fatalf("listed %+v: %v", listed, err)
	}
	for _, o := range listed {
		switch {
		case o.ID == spoilt.ID && o.Tickets != nil:
			t.Errorf("what cannot be read has %d tickets", *o.Tickets)
		case o.ID == whole.ID && (o.Tickets == nil || *o.Tickets != 1):
			t.Errorf("the other one: %+v", o)
		}
	}
}
