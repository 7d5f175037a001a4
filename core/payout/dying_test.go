package payout

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
)

func TestARunWhoseProcessDiesAtAnyCommitIsCompletedByTheSameRun(t *testing.T) {
	run := uuid.New()
	prepare := func() *world {
		w := newWorld(t, plainRules)
		event := w.event(2 * time.Hour)
		w.sell(event, 10000)
		w.refund(w.sell(event, 500))
		return w
	}
	standing := func(w *world) string {
		lines, err := w.s.Run(context.Background(), run)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(lines, w.net(), w.only(Proposed).Amount)
	}
	want := standing(prepare())
	for _, done := range []bool{false, true} {
		deaths := 0
		for nth := 1; ; nth++ {
			w := prepare()
			dying, died := dbtest.Dying(t, w.db, nth, done)
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			_, err := New(dying, w.s.cfg).Run(ctx, run)
			stop()
			if !died() {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			deaths++
			if got := standing(w); got != want {
				t.Errorf("died at commit %d, done %t: %s\nwant %s", nth, done, got, want)
			}
		}
		if deaths == 0 {
			t.Error("it never died")
		}
	}
}

func TestAStepOfAPayoutWhoseProcessDiesIsTakenOnce(t *testing.T) {
	for _, done := range []bool{false, true} {
		w := newWorld(t, plainRules)
		w.sell(w.event(2*time.Hour), 10000)
		w.run()
		p := w.only(Proposed)
		for _, to := range []State{Approved, Sent, Arrived, Returned} {
			dying, died := dbtest.Dying(t, w.db, 1, done)
			if _, err := New(dying, w.s.cfg).Move(t.Context(), p.ID, to, "ann", "yes"); err == nil || !died() {
				t.Fatalf("the process lives: %v", err)
			}
			moved, err := w.s.Move(t.Context(), p.ID, to, "ann", "yes")
			if err != nil || moved.State != to {
				t.Fatalf("to %s: %+v, %v", to, moved, err)
			}
		}
		if moved, err := w.s.Move(t.Context(), p.ID, Returned, "ann", "yes"); err != nil || len(moved.History) != 5 || w.net() != [3]int64{0, 1000, 9000} {
			t.Errorf("done %t: %d steps, %v, %v", done, len(moved.History), w.net(), err)
		}
	}
}
