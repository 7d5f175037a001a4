package transfer

import "github.com/VictoriaMetrics/metrics"

// Metrics of every Service of the process: steps that were taken and refused.
//
//	core_transfers_total{step, result}  step: offer, accept, decline, cancel, expire; result: done, refused
var (
	steps = map[string][2]*metrics.Counter{
		"offer":   {metrics.NewCounter(`core_transfers_total{step="offer",result="done"}`), metrics.NewCounter(`core_transfers_total{step="offer",result="refused"}`)},
		"accept":  {metrics.NewCounter(`core_transfers_total{step="accept",result="done"}`), metrics.NewCounter(`core_transfers_total{step="accept",result="refused"}`)},
		"decline": {metrics.NewCounter(`core_transfers_total{step="decline",result="done"}`), metrics.NewCounter(`core_transfers_total{step="decline",result="refused"}`)},
		"cancel":  {metrics.NewCounter(`core_transfers_total{step="cancel",result="done"}`), metrics.NewCounter(`core_transfers_total{step="cancel",result="refused"}`)},
		"expire":  {metrics.NewCounter(`core_transfers_total{step="expire",result="done"}`), metrics.NewCounter(`core_transfers_total{step="expire",result="refused"}`)},
	}
	sweepErrors = metrics.NewCounter(`core_transfers_sweep_errors_total`)
)

func count(step string, err error) {
	if err != nil {
		steps[step][1].Inc()
		return
	}
	steps[step][0].Inc()
}
