package checkout

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// settledByHand books a refund of an order's sale as the approval of its settlement row does, and has it entered.
func (s *shop) settledByHand(n *node, o Order, ref, paymentRef string) {
	s.t.Helper()
	err := s.db.InTx(s.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
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
		return n.SettledRefund(ctx, tx, SettledRefund{Order: o.ID, Provider: "stripe", PaymentRef: paymentRef, Ref: ref, Amount: o.Amount})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// paidTwice adds a second attempt of an order that was captured late; its money is in no books.
func (s *shop) paidTwice(o Order) {
	s.t.Helper()
	s.exec(`INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor, currency,
		created_at, updated_at, method) SELECT order_id, 2, $2, provider, 'pi_late', client_secret, state, live, $3, declines, amount_minor, currency, created_at,
		updated_at, method FROM payments WHERE order_id = $1 AND attempt = 1`, o.ID, payment.PaymentID(o.ID, 2), lateMoney)
}

// The settlement names the capture of a PayPal order, which no row of payments does, and a later attempt of the order was late.
func TestARefundOfASaleThatTheSettlementBookedIsEnteredOnceThoughALaterPaymentCameLate(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	s.paidTwice(o)
	ref := s.dashboard(o, o.Amount.Minor, payment.RefundSucceeded).Refund.Outcome.ProviderRef
	s.settledByHand(n, o, ref, "CAPTURE")
	s.eventually("it is entered", func() bool { return s.count(`SELECT count(*) FROM refunds WHERE provider_ref = $1`, ref) == 1 })
	got, err := n.Find(t.Context(), o.ID)
	if err != nil || len(got.Tickets) != 0 || got.Refunds[0].Kind != RefundFound || got.Refunds[0].Payment != payment.PaymentID(o.ID, 1) {
		t.Errorf("tickets %v, refunds %+v, %v", got.Tickets, got.Refunds, err)
	}
	for _, account := range []string{"refunds", "organizer_payable/promoter", "late_money", "provider_clearing/stripe"} {
		if net := s.net(account); net != 0 {
			t.Errorf("%s is at %d", account, net)
		}
	}
}

func TestARefundOfLateMoneyThatTheSettlementBookedIsEnteredOnceWhicheverPaymentItIsSaidToBeOf(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(1))
	s.paidTwice(o)
	terms := ledger.Terms{Order: o.ID, Provider: "stripe", Currency: "EUR"}
	err := s.db.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		came, err := ledger.MoreLateMoneyTransfers(terms, payment.PaymentID(o.ID, 2), o.Amount.Minor)
		if err != nil {
			return err
		}
		made, err := ledger.LateRefundTransfers(terms, payment.FoundRefundID(o.ID, "stripe", "re_late"), o.Amount.Minor)
		if err != nil {
			return err
		}
		if err := n.ledger.Record(ctx, tx, append(came, append(made, ledger.PostAll(made)...)...)); err != nil {
			return err
		}
		return n.SettledRefund(ctx, tx, SettledRefund{Order: o.ID, Payment: o.Payment.ID, Provider: "stripe", Ref: "re_late", Amount: o.Amount})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.eventually("it is entered", func() bool {
		return s.count(`SELECT count(*) FROM refunds WHERE kind = 'late' AND state = 'succeeded'`) == 1
	})
	if got := s.await(n, o.ID, TicketIssued); len(got.Tickets) != 1 || got.Refunds[0].Payment != payment.PaymentID(o.ID, 2) {
		t.Errorf("tickets %v, refunds %+v", got.Tickets, got.Refunds)
	}
	if late, theirs := s.net("late_money"), s.net("provider_clearing/stripe"); late != 0 || theirs != o.Amount.Minor {
		t.Errorf("late money is at %d, the provider's account at %d of %d", late, theirs, o.Amount.Minor)
	}
}

// byHandMeanwhile has somebody refund an amount at the provider while a refund of the whole order is under way, which the provider refuses
// then. Of the first word of it the books have no room.
func byHandMeanwhile(t *testing.T, minor int64) (*shop, *node, Order, Refund) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	s.provider.fault(func(f *faults) { f.slow = true })
	f := s.asksBack(n, RefundRequest{Order: o.ID})
	s.refundState(n, f.ID, RefundTaken)
	e := s.dashboard(o, min(minor, o.Amount.Minor), payment.RefundSucceeded)
	if err := n.Webhooks(t.Context(), []payment.Event{e}); !errors.Is(err, ledger.ErrOverRefund) {
		t.Fatalf("while ours is under way: %v", err)
	}
	s.tells(n, f.ID, payment.RefundFailed)
	s.handed(n, e) // as the inbox tells it again
	return s, n, o, f
}

