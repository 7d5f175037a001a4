package loadtest

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Op is an operation whose latency is measured.
type Op string

// The operations. Each runs from the instant it was meant to start to its complete answer. OpReceipt runs from a buyer's arrival
// to the signed receipt; OpProvider is the provider's own form; OpCheckout runs from the order's request to the buyer seeing the
// ticket issued, without the provider's form and the time the buyer took to type the card.
const (
	OpJoin     Op = "join"
	OpReceipt  Op = "receipt"
	OpState    Op = "state"
	OpClaim    Op = "claim"
	OpSeats    Op = "seats"
	OpHold     Op = "hold"
	OpRelease  Op = "release"
	OpOrder    Op = "order"
	OpFollow   Op = "follow" // an order read while its payment settles
	OpPay      Op = "pay"
	OpProvider Op = "provider"
	OpCheckout Op = "checkout"
	OpTicket   Op = "ticket"
	OpSignIn   Op = "sign in"  // with a mailed code
	OpTransfer Op = "transfer" // a ticket's, offered or accepted
	OpResale   Op = "resale"   // a ticket's, listed
	OpScan     Op = "scan"     // a gate's, after the sale
)

// Ops is every measured operation in the order of a purchase.
func Ops() []Op {
	return []Op{OpJoin, OpReceipt, OpState, OpClaim, OpSeats, OpHold, OpRelease, OpOrder, OpPay, OpProvider, OpFollow, OpCheckout, OpTicket, OpSignIn, OpTransfer, OpResale, OpScan}
}

// Latencies are told in microseconds up to two minutes with three significant digits, about 200 kB a histogram.
const (
	histMin    = 1
	histMax    = int64(2 * time.Minute / time.Microsecond)
	histDigits = 3
)

// Latency summarizes a histogram, in milliseconds.
type Latency struct {
	Op    Op      `json:"op"`
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// meter holds one operation's histograms: of the whole run, and of the second that is running.
type meter struct {
	mu     sync.Mutex
	total  *hdrhistogram.Histogram
	second *hdrhistogram.Histogram
}

func newMeter() *meter {
	return &meter{total: hdrhistogram.New(histMin, histMax, histDigits), second: hdrhistogram.New(histMin, histMax, 2)}
}

func (m *meter) record(d time.Duration) {
	us := min(max(d.Microseconds(), histMin), histMax)
	m.mu.Lock()
	// The value was just clamped to the range, the only error there is.
	_ = m.total.RecordValue(us)
	_ = m.second.RecordValue(us)
	m.mu.Unlock()
}

func (m *meter) summary(op Op) Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	return summarize(op, m.total)
}

// cut ends the running second.
func (m *meter) cut(op Op) Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := summarize(op, m.second)
	m.second.Reset()
	return l
}

func summarize(op Op, h *hdrhistogram.Histogram) Latency {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	if h.TotalCount() == 0 {
		return Latency{Op: op}
	}
	return Latency{
		Op: op, Count: h.TotalCount(), Mean: h.Mean() / 1000, P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()),
	}
}

// gauges count the honest crowd by where it stands; bots are counted apart.
type gauges struct {
	arrived, waiting, admitted, holding, tickets atomic.Int64
	paid                                         atomic.Int64
	botRequests, botTickets                      atomic.Int64
	challenged                                   atomic.Int64 // times an honest buyer was asked to show that they are no program
}

// Problem is an answer that an honest buyer should not have got.
type Problem struct {
	Buyer  int     `json:"buyer"`
	Op     Op      `json:"op"`
	Status int     `json:"status"`
	Code   string  `json:"code"`
	Detail string  `json:"detail"`
	At     float64 `json:"at_s"`
}

// maxSamples bounds the samples kept of one kind of problem; the counts go on.
const maxSamples = 5

