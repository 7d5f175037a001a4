package proof

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"fairgate/core/inventory/history"
)

// sliceOps is how many operations a slice of a stock row has at most.
const sliceOps = 1000

// stockInput is a commit with all its operations, or a refusal.
type stockInput struct {
	refusal    bool
	units      int64 // of a refusal: more than were left
	took, gave int64 // of a commit
	at         int64 // response of a commit, invocation of a refusal
	name       string
}

// stockState is what is taken, the most that was while the last commit was decided, and when that was answered: a refusal
// that was asked for earlier may have been decided with it.
type stockState struct{ taken, peak, until int64 }

// stockModel is a stock row. A transaction is one step, whatever order its operations were decided in.
func stockModel(taken, capacity int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return stockState{taken: taken, peak: taken} },
		Step: func(state, input, _ any) (bool, any) {
			at, in := state.(stockState), input.(stockInput)
			if in.refusal {
				return capacity-at.taken < in.units || capacity-at.peak < in.units && in.at <= at.until, at
			}
			next := stockState{at.taken + in.took - in.gave, at.taken + in.took, in.at}
			return next.taken >= 0 && next.taken <= capacity, next
		},
		DescribeOperation: func(input, _ any) string { return input.(stockInput).name },
		DescribeState:     func(state any) string { return fmt.Sprintf("%d of %d", state.(stockState).taken, capacity) },
	}
}

// slice is the history of a row from one commit up to another, as porcupine sees it: without the numbers. It also tells
// how many operations that is.
func (p *prover) slice(r *row, from, to int, refused []said) (one piece, operations int64) {
	one.model = stockModel(r.taken[from], r.capacities[from])
	for i := from; i < to; i++ {
		c := r.commits[i]
		in := stockInput{}
		in.took, in.gave = moved(c, r)
		in.name = fmt.Sprintf("commit %d: +%d -%d (%s)", c.version(r), in.took, in.gave, c.name())
		in.at = max(c.from, min(c.to, r.latest[to-1]))
		one.ops = append(one.ops, porcupine.Operation{Input: in, Call: c.from, Return: in.at})
		operations += int64(len(c.call.Ops))
	}
	// Refusals of one call, for the same reason, are one step.
	type reason struct {
		call  *history.Call
		units int64
	}
	seen := make(map[reason]bool)
	for _, s := range refused {
		units, _ := p.wanted(s.op)
		why := reason{s.call, units[r]}
		if s.op.Code == "sold_out" {
			why.units = 1
		}
		if operations++; !seen[why] {
			in := stockInput{refusal: true, units: why.units, at: s.call.From, name: fmt.Sprintf("%s: fewer than %d left (%s)", s.op.Code, why.units, where(s.call))}
			one.ops = append(one.ops, porcupine.Operation{Input: in, Call: s.call.From, Return: s.call.To})
			seen[why] = true
		}
		if operations >= sliceOps {
			break
		}
	}
	return one, operations
}

// cuts are where the slices of a row begin, and its end. A slice has one capacity.
func (r *row) cuts() []int {
	at, ops := []int{0}, 0
	for i, c := range r.commits {
		resized := i > 0 && r.capacities[i] != r.capacities[i-1]
		if n := len(c.call.Ops); ops+n > sliceOps*3/4 && ops > 0 || resized { // a quarter is left for refusals
			at, ops = append(at, i), 0
		}
		ops += len(c.call.Ops)
	}
	return append(at, len(r.commits))
}

// sortedRefusals are the refusals that rest on one row alone and on nothing from memory, by row, in order of their beginning.
func (p *prover) sortedRefusals() map[*row][]said {
	byRow := make(map[*row][]said)
	for _, s := range p.refusals {
		fresh := s.op.Code == "not_enough_left" || s.op.Code == "sold_out" && s.call.Side == history.Core && !s.op.Memory
		if units, known := p.wanted(s.op); fresh && known && len(units) == 1 && s.call.To != 0 {
			for r := range units {
				byRow[r] = append(byRow[r], s)
			}
		}
	}
	for _, all := range byRow {
		slices.SortFunc(all, func(a, b said) int { return cmp.Compare(a.call.From, b.call.From) })
	}
	return byRow
}

