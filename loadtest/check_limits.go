package loadtest

import (
	"slices"

	"github.com/google/uuid"
)

// What the audit asks of the limits on what one buyer may have.

// countedBuyer is of whom a row of quota counts the units.
type countedBuyer struct {
	scope       uuid.UUID
	kind, buyer string
}

// checkLimits adds up for every row of quota what the holds that count in it have, and looks for holds that count in none. It
// looks at all events, since those of a tour share rows. A limit that was lowered below what somebody had cannot be seen in
// quota: the row keeps the limit by which its last units were granted.
func checkLimits(e *evidence) Verdict {
	q := Inquire("limits", "Limits per buyer", "buyers' counts")
	rows := make(map[uuid.UUID]quotaRow, len(e.quotas))
	byBuyer := make(map[countedBuyer]uuid.UUID, len(e.quotas))
	for _, r := range e.quotas {
		q.Checked(1)
		rows[r.ID] = r
		b := countedBuyer{r.Scope, r.Kind, string(r.Buyer)}
		other, twice := byBuyer[b]
		q.That(!twice, "the %s %x is counted twice in scope %s: quotas %s and %s", r.Kind, r.Buyer, r.Scope, other, r.ID)
		byBuyer[b] = r.ID
		q.That(r.Taken <= r.Limit, "quota %s of the %s %x: %d taken, %d allowed", r.ID, r.Kind, r.Buyer, r.Taken, r.Limit)
	}
	units := make(map[uuid.UUID]int64, len(e.quotas))
	for _, h := range e.counted {
		own, known := byBuyer[countedBuyer{h.Event, "entrant", string(h.Entrant)}]
		q.That(known, "hold %s has %d units and counts for nobody: entrant %x has no quota in event %s", h.ID, h.Units, h.Entrant, h.Event)
		units[own] += h.Units
		q.That(len(h.Quotas)%len(own) == 0, "hold %s: %d bytes of quotas are no list of ids", h.ID, len(h.Quotas))
		var seen []uuid.UUID
		for id := range slices.Chunk(h.Quotas, len(own)) {
			if len(id) < len(own) {
				break
			}
			other := uuid.UUID(id)
			r, known := rows[other]
			q.That(known, "hold %s counts in quota %s, which does not exist", h.ID, other)
			q.That(!known || r.Kind != "entrant", "hold %s counts in quota %s of an entrant once more", h.ID, other)
			q.That(!slices.Contains(seen, other), "hold %s counts in quota %s twice", h.ID, other)
			seen = append(seen, other)
			units[other] += h.Units
		}
	}
	for _, p := range e.passed { // handed on: it counts for its receiver instead
		for _, side := range []struct {
			ids []byte
			by  int64
		}{{p.Left, -1}, {p.Quotas, 1}} {
			q.That(len(side.ids) > 0 && len(side.ids)%len(p.Unit) == 0, "unit %s: %d bytes of quotas are no list of ids", p.Unit, len(side.ids))
			for id := range slices.Chunk(side.ids, len(p.Unit)) {
				if len(id) == len(p.Unit) {
					units[uuid.UUID(id)] += side.by
				}
			}
		}
	}
	for _, r := range e.quotas {
		q.That(units[r.ID] == r.Taken, "quota %s of the %s %x: %d taken, its holds add up to %d", r.ID, r.Kind, r.Buyer, r.Taken, units[r.ID])
	}
	return q.Verdict()
}
