package checkout

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// partlyLost is an order whose bank has decided that a part of what was paid is the buyer's.
func (m *market) partlyLost(claimed func(Order) payment.DisputeNews, o Order, minor int64) {
	m.t.Helper()
	news := claimed(m.await(m.node, o.ID, TicketIssued))
	news.Lost = eur(minor)
	m.says(news, payment.DisputeOpen)
	for range 2 {
		m.says(news, payment.DisputeLost)
	}
	m.await(m.node, o.ID, DisputeLost)
}

// gaveBack refunds an amount of an order by hand of an operator.
func (m *market) gaveBack(o Order, key string, minor int64) {
	m.t.Helper()
	f, err := m.Refund(context.Background(), RefundRequest{Order: o.ID, Key: key, Minor: minor, Reason: "agreed", Actor: "operator"})
	if err != nil {
		m.t.Fatal(err)
	}
	m.refundState(m.node, f.ID, RefundPaid)
}

// booksOK verifies the ledger as a whole.
func (m *market) booksOK() {
	m.t.Helper()
	m.owes("refunds", 0)
	if report, err := ledger.Verify(context.Background(), m.db.Pool); err != nil || !report.OK {
		m.t.Errorf("ledger: %+v, %v", report, err)
	}
}

// settled has a reconciliation book a refund that was made at the provider before any message tells of it.
func (m *market) settled(o Order, e payment.Event) {
	m.t.Helper()
	ref, minor := e.Refund.Outcome.ProviderRef, e.Refund.Outcome.Amount
	if err := m.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		money, err := ledger.ReadOrder(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		parts, err := money.Part(minor.Minor)
		if err != nil {
			return err
		}
		made, err := ledger.RefundTransfers(ledger.Terms{Order: o.ID, Organizer: "promoter", Provider: "stripe", Currency: "EUR"},
			payment.FoundRefundID(o.ID, "stripe", ref), money, parts, minor.Minor)
		if err != nil {
			return err
		}
		if err := m.ledger.Record(ctx, tx, append(made, ledger.PostAll(made)...)); err != nil {
			return err
		}
		return m.SettledRefund(ctx, tx, SettledRefund{Order: o.ID, Provider: "stripe", Ref: ref, Amount: minor})
	}); err != nil {
		m.t.Fatal(err)
	}
}

// What an operator gives back in the provider's own pages of a resale that was lost in part is divided as if it were given back here.
func TestWhatIsRefundedByHandOfAPartlyLostResaleIsDividedAsItsPriceWas(t *testing.T) {
	for name, tells := range map[string]func(*market, Order, payment.Event){
		"a webhook tells":     func(m *market, _ Order, e payment.Event) { m.handed(m.node, e, e) },
		"the settlement does": func(m *market, o Order, e payment.Event) { m.settled(o, e) },
		"both do":             func(m *market, o Order, e payment.Event) { m.settled(o, e); m.handed(m.node, e) },
	} {
		t.Run(name, func(t *testing.T) {
			m, claimed := bankMarket(t)
			first := m.sold(m.node, seller, floor(1))
			l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
			o := m.buys(l, second)
			m.partlyLost(claimed, o, 2000)
			byHand := func(minor, refunds int64) {
				t.Helper()
				tells(m, o, m.dashboard(o, minor, payment.RefundSucceeded))
				m.eventually("it is booked", func() bool {
					return m.count(`SELECT count(*) FROM refunds WHERE kind = 'found' AND state = 'succeeded'`) == refunds
				})
			}
			byHand(1000, 1)
			m.owes(sellerPayable(seller), 4250-1660-830) // 976 of the price
			if l = m.stands(l.ID); l.State != resale.Sold || l.Payout != resale.Waiting || l.Due() != 4250-1660-830 {
				t.Errorf("after a part the listing is %+v", l)
			}
			byHand(2121, 2)
			if l = m.stands(l.ID); l.State != resale.Undone || l.Payout != resale.Recalled || m.of(first, 0).State != ticket.Valid {
				t.Errorf("after the rest the listing is %+v, the seller's ticket %+v", l, m.of(first, 0))
			}
			m.owes(sellerPayable(seller), 0)
			m.owes("platform_fees", 500)
			m.owes("taxes_payable", 1155)
			m.owes("organizer_payable/promoter", 5000)
			if list := m.toReview(m.node); len(list) != 0 {
				t.Errorf("to be reviewed, though the tickets are void: %+v", list)
			}
			m.booksOK()
		})
	}
}

