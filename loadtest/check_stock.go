package loadtest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// What the audit asks of seats, quantities and holds.

// stockOf names a stock row.
type stockOf struct{ tier, allocation string }

// checkOversold counts the units of every tier three ways, from the stock rows, from the holds and from the tickets, and compares
// each with the capacity.
func checkOversold(e *evidence) Verdict {
	q := Inquire("oversold", "Oversold", "units")
	inHolds := make(map[stockOf]int64)
	for _, h := range e.holds {
		if h.State != "active" && h.State != "sold" {
			continue
		}
		var units int64
		for _, item := range h.decode(q) {
			inHolds[stockOf{item.Tier, item.Allocation}] += item.Quantity
			units += item.Quantity
		}
		q.That(units == h.Units, "hold %s says %d units and lists %d", h.ID, h.Units, units)
	}
	capacity, tickets := make(map[string]int64), make(map[string]int64)
	for _, s := range e.stock {
		k := stockOf{s.Tier, s.Allocation}
		held := inHolds[k]
		delete(inHolds, k)
		q.Checked(int(held))
		q.That(s.Taken <= s.Capacity, "%s/%s: %d taken of %d", s.Tier, s.Allocation, s.Taken, s.Capacity)
		q.That(held <= s.Capacity, "%s/%s: holds for %d of %d", s.Tier, s.Allocation, held, s.Capacity)
		q.That(held == s.Taken, "%s/%s: the stock says %d taken, the holds add up to %d", s.Tier, s.Allocation, s.Taken, held)
		if !strings.HasPrefix(s.Allocation, "resale/") { // the place of a ticket that is sold on is the one that it had
			capacity[s.Tier] += s.Capacity
		}
	}
	for k, n := range inHolds {
		q.Wrong("%s/%s: holds for %d of a stock that does not exist", k.tier, k.allocation, n)
	}
	for _, t := range e.tickets {
		if t.State == "valid" {
			tickets[t.Tier]++
		}
	}
	for tier, n := range tickets {
		q.That(n <= capacity[tier], "%s: %d valid tickets for a capacity of %d", tier, n, capacity[tier])
	}
	return q.Verdict()
}

func (h holdRow) decode(q *Inquiry) []heldItem {
	var items []heldItem
	if err := json.Unmarshal([]byte(h.Items), &items); err != nil {
		q.Wrong("hold %s: its items cannot be read: %v", h.ID, err)
	}
	return items
}

// checkSeats looks for a seat that two people have: by the seats' rows and holds, by the tickets in the database, and by the
// tickets that the buyers have in hand.
func checkSeats(e *evidence) Verdict {
	q := Inquire("seats_twice", "Seats sold twice", "seats and tickets")
	takers := make(map[string][]uuid.UUID)
	for _, h := range e.holds {
		if h.State != "active" && h.State != "sold" {
			continue
		}
		for _, item := range h.decode(q) {
			for _, seat := range item.Seats {
				takers[seat] = append(takers[seat], h.ID)
			}
		}
	}
	rows := make(map[string]seatRow, len(e.seats))
	for _, s := range e.seats {
		rows[s.Seat] = s
		if s.State == "held" || s.State == "sold" {
			q.That(s.Hold != nil && slices.Contains(takers[s.Seat], *s.Hold), "seat %s is %s for a hold that does not have it", s.Seat, s.State)
		}
	}
	for seat, holds := range takers {
		q.Checked(1)
		q.That(len(holds) == 1, "seat %s is in %d holds: %v", seat, len(holds), holds)
		row, ok := rows[seat]
		q.That(ok, "seat %s is in hold %s and in no section", seat, holds[0])
		q.That(!ok || row.State == "held" || row.State == "sold", "seat %s is in hold %s and its row says %s", seat, holds[0], row.State)
	}
	checkTicketsOnce(e, q)
	return q.Verdict()
}

// checkTicketsOnce looks for a seat with two valid tickets, and for one that two buyers have in hand. A ticket without a seat is
// looked up by its code, and one that was resold is its seller's no more: so an event without numbered seats has something to check too.
func checkTicketsOnce(e *evidence, q *Inquiry) {
	valid := make(map[string]uuid.UUID)
	resold := make(map[string]bool)
	for _, t := range e.tickets {
		if t.Why == "resold" {
			resold[t.ID.String()] = true
		}
		if t.State != "valid" {
			continue
		}
		name := placeName(t.Seat, t.CodeAtGate)
		if other, twice := valid[name]; twice {
			q.Wrong("%s has two valid tickets, %s and %s", name, other, t.ID)
		}
		valid[name] = t.ID
	}
	inHand := make(map[string]string)
	for _, t := range e.witness.Tickets() {
		q.Checked(1)
		if resold[t.ID] {
			continue // whose buyer has another
		}
		name := placeName(t.Seat, t.Code)
		if other, twice := inHand[name]; twice && other != t.ID {
			q.Wrong("two buyers were given %s, tickets %s and %s", name, other, t.ID)
		}
		inHand[name] = t.ID
	}
}

func placeName(seat, code string) string {
	if seat != "" {
		return "seat " + seat
	}
	return "the place of code " + code[:min(len(code), 24)]
}

// checkHoldsLeft asks that every hold has come to its end, and that stock and seats remember no other.
func checkHoldsLeft(e *evidence) Verdict {
	q := Inquire("holds_left", "Holds left over", "holds")
	state := make(map[uuid.UUID]string, len(e.holds))
	for _, h := range e.holds {
		q.Checked(1)
		state[h.ID] = h.State
		q.That(h.State == "sold" || h.State == "released" || h.State == "expired", "hold %s is still %s", h.ID, h.State)
	}
	for _, s := range e.seats {
		q.That(s.State != "held", "seat %s is still held", s.Seat)
		if s.State == "sold" && s.Hold != nil {
			q.That(state[*s.Hold] == "sold", "seat %s is sold to hold %s, which is %q", s.Seat, s.Hold, state[*s.Hold])
		}
	}
	return q.Verdict()
}
