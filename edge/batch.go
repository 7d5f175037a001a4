package edge

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

const (
	// maxBatchItems is what core takes in one request.
	maxBatchItems = 500
	// maxBatchBytes bounds a request; core takes four times as much, and one item more may come on top.
	maxBatchBytes = 1 << 20
)

// item is one buyer's request on its way to core in company.
type item struct {
	event    uuid.UUID
	payload  []byte    // JSON object, owned by the item
	deadline time.Time // after it nobody waits for the answer any more
	tried    *core     // could not be reached with this item
	done     chan outcome
}

// outcome is a buyer's own answer: what core said, or an error.
type outcome struct {
	answer

	err error
}

// batcher collects requests for one core while earlier ones are under way, and sends what has come together in one. An
// idle core gets a request at once; there is no timer. Whoever submits waits for the answer, at most until the item's
// deadline. The batcher's goroutines run until their context ends, and answer what is still queued then.
type batcher struct {
	path   string
	config BatchConfig
	counts *batchCounts
	core   *upstream
	now    func() time.Time
	queues map[*core]chan *item
}

func newBatcher(path string, c BatchConfig, up *upstream, now func() time.Time, counts *batchCounts) *batcher {
	b := &batcher{path: path, config: c, counts: counts, core: up, now: now, queues: make(map[*core]chan *item)}
	for _, one := range up.cores {
		b.queues[one] = make(chan *item, c.Queue)
	}
	return b
}

// errQueueFull means that as many wait already as may.
var errQueueFull = errors.New("too many requests wait for core")

// submit sends an item along and waits for its outcome.
func (b *batcher) submit(event uuid.UUID, payload []byte, timeout time.Duration) outcome {
	to := b.core.pick(event, nil)
	if to == nil {
		return outcome{err: errNotSent}
	}
	it := &item{event: event, payload: payload, deadline: b.now().Add(timeout), done: make(chan outcome, 1)}
	select {
	case b.queues[to] <- it:
	default:
		b.counts.full.Inc()
		return outcome{err: errQueueFull}
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case out := <-it.done:
		return out
	case <-timer.C:
		return outcome{err: errLost}
	}
}

// run sends batches to one core until the context ends. Several may run for one core: each has one request under way.
func (b *batcher) run(ctx context.Context, to *core) {
	queue := b.queues[to]
	items := make([]*item, 0, b.config.Batch)
	for {
		select {
		case it := <-queue:
			items = append(items[:0], it)
		case <-ctx.Done():
			b.drain(queue)
			return
		}
		items = b.collect(queue, items)
		b.send(to, items)
		clear(items)
	}
}

// collect adds to the first item whatever else waits already, as far as it fits.
func (b *batcher) collect(queue chan *item, items []*item) []*item {
	size := len(items[0].payload)
	for len(items) < b.config.Batch && size < maxBatchBytes {
		select {
		case it := <-queue:
			items, size = append(items, it), size+len(it.payload)
		default:
			return items
		}
	}
	return items
}

// drain answers what nobody will send any more.
func (b *batcher) drain(queue chan *item) {
	for {
		select {
		case it := <-queue:
			it.done <- outcome{err: errNotSent}
		default:
			return
		}
	}
}

// send sends one batch and gives everybody their own answer.
func (b *batcher) send(to *core, items []*item) {
	now := b.now()
	wanted := items[:0:0]
	for _, it := range items {
		if now.Before(it.deadline) {
			wanted = append(wanted, it)
		}
	}
	if len(wanted) == 0 {
		return
	}
	size := 16
	for _, it := range wanted {
		size += len(it.payload) + 1
	}
	body := append(make([]byte, 0, size), `{"items":[`...)
	for i, it := range wanted {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, it.payload...)
	}
	body = append(body, `]}`...)

	b.counts.requests.Inc()
	b.counts.items.Add(len(wanted))
	got, err := b.core.post(to, b.path, body)
	b.counts.seconds.UpdateDuration(now)
	if errors.Is(err, errNotSent) {
		b.divert(to, wanted)
		return
	}
	b.distribute(wanted, got, err)
}

// divert moves items to another core when theirs could not be reached, once.
func (b *batcher) divert(from *core, items []*item) {
	for _, it := range items {
		to := b.core.pick(it.event, from)
		if to == nil || it.tried != nil {
			it.done <- outcome{err: errNotSent}
			continue
		}
		it.tried = from
		select {
		case b.queues[to] <- it:
			b.core.counts.failovers.Inc()
		default:
			b.counts.full.Inc()
			it.done <- outcome{err: errQueueFull}
		}
	}
}

// batchAnswer is core's answer to a batch: one result per item, in order.
type batchAnswer struct {
	Results []struct {
		Status  int             `json:"status"`
		Body    json.RawMessage `json:"body"`
		Problem json.RawMessage `json:"problem"`
	} `json:"results"`
}

// distribute answers each item. A refusal of the batch as a whole is everybody's answer; an answer that does not fit the
// batch is as good as lost.
func (b *batcher) distribute(items []*item, got answer, err error) {
	var parsed batchAnswer
	switch {
	case err != nil:
	case got.status != 200:
		for _, it := range items {
			it.done <- outcome{answer: got}
		}
		return
	default:
		if json.Unmarshal(got.body, &parsed) != nil || len(parsed.Results) != len(items) {
			err = errLost
		}
	}
	if err != nil {
		b.counts.lost.Add(len(items))
		for _, it := range items {
			it.done <- outcome{err: err}
		}
		return
	}
	for i, it := range items {
		result := &parsed.Results[i]
		body := result.Body
		if len(body) == 0 {
			body = result.Problem
		}
		it.done <- outcome{answer: answer{status: result.Status, body: body}}
	}
}
