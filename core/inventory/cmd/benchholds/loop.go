package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"

	"fairgate/core/db"
)

const warmUp = time.Second

// figures are what one way achieved.
type figures struct {
	answered int64 // in the time measured
	all      int64 // with those of the warm-up
	commits  int64 // 0 when not counted
	attempts int64 // transactions begun, 0 when not counted
	took     time.Duration
	latency  *hdrhistogram.Histogram // microseconds
}

func (f figures) perSecond() float64 { return float64(f.answered) / f.took.Seconds() }

// quantile is in milliseconds.
func (f figures) quantile(q float64) float64 {
	return math.Round(float64(f.latency.ValueAtQuantile(q))/10) / 100
}

func (f figures) print(name string) {
	per := func(n, of int64) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", float64(n)/float64(of))
	}
	fmt.Printf("%-24s %12.0f %10.2f %10.2f %10.2f %12s", name, f.perSecond(), f.quantile(50), f.quantile(99), f.quantile(99.9), per(f.all, f.commits))
	if f.attempts > 0 {
		fmt.Printf(" %10s", per(f.attempts, f.all))
	}
	fmt.Println()
}

// line is the way's part of the last line.
func (f figures) line() map[string]float64 {
	return map[string]float64{
		"per_second": math.Round(f.perSecond()), "p50_ms": f.quantile(50), "p99_ms": f.quantile(99), "p999_ms": f.quantile(99.9),
	}
}

// errDone ends a measurement.
var errDone = errors.New("the time is up")

// closedLoop runs callers that each ask for one thing after the other, and counts what happens after the warm-up. ask gets
// the number of the request, counted from 1, and errDone from it ends the loop early.
func closedLoop(ctx context.Context, callers int, duration time.Duration, ask func(ctx context.Context, n int64) error) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, warmUp+duration, errDone)
	defer cancel()
	from := time.Now().Add(warmUp)
	var requests atomic.Int64
	var mu sync.Mutex // guards the two below; a caller takes it once per request
	var failed error
	got := figures{took: duration, latency: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for {
				began := time.Now()
				err := ask(ctx, requests.Add(1))
				mu.Lock()
				if err == nil && began.After(from) {
					err = got.latency.RecordValue(time.Since(began).Microseconds())
				}
				if errors.Is(err, errDone) {
					got.took = min(got.took, time.Since(from))
					cancel()
				} else if err != nil && !errors.Is(context.Cause(ctx), errDone) && ctx.Err() == nil {
					failed = errors.Join(failed, err)
					cancel()
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	running.Wait()
	got.answered = got.latency.TotalCount()
	if got.answered == 0 && failed == nil {
		failed = errors.New("nothing was answered in the time measured")
	}
	return got, failed
}

const sqlCheck = `SELECT (SELECT coalesce(sum(taken), 0)::INT8 FROM stock WHERE event_id = ANY ($1)),
	(SELECT coalesce(sum(version), 0)::INT8 FROM stock WHERE event_id = ANY ($1)),
	(SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE event_id = ANY ($1)),
	(SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE scope_id = ANY ($1)),
	(SELECT count(*) FROM seats WHERE event_id = ANY ($1) AND state = 'held'),
	(SELECT coalesce(sum(length(holds)), 0)::INT8 FROM expiries WHERE event_id = ANY ($1)),
	(SELECT count(*) FROM holds WHERE event_id = ANY ($1))`

// check compares the tables with each other and with what was answered: a figure for lost holds is worth nothing.
func check(ctx context.Context, d *db.DB, f *figures, unitsPerHold int64, seated bool, events ...uuid.UUID) error {
	var taken, units, quota, seats, expiries, holds int64
	err := d.Pool.QueryRow(ctx, sqlCheck, events).Scan(&taken, &f.commits, &units, &quota, &seats, &expiries, &holds)
	if err != nil {
		return err
	}
	f.all, expiries = holds, expiries/16
	if taken != units || taken != quota || holds < f.answered || taken != holds*unitsPerHold || expiries != holds || seated && seats != taken {
		return fmt.Errorf("stock says %d units, %d holds %d, quotas %d, seats %d, expiries %d holds, callers at least %d",
			taken, holds, units, quota, seats, expiries, f.answered)
	}
	return nil
}
