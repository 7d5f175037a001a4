package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"fairgate/edge/backlog"
)

// Outcomes of Lane.Do besides those of the commit itself.
var (
	// ErrOverloaded means the lane had no room; the request was not looked at. The error is an *Overload.
	ErrOverloaded = errors.New("too many requests are waiting")
	// ErrClosed means the lane takes no more requests.
	ErrClosed = errors.New("the lane is closed")
)

// Overload is the ErrOverloaded that a lane answers with.
type Overload struct {
	// Wait is when it makes sense to ask again: what waits now will have been served. It is spread at random.
	Wait time.Duration
}

// Error implements error.
func (o *Overload) Error() string { return fmt.Sprintf("%v; ask again in %s", ErrOverloaded, o.Wait) }

// Is makes every Overload an ErrOverloaded.
func (o *Overload) Is(target error) bool { return target == ErrOverloaded }

// LaneConfig are the bounds of a lane.
type LaneConfig struct {
	Name          string        // metric label and log field; a handful of fixed names per process
	MaxBatch      int           // most requests in one commit; default 500
	MaxQueue      int           // most requests waiting; default 20 × MaxBatch
	CommitTimeout time.Duration // bound of one commit with all its retries; default 15 s
	Log           *slog.Logger  // default slog.Default()
}

// Lane is group commit: it collects requests while the previous commit is in flight and hands them to one commit
// function together. There is no timer; an idle lane commits a lone request at once.
//
// A lane made by NewFairLane takes requests of different keys in turn: each batch has one request of every waiting key,
// then a second one, and so on until it is full. So a key that floods fills what the others leave, and waits behind
// itself. What finds no room is refused key by key too, see package backlog.
//
// One writer goroutine calls commit, never twice at a time. Whoever made the lane closes it; Close waits for the writer.
type Lane[Q, A any] struct {
	cfg    LaneConfig
	key    func(*Q) backlog.Key
	commit func(context.Context, []Q) ([]A, error)
	figure laneMetrics
	calls  sync.Pool // of *laneCall, for Do

	mu     sync.Mutex
	queue  *backlog.Queue[*laneRequest[Q, A]]
	pace   backlog.Pace
	closed bool
	idle   bool          // the writer waits for wake
	wake   chan struct{} // capacity 1
	done   chan struct{}

	// The writer's own, kept from batch to batch.
	batch []*laneRequest[Q, A]
	qs    []Q
}

// laneRequest is one question on its way to the writer and back.
type laneRequest[Q, A any] struct {
	place    backlog.Place[*laneRequest[Q, A]] // guarded by the lane's mu
	group    *laneGroup[A]
	at       int // place of its answer in the group
	q        Q
	answered atomic.Bool // the group has its answer
}

// laneGroup is what one caller asked at once.
type laneGroup[A any] struct {
	ctx     context.Context
	answers []Answer[A]
	left    atomic.Int64  // answers still to come
	done    chan struct{} // capacity 1; gets a value with the last answer
}

// laneCall is a group of one.
type laneCall[Q, A any] struct {
	group   laneGroup[A]
	request laneRequest[Q, A]
	all     [1]*laneRequest[Q, A]
	answer  [1]Answer[A]
}

// NewLane starts the writer of a lane that serves in order of arrival. commit decides a whole batch in its order and
// returns one answer per request, after it has committed; it must not keep the batch. An error fails the batch: it is run
// again in halves, so that one bad request fails alone, unless the error is ErrAmbiguous, ErrUnavailable or a context's,
// which everybody in the batch gets.
func NewLane[Q, A any](cfg LaneConfig, commit func(ctx context.Context, batch []Q) ([]A, error)) *Lane[Q, A] {
	return newLane(cfg, nil, commit)
}

// NewFairLane is NewLane for a lane that is fair between keys. Requests of one key keep their order.
func NewFairLane[Q, A any](cfg LaneConfig, key func(*Q) backlog.Key, commit func(ctx context.Context, batch []Q) ([]A, error)) *Lane[Q, A] {
	return newLane(cfg, key, commit)
}

func newLane[Q, A any](cfg LaneConfig, key func(*Q) backlog.Key, commit func(ctx context.Context, batch []Q) ([]A, error)) *Lane[Q, A] {
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = 500
	}
	if cfg.MaxQueue <= 0 {
		cfg.MaxQueue = 20 * cfg.MaxBatch
	}
	if cfg.CommitTimeout <= 0 {
		cfg.CommitTimeout = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	l := &Lane[Q, A]{
		cfg: cfg, key: key, commit: commit, figure: newLaneMetrics(cfg.Name),
		queue: backlog.New[*laneRequest[Q, A]](cfg.MaxQueue, key != nil),
		wake:  make(chan struct{}, 1), done: make(chan struct{}),
		batch: make([]*laneRequest[Q, A], 0, cfg.MaxBatch), qs: make([]Q, 0, cfg.MaxBatch),
	}
	l.calls.New = func() any {
		c := &laneCall[Q, A]{group: laneGroup[A]{done: make(chan struct{}, 1)}}
		c.group.answers = c.answer[:]
		c.request.group, c.all[0] = &c.group, &c.request
		return c
	}
	go l.write()
	return l
}

