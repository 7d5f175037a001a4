package payment

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
)

func TestALongRunKeepsItsLeaseByShowingSignsOfLife(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 200 * time.Millisecond
	long, other := NewOutbox(d, cfg), NewOutbox(d, cfg)
	order := uuid.New()
	enqueue(t, d, long, newTask(order, KindCapture))
	started, finish := make(chan struct{}), make(chan struct{})
	var runs atomic.Int32
	start(t, long, map[string]Handler{KindCapture: func(ctx context.Context, _ Task) error {
		runs.Add(1)
		close(started)
		<-finish
		return ctx.Err()
	}})
	<-started
	start(t, other, map[string]Handler{KindCapture: func(context.Context, Task) error { runs.Add(1); return nil }})
	begun := time.Now()
	eventually(t, "three leases' time has passed", func() bool { return time.Since(begun) > 3*cfg.Lease })
	close(finish)
	eventually(t, "the task is done", func() bool { return states(t, long, order)[KindCapture].State == "done" })
	if n := runs.Load(); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}

func TestARunWhoseLeaseIsTakenAwayEnds(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 400 * time.Millisecond
	o := NewOutbox(d, cfg)
	order := uuid.New()
	enqueue(t, d, o, newTask(order, KindCapture))
	started, ended := make(chan struct{}), make(chan error, 1)
	start(t, o, map[string]Handler{KindCapture: func(ctx context.Context, task Task) error {
		if task.Attempt > 1 {
			return nil
		}
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}})
	<-started
	if _, err := d.Pool.Exec(t.Context(), `UPDATE outbox SET claim_id = $2, lease_until = now() + INTERVAL '100 milliseconds', attempts = 2 WHERE order_id = $1`, order, uuid.New()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
	eventually(t, "the task is done by another run", func() bool { return states(t, o, order)[KindCapture].State == "done" })
}

func TestALeaseThatEndedIsNotRenewed(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 20 * time.Millisecond
	o := NewOutbox(d, cfg)
	enqueue(t, d, o, newTask(uuid.New(), KindCapture))
	tasks, _, err := o.claim(t.Context(), []string{KindCapture}, 1)
	if err != nil || len(tasks) != 1 {
		t.Fatal(tasks, err)
	}
	time.Sleep(40 * time.Millisecond)
	if renewed, err := o.renew(t.Context(), tasks); err != nil || len(renewed) != 0 {
		t.Errorf("renewed %v, %v", renewed, err)
	}
}

// neverRun asks in a transaction of its own.
func neverRun(t *testing.T, o *Outbox, task Task) (never bool) {
	t.Helper()
	err := o.db.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
		never, err = o.NeverRun(ctx, tx, task, "elsewhere")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return never
}

func TestOnlyTheFirstRunThatStillHoldsItsLeaseNeverRanBefore(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 100 * time.Millisecond
	o := NewOutbox(d, cfg)
	claim := func() claimed {
		t.Helper()
		var task claimed
		eventually(t, "the task is claimed", func() bool {
			tasks, _, err := o.claim(t.Context(), []string{KindBegin}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(tasks) == 1 {
				task = tasks[0]
			}
			return len(tasks) == 1
		})
		return task
	}
	order := uuid.New()
	enqueue(t, d, o, newTask(order, KindBegin))
	first := claim()
	if !neverRun(t, o, first.Task) {
		t.Error("the first run is taken for a later one")
	}
	// It is put off without a call, which does not count: the next run is a first one, the old one is over.
	if err := o.settle(t.Context(), []result{{task: first, state: "ready", undo: true}}); err != nil {
		t.Fatal(err)
	}
	again := claim()
	if !neverRun(t, o, again.Task) || neverRun(t, o, first.Task) {
		t.Error("after a run that does not count the next is not the first, or the old one still is")
	}
	// Its worker dies, perhaps after the call: the run that comes then is no first one, and the dead one is none any more.
	third := claim()
	if third.Attempt != 2 || neverRun(t, o, third.Task) || neverRun(t, o, again.Task) {
		t.Errorf("attempt %d after a run of unknown end is taken for the first", third.Attempt)
	}
}
