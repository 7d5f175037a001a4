package checkout

import (
	"cmp"
	"errors"
	"testing"

	"fairgate/core/inventory"
	"fairgate/core/payment"
)

func TestADeadTaskIsTriedAgainOrDiscardedAndTheHistorySaysWhoAndWhy(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	begin := payment.TaskID(o.Payment.ID, taskBegin)
	if err := n.RetryTask(t.Context(), o.ID, begin, "operator:ann", "again"); !errors.Is(err, payment.ErrTaskAlive) {
		t.Fatalf("a task that is alive: %v", err)
	}
	kill := func() {
		s.exec(`UPDATE outbox SET state = 'dead', attempts = 25, done_at = now(), last_error = 'no' WHERE order_id = $1`, o.ID)
	}
	kill()
	dead, err := n.outbox.List(t.Context(), payment.Listing{Dead: true, Kind: taskBegin, Order: o.ID, Limit: 10})
	if err != nil || len(dead) != 1 || dead[0].ID != begin || dead[0].LastError != "no" {
		t.Fatalf("dead are %+v, %v", dead, err)
	}
	if none, err := n.outbox.List(t.Context(), payment.Listing{Dead: true, Kind: taskVoid, Limit: 10}); err != nil || len(none) != 0 {
		t.Errorf("dead voids are %+v, %v", none, err)
	}
	if err := n.RetryTask(t.Context(), o.ID, begin, "operator:ann", "mended"); err != nil {
		t.Fatal(err)
	}
	task, err := n.outbox.Find(t.Context(), o.ID, begin)
	if err != nil || task.State != "ready" || task.Attempts != 1 || task.DoneAt != nil {
		t.Errorf("after a retry it is %+v, %v", task, err)
	}
	if err := n.RetryTask(t.Context(), o.ID, begin, "operator:ann", "mended"); !errors.Is(err, payment.ErrTaskAlive) {
		t.Errorf("a second retry: %v", err)
	}
	kill()
	if err := n.DiscardTask(t.Context(), o.ID, begin, "operator:bob", "paid in cash"); err != nil {
		t.Fatal(err)
	}
	if task, err = n.outbox.Find(t.Context(), o.ID, begin); err != nil || task.State != "done" || task.LastError != "discarded: operator:bob: paid in cash" {
		t.Errorf("after it was discarded it is %+v, %v", task, err)
	}
	history, err := n.History(t.Context(), o.ID)
	if err != nil || len(history) != 3 {
		t.Fatalf("history %+v, %v", history, err)
	}
	for i, want := range []Happening{{Cause: CauseTaskRetried, Actor: "operator:ann", Reason: "begin: mended"},
		{Cause: CauseTaskDiscarded, Actor: "operator:bob", Reason: "begin: paid in cash"}} {
		got := history[i+1]
		if got.Cause != want.Cause || got.Actor != want.Actor || got.Reason != want.Reason || got.From != PaymentPending || got.To != PaymentPending {
			t.Errorf("step %d is %+v, want %+v", i+1, got, want)
		}
	}
	if _, err := n.outbox.Find(t.Context(), o.ID, o.ID); !errors.Is(err, payment.ErrTaskUnknown) {
		t.Errorf("a task that is not there: %v", err)
	}
}

