package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

func TestTwoCoresNeverSellATierTwice(t *testing.T) {
	const capacity, callers, each = 200, 64, 8
	w := newWorld(t, dbtest.New(t))
	w.exec(`UPDATE stock SET capacity = $2 WHERE event_id = $1 AND tier = 'floor'`, w.event, capacity)
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	var granted, refused atomic.Int64
	var running sync.WaitGroup
	for i := range callers {
		for _, s := range cores {
			running.Go(func() {
				for n := range each {
					h, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("floor", 1+(i+n)%2)))
					switch {
					case err == nil:
						granted.Add(int64(h.Units))
					case errors.Is(err, inventory.ErrSoldOut), errors.Is(err, inventory.ErrNotEnoughLeft):
						refused.Add(1)
					default:
						t.Errorf("hold: %v", err)
					}
				}
			})
		}
	}
	running.Wait()
	if granted.Load() != capacity || w.taken(cores[0])["floor/general"] != capacity {
		t.Errorf("%d units granted of %d", granted.Load(), capacity)
	}
	if refused.Load() == 0 {
		t.Error("nobody was refused: the test did not reach the end of the stock")
	}
	w.mustAudit()
}

func TestManyWantOneSeatAndOneGetsIt(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	for _, seat := range lowerSeats {
		var got atomic.Int64
		var running sync.WaitGroup
		for i := range 32 {
			running.Go(func() {
				_, err := cores[i%2].Hold(w.ctx, w.request(w.someone(), "k", seats(seat)))
				if err == nil {
					got.Add(1)
				} else if !errors.Is(err, inventory.ErrSeatTaken) && !errors.Is(err, inventory.ErrSoldOut) {
					t.Errorf("seat %s: %v", seat, err)
				}
			})
		}
		running.Wait()
		if got.Load() != 1 {
			t.Errorf("seat %s has %d holders", seat, got.Load())
		}
	}
	w.mustAudit()
}

func TestOneRequestAtTwoCoresIsOneHold(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	buyer := w.someone()
	for n := range 3 { // the third time it takes the last unit: it must not be told "sold out" because of itself
		r := w.request(buyer, fmt.Sprint(n), general("pit", 1))
		var running sync.WaitGroup
		for i := range 16 {
			running.Go(func() {
				h, err := cores[i%2].Hold(w.ctx, r)
				if err != nil || h.ID != inventory.HoldID(r.Event, r.Entrant, r.Key) || h.State != inventory.Active {
					t.Errorf("round %d: hold %s, %v", n, h.ID, err)
				}
			})
		}
		running.Wait()
	}
	if got := w.taken(cores[0])["pit/general"]; got != 3 {
		t.Errorf("%d are taken", got)
	}
	w.mustAudit()
}

func TestALimitHoldsAcrossCores(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	for range 3 {
		buyer := w.someone()
		var got atomic.Int64
		var running sync.WaitGroup
		var mu sync.Mutex
		var mine []inventory.Hold
		for i := range 12 {
			running.Go(func() {
				h, err := cores[i%2].Hold(w.ctx, w.request(buyer, fmt.Sprint(i), general("floor", 1)))
				if err == nil {
					got.Add(1)
					mu.Lock()
					mine = append(mine, h)
					mu.Unlock()
				} else if !errors.Is(err, inventory.ErrOverLimit) {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if got.Load() != int64(w.offer.Limit) {
			t.Errorf("a buyer has %d units of at most %d", got.Load(), w.offer.Limit)
		}
		w.mustAudit()
		for _, h := range mine {
			if _, err := cores[0].Release(w.ctx, h.ID, buyer); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOneBadRequestFailsAlone(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	bad := uuid.New() // its price is refused by a constraint of the database
	w.exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'floor', 'general', 5, 0, 0)`, bad)
	s := inventory.New(w.db, inventory.Config{
		Lanes: 1, // both events in one batch
		Log:   slog.New(slog.DiscardHandler),
		Offers: func(_ context.Context, event uuid.UUID) (inventory.Offer, error) {
			offer := w.offer
			if event == bad {
				offer.Tiers = map[string]inventory.TierOffer{"floor": {Kind: inventory.General, PriceMinor: -1, Allocation: "general"}}
			}
			return offer, nil
		},
	}, inventory.Hooks{})
	t.Cleanup(s.Close)
	var requests []inventory.Request
	for i := range 9 {
		requests = append(requests, w.request(w.someone(), "k", general("floor", 1)))
		if i == 4 {
			requests[i].Event = bad
		}
	}
	for i, result := range s.HoldBatch(w.ctx, requests) {
		if failed := result.Err != nil; failed != (i == 4) {
			t.Errorf("request %d: %v", i, result.Err)
		}
	}
	if got := w.taken(s)["floor/general"]; got != 8 {
		t.Errorf("%d are taken", got)
	}
	w.mustAudit()
}

func TestABatchAnswersEachRequestInItsPlace(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	var requests []inventory.Request
	for i := range 12 {
		requests = append(requests, w.request(w.someone(), fmt.Sprint(i), general("floor", 1)))
	}
	requests[3].Items = nil
	requests[5].Event = uuid.New()
	for i, result := range s.HoldBatch(w.ctx, requests) {
		r := requests[i]
		switch {
		case i == 3 && errors.Is(result.Err, inventory.ErrItemsInvalid), i == 5 && result.Err != nil:
		case result.Err != nil || result.Hold.ID != inventory.HoldID(r.Event, r.Entrant, r.Key):
			t.Errorf("request %d: hold %s, %v", i, result.Hold.ID, result.Err)
		}
	}
	if got := w.taken(s)["floor/general"]; got != 10 {
		t.Errorf("%d of the ten are taken: order of arrival or atomicity is lost", got)
	}
	w.mustAudit()
}
