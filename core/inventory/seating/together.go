package seating

import "slices"

// together is the nearest block for the whole party in the sections.
func (s *search) together(sections []int, strict bool) ([]block, bool) {
	best, found := block{}, false
	for _, n := range sections {
		for _, i := range s.f.chart.sections[n].near {
			if found && s.w.Quantity*s.f.chart.rows[i].depth > best.distance {
				break // the rows that follow are farther still
			}
			b, ok := s.inRow(i, strict)
			if ok && (!found || b.before(best)) {
				best, found = b, true
			}
		}
	}
	return []block{best}, found
}

// before orders blocks for one party: by orphans, distance, row, number.
func (b block) before(other block) bool {
	switch {
	case b.orphans != other.orphans:
		return b.orphans < other.orphans
	case b.distance != other.distance:
		return b.distance < other.distance
	case b.row != other.row:
		return b.row < other.row
	default:
		return b.start < other.start
	}
}

// inRow is the best block of one row.
func (s *search) inRow(i int, strict bool) (block, bool) {
	r := &s.f.chart.rows[i]
	size := s.w.Quantity
	if r.table || int(s.f.rows[i].seats) < size {
		return block{}, false
	}
	if s.w.Accessible > 0 {
		return s.withNeeds(i, size, s.w.Accessible, s.w.Companions, strict, nil)
	}
	bits := s.bits(i)
	if !s.spare && s.f.longest(i) < size {
		return block{}, false
	}
	best, found := block{}, false
	for start, length := run(bits, 0); length > 0; start, length = run(bits, start+length) {
		if length < size {
			continue
		}
		b := s.inRun(i, start, length, size)
		if (b.orphans == 0 || !strict) && (!found || b.before(best)) {
			best, found = b, true
		}
	}
	return best, found
}

// bits are the seats of a row that a party without need may have.
func (s *search) bits(i int) []uint64 {
	if s.spare {
		all := s.f.of(s.f.all, i)
		if r := &s.f.chart.rows[i]; s.w.KeepCompanions && r.needs {
			all = slices.Clone(all)
			for bit, use := range r.uses {
				if use == Companion {
					all[bit/64] &^= 1 << (bit % 64)
				}
			}
		}
		return all
	}
	return s.f.of(s.f.ordinary, i)
}

// inRun is the best block in a run of free seats: fewest orphans, then nearest. The distance is convex in the offset and
// only two offsets leave orphans where others do not, so that the offsets around the ideal one and the two ends are all
// there is to look at.
func (s *search) inRun(i, start, length, size int) block {
	r := &s.f.chart.rows[i]
	room := length - size
	ideal := floorHalf(s.f.chart.sections[r.section].focus-(size-1)) - r.numbers[start]
	best, found := block{}, false
	look := func(offset int) {
		if offset < 0 || offset > room {
			return
		}
		b := block{row: i, start: start + offset, size: size, distance: s.distance(i, start+offset, size)}
		if offset == 1 {
			b.orphans++
		}
		if room-offset == 1 {
			b.orphans++
		}
		if !found || b.before(best) {
			best, found = b, true
		}
	}
	look(0)
	for offset := ideal - 2; offset <= ideal+3; offset++ {
		look(offset)
	}
	look(room)
	return best
}

// floorHalf is x/2 rounded down, for negative x too.
func floorHalf(x int) int { return x >> 1 }

// distance is the sum of squares over the seats of a block, see the package comment.
func (s *search) distance(i, start, size int) int {
	r := &s.f.chart.rows[i]
	a := 2*r.numbers[start] - s.f.chart.sections[r.section].focus
	// Σ (a + 2k)² for k below size
	return size*r.depth + size*a*a + 2*a*size*(size-1) + 4*((size-1)*size*(2*size-1)/6)
}

// withNeeds is the best block of a row with exactly so many accessible seats and companions beside them. Seats of taken
// are not free any more.
func (s *search) withNeeds(i, size, accessible, companions int, strict bool, taken map[Place]bool) (block, bool) {
	r := &s.f.chart.rows[i]
	if !r.needs || r.table || int(s.f.rows[i].seats) < size {
		return block{}, false
	}
	all, ordinary := s.f.of(s.f.all, i), s.f.of(s.f.ordinary, i)
	best, found := block{}, false
	for start := 0; start+size <= len(r.numbers); start++ {
		if !s.serves(i, start, size, accessible, companions, all, taken) {
			continue
		}
		end := start + size
		b := block{row: i, start: start, size: size, distance: s.distance(i, start, size)}
		if has(ordinary, start) && has(ordinary, start-1) && !has(ordinary, start-2) {
			b.orphans++
		}
		if has(ordinary, end-1) && has(ordinary, end) && !has(ordinary, end+1) {
			b.orphans++
		}
		if (b.orphans == 0 || !strict) && (!found || b.before(best)) {
			best, found = b, true
		}
	}
	return best, found
}

// serves tells whether a block is free and has exactly the accessible seats and companions asked for, each companion
// beside an accessible seat or another companion of it.
func (s *search) serves(i, start, size, accessible, companions int, all []uint64, taken map[Place]bool) bool {
	uses := s.f.chart.rows[i].uses
	near := false // a seat back to which only companions lead is accessible
	waiting := 0  // companions since, whose accessible seat would have to follow
	for bit := start; bit < start+size; bit++ {
		if !has(all, bit) || taken[Place{int32(i), int32(bit)}] {
			return false
		}
		switch uses[bit] {
		case Accessible:
			accessible--
			near, waiting = true, 0
		case Companion:
			companions--
			if !near {
				waiting++
			}
		case Ordinary:
			if waiting > 0 {
				return false
			}
			near = false
		}
	}
	return accessible == 0 && companions == 0 && waiting == 0
}