// Recorder collects what buyers and bots saw. All methods may be called by any goroutine.
type Recorder struct {
	opening time.Time
	meters  map[Op]*meter
	gauges  gauges

	mu       sync.Mutex
	answers  map[Op]map[string]int64 // honest answers by code, "ok" among them
	outcomes map[string]int64        // how honest buyers ended
	failed   map[int]bool            // honest buyers with a problem
	problems []Problem
	kinds    map[Problem]int64 // how many of each, by operation, status and code
	bots     map[botKind]*BotFigures
	samples  []Sample
	called   int64 // entrants called by the last sample
}

// NewRecorder starts with nothing recorded; times of samples are relative to opening.
func NewRecorder(opening time.Time) *Recorder {
	r := &Recorder{
		opening: opening, meters: make(map[Op]*meter), answers: make(map[Op]map[string]int64),
		outcomes: make(map[string]int64), failed: make(map[int]bool), kinds: make(map[Problem]int64), bots: make(map[botKind]*BotFigures),
	}
	for _, op := range Ops() {
		r.meters[op] = newMeter()
		r.answers[op] = make(map[string]int64)
	}
	return r
}

// Latency records that op, meant to start at intended, was answered at end.
func (r *Recorder) Latency(op Op, intended, end time.Time) { r.meters[op].record(end.Sub(intended)) }

// Took records an operation put together of several parts.
func (r *Recorder) Took(op Op, d time.Duration) { r.meters[op].record(d) }

// Answer counts an answer an honest buyer got.
func (r *Recorder) Answer(op Op, code string) {
	r.mu.Lock()
	r.answers[op][code]++
	r.mu.Unlock()
}

// Outcome counts how an honest buyer ended.
func (r *Recorder) Outcome(name string) {
	r.mu.Lock()
	r.outcomes[name]++
	r.mu.Unlock()
}

// Problem records an answer that an honest buyer should not have got.
func (r *Recorder) Problem(p Problem) {
	p.At = time.Since(r.opening).Seconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[p.Buyer] = true
	kind := Problem{Op: p.Op, Status: p.Status, Code: p.Code}
	if r.kinds[kind]++; r.kinds[kind] <= maxSamples {
		r.problems = append(r.problems, p)
	}
}

// Latencies summarizes every operation that happened.
func (r *Recorder) Latencies() []Latency {
	var all []Latency
	for _, op := range Ops() {
		if l := r.meters[op].summary(op); l.Count > 0 {
			all = append(all, l)
		}
	}
	return all
}

// Outcomes is how the honest buyers ended.
func (r *Recorder) Outcomes() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.outcomes)
}

// Answers is what the honest buyers were answered, by operation and code.
func (r *Recorder) Answers() map[Op]map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[Op]map[string]int64)
	for op, m := range r.answers {
		if len(m) > 0 {
			all[op] = maps.Clone(m)
		}
	}
	return all
}

// Problems is the number of honest buyers with a problem, and samples.
func (r *Recorder) Problems() (buyers int, samples []Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failed), slices.Clone(r.problems)
}

// ProblemKinds counts the problems by operation, status and code, which are all that is set in the keys.
func (r *Recorder) ProblemKinds() map[Problem]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.kinds)
}

// BotFigures is what the bots of one kind did and got.
type BotFigures struct {
	Kind      string `json:"kind"`
	Bots      int64  `json:"bots"`
	Requests  int64  `json:"requests"`
	Throttled int64  `json:"throttled"` // answered 429
	Refused   int64  `json:"refused"`   // answered another 4xx
	Entries   int64  `json:"entries"`   // entrants they got into the waiting room
	Sessions  int64  `json:"sessions"`
	Tickets   int64  `json:"tickets"`
}

// bot changes the figures of a kind.
func (r *Recorder) bot(k botKind, change func(*BotFigures)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.bots[k]
	if f == nil {
		f = &BotFigures{Kind: k.String()}
		r.bots[k] = f
	}
	change(f)
}

// Bots is what the bots did and got, by kind.
func (r *Recorder) Bots() []BotFigures {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []BotFigures
	for _, k := range botKinds() {
		if f := r.bots[k]; f != nil {
			all = append(all, *f)
		}
	}
	return all
}
