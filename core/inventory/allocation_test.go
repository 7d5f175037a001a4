package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
)

// aside gives a world 40 units of the floor and twenty seats of the ring that are set aside, beside what is on sale.
func aside(t testing.TB, releaseAt *time.Time) *world {
	w := ring(t)
	w.exec(`INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, $2, '', 'active', '', 'EUR', 'UTC', now() + INTERVAL '1 day', '', '', 1, '')`, w.event, w.event.String())
	w.addStock("floor", "fans", 40)
	w.addStock("ring", "fans", 20)
	w.exec(`UPDATE seats SET allocation = 'fans' WHERE event_id = $1 AND section = 'C' AND row_label IN ('1', '2')`, w.event)
	w.exec(`UPDATE stock SET capacity = capacity - 20 WHERE event_id = $1 AND tier = 'ring' AND allocation = 'general'`, w.event)
	for _, tier := range []string{"floor", "ring"} {
		w.exec(`INSERT INTO allocations (event_id, tier, allocation, release_at, released) VALUES ($1, $2, 'fans', $3, 0)`, w.event, tier, releaseAt)
	}
	w.offer.Windows = map[string]inventory.Window{
		"fans": {Name: "fans", Allocation: "fans", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)},
	}
	return w
}

func (w *world) throughFans(s *inventory.Service, items ...inventory.Item) (inventory.Hold, error) {
	r := w.request(w.someone(), "k", items...)
	r.Window = "fans"
	return s.Hold(w.ctx, r)
}

