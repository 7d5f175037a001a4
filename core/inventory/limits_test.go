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
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// limitKinds are the limits a hold is checked against, each with how it is set and with what a request shows for it.
var limitKinds = []struct {
	name string
	set  func(*inventory.Limits, int)
	mark func(*inventory.Marks) *inventory.Mark
	over error
}{
	{"account", func(l *inventory.Limits, n int) { l.Account = n }, func(m *inventory.Marks) *inventory.Mark { return &m.Account }, inventory.ErrOverAccountLimit},
	{"device", func(l *inventory.Limits, n int) { l.Device = n }, func(m *inventory.Marks) *inventory.Mark { return &m.Device }, inventory.ErrOverDeviceLimit},
	{"address", func(l *inventory.Limits, n int) { l.Address = n }, func(m *inventory.Marks) *inventory.Mark { return &m.Address }, inventory.ErrOverAddressLimit},
}

// marked is a request of a new buyer with marks.
func (w *world) marked(marks inventory.Marks, quantity int) inventory.Request {
	r := w.request(w.someone(), "key", general("floor", quantity))
	r.Marks = marks
	return r
}

func TestTheLastUnitUnderEachLimitGoesToOneOfTwo(t *testing.T) {
	for n, kind := range limitKinds {
		t.Run(kind.name, func(t *testing.T) {
			w := newWorld(t, dbtest.New(t))
			kind.set(&w.offer.Limits, 3)
			cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
			for round := range 3 {
				var marks inventory.Marks
				*kind.mark(&marks) = inventory.Mark{byte(n), byte(round), 7}
				first, err := cores[0].Hold(w.ctx, w.marked(marks, 2))
				if err != nil {
					t.Fatal(err)
				}
				var got atomic.Int64
				var held sync.Map
				var racing sync.WaitGroup
				for i := range 8 {
					racing.Go(func() {
						h, err := cores[i%2].Hold(w.ctx, w.marked(marks, 1))
						var over *inventory.OverLimit
						switch {
						case err == nil:
							got.Add(1)
							held.Store(h.ID, h.Entrant)
						case !errors.Is(err, kind.over) || !errors.Is(err, inventory.ErrOverLimit):
							t.Errorf("refused with %v", err)
						case !errors.As(err, &over) || over.Limit != 3 || over.Left != 0 || over.Tour:
							t.Errorf("refused with %+v", over)
						}
					})
				}
				racing.Wait()
				if got.Load() != 1 {
					t.Errorf("%d got the last unit", got.Load())
				}
				w.mustAudit()
				held.Range(func(id, entrant any) bool {
					if _, err := cores[1].Release(w.ctx, id.(uuid.UUID), entrant.(lottery.Entrant)); err != nil {
						t.Error(err)
					}
					return true
				})
				if _, err := cores[1].Release(w.ctx, first.ID, first.Entrant); err != nil {
					t.Error(err)
				}
			}
			w.mustAudit()
		})
	}
}

func TestABatchFromOneAddressIsDecidedInOrder(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limits.Address = 3
	s := w.service(inventory.Hooks{})
	marks := inventory.Marks{Address: inventory.Mark{1}}
	requests := []inventory.Request{w.marked(marks, 2), w.marked(marks, 2), w.marked(marks, 1), w.marked(marks, 1), w.marked(inventory.Marks{Address: inventory.Mark{2}}, 1)}
	for i, r := range s.HoldBatch(w.ctx, requests) {
		var over *inventory.OverLimit
		switch i {
		case 1:
			if !errors.As(r.Err, &over) || over.Left != 1 {
				t.Errorf("the second request: %v", r.Err)
			}
		case 3:
			if !errors.As(r.Err, &over) || over.Left != 0 {
				t.Errorf("the fourth request: %v", r.Err)
			}
		default:
			if r.Err != nil {
				t.Errorf("request %d: %v", i, r.Err)
			}
		}
	}
	w.mustAudit()
}

