package inventory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

func TestAnExpiredHoldGoesBackOnSaleByItself(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.HoldTTL = 300 * time.Millisecond
	var mu sync.Mutex
	told := map[uuid.UUID]inventory.Hold{}
	s := w.service(inventory.Hooks{Expired: func(ctx context.Context, tx pgx.Tx, holds []inventory.Hold) error {
		var still int // the hook sees the transaction's own writes
		ids := make([]uuid.UUID, len(holds))
		mu.Lock()
		for i, h := range holds {
			ids[i], told[h.ID] = h.ID, h
		}
		mu.Unlock()
		err := tx.QueryRow(ctx, `SELECT count(*) FROM holds WHERE hold_id = ANY ($1) AND state = 'active'`, ids).Scan(&still)
		if err == nil && still > 0 {
			err = errors.New("told of holds that are still active")
		}
		return err
	}})
	short := w.mustHold(s, general("pit", 3), seats("A/1/1"))
	w.offer.HoldTTL = time.Hour
	long := w.mustHold(s, general("floor", 1))
	w.run(s)
	w.eventually("the hold expires", func() bool { return !w.load(s, short.ID).ClosedAt.IsZero() })
	if got := w.load(s, short.ID); got.State != inventory.Expired || got.ClosedAt.Before(got.Deadline) {
		t.Errorf("hold %+v", got)
	}
	mu.Lock()
	if h, ok := told[short.ID]; len(told) != 1 || !ok || h.State != inventory.Expired || h.Units != 4 || h.Entrant != short.Entrant {
		t.Errorf("the hook was told of %v", told)
	}
	mu.Unlock()
	if got := w.load(s, long.ID); got.State != inventory.Active {
		t.Errorf("the other hold is %s", got.State)
	}
	if got := w.taken(s); got["pit/general"] != 0 || got["floor/general"] != 1 || w.seat("A/1/1") != "free" {
		t.Errorf("taken %v", got)
	}
	w.mustHold(s, general("pit", 3), seats("A/1/1"))
	w.mustAudit()
}

func TestPastItsDeadlineAHoldIsExpiredForEverybody(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{}) // nobody sweeps
	h := w.mustHold(s, general("pit", 3))
	w.pass(h.ID)
	if got := w.load(s, h.ID); got.State != inventory.Expired {
		t.Errorf("loaded as %s", got.State)
	}
	if _, err := s.Release(w.ctx, h.ID, h.Entrant); !errors.Is(err, inventory.ErrHoldExpired) {
		t.Errorf("released: %v", err)
	}
	again, err := s.Hold(w.ctx, w.request(h.Entrant, "first", general("pit", 3)))
	if err != nil || again.ID != h.ID || again.State != inventory.Expired {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	if _, err := s.Hold(w.ctx, w.request(w.someone(), "k", general("pit", 1))); !errors.Is(err, inventory.ErrSoldOut) {
		t.Errorf("its units are on sale before they were given back: %v", err)
	}
	w.mustAudit()
}

func TestOneHoldThatCannotExpireDoesNotKeepTheOthers(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	w.offer.Limit = 0
	bad := uuid.Nil
	s := w.service(inventory.Hooks{Expired: func(_ context.Context, _ pgx.Tx, holds []inventory.Hold) error {
		if slices.ContainsFunc(holds, func(h inventory.Hold) bool { return h.ID == bad }) {
			return errors.New("its order is in a state nobody foresaw")
		}
		return nil
	}})
	var ids []uuid.UUID
	for range 8 {
		ids = append(ids, w.mustHold(s, general("floor", 1)).ID)
	}
	bad = ids[3]
	w.pass(ids...)
	w.run(s)
	w.eventually("the others expire", func() bool { return w.taken(s)["floor/general"] == 1 })
	if got := w.load(s, bad); !got.ClosedAt.IsZero() {
		t.Errorf("the bad hold was closed: %+v", got)
	}
	w.mustAudit()
}