// A ticket costs 5000, and 500 and 1155 more. Of 100 that the bank takes 75 are of the price, of 6000 so are 4508, which is more than the share.
func TestASellerForfeitsNoMoreThanTheirOwnPurchaseHasLost(t *testing.T) {
	for name, c := range map[string]struct {
		lost, face, forfeited int64
		payout                resale.Payout
	}{
		"a little":            {100, 75, 75, resale.Waiting},
		"more than the share": {6000, 4508, 4250, resale.Forfeited},
	} {
		t.Run(name, func(t *testing.T) {
			m, claimed := bankMarket(t)
			first := m.sold(m.node, seller, floor(1))
			l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
			o := m.buys(l, second)
			m.ripe()
			m.partlyLost(claimed, first, c.lost)
			m.owes(sellerPayable(seller), 4250-c.forfeited)
			m.owes("organizer_payable/promoter", 5000+500-c.face+c.forfeited)
			if l = m.stands(l.ID); l.State != resale.Sold || l.Payout != c.payout || m.of(o, 0).State != ticket.Valid {
				t.Errorf("listing %+v, the buyer's ticket %+v", l, m.of(o, 0))
			}
			m.booksOK()
			if c.payout == resale.Forfeited {
				m.unpayable(l)
				return
			}
			m.payout(l, resale.PaySent, resale.Sent)
			m.payout(l, resale.PayArrived, resale.Arrived)
			m.owes(sellerPayable(seller), 0)
			m.owes("payout_clearing", 0)
			m.booksOK()
		})
	}
}

func TestASellerForfeitsTheirShareWithTheRestOfAPartlyLostPurchase(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.partlyLost(claimed, first, 100)
	m.gaveBack(first, "part", 1000) // 751 of the price
	m.owes(sellerPayable(seller), 4250-75-751)
	m.owes("organizer_payable/promoter", 5000+500)
	m.gaveBack(first, "rest", first.Amount.Minor-1100)
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 500+4250)
	if l = m.stands(l.ID); l.State != resale.Sold || l.Payout != resale.Forfeited || m.of(o, 0).State != ticket.Valid {
		t.Errorf("listing %+v, the buyer's ticket %+v", l, m.of(o, 0))
	}
	m.booksOK()
}

// The bank takes the price of one ticket of two, and does not say of which.
func TestOfTwoTicketsASellerForfeitsOnlyWhatTheResoldOneHasLost(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(2))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	m.buys(l, second)
	m.partlyLost(claimed, first, first.Amount.Minor/2)
	m.owes(sellerPayable(seller), 4250-2500)
	m.owes("organizer_payable/promoter", 2*5000+500-5000+2500)
	if l = m.stands(l.ID); l.State != resale.Sold || l.Payout != resale.Waiting || l.Due() != 4250-2500 {
		t.Errorf("the listing is %+v", l)
	}
	m.booksOK()
}

// Whoever resold what they had bought of a seller loses their own share, and nothing of the seller's, whose ticket is somebody's.
func TestABuyerWhoResoldAgainForfeitsOnlyWhatTheirPurchaseHasLost(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l1 := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o2 := m.buys(l1, second)
	l2 := m.list(ticket.TicketID(o2.ID, 0), second, 5000)
	o3 := m.buys(l2, third)
	m.partlyLost(claimed, o2, 2000) // of 5121: 1953 of the price
	m.owes(sellerPayable(seller), 4250)
	m.owes(sellerPayable(second), 4250-1953)
	m.owes("organizer_payable/promoter", 5000+500+500)
	m.booksOK()

	m.gaveBack(o2, "rest", o2.Amount.Minor-2000)
	m.owes(sellerPayable(seller), 4250)
	m.owes(sellerPayable(second), 0)
	m.owes("organizer_payable/promoter", 5000+500+500+4250-5000)
	if l := m.stands(l2.ID); l.State != resale.Sold || l.Payout != resale.Forfeited {
		t.Errorf("the share of who has their money back: %+v", l)
	}
	if l := m.stands(l1.ID); l.State != resale.Sold || l.Payout != resale.Waiting || m.of(first, 0).State != ticket.Voided || m.of(o3, 0).State != ticket.Valid {
		t.Errorf("listing %+v, the seller's ticket %+v, the last buyer's %+v", l, m.of(first, 0), m.of(o3, 0))
	}
	m.booksOK()
}

