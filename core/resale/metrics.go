package resale

import (
	"errors"

	vm "github.com/VictoriaMetrics/metrics"
)

// counters are what this process did.
type counters struct {
	listings, refused, sold, undone, closed, failed *vm.Counter
	payouts                                         map[Payout]*vm.Counter
}

var metrics = counters{
	listings: vm.NewCounter(`core_resale_listings_total{result="listed"}`),
	refused:  vm.NewCounter(`core_resale_listings_total{result="refused"}`),
	sold:     vm.NewCounter(`core_resale_sales_total{result="sold"}`),
	undone:   vm.NewCounter(`core_resale_sales_total{result="undone"}`),
	closed:   vm.NewCounter(`core_resale_closed_total`),
	failed:   vm.NewCounter(`core_resale_tidy_failures_total`),
	payouts: map[Payout]*vm.Counter{
		Sent:    vm.NewCounter(`core_resale_payout_steps_total{to="sent"}`),
		Arrived: vm.NewCounter(`core_resale_payout_steps_total{to="arrived"}`),
		Waiting: vm.NewCounter(`core_resale_payout_steps_total{to="returned"}`),
	},
}

// listed counts the answer to a seller; what is no answer is counted nowhere.
func (c *counters) listed(err error) {
	if err == nil {
		c.listings.Inc()
		return
	}
	for _, refusal := range []error{ErrNotOwner, ErrNotAllowed, ErrClosed, ErrCap, ErrPrice, ErrListed, ErrOffered, ErrEntered, ErrVoid, ErrLimit, ErrKeyReused} {
		if errors.Is(err, refusal) {
			c.refused.Inc()
			return
		}
	}
}
