package seating

import "math/bits"

// Free is which seats of a chart can be had, of one allocation.
type Free struct {
	chart    *Chart
	all      []uint64 // bits of all rows, see row.first
	ordinary []uint64 // those of ordinary seats among them
	rows     []rowFree
	left     map[string]int // ordinary seats at no table, by tier
	undo     []Place        // places changed since Mark, while marked
	marked   bool
	gaps     [][]gap           // runs of ordinary seats by section; nil when they have to be looked for anew
	spare    []gap             // room for those of every kind
	refused  map[Wish]*Refusal // as long as nothing changes
	advice   map[Wish]Allow    // as far as worked out since Mark
}

// rowFree is what is known of a row's bits.
type rowFree struct {
	seats   int32 // free ones
	longest int32 // run of ordinary seats; −1 when it has to be counted anew
}

// NewFree knows of no free seat yet.
func NewFree(c *Chart) *Free {
	return &Free{
		chart: c, all: make([]uint64, c.words), ordinary: make([]uint64, c.words), rows: make([]rowFree, len(c.rows)),
		left: make(map[string]int), gaps: make([][]gap, len(c.sections)), refused: make(map[Wish]*Refusal), advice: make(map[Wish]Allow),
	}
}

// Put makes a seat free, Take makes it not. Either says whether that changed anything.
func (f *Free) Put(p Place) bool { return f.set(p, true) }

// Take is the opposite of Put.
func (f *Free) Take(p Place) bool { return f.set(p, false) }

// Has tells whether a seat is free.
func (f *Free) Has(p Place) bool {
	return f.all[f.chart.rows[p.row].first+int(p.bit)/64]>>(p.bit%64)&1 == 1
}

func (f *Free) set(p Place, free bool) bool {
	if f.Has(p) == free {
		return false
	}
	if len(f.refused) > 0 {
		clear(f.refused)
	}
	r := &f.chart.rows[p.row]
	word, mask, change := r.first+int(p.bit)/64, uint64(1)<<(p.bit%64), 1
	if !free {
		change = -1
	}
	f.all[word] ^= mask
	f.rows[p.row].seats += int32(change)
	if r.uses[p.bit] == Ordinary {
		f.ordinary[word] ^= mask
		f.rows[p.row].longest = -1
		f.gaps[r.section] = nil
		if !r.table {
			f.left[f.chart.sections[r.section].tier] += change
		}
	}
	if f.marked {
		f.undo = append(f.undo, p)
	}
	return true
}

// Mark begins a trial: Undo takes back what was put and taken since.
func (f *Free) Mark() {
	f.undo, f.marked = f.undo[:0], true
	clear(f.advice)
}

// Undo ends a trial and restores what was there before.
func (f *Free) Undo() {
	f.marked = false
	for i := len(f.undo) - 1; i >= 0; i-- {
		f.set(f.undo[i], !f.Has(f.undo[i]))
	}
	f.undo = f.undo[:0]
}

// ClearTier makes no seat of a tier free. It is no part of a trial.
func (f *Free) ClearTier(tier string) {
	for _, n := range f.chart.byTier[tier] {
		for i := f.chart.sections[n].first; i < f.chart.sections[n].last; i++ {
			clear(f.of(f.all, i))
			clear(f.of(f.ordinary, i))
			f.rows[i] = rowFree{}
		}
		f.gaps[n] = nil
	}
	delete(f.left, tier)
	clear(f.refused)
}

// of is a row's part of the bits.
func (f *Free) of(words []uint64, n int) []uint64 {
	r := &f.chart.rows[n]
	return words[r.first : r.first+r.words]
}

// longest is the length of a row's longest run of ordinary seats.
func (f *Free) longest(n int) int {
	if f.rows[n].longest < 0 {
		longest := 0
		for start, length := run(f.of(f.ordinary, n), 0); length > 0; start, length = run(f.of(f.ordinary, n), start+length) {
			longest = max(longest, length)
		}
		f.rows[n].longest = int32(longest)
	}
	return int(f.rows[n].longest)
}

// run is the first run of set bits at or after from; its length is 0 when there is none.
func run(words []uint64, from int) (start, length int) {
	w := from / 64
	if w >= len(words) {
		return 0, 0
	}
	word := words[w] >> (from % 64) << (from % 64)
	for word == 0 {
		if w++; w == len(words) {
			return 0, 0
		}
		word = words[w]
	}
	start = w*64 + bits.TrailingZeros64(word)
	// The run goes on as long as the next word is full up to its end.
	end := start
	for {
		ones := bits.TrailingZeros64(^(words[w] >> (end % 64)))
		end += ones
		if end%64 != 0 || ones == 0 {
			return start, end - start
		}
		if w++; w == len(words) {
			return start, end - start
		}
	}
}

// has tells whether a bit is set; bits beyond either end are not.
func has(words []uint64, bit int) bool {
	return bit >= 0 && bit < len(words)*64 && words[bit/64]>>(bit%64)&1 == 1
}
