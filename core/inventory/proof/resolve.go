package proof

import (
	"slices"

	"fairgate/core/inventory/history"
)

// resolve finds out what became of attempts without an answer, as far as anything tells.
func (p *prover) resolve() {
	var unknown []*commit
	for _, c := range p.attempts {
		if c.fate == open {
			unknown = append(unknown, c)
		}
	}
	for {
		changed := false
		for _, c := range unknown {
			if c.fate == open && p.judge(c) {
				changed = true
			}
		}
		if !changed && !p.assume(unknown) {
			break
		}
	}
	for _, c := range unknown {
		switch c.fate {
		case open:
			p.v.Open++
			for _, a := range c.rows {
				a.row.open = append(a.row.open, c)
			}
		case refuted:
			p.v.Not++
		default:
			p.v.Happened++
			if c.assumed {
				p.v.Assumed++
			}
		}
	}
	for _, c := range p.attempts {
		if c.happened() {
			p.v.Commits++
		}
	}
}

// judge decides an open attempt if something tells, and reports whether it did.
func (p *prover) judge(c *commit) bool {
	for _, a := range c.rows {
		for _, other := range a.row.slot[a.version] {
			if other != c && other.happened() {
				c.fate = refuted // somebody else has its number
				return true
			}
		}
	}
	for i := range c.call.Ops {
		o := &c.call.Ops[i]
		h := p.holds[o.Hold]
		switch p.evidence(c, o, h) {
		case proven:
			p.prove(c)
			return true
		case refuted:
			c.fate = refuted
			return true
		}
	}
	for _, a := range c.rows {
		if a.version <= a.row.known && candidates(a) == 1 {
			p.prove(c) // its number was given, and nobody else can have it
			return true
		}
	}
	return false
}

// evidence is what is known of one op of an open attempt: open for nothing.
func (p *prover) evidence(c *commit, o *history.Op, h *hold) fate {
	switch o.Do {
	case history.Hold:
		if only(h.grants, c) == refuted {
			return refuted // another commit granted it
		}
		for _, told := range h.commits {
			for _, item := range o.Items {
				if item.Tier == told.Tier && item.Allocation == told.Allocation && item.Commit != 0 {
					if item.Commit == told.Commit {
						return proven
					}
					return refuted
				}
			}
		}
		if len(h.told) > 0 || len(happenedOnly(h.closes))+len(happenedOnly(h.sells))+len(happenedOnly(h.returns)) > 0 {
			return only(h.grants, c)
		}
	case history.Release, history.Unsell:
		if only(h.closes, c) == refuted {
			return refuted
		}
		if o.Do == history.Release && len(h.released) > 0 || told(h, "released") {
			return only(h.closes, c)
		}
	case history.Expire:
		if only(h.closes, c) == refuted {
			return refuted
		}
	case history.Sell:
		closes := happenedOnly(h.closes)
		soldOnce := slices.ContainsFunc(closes, func(d deed) bool { return d.op.Do == history.Unsell })
		switch {
		case only(h.sells, c) == refuted || len(closes) > 0 && !soldOnce:
			return refuted
		case soldOnce || told(h, "sold") || len(happenedOnly(h.returns)) > 0:
			return only(h.sells, c)
		}
	}
	return open
}

// only is refuted if another of the deeds happened, proven if none of the others can have, else open.
func only(deeds []deed, c *commit) fate {
	others := 0
	for _, d := range deeds {
		switch {
		case d.in == c:
		case d.in.happened():
			return refuted
		case d.in.fate == open:
			others++
		}
	}
	if others > 0 {
		return open
	}
	return proven
}

func told(h *hold, state string) bool {
	for _, s := range h.told {
		if s.op.State == state {
			return true
		}
	}
	return false
}

// candidates is how many attempts can have a number.
func candidates(a at) int {
	n := 0
	for _, c := range a.row.slot[a.version] {
		if c.happened() || c.fate == open {
			n++
		}
	}
	return n
}

func (p *prover) prove(c *commit) {
	c.fate = proven
	for _, a := range c.rows {
		a.row.known = max(a.row.known, a.version)
	}
}

// assume settles one number that several open attempts may have, by what the next commit found taken. It reports whether
// there was one.
func (p *prover) assume(unknown []*commit) bool {
	for _, c := range unknown {
		if c.fate != open {
			continue
		}
		for _, a := range c.rows {
			if a.version > a.row.known {
				continue
			}
			best := c
			for _, other := range a.row.slot[a.version] {
				if other.fate == open && fits(other, a.row) && !fits(best, a.row) {
					best = other
				}
			}
			best.assumed = true
			p.prove(best)
			return true
		}
	}
	return false
}

// fits tells whether the commit after an attempt found the row as the attempt would have left it.
func fits(c *commit, r *row) bool {
	for _, a := range c.rows {
		if a.row != r {
			continue
		}
		for _, next := range r.slot[a.version+1] {
			if !next.happened() {
				continue
			}
			for _, b := range next.rows {
				if b.row == r {
					return b.taken-delta(next, r) == a.taken
				}
			}
		}
	}
	return false
}

// delta is what the ops of a commit take of a row, less what they give back.
func delta(c *commit, r *row) int64 {
	took, gave := moved(c, r)
	return took - gave
}

// moved is what the ops of a commit take of a row and give back.
func moved(c *commit, r *row) (took, gave int64) {
	for i := range c.call.Ops {
		o := &c.call.Ops[i]
		if o.Event != r.key.event {
			continue
		}
		for _, item := range o.Items {
			if item.Tier != r.key.tier || item.Allocation != r.key.allocation {
				continue
			}
			switch o.Do {
			case history.Hold, history.Take:
				took += int64(item.Quantity)
			case history.Release, history.Expire, history.Unsell, history.Return:
				gave += int64(item.Quantity)
			}
		}
	}
	return took, gave
}

// tighten narrows when commits can have been by what clients asked and were told.
func (p *prover) tighten() {
	for _, h := range p.holds {
		for _, d := range h.grants {
			if !d.in.happened() {
				continue
			}
			d.in.from = max(d.in.from, h.asked)
			for _, s := range h.told {
				d.in.to = min(d.in.to, s.call.To)
			}
		}
		for _, d := range h.closes {
			if d.in.happened() && d.op.Do == history.Release {
				d.in.from = max(d.in.from, h.askedRelease)
				for _, s := range h.released {
					d.in.to = min(d.in.to, s.call.To)
				}
			}
		}
	}
}
