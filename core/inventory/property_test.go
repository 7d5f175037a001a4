package inventory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// deed is one thing that happens to an event, at one of two cores.
type deed struct {
	core    int
	what    string
	request inventory.Request
	hold    uuid.UUID
}

func (d deed) String() string {
	if d.what == "hold" {
		return fmt.Sprintf("core %d: hold %s %s %v", d.core, d.request.Entrant.String()[:2], d.request.Key, d.request.Items)
	}
	return fmt.Sprintf("core %d: %s %s", d.core, d.what, d.hold)
}

// drawDeed invents something that could happen now.
func drawDeed(t *rapid.T, w *world, known []inventory.Hold) deed {
	d := deed{core: rapid.IntRange(0, 1).Draw(t, "core"), what: "hold"}
	if len(known) > 0 {
		d.what = rapid.SampledFrom([]string{"hold", "hold", "release", "pass", "sell", "sell", "unsell", "extend", "again"}).Draw(t, "what")
	}
	if d.what != "hold" {
		d.hold = rapid.SampledFrom(known).Draw(t, "hold").ID
		return d
	}
	var items []inventory.Item
	for _, tier := range []string{"floor", "pit"} {
		if n := rapid.IntRange(-1, 3).Draw(t, tier); n > 0 {
			items = append(items, general(tier, n))
		}
	}
	if names := rapid.SliceOfNDistinct(rapid.SampledFrom(lowerSeats), 0, 2, rapid.ID[string]).Draw(t, "seats"); len(names) > 0 {
		items = append(items, seats(names...))
	}
	if len(items) == 0 {
		items = append(items, general("floor", 1))
	}
	buyer := lottery.Entrant{byte(rapid.IntRange(1, 4).Draw(t, "buyer"))}
	d.request = w.request(buyer, fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "key")), items...)
	return d
}

// do makes a deed happen and fails on any outcome that the deed cannot have.
func (w *world) do(cores []*inventory.Service, d deed, granted func(inventory.Hold)) error {
	s := cores[d.core]
	one := []uuid.UUID{d.hold}
	inTx := func(fn func(context.Context, pgx.Tx) (map[uuid.UUID]error, error)) error {
		var failed map[uuid.UUID]error
		err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			failed, err = fn(ctx, tx)
			return err
		})
		if err == nil {
			err = failed[d.hold]
		}
		return err
	}
	var err error
	var may []error
	switch d.what {
	case "hold":
		var h inventory.Hold
		if h, err = s.Hold(w.ctx, d.request); err == nil {
			granted(h)
		}
		may = []error{inventory.ErrSoldOut, inventory.ErrNotEnoughLeft, inventory.ErrSeatTaken, inventory.ErrSeatSetAside, inventory.ErrOverLimit, inventory.ErrKeyReused}
	case "again":
		var h inventory.Hold
		if h, err = s.HoldAgain(w.ctx, d.hold, "late/"+d.hold.String()); err == nil {
			granted(h)
		}
		may = []error{inventory.ErrHoldLives, inventory.ErrSoldOut, inventory.ErrNotEnoughLeft, inventory.ErrSeatTaken, inventory.ErrOverLimit}
	case "release":
		_, err = s.Release(w.ctx, d.hold, w.load(s, d.hold).Entrant)
		may = []error{inventory.ErrHoldExpired, inventory.ErrHoldClosed}
	case "pass": // time passes for this hold; a sweep of either core finds it
		_, err = w.db.Exec(w.ctx, `UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1 AND state = 'active'`, d.hold)
		if err == nil {
			_, err = w.db.Exec(w.ctx, `UPDATE expiries SET due_at = now() - INTERVAL '1 second' WHERE due_at > now()`)
		}
	case "sell":
		err = inTx(func(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Sell(ctx, tx, one) })
		may = []error{inventory.ErrHoldExpired, inventory.ErrHoldClosed}
	case "unsell":
		err = inTx(func(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]error, error) {
			return inventory.Unsell(ctx, tx, one)
		})
		may = []error{inventory.ErrHoldExpired, inventory.ErrHoldClosed}
	case "extend":
		err = inTx(func(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]error, error) {
			_, err := inventory.Keep(ctx, tx, []inventory.Keeping{{Hold: d.hold, For: 2 * time.Minute}})
			return nil, err
		})
	}
	for _, known := range may {
		if errors.Is(err, known) {
			return nil
		}
	}
	return err
}

func TestWhateverHappensEveryUnitIsInExactlyOneState(t *testing.T) {
	d := dbtest.New(t)
	shown := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, d)
		w.offer.Limit = 5
		cores := []*inventory.Service{w.service(inventory.Hooks{}), w.service(inventory.Hooks{})}
		ctx, stop := context.WithCancel(w.ctx)
		var sweeps sync.WaitGroup
		defer func() {
			stop()
			sweeps.Wait()
			cores[0].Close()
			cores[1].Close()
		}()
		for _, s := range cores {
			sweeps.Go(func() { _ = s.Run(ctx) })
		}
		var mu sync.Mutex
		var known []inventory.Hold
		seen := map[uuid.UUID]bool{}
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			slices.SortFunc(known, func(a, b inventory.Hold) int { return bytes.Compare(a.ID[:], b.ID[:]) })
			deeds := make([]deed, rapid.IntRange(1, 8).Draw(rt, "deeds"))
			for i := range deeds {
				deeds[i] = drawDeed(rt, w, known)
			}
			outcomes := make([]error, len(deeds))
			var running sync.WaitGroup
			for i, deed := range deeds {
				running.Go(func() {
					outcomes[i] = w.do(cores, deed, func(h inventory.Hold) {
						mu.Lock()
						defer mu.Unlock()
						if shown[string(h.State)]++; !seen[h.ID] {
							seen[h.ID] = true
							known = append(known, h)
						}
					})
				})
			}
			running.Wait()
			for i, err := range outcomes {
				if err != nil {
					rt.Errorf("%s: %v", deeds[i], err)
				}
			}
			for _, line := range w.audit() {
				rt.Errorf("after %v: %s", deeds, line)
			}
		}
		for _, h := range known {
			shown["at last "+string(w.load(cores[0], h.ID).State)]++
		}
	})
	t.Logf("answers of Hold by the hold's state, and states at last: %v", shown)
	for _, state := range []inventory.State{inventory.Active, inventory.Sold, inventory.Released, inventory.Expired} {
		if shown["at last "+string(state)] == 0 {
			t.Errorf("no hold was %s at last: the test does not reach it", state)
		}
	}
}
