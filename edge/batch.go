package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/backlog"
	"fairgate/edge/batch"
)

const (
	// maxBatchItems is what core takes in one request.
	maxBatchItems = batch.MaxItems
	// maxBatchBytes bounds a request; core takes four times as much, and one item more may come on top.
	maxBatchBytes = 1 << 20
	// maxKeptBytes is the largest buffer that is kept for another item.
	maxKeptBytes = 4 << 10
	// goneAfter is how long an item must have waited before it is worth a system call to see whether its client has
	// hung up meanwhile. In a node that keeps up nothing waits that long.
	goneAfter = 50 * time.Millisecond
)

// errGone means that the client hung up before its request was sent to core.
var errGone = errors.New("the client has gone")

// item is one buyer's request on its way to core in company. It is reused once its answer has been written.
type item struct {
	place     backlog.Place[*item] // guarded by the sender it waits for
	event     uuid.UUID
	payload   []byte    // JSON object, owned by the item
	client    net.Conn  // whose request it is; only ever looked at; may be nil
	since     time.Time // when it was submitted
	deadline  time.Time // after it nobody waits for the answer any more
	tried     uint64    // bits of the cores that it was sent to, or could not be
	lost      bool      // it was sent to one of them and the answer was lost
	abandoned bool      // its handler has given up, so it cannot be reused
	body      []byte    // of the answer
	done      chan outcome
	timer     *time.Timer
}

// outcome is a buyer's own answer: what core said, or an error. The body is the item's.
type outcome struct {
	answer

	err error
}

// batcher collects requests for each core while earlier ones are under way, and sends what has come together in one. An
// idle core gets a request at once; there is no timer. Events take turns, see package backlog. Whoever submits waits for
// the answer, at most until the item's deadline. The batcher's goroutines run until their context ends, and answer what
// is still queued then.
//
// Every request it carries may be sent twice: core knows holds by their keys and sessions by their entrants. So an item
// whose core cannot be reached or is about to stop goes to the next, and one whose answer was lost is asked once more,
// elsewhere if possible: whichever core it meets finds what the first one committed.
type batcher struct {
	path    string
	config  BatchConfig
	counts  *batchCounts
	core    *upstream
	now     func() time.Time
	senders map[*core]*sender
	items   sync.Pool
}

func newBatcher(path string, c BatchConfig, up *upstream, now func() time.Time, counts *batchCounts) *batcher {
	b := &batcher{path: path, config: c, counts: counts, core: up, now: now, senders: make(map[*core]*sender)}
	for _, one := range up.cores {
		b.senders[one] = newSender(c, now)
	}
	b.items.New = func() any {
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		return &item{done: make(chan outcome, 1), timer: timer}
	}
	return b
}

// item returns an empty item, whose payload the caller appends to. It belongs to the caller until free.
func (b *batcher) item(event uuid.UUID, client net.Conn) *item {
	it := b.items.Get().(*item)
	it.event, it.client, it.payload, it.tried, it.lost = event, client, it.payload[:0], 0, false
	return it
}

// free takes an item back, after which nothing of its outcome may be used.
func (b *batcher) free(it *item) {
	if it.abandoned || cap(it.payload) > maxKeptBytes || cap(it.body) > maxKeptBytes {
		return
	}
	it.client = nil
	b.items.Put(it)
}

// submit sends an item along and waits for its outcome, whose body is good until free.
func (b *batcher) submit(it *item, timeout time.Duration) outcome {
	to := b.core.pick(it.event, 0)
	if to == nil {
		return outcome{err: errNotSent}
	}
	it.since = b.now()
	it.deadline = it.since.Add(timeout)
	if err := b.senders[to].put(it); err != nil {
		b.refused(err)
		return outcome{err: err}
	}
	it.timer.Reset(timeout)
	select {
	case out := <-it.done:
		it.timer.Stop()
		return out
	case <-it.timer.C:
		it.abandoned = true
		return outcome{err: errLost}
	}
}

func (b *batcher) refused(err error) {
	if errors.Is(err, errQueueFull) {
		b.counts.full.Inc()
	}
}

