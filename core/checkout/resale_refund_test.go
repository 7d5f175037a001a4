package checkout

import (
	"context"
	"errors"
	"testing"
	"time"

	"fairgate/core/resale"
	"fairgate/core/ticket"
)

func TestABuyerDoesNotRefundAResaleWhoseSellerHasBeenPaidAndAnOperatorDoes(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	m.policy = RefundPolicy{Buyers: true, Until: time.Now().Add(time.Hour)}
	first := m.sold(m.node, seller, floor(2))
	paid, unpaid := m.list(ticket.TicketID(first.ID, 0), seller, 5000), m.list(ticket.TicketID(first.ID, 1), seller, 5000)
	o, other := m.buys(paid, second), m.buys(unpaid, third)
	m.ripe()
	m.payout(paid, resale.PaySent, resale.Sent)
	for _, step := range []resale.PayoutStep{resale.PaySent, resale.PayArrived} {
		if _, err := m.resale.Pay(ctx, paid.ID, step, "operator", "4711"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.RefundOwn(ctx, o.ID, second, string(step), nil); !errors.Is(err, ErrRefundSellerPaid) {
			t.Errorf("%s: %v", step, err)
		}
	}
	if now := m.of(o, 0); now.State != ticket.Valid {
		t.Errorf("the buyer's ticket is %+v", now)
	}
	if _, err := m.RefundOwn(ctx, other.ID, third, "k", nil); err != nil {
		t.Errorf("of a seller who was not paid: %v", err)
	}
	m.await(m.node, other.ID, Refunded)
	if _, err := m.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked", Actor: "operator"}); err != nil {
		t.Fatalf("by an operator: %v", err)
	}
	m.await(m.node, o.ID, Refunded)
	m.books()
}
