package checkout

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// follows starts to follow an order, and returns when it waits.
func (s *shop) follows(n *node, o Order, wait time.Duration) <-chan Order {
	s.t.Helper()
	answers := make(chan Order, 1)
	go func() {
		got, err := n.Follow(context.Background(), o.ID, buyer, wait)
		if err != nil {
			s.t.Error(err)
		}
		answers <- got
	}()
	s.eventually("somebody follows", func() bool { return n.followed() == 1 })
	return answers
}

// followed is how many orders are followed.
func (s *Service) followed() int {
	s.following.mu.Lock()
	defer s.following.mu.Unlock()
	return len(s.following.orders)
}

func TestWhoeverFollowsAnOrderIsToldOfItsTicketsAndNotOfTheStepsBefore(t *testing.T) {
	for name, other := range map[string]bool{"from this core": false, "from another": true} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(false)
			teller := n
			if other {
				teller = s.open(false)
			}
			o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
			answers := s.follows(n, o, MostFollowed)
			for _, cause := range []Cause{CauseBegun, CauseAuthorized, CauseCaptured} {
				select {
				case got := <-answers:
					t.Fatalf("answered with %s before it was %s", got.State, cause)
				default:
				}
				if err := teller.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: cause, Ref: "pi_1", Actor: "outbox"}); err != nil {
					t.Fatal(err)
				}
			}
			if got := <-answers; got.State != TicketIssued || len(got.Tickets) != 1 {
				t.Errorf("got %s with %d tickets", got.State, len(got.Tickets))
			}
			if n.followed() != 0 {
				t.Error("the order is still followed by somebody")
			}
		})
	}
}

func TestAFollowedPaymentThatFailsIsToldAndNotWaitedForAgain(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	answers := s.follows(n, o, MostFollowed)
	if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseDeclined, Failure: "card_declined", Try: "ch_1", Actor: "webhook"}); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got.Payment.Failure != "card_declined" {
		t.Errorf("got %+v", got.Payment)
	}
	began := time.Now()
	if _, err := n.Follow(t.Context(), o.ID, buyer, MostFollowed); err != nil || time.Since(began) >= MostFollowed {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}

func TestFollowingEndsWithItsTimeAndWithWhoeverAsks(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	if got, err := n.Follow(t.Context(), o.ID, buyer, 20*time.Millisecond); err != nil || got.State != PaymentPending {
		t.Errorf("got %s, %v", got.State, err)
	}
	if _, err := n.Follow(t.Context(), o.ID, lottery.Entrant{9}, MostFollowed); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("a stranger gets %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.Follow(ctx, o.ID, buyer, MostFollowed); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n.followed() != 0 {
		t.Error("the order is still followed by somebody")
	}
}

func TestNewsOfAPurchaseIsWhatReadingTheOrderWouldSay(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 2}))
	// after is what somebody who has read the order and waits is told by a cause.
	after := func(w *waiting, cause Cause) (Order, bool) {
		t.Helper()
		before, err := n.Load(t.Context(), o.ID, buyer)
		if err != nil {
			t.Fatal(err)
		}
		news := w.join(o.ID)
		defer w.leave(o.ID, news)
		if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: cause, Ref: "pi_1", Secret: "secret", Actor: "outbox"}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-news.news:
			return news.told.after(before, 0)
		default:
			return Order{}, false
		}
	}
	same := func(told Order) {
		t.Helper()
		read, err := n.Load(t.Context(), o.ID, buyer)
		if err != nil {
			t.Fatal(err)
		}
		told.UpdatedAt, told.ServerTime, told.events = read.UpdatedAt, read.ServerTime, read.events
		told.Payment = bare(told.Payment)
		if !reflect.DeepEqual(told, read) {
			t.Errorf("told %+v\nread %+v", told, read)
		}
	}
	begun, known := after(&n.waiting, CauseBegun)
	if !known {
		t.Fatal("the intent is no news")
	}
	same(begun)
	if _, known := after(&n.following, CauseAuthorized); known {
		t.Error("an authorization is told to those who wait for the end")
	}
	issued, known := after(&n.following, CauseCaptured)
	if !known {
		t.Fatal("the tickets are no news")
	}
	same(issued)
	if _, known := (&tidings{state: TicketIssued, payment: issued.Payment, hold: uuid.New()}).after(begun, 0); known {
		t.Error("an order that has another hold is not read again")
	}
	if _, known := (&tidings{state: PaymentFailed, payment: issued.Payment, hold: o.Hold}).after(begun, 0); known {
		t.Error("a failure is not read again")
	}
}

// bare is an attempt without what only a batch has of it.
func bare(p Payment) Payment {
	return Payment{ID: p.ID, Attempt: p.Attempt, Provider: p.Provider, ProviderRef: p.ProviderRef, ClientSecret: p.ClientSecret, State: p.State, Failure: p.Failure, Method: p.Method}
}
