package proof

import (
	"slices"

	"fairgate/core/inventory/history"
)

// checkRefusals asks of every refusal whether it was true at some moment.
func (p *prover) checkRefusals() {
	p.follow()
	check := p.check("refusals", "sold out, not enough left, seat taken: true at some moment of the request")
	for _, s := range p.refusals {
		to := s.call.To
		if to == 0 {
			continue
		}
		var judged, right bool
		switch s.op.Code {
		case "sold_out":
			from := s.call.From
			if s.call.Side == history.Client || s.op.Memory {
				from -= p.o.Staleness.Nanoseconds()
			}
			judged, right = p.wereGone(s, from, func(int64) int64 { return 1 })
		case "not_enough_left":
			judged, right = p.wereGone(s, s.call.From, func(wanted int64) int64 { return wanted })
		case "seat_taken":
			judged, right = p.wereTaken(s)
		case "hold_unknown":
			judged, right = p.wasUnknown(s)
		case "hold_closed":
			judged, right = p.wasClosed(s)
		}
		if !judged {
			p.v.Unjudged++
			continue
		}
		check.Checked++
		if !right {
			check.wrong("%s: %s for %s was true at no moment", where(s.call), s.op.Code, s.op.Hold)
			if len(check.Details) <= maxDetails {
				p.suspectRefusal(s)
			}
		}
	}
	p.checked += check.Checked
}

// wanted is how many units a request asks of each row; false when a row is not known.
func (p *prover) wanted(o *history.Op) (map[*row]int64, bool) {
	units := make(map[*row]int64, 1)
	for _, item := range o.Items {
		switch {
		case len(item.Seats) > 0:
			for _, seat := range item.Seats {
				r := p.seatRow[seatKey{o.Event, seat}]
				if r == nil || r.partial {
					return nil, false
				}
				units[r]++
			}
		case item.Quantity > 0:
			r := p.general(o.Event, item.Tier, item.Allocation)
			if r == nil || r.partial {
				return nil, false
			}
			units[r] += int64(item.Quantity)
		default:
			return nil, false
		}
	}
	return units, len(units) > 0
}

// wereGone tells whether fewer units than needed were left of one of the rows.
func (p *prover) wereGone(s said, from int64, need func(wanted int64) int64) (judged, right bool) {
	units, known := p.wanted(s.op)
	if !known {
		return false, false
	}
	for r, wanted := range units {
		if len(r.commits) == 0 {
			return false, false
		}
		first, last := r.states(from, s.call.To)
		if r.least(first, last) < need(wanted) || r.mayHaveLeft(s.call.To, need(wanted)) {
			return true, true
		}
	}
	return true, false
}

// mayHaveLeft tells whether an attempt of which nothing is known can have left fewer units than needed.
func (r *row) mayHaveLeft(to, needed int64) bool {
	for _, c := range r.open {
		for _, a := range c.rows {
			took, gave := moved(c, r)
			if a.row == r && c.from <= to && a.capacity-max(a.taken, a.taken+gave, a.taken-took) < needed {
				return true
			}
		}
	}
	return false
}

// wereTaken tells whether one of the seats may have been taken.
func (p *prover) wereTaken(s said) (judged, right bool) {
	for _, item := range s.op.Items {
		for _, name := range item.Seats {
			events := p.seats[seatKey{s.op.Event, name}]
			r := p.seatRow[seatKey{s.op.Event, name}]
			if r == nil || r.partial || r.base > 0 || len(events) == 0 {
				return false, false // never sold: it may be blocked or set aside
			}
			judged = true
			for _, e := range events {
				if e.take && e.in.from <= s.call.To && e.until >= s.call.From {
					return true, true
				}
			}
		}
	}
	return judged, false
}

// wasUnknown tells whether the hold can have been unknown to its owner: before it was granted, or for ever.
func (p *prover) wasUnknown(s said) (judged, right bool) {
	for _, d := range happenedOnly(p.holds[s.op.Hold].grants) {
		if d.in.to < s.call.From && (s.op.Buyer == "" || s.op.Buyer == d.op.Buyer) {
			return true, false
		}
	}
	return true, true
}

// wasClosed tells whether the hold may have been sold or given back.
func (p *prover) wasClosed(s said) (judged, right bool) {
	h := p.holds[s.op.Hold]
	for _, all := range [][]deed{h.closes, h.sells, h.returns} {
		for _, d := range all {
			if (d.in.happened() || d.in.fate == open) && d.in.from <= s.call.To {
				return true, true
			}
		}
	}
	return len(happenedOnly(h.grants)) > 0 && !p.rowOf(happenedOnly(h.grants)).partial, false
}

func (p *prover) suspectRefusal(s said) {
	units, _ := p.wanted(s.op)
	for r := range units {
		first, _ := r.states(s.call.From, s.call.To)
		if first < len(r.commits) {
			p.suspect(suspect{row: r, near: r.commits[first].version(r), why: s.op.Code + " was true at no moment of " + where(s.call)})
		}
	}
}

// checkCounts asks whether what was read of a row is a state it had.
func (p *prover) checkCounts() {
	check := p.check("counts", "what was read of a stock row is a state it had at the time")
	for _, s := range p.counts {
		seen := s.op.Row
		r := p.general(s.op.Event, seen.Tier, seen.Allocation)
		if r == nil || r.partial || len(r.commits) == 0 || s.call.To == 0 {
			continue
		}
		check.Checked++
		from := s.call.From
		if s.op.Memory {
			from -= p.o.Staleness.Nanoseconds()
		}
		first, last := r.states(from, s.call.To)
		right := slices.ContainsFunc(r.open, func(c *commit) bool {
			return c.from <= s.call.To && slices.ContainsFunc(c.rows, func(a at) bool { return a.row == r && a.taken == seen.Taken })
		})
		for i := first; i <= last && !right; i++ {
			version := r.baseVersion
			if i > 0 {
				version = r.commits[i-1].version(r)
			}
			right = r.taken[i] == seen.Taken && (seen.Version == 0 || seen.Version == version)
		}
		if !right {
			check.wrong("%s: read %d taken of %s (commit %d); it had %v then", where(s.call), seen.Taken, r.key, seen.Version, r.taken[first:min(last+1, first+5)])
			near := r.baseVersion
			if first > 0 {
				near = r.commits[first-1].version(r)
			}
			p.suspect(suspect{row: r, near: near, why: "a state was read that never was"})
		}
	}
	p.checked += check.Checked
}
