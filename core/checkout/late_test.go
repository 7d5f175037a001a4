package checkout

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// expired is an order whose hold is past its deadline while its buyer pays; the provider has authorized or captured it and
// nobody has told yet.
func (s *shop) late(n *node, who lottery.Entrant, state payment.OutcomeState, items ...inventory.Item) Order {
	s.t.Helper()
	o := s.order(n, who, s.hold(n, who, uuid.NewString(), items...))
	id := payment.PaymentID(o.ID, 1)
	s.eventually("the intent exists", func() bool { return s.provider.confirm(id, state) })
	s.eventually("the payment is begun", func() bool {
		got, err := n.Find(context.Background(), o.ID)
		return err == nil && got.Payment.State == PaymentBegun
	})
	if state == payment.Captured {
		s.provider.mu.Lock()
		s.provider.intents[id].captures++
		s.provider.mu.Unlock()
	}
	return o
}

func (s *shop) pass(o Order) {
	s.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, o.Hold)
	s.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second' WHERE holds = $1`, o.Hold[:])
}

func (s *shop) tell(n *node, o Order, cause Cause) {
	s.t.Helper()
	if err := n.Apply(context.Background(), Outcome{Order: o.ID, Payment: payment.PaymentID(o.ID, 1), Cause: cause, Actor: "webhook"}); err != nil {
		s.t.Fatal(err)
	}
}

func TestLateMoneyGetsTheSameSeatsWhileTheyAreFree(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.late(n, buyer, payment.Authorized, floor(1), inventory.Item{Seats: []string{"A/1/2"}})
	s.pass(o)
	s.tell(n, o, CauseAuthorized)
	got := s.await(n, o.ID, TicketIssued)
	if !got.Reseated() || got.Hold == o.Hold || got.Lines[1].Seat != "A/1/2" || len(got.Tickets) != 2 {
		t.Errorf("hold %s, lines %+v", got.Hold, got.Lines)
	}
	s.audit()
}

// The sweep has ended the order and nobody knows of the authorization: it is found before it would be voided.
func TestAnAuthorizationThatNobodyToldIsFoundBeforeItIsVoided(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.late(n, buyer, payment.Authorized, inventory.Item{Seats: []string{"A/1/1"}})
	s.pass(o)
	got := s.await(n, o.ID, TicketIssued)
	if !got.Reseated() {
		t.Error("the order has its old hold")
	}
	s.tell(n, o, CauseAuthorized) // the webhook, at last
	if got = s.await(n, o.ID, TicketIssued); len(got.Tickets) != 1 {
		t.Errorf("tickets %v", got.Tickets)
	}
	s.audit()
}

func TestLateMoneyGetsOtherSeatsOfItsTierOrIsVoided(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.late(n, buyer, payment.Authorized, floor(2))
	s.pass(o)
	s.eventually("the sweep came by", func() bool {
		got, err := n.Find(ctx, o.ID)
		return err == nil && got.State != PaymentPending
	})
	s.await(n, o.ID, TicketIssued)

	gone := s.late(n, lottery.Entrant{2}, payment.Authorized, inventory.Item{Seats: []string{"A/1/1", "A/1/2"}})
	s.ended.Store(true) // nothing is sold while the others take the seats
	s.pass(gone)
	s.await(n, gone.ID, Expired)
	s.eventually("the authorization is voided", func() bool {
		out, err := s.provider.Lookup(ctx, payment.Intent{PaymentID: payment.PaymentID(gone.ID, 1)})
		return err == nil && out.State == payment.Voided
	})
	if got, _ := n.Find(ctx, gone.ID); got.Reseated() || got.State != Expired {
		t.Errorf("after the sale's end the order is %s", got.State)
	}
	s.audit()
}

func TestLateMoneyIsVoidedWhenNothingOfItsKindIsLeft(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.late(n, buyer, payment.Authorized, inventory.Item{Seats: []string{"A/1/1", "A/1/2"}})
	// Others are quicker: the sweep, another buyer, and only then the outbox.
	s.exec(`UPDATE stock SET capacity = taken WHERE tier = 'lower'`)
	s.exec(`UPDATE seats SET state = 'blocked' WHERE state = 'free'`)
	other := n.cfg.Again
	n.cfg.Again = func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
		_, err := n.stock.Hold(ctx, inventory.Request{Event: s.event, Entrant: lottery.Entrant{7}, Key: "quick", Items: []inventory.Item{{Seats: []string{"A/1/1"}}}})
		if err != nil && !errors.Is(err, inventory.ErrSeatTaken) {
			return inventory.Hold{}, err
		}
		return other(ctx, earlier, key)
	}
	s.pass(o)
	s.eventually("the authorization is voided", func() bool {
		out, err := s.provider.Lookup(ctx, payment.Intent{PaymentID: payment.PaymentID(o.ID, 1)})
		return err == nil && out.State == payment.Voided
	})
	got := s.await(n, o.ID, Expired)
	if got.Reseated() {
		t.Error("sold without a seat")
	}
	s.audit()
}

