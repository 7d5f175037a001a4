package inventory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/core/inventory/proof"
)

func (w *world) move(r inventory.Recorder, m inventory.Move) (moved inventory.Moved, err error) {
	w.t.Helper()
	err = inventory.InTx(w.ctx, w.db, r, func(ctx context.Context, tx pgx.Tx) (err error) {
		moved, err = inventory.MoveSeat(ctx, tx, m)
		return err
	})
	return moved, err
}

func TestASoldSeatIsChangedForAnotherAndTheOldOneIsOnSaleAgain(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, seats("A/1/1", "A/1/2"), general("floor", 1))
	w.sell(h.ID)
	if moved, err := w.move(nil, inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/3"}); err != nil || moved != (inventory.Moved{Tier: "lower", Allocation: "general"}) {
		t.Fatalf("%+v, %v", moved, err)
	}
	got := w.load(s, h.ID)
	if got.State != inventory.Sold || got.Units != 3 || w.seat("A/1/1") != "free" || w.seat("A/1/3") != "sold" {
		t.Errorf("%+v; seats are %s and %s", got, w.seat("A/1/1"), w.seat("A/1/3"))
	}
	w.mustAudit()
	if moved, err := w.move(nil, inventory.Move{Hold: h.ID, From: "A/1/2", To: "A/1/5"}); err != nil || moved.Allocation != "house" { // what is set aside will do
		t.Fatalf("%+v, %v", moved, err)
	}
	if taken := w.taken(s); taken["lower/general"] != 1 || taken["lower/house"] != 1 || taken["floor/general"] != 1 {
		t.Errorf("taken %v", taken)
	}
	w.mustAudit()
	if err := w.giveBack(h.ID, seats("A/1/5"), seats("A/1/3"), inventory.Item{Tier: "floor", Quantity: 1}); err != nil {
		t.Errorf("what was moved cannot be given back: %v", err)
	}
	w.mustAudit()
}

func TestASeatIsNotChangedForOneThatIsNotFree(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	w.addStock("upper", "general", 1)
	w.addSeat("B/1/1", "general", "free")
	w.exec(`UPDATE seats SET tier = 'upper' WHERE seat = 'B/1/1'`)
	h, other, active := w.mustHold(s, seats("A/1/1")), w.mustHold(s, seats("A/1/2")), w.mustHold(s, seats("A/1/3"))
	w.sell(h.ID, other.ID)
	for name, one := range map[string]struct {
		move inventory.Move
		want error
	}{
		"sold":            {inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/2"}, inventory.ErrSeatTaken},
		"held":            {inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/3"}, inventory.ErrSeatHeld},
		"blocked":         {inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/6"}, inventory.ErrSeatTaken},
		"unknown":         {inventory.Move{Hold: h.ID, From: "A/1/1", To: "Z/9/9"}, inventory.ErrSeatUnknown},
		"another tier":    {inventory.Move{Hold: h.ID, From: "A/1/1", To: "B/1/1"}, inventory.ErrTierOther},
		"itself":          {inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/1"}, inventory.ErrItemsInvalid},
		"not its own":     {inventory.Move{Hold: h.ID, From: "A/1/2", To: "A/1/4"}, inventory.ErrItemsInvalid},
		"a hold not paid": {inventory.Move{Hold: active.ID, From: "A/1/3", To: "A/1/4"}, inventory.ErrHoldClosed},
		"an unknown hold": {inventory.Move{Hold: uuid.New(), From: "A/1/1", To: "A/1/4"}, inventory.ErrHoldUnknown},
	} {
		if _, err := w.move(nil, one.move); !errors.Is(err, one.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.mustAudit()
	if moved, err := w.move(nil, inventory.Move{Hold: h.ID, From: "A/1/1", To: "B/1/1", Any: true}); err != nil || moved.Tier != "upper" {
		t.Errorf("any tier: %+v, %v", moved, err)
	}
	if got := w.load(s, h.ID); len(got.Items) != 1 || got.Items[0].Tier != "upper" || !slices.Equal(got.Items[0].Seats, []string{"B/1/1"}) {
		t.Errorf("the hold is %+v", got)
	}
}

// Buyers reach for a seat while sold ones are moved to it: one of all of them gets it.
func TestOfAMoveAndHoldsOfTheNewSeatOneWins(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, seats("A/1/1"))
	w.sell(h.ID)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	count := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			won++
		case errors.Is(err, inventory.ErrSeatTaken), errors.Is(err, inventory.ErrSeatHeld), errors.Is(err, inventory.ErrItemsInvalid), errors.Is(err, inventory.ErrOutdated):
		default:
			t.Error(err)
		}
	}
	for n := range 6 {
		wg.Go(func() {
			if n%2 == 0 {
				_, err := w.move(nil, inventory.Move{Hold: h.ID, From: "A/1/1", To: "A/1/4"})
				count(err)
				return
			}
			_, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/4")))
			count(err)
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of a move and buyers have the seat", won)
	}
	w.mustAudit()
}

func TestAHistoryWithMovedSeatsIsProved(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s, recorder, read := recordedWorld(t, w)
	h := w.mustHold(s, seats("A/1/1", "A/1/2"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(inventory.InTx(w.ctx, w.db, recorder, func(ctx context.Context, tx pgx.Tx) error {
		failed, err := inventory.Sell(ctx, tx, []uuid.UUID{h.ID})
		return errors.Join(err, failed[h.ID])
	}))
	for _, m := range [][2]string{{"A/1/1", "A/1/3"}, {"A/1/2", "A/1/5"}, {"A/1/3", "A/1/1"}, {"A/1/1", "A/1/4"}} {
		_, err := w.move(recorder, inventory.Move{Hold: h.ID, From: m[0], To: m[1]})
		must(err)
	}
	_, err := s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/1", "A/1/2")))
	must(err)
	_, err = s.Hold(w.ctx, w.request(w.someone(), "k", seats("A/1/4")))
	if !errors.Is(err, inventory.ErrSeatTaken) {
		t.Fatal(err)
	}
	must(inventory.InTx(w.ctx, w.db, recorder, func(ctx context.Context, tx pgx.Tx) error {
		failed, err := inventory.Return(ctx, tx, []inventory.Part{{Hold: h.ID, Items: []inventory.Item{seats("A/1/4")}}})
		return errors.Join(err, failed[h.ID])
	}))
	recorded := read()
	v, err := proof.Prove(recorded, proof.Options{})
	if err != nil || !v.Passed {
		t.Fatalf("not proved: %v, %q", err, v.Failures())
	}
	// Without the seats that were taken for them, what was given back last was never the hold's.
	refuted := *recorded
	refuted.Calls = nil
	for _, c := range recorded.Calls {
		c.Ops = slices.DeleteFunc(slices.Clone(c.Ops), func(o history.Op) bool { return o.Do == history.Take })
		refuted.Calls = append(refuted.Calls, c)
	}
	if v, err := proof.Prove(&refuted, proof.Options{}); err != nil || v.Passed {
		t.Errorf("proved without what was taken: %v", err)
	}
}
