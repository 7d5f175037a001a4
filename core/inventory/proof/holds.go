package proof

import (
	"slices"

	"github.com/google/uuid"

	"fairgate/core/inventory/history"
)

// sortedHolds are the holds in the order of their ids, so that two runs say the same.
func (p *prover) sortedHolds() []*hold {
	holds := make([]*hold, 0, len(p.holds))
	for _, h := range p.holds {
		holds = append(holds, h)
	}
	slices.SortFunc(holds, func(a, b *hold) int { return slices.Compare(a.id[:], b.id[:]) })
	return holds
}

// checkHolds follows each hold's life.
func (p *prover) checkHolds() {
	check := p.check("holds", "granted once, closed at most once, by its owner or at its deadline, and gives back what it took")
	for _, h := range p.sortedHolds() {
		grants, closes, sells := happenedOnly(h.grants), happenedOnly(h.closes), happenedOnly(h.sells)
		returns := happenedOnly(h.returns)
		if len(grants)+len(closes)+len(sells)+len(returns) == 0 {
			continue
		}
		check.Checked++
		wrong := func(d deed, format string, args ...any) {
			check.wrong("hold %s: "+format, append([]any{h.id}, args...)...)
			p.suspectCommit(d.in, check.Details[len(check.Details)-1])
		}
		if p.rowOf(grants).partial {
			continue // each row of it has its own imagined commit
		}
		if len(grants) > 1 {
			wrong(grants[1], "granted twice: %s and %s", grants[0].in.name(), grants[1].in.name())
		}
		if len(grants) == 0 {
			for _, d := range slices.Concat(closes, sells, returns) {
				if !p.inherited(d.op) {
					wrong(d, "%s ends it (%s), and nothing granted it", d.in.name(), d.op.Do)
				}
			}
			continue
		}
		if len(closes) > 1 {
			wrong(closes[1], "closed twice: %s (%s) and %s (%s)", closes[0].in.name(), closes[0].op.Do, closes[1].in.name(), closes[1].op.Do)
		}
		if len(sells) > 1 {
			wrong(sells[1], "sold twice: %s and %s", sells[0].in.name(), sells[1].in.name())
		}
		for _, d := range closes {
			p.checkClose(h, grants[0], d, sells, wrong)
		}
		p.checkReturns(h, grants[0], closes, returns, wrong)
		for _, d := range sells {
			if d.in.to < grants[0].in.from {
				wrong(d, "sold by %s before %s granted it", d.in.name(), grants[0].in.name())
			}
		}
	}
	p.checked += check.Checked
}

func (p *prover) rowOf(deeds []deed) *row {
	if len(deeds) > 0 && len(deeds[0].in.rows) > 0 {
		return deeds[0].in.rows[0].row
	}
	return &row{}
}

func (p *prover) checkClose(h *hold, grant, d deed, sells []deed, wrong func(deed, string, ...any)) {
	for _, a := range d.in.rows {
		if v := grant.in.version(a.row); v >= a.version {
			wrong(d, "closed by commit %d of %s and granted by commit %d", a.version, a.row.key, v)
		}
	}
	if !sameUnits(grant.op.Items, d.op.Items) {
		wrong(d, "%s (%s) gives back other units than %s took", d.in.name(), d.op.Do, grant.in.name())
	}
	switch d.op.Do {
	case history.Release:
		if d.op.Buyer != "" && d.op.Buyer != grant.op.Buyer {
			wrong(d, "%s releases it for %s, it belongs to %s", d.in.name(), d.op.Buyer, grant.op.Buyer)
		}
	case history.Expire:
		if d.in.call.At < grant.op.Deadline {
			wrong(d, "%s lets it expire %d µs before its deadline", d.in.name(), grant.op.Deadline-d.in.call.At)
		}
	case history.Unsell:
		if len(sells) == 0 && !possible(h.sells) {
			wrong(d, "%s takes back the sale, and nothing sold it", d.in.name())
		}
		return
	}
	if len(sells) > 0 {
		wrong(d, "sold by %s and yet given back by %s (%s)", sells[0].in.name(), d.in.name(), d.op.Do)
	}
}

// checkReturns asks that the parts that a hold gave back were sold, and never more than it had.
func (p *prover) checkReturns(h *hold, grant deed, closes, returns []deed, wrong func(deed, string, ...any)) {
	if len(returns) == 0 {
		return
	}
	if !possible(h.sells) {
		wrong(returns[0], "%s gives back a part of it, and nothing sold it", returns[0].in.name())
	}
	if len(closes) > 0 {
		wrong(closes[0], "closed by %s (%s), and a part was given back by %s", closes[0].in.name(), closes[0].op.Do, returns[0].in.name())
	}
	units, seats := make(map[rowKey]int), make(map[string]int)
	for _, d := range slices.Concat([]deed{grant}, happenedOnly(h.takes)) {
		for _, item := range d.op.Items {
			units[rowKey{grant.op.Event, item.Tier, item.Allocation}] += item.Quantity
			for _, seat := range item.Seats {
				seats[seat]++
			}
		}
	}
	for _, d := range returns {
		for _, item := range d.op.Items {
			k := rowKey{d.op.Event, item.Tier, item.Allocation}
			if units[k] -= item.Quantity; units[k] < 0 {
				wrong(d, "%s gives back more of %s than it has", d.in.name(), k)
			}
			for _, seat := range item.Seats {
				if seats[seat]--; seats[seat] < 0 {
					wrong(d, "%s gives back seat %s, which it has not got", d.in.name(), seat)
				}
			}
		}
	}
}

