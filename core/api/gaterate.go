package api

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/scan"
)

const (
	// gateBurst is how many seconds' worth of requests a gate may make at once: a log that is merged, a queue that has waited.
	gateBurst = 2 * time.Second
	// maxGateRates bounds the gates that are remembered; beyond that those are forgotten that have been silent longest.
	maxGateRates = 10_000
)

// gateRates bounds how many requests a second each gate may make of this core. Only gates whose credential was believed are counted. It may
// be used from many goroutines.
type gateRates struct {
	every time.Duration // between two requests; 0: no bound
	now   func() time.Time

	mu  sync.Mutex
	due map[gateKey]time.Time // when a gate that asks evenly would ask next (GCRA)
}

type gateKey struct {
	event uuid.UUID
	name  string
}

func newGateRates(perSecond int, now func() time.Time) *gateRates {
	r := &gateRates{now: now, due: map[gateKey]time.Time{}}
	if perSecond > 0 {
		r.every = time.Second / time.Duration(perSecond)
	}
	return r
}

// admit counts a request, or refuses it with errGateRate.
func (r *gateRates) admit(g scan.Gate) error {
	if r.every == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, key := r.now(), gateKey{g.Event, g.Name}
	due := r.due[key]
	if due.Before(now) {
		due = now
	}
	if due.Sub(now) > gateBurst {
		return errGateRate
	}
	if _, known := r.due[key]; !known && len(r.due) >= maxGateRates {
		r.forget(now)
	}
	r.due[key] = due.Add(r.every)
	return nil
}

// forget drops the gates that have been silent; when none has, one of them, which gets its burst anew.
func (r *gateRates) forget(now time.Time) {
	var any gateKey
	for key, due := range r.due {
		if any = key; !due.After(now) {
			delete(r.due, key)
		}
	}
	if len(r.due) >= maxGateRates {
		delete(r.due, any)
	}
}
