package access

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// fullRoom is an on-sale on two cores in which 40 people have been called and ten fit.
func fullRoom(t *testing.T) (*world, []*core, *edge) {
	t.Helper()
	w := newWorld(t)
	w.sale.ClaimWithin = time.Second
	cores := []*core{w.start(testConfig()), w.start(testConfig())}
	cores[0].schedule(t, time.Hour)
	e := cores[0].enroll(t, slug)
	cores[0].join(t, e, 1, buyers(0, 40))
	cores[0].open(t)
	cores[0].until(t, "everybody called", calledAtLeast(40))
	w.change(func(w *world) { w.sale.MaxInside = 10 })
	w.untilDoor(func(admitted, allowed int64) bool { return admitted == 0 && allowed == 10 })
	return w, cores, e
}

// untilDoor waits until the driver has set the door so.
func (w *world) untilDoor(ok func(admitted, allowed int64) bool) {
	w.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var admitted, allowed int64
		err := w.db.Pool.QueryRow(context.Background(), `SELECT admitted, allowed FROM draw_doors`).Scan(&admitted, &allowed)
		if err == nil && ok(admitted, allowed) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the door stays at %d of %d, %v", admitted, allowed, err)
		}
	}
}

// finish lets a buyer be done, as a purchase does.
func (w *world) finish(j Join) {
	w.t.Helper()
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		return Finish(ctx, tx, []Buyer{{Event: lottery.EventID(slug), Entrant: j.Entrant}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestNoMoreThanFitComeInHoweverManyClaimAtOnceOnHoweverManyCores(t *testing.T) {
	t.Parallel()
	w, cores, e := fullRoom(t)
	var mu sync.Mutex
	var wait sync.WaitGroup
	in, full := map[int]bool{}, []int{}
	for i := range 40 {
		wait.Go(func() {
			c := cores[i%2]
			answers, err := c.Redeem(t.Context(), []Redemption{{Edge: e.id, Event: slug, Token: e.token(c, buyer(i), 1), Device: buyer(i).Device}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Errorf("redeem: %v", err)
			case answers[0].Err == nil:
				in[i] = true
			case errors.Is(answers[0].Err, ErrRoomFull):
				full = append(full, i)
			default:
				t.Errorf("entrant %d: %v", i, answers[0].Err)
			}
		})
	}
	wait.Wait()
	if len(in) != 10 || len(full) != 30 {
		t.Fatalf("%d came in and %d found the room full, want 10 and 30", len(in), len(full))
	}
	for i := range in { // who is in stays in, and takes no second place
		if r := cores[i%2].redeem(t, e, buyer(i), 1); r.Err != nil {
			t.Fatalf("entrant %d asks again: %v", i, r.Err)
		}
	}

	// Three leave; three of those who wait come in, long after claim_within, and no fourth.
	gone := 0
	for i := range in {
		if gone++; gone <= 3 {
			w.finish(buyer(i))
		}
	}
	w.untilDoor(func(admitted, allowed int64) bool { return admitted == 10 && allowed == 13 })
	more := 0
	for _, i := range full {
		if r := cores[0].redeem(t, e, buyer(i), 1); r.Err == nil {
			more++
		} else if !errors.Is(r.Err, ErrRoomFull) {
			t.Fatalf("entrant %d: %v", i, r.Err)
		}
	}
	if more != 3 {
		t.Fatalf("%d came in when three had left", more)
	}
	if inside := cores[0].until(t, "the status", func(Status) bool { return true }).Inside; inside != 10 {
		t.Fatalf("%d are inside", inside)
	}
	cores[1].verify(t)
}

func TestWhoStandsAtTheDoorIsToldToTheDriver(t *testing.T) {
	t.Parallel()
	w, cores, e := fullRoom(t)
	w.execOne(`UPDATE draw_doors SET allowed = admitted`) // the driver raises it again at its next look
	w.change(func(w *world) { w.sale.MaxInside = 1 })
	w.untilDoor(func(admitted, allowed int64) bool { return allowed == 1 })
	waiting := func() (n int64) {
		if err := w.db.Pool.QueryRow(t.Context(), `SELECT waiting FROM draw_doors`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for deadline := time.Now().Add(15 * time.Second); waiting() != 5; time.Sleep(200 * time.Millisecond) {
		for i := range 6 { // one is in, five ask again and again
			if r := cores[0].redeem(t, e, buyer(i), 1); r.Err != nil && !errors.Is(r.Err, ErrRoomFull) {
				t.Fatal(r.Err)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are said to wait", waiting())
		}
	}
}

func TestWithoutALimitTheDoorIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	c.join(t, e, 1, buyers(0, 30))
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(30))
	for i := range 30 {
		if r := c.redeem(t, e, buyer(i), 1); r.Err != nil {
			t.Fatalf("entrant %d: %v", i, r.Err)
		}
	}
	// A limit that is set later counts whoever is in.
	w.change(func(w *world) { w.sale.MaxInside = 30 })
	w.untilDoor(func(admitted, allowed int64) bool { return admitted == 30 && allowed == 30 })
}
