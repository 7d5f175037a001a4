package checkout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
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

// The seller's order cannot be refunded while somebody pays for the ticket, and is put off instead of given up.
func TestARunThatMeetsATicketThatIsBeingSoldComesBackToIt(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	hold := make(chan struct{})
	m.provider.fault(func(f *faults) { f.hold = hold })
	o := m.orders(l, second)
	m.authorize(o)
	m.off.Store(true)
	if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
		t.Fatal(err)
	}
	m.eventually("a pass is over", func() bool { return m.count(`SELECT count(*) FROM refund_runs WHERE pass > 1`) > 0 })
	if n := m.count(`SELECT count(*) FROM refund_run_failures`); n != 0 {
		t.Errorf("%d orders are given up", n)
	}
	close(hold)
	m.await(m.node, first.ID, Refunded)
	m.await(m.node, o.ID, Refunded)
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 0)
	m.books()
}

func TestAPayerWhoGaveTheTicketAwayIsRefundedThoughWhoeverSoldItThenWasPaid(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(2))
	own := m.buys(m.list(ticket.TicketID(first.ID, 1), seller, 5000), second)
	receiver := lottery.Entrant{9}
	if err := m.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		given, err := ticket.Load(ctx, tx, ticket.TicketID(first.ID, 0))
		if err != nil {
			return err
		}
		return m.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: given, Owner: receiver}})
	}); err != nil {
		t.Fatal(err)
	}
	l := m.list(ticket.TicketID(first.ID, 0), receiver, 5000)
	o := m.buys(l, third)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	m.payout(l, resale.PayArrived, resale.Arrived)
	m.payout(m.stands(own.Lines[0].Listing), resale.PaySent, resale.Sent)
	m.off.Store(true)
	if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	m.await(m.node, own.ID, Refunded)
	m.eventually("the run is done", func() bool { run, err := m.RunOf(ctx, m.event); return err == nil && run.State == "done" })
	got, err := m.Load(ctx, first.ID, seller)
	if err != nil || len(got.Refunds) != 1 || len(got.Refunds[0].Items) != 1 || got.Refunds[0].Items[0] != 0 || got.Refunds[0].Amount.Minor != 6655 {
		t.Errorf("of two tickets the one that was given away is refunded: %+v, %v", got.Refunds, err)
	}
	if l = m.stands(l.ID); l.State != resale.Undone || l.Payout != resale.Arrived {
		t.Errorf("listing %+v", l)
	}
	m.owes(sellerPayable(receiver), 0)
	m.owes("organizer_payable/promoter", 5000-2*4250) // of the one that was sold on, and both shares, which the sellers keep
	m.books()
}
