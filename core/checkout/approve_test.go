package checkout

import (
	"context"
	"testing"

	"fairgate/core/inventory"
	"fairgate/core/payment"
)

// A buyer approves on the provider's own page; the webhook that says so has the payment looked up, which reserves the money.
func TestAnApprovalIsLookedUpAtOnce(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	o, err := n.Pay(ctx, o.ID, buyer)
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("it is begun", func() bool { return s.count(`SELECT count(*) FROM payments WHERE state = 'begun'`) == 1 })
	approved := payment.Event{Provider: "stripe", ID: "WH-1", OrderID: o.ID, PaymentID: o.Payment.ID, Attempt: 1, Outcome: payment.Outcome{State: payment.Approved}}
	s.provider.confirm(o.Payment.ID, payment.Authorized)
	for range 2 { // webhooks come twice
		if err := n.Webhooks(ctx, []payment.Event{approved}); err != nil {
			t.Fatal(err)
		}
	}
	s.await(n, o.ID, TicketIssued)
	if got := s.count(`SELECT count(*) FROM outbox WHERE kind = 'approved'`); got != 1 {
		t.Errorf("%d lookups of one approval", got)
	}
	s.audit()
	// Late, it says nothing new.
	approved.ID = "WH-2"
	if err := n.Webhooks(ctx, []payment.Event{approved}); err != nil {
		t.Fatal(err)
	}
	if got := s.count(`SELECT count(*) FROM outbox WHERE kind = 'approved'`); got != 1 {
		t.Errorf("an approval of a paid order made a task")
	}
}