// possible tells whether one of the deeds may have happened.
func possible(deeds []deed) bool {
	return slices.ContainsFunc(deeds, func(d deed) bool { return d.in.happened() || d.in.fate == open })
}

// sameUnits tells whether two lists of items are the same but for commit numbers.
func sameUnits(a, b []history.Item) bool {
	return slices.EqualFunc(a, b, func(a, b history.Item) bool {
		return a.Tier == b.Tier && a.Allocation == b.Allocation && a.Quantity == b.Quantity && slices.Equal(a.Seats, b.Seats)
	})
}

// inherited tells whether a hold may have been granted before the recording of its rows began.
func (p *prover) inherited(o *history.Op) bool {
	for _, item := range o.Items {
		r := p.rows[rowKey{o.Event, item.Tier, item.Allocation}]
		if r != nil && (r.partial || item.Commit > 0 && item.Commit <= r.baseVersion || item.Commit == 0 && r.base > 0) {
			return true
		}
	}
	if len(o.Items) > 0 {
		return false
	}
	for _, r := range p.rows {
		if r.key.event == o.Event && (r.partial || r.base > 0) {
			return true
		}
	}
	return false
}

// checkAnswers compares what was told about holds with what was committed.
func (p *prover) checkAnswers() {
	check := p.check("answers", "what was acknowledged was committed, stays, and is told the same again")
	for _, h := range p.sortedHolds() {
		if len(h.told) == 0 {
			continue
		}
		grants, closes, sells := happenedOnly(h.grants), happenedOnly(h.closes), happenedOnly(h.sells)
		if len(grants) == 0 {
			for _, s := range h.told {
				check.Checked++
				if !p.inherited(s.op) {
					check.wrong("hold %s: %s was told of it, and no commit granted it", h.id, where(s.call))
					p.suspectOp(s.op, "acknowledged and not there")
				}
			}
			continue
		}
		for _, s := range h.told {
			check.Checked++
			wrong := func(format string, args ...any) {
				check.wrong("hold %s: "+format, append([]any{h.id}, args...)...)
				p.suspectCommit(grants[0].in, check.Details[len(check.Details)-1])
			}
			p.compare(h, s, grants[0], wrong)
			if s.op.State == "active" {
				for _, d := range slices.Concat(closes, sells) {
					if d.in.to < s.call.From {
						wrong("%s was told that it is active after %s (%s)", where(s.call), d.in.name(), d.op.Do)
					}
				}
			}
			if p.rowOf(grants).partial {
				continue
			}
			if s.op.State == "sold" && !possible(h.sells) {
				wrong("%s was told that it is sold, and nothing sold it", where(s.call))
			}
			if (s.op.State == "released" || s.op.Do == history.Release) && !gaveBack(h.closes) && !possible(h.returns) {
				wrong("%s was told that it is released, and no commit gave it back", where(s.call))
			}
		}
	}
	p.checked += check.Checked
}

func gaveBack(closes []deed) bool {
	return slices.ContainsFunc(closes, func(d deed) bool {
		return d.op.Do != history.Expire && (d.in.happened() || d.in.fate == open)
	})
}

// compare holds one answer against the commit that granted the hold.
func (p *prover) compare(h *hold, s said, grant deed, wrong func(string, ...any)) {
	o := s.op
	if o.Event != grant.op.Event {
		wrong("%s was told that it is of event %s", where(s.call), o.Event)
	}
	if s.call.To < grant.in.from {
		wrong("%s was told of it before %s could grant it", where(s.call), grant.in.name())
	}
	if possible(h.returns) {
		return // what it has now is less than what was granted, see checkReturns
	}
	if o.Do != history.Sell && len(o.Items) > 0 && !sameUnits(o.Items, grant.op.Items) {
		wrong("%s was told of other units than %s granted", where(s.call), grant.in.name())
	}
	for n, item := range o.Items {
		if item.Commit != 0 && n < len(grant.op.Items) && grant.op.Items[n].Commit != 0 && item.Commit != grant.op.Items[n].Commit {
			wrong("%s was told commit %d, %s has the number %d", where(s.call), item.Commit, grant.in.name(), grant.op.Items[n].Commit)
		}
	}
	if o.Buyer != "" && o.Buyer != grant.op.Buyer {
		wrong("%s was told of it as %s, it belongs to %s", where(s.call), o.Buyer, grant.op.Buyer)
	}
	if o.Body != "" && grant.op.Body != "" && o.Body != grant.op.Body {
		wrong("%s asked for something else with the same key and was not refused", where(s.call))
	}
}

func (p *prover) suspectOp(o *history.Op, why string) {
	for _, item := range o.Items {
		if r := p.rows[rowKey{o.Event, item.Tier, item.Allocation}]; r != nil {
			p.suspect(suspect{row: r, near: item.Commit, why: "hold " + o.Hold.String() + ": " + why})
			return
		}
	}
}

// general finds the row that a request without an allocation means.
func (p *prover) general(event uuid.UUID, tier, allocation string) *row {
	if r := p.rows[rowKey{event, tier, allocation}]; r != nil || allocation != "" {
		return r
	}
	return p.rows[rowKey{event, tier, "general"}]
}
