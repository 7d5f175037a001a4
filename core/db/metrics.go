package db

import (
	"errors"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics of every DB of the process.
var (
	txRetries     = metrics.NewCounter(`core_db_tx_retries_total`)
	txCommitted   = metrics.NewCounter(`core_db_tx_total{result="committed"}`)
	txAmbiguous   = metrics.NewCounter(`core_db_tx_total{result="ambiguous"}`)
	txConflict    = metrics.NewCounter(`core_db_tx_total{result="conflict"}`)
	txUnavailable = metrics.NewCounter(`core_db_tx_total{result="unavailable"}`)
	// browseFallbacks counts what the primary had to answer because the copy for browsing did not.
	browseFallbacks = metrics.NewCounter(`core_db_browse_fallbacks_total`)
	txFailed        = metrics.NewCounter(`core_db_tx_total{result="failed"}`)
)

// countTx counts how a transaction ended.
func countTx(err error) {
	switch {
	case err == nil:
		txCommitted.Inc()
	case errors.Is(err, ErrAmbiguous):
		txAmbiguous.Inc()
	case errors.Is(err, ErrConflict):
		txConflict.Inc()
	case errors.Is(err, ErrUnavailable):
		txUnavailable.Inc()
	default:
		txFailed.Inc()
	}
}

// laneMetrics are the figures of one lane; lanes of the same name share them.
type laneMetrics struct {
	depth      *metrics.Gauge
	batch      *metrics.Histogram
	commits    *metrics.Counter
	seconds    *metrics.Histogram
	overloaded *metrics.Counter
	dropped    *metrics.Counter
	bisected   *metrics.Counter
	panics     *metrics.Counter
}

// newLaneMetrics registers the figures of a lane. Names of lanes are few and fixed, so the label is bounded.
func newLaneMetrics(lane string) laneMetrics {
	label := `{lane="` + lane + `"}`
	return laneMetrics{
		depth:      metrics.GetOrCreateGauge(`core_db_lane_depth`+label, nil),
		batch:      metrics.GetOrCreateHistogram(`core_db_lane_batch_size` + label),
		commits:    metrics.GetOrCreateCounter(`core_db_lane_commits_total` + label),
		seconds:    metrics.GetOrCreateHistogram(`core_db_lane_commit_seconds` + label),
		overloaded: metrics.GetOrCreateCounter(`core_db_lane_overloaded_total` + label),
		dropped:    metrics.GetOrCreateCounter(`core_db_lane_dropped_total` + label),
		bisected:   metrics.GetOrCreateCounter(`core_db_lane_bisected_total` + label),
		panics:     metrics.GetOrCreateCounter(`core_db_lane_panics_total` + label),
	}
}
