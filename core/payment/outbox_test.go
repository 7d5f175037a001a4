package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

// quick are bounds that let a test see leases end and attempts run out.
var quick = OutboxConfig{
	Workers: 8, Poll: 20 * time.Millisecond, Lease: 30 * time.Second, Backoff: time.Millisecond, BackoffMax: 5 * time.Millisecond,
	MaxAttempts: 4, AttemptsOf: map[string]int{}, Grace: 2 * time.Second, Log: slog.New(slog.DiscardHandler),
}

func newTask(order uuid.UUID, kind string) Task {
	paymentID := PaymentID(order, 1)
	return Task{ID: TaskID(paymentID, kind), Kind: kind, OrderID: order, PaymentID: paymentID, Payload: "{}"}
}

func enqueue(t *testing.T, d *db.DB, o *Outbox, tasks ...Task) {
	t.Helper()
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return o.Enqueue(ctx, tx, tasks) }); err != nil {
		t.Fatal(err)
	}
	o.Wake()
}

// start runs an outbox until the returned function is called or the test ends.
func start(t *testing.T, o *Outbox, handlers map[string]Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := o.Run(ctx, handlers); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within 10 s: %s", what)
}

// states reads the states of an order's tasks by kind.
func states(t *testing.T, o *Outbox, order uuid.UUID) map[string]Record {
	t.Helper()
	records, err := o.OfOrder(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	byKind := make(map[string]Record)
	for _, r := range records {
		byKind[r.Kind] = r
	}
	return byKind
}

func TestATaskRunsOnceItsTransactionHasCommittedAndOnlyThen(t *testing.T) {
	d := dbtest.New(t)
	o := NewOutbox(d, quick)
	order, undone := uuid.New(), uuid.New()
	ran := make(chan Task, 10)
	start(t, o, map[string]Handler{KindBegin: func(_ context.Context, task Task) error { ran <- task; return nil }})

	failure := errors.New("the checkout fails")
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if err := o.Enqueue(ctx, tx, []Task{newTask(undone, KindBegin)}); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Fatal(err)
	}
	task := newTask(order, KindBegin)
	task.Payload = `{"a":1}`
	enqueue(t, d, o, task, task) // twice in one call
	enqueue(t, d, o, task)       // and again
	got := <-ran
	if got.ID != task.ID || got.OrderID != order || got.PaymentID != task.PaymentID || got.Payload != task.Payload || got.Attempt != 1 || got.Final {
		t.Errorf("ran %+v", got)
	}
	eventually(t, "the task is done", func() bool { return states(t, o, order)[KindBegin].State == "done" })
	enqueue(t, d, o, task) // a repeated transaction, after all is over
	time.Sleep(100 * time.Millisecond)
	if len(ran) != 0 {
		t.Errorf("it ran again: %+v", <-ran)
	}
	if got := states(t, o, undone); len(got) != 0 {
		t.Errorf("a task of a rolled-back transaction is there: %+v", got)
	}
}

