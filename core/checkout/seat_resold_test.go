package checkout

import (
	"context"
	"testing"

	"fairgate/core/inventory"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

// A ticket was sold on twice before its seat is changed. Whoever has it again when the resales are undone has the seat that it has now; the
// one that it had was sold to somebody else in the meantime.
func TestAResoldTicketGetsAnotherSeatAndEveryoneBeforeFollows(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1", "A/1/2"}})
	o2 := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 8000), second)
	o3 := m.buys(m.list(ticket.TicketID(o2.ID, 0), second, 8000), third)
	id := ticket.TicketID(o3.ID, 0)
	for range 2 { // asked again it is the same
		moved, err := m.move(m.node, id, "A/1/4")
		if err != nil || moved.Ticket.Seat != "A/1/4" || moved.Ticket.Epoch != 2 || moved.Ticket.Owner != third || moved.Order != o3.ID {
			t.Fatalf("%+v, %v", moved, err)
		}
	}
	for _, o := range []Order{first, o2, o3} {
		got, err := m.Find(ctx, o.ID)
		if err != nil || got.Lines[0].Seat != "A/1/4" || got.State != TicketIssued || got.Amount != o.Amount || m.of(o, 0).Seat != "A/1/4" {
			t.Errorf("%+v, ticket %+v, %v", got, m.of(o, 0), err)
		}
	}
	if got, _ := m.Find(ctx, o3.ID); !got.Resale() || got.Lines[0].Listing != o3.Lines[0].Listing {
		t.Errorf("the order is no resale any more: %+v", got.Lines)
	}
	if other := m.of(first, 1); other.Seat != "A/1/2" || other.State != ticket.Valid {
		t.Errorf("the seller's other ticket: %+v", other)
	}
	if mails := m.count(`SELECT count(*) FROM mails WHERE kind = 'ticket_moved' AND subject_id = $1`, id); mails != 1 {
		t.Errorf("%d mails", mails)
	}
	m.books()
	m.sold(m.node, lottery.Entrant{99}, inventory.Item{Seats: []string{"A/1/1"}})
	for _, step := range []struct {
		order Order
		back  Order
		owner lottery.Entrant
	}{{o3, o2, second}, {o2, first, seller}} {
		if _, err := m.Refund(ctx, RefundRequest{Order: step.order.ID, Key: "k", Reason: "asked", Actor: "operator"}); err != nil {
			t.Fatal(err)
		}
		m.await(m.node, step.order.ID, Refunded)
		if back := m.of(step.back, 0); back.State != ticket.Valid || back.Owner != step.owner || back.Seat != "A/1/4" {
			t.Errorf("who has it again: %+v", back)
		}
		if l := m.stands(step.order.Lines[0].Listing); l.State != resale.Undone {
			t.Errorf("listing %+v", l)
		}
		m.books()
	}
	if _, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "k", Reason: "asked", Actor: "operator"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, first.ID, Refunded)
	if free := m.count(`SELECT count(*) FROM seats WHERE seat IN ('A/1/2', 'A/1/4') AND state = 'free'`); free != 2 {
		t.Errorf("%d of the two seats are on sale again", free)
	}
	m.books()
}
