package checkout

import (
	"context"
	"errors"
	"testing"
	"time"

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
