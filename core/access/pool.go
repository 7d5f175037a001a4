package access

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"fairgate/edge/lottery"
)

// errPoolDiffers means the pool in memory does not have the root the database committed. Nobody is admitted from it.
var errPoolDiffers = errors.New("the pool in memory differs from the committed root")

// record is what memory keeps of an entrant: some 100 bytes with its share of the index.
type record struct {
	Entry
	block uint32
	drawn bool
	value uint64 // once drawn
}

// place is where the draw put the entrant; meaningful once drawn.
func (r *record) place() lottery.Place {
	return lottery.Place{Window: r.Window, Band: r.Band, Value: r.value}
}

// sealed is a window whose draw is committed.
type sealed struct {
	number             uint32
	root, secret, seed [32]byte
	beacon             []byte
	entrants           int
	blocks             uint64 // pool blocks there were when it was sealed
	order              []lottery.Drawn

	summary      []lottery.BandSummary // of order, see pool.summaries
	summaryLimit int
}

// blockHead is what receipts of a block say.
type blockHead struct {
	keyNo uint32
	at    time.Time
}

// pool is one on-sale's acknowledged entrants. It only holds what is committed: blocks are applied in order of their
// number, so that all cores reach the same pool, each at its own pace.
//
// Any goroutine may read and apply; mu guards all fields but generation.
type pool struct {
	generation uint32

	mu       sync.RWMutex
	heads    []blockHead // by block number: its length is the number of blocks applied
	index    map[lottery.Entrant]uint32
	records  []record
	networks map[[8]byte]int     // entrants of each network
	open     map[uint32][]uint32 // records of each window that is not sealed
	sealed   []sealed            // in order of their number
	drawn    int                 // entrants of sealed windows
}

func newPool(generation uint32) *pool {
	return &pool{
		generation: generation,
		index:      make(map[lottery.Entrant]uint32),
		networks:   make(map[[8]byte]int),
		open:       make(map[uint32][]uint32),
	}
}

// blocks is how many blocks have been applied: the number of the next.
func (p *pool) blocks() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return uint64(len(p.heads))
}

// apply adds committed blocks, the first of which has number first. Blocks applied before are skipped; a gap is an error.
func (p *pool) apply(first uint64, blocks []block) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range blocks {
		number := first + uint64(i)
		if number < uint64(len(p.heads)) {
			continue
		}
		if number > uint64(len(p.heads)) {
			return fmt.Errorf("block %d came when %d were known", number, len(p.heads))
		}
		p.heads = append(p.heads, blockHead{b.keyNo, b.at})
		for _, e := range b.entries {
			if _, known := p.index[e.Entrant]; known {
				continue // cannot happen; the first would count
			}
			at := uint32(len(p.records))
			p.index[e.Entrant] = at
			p.records = append(p.records, record{Entry: e, block: uint32(number)})
			p.networks[e.Network]++
			p.open[e.Window] = append(p.open[e.Window], at)
		}
	}
	return nil
}

// find is the record of an entrant.
func (p *pool) find(e lottery.Entrant) (record, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	at, known := p.index[e]
	if !known {
		return record{}, false
	}
	return p.records[at], true
}

// head is what the receipts of a block say.
func (p *pool) head(block uint32) blockHead {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.heads[block]
}

// leaves are the leaves of a window that is not sealed here yet.
func (p *pool) leaves(window uint32) []lottery.Leaf {
	p.mu.RLock()
	defer p.mu.RUnlock()
	at := p.open[window]
	leaves := make([]lottery.Leaf, len(at))
	for i, n := range at {
		e := &p.records[n]
		leaves[i] = lottery.Leaf{Entrant: e.Entrant, Band: e.Band, Reason: e.Reason}
	}
	return leaves
}

