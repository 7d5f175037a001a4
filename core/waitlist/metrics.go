package waitlist

import "github.com/VictoriaMetrics/metrics"

// Metrics of every Service of the process.
//
//	core_waitlist_entries_total{step}     step: asked, left
//	core_waitlist_offers_total{result}    result: opened, accepted, bought, declined, expired, void
//	core_waitlist_draws_total             draws held
//	core_waitlist_errors_total            looks at a list that failed
//	core_waitlist_waiting                 who waits on open lists, of all events together, as are the next two
//	core_waitlist_offers_out              offers that are made and neither bought nor over
//	core_waitlist_oldest_wait_seconds     how long ago the first of those who wait has asked; 0 when nobody does
var (
	askedTotal    = metrics.NewCounter(`core_waitlist_entries_total{step="asked"}`)
	leftTotal     = metrics.NewCounter(`core_waitlist_entries_total{step="left"}`)
	openedTotal   = metrics.NewCounter(`core_waitlist_offers_total{result="opened"}`)
	acceptedTotal = metrics.NewCounter(`core_waitlist_offers_total{result="accepted"}`)
	closedTotal   = map[OfferState]*metrics.Counter{
		OfferBought:   metrics.NewCounter(`core_waitlist_offers_total{result="bought"}`),
		OfferDeclined: metrics.NewCounter(`core_waitlist_offers_total{result="declined"}`),
		OfferExpired:  metrics.NewCounter(`core_waitlist_offers_total{result="expired"}`),
		OfferVoid:     metrics.NewCounter(`core_waitlist_offers_total{result="void"}`),
	}
	drawsTotal  = metrics.NewCounter(`core_waitlist_draws_total`)
	errorsTotal = metrics.NewCounter(`core_waitlist_errors_total`)

	waitingGauge = metrics.NewGauge(`core_waitlist_waiting`, nil)
	outGauge     = metrics.NewGauge(`core_waitlist_offers_out`, nil)
	oldestGauge  = metrics.NewGauge(`core_waitlist_oldest_wait_seconds`, nil)
)