// within are the refusals that can only have seen states of a slice.
func (r *row) within(all []said, from, to int) []said {
	first, _ := slices.BinarySearchFunc(all, r.latest[from], func(s said, t int64) int { return cmp.Compare(s.call.From, t) })
	var found []said
	for _, s := range all[first:] {
		if s.call.From > r.latest[to-1] || len(found) == sliceOps {
			break
		}
		mayBe := slices.ContainsFunc(r.open, func(c *commit) bool { return c.from <= s.call.To })
		if !mayBe && (to == len(r.commits) || s.call.To < r.earliest[to]) {
			found = append(found, s)
		}
	}
	return found
}

// checkSlices has porcupine judge slices of the stock rows.
func (p *prover) checkSlices() {
	check := p.check("slices", fmt.Sprintf("slices of up to %d operations of each stock row are linearizable (porcupine)", sliceOps))
	refused := p.sortedRefusals()
	var pieces []piece
	var of []suspect
	var operations []int64
	for _, r := range p.sortedRows() {
		if r.partial || len(r.commits) == 0 {
			continue
		}
		cuts := r.cuts()
		for i := range len(cuts) - 1 {
			one, n := p.slice(r, cuts[i], cuts[i+1], r.within(refused[r], cuts[i], cuts[i+1]))
			pieces, operations = append(pieces, one), append(operations, n)
			of = append(of, suspect{row: r, near: r.commits[cuts[i]].version(r), why: "no order of the operations makes sense"})
		}
	}
	for i, result := range judge(pieces, p.o.Slices) {
		if result == porcupine.Unknown {
			check.Undecided += operations[i]
			continue
		}
		check.Checked += operations[i]
		if result == porcupine.Illegal {
			check.wrong("%s: no order of the operations from commit %d on makes sense", of[i].row.key, of[i].near)
			p.suspect(of[i])
		}
	}
	p.checked += check.Checked
}

// Of the page: how many commits are shown before and after what is wrong, and how long porcupine looks at them.
const (
	shownBefore = 8
	shownAfter  = 8
	showWithin  = 5 * time.Second
)

// visualize writes a page that shows the neighbourhood of the first thing that is wrong.
func (p *prover) visualize(path string) error {
	if len(p.suspects) == 0 {
		return nil
	}
	s := p.suspects[0]
	var one piece
	if s.row == nil {
		for _, one = range p.pieces(s.seat, p.refusedSeats()[s.seat]) {
			if porcupine.CheckOperationsTimeout(one.model, one.ops, showWithin) == porcupine.Illegal {
				break
			}
		}
	} else {
		if s.row.partial || len(s.row.commits) == 0 {
			return nil
		}
		i, _ := slices.BinarySearchFunc(s.row.commits, s.near, func(c *commit, v int64) int { return cmp.Compare(c.version(s.row), v) })
		from, to := max(0, i-shownBefore), min(len(s.row.commits), i+shownAfter)
		one, _ = p.slice(s.row, from, to, s.row.within(p.sortedRefusals()[s.row], from, to))
	}
	if len(one.ops) == 0 {
		return nil
	}
	begin, end := oneAfterAnother(one.ops)
	_, info := porcupine.CheckOperationsVerbose(one.model, one.ops, showWithin)
	info.AddAnnotations([]porcupine.Annotation{{Tag: "ticketctl prove", Start: begin, End: end, Description: s.why, BackgroundColor: "#fbd0d0"}})
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err := porcupine.Visualize(one.model, info, file); err != nil {
		file.Close()
		return fmt.Errorf("write the page: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	p.v.Visualized = path
	return nil
}

// oneAfterAnother gives operations to as few lines as do not overlap, and ends those without an answer where all ends.
func oneAfterAnother(ops []porcupine.Operation) (begin, end int64) {
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	begin = ops[0].Call
	for i := range ops {
		end = max(end, ops[i].Call+1)
		if ops[i].Return != forever {
			end = max(end, ops[i].Return)
		}
	}
	var busy []int64
	for i := range ops {
		ops[i].Return = min(ops[i].Return, end)
		line := slices.IndexFunc(busy, func(until int64) bool { return until < ops[i].Call })
		if line < 0 {
			line, busy = len(busy), append(busy, 0)
		}
		busy[line], ops[i].ClientId = ops[i].Return, line
	}
	return begin, end
}
