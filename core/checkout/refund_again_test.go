package checkout

import (
	"errors"
	"testing"

	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// dead ends the tasks of refunds without their having been done.
func (s *shop) dead() {
	s.t.Helper()
	s.exec(`UPDATE outbox SET state = 'dead', attempts = 25, done_at = now(), lease_until = NULL, last_error = 'no' WHERE kind = 'refund' AND state <> 'done'`)
}

// The task of a refund that was revived dies as well and is discarded: the refund has failed once more, is asked about once more, and is
// revived once more.
func TestARevivedRefundThatIsGivenUpOnceMoreIsAskedAboutOnceMore(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	s.provider.fault(func(f *faults) { f.slow = true })
	f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k"})
	for i := range payment.MaxRevivals {
		if i > 0 {
			s.dead()
			task := payment.TaskID(payment.RevivedRefundIDs(f.ID)[i-1], taskRefund)
			if err := n.DiscardTask(t.Context(), o.ID, task, "operator:ann", "gone again"); err != nil {
				t.Fatal(err)
			}
			if got := s.await(n, o.ID, RefundFailed); got.Refunds[0].State != RefundRefused {
				t.Fatalf("%+v", got.Refunds)
			}
		}
		if got, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); err != nil || got.ID != f.ID || got.State != RefundTaken {
			t.Fatalf("revival %d: %+v, %v", i+1, got, err)
		}
		s.await(n, o.ID, RefundPending)
	}
	s.provider.fault(func(f *faults) { f.slow = false })
	s.provider.finish(f.ID, payment.RefundSucceeded)
	s.exec(`UPDATE outbox SET due_at = now() WHERE kind = 'refund' AND state <> 'done'`)
	s.await(n, o.ID, Refunded)
	if made, minor := s.provider.gone(); made != 1 || minor != o.Amount.Minor {
		t.Errorf("the provider made %d refunds of %d in all", made, minor)
	}
	s.audit()
}

func TestAPaymentThatIsNotShownSaysNothingOfItsRefund(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k", Minor: 1000})
	s.provider.fault(func(f *faults) { f.forgets = true })
	if _, err := n.RetryRefund(t.Context(), f.ID, "again", "operator:ann"); !errors.Is(err, ErrRefundUnclear) {
		t.Errorf("retried: %v", err)
	}
	if _, err := n.PaidOtherwise(t.Context(), f.ID, "bank", "operator:ann"); !errors.Is(err, ErrRefundUnclear) {
		t.Errorf("paid otherwise: %v", err)
	}
}

// Another refund of the order is discarded after it was looked which have to be asked about.
func TestARefundThatIsGivenUpMeanwhileIsAskedAboutToo(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k", Minor: 1000})
	readings := 0
	err := n.asking(t.Context(), o.ID, f.ID, func(known answers) error {
		if readings++; readings > 1 {
			return nil
		}
		discarded := Refund{ID: RefundID(o.ID, "other"), State: RefundRefused, Failure: refundDiscarded}
		return known.cover(discarded)
	})
	if err != nil || readings != 2 {
		t.Errorf("read %d times: %v", readings, err)
	}
	if got := s.refundState(n, f.ID, RefundPaid); !got.revived {
		t.Errorf("%+v", got)
	}
	tries := 0
	always := n.asking(t.Context(), o.ID, f.ID, func(known answers) error {
		tries++
		return known.cover(Refund{ID: f.ID, State: RefundRefused, Failure: refundDiscarded})
	})
	if !errors.Is(always, ErrRefundUnclear) || tries != maxReadings {
		t.Errorf("given up again and again: %v after %d tries", always, tries)
	}
}

// The task dies, and is discarded, between the look at a refund and the transaction: nothing is done unasked.
func TestWhatIsDoneAboutARefundSeesInItsTransactionThatItWasGivenUp(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.sold(n, buyer, floor(2))
	f := s.discarded(n, o, RefundRequest{Order: o.ID, Key: "k", Minor: 1000})
	f = s.refundState(n, f.ID, RefundRefused)
	disputed := false
	if err := n.retry(t.Context(), answers{}, &f, RefundID(o.ID, "x"), "operator:ann", &disputed); !errors.Is(err, errUnasked) {
		t.Errorf("retried: %v", err)
	}
	if err := n.payOtherwise(t.Context(), answers{}, &f, "bank", "operator:ann"); !errors.Is(err, errUnasked) {
		t.Errorf("paid otherwise: %v", err)
	}
}

// A second without the provider sets no order of a cancelled event aside.
func TestARunPutsOffWhatIsUnclearForTheTimeBeing(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	unclear, good := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(1))
	s.discarded(n, unclear, RefundRequest{Order: unclear.ID, Key: "part", Minor: 1000})
	s.provider.fault(func(f *faults) { f.blind = true })
	s.off.Store(true)
	s.keptOff = 2
	if _, err := n.RefundEvent(t.Context(), s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	s.await(n, good.ID, Refunded)
	s.eventually("it waits", func() bool { return s.count(`SELECT count(*) FROM refund_runs WHERE paused_until > now()`) == 1 })
	if run, err := n.RunOf(t.Context(), s.event); err != nil || run.State != "running" || run.Waiting != 1 || run.Failed != 0 || len(run.Failures) != 0 {
		t.Errorf("while the provider is away: %+v, %v", run, err)
	}
	s.provider.fault(func(f *faults) { f.blind = false })
	s.await(n, unclear.ID, Refunded)
	s.eventually("the run is done", func() bool {
		run, err := n.RunOf(t.Context(), s.event)
		return err == nil && run.State == "done" && run.Refunded == 2 && run.Failed == 0
	})
	s.audit()
}

// The refund of a part was discarded and made; then the order was disputed, and the event cancelled.
func TestAWonDisputeOfACancelledEventGivesBackNoRefundTwice(t *testing.T) {
	s, n, _, o := disputable(t)
	s.discarded(n, o, RefundRequest{Order: o.ID, Key: "part", Minor: 1000})
	open := claim(o, payment.DisputeOpen)
	s.says(n, open)
	s.await(n, o.ID, Disputed)
	s.off.Store(true)
	s.says(n, claim(o, payment.DisputeWon))
	s.await(n, o.ID, Refunded)
	if made, minor := s.provider.gone(); made != 2 || minor != o.Amount.Minor {
		t.Errorf("the provider made %d refunds of %d in all", made, minor)
	}
}
