package inventory_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

func TestAHoldIsProlongedAtLeastSoLongNeverShortenedAndBounded(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h, dead := w.mustHold(s, general("floor", 1)), w.mustHold(s, general("floor", 1))
	w.pass(dead.ID)
	prolong := func(length time.Duration, ids ...uuid.UUID) (deadlines map[uuid.UUID]time.Time, at time.Time) {
		t.Helper()
		var holds []inventory.Keeping
		for _, id := range ids {
			holds = append(holds, inventory.Keeping{Hold: id, For: length})
		}
		err := w.db.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
			if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&at); err != nil {
				return err
			}
			deadlines, err = inventory.Prolong(ctx, tx, holds)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return deadlines, at
	}
	got, at := prolong(30*time.Minute, dead.ID, h.ID, uuid.New())
	if len(got) != 1 || !got[h.ID].Equal(at.Add(30*time.Minute)) {
		t.Errorf("deadlines %v, at %v", got, at)
	}
	if again, _ := prolong(time.Minute, h.ID); !again[h.ID].Equal(got[h.ID]) {
		t.Errorf("shortened to %v", again)
	}
	if most, at := prolong(1000*time.Hour, h.ID); !most[h.ID].Equal(at.Add(inventory.MaxProlongation)) {
		t.Errorf("prolonged to %v", most)
	}
	if loaded := w.load(s, h.ID); !loaded.Extended || loaded.State != inventory.Active {
		t.Errorf("%+v", loaded)
	}
}
