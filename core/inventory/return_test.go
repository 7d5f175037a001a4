package inventory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/core/inventory/proof"
)

func (w *world) giveBack(hold uuid.UUID, items ...inventory.Item) error {
	w.t.Helper()
	failed := w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) {
		return inventory.Return(w.ctx, tx, []inventory.Part{{Hold: hold, Items: items}})
	})
	return failed[hold]
}

func TestASoldHoldGivesBackOneSeatAndKeepsTheOthers(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, general("floor", 2), seats("A/1/1", "A/1/2"))
	w.sell(h.ID)
	if err := w.giveBack(h.ID, inventory.Item{Tier: "floor", Quantity: 1}, seats("A/1/2")); err != nil {
		t.Fatal(err)
	}
	got := w.load(s, h.ID)
	if got.State != inventory.Sold || got.Units != 2 || len(got.Items) != 2 || !slices.Equal(got.Items[1].Seats, []string{"A/1/1"}) {
		t.Errorf("the hold is %+v", got)
	}
	if w.seat("A/1/1") != "sold" || w.seat("A/1/2") != "free" {
		t.Errorf("seats are %s and %s", w.seat("A/1/1"), w.seat("A/1/2"))
	}
	if got := w.taken(s); got["floor/general"] != 1 || got["lower/general"] != 1 {
		t.Errorf("taken %v", got)
	}
	w.mustAudit()
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/2"))); err != nil {
		t.Errorf("what came back cannot be held: %v", err)
	}
	if err := w.giveBack(h.ID, inventory.Item{Tier: "floor", Quantity: 1}, seats("A/1/1")); err != nil {
		t.Fatal(err)
	}
	if got := w.load(s, h.ID); got.State != inventory.Released || got.Units != 2 {
		t.Errorf("nothing is left, and the hold is %s with %d units", got.State, got.Units)
	}
	w.mustAudit()
}

func TestAHoldGivesBackOnlyWhatItHas(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h, active := w.mustHold(s, general("floor", 1), seats("A/1/1")), w.mustHold(s, general("floor", 1))
	w.sell(h.ID)
	for name, items := range map[string][]inventory.Item{
		"more than it has":           {{Tier: "floor", Quantity: 2}},
		"a seat of nobody":           {seats("A/1/2")},
		"a seat twice":               {seats("A/1/1"), seats("A/1/1")},
		"seats as places":            {{Tier: "lower", Quantity: 1}},
		"another tier":               {{Tier: "pit", Quantity: 1}},
		"nothing":                    {{Tier: "floor"}},
		"no items":                   {},
		"another allocation":         {{Tier: "floor", Allocation: "sponsor", Quantity: 1}},
		"a number unlike the seats'": {{Seats: []string{"A/1/1"}, Quantity: 2}},
	} {
		if err := w.giveBack(h.ID, items...); !errors.Is(err, inventory.ErrItemsInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.giveBack(active.ID, inventory.Item{Tier: "floor", Quantity: 1}); !errors.Is(err, inventory.ErrHoldClosed) {
		t.Errorf("a hold that is not sold: %v", err)
	}
	unknown := uuid.New()
	if err := w.giveBack(unknown, inventory.Item{Tier: "floor", Quantity: 1}); !errors.Is(err, inventory.ErrHoldUnknown) {
		t.Errorf("an unknown hold: %v", err)
	}
	err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) error {
		part := inventory.Part{Hold: h.ID, Items: []inventory.Item{{Tier: "floor", Quantity: 1}}}
		_, err := inventory.Return(ctx, tx, []inventory.Part{part, part})
		return err
	})
	if !errors.Is(err, inventory.ErrItemsInvalid) {
		t.Errorf("a hold named twice: %v", err)
	}
	if got := w.load(s, h.ID); got.State != inventory.Sold || got.Units != 2 {
		t.Errorf("the hold is %+v", got)
	}
	w.mustAudit()
}

// Two refunds of the same units at once: one of them is told that they are gone.
func TestTheSameUnitsComeBackOnce(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, general("floor", 3))
	w.sell(h.ID)
	var back atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			var failed map[uuid.UUID]error
			err := w.db.InTx(w.ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
				failed, err = inventory.Return(ctx, tx, []inventory.Part{{Hold: h.ID, Items: []inventory.Item{{Tier: "floor", Quantity: 1}}}})
				return err
			})
			switch {
			case err == nil && failed[h.ID] == nil:
				back.Add(1)
			case err != nil && !errors.Is(err, inventory.ErrOutdated):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left := w.taken(s)["floor/general"]; left != 3-back.Load() || back.Load() == 0 || back.Load() > 3 {
		t.Errorf("%d came back of 3, %d are taken", back.Load(), left)
	}
	w.mustAudit()
}

func TestAHistoryWithPartsGivenBackIsProved(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s, recorder, read := recordedWorld(t, w)
	h := w.mustHold(s, general("floor", 2), seats("A/1/1", "A/1/2"))
	change := func(do func(context.Context, pgx.Tx) (map[uuid.UUID]error, error)) {
		t.Helper()
		err := inventory.InTx(w.ctx, w.db, recorder, func(ctx context.Context, tx pgx.Tx) error {
			failed, err := do(ctx, tx)
			return errors.Join(err, failed[h.ID])
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	giving := func(items ...inventory.Item) func(context.Context, pgx.Tx) (map[uuid.UUID]error, error) {
		return func(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]error, error) {
			return inventory.Return(ctx, tx, []inventory.Part{{Hold: h.ID, Items: items}})
		}
	}
	change(func(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]error, error) {
		return inventory.Sell(ctx, tx, []uuid.UUID{h.ID})
	})
	change(giving(inventory.Item{Tier: "floor", Quantity: 1}, seats("A/1/1")))
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/1"), general("floor", 1))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/2"))); !errors.Is(err, inventory.ErrSeatTaken) {
		t.Fatal(err)
	}
	change(giving(inventory.Item{Tier: "floor", Quantity: 1}, seats("A/1/2")))
	recorded := read()
	v, err := proof.Prove(recorded, proof.Options{})
	if err != nil || !v.Passed {
		t.Fatalf("not proved: %v, %q", err, v.Failures())
	}

	// The same history with the second part given back twice, and with a part given back that was never sold, is refuted.
	twice, unsold := *recorded, *recorded
	twice.Calls, unsold.Calls = nil, nil
	for _, c := range recorded.Calls {
		if len(c.Ops) == 1 && c.Ops[0].Do == history.Return {
			again := c.Ops[0]
			c.Ops = append(slices.Clone(c.Ops), again)
		}
		twice.Calls = append(twice.Calls, c)
		if len(c.Ops) == 0 || c.Ops[0].Do != history.Sell {
			unsold.Calls = append(unsold.Calls, c)
		}
	}
	for name, h := range map[string]*history.History{"twice": &twice, "unsold": &unsold} {
		v, err := proof.Prove(h, proof.Options{})
		if err != nil || v.Passed {
			t.Errorf("%s: proved, %v", name, err)
		}
		wrong := int64(0)
		for _, c := range v.Checks {
			if c.Name == "holds" {
				wrong = c.Wrong
			}
		}
		if wrong == 0 {
			t.Errorf("%s: the holds are right: %q", name, v.Failures())
		}
	}
}
