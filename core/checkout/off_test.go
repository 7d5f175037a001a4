package checkout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"fairgate/edge/lottery"
)

// The catalog of these tests never hears that the event is cancelled, as one whose memory has not ended.

func TestNothingOfACancelledEventIsOrderedOrPaidThoughTheCatalogDoesNotKnowYet(t *testing.T) {
	s := newShop(t)
	s.exists("active")
	n, other := s.open(false), s.open(false)
	ctx := context.Background()
	pending := s.order(n, buyer, s.hold(n, buyer, "pending", floor(1)))
	failed := s.order(n, lottery.Entrant{2}, s.hold(n, lottery.Entrant{2}, "failed", floor(1)))
	if err := n.Apply(ctx, Outcome{Order: failed.ID, Payment: failed.Payment.ID, Cause: CauseDeclined, Failure: "card_declined"}); err != nil {
		t.Fatal(err)
	}
	s.await(n, failed.ID, PaymentFailed)
	late := s.hold(n, lottery.Entrant{3}, "late", floor(1))
	again := s.hold(n, lottery.Entrant{4}, "again", floor(1))
	opened := s.order(n, lottery.Entrant{4}, again)
	s.exec(`UPDATE events SET state = 'cancelled', revision = revision + 1`)
	for name, core := range map[string]*node{"one core": n, "another": other} {
		if _, _, err := core.Open(ctx, Opening{Hold: late.ID, Event: s.event, Entrant: lottery.Entrant{3}, Key: name}); !errors.Is(err, ErrEventCancelled) {
			t.Errorf("%s opens an order: %v", name, err)
		}
		if _, err := core.Pay(ctx, pending.ID, buyer); !errors.Is(err, ErrEventCancelled) {
			t.Errorf("%s has a buyer pay: %v", name, err)
		}
		if _, err := core.Pay(ctx, failed.ID, lottery.Entrant{2}); !errors.Is(err, ErrEventCancelled) {
			t.Errorf("%s has a buyer try again: %v", name, err)
		}
		if o, created, err := core.Open(ctx, Opening{Hold: again.ID, Event: s.event, Entrant: lottery.Entrant{4}, Key: "k" + again.ID.String(), Email: "a@example.org"}); err != nil || created || o.ID != opened.ID {
			t.Errorf("%s does not find the order there is: %+v, %v", name, o, err)
		}
	}
	third := s.open(false) // which has not found out by opening an order
	if answer, err := third.lane.Do(ctx, ask{retry: &retry{order: failed.ID, entrant: lottery.Entrant{2}}}); err != nil || !errors.Is(answer.err, ErrEventCancelled) {
		t.Errorf("a try that is decided by the transaction alone: %v, %v", answer.err, err)
	}
	if k := s.count(`SELECT count(*) FROM orders WHERE hold_id = $1`, late.ID); k != 0 {
		t.Error("an order was written")
	}
}

func TestOfACancellationAndAnOrderAtTheSameInstantNoOrderComesAfter(t *testing.T) {
	s := newShop(t)
	s.exists("active")
	cores := []*node{s.open(false), s.open(false)}
	ctx := context.Background()
	const buyers, each = 8, 5
	type want struct {
		who  lottery.Entrant
		open Opening
	}
	wants := make([][]want, buyers)
	for i := range wants {
		for k := range each {
			who := lottery.Entrant{byte(i + 1), byte(k)}
			h := s.hold(cores[0], who, "h", floor(1))
			wants[i] = append(wants[i], want{who, Opening{Hold: h.ID, Event: s.event, Entrant: who, Key: fmt.Sprint(k)}})
		}
	}
	var cancelled atomic.Bool
	var before, refused atomic.Int64
	var all sync.WaitGroup
	started := make(chan struct{}, buyers)
	for i := range wants {
		all.Go(func() {
			for k, w := range wants[i] {
				if k == 1 {
					started <- struct{}{}
				}
				after := cancelled.Load() // then the event was cancelled before this was asked
				core := cores[(i+k)%2]
				o, created, err := core.Open(ctx, w.open)
				switch {
				case errors.Is(err, ErrEventCancelled):
					refused.Add(1)
				case err != nil || !created:
					t.Errorf("open: %v, %v", created, err)
				case after:
					t.Error("an order was opened of an event that had been cancelled")
				default:
					before.Add(1)
					after := cancelled.Load()
					if _, err := core.lane.Do(ctx, ask{retry: &retry{order: o.ID, entrant: w.who}}); err != nil {
						t.Error(err)
					}
					if err := core.unpaid(ctx, &o); err == nil && after || err != nil && !errors.Is(err, ErrEventCancelled) {
						t.Errorf("asked to pay after the event was cancelled: %v", err)
					}
				}
			}
		})
	}
	for range buyers {
		<-started
	}
	s.exec(`UPDATE events SET state = 'cancelled', revision = revision + 1`)
	cancelled.Store(true)
	all.Wait()
	if before.Load() < buyers || before.Load()+refused.Load() != buyers*each {
		t.Errorf("%d orders before, %d refused", before.Load(), refused.Load())
	}
	if got := s.count(`SELECT count(*) FROM orders`); got != before.Load() {
		t.Errorf("%d orders were written, %d answered", got, before.Load())
	}
	// Whoever was before gets everything back by the run.
	s.off.Store(true)
	worker := s.open(true)
	if _, err := worker.RefundEvent(ctx, s.event, "storm", "operator:ann"); err != nil {
		t.Fatal(err)
	}
	s.eventually("every order has ended", func() bool {
		return s.count(`SELECT count(*) FROM orders WHERE state <> 'cancelled'`) == 0 && s.count(`SELECT count(*) FROM holds WHERE state = 'active'`) == 0
	})
}
