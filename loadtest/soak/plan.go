package soak

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The events of a soak: one that takes place, and one that is cancelled in the end. Holds live for seconds, so that payments
// are late; the pit is so small that late money finds it sold out. The floor's capacity is for the orders of the soak.
const (
	mainSlug      = "soak"
	cancelledSlug = "called-off"
	// %[1]s: the slug; %[2]d: places on the floor; %[3]s: how long a hold lives
	eventText = `id: %[1]s
name: A Soak
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: %[2]d}
  - {id: pit, name: Pit, kind: general, price: "99.00", capacity: 40}
  - {id: lower, name: Lower ring, kind: seated, price: "45.50"}
seating:
  sections:
    - {id: "101", tier: lower, rows: [{row: A-T, seats: 20}]}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 8, per_card: 10000}
refunds: {by: buyer}
hold: {ttl: %[3]s, payment_extension: %[3]s}
on_sale: {joining_before: 1s, window: 30s, session_ttl: 60m, claim_within: 60s, max_inside: 60, pace_per_second: 15}
`
)

// plan is what the soak sells.
type plan struct {
	floor int
	hold  time.Duration
}

func newPlan(o Options) plan { return plan{floor: max(500, o.Orders*3/2), hold: o.Hold} }

func (p plan) events() []string {
	return []string{fmt.Sprintf(eventText, mainSlug, p.floor, p.hold), fmt.Sprintf(eventText, cancelledSlug, p.floor, p.hold)}
}

// cancelledShare is how many of a hundred buyers want the event that is cancelled.
const cancelledShare = 15

// How a buyer pays, and with what. Shares of a thousand; what is left is a good card at once.
var manners = []struct {
	manner manner
	share  int
}{
	{declines, 90}, {proves, 80}, {abandonsProof, 30}, {failsProof, 30}, {neverPays, 30}, {paysLate, 60}, {releases, 30}, {disputes, 30},
	{givesUp, 100},
}

// manner is how a buyer behaves at the provider's form.
type manner string

const (
	paysAtOnce    manner = "pays at once"
	declines      manner = "card declined, then a good one"
	proves        manner = "proves who they are"
	abandonsProof manner = "is asked for a proof and leaves"
	failsProof    manner = "fails the proof, then a good card"
	neverPays     manner = "never pays"
	paysLate      manner = "pays when the hold has ended"
	releases      manner = "gives the hold back while paying"
	givesUp       manner = "gives the hold back while the form is made"
	disputes      manner = "pays, and disputes it later"
)

// Test cards, as Stripe publishes them.
const (
	cardGood     = "4242424242424242"
	cardOther    = "5555555555554444"
	cardDeclined = "4000000000000002"
	cardProof    = "4000002760003184" // asks for 3-D Secure
	cardDisputed = "4000000000000259" // disputed as fraudulent some time later
)

// draw decides about the n-th buyer, whatever the others do.
func draw(seed uint64, n int) (*rand.Rand, manner) {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	dice := rng.IntN(1000)
	for _, m := range manners {
		if dice -= m.share; dice < 0 {
			return rng, m.manner
		}
	}
	return rng, paysAtOnce
}
