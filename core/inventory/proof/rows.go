package proof

import (
	"cmp"
	"slices"
)

// checkRows goes through each row's commits in the order of their numbers, once.
func (p *prover) checkRows() {
	commits := p.check("commits", "commit numbers without gap, units as the row says, within capacity")
	realTime := p.check("real time", "who was answered before another asked has the smaller commit number")
	for _, r := range p.sortedRows() {
		p.order(r, commits)
		if !r.partial {
			p.count(r, commits)
		}
		p.time(r, realTime)
		p.checked += int64(len(r.commits))
	}
}

// order sorts a row's commits. Two with the same number are wrong, and the second is left out.
func (p *prover) order(r *row, check *Check) {
	for version, attempts := range r.slot {
		var first *commit
		for _, c := range attempts {
			switch {
			case !c.happened():
			case first == nil:
				first = c
			default:
				check.wrong("%s: two commits have the number %d: %s and %s", r.key, version, first.name(), c.name())
				p.suspect(suspect{row: r, near: version, why: "two commits have one number"})
			}
		}
		if first != nil {
			r.commits = append(r.commits, first)
		}
	}
	slices.SortFunc(r.commits, func(a, b *commit) int { return cmp.Compare(a.version(r), b.version(r)) })
	for i, c := range r.commits {
		c.state[r] = i
	}
}

// count replays the units of a row.
func (p *prover) count(r *row, check *Check) {
	if len(r.commits) == 0 {
		return
	}
	here := func(c *commit) at {
		for _, a := range c.rows {
			if a.row == r {
				return a
			}
		}
		return at{}
	}
	first := here(r.commits[0])
	r.base, r.baseVersion = first.taken-delta(r.commits[0], r), first.version-1
	if r.baseVersion == 0 && r.base != 0 {
		check.wrong("%s: %d were taken before the first commit (%s)", r.key, r.base, r.commits[0].name())
		r.base = 0
	}
	taken, version, capacity := r.base, r.baseVersion, first.capacity
	r.taken, r.left = []int64{taken}, []int64{capacity - taken}
	for _, c := range r.commits {
		a := here(c)
		check.Checked++
		wrong := func(format string, args ...any) {
			check.wrong(format, args...)
			p.suspect(suspect{row: r, near: a.version, why: check.Details[len(check.Details)-1]})
		}
		// A number that nobody recorded may be a change of the event file, which moves capacity and takes nothing.
		if a.version != version+1 && !(a.capacity != capacity && a.taken-delta(c, r) == taken) {
			wrong("%s: nothing recorded has the numbers %d to %d, before %s%s", r.key, version+1, a.version-1, c.name(), r.denied(version+1))
		}
		took, gave := moved(c, r)
		peak := taken + took
		taken += took - gave
		switch {
		case taken < 0 || taken > a.capacity:
			wrong("%s: %d of %d taken after commit %d (%s)", r.key, taken, a.capacity, a.version, c.name())
		case taken != a.taken:
			wrong("%s: the row says that %d are taken after commit %d (%s), the operations up to it have taken %d", r.key, a.taken, a.version, c.name(), taken)
		}
		taken, version, capacity = a.taken, a.version, a.capacity
		r.capacities = append(r.capacities, capacity)
		r.taken, r.left = append(r.taken, taken), append(r.left, capacity-peak, capacity-taken)
	}
	r.capacity = capacity
	r.lowest = [][]int64{r.left}
	for width := 2; width <= len(r.left); width *= 2 {
		below := r.lowest[len(r.lowest)-1]
		next := make([]int64, len(below)-width/2)
		for i := range next {
			next[i] = min(below[i], below[i+width/2])
		}
		r.lowest = append(r.lowest, next)
	}
}

// denied names an attempt of which its process said that it was undone, and that would have had a missing number.
func (r *row) denied(version int64) string {
	for _, c := range r.slot[version] {
		if c.fate == undone {
			return "; " + c.name() + " said that it was undone"
		}
	}
	return ""
}

// time compares the order of the numbers with real time, and narrows when each commit can have been.
func (p *prover) time(r *row, check *Check) {
	n := len(r.commits)
	r.earliest, r.latest = make([]int64, n), make([]int64, n)
	last, by := int64(0), (*commit)(nil)
	for i, c := range r.commits {
		check.Checked++
		switch {
		case c.from > c.to:
			check.wrong("%s: commit %d (%s) was answered before it was asked for or attempted", r.key, c.version(r), c.name())
			p.suspect(suspect{row: r, near: c.version(r), why: "answered before it was asked for"})
		case last > c.to:
			check.wrong("%s: commit %d (%s) was answered before %s asked, which has the smaller number %d", r.key, c.version(r), c.name(), by.name(), by.version(r))
			p.suspect(suspect{row: r, near: c.version(r), why: "a commit that was answered earlier has a greater number"})
		}
		if c.from > last {
			last, by = c.from, c
		}
		r.earliest[i] = last
	}
	next := int64(forever)
	for i := n - 1; i >= 0; i-- {
		next = min(next, r.commits[i].to)
		r.latest[i] = next
	}
}

// states are the states that a row can have had between two moments, first and last.
func (r *row) states(from, to int64) (first, last int) {
	// State i ends at latest[i] and begins at earliest[i-1]; both grow with i.
	first, _ = slices.BinarySearch(r.latest, from)
	last, _ = slices.BinarySearchFunc(r.earliest, to, func(earliest, to int64) int {
		if earliest <= to {
			return -1
		}
		return 1
	})
	return first, max(first, last)
}

// least is the least that was left in any of the states first to last, or on the way from one to the next.
func (r *row) least(first, last int) int64 {
	first, last = 2*first, 2*last
	n := 0
	for 2<<n <= last-first+1 {
		n++
	}
	return min(r.lowest[n][first], r.lowest[n][last-(1<<n)+1])
}