func TestAShareThatComesBackAfterThePurchaseLostAPartWaitsWithoutThatPart(t *testing.T) {
	m, claimed := bankMarket(t)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	m.buys(l, second)
	m.ripe()
	m.payout(l, resale.PaySent, resale.Sent)
	m.partlyLost(claimed, first, 100)
	m.owes("organizer_payable/promoter", 5000+500-75)
	for range 2 {
		m.payout(l, resale.PayReturned, resale.Waiting)
	}
	m.owes(sellerPayable(seller), 4250-75)
	m.owes("organizer_payable/promoter", 5000+500)
	m.payout(l, resale.PaySent, resale.Sent)
	m.gaveBack(first, "rest", first.Amount.Minor-100)
	m.payout(l, resale.PayReturned, resale.Forfeited)
	m.owes(sellerPayable(seller), 0)
	m.owes("organizer_payable/promoter", 500+4250)
	m.booksOK()
}

// A buyer has 10.00 of 51.21 back. Whoever made their ticket void for that would leave them out of the rest, so it is given back first.
func TestAPartThatWasRefundedByHandDoesNotVoidTheTicketOfAResale(t *testing.T) {
	for name, rest := range map[string]func(*market, Order, FoundReview){
		"the order is refunded, which makes it void": func(m *market, o Order, _ FoundReview) {
			if _, err := m.Refund(context.Background(), RefundRequest{Order: o.ID, Key: "rest", Reason: "asked", Actor: "operator"}); err != nil {
				m.t.Fatal(err)
			}
		},
		"the amount is refunded, and the ticket reviewed": func(m *market, o Order, q FoundReview) {
			m.gaveBack(o, "rest", 4121)
			for range 2 {
				if f, err := m.ReviewFound(context.Background(), q); err != nil || f.Reviewed != FoundVoid {
					m.t.Fatalf("reviewed as %q: %v", f.Reviewed, err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t, true)
			first := m.sold(m.node, seller, floor(1))
			l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
			o := m.buys(l, second)
			m.handed(m.node, m.dashboard(o, 1000, payment.RefundSucceeded))
			void := FoundReview{Refund: m.toReview(m.node)[0].ID, All: true, Reason: "x", Actor: "operator"}
			one := void
			one.All, one.Tickets = false, o.Tickets
			for _, q := range []FoundReview{void, one} {
				if _, err := m.ReviewFound(context.Background(), q); !errors.Is(err, ErrFoundPart) {
					t.Fatalf("reviewed: %v", err)
				}
			}
			if l = m.stands(l.ID); l.State != resale.Sold || l.Due() != 4250 || m.of(o, 0).State != ticket.Valid || len(m.toReview(m.node)) != 1 {
				t.Fatalf("though it was refused: listing %+v, ticket %+v", l, m.of(o, 0))
			}
			rest(m, o, void)
			m.await(m.node, o.ID, Refunded)
			if l = m.stands(l.ID); l.State != resale.Undone || m.of(first, 0).State != ticket.Valid || m.of(o, 0).State != ticket.Voided {
				t.Errorf("listing %+v, the seller's ticket %+v, the buyer's %+v", l, m.of(first, 0), m.of(o, 0))
			}
			if list := m.toReview(m.node); len(list) != 0 {
				t.Errorf("still to be reviewed: %+v", list)
			}
			m.owes(sellerPayable(seller), 0)
			m.owes("platform_fees", 500)
			m.owes("taxes_payable", 1155)
			m.owes("organizer_payable/promoter", 5000)
			m.booksOK()
		})
	}
}
