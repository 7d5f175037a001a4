package checkout

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
)

// payout tells of a step of a seller's payout, and expects what it comes to.
func (m *market) payout(l resale.Listing, step resale.PayoutStep, want resale.Payout) {
	m.t.Helper()
	got, err := m.resale.Pay(context.Background(), l.ID, step, "operator", "4711")
	if err != nil || got.Payout != want {
		m.t.Fatalf("%s: the share is %s, want %s: %v", step, got.Payout, want, err)
	}
}

// ripe has all shares be due.
func (m *market) ripe() { m.exec(`UPDATE listings SET pay_at = now() - INTERVAL '1 second'`) }

// unpayable expects that nobody can send a share any more, and that nothing waits.
func (m *market) unpayable(l resale.Listing) {
	m.t.Helper()
	ctx := context.Background()
	if _, err := m.resale.Pay(ctx, l.ID, resale.PaySent, "operator", "4712"); !errors.Is(err, resale.ErrPayoutState) {
		m.t.Errorf("sent again: %v", err)
	}
	if due, err := m.resale.Shares(ctx, time.Time{}, uuid.Nil, 10); err != nil || len(due) != 0 {
		m.t.Errorf("shares %+v, %v", due, err)
	}
}

func TestAPayoutThatComesBackAfterTheResaleWasUndoneIsRecalledAndTheSellerHasTheTicketAgain(t *testing.T) {
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	if _, err := m.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	if was := m.of(first, 0); was.State != ticket.Voided {
		t.Errorf("a seller who was paid has the ticket too: %+v", was)
	}
	for range 2 {
		m.payout(l, resale.PayReturned, resale.Recalled)
	}
	if was, bought := m.of(first, 0), m.of(o, 0); was.State != ticket.Valid || was.Owner != seller || bought.State != ticket.Voided {
		t.Errorf("the seller's ticket is %+v, the buyer's %+v", was, bought)
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("payout_clearing", 0)
	m.owes("organizer_payable/promoter", 5000)
	m.unpayable(l)
	m.books()
	if _, err := m.Refund(ctx, RefundRequest{Order: first.ID, Key: "k2", Reason: "asked"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, first.ID, Refunded)
	m.owes("organizer_payable/promoter", 0)
	m.books()
}

func TestAPayoutThatComesBackAfterTheSellersOwnDisputeWasLostIsForfeited(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	news := claimed(m.await(m.node, first.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.says(news, payment.DisputeLost)
	m.await(m.node, first.ID, DisputeLost)
	m.owes("organizer_payable/promoter", 5000+500-5000)
	m.payout(l, resale.PayReturned, resale.Forfeited)
	if now := m.of(o, 0); now.State != ticket.Valid {
		t.Errorf("the buyer's ticket is %+v", now)
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("payout_clearing", 0)
	m.owes("organizer_payable/promoter", 5000+500+4250-5000) // as if it had not been sent
	m.unpayable(l)
}

func TestAPayoutThatComesBackWhileTheSellersOwnPurchaseIsDisputedWaitsForTheDecision(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	news := claimed(m.await(m.node, first.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.await(m.node, first.ID, Disputed)
	m.payout(l, resale.PayReturned, resale.Waiting)
	if _, err := m.resale.Pay(context.Background(), l.ID, resale.PaySent, "operator", "4712"); !errors.Is(err, resale.ErrDisputed) {
		t.Errorf("sent while it is disputed: %v", err)
	}
	m.says(news, payment.DisputeWon)
	m.await(m.node, first.ID, TicketIssued)
	m.payout(l, resale.PaySent, resale.Sent)
	m.owes(sellerPayable(seller), 0)
}

func TestAPayoutThatComesBackAfterTheEventWasCancelledHasTheSellerRefundedWhenTheRefundIsAskedForAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	m := newMarket(t, true)
	ctx := context.Background()
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	m.off.Store(true)
	run := func() {
		t.Helper()
		if _, err := m.RefundEvent(ctx, m.event, "cancelled", "operator"); err != nil {
			t.Fatal(err)
		}
		m.eventually("the run is done", func() bool { run, err := m.RunOf(ctx, m.event); return err == nil && run.State == "done" })
	}
	run()
	m.await(m.node, o.ID, Refunded)
	m.payout(l, resale.PayReturned, resale.Recalled)
	m.unpayable(l)
	for range 2 {
		run()
		m.await(m.node, first.ID, Refunded)
	}
	for _, account := range []string{sellerPayable(seller), "payout_clearing", "organizer_payable/promoter", "platform_fees", "taxes_payable"} {
		m.owes(account, 0)
	}
	if valid := m.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets are valid", valid)
	}
	m.books()
}
