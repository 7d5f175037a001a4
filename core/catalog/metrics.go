package catalog

import (
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics of the catalogs of the process.
var (
	searches   = metrics.NewCounter(`core_catalog_searches_total`)
	refused    = metrics.NewCounter(`core_catalog_loading_total`)
	changes    = metrics.NewCounter(`core_catalog_changes_total`)
	rebuilds   = metrics.NewCounter(`core_catalog_rebuilds_total`)
	failures   = metrics.NewCounter(`core_catalog_errors_total`)
	overflowed = metrics.NewCounter(`core_catalog_limit_total{limit="events"}`)
	mended     = metrics.NewCounter(`core_catalog_mended_total`) // found by comparing everything: the refresh had missed it
)

// readAt is when the table was last read without a failure, in Unix nanoseconds; 0 before.
var readAt atomic.Int64

var (
	eventsGauge = metrics.NewGauge(`core_catalog_events`, nil)
	_           = metrics.NewGauge(`core_catalog_age_seconds`, func() float64 {
		if at := readAt.Load(); at > 0 {
			return time.Since(time.Unix(0, at)).Seconds()
		}
		return 0
	})
)
