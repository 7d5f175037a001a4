package event

import "github.com/VictoriaMetrics/metrics"

// metricSet counts what the store does.
type metricSet struct {
	hits, misses *metrics.Counter
}

func newMetrics() metricSet {
	return metricSet{
		hits:   metrics.GetOrCreateCounter(`core_event_cache_total{result="hit"}`),
		misses: metrics.GetOrCreateCounter(`core_event_cache_total{result="miss"}`),
	}
}
