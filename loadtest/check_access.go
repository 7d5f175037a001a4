package loadtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"fairgate/edge/lottery"

	"github.com/google/uuid"
)

// What the audit asks of tickets, the draw and the people.

// checkTickets scans every valid ticket as a gate would, and every ticket that a buyer has in hand.
func checkTickets(e *evidence) Verdict {
	q := Inquire("ticket_codes", "Every ticket's code verifies", "codes")
	event := lottery.EventID(e.event)
	byID := make(map[string]ticketRow, len(e.tickets))
	for _, t := range e.tickets {
		byID[t.ID.String()] = t
		if t.State != "valid" {
			continue
		}
		q.Checked(1)
		got, err := scan(t.CodeAtGate, e.ticketKeys)
		if err != nil {
			q.Wrong("ticket %s: %v", t.ID, err)
			continue
		}
		place := t.Seat
		if place == "" {
			place = t.Tier
		}
		want := admitted{Ticket: t.ID, Event: event, Epoch: uint16(t.Epoch), Place: place[:min(len(place), gateMaxPlace)]}
		q.That(got == want, "ticket %s: its code says %+v", t.ID, got)
	}
	perOrder := make(map[uuid.UUID]bool)
	for _, t := range e.tickets {
		perOrder[t.Order] = true
	}
	for _, o := range e.orders {
		q.That(o.State != "ticket_issued" || o.Event != event || perOrder[o.ID], "order %s is ticket_issued and has no ticket", o.ID)
	}
	for _, t := range e.witness.Tickets() {
		q.Checked(1)
		row, ok := byID[t.ID]
		q.That(ok && (t.Gone || row.CodeAtGate == t.Code || row.Epoch > 1) && row.Seat == t.Seat && row.Order.String() == t.Order, "a buyer has ticket %s, which the database does not know like that", t.ID)
	}
	return q.Verdict()
}

// checkDraw verifies the transcript of the draw against what people saw while it was held, and looks up everybody's receipt in it.
func checkDraw(e *evidence) Verdict {
	q := Inquire("draw", "The draw verifies", "facts of the draw")
	seen := e.seen
	for _, r := range e.witness.Receipts() {
		seen.Receipts = append(seen.Receipts, r.Receipt)
	}
	q.That(e.transcript.Event == e.event, "the transcript is of %q", e.transcript.Event)
	q.That(seen.Commitment != nil, "nobody saw a commitment before joining")
	verdict := e.transcript.Verify(seen)
	for _, c := range verdict.Checks {
		q.Checked(c.Checked)
		for _, d := range c.Details {
			q.Wrong("%s: %s", c.Name, d)
		}
		q.v.Found += int64(max(0, c.Failed-len(c.Details)))
	}
	for _, name := range []string{lottery.CheckWindows, lottery.CheckRoots, lottery.CheckSeeds, lottery.CheckCursor, lottery.CheckSessions, lottery.CheckPublished, lottery.CheckReceipts} {
		q.That(verdict.Check(name).Checked > 0, "%s: there was nothing to check", name)
	}
	return q.Verdict()
}

// checkHonest asks that nobody honest was answered anything but what they asked for, "wait" or "sold out".
func checkHonest(e *evidence) Verdict {
	q := Inquire("honest_errors", "Honest buyers who got an error", "honest buyers")
	q.Checked(e.buyers)
	kinds := slices.Collect(maps.Keys(e.kinds))
	slices.SortFunc(kinds, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(e.kinds[b], e.kinds[a]), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Code, b.Code))
	})
	for _, k := range kinds {
		sample := "no sample kept"
		if i := slices.IndexFunc(e.problems, func(p Problem) bool { return p.Op == k.Op && p.Status == k.Status && p.Code == k.Code }); i >= 0 {
			p := e.problems[i]
			sample = fmt.Sprintf("at %.1f s buyer %d: %s", p.At, p.Buyer, p.Detail)
		}
		q.Wrong("%d times %s answered %d %s, %s", e.kinds[k], k.Op, k.Status, k.Code, sample)
	}
	q.v.Found = int64(e.failed)
	return q.Verdict()
}

// checkBots asks that nothing forbidden worked, and that every session of a bot was given for a place that had been called by then:
// found out here from the cursor's own record, not taken from the transcript's verification.
func checkBots(e *evidence) Verdict {
	q := Inquire("bots_ahead", "Bots admitted ahead of their draw", "forbidden tries and bot sessions")
	for _, n := range e.witness.Attempts() {
		q.Checked(int(n))
	}
	for _, c := range e.witness.Crimes() {
		q.Wrong("bot %d (%s): %s worked: %s", c.Bot, c.Kind, c.Try, c.Detail)
	}
	moves := slices.Clone(e.transcript.Cursors)
	slices.SortStableFunc(moves, func(a, b lottery.CursorMove) int { return a.At.Compare(b.At) })
	drawn := drawnPlaces(e.transcript)
	kinds := e.witness.BotEntrants()
	for _, s := range e.transcript.Sessions {
		kind, isBot := kinds[s.Entrant]
		if !isBot {
			continue
		}
		q.Checked(1)
		place, ok := drawn[s.Entrant]
		q.That(ok && place == s.Place(), "%s bot %s has a session for a place it did not draw", kind, s.Entrant)
		cursor, set := cursorAt(moves, s.IssuedAt)
		q.That(set && s.Place().Compare(cursor) <= 0, "%s bot %s was let in at %s, before its place was called", kind, s.Entrant, s.IssuedAt.Format(time.TimeOnly))
	}
	return q.Verdict()
}

// drawnPlaces draws again: the place of every entrant of every sealed window.
func drawnPlaces(t lottery.Transcript) map[lottery.Entrant]lottery.Place {
	all := make(map[lottery.Entrant]lottery.Place)
	for _, w := range t.Windows {
		for _, l := range w.Leaves {
			if _, twice := all[l.Entrant]; !twice {
				all[l.Entrant] = lottery.Place{Window: w.Window, Band: l.Band, Value: lottery.Value(w.Seed, l.Entrant)}
			}
		}
	}
	return all
}

// cursorAt is where the cursor stood at an instant; false when nobody had been called yet.
func cursorAt(moves []lottery.CursorMove, at time.Time) (lottery.Place, bool) {
	n, _ := slices.BinarySearchFunc(moves, at, func(m lottery.CursorMove, at time.Time) int {
		if m.At.After(at) {
			return 1
		}
		return -1
	})
	if n == 0 {
		return lottery.Place{}, false
	}
	return moves[n-1].Place(), true
}
