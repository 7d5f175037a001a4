package checkout

import (
	"context"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// watchDisputesEvery is how often undecided disputes are counted; dueSoon when one has to be answered soon.
const (
	watchDisputesEvery = time.Minute
	dueSoon            = 72 * time.Hour
)

// What is undecided, by every core alike. The rate of disputes is core_order_events_total of dispute_opened against captured.
var (
	disputesOpen    = metrics.NewGauge(`core_disputes_open`, nil)
	disputesDueSoon = metrics.NewGauge(`core_disputes_due_soon`, nil) // to be answered within three days, and not submitted
)

// Of the providers' lists of disputes, see dispute_listing.go: what only they told of, and how their readings ended.
var (
	disputesFound  = metrics.NewCounter(`core_disputes_found_total`)
	listingsWhole  = metrics.NewCounter(`core_dispute_listings_total{result="whole"}`)
	listingsPart   = metrics.NewCounter(`core_dispute_listings_total{result="part"}`)   // to the end, but for disputes that could not be taken in
	listingsFailed = metrics.NewCounter(`core_dispute_listings_total{result="failed"}`) // on their way: gone on with later, or given up since they do not end
)

const sqlCountDisputes = `
SELECT count(*), count(*) FILTER (WHERE submitted_at IS NULL AND respond_by < now() + $1::INT8 * INTERVAL '1 second')
FROM disputes WHERE state IN ('inquiry', 'open', 'review')`

// WatchDisputes keeps the metrics of undecided disputes until ctx ends.
func (s *Service) WatchDisputes(ctx context.Context) error {
	tick := time.NewTicker(watchDisputesEvery)
	defer tick.Stop()
	for {
		var open, soon int64
		err := s.db.Reader.QueryRow(ctx, sqlCountDisputes, int64(dueSoon/time.Second)).Scan(&open, &soon)
		if err == nil {
			disputesOpen.Set(float64(open))
			disputesDueSoon.Set(float64(soon))
		} else if ctx.Err() == nil {
			s.log.Warn("count disputes", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