// Do asks the lane and waits for the answer. When ctx ends while the request still waits, nothing was done; when it
// ends while the request's batch is being committed, the error is also ErrAmbiguous.
func (l *Lane[Q, A]) Do(ctx context.Context, q Q) (A, error) {
	c := l.calls.Get().(*laneCall[Q, A])
	c.group.ctx, c.request.q = ctx, q
	c.request.answered.Store(false)
	l.enqueue(&c.group, c.all[:])
	if !l.await(&c.group) {
		answer := l.abandon(&c.group, c.all[:])[0]
		return answer.Value, answer.Err // the writer may still answer, so the call cannot be used again
	}
	answer := c.answer[0]
	c.answer[0], c.group.ctx = Answer[A]{}, nil
	var none Q
	c.request.q = none
	l.calls.Put(c)
	return answer.Value, answer.Err
}

// Answer is one request's share of DoAll.
type Answer[A any] struct {
	Value A
	Err   error
}

// DoAll asks for many requests of one caller, keeping their order within a key, and waits for all answers. Those that do
// not fit the queue get ErrOverloaded.
func (l *Lane[Q, A]) DoAll(ctx context.Context, qs []Q) []Answer[A] {
	group := &laneGroup[A]{ctx: ctx, answers: make([]Answer[A], len(qs)), done: make(chan struct{}, 1)}
	if len(qs) == 0 {
		return group.answers
	}
	requests := make([]laneRequest[Q, A], len(qs))
	all := make([]*laneRequest[Q, A], len(qs))
	for i := range qs {
		r := &requests[i]
		r.group, r.at, r.q = group, i, qs[i]
		all[i] = r
	}
	l.enqueue(group, all)
	if l.await(group) {
		return group.answers
	}
	return l.abandon(group, all)
}

// Depth is how many requests wait.
func (l *Lane[Q, A]) Depth() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len()
}

// Load is how full the queue is, 0 to 1, and how long what is in it waits at the pace of late.
func (l *Lane[Q, A]) Load() (full float64, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.queue.Len()
	return float64(n) / float64(l.cfg.MaxQueue), l.pace.Delay(n)
}

// Close refuses new requests, lets the writer finish those that wait, and returns when it has.
func (l *Lane[Q, A]) Close() {
	l.mu.Lock()
	l.closed = true
	l.rouse()
	l.mu.Unlock()
	<-l.done
}

// enqueue puts a caller's requests in the queue and answers those that cannot be.
func (l *Lane[Q, A]) enqueue(group *laneGroup[A], requests []*laneRequest[Q, A]) {
	refused, queued := group.ctx.Err(), 0
	overload := (*Overload)(nil)
	l.mu.Lock()
	if l.closed && refused == nil {
		refused = ErrClosed
	}
	for _, r := range requests {
		var key backlog.Key
		if l.key != nil {
			key = l.key(&r.q)
		}
		switch {
		case refused != nil:
			r.refuse(refused)
		case l.queue.Push(key, &r.place, r):
			queued++
		default:
			if overload == nil {
				overload = &Overload{Wait: l.pace.Wait(l.queue.Len(), rand.Float64())}
			}
			r.refuse(overload)
			l.figure.overloaded.Inc()
		}
	}
	group.left.Store(int64(queued))
	l.figure.depth.Add(float64(queued))
	if queued > 0 {
		l.rouse()
	} else {
		group.done <- struct{}{}
	}
	l.mu.Unlock()
}

// rouse wakes the writer if it sleeps. The caller holds l.mu.
func (l *Lane[Q, A]) rouse() {
	if l.idle {
		l.idle = false
		l.wake <- struct{}{}
	}
}

// await waits for all answers, or returns false when the caller's context ends before.
func (l *Lane[Q, A]) await(group *laneGroup[A]) bool {
	select {
	case <-group.done:
		return true
	case <-group.ctx.Done():
	}
	select {
	case <-group.done: // it was answered just then
		return true
	default:
		return false
	}
}