func (s *shop) allBack() {
	s.t.Helper()
	for _, account := range []string{"refunds", "organizer_payable/promoter", "platform_fees", "taxes_payable"} {
		if net := s.net(account); net != 0 {
			s.t.Errorf("%s is at %d", account, net)
		}
	}
}

func TestAFullRefundByHandSettlesOursThatTheProviderThenRefuses(t *testing.T) {
	s, n, o, f := byHandMeanwhile(t, 1<<40)
	got, err := n.Find(t.Context(), o.ID)
	if err != nil || got.State != Refunded || len(got.Refunds) != 2 {
		t.Fatalf("%s, refunds %+v, %v", got.State, got.Refunds, err)
	}
	if ours := s.refundState(n, f.ID, RefundRefused); ours.Resolution != ResolvedOtherwise {
		t.Errorf("ours: %+v", ours)
	}
	if list, err := n.Refunds(t.Context(), RefundPage{Unsettled: true, Limit: 10}); err != nil || len(list) != 0 {
		t.Errorf("unsettled: %+v, %v", list, err)
	}
	s.allBack()
}

func TestOfARefundThatFailedTheRestOfAPartRefundedByHandIsPaid(t *testing.T) {
	const byHand = 1000
	for name, pay := range map[string]func(s *shop, n *node, f Refund) error{
		"by another refund": func(s *shop, n *node, f Refund) error {
			again, err := n.RetryRefund(t.Context(), f.ID, "1", "operator")
			if err != nil || again.Amount.Minor != f.Amount.Minor-byHand {
				return errors.Join(err, errors.New(again.Amount.String()))
			}
			s.refundState(n, again.ID, RefundTaken)
			s.tells(n, again.ID, payment.RefundSucceeded)
			return nil
		},
		"otherwise": func(_ *shop, n *node, f Refund) error {
			_, err := n.PaidOtherwise(t.Context(), f.ID, "bank", "operator")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, n, o, f := byHandMeanwhile(t, byHand)
			if got, _ := n.Find(t.Context(), o.ID); got.State != RefundFailed {
				t.Fatalf("the order is %s", got.State)
			}
			if err := pay(s, n, f); err != nil {
				t.Fatal(err)
			}
			if got, _ := n.Find(t.Context(), o.ID); got.State != Refunded {
				t.Errorf("the order is %s", got.State)
			}
			s.allBack()
			if theirs, bank := s.net("provider_clearing/stripe"), s.net("bank"); theirs+bank != 0 || name == "otherwise" && bank != -(o.Amount.Minor-byHand) {
				t.Errorf("the provider's account is at %d, the bank's at %d", theirs, bank)
			}
		})
	}
}

// Two refunds of ours fail, and of what somebody has left by hand one takes all: nothing is left for the other, and nobody has to see to it.
func TestARefundThatFailedIsSettledWhenAnotherTakesWhatWasLeftForIt(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := t.Context()
	o := s.sold(n, buyer, floor(2))
	s.provider.fault(func(f *faults) { f.slow = true })
	var ours []Refund
	for i := range o.Tickets {
		ours = append(ours, s.asksBack(n, RefundRequest{Order: o.ID, Tickets: o.Tickets[i : i+1]}))
	}
	for _, f := range ours {
		s.refundState(n, f.ID, RefundTaken)
		s.tells(n, f.ID, payment.RefundFailed)
	}
	s.handed(n, s.dashboard(o, o.Amount.Minor-1500, payment.RefundSucceeded))
	again, err := n.RetryRefund(ctx, ours[0].ID, "1", "operator")
	if err != nil || again.Amount.Minor != 1500 {
		t.Fatalf("retried: %+v, %v", again, err)
	}
	if other := s.refundState(n, ours[1].ID, RefundRefused); other.Resolution != ResolvedOtherwise {
		t.Errorf("the other: %+v", other)
	}
	if got, _ := n.Find(ctx, o.ID); got.State != RefundPending {
		t.Errorf("the order is %s", got.State)
	}
}