func TestATourCountsOverItsEventsAndTheirCores(t *testing.T) {
	d := dbtest.New(t)
	a, b := newWorld(t, d), newWorld(t, d)
	tour := inventory.Tour{ID: inventory.TourID("summer"), Limits: inventory.Limits{Device: 4, Address: 5}}
	a.offer.Tour, b.offer.Tour = tour, tour
	a.exec(`UPDATE stock SET capacity = 100 WHERE tier = 'floor'`) // one event may win every unit of every round
	// Each core serves both events, as when edges disagree for a moment.
	var cores []*inventory.Service
	for range 2 {
		s := inventory.New(d, inventory.Config{Log: slog.New(slog.DiscardHandler), Offers: func(_ context.Context, event uuid.UUID) (inventory.Offer, error) {
			if event == b.event {
				return b.offer, nil
			}
			return a.offer, nil
		}}, inventory.Hooks{})
		t.Cleanup(s.Close)
		cores = append(cores, s)
	}
	for round := range 3 {
		device := inventory.Mark{byte(round), 1}
		var units, overDevice atomic.Int64
		var running sync.WaitGroup
		for i := range 16 {
			running.Go(func() {
				w := []*world{a, b}[i/2%2]
				r := w.marked(inventory.Marks{Device: device, Address: inventory.Mark{byte(round), byte(i)}}, 1)
				_, err := cores[i%2].Hold(w.ctx, r)
				var over *inventory.OverLimit
				switch {
				case err == nil:
					units.Add(1)
				case errors.As(err, &over) && over.Tour && errors.Is(err, inventory.ErrOverDeviceLimit):
					overDevice.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		running.Wait()
		if units.Load() != 4 || overDevice.Load() != 12 {
			t.Errorf("%d units held on one device in the tour, %d refused", units.Load(), overDevice.Load())
		}
	}
	a.mustAudit()
	b.mustAudit()
}

func TestWhateverEndsAHoldGivesBackWhatItCountsIn(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limits = inventory.Limits{Account: 4, Device: 4, Address: 4}
	w.offer.Tour = inventory.Tour{ID: inventory.TourID("tour"), Limits: inventory.Limits{Device: 4}}
	s := w.service(inventory.Hooks{})
	marks := inventory.Marks{Account: inventory.Mark{1}, Device: inventory.Mark{2}, Address: inventory.Mark{3}}
	for name, end := range map[string]func(inventory.Hold){
		"release": func(h inventory.Hold) {
			if _, err := s.Release(w.ctx, h.ID, h.Entrant); err != nil {
				t.Error(err)
			}
		},
		"expiry": func(h inventory.Hold) { w.pass(h.ID); w.sweep(s, h.ID) },
		"unsell": func(h inventory.Hold) {
			if failed := w.sell(h.ID); len(failed) > 0 {
				t.Error(failed)
			}
			if failed := w.unsell(h.ID); len(failed) > 0 {
				t.Error(failed)
			}
		},
		"release within a transaction": func(h inventory.Hold) {
			w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Release(w.ctx, tx, []uuid.UUID{h.ID}) })
		},
	} {
		h, err := s.Hold(w.ctx, w.marked(marks, 3))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.Hold(w.ctx, w.marked(marks, 2)); !errors.Is(err, inventory.ErrOverLimit) {
			t.Errorf("%s: over the limits before: %v", name, err)
		}
		w.mustAudit()
		end(h)
		w.mustAudit()
	}
	if _, err := s.Hold(w.ctx, w.marked(marks, 4)); err != nil {
		t.Errorf("after all was given back: %v", err)
	}
}

func TestARepeatedRequestCountsOnce(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limits.Address = 2
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	r := w.marked(inventory.Marks{Address: inventory.Mark{9}}, 2)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if _, err := cores[i%2].Hold(w.ctx, r); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r.Marks.Address = inventory.Mark{8} // the same request from another network is the same hold
	if h, err := cores[0].Hold(w.ctx, r); err != nil || h.Units != 2 {
		t.Errorf("repeated from elsewhere: %+v, %v", h, err)
	}
	w.mustAudit()
}

func TestLimitsMayChangeWhileHoldsAreHeld(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	marks := inventory.Marks{Device: inventory.Mark{5}}
	hold := func(quantity int) (inventory.Hold, error) { return s.Hold(w.ctx, w.marked(marks, quantity)) }
	before, err := hold(3) // counted nowhere
	if err != nil {
		t.Fatal(err)
	}
	w.offer.Limits.Device = 4
	counted, err := hold(4)
	if err != nil {
		t.Fatal(err)
	}
	w.offer.Limits.Device = 2 // below what is held
	if _, err := hold(1); !errors.Is(err, inventory.ErrOverDeviceLimit) {
		t.Errorf("over the lowered limit: %v", err)
	}
	for _, h := range []inventory.Hold{before, counted} {
		if _, err := s.Release(w.ctx, h.ID, h.Entrant); err != nil {
			t.Error(err)
		}
	}
	w.mustAudit()
	if _, err := hold(2); err != nil {
		t.Errorf("within the lowered limit: %v", err)
	}
	w.offer.Limits.Device = 0
	if _, err := hold(4); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	w.mustAudit()
}

func TestCardsAreCountedWithTheSaleAndGivenBackWithIt(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limits.Address = 10
	s := w.service(inventory.Hooks{})
	card := inventory.Mark{42}
	count := func(h inventory.Hold, limit int) inventory.CardCount {
		return inventory.CardCount{Hold: h.ID, Event: w.event, Scope: w.event, Card: card, Units: h.Units, Limit: limit}
	}
	sell := func(counts ...inventory.CardCount) error {
		return w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) error {
			var ids []uuid.UUID
			for _, c := range counts {
				ids = append(ids, c.Hold)
			}
			if failed, err := inventory.Sell(ctx, tx, ids); err != nil || len(failed) > 0 {
				return fmt.Errorf("sell: %v, %w", failed, err)
			}
			return inventory.CountCards(ctx, tx, counts)
		})
	}
	mark := inventory.Marks{Address: inventory.Mark{1}}
	var holds []inventory.Hold
	for range 3 {
		h, err := s.Hold(w.ctx, w.marked(mark, 2))
		if err != nil {
			t.Fatal(err)
		}
		holds = append(holds, h)
	}
	if err := sell(count(holds[0], 3), count(holds[1], 3)); !errors.Is(err, inventory.ErrOutdated) {
		t.Fatalf("two sales over the limit of a card nobody knew: %v", err)
	}
	if err := sell(count(holds[0], 3)); err != nil {
		t.Fatal(err)
	}
	if err := sell(count(holds[1], 3)); !errors.Is(err, inventory.ErrOutdated) {
		t.Errorf("a second sale over the limit: %v", err)
	}
	w.mustAudit()
	c := count(holds[1], 3)
	taken, err := inventory.Taken(w.ctx, w.db.Reader, []uuid.UUID{c.QuotaID()})
	if err != nil || taken[c.QuotaID()] != 2 || !errors.Is(c.Over(taken[c.QuotaID()]), inventory.ErrOverCardLimit) {
		t.Errorf("the card has %v, %v", taken, err)
	}
	if failed := w.unsell(holds[0].ID); len(failed) > 0 {
		t.Fatal(failed)
	}
	if err := sell(count(holds[1], 3)); err != nil {
		t.Errorf("after the first was given back: %v", err)
	}
	w.mustAudit()
}
