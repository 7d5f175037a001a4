package guard

import "github.com/VictoriaMetrics/metrics"

// counts holds the package's metrics.
type counts struct {
	refused [limitCount]*metrics.Counter
	forgot  [limitCount]*metrics.Counter
	banHits *metrics.Counter
}

func newCounts(set *metrics.Set, g *Guard) *counts {
	set.NewGauge(`edge_guard_subjects{limit="device"}`, func() float64 { return g.subjects(Device) })
	set.NewGauge(`edge_guard_subjects{limit="session"}`, func() float64 { return g.subjects(Session) })
	set.NewGauge(`edge_guard_subjects{limit="address"}`, func() float64 { return g.subjects(Address) })
	set.NewGauge(`edge_guard_subjects{limit="new_device"}`, func() float64 { return g.subjects(NewDevice) })
	set.NewGauge(`edge_guard_subjects{limit="webhook"}`, func() float64 { return g.subjects(Webhook) })
	set.NewGauge(`edge_guard_ban_list_version`, func() float64 { return float64(g.Bans.Version()) })
	return &counts{
		refused: [limitCount]*metrics.Counter{
			Device:    set.NewCounter(`edge_guard_refused_total{limit="device"}`),
			Session:   set.NewCounter(`edge_guard_refused_total{limit="session"}`),
			Address:   set.NewCounter(`edge_guard_refused_total{limit="address"}`),
			NewDevice: set.NewCounter(`edge_guard_refused_total{limit="new_device"}`),
			Webhook:   set.NewCounter(`edge_guard_refused_total{limit="webhook"}`),
		},
		forgot: [limitCount]*metrics.Counter{
			Device:    set.NewCounter(`edge_guard_forgot_total{limit="device"}`),
			Session:   set.NewCounter(`edge_guard_forgot_total{limit="session"}`),
			Address:   set.NewCounter(`edge_guard_forgot_total{limit="address"}`),
			NewDevice: set.NewCounter(`edge_guard_forgot_total{limit="new_device"}`),
			Webhook:   set.NewCounter(`edge_guard_forgot_total{limit="webhook"}`),
		},
		banHits: set.NewCounter(`edge_guard_ban_hits_total`),
	}
}
