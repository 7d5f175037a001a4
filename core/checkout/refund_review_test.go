package checkout

import (
	"errors"
	"testing"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
)

// foundOne is the refund that waits for its review.
func (s *shop) foundOne(n *node) Refund {
	s.t.Helper()
	list := s.toReview(n)
	if len(list) != 1 {
		s.t.Fatalf("to review: %+v", list)
	}
	return list[0]
}

// The tickets of the seller's order went void by the refund but for one that was resold, which came back later.
func TestALaterReviewKeepsWhatTheRefundMadeVoidBefore(t *testing.T) {
	m := newMarket(t, true)
	ctx := t.Context()
	first := m.sold(m.node, seller, floor(2))
	o := m.buys(m.list(ticket.TicketID(first.ID, 0), seller, 5000), second)
	m.handed(m.node, m.dashboard(first, first.Amount.Minor, payment.RefundSucceeded))
	m.eventually("it is booked", func() bool {
		return m.count(`SELECT count(*) FROM refunds WHERE kind = 'found' AND state = 'succeeded'`) == 1
	})
	found := m.foundOne(m.node)
	if _, err := m.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "asked", Actor: "operator"}); err != nil {
		t.Fatal(err)
	}
	m.await(m.node, o.ID, Refunded)
	for range 2 { // the answer was lost
		f, err := m.ReviewFound(ctx, FoundReview{Refund: found.ID, Tickets: first.Tickets[:1], Reason: "it came back", Actor: "operator"})
		if err != nil || len(f.Items) != 2 {
			t.Fatalf("reviewed: %+v, %v", f, err)
		}
	}
	if got, err := m.Find(ctx, first.ID); err != nil || got.State != Refunded || len(got.Tickets) != 0 {
		t.Errorf("the order is %s with tickets %v, %v", got.State, got.Tickets, err)
	}
}

func TestAReviewThatSaysOtherwiseThanTheOneBeforeIsRefused(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(3))
	s.handed(n, s.dashboard(o, 1000, payment.RefundSucceeded))
	id := s.foundOne(n).ID
	review := func(q FoundReview) error {
		q.Refund, q.Reason, q.Actor = id, "seen", "operator"
		_, err := n.ReviewFound(t.Context(), q)
		return err
	}
	two := FoundReview{Tickets: o.Tickets[:2]}
	if err := errors.Join(review(two), review(two)); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]FoundReview{"all": {All: true}, "kept": {}, "one of the two": {Tickets: o.Tickets[:1]}, "another": {Tickets: o.Tickets[2:]}} {
		if err := review(q); !errors.Is(err, ErrRefundReviewed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if valid := s.count(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 1 {
		t.Errorf("%d tickets are valid", valid)
	}
}

func TestWhatBecameVoidWithoutAWordIsReviewedLikeThatAlone(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	s.handed(n, s.dashboard(o, o.Amount.Minor, payment.RefundSucceeded))
	f := s.await(n, o.ID, Refunded).Refunds[0]
	for name, c := range map[string]struct {
		q    FoundReview
		want error
	}{"all": {FoundReview{All: true}, nil}, "both": {FoundReview{Tickets: o.Tickets}, nil}, "one": {FoundReview{Tickets: o.Tickets[:1]}, ErrRefundReviewed}, "kept": {FoundReview{}, ErrRefundReviewed}} {
		c.q.Refund, c.q.Reason = f.ID, "seen"
		if _, err := n.ReviewFound(t.Context(), c.q); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARefundByHandThatFailedIsNotReviewed(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2), inventory.Item{Seats: []string{"A/1/1"}})
	e := s.dashboard(o, 1000, payment.RefundSucceeded)
	s.handed(n, e)
	f := s.foundOne(n)
	e.ID, e.Refund.Outcome.State = "evt_back", payment.RefundFailed
	s.handed(n, e)
	s.refundState(n, f.ID, RefundRefused)
	if _, err := n.ReviewFound(t.Context(), FoundReview{Refund: f.ID, All: true, Reason: "x"}); !errors.Is(err, ErrRefundBack) {
		t.Errorf("reviewed: %v", err)
	}
	if got, err := n.Find(t.Context(), o.ID); err != nil || len(got.Tickets) != 3 || len(s.toReview(n)) != 0 {
		t.Errorf("tickets %v, %v", got.Tickets, err)
	}
}

func TestWhileAnOrderIsDisputedNothingOfItIsReviewedOrRefundedAndAfterwardsItIs(t *testing.T) {
	s, n, _, o := disputable(t, floor(2))
	s.handed(n, s.dashboard(o, 1000, payment.RefundSucceeded))
	f := s.foundOne(n)
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	if list := s.toReview(n); len(list) != 0 {
		t.Errorf("to review while it is disputed: %+v", list)
	}
	review := func() error {
		_, err := n.ReviewFound(t.Context(), FoundReview{Refund: f.ID, Reason: "x", Actor: "operator"})
		return err
	}
	if err := review(); !errors.Is(err, ErrRefundDispute) {
		t.Errorf("reviewed: %v", err)
	}
	if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "k", Reason: "x", Actor: "operator"}); !errors.Is(err, ErrRefundDispute) {
		t.Errorf("refunded: %v", err)
	}
	s.says(n, claim(o, payment.DisputeWon))
	s.await(n, o.ID, TicketIssued)
	if s.foundOne(n).ID != f.ID || review() != nil || len(s.toReview(n)) != 0 {
		t.Errorf("after it was won: %+v", s.toReview(n))
	}
}
