package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/inventory"
)

const sqlNewTiers = `
INSERT INTO stock (event_id, tier, allocation, capacity, taken, version)
SELECT u.event_id, 'floor', 'general', $2, 0, 0 FROM unnest($1::UUID[]) AS u (event_id)`

// newTiers makes many events with one tier each.
func newTiers(ctx context.Context, d *db.DB, count int) ([]uuid.UUID, error) {
	events := make([]uuid.UUID, count)
	for i := range events {
		events[i] = uuid.New()
	}
	_, err := d.Pool.Exec(ctx, sqlNewTiers, events, capacity)
	return events, err
}

// quietEvents sell one hold a second each beside a hot one.
const quietEvents = 1_000

// measureEvents sells one hold a second of each of many events, all at the same time.
func measureEvents(ctx context.Context, d *db.DB, o options) (figures, error) {
	events, err := newTiers(ctx, d, o.many)
	if err != nil {
		return figures{}, err
	}
	o.events = 2
	s := newService(d, o, "floor", inventory.General)
	defer s.Close()
	got, err := arrivals(ctx, s, events, o.seconds)
	if err != nil {
		return got, err
	}
	return got, check(ctx, d, &got, 1, false, events...)
}

// measureQuiet is the same for the quiet events of a core on which the callers storm one hot event meanwhile.
func measureQuiet(ctx context.Context, d *db.DB, o options) (figures, error) {
	events, err := newTiers(ctx, d, quietEvents)
	if err != nil {
		return figures{}, err
	}
	hot, err := newTier(ctx, d, "floor", capacity, 0)
	if err != nil {
		return figures{}, err
	}
	o.events = 2
	s := newService(d, o, "floor", inventory.General)
	defer s.Close()
	storm, calm := context.WithCancel(ctx)
	var callers sync.WaitGroup
	defer callers.Wait()
	defer calm()
	var stormed, failed atomic.Int64
	items := []inventory.Item{{Tier: "floor", Quantity: 1}}
	for range o.callers {
		callers.Go(func() {
			for storm.Err() == nil {
				_, err := s.Hold(storm, inventory.Request{Event: hot, Entrant: newBuyer(stormed.Add(1)), Key: "key", Items: items})
				if err != nil && storm.Err() == nil {
					failed.Add(1)
				}
			}
		})
	}
	began := time.Now()
	got, err := arrivals(ctx, s, events, o.seconds)
	fmt.Printf("%-24s %12.0f beside it, %d failed\n", "  (hot event)", float64(stormed.Load())/time.Since(began).Seconds(), failed.Load())
	if err != nil {
		return got, err
	}
	return got, check(ctx, d, &got, 1, false, events...)
}

// arrivals asks for one hold a second of each event, evenly spread, whatever becomes of those before. How long a buyer
// waits counts from the moment at which it was their turn to ask.
func arrivals(ctx context.Context, s *inventory.Service, events []uuid.UUID, length time.Duration) (figures, error) {
	got := figures{took: length, latency: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	items := []inventory.Item{{Tier: "floor", Quantity: 1}}
	total := int(float64(len(events)) * (warmUp + length).Seconds())
	var mu sync.Mutex
	var failed error
	var buyers sync.WaitGroup
	began := time.Now()
	ask := func(n int, due time.Duration) {
		// Other rounds meet the events in another order.
		event := events[(n%len(events)*7919+n/len(events))%len(events)]
		_, err := s.Hold(ctx, inventory.Request{Event: event, Entrant: newBuyer(int64(n) + 1), Key: "key", Items: items})
		mu.Lock()
		defer mu.Unlock()
		if err == nil && due >= warmUp {
			err = got.latency.RecordValue(max((time.Since(began) - due).Microseconds(), 1))
		}
		if err != nil {
			failed = err
		}
	}
	for n := 0; n < total && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		due := time.Duration(n) * time.Second / time.Duration(len(events))
		for now := time.Since(began); n < total && due <= now; due = time.Duration(n) * time.Second / time.Duration(len(events)) {
			number, at := n, due
			buyers.Go(func() { ask(number, at) })
			n++
		}
	}
	buyers.Wait()
	got.answered = got.latency.TotalCount()
	if failed == nil {
		failed = ctx.Err()
	}
	return got, failed
}
