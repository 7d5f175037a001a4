package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"fairgate/core/db"
	"fairgate/ledger"
)

// mostCounted is how many late items of an account the metrics count.
const mostCounted = 10_000

// clearingWatch looks now and then for money that is late in clearing accounts, and tells the metrics
//
//	core_ledger_late_minor{account,currency}        late money in minor units
//	core_ledger_late_age_seconds{account,currency}  how long the oldest of it has been there
//	core_ledger_late_items{account,currency}        references that are late
//	core_ledger_clearing_errors_total               looks that failed
//
// account is the first part of the code, so the label is bounded; providers are added up, and sellers who should have been paid.
type clearingWatch struct {
	mu   sync.Mutex
	seen map[[2]string]*lateFigures
}

type lateFigures struct{ minor, age, items float64 }

var clearingErrors = metrics.NewCounter(`core_ledger_clearing_errors_total`)

// figures are those of an account, registered when it is first late.
func (c *clearingWatch) figures(account, currency string) *lateFigures {
	key := [2]string{account, currency}
	if f := c.seen[key]; f != nil {
		return f
	}
	f := &lateFigures{}
	c.seen[key] = f
	label := `{account="` + account + `",currency="` + currency + `"}`
	for name, figure := range map[string]*float64{"minor": &f.minor, "age_seconds": &f.age, "items": &f.items} {
		metrics.GetOrCreateGauge(`core_ledger_late_`+name+label, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return *figure
		})
	}
	return f
}

// note replaces all figures; what is late no more goes to zero.
func (c *clearingWatch) note(accounts []ledger.Overdue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.seen {
		*f = lateFigures{}
	}
	for _, o := range accounts {
		name, _, _ := strings.Cut(o.Account.Code, "/")
		f := c.figures(name, o.Account.Currency)
		f.minor += float64(o.Late.Minor)
		f.age = max(f.age, o.Oldest.Seconds())
		f.items += float64(len(o.Items))
	}
}

// watchClearing is the worker. sellers lists those of resold tickets who should have been paid.
func watchClearing(d *db.DB, deadlines ledger.Deadlines, sellers func(context.Context, time.Time) ([]ledger.Overdue, error), every time.Duration, log *slog.Logger) func(context.Context) error {
	watch := &clearingWatch{seen: make(map[[2]string]*lateFigures)}
	look := func(ctx context.Context) error {
		now, err := d.Now(ctx)
		if err != nil {
			return err
		}
		accounts, err := ledger.ReadClearing(ctx, d.Reader, deadlines, now, mostCounted)
		if err != nil {
			return err
		}
		late, err := sellers(ctx, now)
		if err != nil {
			return err
		}
		watch.note(append(accounts, late...))
		return nil
	}
	return func(ctx context.Context) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if err := look(ctx); err != nil && ctx.Err() == nil {
				clearingErrors.Inc()
				log.Warn("look for late money", "error", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}