func TestTwoProcessesRunEachTaskOnce(t *testing.T) {
	d := dbtest.New(t)
	const tasks = 300
	var mu sync.Mutex
	runs := make(map[uuid.UUID]int)
	by := make(map[int]int)
	var all []Task
	for range tasks {
		all = append(all, newTask(uuid.New(), KindCapture))
	}
	enqueue(t, d, NewOutbox(d, quick), all...)
	for process := range 2 {
		cfg := quick
		cfg.Workers = 4
		start(t, NewOutbox(d, cfg), map[string]Handler{KindCapture: func(ctx context.Context, task Task) error {
			mu.Lock()
			defer mu.Unlock()
			runs[task.ID]++
			by[process]++
			return nil
		}})
	}
	eventually(t, "every task has run", func() bool { mu.Lock(); defer mu.Unlock(); return len(runs) == tasks })
	o := NewOutbox(d, quick)
	eventually(t, "every task is done", func() bool { s, err := o.Stats(t.Context()); return err == nil && s.Ready == 0 })
	mu.Lock()
	defer mu.Unlock()
	for id, n := range runs {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
	if by[0] == 0 || by[1] == 0 {
		t.Errorf("only one process worked: %v", by)
	}
}

func TestATaskOfADeadWorkerIsRunByAnother(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 400 * time.Millisecond
	dead, alive := NewOutbox(d, cfg), NewOutbox(d, quick)
	order := uuid.New()
	enqueue(t, d, dead, newTask(order, KindCapture))
	held, _, err := dead.claim(t.Context(), []string{KindCapture}, 10)
	if err != nil || len(held) != 1 {
		t.Fatalf("claimed %d, %v", len(held), err)
	}
	claimedAt := time.Now()
	// The worker has called the provider and dies here: nothing is written.
	attempts := make(chan int, 10)
	start(t, alive, map[string]Handler{KindCapture: func(_ context.Context, task Task) error { attempts <- task.Attempt; return nil }})
	if n := <-attempts; n != 2 {
		t.Errorf("the second run is attempt %d", n)
	}
	if waited := time.Since(claimedAt); waited < 300*time.Millisecond {
		t.Errorf("it ran %s after the claim, while the lease was still held", waited)
	}
	eventually(t, "the task is done", func() bool { return states(t, alive, order)[KindCapture].State == "done" })

	// The dead worker was only slow: what it writes now about its failure is not believed.
	if err := dead.settle(t.Context(), []result{{task: held[0], state: "dead", err: errors.New("too late")}}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, alive, order)[KindCapture]; got.State != "done" || got.LastError != "" {
		t.Errorf("a worker without a lease wrote %+v", got)
	}
}

func TestAWorkerThatLostItsLeaseCannotPutATaskOff(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 50 * time.Millisecond
	slow, quicker := NewOutbox(d, cfg), NewOutbox(d, quick)
	order := uuid.New()
	enqueue(t, d, slow, newTask(order, KindCapture))
	first, _, err := slow.claim(t.Context(), []string{KindCapture}, 10)
	if err != nil || len(first) != 1 {
		t.Fatalf("claimed %d, %v", len(first), err)
	}
	time.Sleep(100 * time.Millisecond)
	second, _, err := quicker.claim(t.Context(), []string{KindCapture}, 10)
	if err != nil || len(second) != 1 {
		t.Fatalf("claimed %d after the lease, %v", len(second), err)
	}
	if err := slow.settle(t.Context(), []result{{task: first[0], state: "ready", after: time.Hour, err: errors.New("slow")}}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, slow, order)[KindCapture]; got.LeaseUntil == nil || got.LastError != "" {
		t.Errorf("the second worker's lease is gone: %+v", got)
	}
	// What it achieved counts all the same.
	if err := slow.settle(t.Context(), []result{{task: first[0], state: "done"}}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, slow, order)[KindCapture]; got.State != "done" {
		t.Errorf("state %s", got.State)
	}
}

func TestTasksOfOneOrderNeverOverlapEvenBetweenProcesses(t *testing.T) {
	d := dbtest.New(t)
	const orders, perOrder = 12, 6
	var mu sync.Mutex
	running := make(map[uuid.UUID]bool)
	sequence := make(map[uuid.UUID][]string)
	overlaps, done := 0, 0
	handle := func(_ context.Context, task Task) error {
		mu.Lock()
		if running[task.OrderID] {
			overlaps++
		}
		running[task.OrderID] = true
		sequence[task.OrderID] = append(sequence[task.OrderID], task.Payload)
		mu.Unlock()
		time.Sleep(3 * time.Millisecond)
		mu.Lock()
		running[task.OrderID] = false
		done++
		mu.Unlock()
		return nil
	}
	setup := NewOutbox(d, quick)
	var all []Task
	for range orders {
		order := uuid.New()
		for n := range perOrder {
			task := newTask(order, KindCapture)
			task.ID = uuid.New()
			task.Payload = fmt.Sprint(n)
			task.After = time.Duration(n) * time.Millisecond // fall due one after the other
			all = append(all, task)
		}
	}
	enqueue(t, d, setup, all...)
	time.Sleep(20 * time.Millisecond) // all are due
	for range 3 {
		cfg := quick
		cfg.Lease = time.Minute
		start(t, NewOutbox(d, cfg), map[string]Handler{KindCapture: handle})
	}
	eventually(t, "all have run", func() bool { mu.Lock(); defer mu.Unlock(); return done == orders*perOrder })
	mu.Lock()
	defer mu.Unlock()
	if overlaps > 0 {
		t.Errorf("%d times two tasks of one order ran at once", overlaps)
	}
	for order, got := range sequence {
		if !slices.IsSorted(got) || len(got) != perOrder {
			t.Errorf("order %s ran its tasks as %v", order, got)
		}
	}
}

func TestAHintThatIsOutOfDateLeasesNothing(t *testing.T) {
	d := dbtest.New(t)
	slow, quicker := NewOutbox(d, quick), NewOutbox(d, quick)
	order := uuid.New()
	capture, void := newTask(order, KindCapture), newTask(order, KindVoid)
	enqueue(t, d, slow, capture, void)
	ids, orders, _, err := slow.due(t.Context(), []string{KindCapture}, 10)
	if err != nil || len(ids) != 1 {
		t.Fatalf("found %v, %v", ids, err)
	}
	if got, err := quicker.lease(t.Context(), []uuid.UUID{void.ID}, []uuid.UUID{order}); err != nil || len(got) != 1 {
		t.Fatalf("leased %v, %v", got, err)
	}
	if got, err := slow.lease(t.Context(), ids, orders); err != nil || len(got) != 0 {
		t.Errorf("while another task of the order is leased: leased %v, %v", got, err)
	}
}

func TestTwoProcessesThatLeaseTasksOfOneOrderAtOnceDoNotBothGetOne(t *testing.T) {
	d := dbtest.New(t)
	for range 30 {
		order := uuid.New()
		tasks := []Task{newTask(order, KindCapture), newTask(order, KindVoid), newTask(order, KindBegin)}
		enqueue(t, d, NewOutbox(d, quick), tasks...)
		var leased atomic.Int32
		var all sync.WaitGroup
		for _, task := range tasks {
			all.Go(func() {
				got, err := NewOutbox(d, quick).lease(t.Context(), []uuid.UUID{task.ID}, []uuid.UUID{order})
				if err != nil {
					t.Error(err)
				}
				leased.Add(int32(len(got)))
			})
		}
		all.Wait()
		if n := leased.Load(); n != 1 {
			t.Fatalf("%d of 3 got a task of the same order", n)
		}
	}
}

func TestFailuresAreRetriedAndEndDead(t *testing.T) {
	d := dbtest.New(t)
	o := NewOutbox(d, quick)
	var mu sync.Mutex
	attempts := make(map[string][]int)
	finals := make(map[string]int)
	note := func(task Task) {
		mu.Lock()
		attempts[task.Kind] = append(attempts[task.Kind], task.Attempt)
		if task.Final {
			finals[task.Kind]++
		}
		mu.Unlock()
	}
	postponed := atomic.Int32{}
	handlers := map[string]Handler{
		"twice":  func(_ context.Context, task Task) error { note(task); return errIf(task.Attempt < 3) },
		"never":  func(_ context.Context, task Task) error { note(task); return errors.New("provider\x00 says no") },
		"wrong":  func(_ context.Context, task Task) error { note(task); return fmt.Errorf("capture: %w", ErrPermanent) },
		"panics": func(_ context.Context, task Task) error { note(task); panic("boom") },
		"later": func(_ context.Context, task Task) error {
			note(task)
			if postponed.Add(1) <= 6 {
				return fmt.Errorf("look up: %w", Postpone(time.Millisecond))
			}
			return nil
		},
	}
	order := uuid.New()
	for kind := range handlers {
		enqueue(t, d, o, newTask(order, kind))
	}
	enqueue(t, d, o, newTask(order, "unknown to this release"))
	start(t, o, handlers)
	want := map[string]string{"twice": "done", "never": "dead", "wrong": "dead", "panics": "dead", "later": "done", "unknown to this release": "ready"}
	eventually(t, "all have ended", func() bool {
		got := make(map[string]string)
		for kind, r := range states(t, o, order) {
			got[kind] = r.State
		}
		return maps.Equal(got, want)
	})
	mu.Lock()
	defer mu.Unlock()
	for kind, n := range map[string]int{"twice": 3, "never": 4, "wrong": 1, "panics": 4, "later": 7} {
		if len(attempts[kind]) != n {
			t.Errorf("%s ran %d times (%v), want %d", kind, len(attempts[kind]), attempts[kind], n)
		}
	}
	if last := attempts["later"]; last[len(last)-1] != 1 {
		t.Errorf("postponed runs counted as attempts: %v", last)
	}
	if finals["never"] != 1 || finals["panics"] != 1 || finals["twice"] != 0 {
		t.Errorf("final runs: %v", finals)
	}
	records := states(t, o, order)
	if r := records["never"]; r.LastError != "provider says no" || r.DoneAt == nil || r.Attempts != 4 {
		t.Errorf("the dead task shows %+v", r)
	}
	dead, err := o.Dead(t.Context(), 10)
	if err != nil || len(dead) != 3 {
		t.Errorf("%d dead tasks are listed, %v", len(dead), err)
	}
	stats, err := o.Stats(t.Context())
	if err != nil || stats.Ready != 1 || stats.Dead != 3 || stats.Running != 0 || stats.OldestDue <= 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func errIf(fails bool) error {
	if fails {
		return ErrTemporary
	}
	return nil
}

func TestATaskWhoseWorkersAlwaysDieEndsDead(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Lease = 10 * time.Millisecond
	dies := NewOutbox(d, cfg)
	order := uuid.New()
	enqueue(t, d, dies, newTask(order, KindVoid))
	for n := range quick.MaxAttempts {
		eventually(t, "the lease has ended", func() bool {
			held, _, err := dies.claim(t.Context(), []string{KindVoid}, 1)
			return err == nil && len(held) == 1 && held[0].Attempt == n+1
		})
	}
	time.Sleep(20 * time.Millisecond)
	ran := atomic.Bool{}
	start(t, NewOutbox(d, quick), map[string]Handler{KindVoid: func(context.Context, Task) error { ran.Store(true); return nil }})
	eventually(t, "the task is dead", func() bool { return states(t, dies, order)[KindVoid].State == "dead" })
	if ran.Load() {
		t.Error("it was run once more than allowed")
	}
}

func TestRunGivesBackWhatItHasNotStartedAndFinishesWhatItHas(t *testing.T) {
	d := dbtest.New(t)
	cfg := quick
	cfg.Workers = 1
	cfg.Lease = time.Minute
	o := NewOutbox(d, cfg)
	first, second := uuid.New(), uuid.New()
	later := newTask(second, KindBegin)
	later.After = 2 * time.Millisecond
	enqueue(t, d, o, newTask(first, KindBegin), later)
	time.Sleep(5 * time.Millisecond)
	started, finish := make(chan struct{}, 2), make(chan struct{})
	stop := start(t, o, map[string]Handler{KindBegin: func(ctx context.Context, _ Task) error {
		started <- struct{}{}
		<-finish
		return ctx.Err()
	}})
	<-started
	eventually(t, "the second task is claimed too", func() bool { return states(t, o, second)[KindBegin].LeaseUntil != nil })
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	time.Sleep(50 * time.Millisecond)
	select {
	case <-stopped:
		t.Fatal("Run returned while a handler ran")
	default:
	}
	close(finish)
	<-stopped
	if got := states(t, o, first)[KindBegin]; got.State != "done" {
		t.Errorf("the running task ended %+v", got)
	}
	if got := states(t, o, second)[KindBegin]; got.State != "ready" || got.LeaseUntil != nil || got.Attempts != 0 || got.DueAt.After(time.Now().Add(time.Second)) {
		t.Errorf("the waiting task was not given back: %+v", got)
	}
}

func TestRunSurvivesADatabaseThatIsGone(t *testing.T) {
	d := dbtest.New(t)
	o := NewOutbox(d, quick)
	stop := start(t, o, map[string]Handler{KindBegin: func(context.Context, Task) error { return nil }})
	before := outboxErrors.Get()
	d.Close()
	eventually(t, "the outbox notices", func() bool { return outboxErrors.Get() > before })
	ended := make(chan struct{})
	go func() { stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("Run does not end")
	}
}
