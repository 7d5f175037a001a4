package history

import "github.com/VictoriaMetrics/metrics"

// figures are the package's metrics.
type figures struct {
	lines, bytes, lost *metrics.Counter
}

func newFigures() figures {
	return figures{
		lines: metrics.GetOrCreateCounter(`core_history_lines_total`),
		bytes: metrics.GetOrCreateCounter(`core_history_bytes_total`),
		lost:  metrics.GetOrCreateCounter(`core_history_lines_lost_total`),
	}
}
