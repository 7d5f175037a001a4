package event

import (
	"fmt"
	"slices"

	"fairgate/core/inventory/seating"
)

// Chart is the seating chart as seats are picked from it; nil for an event without seats.
func (s Spec) Chart() (*seating.Chart, error) {
	if len(s.Sections) == 0 {
		return nil, nil
	}
	sections := make([]seating.Section, len(s.Sections))
	for i, section := range s.Sections {
		sections[i] = seating.Section{
			ID: section.ID, Tier: section.Tier, Away: int(section.Away), Neighbours: section.Neighbours,
			Focus: seating.Focus{Row: section.Focus.Row, Seat: int(section.Focus.Seat)}, Rows: section.chartRows(),
		}
	}
	chart, err := seating.NewChart(sections)
	if err != nil {
		return nil, fmt.Errorf("draw the chart of event %s: %w", s.ID, err)
	}
	return chart, nil
}

// chartRows joins what the file says of a row in several places, such as one part of it for each allocation.
func (s Section) chartRows() []seating.Row {
	var rows []seating.Row
	place := make(map[string]int)
	for _, r := range s.Rows {
		at, known := place[r.Label]
		if !known {
			at = len(rows)
			place[r.Label] = at
			rows = append(rows, seating.Row{Label: r.Label, Table: r.Table})
		}
		for n := r.First; n <= r.Last; n++ {
			seat := seating.Seat{Number: int(n)}
			switch {
			case slices.Contains(r.Accessible, n):
				seat.Use = seating.Accessible
			case slices.Contains(r.Companions, n):
				seat.Use = seating.Companion
			}
			rows[at].Seats = append(rows[at].Seats, seat)
		}
	}
	return rows
}

// checkUses complains about accessible seats and companions that the row does not have or that are not together.
func (d *decoder) checkUses(r Row, path string) {
	if r.Last == 0 {
		return
	}
	inside := func(n int64) bool { return n >= r.First && n <= r.Last }
	for i, n := range r.Accessible {
		if n != 0 && !inside(n) {
			d.add(fmt.Sprintf("%s.accessible[%d]", path, i), "the row has no seat %d", n)
		}
	}
	for i, n := range r.Companions {
		at := fmt.Sprintf("%s.companions[%d]", path, i)
		switch {
		case n == 0:
		case !inside(n):
			d.add(at, "the row has no seat %d", n)
		case slices.Contains(r.Accessible, n):
			d.add(at, "seat %d is accessible itself; a companion's seat is beside it", n)
		case !r.accompanies(n, -1) && !r.accompanies(n, 1):
			d.add(at, "seat %d is not beside an accessible seat, nor beside a companion of one", n)
		}
	}
}

// accompanies tells whether a companion's seat has, past other companions in one direction, an accessible one.
func (r Row) accompanies(n, step int64) bool {
	for n += step; !slices.Contains(r.Accessible, n); n += step {
		if !slices.Contains(r.Companions, n) {
			return false
		}
	}
	return true
}

func (d *decoder) checkFocus(section *Section, path string) {
	f := section.Focus
	if f.Row == "" || f.Seat == 0 || d.badUnder(path+".rows") {
		return
	}
	known := false
	for _, r := range section.Rows {
		if r.Label == f.Row {
			known = true
			if f.Seat >= r.First && f.Seat <= r.Last {
				return
			}
		}
	}
	if known {
		d.add(path+".focus.seat", "row %s has no seat %d", f.Row, f.Seat)
	} else {
		d.add(path+".focus.row", "the section has no row %s", f.Row)
	}
}

func (d *decoder) checkNeighbours(s *Spec, i int) {
	section := &s.Sections[i]
	for n, id := range section.Neighbours {
		at := fmt.Sprintf("seating.sections[%d].neighbours[%d]", i, n)
		other := slices.IndexFunc(s.Sections, func(o Section) bool { return o.ID == id })
		switch {
		case id == "":
		case other == i:
			d.add(at, "a section is no neighbour of itself")
		case slices.Contains(section.Neighbours[:n], id):
			d.add(at, "%s is named already", id)
		case other < 0:
			d.add(at, "there is no section %s", id)
		case s.Sections[other].Tier != section.Tier:
			d.add(at, "section %s is of tier %s, not %s: who lets neighbours do must not pay another price", id, s.Sections[other].Tier, section.Tier)
		}
	}
}

func (d *decoder) checkPresales(s *Spec) {
	known := make(map[string]bool)
	for i, p := range s.Presales {
		path := fmt.Sprintf("presales[%d]", i)
		if p.ID != "" && known[p.ID] {
			d.add(path+".id", "%s is the id of an earlier presale", p.ID)
		}
		known[p.ID] = true
		if p.Allocation != "" && !slices.ContainsFunc(s.Allocations, func(a Allocation) bool { return a.ID == p.Allocation }) {
			d.add(path+".allocation", "there is no allocation %s", p.Allocation)
		}
		switch {
		case p.From.IsZero() || p.Until.IsZero():
		case !p.From.Before(p.Until):
			d.add(path+".until", "must be after from")
		case !s.StartsAt.IsZero() && p.Until.After(s.StartsAt):
			d.add(path+".until", "must not be after the event starts")
		}
		for n := range s.Allocations {
			if a := &s.Allocations[n]; p.Release && a.ID == p.Allocation && a.ReleaseAt.IsZero() {
				a.ReleaseAt = p.Until
			}
		}
		if p.PerBuyer > s.Limits.PerBuyer && !d.bad["limits.per_buyer"] {
			d.add(path+".per_buyer", "is more than limits.per_buyer, which is %d", s.Limits.PerBuyer)
		}
	}
}
