package checkout

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// Two cores sweep and tell, twice and at any moment around the one in which the sweep frees the seats: as long as nobody else wants
// them, late money gets the very seats it was meant for, with one hold and no other.
func TestLateMoneyGetsTheSameSeatsWheneverItIsTold(t *testing.T) {
	s := newShop(t)
	cores := []*node{s.open(true), s.open(true)}
	for round := range 8 {
		seed := rand.New(rand.NewPCG(uint64(round), 23))
		var orders []Order
		for seat := 1; seat <= 4; seat++ {
			state := []payment.OutcomeState{payment.Authorized, payment.Captured}[seed.IntN(2)]
			who := lottery.Entrant{byte(round + 1), byte(seat)}
			orders = append(orders, s.late(cores[seed.IntN(2)], who, state, floor(1), inventory.Item{Seats: []string{fmt.Sprintf("A/1/%d", seat)}}))
		}
		var telling sync.WaitGroup
		for _, o := range orders {
			out, err := s.provider.Lookup(t.Context(), payment.Intent{PaymentID: payment.PaymentID(o.ID, 1)})
			if err != nil {
				t.Fatal(err)
			}
			cause, _ := causeOf(out.State)
			s.pass(o)
			for range 2 {
				n, after := cores[seed.IntN(2)], time.Duration(seed.IntN(60))*time.Millisecond
				telling.Go(func() {
					time.Sleep(after) // the sweep comes every 20 ms; which is first does not matter
					if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: payment.PaymentID(o.ID, 1), Cause: cause, Actor: "webhook"}); err != nil {
						t.Error(err)
					}
				})
			}
		}
		telling.Wait()
		for i, o := range orders {
			got := s.await(cores[0], o.ID, TicketIssued)
			if !got.Reseated() || got.Lines[1].Seat != fmt.Sprintf("A/1/%d", i+1) || len(got.Tickets) != 2 {
				t.Errorf("round %d: hold %s, lines %+v", round, got.Hold, got.Lines)
			}
			if n := s.count(`SELECT count(*) FROM holds WHERE entrant = $1`, o.Entrant[:]); n != 2 {
				t.Errorf("round %d: order %s had %d holds", round, o.ID, n)
			}
		}
		s.audit()
		for _, o := range orders { // the seats are for the next round
			if _, err := cores[0].Refund(t.Context(), RefundRequest{Order: o.ID, Key: "k"}); err != nil {
				t.Fatal(err)
			}
			s.await(cores[0], o.ID, Refunded)
		}
	}
}
