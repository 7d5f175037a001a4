package settlement

import (
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics of the reconciliation of this process. Those of a provider are of the last day that it read; provider is one of the configured.
//
//	core_settlement_rows_total{result}                    rows read: new, repeated, altered
//	core_settlement_read_failures_total                   readings that ended with an error
//	core_settlement_read_seconds                          how long a day took
//	core_settlement_explained_ratio{provider}             money explained of the last day, 0 to 1
//	core_settlement_last_read_timestamp_seconds{provider} when a day was last read
//	core_settlement_lookups_skipped_total                 rows whose order was not looked for among all payments: too many had none
//	core_settlement_items_open                            items of all days that nobody decided
//	core_settlement_items_overdue                         of these, those whose time is over
//	core_settlement_decisions_total{decision}             approved, rejected
var (
	rowsNew        = metrics.NewCounter(`core_settlement_rows_total{result="new"}`)
	rowsRepeated   = metrics.NewCounter(`core_settlement_rows_total{result="repeated"}`)
	rowsAltered    = metrics.NewCounter(`core_settlement_rows_total{result="altered"}`)
	readFailures   = metrics.NewCounter(`core_settlement_read_failures_total`)
	lookupsSkipped = metrics.NewCounter(`core_settlement_lookups_skipped_total`)
	readSeconds    = metrics.NewHistogram(`core_settlement_read_seconds`)
	approvals      = metrics.NewCounter(`core_settlement_decisions_total{decision="approved"}`)
	rejections     = metrics.NewCounter(`core_settlement_decisions_total{decision="rejected"}`)
	itemsOpen      = metrics.NewGauge(`core_settlement_items_open`, nil)
	itemsOverdue   = metrics.NewGauge(`core_settlement_items_overdue`, nil)
)

// dayFigures are what the gauges of a provider say.
type dayFigures struct{ explained, readAt float64 }

type gauges struct {
	mu   sync.Mutex
	seen map[string]*dayFigures
}

// count tells the metrics of a reading.
func (s *Service) count(r Report, took time.Duration) {
	rowsNew.Add(int(r.Counts.New))
	rowsRepeated.Add(int(r.Counts.Repeated))
	rowsAltered.Add(int(r.Counts.Altered + r.Counts.Vanished))
	readSeconds.Update(took.Seconds())
	g := &s.watch
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.seen[r.Provider]
	if f == nil {
		f = &dayFigures{}
		g.seen[r.Provider] = f
		label := `{provider="` + r.Provider + `"}`
		read := func(figure *float64) func() float64 {
			return func() float64 {
				g.mu.Lock()
				defer g.mu.Unlock()
				return *figure
			}
		}
		metrics.GetOrCreateGauge(`core_settlement_explained_ratio`+label, read(&f.explained))
		metrics.GetOrCreateGauge(`core_settlement_last_read_timestamp_seconds`+label, read(&f.readAt))
	}
	f.explained, f.readAt = float64(r.ExplainedPPM)/whole, float64(r.ReadAt.Unix())
}