// abandon takes what still waits out of the queue and returns what is known of the rest, in a slice of its own: the
// writer may still answer.
func (l *Lane[Q, A]) abandon(group *laneGroup[A], requests []*laneRequest[Q, A]) []Answer[A] {
	answers := make([]Answer[A], len(requests))
	dropped := 0
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range requests {
		switch {
		case r.place.Waiting():
			l.queue.Remove(&r.place)
			answers[i].Err = group.ctx.Err()
			dropped++
		case r.answered.Load():
			answers[i] = group.answers[r.at]
		default:
			answers[i].Err = fmt.Errorf("%w: stopped waiting for it: %w", ErrAmbiguous, group.ctx.Err())
		}
	}
	l.figure.depth.Add(-float64(dropped))
	l.figure.dropped.Add(dropped)
	return answers
}

// refuse answers a request that was not queued.
func (r *laneRequest[Q, A]) refuse(err error) {
	r.group.answers[r.at].Err = err
	r.answered.Store(true)
}

// tell answers a request that was.
func (r *laneRequest[Q, A]) tell(a A, err error) {
	group := r.group
	group.answers[r.at] = Answer[A]{a, err}
	r.answered.Store(true)
	if group.left.Add(-1) == 0 {
		group.done <- struct{}{} // nothing of the request may be touched any more
	}
}

// write is the writer goroutine.
func (l *Lane[Q, A]) write() {
	defer close(l.done)
	for l.take() {
		if len(l.batch) > 0 {
			for _, r := range l.batch {
				l.qs = append(l.qs, r.q)
			}
			l.decide(l.batch, l.qs)
		}
		clear(l.batch)
		clear(l.qs)
		l.batch, l.qs = l.batch[:0], l.qs[:0]
	}
}

// take fills the next batch, waiting for something to do. It leaves out requests whose callers have gone. It returns
// false when the lane is closed and nothing waits.
func (l *Lane[Q, A]) take() bool {
	l.mu.Lock()
	for l.queue.Len() == 0 {
		if l.closed {
			l.mu.Unlock()
			return false
		}
		l.pace.Idle()
		l.idle = true
		l.mu.Unlock()
		<-l.wake
		l.mu.Lock()
	}
	taken, gone := 0, 0
	for len(l.batch) < l.cfg.MaxBatch {
		r, ok := l.queue.Pop()
		if !ok {
			break
		}
		taken++
		if err := r.group.ctx.Err(); err != nil {
			var none A
			r.tell(none, err) // under the lock: abandon must find it answered, or it would call the outcome open
			gone++
			continue
		}
		l.batch = append(l.batch, r)
	}
	l.pace.Served(taken, time.Now())
	l.mu.Unlock()
	l.figure.depth.Add(-float64(taken))
	l.figure.dropped.Add(gone)
	return true
}

// decide commits a batch and answers it, in halves if it fails for a reason that may lie in one request.
func (l *Lane[Q, A]) decide(batch []*laneRequest[Q, A], qs []Q) {
	answers, err := l.call(qs)
	if err == nil {
		for i, r := range batch {
			r.tell(answers[i], nil)
		}
		return
	}
	if len(batch) == 1 || !mayBisect(err) {
		var none A
		for _, r := range batch {
			r.tell(none, err)
		}
		return
	}
	l.figure.bisected.Inc()
	half := len(batch) / 2
	l.decide(batch[:half], qs[:half:half])
	l.decide(batch[half:], qs[half:])
}

// mayBisect tells whether running a part of the batch again is safe and of use.
func mayBisect(err error) bool {
	return !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrUnavailable) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// call runs commit once, bounded, and turns a panic into an error. What a panicking commit had done is unknown, so that
// error is ErrAmbiguous.
func (l *Lane[Q, A]) call(qs []Q) (answers []A, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.CommitTimeout)
	defer cancel()
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			l.figure.panics.Inc()
			l.cfg.Log.Error("commit of a lane panicked", "lane", l.cfg.Name, "batch", len(qs),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			answers, err = nil, fmt.Errorf("%w: the commit of lane %s panicked: %v", ErrAmbiguous, l.cfg.Name, p)
		}
		l.figure.seconds.UpdateDuration(started)
	}()
	l.figure.commits.Inc()
	l.figure.batch.Update(float64(len(qs)))
	answers, err = l.commit(ctx, qs)
	if err != nil && ctx.Err() != nil && !errors.Is(err, ErrAmbiguous) {
		return nil, fmt.Errorf("%w: lane %s gave up on a commit after %s: %w", ErrUnavailable, l.cfg.Name, l.cfg.CommitTimeout, err)
	}
	if err == nil && len(answers) != len(qs) {
		return nil, fmt.Errorf("%w: lane %s got %d answers for %d requests", ErrAmbiguous, l.cfg.Name, len(answers), len(qs))
	}
	return answers, err
}
