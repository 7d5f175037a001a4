package checkout

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// Two cores refund a cancelled event; one of them is killed again and again, the other is, too, in the end, and a third goes
// on. Calls are lost and refused, one order is being paid, one is refunded already, and one was only held.
func TestACancelledEventIsRefundedOnceWhoeverDies(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	seller := s.open(true)
	ctx := context.Background()
	const paid = 12
	var orders []Order
	for i := range paid {
		orders = append(orders, s.sold(seller, lottery.Entrant{byte(i + 1)}, floor(1)))
	}
	before, err := seller.Refund(ctx, RefundRequest{Order: orders[0].ID, Key: "before"})
	if err != nil {
		t.Fatal(err)
	}
	s.refundState(seller, before.ID, RefundPaid)
	part, err := seller.Refund(ctx, RefundRequest{Order: orders[1].ID, Key: "part", Minor: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s.refundState(seller, part.ID, RefundPaid)
	unpaid := s.order(seller, lottery.Entrant{50}, s.hold(seller, lottery.Entrant{50}, "k", floor(2)))
	s.hold(seller, lottery.Entrant{51}, "k", floor(1)) // nobody opened an order on it
	inFlight := s.order(seller, lottery.Entrant{52}, s.hold(seller, lottery.Entrant{52}, "k", floor(1)))
	flight := payment.PaymentID(inFlight.ID, 1)
	s.eventually("the intent exists", func() bool { return s.provider.confirm(flight, payment.Authorized) })
	gate := make(chan struct{}) // the provider captures nothing until then
	s.provider.fault(func(f *faults) { f.lose, f.down, f.hold = 3, 4, gate })
	if err := seller.Apply(ctx, Outcome{Order: inFlight.ID, Payment: flight, Cause: CauseAuthorized, Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}

	s.off.Store(true)
	s.keptOff = paid - 1 + 1 // but the one that was refunded before; and the one in flight
	if _, err := seller.RunOf(ctx, s.event); !errors.Is(err, ErrRunUnknown) {
		t.Errorf("before it began: %v", err)
	}
	for range 2 {
		if run, err := seller.RefundEvent(ctx, s.event, "storm", "operator"); err != nil || run.State == "done" || run.Orders != paid+2 {
			t.Fatalf("run %+v, %v", run, err)
		}
	}
	for range 4 { // killed in the middle: whatever it was doing ends where it is
		short, kill := context.WithTimeout(ctx, 150*time.Millisecond)
		n := s.open(false)
		var wg sync.WaitGroup
		wg.Go(func() { n.workRuns(short) })
		wg.Wait()
		kill()
		s.exec(`UPDATE refund_runs SET lease_owner = $1, lease_until = now() + INTERVAL '300 milliseconds' WHERE state <> 'done'`, uuid.New())
	}
	s.open(true)
	s.eventually("all but the one in flight are refunded", func() bool {
		run, err := seller.RunOf(ctx, s.event)
		return err == nil && run.Refunded == paid-1
	})
	if run, err := seller.RunOf(ctx, s.event); err != nil || run.State != "running" || run.Waiting != 1 {
		t.Errorf("while one is in flight: %+v, %v", run, err)
	}
	close(gate)
	s.eventually("the run is done", func() bool {
		run, err := seller.RunOf(ctx, s.event)
		return err == nil && run.State == "done"
	})
	run, err := seller.RunOf(ctx, s.event)
	if err != nil || run.Refunded != paid || run.Skipped != 2 || run.Failed+run.Open+run.Waiting != 0 || run.Orders != run.Refunded+run.Skipped {
		t.Errorf("the counts do not add up: %+v, %v", run, err)
	}
	if want := int64(paid)*6655 - 1000; run.Amount.Minor != want {
		t.Errorf("%v were refunded, not %d", run.Amount, want)
	}
	for _, o := range append(orders, inFlight) {
		s.await(seller, o.ID, Refunded)
		n, want := s.provider.made(payment.PaymentID(o.ID, 1)), 1
		if o.ID == orders[1].ID {
			want = 2
		}
		if n != want {
			t.Errorf("order %s was refunded %d times", o.ID, n)
		}
	}
	s.await(seller, unpaid.ID, Cancelled)
	if active := s.count(`SELECT count(*) FROM holds WHERE state = 'active'`); active != 0 {
		t.Errorf("%d holds are active", active)
	}
	if left := s.provider.total() - s.provider.returned(); left != 0 {
		t.Errorf("%d were not given back", left)
	}
	s.audit()
}

func TestARunSaysWhichRefundsFailed(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	a, b := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(2))
	s.provider.fault(func(f *faults) { f.refuse = 1 })
	s.off.Store(true)
	s.keptOff = 3
	if _, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	var run Run
	s.eventually("the run is done", func() bool {
		var err error
		run, err = n.RunOf(ctx, s.event)
		return err == nil && run.State == "done"
	})
	if run.Refunded != 1 || run.Failed != 1 || run.Orders != 2 {
		t.Errorf("%+v", run)
	}
	failed, err := n.Refunds(ctx, RefundPage{Unsettled: true, Limit: 10})
	if err != nil || len(failed) != 1 || failed[0].Run != run.ID {
		t.Fatalf("%+v, %v", failed, err)
	}
	if _, err := n.RetryRefund(ctx, failed[0].ID, "r", "operator"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Order{a, b} {
		s.await(n, o.ID, Refunded)
	}
	if run, err = n.RunOf(ctx, s.event); err != nil || run.Refunded != 2 || run.Failed != 0 || run.Orders != 2 || run.Amount.Minor != 3*6655 {
		t.Errorf("after the retry %+v, %v", run, err)
	}
	s.audit()
}

// Every state is either one from which a run expects nothing more, or one in which something is under way; a state that is
// added and forgotten here would keep runs from ending, or end them too early.
func TestARunKnowsEveryState(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	over := map[State]bool{TicketIssued: true, CaptureFailed: true, Expired: true, Cancelled: true, RefundPending: true, Refunded: true, RefundFailed: true,
		Disputed: true, DisputeLost: true}
	o := s.order(n, buyer, s.hold(n, buyer, "k", floor(1)))
	seen := map[State]bool{}
	for _, tr := range Transitions() {
		if seen[tr.To] {
			continue
		}
		seen[tr.To] = true
		s.exec(`UPDATE orders SET state = $2 WHERE order_id = $1`, o.ID, string(tr.To))
		if underWay := s.count(sqlUnderWay, s.event); (underWay == 0) != over[tr.To] {
			t.Errorf("%s: %d under way", tr.To, underWay)
		}
		run := Run{ID: RunID(s.event), Event: s.event, State: "settling"}
		if err := n.Service.count(context.Background(), &run); err != nil || run.Orders != 1 || (run.Skipped == 1) != over[tr.To] {
			t.Errorf("%s: counted as %+v, %v", tr.To, run, err)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d states", len(seen))
	}
}

func TestAnOrderThatCannotBeRefundedKeepsNoOtherFromItsMoney(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	bad, good := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(1))
	part, err := n.Refund(ctx, RefundRequest{Order: bad.ID, Key: "part", Minor: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s.refundState(n, part.ID, RefundPaid)
	s.exec(`UPDATE refunds SET items = 'illegible' WHERE refund_id = $1`, part.ID)
	s.off.Store(true)
	s.keptOff = 2
	done := func() (run Run) {
		s.eventually("the run is done", func() bool {
			var err error
			run, err = n.RunOf(ctx, s.event)
			return err == nil && run.State == "done"
		})
		return run
	}
	if _, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	run := done()
	if run.Refunded != 1 || run.Failed != 1 || run.Orders != 2 || len(run.Failures) != 1 || run.Failures[0].Order != bad.ID || run.Failures[0].Error == "" {
		t.Errorf("%+v", run)
	}
	s.await(n, good.ID, Refunded)

	s.exec(`UPDATE refunds SET items = '[]' WHERE refund_id = $1`, part.ID)
	if run, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil || run.State != "running" {
		t.Fatalf("asked again: %+v, %v", run, err)
	}
	if run = done(); run.Refunded != 2 || run.Failed != 0 || len(run.Failures) != 0 {
		t.Errorf("after it was mended: %+v", run)
	}
	s.await(n, bad.ID, Refunded)
	s.audit()
}

// The lines of an order cannot be read: it is set aside with its reason, and the page that it stands on goes on.
func TestAnOrderThatCannotBeReadKeepsNoOtherFromItsMoney(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	n := s.open(true)
	ctx := context.Background()
	before, bad, after := s.sold(n, lottery.Entrant{1}, floor(1)), s.sold(n, lottery.Entrant{2}, floor(1)), s.sold(n, lottery.Entrant{3}, floor(1))
	lines := encodeLines(bad.Lines)
	s.exec(`UPDATE orders SET lines = 'illegible' WHERE order_id = $1`, bad.ID)
	s.off.Store(true)
	s.keptOff = 3
	done := func() (run Run) {
		s.eventually("the run is done", func() bool {
			var err error
			run, err = n.RunOf(ctx, s.event)
			return err == nil && run.State == "done"
		})
		return run
	}
	if _, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	run := done()
	if run.Refunded != 2 || run.Failed != 1 || run.Orders != 3 || len(run.Failures) != 1 || run.Failures[0].Order != bad.ID || !strings.Contains(run.Failures[0].Error, "lines") {
		t.Errorf("%+v", run)
	}
	for _, o := range []Order{before, after} {
		s.await(n, o.ID, Refunded)
	}
	s.exec(`UPDATE orders SET lines = $2 WHERE order_id = $1`, bad.ID, lines)
	if _, err := n.RefundEvent(ctx, s.event, "storm", "operator"); err != nil {
		t.Fatal(err)
	}
	if run = done(); run.Refunded != 3 || run.Failed != 0 || len(run.Failures) != 0 {
		t.Errorf("after it was mended: %+v", run)
	}
	s.await(n, bad.ID, Refunded)
	s.audit()
}
