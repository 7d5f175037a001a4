package proof

import (
	"cmp"
	"container/heap"
	"slices"
)

// ready are commits whose predecessors in every row are placed, the one that began first on top.
type ready []*commit

func (r ready) Len() int           { return len(r) }
func (r ready) Less(i, j int) bool { return r[i].from < r[j].from }
func (r ready) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *ready) Push(x any)        { *r = append(*r, x.(*commit)) }
func (r *ready) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// checkOrder looks for one order of all commits, over all rows, that agrees with the numbers of every row and with real
// time: transactions that touch several rows must not see them in different orders.
//
// It places one commit after the other. One may be placed when its predecessors in its rows are and nobody who was
// answered before it began is left. If no commit may, there is no such order.
func (p *prover) checkOrder() {
	check := p.check("one order", "all commits fit into one order that agrees with every row and with real time")
	var all []*commit
	waits := make(map[*commit]int)
	var can ready
	for _, c := range p.attempts {
		if !c.happened() || c.from > c.to || len(c.state) < len(c.rows) {
			continue // not at all, or reported before
		}
		all = append(all, c)
	}
	in := make(map[*commit]bool, len(all))
	for _, c := range all {
		in[c] = true
	}
	next := func(c *commit) (after []*commit) {
		for r, i := range c.state {
			if i+1 < len(r.commits) && in[r.commits[i+1]] {
				after = append(after, r.commits[i+1])
			}
		}
		return after
	}
	for _, c := range all {
		for _, after := range next(c) {
			waits[after]++
		}
	}
	for _, c := range all {
		if waits[c] == 0 {
			can = append(can, c)
		}
	}
	heap.Init(&can)
	answered := slices.Clone(all)
	slices.SortFunc(answered, func(a, b *commit) int { return cmp.Compare(a.to, b.to) })
	placed := make(map[*commit]bool, len(all))
	first := 0 // of answered that is not placed
	for can.Len() > 0 {
		c := heap.Pop(&can).(*commit)
		for first < len(answered) && placed[answered[first]] {
			first++
		}
		if early := answered[first]; early.to < c.from {
			check.wrong("%s was answered before %s began, and yet comes after it in the order of their rows", early.name(), c.name())
			p.suspectCommit(early, "the rows' orders do not fit together")
		}
		placed[c] = true
		check.Checked++
		for _, after := range next(c) {
			if waits[after]--; waits[after] == 0 {
				heap.Push(&can, after)
			}
		}
	}
	if left := len(all) - len(placed); left > 0 {
		for _, c := range all {
			if !placed[c] {
				check.wrong("%d commits are in a circle: rows order them differently; %s is one", left, c.name())
				p.suspectCommit(c, "rows order commits differently")
				break
			}
		}
	}
	p.checked += check.Checked
}

func (p *prover) suspectCommit(c *commit, why string) {
	if len(c.rows) > 0 {
		p.suspect(suspect{row: c.rows[0].row, near: c.rows[0].version, why: why})
	}
}