func TestAReleaseGivesBackOnceAndOnlyToItsOwner(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	h := w.mustHold(s, general("floor", 2), seats("A/1/1"))
	if _, err := s.Release(w.ctx, h.ID, w.someone()); !errors.Is(err, inventory.ErrHoldUnknown) {
		t.Errorf("somebody else released it: %v", err)
	}
	if _, err := s.Release(w.ctx, uuid.New(), h.Entrant); !errors.Is(err, inventory.ErrHoldUnknown) {
		t.Errorf("an unknown hold was released: %v", err)
	}
	var releases sync.WaitGroup
	for range 8 {
		releases.Go(func() {
			if got, err := s.Release(w.ctx, h.ID, h.Entrant); err != nil || got.State != inventory.Released || got.ClosedAt.IsZero() {
				t.Errorf("released: %+v, %v", got, err)
			}
		})
	}
	releases.Wait()
	if got := w.taken(s); got["floor/general"] != 0 || w.seat("A/1/1") != "free" {
		t.Errorf("taken %v", got)
	}
	w.mustAudit()
}

func TestCheckoutMayRefuseARelease(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	errPaying := errors.New("a payment is under way")
	var paying sync.Map
	s := w.service(inventory.Hooks{Released: func(_ context.Context, _ pgx.Tx, holds []inventory.Hold) (map[uuid.UUID]error, error) {
		refused := map[uuid.UUID]error{}
		for _, h := range holds {
			if _, ok := paying.Load(h.ID); ok {
				refused[h.ID] = errPaying
			}
		}
		return refused, nil
	}})
	var holds []inventory.Hold
	for i := range 6 {
		holds = append(holds, w.mustHold(s, general("floor", 1)))
		if i%2 == 0 {
			paying.Store(holds[i].ID, true)
		}
	}
	var releases sync.WaitGroup
	for i, h := range holds {
		releases.Go(func() {
			_, err := s.Release(w.ctx, h.ID, h.Entrant)
			if refused := errors.Is(err, errPaying); refused != (i%2 == 0) || !refused && err != nil {
				t.Errorf("release %d: %v", i, err)
			}
		})
	}
	releases.Wait()
	if got := w.taken(s)["floor/general"]; got != 3 {
		t.Errorf("%d are taken", got)
	}
	w.mustAudit()
}

func TestTheSweepComesBackForHoldsThatGotMoreTime(t *testing.T) {
	w := newWorld(t, dbtest.New(t))
	s := w.service(inventory.Hooks{})
	kept, sold, gone := w.mustHold(s, general("floor", 1)), w.mustHold(s, general("floor", 1)), w.mustHold(s, general("floor", 1))
	w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) {
		more := kept.Deadline.Sub(kept.CreatedAt) + time.Minute
		_, err := inventory.Keep(w.ctx, tx, []inventory.Keeping{{Hold: kept.ID, For: more}})
		return nil, err
	})
	if !w.load(s, kept.ID).Extended || len(w.sell(sold.ID)) > 0 {
		t.Fatal("neither extended nor sold")
	}
	w.exec(`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE hold_id = $1`, gone.ID)
	w.exec(`UPDATE expiries SET due_at = now() - INTERVAL '1 second'`)
	w.sweep(s, gone.ID)
	rows := func() (n int, next time.Time) {
		w.t.Helper()
		if err := w.db.Pool.QueryRow(w.ctx, `SELECT count(*), coalesce(min(due_at), now()) FROM expiries`).Scan(&n, &next); err != nil {
			t.Fatal(err)
		}
		return n, next
	}
	w.run(s)
	w.eventually("one row is left, due when the extended hold is", func() bool {
		n, next := rows()
		return n == 1 && next.Equal(w.load(s, kept.ID).Deadline)
	})
	if n, err := s.Active(w.ctx, w.event); err != nil || n != 1 {
		t.Errorf("%d holds are active, %v, want 1", n, err)
	}
	w.pass(kept.ID)
	w.eventually("nothing is left to look at", func() bool { n, _ := rows(); return n == 0 })
	if h := w.load(s, kept.ID); h.State != inventory.Expired || h.ClosedAt.IsZero() {
		t.Errorf("the extended hold is %s, closed at %s", h.State, h.ClosedAt)
	}
	w.mustAudit()
}
