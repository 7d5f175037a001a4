package proof

import (
	"slices"

	"fairgate/core/inventory/history"
)

// collect sorts what was recorded: attempts of commits, answers about holds, refusals and counts.
func (p *prover) collect(h *history.History) {
	for i := range h.Calls {
		c := &h.Calls[i]
		p.v.Operations += int64(len(c.Ops))
		if c.Side == history.Core && changes(c) {
			p.attempt(c)
			continue
		}
		for n := range c.Ops {
			p.answer(c, &c.Ops[n])
		}
	}
	p.imagine()
}

// changes tells whether a call of core's is the attempt of a transaction, not answers that changed nothing.
func changes(c *history.Call) bool {
	return len(c.Rows) > 0 || slices.ContainsFunc(c.Ops, func(o history.Op) bool { return o.Outcome == "" })
}

func (p *prover) attempt(c *history.Call) {
	a := &commit{call: c, from: c.From, to: c.To, state: make(map[*row]int, len(c.Rows))}
	switch c.Outcome {
	case history.OK:
		a.fate = certain
	case history.Undone, history.Refused:
		a.fate = undone
	default:
		a.fate, a.to = open, forever
		p.v.Unknown++
	}
	for _, seen := range c.Rows {
		r := p.row(rowKey{seen.Event, seen.Tier, seen.Allocation})
		r.partial = false
		a.rows = append(a.rows, at{r, seen.Version, seen.Taken, seen.Capacity})
		r.slot[seen.Version] = append(r.slot[seen.Version], a)
		if a.fate == certain {
			r.known = max(r.known, seen.Version)
		}
	}
	p.attempts = append(p.attempts, a)
	for i := range c.Ops {
		o := &c.Ops[i]
		h := p.hold(o.Hold)
		switch o.Do {
		case history.Hold:
			h.grants = append(h.grants, deed{a, o})
		case history.Release, history.Expire, history.Unsell:
			h.closes = append(h.closes, deed{a, o})
		case history.Return:
			h.returns = append(h.returns, deed{a, o})
		case history.Take:
			h.takes = append(h.takes, deed{a, o})
		case history.Sell:
			h.sells = append(h.sells, deed{a, o})
		}
		p.learnSeats(o)
	}
}

// learnSeats notes in which row a seat is.
func (p *prover) learnSeats(o *history.Op) {
	for _, item := range o.Items {
		if item.Tier == "" {
			continue
		}
		for _, seat := range item.Seats {
			p.seatRow[seatKey{o.Event, seat}] = p.row(rowKey{o.Event, item.Tier, item.Allocation})
		}
	}
}

// answer sorts an op of a client, or one of core's that changed nothing.
func (p *prover) answer(c *history.Call, o *history.Op) {
	outcome := o.Outcome
	if outcome == "" {
		outcome = c.Outcome
	}
	s := said{c, o}
	if o.Do == history.Count {
		if outcome == history.OK {
			p.counts = append(p.counts, s)
			r := p.row(rowKey{o.Event, o.Row.Tier, o.Row.Allocation})
			r.known = max(r.known, o.Row.Version)
			if r.capacity < 0 {
				r.capacity = o.Row.Capacity
			}
		}
		return
	}
	h := p.hold(o.Hold)
	if c.Side == history.Client {
		first := func(t *int64) {
			if *t == 0 || c.From < *t {
				*t = c.From
			}
		}
		switch o.Do {
		case history.Hold:
			first(&h.asked)
		case history.Release:
			first(&h.askedRelease)
		}
		if outcome == history.Unknown {
			p.v.Unknown++
		}
	}
	switch {
	case outcome == history.Refused:
		p.refusals = append(p.refusals, s)
	case outcome != history.OK:
	case o.Do == history.Release:
		h.released = append(h.released, s)
		fallthrough
	default:
		h.told = append(h.told, s)
		for _, item := range o.Items {
			if item.Commit == 0 {
				continue
			}
			r := p.row(rowKey{o.Event, item.Tier, item.Allocation})
			r.known = max(r.known, item.Commit)
			h.commits = append(h.commits, item)
		}
		p.learnSeats(o)
	}
}

// imagine makes commits of what clients were told, for rows of which core's histories say nothing.
func (p *prover) imagine() {
	made := make(map[*row]map[int64]*commit)
	for _, h := range p.holds {
		if len(h.grants) > 0 {
			continue
		}
		for _, s := range h.told {
			if s.op.Do != history.Hold || len(h.grants) > 0 {
				continue
			}
			for _, item := range s.op.Items {
				r := p.rows[rowKey{s.op.Event, item.Tier, item.Allocation}]
				if item.Commit == 0 || r == nil || !r.partial {
					continue
				}
				if made[r] == nil {
					made[r] = make(map[int64]*commit)
				}
				c := made[r][item.Commit]
				if c == nil {
					c = &commit{call: s.call, from: 0, to: forever, fate: proven, rows: []at{{r, item.Commit, 0, 0}}, state: map[*row]int{}}
					made[r][item.Commit] = c
					r.slot[item.Commit] = append(r.slot[item.Commit], c)
					p.attempts = append(p.attempts, c)
				}
				h.grants = append(h.grants, deed{c, s.op})
			}
		}
		if len(h.grants) > 0 && len(h.released) > 0 {
			s := h.released[0]
			c := &commit{call: s.call, from: s.call.From, to: s.call.To, fate: proven, state: map[*row]int{}}
			p.attempts = append(p.attempts, c)
			h.closes = append(h.closes, deed{c, h.grants[0].op})
		}
	}
}
