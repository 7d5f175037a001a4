package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// figures are what one way achieved.
type figures struct {
	searches int64
	took     time.Duration
	latency  *hdrhistogram.Histogram // microseconds
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

func (f figures) perSecond() float64 { return float64(f.searches) / f.took.Seconds() }

func (f figures) ms(quantile float64) float64 {
	return hundredth(float64(f.latency.ValueAtQuantile(quantile)) / 1000)
}

func (f figures) print(name string, clients int) {
	fmt.Printf("%-34s %8d %10.0f %9.2f %9.2f %9.2f\n", name, clients, f.perSecond(), f.ms(50), f.ms(99), f.ms(99.9))
}

func (f figures) json() map[string]any {
	return map[string]any{"per_second": int(f.perSecond()), "p50_ms": f.ms(50), "p99_ms": f.ms(99), "p999_ms": f.ms(99.9)}
}

// measure lets clients search for a while, each asking again as soon as it has its answer.
func measure(ctx context.Context, clients int, o options, connect func(int) (asker, error), next func(*pen) string) (figures, error) {
	all := figures{took: o.seconds, latency: newHistogram()}
	var mu sync.Mutex
	var failed error
	var running sync.WaitGroup
	begin := time.Now().Add(o.seconds / 5)
	end := begin.Add(o.seconds)
	for i := range clients {
		ask, err := connect(i)
		if err != nil {
			return all, err
		}
		running.Go(func() {
			own := newHistogram()
			p := &pen{Rand: rand.New(rand.NewPCG(o.seed, uint64(clients)<<32|uint64(i)))}
			var n int64
			var err error
			for now := time.Now(); err == nil && now.Before(end) && ctx.Err() == nil; {
				query := next(p)
				started := time.Now()
				err = ask(query)
				now = time.Now()
				if started.After(begin) && err == nil {
					n++
					_ = own.RecordValue(now.Sub(started).Microseconds()) // a minute is the most it takes
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil && failed == nil {
				failed = err
			}
			all.searches += n
			all.latency.Merge(own)
		})
	}
	running.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return all, failed
}
