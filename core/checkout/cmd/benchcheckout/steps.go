package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/inventory"
)

// naiveClients is how many of the naive way's transactions run at a time; more of them only make each other fail.
const naiveClients = 16

// naiveShare is the part of the orders that the naive way gets, which is so much slower.
const naiveShare = 10

// runSteps measures all transactions of a purchase, from the order to its tickets, without any provider: decided together for
// many orders, as the service does, and the naive way, one transaction for each step of each order, many at a time. Both do
// the same work on the same rows.
func runSteps(ctx context.Context, d *db.DB, o options) error {
	s := newShop(d, o)
	defer s.close()
	holds, err := s.prepare(ctx, o)
	if err != nil {
		return fmt.Errorf("prepare %d holds: %w", o.orders+o.warmUp, err)
	}
	ours := []*checkout.Service{s.orders}
	var naive []*checkout.Service
	one := o
	one.batch = 1
	for range naiveClients {
		n := newShop(d, one)
		defer n.close()
		naive = append(naive, n.orders)
	}
	few := o.orders / naiveShare
	warm, rest := holds[:o.warmUp], holds[o.warmUp:]
	if _, err := stepAll(ctx, ours, warm, o.callers); err != nil {
		return err
	}
	if err := s.analyze(ctx); err != nil {
		return err
	}
	slow, err := stepAll(ctx, naive, rest[:few], naiveClients)
	if err != nil {
		return fmt.Errorf("the naive way: %w", err)
	}
	fast, err := stepAll(ctx, ours, rest[few:], o.callers)
	if err != nil {
		return err
	}
	if err := s.checkSteps(ctx, o); err != nil {
		return fmt.Errorf("the tables are wrong: %w", err)
	}
	naiveRate, rate := float64(few)/slow.Seconds(), float64(o.orders-few)/fast.Seconds()
	fmt.Printf("all transactions of a purchase, without provider and HTTP: %.0f purchases/s decided together, %d callers\n", rate, o.callers)
	fmt.Printf("the naive way, one transaction for each step of each order, %d at a time: %.0f purchases/s; ratio %.1f\n", naiveClients, naiveRate, rate/naiveRate)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"purchase_steps_per_second": math.Round(rate), "naive_purchase_steps_per_second": math.Round(naiveRate), "purchase_steps_ratio": math.Round(rate/naiveRate*10) / 10,
	})
}

// stepAll carries every hold to its tickets and returns how long that took. Caller i uses the i-th service.
func stepAll(ctx context.Context, services []*checkout.Service, holds []inventory.Hold, callers int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var next atomic.Int64
	var mu sync.Mutex // guards failed
	var failed error
	var running sync.WaitGroup
	began := time.Now()
	for i := range min(callers, len(holds)) {
		running.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(holds); n = int(next.Add(1)) - 1 {
				if err := steps(ctx, services[i%len(services)], holds[n]); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
					cancel()
					return
				}
			}
		})
	}
	running.Wait()
	return time.Since(began), failed
}

func steps(ctx context.Context, s *checkout.Service, h inventory.Hold) error {
	order, _, err := s.Open(ctx, checkout.Opening{Hold: h.ID, Event: h.Event, Entrant: h.Entrant, Email: "buyer@example.org", Key: "order"})
	for _, cause := range []checkout.Cause{checkout.CauseBegun, checkout.CauseAuthorized, checkout.CauseCaptured} {
		if err == nil {
			err = s.Apply(ctx, checkout.Outcome{Order: order.ID, Payment: order.Payment.ID, Cause: cause, Ref: "pi", Secret: "secret", Actor: "webhook"})
		}
	}
	return err
}

// checkSteps is check for orders that all have their tickets.
func (s *shop) checkSteps(ctx context.Context, o options) error {
	o.purchases = true
	return s.check(ctx, o)
}
