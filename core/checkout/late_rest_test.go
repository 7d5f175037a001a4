package checkout

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// paidLate is an order whose money came after its hold had expired, or was released. Nobody has decided about the money yet.
func (s *shop) paidLate(release bool) (*node, Order) {
	s.t.Helper()
	b := &bank{provider: s.provider, orders: map[string]Order{}, asks: map[string]payment.DisputeNews{}}
	s.adjust = func(c *Config) { c.Providers = payment.NewProviders(b) }
	still := s.open(false)
	o := s.order(still, buyer, s.hold(still, buyer, "k", floor(2)))
	s.provider.mu.Lock()
	s.provider.intents[payment.PaymentID(o.ID, 1)] = &intent{state: payment.Captured, amount: o.Amount, captures: 1}
	s.provider.mu.Unlock()
	if release {
		if _, err := still.stock.Release(context.Background(), o.Hold, buyer); err != nil {
			s.t.Fatal(err)
		}
	} else {
		s.pass(o)
		ctx, cancel := context.WithCancel(context.Background())
		var sweep sync.WaitGroup
		sweep.Go(func() { _ = still.stock.Run(ctx) })
		s.eventually("the hold has expired", func() bool {
			got, err := still.Find(ctx, o.ID)
			return err == nil && got.State == Expired
		})
		cancel()
		sweep.Wait()
	}
	s.tell(still, o, CauseCaptured)
	b.orders["pi"] = o
	return still, o
}

// partFound is a refund of a part that somebody made at the provider.
func partFound(o Order, minor int64, state payment.RefundState) payment.Event {
	out := payment.RefundOutcome{ProviderRef: "re_dash", State: state, Amount: o.Amount}
	out.Amount.Minor = minor
	return payment.Event{Provider: "stripe", ID: "evt_" + string(state), Type: "refund", OrderID: o.ID, PaymentID: payment.PaymentID(o.ID, 1),
		Refund: &payment.RefundNews{PaymentRef: "pi", Outcome: out}}
}

func (s *shop) lateDecided() {
	s.t.Helper()
	s.eventually("the late money is decided about", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE kind = 'late_money' AND state <> 'done'`) == 0
	})
}

func TestLateMoneyThatTheBankTookBackBuysNothing(t *testing.T) {
	s := newShop(t)
	still, o := s.paidLate(false)
	s.says(still, claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost))
	n := s.open(true)
	s.lateDecided()
	if got, _ := n.Find(t.Context(), o.ID); got.State != Expired || len(got.Tickets)+len(got.Refunds) != 0 {
		t.Errorf("the order is %s with %d tickets and %d refunds", got.State, len(got.Tickets), len(got.Refunds))
	}
	if late := s.net("late_money"); late != 0 {
		t.Errorf("late money is at %d", late)
	}
}

func TestLateMoneyOfWhichAPartIsGoneBuysNothingAndTheRestGoesBack(t *testing.T) {
	t.Parallel() // it mostly waits
	for what, gone := range map[string]func(*shop, *node, Order){
		"a part lost": func(s *shop, n *node, o Order) {
			open, lost := claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost)
			open.Amount.Minor, lost.Amount.Minor = 1000, 1000
			s.says(n, open, lost)
		},
		"a part lost of what was disputed whole": func(s *shop, n *node, o Order) {
			open, lost := claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost)
			lost.Lost = ledger.Amount{Minor: 1000, Currency: "EUR"}
			s.says(n, open, lost)
		},
		"a part lost of what was disputed whole, and told first": func(s *shop, n *node, o Order) {
			lost := claim(o, payment.DisputeLost)
			lost.Lost = ledger.Amount{Minor: 1000, Currency: "EUR"}
			s.says(n, lost)
		},
		"a part refunded by hand": func(s *shop, n *node, o Order) {
			if err := n.Webhooks(context.Background(), []payment.Event{partFound(o, 1000, payment.RefundSucceeded)}); err != nil {
				s.t.Fatal(err)
			}
			if got, _ := n.Find(context.Background(), o.ID); got.State == Refunded {
				s.t.Error("it says refunded while late money is left")
			}
		},
	} {
		for _, release := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				s := newShop(t)
				still, o := s.paidLate(release)
				gone(s, still, o)
				n := s.open(true)
				got := s.await(n, o.ID, Refunded)
				s.lateDecided()
				rest := got.Refunds[len(got.Refunds)-1]
				if rest.Kind != RefundOfLate || rest.Amount.Minor != o.Amount.Minor-1000 || len(got.Tickets) != 0 {
					t.Errorf("%d tickets, refunds %+v", len(got.Tickets), got.Refunds)
				}
				if late := s.net("late_money"); late != 0 {
					t.Errorf("late money is at %d", late)
				}
				// Deciding once more gives nothing back twice.
				s.exec(`UPDATE outbox SET state = 'ready', done_at = NULL, due_at = now() WHERE kind = 'late_money'`)
				s.lateDecided()
				if again, _ := n.Find(t.Context(), o.ID); len(again.Refunds) != len(got.Refunds) || again.State != Refunded {
					t.Errorf("decided again it is %s: %+v", again.State, again.Refunds)
				}
			})
		}
	}
}

func TestADisputeThatOpensWhileLateMoneyIsSoldEndsTheSale(t *testing.T) {
	s := newShop(t)
	_, o := s.paidLate(false)
	n := s.open(false)
	again := n.cfg.Again
	n.cfg.Again = func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
		s.says(n, claim(o, payment.DisputeOpen))
		return again(ctx, earlier, key)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.Run(ctx) })
	defer running.Wait()
	defer cancel()
	s.eventually("the hold that was taken is given back", func() bool {
		return s.count(`SELECT count(*) FROM holds WHERE state = 'released'`) == 1
	})
	s.says(n, claim(o, payment.DisputeLost))
	if got, _ := n.Find(ctx, o.ID); got.State != Expired || len(got.Tickets) != 0 {
		t.Errorf("the order is %s with %d tickets", got.State, len(got.Tickets))
	}
	if late := s.net("late_money"); late != 0 {
		t.Errorf("late money is at %d", late)
	}
}

// The refund of all of it fails, and then the bank gives a part to the buyer: the failed one is settled by that, and the rest goes back.
func TestWhatADisputeLeavesOfLateMoneyGoesBackToo(t *testing.T) {
	for what, disputed := range map[string]int64{"all that was disputed": 1000, "a part of what was disputed": 13310} {
		t.Run(what, func(t *testing.T) {
			s := newShop(t)
			still, o := s.paidLate(true)
			s.provider.fault(func(f *faults) { f.refuse = 1 })
			n := s.open(true)
			s.await(n, o.ID, RefundFailed)
			open, lost := claim(o, payment.DisputeOpen), claim(o, payment.DisputeLost)
			open.Amount.Minor, lost.Amount.Minor = disputed, disputed
			lost.Lost = ledger.Amount{Minor: 1000, Currency: "EUR"}
			s.says(still, open, lost)
			got := s.await(n, o.ID, Refunded)
			s.lateDecided()
			if rest := got.Refunds[len(got.Refunds)-1]; s.net("late_money") != 0 || rest.Amount.Minor != o.Amount.Minor-1000 {
				t.Errorf("late money is at %d: %+v", s.net("late_money"), got.Refunds)
			}
		})
	}
}