// seal draws a window as the database committed it. All its blocks must have been applied. A window sealed here before
// is left alone. One goroutine seals at a time: that which holds onSale.reading.
func (p *pool) seal(w sealed) error {
	if last, any := p.lastSealed(); any && w.number <= last {
		return nil
	}
	if known := p.blocks(); known < w.blocks {
		return fmt.Errorf("window %d was sealed over %d blocks, %d are known", w.number, w.blocks, known)
	}
	leaves := p.leaves(w.number) // nothing is added to a sealed window, so they stay as they are
	if len(leaves) != w.entrants || lottery.Root(leaves) != w.root {
		return fmt.Errorf("%w: window %d has %d entrants here and %d there", errPoolDiffers, w.number, len(leaves), w.entrants)
	}
	w.order = lottery.Order(w.seed, w.number, leaves)

	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range w.order {
		r := &p.records[p.index[d.Entrant]]
		r.drawn, r.value = true, d.Value
	}
	delete(p.open, w.number)
	p.sealed = append(p.sealed, w)
	p.drawn += w.entrants
	return nil
}

func (p *pool) lastSealed() (uint32, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.sealed) == 0 {
		return 0, false
	}
	return p.sealed[len(p.sealed)-1].number, true
}

// counts are the entrants there are and those of them that have been drawn.
func (p *pool) counts() (joined, drawn int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.records), p.drawn
}

// nextWaiting is the lowest window from next on that has entrants and is not sealed.
func (p *pool) nextWaiting(next uint32) (window uint32, any bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for w, at := range p.open {
		if len(at) > 0 && w >= next && (!any || w < window) {
			window, any = w, true
		}
	}
	return window, any
}

// advance is the cursor for calling so many more after the first called, and how many that calls in all. Entrants who
// share a place, one chance in 2^64 a pair, are called together.
func (p *pool) advance(called, more int) (lottery.Place, int, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	target := min(called+more, p.drawn)
	if more <= 0 || target <= called {
		return lottery.Place{}, called, false
	}
	before := 0
	for i := range p.sealed {
		w := &p.sealed[i]
		if target > before+len(w.order) {
			before += len(w.order)
			continue
		}
		at := target - before - 1
		place := w.order[at].Place()
		for at+1 < len(w.order) && w.order[at+1].Place() == place {
			at++
		}
		return place, before + at + 1, true
	}
	return lottery.Place{}, called, false
}

// windowView is what the state object tells of a window.
type windowView struct {
	number             uint32
	sealed             bool
	entrants           int
	bands              []lottery.BandSummary
	root, secret, seed [32]byte
}

// minQuantiles is how many quantiles even a small window among large ones gets.
const minQuantiles = 8

// view tells of window 0 and of every window that has entrants, in order. closed is the root of window 0 while that waits for
// its beacon, or nil. The windows that are not wholly called share
// the quantiles by their size; the others keep one each, since nobody in them still wants to know a place.
func (p *pool) view(called, quantiles int, closed *[32]byte) []windowView {
	p.mu.Lock() // for the summaries it may have to make
	defer p.mu.Unlock()
	var views []windowView
	waiting := 0 // entrants of windows that are not wholly called
	for i, before := 0, 0; i < len(p.sealed); i++ {
		before += p.sealed[i].entrants
		if before > called {
			waiting += p.sealed[i].entrants
		}
	}
	before := 0
	for i := range p.sealed {
		w := &p.sealed[i]
		before += w.entrants
		if w.entrants == 0 && w.number > 0 {
			continue
		}
		limit := 0
		if before > called {
			limit = max(minQuantiles, int(int64(quantiles)*int64(w.entrants)/int64(waiting)))
		}
		if w.summary == nil || w.summaryLimit != limit {
			w.summary, w.summaryLimit = lottery.Summarize(w.order, limit), limit
		}
		views = append(views, windowView{
			number: w.number, sealed: true, entrants: w.entrants, bands: w.summary, root: w.root, secret: w.secret, seed: w.seed,
		})
	}
	var open []uint32
	for number, at := range p.open {
		if len(at) > 0 {
			open = append(open, number)
		}
	}
	slices.Sort(open)
	if len(p.sealed) == 0 && (len(open) == 0 || open[0] != 0) {
		open = append([]uint32{0}, open...)
	}
	for _, number := range open {
		view := windowView{number: number, entrants: len(p.open[number])}
		if number == 0 && closed != nil {
			view.root = *closed
		}
		views = append(views, view)
	}
	return views
}
