package checkout

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

func TestOrdersThatAreReadTogetherAreEachTheirOwn(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	var orders []Order
	for i := range 8 {
		entrant := lottery.Entrant{byte(i + 1)}
		orders = append(orders, s.order(n, entrant, s.hold(n, entrant, "k", inventory.Item{Tier: "floor", Quantity: 1})))
	}
	// The first one has a second attempt: its first one died.
	if err := n.Apply(t.Context(), Outcome{Order: orders[0].ID, Payment: orders[0].Payment.ID, Cause: CauseVoided, Actor: "outbox"}); err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE outbox SET state = 'dead', done_at = now()`) // nothing begins
	ids := []uuid.UUID{uuid.New()}
	for _, o := range append(orders, orders...) {
		ids = append(ids, o.ID)
	}
	answers, err := n.readOrders(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range answers {
		switch want := ids[i]; {
		case i == 0:
			if !errors.Is(f.err, ErrOrderUnknown) {
				t.Errorf("an order that never was: %v", f.err)
			}
		case f.err != nil || f.order.ID != want || f.order.Entrant != orders[(i-1)%8].Entrant || f.order.Payment.ID != orders[(i-1)%8].Payment.ID:
			t.Errorf("answer %d is of order %s, %v", i, f.order.ID, f.err)
		}
	}
	tasks := []payment.Task{{OrderID: orders[1].ID, PaymentID: orders[1].Payment.ID}, {OrderID: orders[2].ID, PaymentID: orders[1].Payment.ID},
		{OrderID: orders[1].ID, PaymentID: uuid.New()}, {OrderID: orders[1].ID, PaymentID: orders[1].Payment.ID}}
	attempts, err := n.readAttempts(t.Context(), tasks)
	if err != nil {
		t.Fatal(err)
	}
	for i, known := range []bool{true, false, false, true} {
		if known != (attempts[i].err == nil) || !known && !errors.Is(attempts[i].err, pgx.ErrNoRows) ||
			known && (attempts[i].intent.PaymentID != tasks[i].PaymentID || attempts[i].intent.Amount != orders[1].Amount) {
			t.Errorf("attempt %d: %+v", i, attempts[i])
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		for _, o := range orders {
			wg.Go(func() {
				if got, err := n.Find(context.Background(), o.ID); err != nil || got.Hold != o.Hold {
					t.Errorf("order %s: %s, %v", o.ID, got.ID, err)
				}
			})
		}
	}
	wg.Wait()
	n.Close()
	if got, err := n.Find(t.Context(), orders[3].ID); err != nil || got.ID != orders[3].ID {
		t.Errorf("after the service is closed: %v", err)
	}
}

func TestWhoeverWaitsForTheIntentHearsOfItAtOnceAndFromAnotherCoreSoon(t *testing.T) {
	for name, other := range map[string]bool{"from this core": false, "from another": true} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(false)
			teller := n
			if other {
				teller = s.open(false)
			}
			o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
			paid := make(chan Order, 3)
			for range 3 {
				go func() {
					got, err := n.Pay(context.Background(), o.ID, buyer)
					if err != nil {
						t.Error(err)
					}
					paid <- got
				}()
			}
			s.eventually("three wait", func() bool {
				n.waiting.mu.Lock()
				defer n.waiting.mu.Unlock()
				return n.waiting.orders[o.ID] != nil && n.waiting.orders[o.ID].n == 3
			})
			if err := teller.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseBegun, Ref: "pi_1", Secret: "secret", Actor: "outbox"}); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := <-paid; got.Payment.State != PaymentBegun || got.Payment.ClientSecret != "secret" {
					t.Errorf("got %+v", got.Payment)
				}
			}
			n.waiting.mu.Lock()
			defer n.waiting.mu.Unlock()
			if len(n.waiting.orders) != 0 {
				t.Errorf("%d orders are waited for by nobody", len(n.waiting.orders))
			}
		})
	}
}

func TestWhoeverGivesUpWaitingForTheIntentLeavesNothingBehind(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Pay(ctx, o.ID, buyer); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	n.waiting.mu.Lock()
	defer n.waiting.mu.Unlock()
	if len(n.waiting.orders) != 0 {
		t.Errorf("%d orders are waited for by nobody", len(n.waiting.orders))
	}
}
