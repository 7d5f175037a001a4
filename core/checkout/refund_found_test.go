package checkout

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// dashboard is a refund that somebody makes in the provider's own pages, as its webhook tells of it.
func (s *shop) dashboard(o Order, minor int64, state payment.RefundState) payment.Event {
	out := s.provider.dashboard(o.Payment.ID, minor)
	out.State = state
	return payment.Event{Provider: "stripe", ID: "evt_" + out.ProviderRef + string(state), OrderID: o.ID, PaymentID: o.Payment.ID, Refund: &payment.RefundNews{Outcome: out}}
}

func (s *shop) handed(n *node, events ...payment.Event) {
	s.t.Helper()
	if err := n.Webhooks(context.Background(), events); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) toReview(n *node) []Refund {
	s.t.Helper()
	list, err := n.Refunds(context.Background(), RefundPage{Review: true, Event: s.event, Limit: 10})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestAFullRefundAtTheProviderVoidsTheTicketsAndPutsTheSeatsBackOnSale(t *testing.T) {
	for name, parts := range map[string][]int64{"at once": {23595}, "in two": {10000, 13595}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			o := s.sold(n, buyer, floor(2), inventory.Item{Seats: []string{"A/1/1"}})
			for i, minor := range parts {
				if got, _ := n.Find(t.Context(), o.ID); i > 0 && (got.State != TicketIssued || len(got.Tickets) != 3 || len(s.toReview(n)) != 1) {
					t.Fatalf("after a part: %+v, %d to review", got, len(s.toReview(n)))
				}
				e := s.dashboard(o, minor, payment.RefundSucceeded)
				s.handed(n, e, e)
			}
			got := s.await(n, o.ID, Refunded)
			if last := got.Refunds[len(got.Refunds)-1]; len(got.Tickets) != 0 || len(last.Items) != 3 || last.Kind != RefundFound || last.Reviewed != FoundVoid {
				t.Errorf("tickets %v, refund %+v", got.Tickets, last)
			}
			if valid, taken := s.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`), s.count(`SELECT sum(taken)::INT8 FROM stock`); valid+taken != 0 {
				t.Errorf("%d tickets are valid, %d units are taken", valid, taken)
			}
			if list := s.toReview(n); len(list) != 0 {
				t.Errorf("to review: %+v", list)
			}
			for _, account := range []string{"refunds", "organizer_payable/promoter", "platform_fees", "taxes_payable", "provider_clearing/stripe"} {
				if net := s.net(account); net != 0 {
					t.Errorf("%s is at %d", account, net)
				}
			}
			s.audit()
		})
	}
}

func TestAPendingFullRefundAtTheProviderVoidsAtOnceAndOneThatFailsIsForAnOperator(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	still := s.open(true)
	o := s.sold(still, buyer, floor(1))
	e := s.dashboard(o, o.Amount.Minor, payment.RefundPending)
	s.handed(n, e)
	if got, _ := n.Find(t.Context(), o.ID); got.State != RefundPending && got.State != Refunded || len(got.Tickets) != 0 {
		t.Errorf("while it is pending: %s with tickets %v", got.State, got.Tickets)
	}
	e.Refund.Outcome.State, e.ID = payment.RefundFailed, "evt_failed"
	s.handed(n, e)
	got := s.await(n, o.ID, RefundFailed)
	if list, err := n.Refunds(t.Context(), RefundPage{Unsettled: true, Limit: 10}); err != nil || len(list) != 1 || len(got.Tickets) != 0 {
		t.Errorf("unsettled %+v, %v", list, err)
	}
}

func TestAFullRefundAtTheProviderWhileADisputeIsOpenKeepsTheTicketsVoidWhenItIsWon(t *testing.T) {
	s, n, _, o := disputable(t, floor(1))
	s.says(n, claim(o, payment.DisputeOpen))
	s.handed(n, s.dashboard(o, o.Amount.Minor, payment.RefundSucceeded))
	s.says(n, claim(o, payment.DisputeWon))
	if got, _ := n.Find(t.Context(), o.ID); got.State != Refunded || len(got.Tickets) != 0 {
		t.Errorf("%s with tickets %v", got.State, got.Tickets)
	}
}

func TestAFullRefundOfAResaleAtTheProviderUndoesIt(t *testing.T) {
	m := newMarket(t, true)
	first := m.sold(m.node, seller, floor(1))
	l := m.list(ticket.TicketID(first.ID, 0), seller, 5000)
	o := m.buys(l, second)
	m.handed(m.node, m.dashboard(o, o.Amount.Minor, payment.RefundSucceeded))
	m.await(m.node, o.ID, Refunded)
	if l = m.stands(l.ID); l.State != resale.Undone || l.Payout != resale.Recalled {
		t.Errorf("listing %+v", l)
	}
	if back := m.of(first, 0); back.State != ticket.Valid || back.Owner != seller {
		t.Errorf("the seller's ticket: %+v", back)
	}
	m.owes(sellerPayable(seller), 0)
	m.books()
}

func TestAFullRefundOfASellerAtTheProviderLeavesTheResoldTicketAndIsShown(t *testing.T) {
	m := newMarket(t, true)
	first := m.sold(m.node, seller, floor(2))
	o := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 5000), second)
	m.handed(m.node, m.dashboard(first, first.Amount.Minor, payment.RefundSucceeded))
	m.eventually("it is booked", func() bool {
		return m.count(`SELECT count(*) FROM refunds WHERE kind = 'found' AND state = 'succeeded'`) == 1
	})
	if bought, other := m.of(o, 0), m.of(first, 1); bought.State != ticket.Valid || other.State != ticket.Voided {
		t.Errorf("the buyer's %+v, the seller's other %+v", bought, other)
	}
	if list := m.toReview(m.node); len(list) != 1 {
		t.Errorf("to review: %+v", list)
	}
}

func TestAnOperatorSaysWhatAPartRefundedAtTheProviderMeansForTheTickets(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	kept, part, all := s.sold(n, buyer, floor(2)), s.sold(n, buyer, floor(2)), s.sold(n, buyer, floor(1))
	refund := map[uuid.UUID]uuid.UUID{}
	for _, o := range []Order{kept, part, all} {
		s.handed(n, s.dashboard(o, 1000, payment.RefundSucceeded))
	}
	list := s.toReview(n)
	if len(list) != 3 {
		t.Fatalf("to review: %+v", list)
	}
	for _, f := range list {
		refund[f.Order] = f.ID
	}
	review := func(o Order, all bool, tickets ...uuid.UUID) error {
		_, err := n.ReviewFound(ctx, FoundReview{Refund: refund[o.ID], Tickets: tickets, All: all, Reason: "seen", Actor: "operator"})
		return err
	}
	ids := part.Tickets
	for range 2 { // the answer was lost
		if err := errors.Join(review(kept, false), review(part, false, ids[1]), review(all, true)); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{"kept, then all": review(kept, true), "another ticket": review(part, false, ids[0]), "none": review(part, false)} {
		if !errors.Is(err, ErrRefundReviewed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	own, err := n.Refund(ctx, RefundRequest{Order: kept.ID, Key: "k", Minor: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.ReviewFound(ctx, FoundReview{Refund: own.ID, Reason: "x"}); !errors.Is(err, ErrRefundOurs) {
		t.Errorf("one of ours: %v", err)
	}
	for o, want := range map[uuid.UUID]State{kept.ID: TicketIssued, part.ID: TicketIssued, all.ID: Refunded} {
		if got, err := n.Find(ctx, o); err != nil || got.State != want {
			t.Errorf("%s: %s, not %s, %v", o, got.State, want, err)
		}
	}
	if valid, taken := s.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`), s.count(`SELECT sum(taken)::INT8 FROM stock`); valid != 3 || taken != 3 {
		t.Errorf("%d tickets are valid, %d units are taken", valid, taken)
	}
	if list := s.toReview(n); len(list) != 0 {
		t.Errorf("still to review: %+v", list)
	}
	s.refundState(n, own.ID, RefundPaid)
	s.audit()
}

// The webhook was lost and the settlement has the refund: approving its row books it, and the outbox enters it for the order.
func TestARefundThatOnlyTheSettlementToldOfVoidsTheTicketsToo(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	e := s.dashboard(o, o.Amount.Minor, payment.RefundSucceeded)
	ref := e.Refund.Outcome.ProviderRef
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		money, err := ledger.ReadOrder(ctx, tx, o.ID)
		if err != nil {
			return err
		}
		parts, err := money.Part(o.Amount.Minor)
		if err != nil {
			return err
		}
		made, err := ledger.RefundTransfers(ledger.Terms{Order: o.ID, Organizer: "promoter", Provider: "stripe", Currency: "EUR"},
			payment.FoundRefundID(o.ID, "stripe", ref), money, parts, o.Amount.Minor)
		if err != nil {
			return err
		}
		if err := n.ledger.Record(ctx, tx, append(made, ledger.PostAll(made)...)); err != nil {
			return err
		}
		return n.SettledRefund(ctx, tx, SettledRefund{Order: o.ID, Provider: "stripe", Ref: ref, Amount: o.Amount})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	s.handed(n, e) // the webhook comes after all
	if got, _ := n.Find(ctx, o.ID); len(got.Tickets) != 0 || len(got.Refunds) != 1 || got.Refunds[0].State != RefundPaid {
		t.Errorf("tickets %v, refunds %+v", got.Tickets, got.Refunds)
	}
	for _, account := range []string{"refunds", "provider_clearing/stripe", "organizer_payable/promoter"} {
		if net := s.net(account); net != 0 {
			t.Errorf("%s is at %d", account, net)
		}
	}
	s.audit()
}
