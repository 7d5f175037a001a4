package loadtest

import "github.com/google/uuid"

const sqlAuditEntries = `SELECT ticket_id, sum(ins)::INT8, bool_or(inside) FROM entries WHERE event_id = $1 GROUP BY ticket_id ORDER BY ticket_id`

// entryRow is what the database says of a ticket at the gates, over all zones.
type entryRow struct {
	Ticket uuid.UUID
	Ins    int64
	Inside bool
}

// checkDoors asks that everybody with a good ticket got in, once, and nobody else: by what happened at the gates and by what the database
// says of it.
func checkDoors(e *evidence) Verdict {
	q := Inquire("doors", "Everybody got in once, nobody twice", "codes shown at gates")
	seen := e.witness.Doors()
	q.Checked(seen.Tickets + seen.Again + seen.AtOnce + seen.Altered + seen.Dead)
	for _, w := range seen.Wrong {
		q.Wrong("%s", w)
	}
	q.That(seen.Again > 0 && seen.AtOnce > 0 && seen.Altered > 0, "of what should be refused too little was tried: %d shown again, %d at two gates at once, %d altered", seen.Again, seen.AtOnce, seen.Altered)
	valid := make(map[string]bool, len(e.tickets))
	for _, t := range e.tickets {
		valid[t.ID.String()] = t.State == "valid"
	}
	inside := make(map[string]int64, len(e.entries))
	for _, row := range e.entries {
		inside[row.Ticket.String()] = row.Ins
		q.That(row.Ins == 1 && row.Inside, "ticket %s: the database says that it entered %d times", row.Ticket, row.Ins)
		q.That(valid[row.Ticket.String()], "ticket %s entered and is not valid", row.Ticket)
	}
	for _, t := range e.witness.Tickets() {
		opened, want := seen.Opened[t.ID], 1
		if t.Gone {
			want = 0
		}
		q.That(opened == want, "ticket %s: the gates opened %d times", t.ID, opened)
		q.That(inside[t.ID] == int64(opened), "ticket %s: the gates opened %d times, the database says %d", t.ID, opened, inside[t.ID])
		delete(inside, t.ID)
	}
	for id := range inside {
		q.Wrong("ticket %s entered and nobody had it", id)
	}
	return q.Verdict()
}
