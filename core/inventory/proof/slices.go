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

// Bounds of the cross-check of stock rows.
const (
	sliceOps  = 1000 // most operations of a slice
	maxSlices = 60   // slices judged, evenly spread over all
)

type stockInput struct {
	kind  deedKind
	units int64
	name  string
}

// stockModel is a stock row: state is what is taken.
func stockModel(taken, capacity int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return taken },
		Step: func(state, input, _ any) (bool, any) {
			at, in := state.(int64), input.(stockInput)
			switch in.kind {
			case takes:
				return at+in.units <= capacity, at + in.units
			case gives:
				return at >= in.units, at - in.units
			default:
				return capacity-at < in.units, at
			}
		},
		DescribeOperation: func(input, _ any) string { return input.(stockInput).name },
		DescribeState:     func(state any) string { return fmt.Sprintf("%d of %d", state, capacity) },
	}
}

// slice is the history of a row from one commit up to another, as porcupine sees it: without the numbers.
func (p *prover) slice(r *row, from, to int, refused []said) piece {
	one := piece{model: stockModel(r.taken[from], r.capacity)}
	for i := from; i < to; i++ {
		c := r.commits[i]
		for n := range c.call.Ops {
			o := &c.call.Ops[n]
			for _, item := range o.Items {
				if o.Do == history.Sell || o.Event != r.key.event || item.Tier != r.key.tier || item.Allocation != r.key.allocation {
					continue
				}
				in := stockInput{kind: gives, units: int64(item.Quantity)}
				if o.Do == history.Hold {
					in.kind = takes
				}
				in.name = fmt.Sprintf("%s %d, commit %d", o.Do, in.units, c.version(r))
				one.ops = append(one.ops, porcupine.Operation{Input: in, Call: c.from, Return: max(c.from, min(c.to, r.latest[to-1]))})
			}
		}
	}
	for _, s := range refused {
		if len(one.ops) >= sliceOps {
			break
		}
		units, _ := p.wanted(s.op)
		in := stockInput{kind: finds, units: units[r], name: s.op.Code + " (" + where(s.call) + ")"}
		if s.op.Code == "sold_out" {
			in.units = 1
		}
		one.ops = append(one.ops, porcupine.Operation{Input: in, Call: s.call.From, Return: s.call.To})
	}
	return one
}

// cuts are where the slices of a row begin, and its end.
func (r *row) cuts() []int {
	at, ops := []int{0}, 0
	for i, c := range r.commits {
		if n := len(c.call.Ops); ops+n > sliceOps*3/4 && ops > 0 { // a quarter is left for refusals
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
		if to == len(r.commits) || s.call.To < r.earliest[to] {
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
	for _, r := range p.sortedRows() {
		if r.partial || len(r.commits) == 0 {
			continue
		}
		cuts := r.cuts()
		for i := range len(cuts) - 1 {
			pieces = append(pieces, p.slice(r, cuts[i], cuts[i+1], r.within(refused[r], cuts[i], cuts[i+1])))
			of = append(of, suspect{row: r, near: r.commits[cuts[i]].version(r), why: "no order of the operations makes sense"})
		}
	}
	if n := len(pieces); n > maxSlices {
		for i := range maxSlices {
			pieces[i], of[i] = pieces[i*n/maxSlices], of[i*n/maxSlices]
		}
		pieces, of = pieces[:maxSlices], of[:maxSlices]
	}
	for i, result := range judge(pieces, p.o.Slices) {
		switch result {
		case porcupine.Unknown:
			check.Undecided += int64(len(pieces[i].ops))
		case porcupine.Illegal:
			check.Checked += int64(len(pieces[i].ops))
			check.wrong("%s: no order of the operations from commit %d on makes sense", of[i].row.key, of[i].near)
			p.suspect(of[i])
		default:
			check.Checked += int64(len(pieces[i].ops))
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
		one = p.slice(s.row, from, to, s.row.within(p.sortedRefusals()[s.row], from, to))
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
