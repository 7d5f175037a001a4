package seating

import (
	"cmp"
	"slices"
)

// effort is what a split costs, the most important first.
type effort struct{ orphans, pieces, alone, distance int }

func (e effort) less(other effort) bool {
	return cmp.Or(cmp.Compare(e.orphans, other.orphans), cmp.Compare(e.pieces, other.pieces),
		cmp.Compare(e.alone, other.alone), cmp.Compare(e.distance, other.distance)) < 0
}

// gap is a run of free seats.
type gap struct{ row, start, length int }

// divide splits the party over the sections: who has needs first, with their companions, then the rest.
func (s *search) divide(sections []int, strict bool) ([]block, effort, bool) {
	var blocks []block
	if s.w.Accessible > 0 {
		var ok bool
		if blocks, ok = s.needs(sections); !ok {
			return nil, effort{}, false
		}
	}
	rest, ok := s.pieces(sections, s.w.Quantity-s.sitting, strict)
	if !ok {
		return nil, effort{}, false
	}
	blocks = append(blocks, rest...)
	cost := effort{pieces: len(blocks)}
	for _, b := range blocks {
		cost.orphans += b.orphans
		cost.distance += b.distance
		if b.size == 1 {
			cost.alone++
		}
	}
	return blocks, cost, true
}

// needs seats those in accessible seats with their companions: in one block, else in one for each accessible seat, those
// with most companions first.
func (s *search) needs(sections []int) ([]block, bool) {
	seat := func(accessible, companions int, taken map[Place]bool) (block, bool) {
		best, found := block{}, false
		for _, n := range sections {
			for _, i := range s.f.chart.sections[n].near {
				b, ok := s.withNeeds(i, accessible+companions, accessible, companions, true, taken)
				if ok && (!found || b.before(best)) {
					best, found = b, true
				}
			}
		}
		return best, found
	}
	if b, ok := seat(s.w.Accessible, s.w.Companions, nil); ok {
		return []block{b}, true
	}
	taken := make(map[Place]bool, s.sitting)
	var blocks []block
	for n := range s.w.Accessible {
		// An even share of the companions, the larger shares first.
		with := (s.w.Companions + s.w.Accessible - 1 - n) / s.w.Accessible
		b, ok := seat(1, with, taken)
		if !ok {
			return nil, false
		}
		for k := range b.size {
			taken[Place{int32(b.row), int32(b.start + k)}] = true
		}
		blocks = append(blocks, b)
	}
	return blocks, true
}

// pieces seats so many people without need in as few orphans and pieces as can be.
func (s *search) pieces(sections []int, people int, strict bool) ([]block, bool) {
	if people == 0 {
		return nil, true
	}
	counts, seats := make([]int, people+3), 0 // gaps by length; from people+2 on all lengths are alike
	for _, n := range sections {
		for _, g := range s.gaps(n) {
			counts[min(g.length, people+2)]++
			seats += g.length
		}
	}
	if seats < people {
		return nil, false
	}
	cuts, ok := cut(counts, people, strict)
	if !ok {
		return nil, false
	}
	blocks := make([]block, 0, len(cuts))
	used := make(map[gap]bool, len(cuts))
	for _, c := range cuts {
		best, in, found := block{}, gap{}, false
		for _, n := range sections {
			for _, g := range s.gaps(n) {
				if min(g.length, people+2) != c.length || used[g] {
					continue
				}
				if b := s.inRun(g.row, g.start, g.length, c.size); !found || b.before(best) {
					best, in, found = b, g, true
				}
			}
		}
		used[in] = true
		blocks = append(blocks, best)
	}
	return blocks, true
}

// gaps lists the runs of free seats of a section, from memory unless one of its seats has changed.
func (s *search) gaps(n int) []gap {
	if !s.spare && s.f.gaps[n] != nil {
		return s.f.gaps[n]
	}
	found := []gap{}
	if s.spare {
		found = s.f.spare[:0]
	}
	for i := s.f.chart.sections[n].first; i < s.f.chart.sections[n].last; i++ {
		if s.f.chart.rows[i].table || s.f.rows[i].seats == 0 {
			continue
		}
		bits := s.bits(i)
		for start, length := run(bits, 0); length > 0; start, length = run(bits, start+length) {
			found = append(found, gap{row: i, start: start, length: length})
		}
	}
	if s.spare {
		s.f.spare = found
	} else {
		s.f.gaps[n] = found
	}
	return found
}

// piece is so many people in a gap of so many seats.
type piece struct{ length, size int }

// impossible is above every price.
const impossible = 1 << 60

// price puts the cost of one piece into one number: orphans, then pieces, then people alone.
func price(length, size int) int {
	n := 1 << 20
	if length-size == 1 {
		n += 1 << 40
	}
	if size == 1 {
		n++
	}
	return n
}

// cut finds the cheapest way to seat people in gaps, of which there are counts by length, at most one piece in each. It is
// a knapsack over the gaps. Of one length no more are looked at than could be filled, and three to be filled in part:
// with more of those, people could move together. The largest pieces come first.
func cut(counts []int, people int, strict bool) ([]piece, bool) {
	best := make([]int, people+1) // price of seating so many with the gaps so far
	for n := 1; n <= people; n++ {
		best[n] = impossible
	}
	type choice struct {
		length int
		sizes  []int8 // by people: size of the piece that this gap takes
	}
	rounds := 0
	for length := 1; length < len(counts); length++ {
		rounds += min(counts[length], people/length+3)
	}
	choices := make([]choice, 0, rounds)
	sheet := make([]int8, rounds*(people+1))
	for length := len(counts) - 1; length > 0; length-- {
		for range min(counts[length], people/length+3) {
			sizes := sheet[:people+1]
			sheet = sheet[people+1:]
			for n := people; n > 0; n-- {
				for size := 1; size <= min(length, n); size++ {
					if strict && length-size == 1 || best[n-size] == impossible {
						continue
					}
					if p := best[n-size] + price(length, size); p < best[n] {
						best[n], sizes[n] = p, int8(size)
					}
				}
			}
			choices = append(choices, choice{length, sizes})
		}
	}
	if best[people] == impossible {
		return nil, false
	}
	var cuts []piece
	for k, n := len(choices)-1, people; n > 0; k-- {
		if size := int(choices[k].sizes[n]); size > 0 {
			cuts = append(cuts, piece{choices[k].length, size})
			n -= size
		}
	}
	slices.SortFunc(cuts, func(a, b piece) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(b.length, a.length)) })
	return cuts, true
}