// capacity sums the stock of a tier, and checks that the seats of each allocation are as many as its stock.
func (w *world) capacity(tier string) map[string]int64 {
	w.t.Helper()
	tx, err := w.db.Reader.Begin(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer tx.Rollback(w.ctx)
	capacity, seats := map[string]int64{}, map[string]int64{}
	var of, allocation string
	var n int64
	w.each(tx, `SELECT tier, allocation, capacity FROM stock WHERE event_id = $1`, []any{&of, &allocation, &n}, func() {
		if of == tier {
			capacity[allocation] = n
		}
	})
	w.each(tx, `SELECT tier, allocation, count(*) FROM seats WHERE event_id = $1 AND state <> 'blocked' GROUP BY tier, allocation`, []any{&of, &allocation, &n}, func() {
		if of == tier {
			seats[allocation] = n
		}
	})
	if len(seats) > 0 && fmt.Sprint(seats["general"], seats["fans"]) != fmt.Sprint(capacity["general"], capacity["fans"]) {
		w.t.Errorf("tier %s: the stock is %v, the seats are %v", tier, capacity, seats)
	}
	return capacity
}

func (w *world) release(s *inventory.Service, quantity int64, tier string) int64 {
	w.t.Helper()
	done, err := s.ReleaseAllocation(w.ctx, inventory.ReleaseOrder{
		Event: w.event, Allocation: "fans", Tier: tier, Quantity: quantity, ID: uuid.New(), Actor: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	units := int64(0)
	for _, r := range done {
		units += r.Units
	}
	return units
}

func TestAReleaseMovesWhatIsFree(t *testing.T) {
	w := aside(t, nil)
	s := w.service(inventory.Hooks{})
	held, err := w.throughFans(s, general("floor", 5), best(3, "C"))
	if err != nil {
		t.Fatal(err)
	}
	if seatsOf(held) != "C/1/4 C/1/5 C/1/6" {
		t.Errorf("picked %s", seatsOf(held))
	}
	order := inventory.ReleaseOrder{Event: w.event, Allocation: "fans", Tier: "floor", Quantity: 15, ID: uuid.New(), Actor: "test"}
	for range 2 { // the same order again is the same release
		if done, err := s.ReleaseAllocation(w.ctx, order); err != nil || len(done) != 1 || done[0].Units != 15 || done[0].At.IsZero() {
			t.Errorf("released %+v, %v", done, err)
		}
	}
	if c := w.capacity("floor"); c["fans"] != 25 || c["general"] != 25 {
		t.Errorf("floor: %v", c)
	}
	if n := w.release(s, 0, ""); n != 20+17 {
		t.Errorf("released %d of both tiers", n)
	}
	if c := w.capacity("ring"); c["fans"] != 3 || c["general"] != 64-3 {
		t.Errorf("ring: %v", c)
	}
	if h := w.mustHold(s, best(2, "C")); seatsOf(h) != "C/1/7 C/1/8" { // on general sale now, and the mirror knows
		t.Errorf("picked %s", seatsOf(h))
	}
	if _, err := w.throughFans(s, general("floor", 1)); !errors.Is(err, inventory.ErrSoldOut) {
		t.Errorf("through the presale of nothing: %v", err)
	}
	list, err := s.Releases(w.ctx, w.event, 10)
	if err != nil || len(list) != 3 || list[2].Units != 15 || list[2].Actor != "test" || list[2].Cause != "command" {
		t.Errorf("recorded %+v, %v", list, err)
	}
	// What was held comes back and follows, because the allocation is closed.
	w.runReleases(s)
	if _, err := s.Release(w.ctx, held.ID, held.Entrant); err != nil {
		t.Fatal(err)
	}
	w.eventually("what came back is on general sale", func() bool { return w.capacity("floor")["fans"]+w.capacity("ring")["fans"] == 0 })
	if c := w.capacity("floor"); c["general"] != 50 {
		t.Errorf("floor: %v", c)
	}
	w.mustAudit()
	for _, order := range []inventory.ReleaseOrder{
		{Event: w.event, Allocation: "nobody", ID: uuid.New()}, {Event: w.event, Allocation: "general", ID: uuid.New()},
		{Event: w.event, Allocation: "fans", Tier: "pit", ID: uuid.New()},
	} {
		if _, err := s.ReleaseAllocation(w.ctx, order); !errors.Is(err, inventory.ErrAllocationUnknown) {
			t.Errorf("%+v: %v", order, err)
		}
	}
}

func (w *world) runReleases(s *inventory.Service) {
	ctx, cancel := context.WithCancel(w.ctx)
	stopped := make(chan error)
	go func() { stopped <- s.RunReleases(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			w.t.Errorf("the releases ended with %v", err)
		}
	})
}

func TestSeveralCoresReleaseAnAllocationOnceWhenItsTimeComes(t *testing.T) {
	at := time.Now().Add(700 * time.Millisecond)
	w := aside(t, &at)
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	for _, s := range cores {
		w.runReleases(s)
	}
	if c := w.capacity("floor"); c["fans"] != 40 {
		t.Errorf("before its time: %v", c)
	}
	w.eventually("the allocation is released", func() bool { return w.capacity("floor")["fans"]+w.capacity("ring")["fans"] == 0 })
	time.Sleep(100 * time.Millisecond) // others look again
	if floor, ring := w.capacity("floor"), w.capacity("ring"); floor["general"] != 50 || ring["general"] != 64 {
		t.Errorf("floor %v, ring %v", floor, ring)
	}
	list, err := cores[0].Releases(w.ctx, w.event, 10)
	if err != nil || len(list) != 2 || list[0].Cause != "time" || list[0].Units+list[1].Units != 60 || list[0].At.Before(at) {
		t.Errorf("recorded %+v, %v", list, err)
	}
}

// Holds of both allocations, releases by command and holds that come back race each other at three cores. No unit is lost
// or doubled, and in the end general sale has everything.
func TestReleasesRaceHoldsOfBothSides(t *testing.T) {
	w := aside(t, nil)
	cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
	var running sync.WaitGroup
	var granted, released atomic.Int64
	refusable := func(err error) bool {
		for _, known := range []error{inventory.ErrSoldOut, inventory.ErrNotEnoughLeft, inventory.ErrApart, inventory.ErrSeatTaken, inventory.ErrSeatSetAside, inventory.ErrSectionSoldOut} {
			if errors.Is(err, known) {
				return true
			}
		}
		return false
	}
	for i := range 9 {
		s := cores[i%3]
		running.Go(func() {
			for n := range 12 {
				items := []inventory.Item{general("floor", 1), best(1, "C", "orphans")}
				if n%3 == 0 {
					items = items[:1]
				}
				hold := func() (inventory.Hold, error) { return w.throughFans(s, items...) }
				if n%2 == 0 {
					hold = func() (inventory.Hold, error) { return s.Hold(w.ctx, w.request(w.someone(), "k", items...)) }
				}
				h, err := hold()
				if err != nil {
					if !refusable(err) {
						t.Error(err)
					}
					continue
				}
				granted.Add(1)
				if n%4 < 2 {
					if _, err := s.Release(w.ctx, h.ID, h.Entrant); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 3 {
		running.Go(func() {
			for range 6 {
				released.Add(w.release(cores[i], 2, ""))
			}
		})
	}
	running.Wait()
	if granted.Load() == 0 || released.Load() == 0 {
		t.Errorf("%d granted, %d released: there was no race", granted.Load(), released.Load())
	}
	w.mustAudit()
	sum := func(c map[string]int64) int64 { return c["general"] + c["fans"] }
	if floor, ring := w.capacity("floor"), w.capacity("ring"); sum(floor) != 50 || sum(ring) != 64 {
		t.Errorf("floor %v, ring %v", floor, ring)
	}
	w.release(cores[0], 0, "")
	w.mustAudit()
	var recorded, moved int64
	w.scan(`SELECT sum(units)::INT8 FROM releases WHERE event_id = $1`, &recorded)
	w.scan(`SELECT sum(released)::INT8 FROM allocations WHERE event_id = $1`, &moved)
	floor, ring := w.capacity("floor"), w.capacity("ring")
	if left := floor["fans"] + ring["fans"]; recorded != moved || moved+left != 60 {
		t.Errorf("%d recorded, %d counted, %d left of 60", recorded, moved, left)
	}
}

func (w *world) scan(sql string, into ...any) {
	w.t.Helper()
	if err := w.db.Reader.QueryRow(w.ctx, sql, w.event).Scan(into...); err != nil {
		w.t.Fatal(err)
	}
}
