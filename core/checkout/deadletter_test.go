package checkout

import (
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
