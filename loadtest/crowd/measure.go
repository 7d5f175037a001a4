package crowd

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency sums up how long calls took.
type Latency struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// meter holds one kind of latency, to the microsecond and two minutes. The zero value is ready.
type meter struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

const longest = 2 * time.Minute

func (m *meter) record(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.h == nil {
		m.h = hdrhistogram.New(1, longest.Microseconds(), 3)
	}
	_ = m.h.RecordValue(min(max(d.Microseconds(), 1), longest.Microseconds())) // clamped to the range, the only error there is
}

func (m *meter) sum() Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.summed()
}

// restart is sum, after which the meter is empty.
func (m *meter) restart() Latency {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := m.summed()
	if m.h != nil {
		m.h.Reset()
	}
	return sum
}

func (m *meter) summed() Latency {
	if m.h == nil {
		return Latency{}
	}
	ms := func(q float64) float64 { return float64(m.h.ValueAtQuantile(q)) / 1000 }
	return Latency{Count: m.h.TotalCount(), P50: ms(50), P99: ms(99), P999: ms(99.9), Max: float64(m.h.Max()) / 1000}
}

type meters struct {
	join, poll, claim, receipt, stormJoin, stormReceipt meter
	lately                                              meter // polls since somebody asked how it goes
	waits, stormWaits                                   atomic.Int64
}

// Problem is a kind of answer that nobody should have got.
type Problem struct {
	Call   string `json:"call"`
	Storm  bool   `json:"storm"`
	Status int    `json:"status"` // 0: there was no answer
	Said   string `json:"said"`   // by the first of them
	Count  int64  `json:"count"`
}

// problems counts what went wrong, by kind.
type problems struct {
	mu    sync.Mutex
	kinds map[Problem]*Problem
}

func (p *problems) add(call string, storm bool, status int, said string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kinds == nil {
		p.kinds = make(map[Problem]*Problem)
	}
	key := Problem{Call: call, Storm: storm, Status: status}
	if p.kinds[key] == nil {
		first := key
		first.Said = said
		p.kinds[key] = &first
	}
	p.kinds[key].Count++
}

func (p *problems) list() []Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []Problem{}
	for _, kind := range p.kinds {
		list = append(list, *kind)
	}
	slices.SortFunc(list, func(a, b Problem) int { return cmp.Compare(b.Count, a.Count) })
	return list
}
