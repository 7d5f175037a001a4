package scan

import (
	"github.com/VictoriaMetrics/metrics"

	"fairgate/core/ticket/gate"
)

// count counts a scan on line.
func count(d gate.Direction, why error) {
	result := gate.Reason(why)
	if result == "" {
		result = "passed"
	}
	metrics.GetOrCreateCounter(`core_scans_total{direction="` + string(d) + `",result="` + result + `"}`).Inc()
}
