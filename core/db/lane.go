package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Outcomes of Lane.Do besides those of the commit itself.
var (
	// ErrOverloaded means the lane's queue was full; the request was not looked at.
	ErrOverloaded = errors.New("too many requests are waiting")
	// ErrClosed means the lane takes no more requests.
	ErrClosed = errors.New("the lane is closed")
)

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
// One writer goroutine calls commit, never twice at a time. Whoever made the lane closes it; Close waits for the writer.
type Lane[Q, A any] struct {
	cfg    LaneConfig
	commit func(context.Context, []Q) ([]A, error)
	figure laneMetrics
	depth  atomic.Int64

	queue  chan *laneRequest[Q, A]
	mu     sync.RWMutex // guards closed against a send on the closed queue
	closed bool
	done   chan struct{}
}

// laneRequest is one caller's question on its way to the writer and back.
type laneRequest[Q, A any] struct {
	ctx    context.Context
	q      Q
	state  atomic.Int32 // requestQueued → requestTaken by the writer, or → requestDropped by its caller
	answer chan laneAnswer[A]
}

type laneAnswer[A any] struct {
	a   A
	err error
}

const (
	requestQueued int32 = iota
	requestTaken
	requestDropped
)

// NewLane starts the writer. commit decides a whole batch in order of arrival and returns one answer per request, after
// it has committed. An error fails the batch: it is run again in halves, so that one bad request fails alone, unless the
// error is ErrAmbiguous, ErrUnavailable or a context's, which everybody in the batch gets.
func NewLane[Q, A any](cfg LaneConfig, commit func(ctx context.Context, batch []Q) ([]A, error)) *Lane[Q, A] {
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
		cfg: cfg, commit: commit, figure: newLaneMetrics(cfg.Name),
		queue: make(chan *laneRequest[Q, A], cfg.MaxQueue),
		done:  make(chan struct{}),
	}
	go l.write()
	return l
}

// Do asks the lane and waits for the answer. When ctx ends while the request still waits, nothing was done; when it
// ends while the request's batch is being committed, the error is also ErrAmbiguous.
func (l *Lane[Q, A]) Do(ctx context.Context, q Q) (A, error) {
	r := &laneRequest[Q, A]{ctx: ctx, q: q, answer: make(chan laneAnswer[A], 1)}
	if err := l.enqueue(r); err != nil {
		var none A
		return none, err
	}
	return l.await(r)
}

// Answer is one request's share of DoAll.
type Answer[A any] struct {
	Value A
	Err   error
}

// DoAll asks for many requests of one caller, keeping their order, and waits for all answers. Those that do not fit the
// queue get ErrOverloaded.
func (l *Lane[Q, A]) DoAll(ctx context.Context, qs []Q) []Answer[A] {
	answers := make([]Answer[A], len(qs))
	requests := make([]*laneRequest[Q, A], len(qs))
	for i, q := range qs {
		r := &laneRequest[Q, A]{ctx: ctx, q: q, answer: make(chan laneAnswer[A], 1)}
		if err := l.enqueue(r); err != nil {
			answers[i].Err = err
			continue
		}
		requests[i] = r
	}
	for i, r := range requests {
		if r != nil {
			answers[i].Value, answers[i].Err = l.await(r)
		}
	}
	return answers
}

// Depth is how many requests wait.
func (l *Lane[Q, A]) Depth() int { return int(l.depth.Load()) }

// Close refuses new requests, lets the writer finish those that wait, and returns when it has.
func (l *Lane[Q, A]) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	<-l.done
}

func (l *Lane[Q, A]) enqueue(r *laneRequest[Q, A]) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	l.depth.Add(1)
	l.figure.depth.Inc()
	select {
	case l.queue <- r:
		return nil
	default:
		l.depth.Add(-1)
		l.figure.depth.Dec()
		l.figure.overloaded.Inc()
		return ErrOverloaded
	}
}

func (l *Lane[Q, A]) await(r *laneRequest[Q, A]) (A, error) {
	var none A
	select {
	case got := <-r.answer:
		return got.a, got.err
	case <-r.ctx.Done():
	}
	if r.state.CompareAndSwap(requestQueued, requestDropped) {
		return none, r.ctx.Err() // the writer will skip it
	}
	select {
	case got := <-r.answer: // it was answered just then
		return got.a, got.err
	default:
		return none, fmt.Errorf("%w: stopped waiting for it: %w", ErrAmbiguous, r.ctx.Err())
	}
}

// write is the writer goroutine.
func (l *Lane[Q, A]) write() {
	defer close(l.done)
	batch := make([]*laneRequest[Q, A], 0, l.cfg.MaxBatch)
	for first := range l.queue {
		batch = l.take(batch[:0], first)
		for len(batch) < l.cfg.MaxBatch {
			more := false
			select {
			case r, open := <-l.queue:
				if open {
					batch = l.take(batch, r)
					more = true
				}
			default:
			}
			if !more {
				break
			}
		}
		if len(batch) > 0 {
			l.decide(batch)
		}
		clear(batch)
	}
}

// take adds a request to the batch unless its caller has gone.
func (l *Lane[Q, A]) take(batch []*laneRequest[Q, A], r *laneRequest[Q, A]) []*laneRequest[Q, A] {
	l.depth.Add(-1)
	l.figure.depth.Dec()
	if r.ctx.Err() != nil {
		if r.state.CompareAndSwap(requestQueued, requestDropped) {
			r.answer <- laneAnswer[A]{err: r.ctx.Err()}
		}
		l.figure.dropped.Inc()
		return batch
	}
	if !r.state.CompareAndSwap(requestQueued, requestTaken) {
		l.figure.dropped.Inc()
		return batch
	}
	return append(batch, r)
}

// decide commits a batch and answers it, in halves if it fails for a reason that may lie in one request.
func (l *Lane[Q, A]) decide(batch []*laneRequest[Q, A]) {
	qs := make([]Q, len(batch))
	for i, r := range batch {
		qs[i] = r.q
	}
	answers, err := l.call(qs)
	if err == nil {
		for i, r := range batch {
			r.answer <- laneAnswer[A]{a: answers[i]}
		}
		return
	}
	if len(batch) == 1 || !mayBisect(err) {
		for _, r := range batch {
			r.answer <- laneAnswer[A]{err: err}
		}
		return
	}
	l.figure.bisected.Inc()
	half := len(batch) / 2
	l.decide(batch[:half])
	l.decide(batch[half:])
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