func TestLateMoneyThatIsCapturedIsSoldAgainOrRefunded(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	again := s.late(n, lottery.Entrant{1}, payment.Captured, inventory.Item{Seats: []string{"A/1/1"}})
	s.pass(again)
	s.tell(n, again, CauseCaptured)
	if got := s.await(n, again.ID, TicketIssued); !got.Reseated() || len(got.Tickets) != 1 {
		t.Errorf("%+v", got)
	}
	if late := s.net("late_money"); late != 0 {
		t.Errorf("late money is at %d", late)
	}
	s.voidLate = true
	back := s.late(n, lottery.Entrant{2}, payment.Captured, floor(1))
	s.pass(back)
	s.tell(n, back, CauseCaptured)
	s.tell(n, back, CauseCaptured)
	got := s.await(n, back.ID, Refunded)
	if len(got.Refunds) != 1 || got.Refunds[0].Kind != RefundOfLate || got.Refunds[0].Amount != back.Amount {
		t.Errorf("refunds %+v", got.Refunds)
	}
	if late := s.net("late_money"); late != 0 {
		t.Errorf("late money is at %d", late)
	}
	s.audit()
	// What was sold late is refunded as any other order.
	if _, err := n.Refund(context.Background(), RefundRequest{Order: again.ID, Key: "k"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, again.ID, Refunded)
	s.audit()
}

// The void comes too late: the provider has taken the money by itself.
func TestACaptureThatAVoidFindsIsLateMoney(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.voidLate = true
	o := s.late(n, buyer, payment.Captured, floor(1))
	s.pass(o)
	s.await(n, o.ID, Refunded)
	s.audit()
}

func TestALateRefundThatFailsIsTriedAgain(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.voidLate = true
	s.provider.fault(func(f *faults) { f.refuse = 1 })
	o := s.late(n, buyer, payment.Captured, floor(1))
	s.pass(o)
	got := s.await(n, o.ID, RefundFailed)
	if _, err := n.RetryRefund(context.Background(), got.Refunds[0].ID, "r", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	if late := s.net("late_money"); late != 0 {
		t.Errorf("late money is at %d", late)
	}
	s.audit()
}

// A core dies after it has taken the other hold and before the order has it; and after the order has it, before the task is
// marked as done. Whoever runs the task again finds both.
func TestACrashWhileLateMoneyIsSoldLosesAndDoublesNothing(t *testing.T) {
	for name, when := range map[string]int{"before the order has the hold": 1, "after it has": 2} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			ctx := context.Background()
			other, calls := n.cfg.Again, 0
			n.cfg.Again = func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
				h, err := other(ctx, earlier, key)
				if calls++; err == nil && calls == 1 && when == 1 {
					return inventory.Hold{}, errCut // as if the process had died
				}
				return h, err
			}
			o := s.late(n, buyer, payment.Authorized, inventory.Item{Seats: []string{"A/1/1"}})
			s.pass(o)
			s.await(n, o.ID, TicketIssued)
			if when == 2 {
				s.exec(`UPDATE outbox SET state = 'ready', done_at = NULL, due_at = now() WHERE kind = 'void'`)
				s.eventually("the task is done once more", func() bool {
					return s.count(`SELECT count(*) FROM outbox WHERE kind = 'void' AND state = 'ready'`) == 0
				})
			} else if calls < 2 {
				t.Errorf("the hold was asked for %d times", calls)
			}
			got, err := n.Find(ctx, o.ID)
			if err != nil || got.State != TicketIssued || s.count(`SELECT count(*) FROM holds`) != 2 {
				t.Errorf("%s, %v; %d holds", got.State, err, s.count(`SELECT count(*) FROM holds`))
			}
			s.audit()
		})
	}
}

func TestAnotherAmountThanAskedForIsNeverTakenForPaid(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	o := s.late(n, buyer, payment.Authorized, floor(1))
	err := n.Apply(ctx, Outcome{Order: o.ID, Payment: payment.PaymentID(o.ID, 1), Cause: CauseCaptured, Amount: ledger.Amount{Minor: 1, Currency: "EUR"}})
	if !errors.Is(err, ErrPartialCapture) || !errors.Is(err, payment.ErrPermanent) {
		t.Errorf("got %v", err)
	}
	event := payment.Event{OrderID: o.ID, PaymentID: payment.PaymentID(o.ID, 1), Outcome: payment.Outcome{State: payment.Captured, Amount: ledger.Amount{Minor: 6655, Currency: "USD"}}}
	if err := n.Webhooks(ctx, []payment.Event{event}); !errors.Is(err, ErrPartialCapture) {
		t.Errorf("another currency: %v", err)
	}
	if got, _ := n.Find(ctx, o.ID); got.State != PaymentPending {
		t.Errorf("the order is %s", got.State)
	}
	s.tell(n, o, CauseAuthorized)
	s.await(n, o.ID, TicketIssued)
	s.audit()
}
