package checkout

import (
	"context"
	"errors"
	"testing"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

func TestASellerIsPaidAlthoughTheirBuyerResoldTheTicketAndLostADisputeOverIt(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l1 := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o2 := m.buys(l1, second)
	l2 := m.list(ticket.TicketID(o2.ID, 0), second, 5000)
	o3 := m.buys(l2, third)
	m.ripe()
	news := claimed(m.await(m.node, o2.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.await(m.node, o2.ID, Disputed)
	for _, l := range []resale.Listing{l1, l2} {
		if _, err := m.resale.Pay(context.Background(), l.ID, resale.PaySent, "operator", "4711"); !errors.Is(err, resale.ErrDisputed) {
			t.Errorf("sent while it is disputed: %v", err)
		}
	}
	m.says(news, payment.DisputeLost)
	m.await(m.node, o2.ID, DisputeLost)
	if got := m.stands(l2.ID); got.State != resale.Sold || got.Payout != resale.Forfeited {
		t.Errorf("the share of who lost the dispute: %+v", got)
	}
	if now := m.of(o3, 0); now.State != ticket.Valid {
		t.Errorf("the last buyer's ticket is %+v", now)
	}
	m.payout(l1, resale.PaySent, resale.Sent)
	m.payout(l1, resale.PayArrived, resale.Arrived)
	m.unpayable(l2)
	m.owes(sellerPayable(seller), 0)
	m.owes(sellerPayable(second), 0)
	m.owes("payout_clearing", 0)
	m.owes("organizer_payable/promoter", 5000+500+500+4250-5000) // sold, two shares of resales, what was forfeited; less what the bank took
}

func TestASellerWhoseDisputeIsWonAfterTheResaleWasUndoneHasTheTicketAgain(t *testing.T) {
	m, claimed := bankMarket(t)
	ctx := context.Background()
	first := m.sold(m.node, seller, inventory.Item{Seats: []string{"A/1/1", "A/1/2"}})
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	news := claimed(m.await(m.node, first.ID, TicketIssued))
	m.says(news, payment.DisputeOpen)
	m.await(m.node, first.ID, Disputed)
	if _, err := m.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	if was, l := m.of(first, 0), m.stands(l.ID); was.State != ticket.Voided || l.State != resale.Undone || l.Payout != resale.Recalled {
		t.Errorf("while it is disputed the ticket is %+v, the listing %+v", was, l)
	}
	for range 2 {
		m.says(news, payment.DisputeWon)
	}
	m.await(m.node, first.ID, TicketIssued)
	for item := range 2 {
		if was := m.of(first, item); was.State != ticket.Valid || was.Owner != seller {
			t.Errorf("ticket %d is %+v", item, was)
		}
	}
	if bought := m.of(o, 0); bought.State != ticket.Voided {
		t.Errorf("the buyer's ticket is %+v", bought)
	}
	history, err := m.History(ctx, first.ID)
	if last := history[len(history)-1]; err != nil || last.Reason != "2 tickets are valid again, 1 of them resold before: the resale was undone" {
		t.Errorf("the story ends with %+v, %v", last, err)
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 2*8000)
	m.books()
	m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 6000), third)
	m.books()
}

// 5000 were asked: 500 are the organizer's, 250 the platform's, 4250 the seller's; the buyer paid 100 and 21 more.
func TestAPartlyLostDisputeOfAResaleIsDividedAsItsPriceWas(t *testing.T) {
	const lost = 2000 // of 5121: 1953 of the price, 39 of the fee, 8 of the tax
	for name, c := range map[string]struct {
		before           func(m *market, l resale.Listing)
		seller, platform int64 // what they are owed in the end
	}{
		"while the seller waits": {func(*market, resale.Listing) {}, 4250 - 1660, 500 + 100 + 250 - 39 - 98},
		"after the seller was paid": {func(m *market, l resale.Listing) {
			m.payout(l, resale.PaySent, resale.Sent)
			m.payout(l, resale.PayArrived, resale.Arrived)
		}, 0, 500 + 100 + 250 - 39 - 98},
	} {
		t.Run(name, func(t *testing.T) {
			m, claimed := bankMarket(t)
			first := m.sold(m.node, seller, floor(1))
			l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
			o := m.buys(l, second)
			m.ripe()
			c.before(m, l)
			news := claimed(m.await(m.node, o.ID, TicketIssued))
			news.Lost = eur(lost)
			m.says(news, payment.DisputeOpen)
			for range 2 {
				m.says(news, payment.DisputeLost)
			}
			m.await(m.node, o.ID, DisputeLost)
			paid := int64(0)
			if c.seller == 0 {
				paid = 1660 // what the organizer bears of it
			}
			m.owes(sellerPayable(seller), c.seller)
			m.owes("platform_fees", c.platform)
			m.owes("taxes_payable", 1155+21-8)
			m.owes("organizer_payable/promoter", 5000+500-1953+1660+98-paid)
			if got := m.stands(l.ID); got.State != resale.Sold || got.Due() != 4250-(1660-paid) || m.of(o, 0).State != ticket.Voided {
				t.Errorf("listing %+v, ticket %+v", got, m.of(o, 0))
			}
			if c.seller > 0 {
				m.payout(l, resale.PaySent, resale.Sent)
				m.payout(l, resale.PayArrived, resale.Arrived)
				m.owes(sellerPayable(seller), 0)
				m.owes("payout_clearing", 0)
			}
			if report, err := ledger.Verify(context.Background(), m.db.Pool); err != nil || !report.OK {
				t.Errorf("ledger: %+v, %v", report, err)
			}
		})
	}
}

func TestAShareThatComesBackAfterAPartlyLostDisputeWaitsWithoutThatPart(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	news := claimed(m.await(m.node, o.ID, TicketIssued))
	news.Lost = eur(2000)
	m.says(news, payment.DisputeOpen)
	m.says(news, payment.DisputeLost)
	m.await(m.node, o.ID, DisputeLost)
	for range 2 {
		m.payout(l, resale.PayReturned, resale.Waiting)
	}
	m.owes(sellerPayable(seller), 4250-1660)
	m.owes("organizer_payable/promoter", 5000+500-1953+1660+98)
	m.payout(l, resale.PaySent, resale.Sent)
	m.payout(l, resale.PayArrived, resale.Arrived)
	m.owes(sellerPayable(seller), 0)
}

// What a dispute has left of a resale is refunded by an operator: then all of it is undone, to the last cent.
func TestTheRestOfAPartlyLostDisputeOfAResaleIsRefundedAndUndoesIt(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	news := claimed(m.await(m.node, o.ID, TicketIssued))
	news.Lost = eur(2000)
	m.says(news, payment.DisputeOpen)
	m.says(news, payment.DisputeLost)
	m.await(m.node, o.ID, DisputeLost)
	part, err := m.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "part", Minor: 1000, Reason: "agreed", Actor: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	m.refundState(m.node, part.ID, RefundPaid)
	m.owes(sellerPayable(seller), 4250-1660-830) // 976 of the price
	rest, err := m.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "rest", Minor: 2121, Reason: "agreed", Actor: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	m.refundState(m.node, rest.ID, RefundPaid)
	if l = m.stands(l.ID); l.State != resale.Undone || l.Payout != resale.Recalled || m.of(first, 0).State != ticket.Valid {
		t.Errorf("listing %+v, the seller's ticket %+v", l, m.of(first, 0))
	}
	m.owes(sellerPayable(seller), 0)
	m.owes("platform_fees", 500)
	m.owes("taxes_payable", 1155)
	m.owes("organizer_payable/promoter", 5000)
}
