package payout

import (
	"context"
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/jackc/pgx/v5"
)

// Metrics of payouts: what this process did, and what waits in the database as Watch saw it last.
//
//	core_payouts_waiting{state}         proposed, approved and sent payouts
//	core_payouts_oldest_seconds{state}  how long the oldest of them has been so
var (
	runs        = metrics.NewCounter(`core_payout_runs_total{result="done"}`)
	runFailures = metrics.NewCounter(`core_payout_runs_total{result="failed"}`)
	steps       = map[State]*metrics.Counter{
		Approved: metrics.NewCounter(`core_payout_steps_total{to="approved"}`),
		Rejected: metrics.NewCounter(`core_payout_steps_total{to="rejected"}`),
		Sent:     metrics.NewCounter(`core_payout_steps_total{to="sent"}`),
		Arrived:  metrics.NewCounter(`core_payout_steps_total{to="arrived"}`),
		Returned: metrics.NewCounter(`core_payout_steps_total{to="returned"}`),
	}
	waiting = map[State]*metrics.Gauge{
		Proposed: metrics.NewGauge(`core_payouts_waiting{state="proposed"}`, nil),
		Approved: metrics.NewGauge(`core_payouts_waiting{state="approved"}`, nil),
		Sent:     metrics.NewGauge(`core_payouts_waiting{state="sent"}`, nil),
	}
	oldest = map[State]*metrics.Gauge{
		Proposed: metrics.NewGauge(`core_payouts_oldest_seconds{state="proposed"}`, nil),
		Approved: metrics.NewGauge(`core_payouts_oldest_seconds{state="approved"}`, nil),
		Sent:     metrics.NewGauge(`core_payouts_oldest_seconds{state="sent"}`, nil),
	}
)

// Watch tells the metrics now and then what waits, until ctx ends.
func (s *Service) Watch(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("look for payouts that wait", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Service) look(ctx context.Context) error {
	rows, err := s.db.Reader.Query(ctx, sqlWaiting)
	if err != nil {
		return fmt.Errorf("count payouts that wait: %w", err)
	}
	counts, ages := map[State]float64{}, map[State]float64{}
	var state State
	var n int64
	var age float64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n, &age}, func() error { counts[state], ages[state] = float64(n), age; return nil }); err != nil {
		return fmt.Errorf("count payouts that wait: %w", err)
	}
	for state, gauge := range waiting {
		gauge.Set(counts[state])
		oldest[state].Set(ages[state])
	}
	return nil
}
