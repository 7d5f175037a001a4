package guard

import (
	"github.com/VictoriaMetrics/metrics"

	"fairgate/edge/guard/score"
)

// counts holds the package's metrics.
type counts struct {
	refused [limitCount]*metrics.Counter
	forgot  [limitCount]*metrics.Counter
	banHits *metrics.Counter
	levels  [4]*metrics.Counter // by score.Level
	signals map[score.Signal]*metrics.Counter
}

func newCounts(set *metrics.Set, g *Guard) *counts {
	set.NewGauge(`edge_guard_subjects{limit="device"}`, func() float64 { return g.subjects(Device) })
	set.NewGauge(`edge_guard_subjects{limit="session"}`, func() float64 { return g.subjects(Session) })
	set.NewGauge(`edge_guard_subjects{limit="address"}`, func() float64 { return g.subjects(Address) })
	set.NewGauge(`edge_guard_subjects{limit="new_device"}`, func() float64 { return g.subjects(NewDevice) })
	set.NewGauge(`edge_guard_subjects{limit="network"}`, func() float64 { return g.subjects(Network) })
	set.NewGauge(`edge_guard_subjects{limit="crowd"}`, func() float64 { return g.subjects(Crowd) })
	set.NewGauge(`edge_guard_subjects{limit="account"}`, func() float64 { return g.subjects(Account) })
	set.NewGauge(`edge_guard_subjects{limit="webhook"}`, func() float64 { return g.subjects(Webhook) })
	set.NewGauge(`edge_guard_subjects{limit="sign_in"}`, func() float64 { return g.subjects(SignIn) })
	set.NewGauge(`edge_guard_ban_list_version`, func() float64 { return float64(g.Bans.Version()) })
	return &counts{
		refused: [limitCount]*metrics.Counter{
			Device:    set.NewCounter(`edge_guard_refused_total{limit="device"}`),
			Session:   set.NewCounter(`edge_guard_refused_total{limit="session"}`),
			Address:   set.NewCounter(`edge_guard_refused_total{limit="address"}`),
			NewDevice: set.NewCounter(`edge_guard_refused_total{limit="new_device"}`),
			Network:   set.NewCounter(`edge_guard_refused_total{limit="network"}`),
			Crowd:     set.NewCounter(`edge_guard_refused_total{limit="crowd"}`),
			Account:   set.NewCounter(`edge_guard_refused_total{limit="account"}`),
			Webhook:   set.NewCounter(`edge_guard_refused_total{limit="webhook"}`),
			SignIn:    set.NewCounter(`edge_guard_refused_total{limit="sign_in"}`),
		},
		forgot: [limitCount]*metrics.Counter{
			Device:    set.NewCounter(`edge_guard_forgot_total{limit="device"}`),
			Session:   set.NewCounter(`edge_guard_forgot_total{limit="session"}`),
			Address:   set.NewCounter(`edge_guard_forgot_total{limit="address"}`),
			NewDevice: set.NewCounter(`edge_guard_forgot_total{limit="new_device"}`),
			Network:   set.NewCounter(`edge_guard_forgot_total{limit="network"}`),
			Crowd:     set.NewCounter(`edge_guard_forgot_total{limit="crowd"}`),
			Account:   set.NewCounter(`edge_guard_forgot_total{limit="account"}`),
			Webhook:   set.NewCounter(`edge_guard_forgot_total{limit="webhook"}`),
			SignIn:    set.NewCounter(`edge_guard_forgot_total{limit="sign_in"}`),
		},
		banHits: set.NewCounter(`edge_guard_ban_hits_total`),
		levels: [4]*metrics.Counter{
			score.None:   set.NewCounter(`edge_guard_verdicts_total{level="none"}`),
			score.Low:    set.NewCounter(`edge_guard_verdicts_total{level="low"}`),
			score.Medium: set.NewCounter(`edge_guard_verdicts_total{level="medium"}`),
			score.High:   set.NewCounter(`edge_guard_verdicts_total{level="high"}`),
		},
		signals: map[score.Signal]*metrics.Counter{
			score.HeadersMissing:  set.NewCounter(`edge_guard_signals_total{signal="headers_missing"}`),
			score.HeadersOrder:    set.NewCounter(`edge_guard_signals_total{signal="headers_order"}`),
			score.HeadersConflict: set.NewCounter(`edge_guard_signals_total{signal="headers_conflict"}`),
			score.Honeypot:        set.NewCounter(`edge_guard_signals_total{signal="honeypot"}`),
			score.PollRegular:     set.NewCounter(`edge_guard_signals_total{signal="poll_regular"}`),
			score.PollFast:        set.NewCounter(`edge_guard_signals_total{signal="poll_fast"}`),
			score.TooEarly:        set.NewCounter(`edge_guard_signals_total{signal="too_early"}`),
			score.NetworksMany:    set.NewCounter(`edge_guard_signals_total{signal="networks_many"}`),
			score.TooFast:         set.NewCounter(`edge_guard_signals_total{signal="too_fast"}`),
			score.DeviceShared:    set.NewCounter(`edge_guard_signals_total{signal="device_shared"}`),
			score.NetworkCrowded:  set.NewCounter(`edge_guard_signals_total{signal="network_crowded"}`),
			score.TokenShared:     set.NewCounter(`edge_guard_signals_total{signal="token_shared"}`),
			score.DataCentre:      set.NewCounter(`edge_guard_signals_total{signal="data_centre"}`),
		},
	}
}

// Judged counts a verdict and its reasons.
func (g *Guard) Judged(v score.Verdict) {
	g.counts.levels[v.Level].Inc()
	for _, r := range v.Reasons {
		g.counts.signals[r.Signal].Inc()
	}
}