// A task that an operator retries was run before, so the order stays with the provider that may have been called.
func TestARetriedBeginNeverGoesToAnotherProvider(t *testing.T) {
	s := newShop(t)
	first, second := newPair()
	s.providers = pair(t, first, second, false)
	shut := s.open(false)
	o := s.order(shut, buyer, s.hold(shut, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	s.exec(`UPDATE outbox SET state = 'dead', attempts = 25, done_at = now(), last_error = '' WHERE order_id = $1`, o.ID)
	if err := shut.RetryTask(t.Context(), o.ID, payment.TaskID(o.Payment.ID, taskBegin), "operator", ""); err != nil {
		t.Fatal(err)
	}
	s.providers = pair(t, first, second, true)
	s.open(true)
	s.eventually("it was put off", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE order_id = $1 AND last_error LIKE '%breaker is open%'`, o.ID) == 1
	})
	if second.begun.Load() != 0 || s.providerOf(o.ID) != "first" {
		t.Errorf("it went to %s", s.providerOf(o.ID))
	}
}

func TestARefundWhoseTaskIsDiscardedHasFailedAndCanBeMadeAgain(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	s.provider.fault(func(f *faults) { f.down = 1000 })
	f, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE outbox SET state = 'dead', attempts = 25, done_at = now(), lease_until = NULL, last_error = 'no' WHERE kind = 'refund'`)
	if err := n.DiscardTask(t.Context(), o.ID, payment.TaskID(f.ID, taskRefund), "operator:ann", "their service is gone"); err != nil {
		t.Fatal(err)
	}
	got := s.await(n, o.ID, RefundFailed)
	if got.Refunds[0].State != RefundRefused || got.Refunds[0].Failure != "discarded" {
		t.Errorf("%+v", got.Refunds)
	}
	s.provider.fault(func(f *faults) { f.down = 0 })
	if _, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	s.audit()
}

// discarded is a refund whose every answer was lost until an operator gave it up. The provider has made it.
func (s *shop) discarded(n *node, o Order, q RefundRequest) Refund {
	s.t.Helper()
	s.provider.fault(func(f *faults) { f.lose = 1000 }) // those of repeated calls too, until it is given up
	defer s.provider.fault(func(f *faults) { f.lose = 0 })
	f, err := n.Refund(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the provider made it", func() bool {
		s.provider.mu.Lock()
		defer s.provider.mu.Unlock()
		return s.provider.refunds[f.ID] != nil
	})
	s.eventually("its answer was lost", func() bool {
		return s.count(`SELECT count(*) FROM outbox WHERE kind = 'refund' AND last_error <> ''`) > 0
	})
	s.exec(`UPDATE outbox SET state = 'dead', attempts = 25, done_at = now(), lease_until = NULL, last_error = 'no' WHERE kind = 'refund'`)
	if err := n.DiscardTask(s.t.Context(), o.ID, payment.TaskID(f.ID, taskRefund), "operator:ann", "their service is gone"); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// gone is what the provider has given back in all.
func (p *provider) gone() (n int, minor int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.refunds {
		if f.state != payment.RefundFailed {
			n, minor = n+1, minor+f.amount.Minor
		}
	}
	return n, minor
}

func TestARefundThatWasGivenUpAndMadeIsNotPaidTwice(t *testing.T) {
	for name, settle := range map[string]func(*shop, *node, Refund) error{
		"retried": func(s *shop, n *node, f Refund) error {
			got, err := n.RetryRefund(s.t.Context(), f.ID, "again", "operator:ann")
			if err == nil && (got.ID != f.ID || got.State != RefundPaid || got.Failure != "") {
				s.t.Errorf("the answer is %+v", got)
			}
			return err
		},
		"paid otherwise": func(s *shop, n *node, f Refund) error {
			_, err := n.PaidOtherwise(s.t.Context(), f.ID, "bank transfer 4711", "operator:ann")
			if errors.Is(err, ErrRefundMade) {
				return nil
			}
			return cmp.Or(err, errors.New("it is said to be recorded as paid otherwise"))
		},
		"refunded anew": func(s *shop, n *node, f Refund) error {
			_, err := n.Refund(s.t.Context(), RefundRequest{Order: f.Order, Key: "other", Minor: 500, Actor: "operator:ann"})
			if !errors.Is(err, ErrTransition) { // all of it is the buyer's
				return err
			}
			return nil
		},
		"told by a webhook": func(s *shop, n *node, f Refund) error {
			out := s.provider.finish(f.ID, payment.RefundSucceeded)
			return n.Webhooks(s.t.Context(), []payment.Event{{Provider: "stripe", ID: "evt", Type: "refund", OrderID: f.Order, PaymentID: f.Payment,
				Refund: &payment.RefundNews{RefundID: f.ID, Outcome: out}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			o := s.sold(n, buyer, floor(2))
			f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k"})
			s.await(n, o.ID, RefundFailed)
			for range 2 { // asking twice changes nothing
				if err := settle(s, n, f); err != nil && !errors.Is(err, ErrRefundOpen) {
					t.Fatal(err)
				}
			}
			got := s.await(n, o.ID, Refunded)
			if len(got.Refunds) != 1 || got.Refunds[0].State != RefundPaid || got.Refunds[0].Resolution != "" {
				t.Errorf("%+v", got.Refunds)
			}
			if made, minor := s.provider.gone(); made != 1 || minor != o.Amount.Minor {
				t.Errorf("the provider made %d refunds of %d in all", made, minor)
			}
			s.audit()
		})
	}
}

func TestARefundThatWasGivenUpAndIsUnderWayIsFollowedToItsEnd(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, end := range []payment.RefundState{payment.RefundSucceeded, payment.RefundFailed} {
		t.Run(string(end), func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			o := s.sold(n, buyer, floor(2))
			s.provider.fault(func(f *faults) { f.slow = true })
			f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k"})
			if got, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); err != nil || got.ID != f.ID || got.State != RefundTaken {
				t.Fatalf("%+v, %v", got, err)
			}
			s.await(n, o.ID, RefundPending)
			s.provider.fault(func(f *faults) { f.slow = false })
			s.provider.finish(f.ID, end)
			if end == payment.RefundFailed { // and then it is tried again, since this time the provider has said so
				s.await(n, o.ID, RefundFailed)
				if again, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); err != nil || again.ID == f.ID {
					t.Fatalf("%+v, %v", again, err)
				}
			}
			s.await(n, o.ID, Refunded)
			if made, minor := s.provider.gone(); made != 1 || minor != o.Amount.Minor {
				t.Errorf("the provider made %d refunds of %d in all", made, minor)
			}
			s.audit()
		})
	}
}

// While the provider does not answer nobody knows, and nothing more is given back.
func TestNothingIsGivenBackWhileItIsUnclearWhetherARefundWasMade(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k", Minor: 1000})
	s.provider.fault(func(f *faults) { f.blind = true })
	if _, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); !errors.Is(err, ErrRefundUnclear) {
		t.Errorf("retried: %v", err)
	}
	if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "other", Minor: 1000}); !errors.Is(err, ErrRefundUnclear) {
		t.Errorf("refunded anew: %v", err)
	}
	s.provider.fault(func(f *faults) { f.blind = false })
	if _, err := n.Refund(t.Context(), RefundRequest{Order: o.ID, Key: "other"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, Refunded)
	if made, minor := s.provider.gone(); made != 2 || minor != o.Amount.Minor {
		t.Errorf("the provider made %d refunds of %d in all", made, minor)
	}
	s.audit()
}
