package checkout

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// limitCards has the shop sell no more to one card.
func (s *shop) limitCards(event, tour int) {
	s.cards = CardLimits{Event: event, Tour: tour, TourID: inventory.TourID("tour"), Mark: func(fingerprint string) inventory.Mark {
		sum := sha256.Sum256([]byte(fingerprint))
		return inventory.Mark(sum[:16])
	}}
}

// pay is a new buyer's order, authorized at the provider with a card, of which core has not been told yet.
func (s *shop) pay(n *node, who byte, quantity int, card string) Order {
	s.t.Helper()
	buyer := lottery.Entrant{who}
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: quantity}))
	o, err := n.Pay(context.Background(), o.ID, buyer)
	if err != nil || o.Payment.State != PaymentBegun {
		s.t.Fatalf("pay: %+v, %v", o.Payment, err)
	}
	s.provider.authorize(o.Payment.ID, card)
	return o
}

// authorize is the buyer paying with a card that Lookup names and a webhook does not.
func (p *provider) authorize(id uuid.UUID, card string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.intents[id].state, p.intents[id].card = payment.Authorized, card
}

// told is what a webhook says of an authorization.
func told(o Order) Outcome {
	return Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseAuthorized, Actor: "webhook"}
}

// cardUnits is what a scope's cards have bought.
func (s *shop) cardUnits(scope uuid.UUID) int64 {
	return s.count(`SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE kind = 'card' AND scope_id = $1`, scope)
}

func TestACardThatHasBoughtEnoughIsVoidedInsteadOfSold(t *testing.T) {
	for name, limits := range map[string][2]int{"event": {3, 0}, "tour": {0, 3}, "both": {4, 3}} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.limitCards(limits[0], limits[1])
			n := s.open(true)
			apply := func(o Order) {
				t.Helper()
				if err := n.Apply(t.Context(), told(o)); err != nil {
					t.Fatal(err)
				}
			}
			first, second, third, other := s.pay(n, 1, 2, "A"), s.pay(n, 2, 2, "A"), s.pay(n, 3, 1, "A"), s.pay(n, 4, 2, "B")
			apply(first)
			apply(second)
			apply(second) // told twice
			apply(third)
			apply(other)
			for _, o := range []Order{first, third, other} {
				s.await(n, o.ID, TicketIssued)
			}
			s.await(n, second.ID, Cancelled)
			s.eventually("the authorization is voided", func() bool {
				o, err := n.Find(t.Context(), second.ID)
				return err == nil && o.Payment.State == PaymentVoided && o.Payment.Failure == cardOverLimit
			})
			if h, err := n.stock.Load(t.Context(), second.Hold); err != nil || h.State != inventory.Released {
				t.Errorf("its hold: %+v, %v", h, err)
			}
			for i, scope := range []uuid.UUID{s.event, s.cards.TourID} {
				if want := int64(5); limits[i] > 0 && s.cardUnits(scope) != want {
					t.Errorf("cards have %d units in scope %d, want %d", s.cardUnits(scope), i, want)
				}
			}
			if lates := s.count(`SELECT count(*) FROM order_events WHERE cause = 'late_money'`); lates != 0 {
				t.Errorf("%d authorizations were called late", lates)
			}
			s.audit()
		})
	}
}

func TestTwoCoresSellACardsLastUnitOnce(t *testing.T) {
	s := newShop(t)
	s.limitCards(2, 0)
	a, b := s.open(true), s.open(true)
	for round := range 4 {
		card := string(rune('A' + round))
		orders := []Order{s.pay(a, byte(10*round+1), 2, card), s.pay(a, byte(10*round+2), 2, card)}
		var racing sync.WaitGroup
		for _, o := range orders {
			// A webhook at both cores and the lookup of one, at once.
			for i := range 3 {
				racing.Go(func() {
					out := told(o)
					if i == 2 {
						out.Card, out.CardAsked, out.Actor = card, true, "lookup"
					}
					if err := []*node{a, b}[i%2].Apply(context.Background(), out); err != nil {
						t.Error(err)
					}
				})
			}
		}
		racing.Wait()
		states := map[State]int{}
		for _, o := range orders {
			s.eventually("the order is over", func() bool {
				now, err := a.Find(t.Context(), o.ID)
				return err == nil && (now.State == TicketIssued || now.State == Cancelled)
			})
			now, err := a.Find(t.Context(), o.ID)
			if err != nil {
				t.Fatal(err)
			}
			states[now.State]++
		}
		if states[TicketIssued] != 1 || states[Cancelled] != 1 || s.cardUnits(s.event) != int64(2*(round+1)) {
			t.Errorf("round %d: %v, cards have %d units", round, states, s.cardUnits(s.event))
		}
	}
	s.audit()
}

func TestWhatACardBoughtInVainIsGivenBackToIt(t *testing.T) {
	s := newShop(t)
	s.limitCards(2, 2)
	s.provider.refuse = payment.ErrDeclined
	n := s.open(true)
	first := s.pay(n, 1, 2, "A")
	if err := n.Apply(t.Context(), told(first)); err != nil {
		t.Fatal(err)
	}
	s.await(n, first.ID, CaptureFailed)
	if got := s.cardUnits(s.event) + s.cardUnits(s.cards.TourID); got != 0 {
		t.Errorf("cards still have %d units", got)
	}
	s.audit()
}

func TestAPaymentWithoutACardHasNoCardLimit(t *testing.T) {
	s := newShop(t)
	s.limitCards(1, 1)
	n := s.open(true)
	o := s.pay(n, 1, 2, "")
	if err := n.Apply(t.Context(), told(o)); err != nil {
		t.Fatal(err)
	}
	s.await(n, o.ID, TicketIssued)
	s.audit()
}