// run sends batches to one core until the context ends. Several may run for one core: each has one request under way.
func (b *batcher) run(ctx context.Context, to *core) {
	from := b.senders[to]
	w := parcel{items: make([]*item, 0, b.config.Batch)}
	for {
		w.items = from.take(ctx, w.items[:0], b.config.Batch)
		if len(w.items) == 0 {
			from.stop()
			return
		}
		b.send(to, &w)
		clear(w.items)
	}
}

// parcel is what one sending goroutine uses again and again.
type parcel struct {
	items   []*item
	body    []byte
	results []batch.Result
}

// send sends one batch and gives everybody their own answer.
func (b *batcher) send(to *core, w *parcel) {
	now := b.now()
	wanted := w.items[:0]
	for _, it := range w.items {
		switch {
		case !now.Before(it.deadline): // its handler has gone or is about to
			b.counts.dropped.Inc()
		case now.Sub(it.since) >= goneAfter && it.client != nil && hungUp(it.client):
			b.counts.dropped.Inc()
			it.done <- outcome{err: errGone}
		default:
			wanted = append(wanted, it)
		}
	}
	w.items = wanted
	if len(wanted) == 0 {
		return
	}
	w.body = append(w.body[:0], batch.Begin...)
	for i, it := range wanted {
		if i > 0 {
			w.body = append(w.body, ',')
		}
		w.body = append(w.body, it.payload...)
	}
	w.body = append(w.body, batch.End...)

	b.counts.requests.Inc()
	b.counts.items.Add(len(wanted))
	req, resp := b.core.prepare(b.path, w.body)
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	err := b.core.exchangeWith(to, req, resp)
	b.counts.seconds.UpdateDuration(now)
	if err == nil && resp.StatusCode() != fasthttp.StatusOK {
		for _, it := range wanted { // a refusal of the whole is everybody's answer
			it.answer(resp.StatusCode(), resp.Body())
		}
		return
	}
	if err == nil {
		var ok bool
		if w.results, ok = readResults(resp.Body(), w.results[:0]); !ok || len(w.results) != len(wanted) {
			err = errLost // an answer that does not fit the batch is as good as lost
		}
	}
	if err != nil {
		for _, it := range wanted {
			b.again(to, it, err)
		}
		return
	}
	for i, it := range wanted {
		it.answer(w.results[i].Status, w.results[i].Body)
	}
	clear(w.results)
}

// answer tells the item what core said. The body is copied.
func (it *item) answer(status int, body []byte) {
	it.body = append(it.body[:0], body...)
	it.done <- outcome{answer: answer{status: status, body: it.body}}
}

// again sends an item that a core did not answer to another, or tells its buyer that it cannot.
func (b *batcher) again(from *core, it *item, err error) {
	now := b.now()
	it.tried |= from.bit
	if !errors.Is(err, errNotSent) {
		b.counts.lost.Inc()
		if it.lost {
			it.done <- outcome{err: errLost}
			return
		}
		it.lost = true
	}
	to := b.core.pick(it.event, it.tried)
	if to == nil && it.lost && !errors.Is(err, errNotSent) && from.live(now, b.core.silence) {
		to = from
	}
	failed := errNotSent
	if to != nil && now.Before(it.deadline) {
		b.core.counts.failovers.Inc()
		if failed = b.senders[to].put(it); failed == nil {
			return
		}
		b.refused(failed)
	}
	if it.lost {
		failed = errLost // whatever came after: the first core may have acted
	}
	it.done <- outcome{err: failed}
}

// readResults reads core's answer to a batch.
func readResults(body []byte, results []batch.Result) ([]batch.Result, bool) {
	if quick, ok := batch.Results(body, results); ok {
		return quick, true
	}
	var slow struct {
		Results []struct {
			Status  int             `json:"status"`
			Body    json.RawMessage `json:"body"`
			Problem json.RawMessage `json:"problem"`
		} `json:"results"`
	}
	if json.Unmarshal(body, &slow) != nil {
		return nil, false
	}
	results = results[:0]
	for _, r := range slow.Results {
		text := r.Body
		if len(text) == 0 {
			text = r.Problem
		}
		results = append(results, batch.Result{Status: r.Status, Body: text})
	}
	return results, true
}
