package payment

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// outboxRun is one Run: a claimer (Run's own goroutine), the workers, and a settler. Tasks go from the claimer to the
// workers, results from the workers to the settler. The claimer closes tasks; Run closes results when the workers have
// stopped, and returns when the settler has.
type outboxRun struct {
	*Outbox
	handlers map[string]Handler
	tasks    chan claimed
	results  chan result
	freed    chan struct{} // a worker is free again
	inFlight atomic.Int64  // claimed and not run yet, or running

	leases leases

	mu   sync.Mutex
	soon time.Time // when the first task that was put off here is due again; zero for none
}

// Run claims tasks of the kinds in handlers and runs them until ctx ends; then it claims no more, gives running handlers
// the configured grace, gives tasks back that it had not started, and returns nil.
func (o *Outbox) Run(ctx context.Context, handlers map[string]Handler) error {
	r := &outboxRun{
		Outbox: o, handlers: handlers,
		// Twice as many claimed as workers, so that no worker waits for the database between two tasks.
		tasks:   make(chan claimed, 2*o.cfg.Workers),
		results: make(chan result, 2*o.cfg.Workers),
		freed:   make(chan struct{}, 1),
		leases:  leases{held: make(map[uuid.UUID]*held)},
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	settle, stopSettle := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSettle()
	var workers, settler sync.WaitGroup
	for range o.cfg.Workers {
		workers.Go(func() { r.work(ctx, work) })
	}
	settler.Go(func() { r.settleAll(settle) })
	beat, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	var heart sync.WaitGroup
	heart.Go(func() { r.heartbeat(beat) })
	r.claimAll(ctx)
	close(r.tasks)
	stopWorkers := time.AfterFunc(o.cfg.Grace, stopWork)
	defer stopWorkers.Stop()
	workers.Wait()
	close(r.results)
	stopSettler := time.AfterFunc(o.cfg.Grace, stopSettle)
	defer stopSettler.Stop()
	settler.Wait()
	stopBeat()
	heart.Wait()
	return nil
}

// claimAll is the claimer's loop.
func (r *outboxRun) claimAll(ctx context.Context) {
	kinds := make([]string, 0, len(r.handlers))
	for kind := range r.handlers {
		kinds = append(kinds, kind)
	}
	capacity := 2 * r.cfg.Workers
	least := max(r.cfg.Workers/2, 1) // do not ask the database for less than this, so that claims stay batches
	for ctx.Err() == nil {
		free := capacity - int(r.inFlight.Load())
		if free < least {
			select {
			case <-r.freed:
			case <-ctx.Done():
			}
			continue
		}
		asked := time.Now()
		tasks, full, err := r.claim(ctx, kinds, min(free, r.cfg.Claim))
		if err != nil && ctx.Err() == nil {
			outboxErrors.Inc()
			r.cfg.Log.Warn("the outbox cannot be read", "error", err.Error())
		}
		r.leases.hold(tasks, asked.Add(r.cfg.Lease))
		r.inFlight.Add(int64(len(tasks)))
		for _, t := range tasks {
			r.tasks <- t // never blocks: inFlight bounds what is in the channel
		}
		if !full {
			r.rest(ctx)
		}
	}
}

// rest waits until there may be something to claim.
func (r *outboxRun) rest(ctx context.Context) {
	timer := time.NewTimer(r.untilSoon())
	defer timer.Stop()
	select {
	case <-r.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// untilSoon is how long to rest: the poll interval, or less when a task that was put off here is due before.
func (r *outboxRun) untilSoon() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.soon.IsZero() {
		return r.cfg.Poll
	}
	wait := time.Until(r.soon)
	if wait <= 0 {
		r.soon = time.Time{}
		return time.Millisecond
	}
	return min(wait, r.cfg.Poll)
}

// expect remembers that a task put off here is due again after d.
func (r *outboxRun) expect(d time.Duration) {
	if d >= r.cfg.Poll {
		return // polling will find it
	}
	r.mu.Lock()
	if at := time.Now().Add(d); r.soon.IsZero() || at.Before(r.soon) {
		r.soon = at
	}
	r.mu.Unlock()
}

// work is a worker's loop. Once ctx has ended it gives tasks back unrun; work is what handlers run under.
func (r *outboxRun) work(ctx, work context.Context) {
	for t := range r.tasks {
		switch limit := r.cfg.attemptsOf(t.Kind); {
		case ctx.Err() != nil:
			r.results <- result{task: t, state: "ready", undo: true}
		case t.Attempt > limit:
			r.results <- result{task: t, state: "dead", err: errors.New("no attempt came to an end: each time the worker died or the lease ran out")}
		default:
			t.Final = t.Attempt == limit
			r.results <- r.judge(t, r.call(work, t))
		}
		r.inFlight.Add(-1)
		select {
		case r.freed <- struct{}{}:
		default:
		}
	}
}

// call runs the task's handler, bounded, and turns a panic into an error.
func (r *outboxRun) call(work context.Context, t claimed) (err error) {
	leased, letGo := r.leases.running(work, t)
	defer letGo()
	ctx, cancel := context.WithTimeout(leased, r.cfg.Timeout)
	defer cancel()
	started := time.Now()
	outboxRunning.Inc()
	defer func() {
		if p := recover(); p != nil {
			outboxPanics.Inc()
			r.cfg.Log.Error("an outbox handler panicked", "kind", t.Kind, "order_id", t.OrderID.String(),
				"payment_id", t.PaymentID.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
		outboxRunning.Dec()
		outboxSeconds.UpdateDuration(started)
	}()
	return r.handlers[t.Kind](ctx, t.Task)
}

// unavailableWait is the mean wait for a provider whose circuit breaker is open.
const unavailableWait = time.Second

// judge says what follows from a handler's answer.
func (r *outboxRun) judge(t claimed, err error) result {
	var later postponed
	switch {
	case err == nil:
		return result{task: t, state: "done"}
	case errors.As(err, &later):
		return result{task: t, state: "ready", after: later.after, undo: true}
	case errors.Is(err, ErrUnavailable): // nothing was called, so nothing failed
		return result{task: t, state: "ready", after: backoff(unavailableWait, unavailableWait, 1, r.cfg.Jitter), undo: true, err: err}
	case errors.Is(err, ErrPermanent) || t.Final:
		return result{task: t, state: "dead", err: err}
	default:
		wait := backoff(r.cfg.Backoff, r.cfg.BackoffMax, t.Attempt, r.cfg.Jitter)
		return result{task: t, state: "ready", after: wait, err: err}
	}
}

// settleAll is the settler's loop: it writes whatever has ended since its last write.
func (r *outboxRun) settleAll(ctx context.Context) {
	batch := make([]result, 0, r.cfg.Claim)
	for first := range r.results {
		batch = append(batch[:0], first)
		for more := true; more && len(batch) < r.cfg.Claim; {
			select {
			case next, open := <-r.results:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		r.settleBatch(ctx, batch)
	}
}

// settleBatch writes one batch, again and again until it is written or there is no more time. What is not written is run
// again when its lease ends.
func (r *outboxRun) settleBatch(ctx context.Context, batch []result) {
	for n := 1; ; n++ {
		err := r.settle(ctx, batch)
		if err == nil {
			break
		}
		outboxErrors.Inc()
		r.cfg.Log.Warn("the outbox cannot be written", "tasks", len(batch), "error", err.Error())
		select {
		case <-time.After(backoff(50*time.Millisecond, r.cfg.Poll, n, r.cfg.Jitter)):
		case <-ctx.Done():
			r.leases.drop(batch)
			return
		}
	}
	r.leases.drop(batch)
	chained := false
	for _, result := range batch {
		r.count(result)
		chained = chained || result.state != "ready"
		if result.state == "ready" {
			r.expect(result.after)
		}
	}
	if chained {
		r.Wake() // another task of the same order may have waited for this one
	}
	if !r.sooner().IsZero() {
		r.Wake() // the claimer's rest may be longer than the wait for a task that was just put off
	}
}

func (r *outboxRun) sooner() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.soon
}

// count makes the end of a run visible.
func (r *outboxRun) count(result result) {
	t := result.task
	switch {
	case result.state == "done":
		outboxDone.Inc()
	case result.state == "dead":
		outboxDead.Inc()
		r.cfg.Log.Error("an outbox task is dead", "kind", t.Kind, "outbox_id", t.ID.String(), "order_id", t.OrderID.String(),
			"payment_id", t.PaymentID.String(), "attempts", t.Attempt, "error", errorText(result.err))
	case result.undo:
		outboxPostponed.Inc()
	default:
		outboxRetried.Inc()
		r.cfg.Log.Info("an outbox task is tried again later", "kind", t.Kind, "order_id", t.OrderID.String(),
			"attempt", t.Attempt, "after", result.after.String(), "error", errorText(result.err))
	}
}
