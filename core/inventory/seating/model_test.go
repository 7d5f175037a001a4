package seating_test

import (
	"cmp"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"fairgate/core/inventory/seating"
)

// hall is a small chart with which seats are free, and a model of the package comment that tries everything.
type hall struct {
	sections []seating.Section
	chart    *seating.Chart
	free     *seating.Free
	is       map[string]bool // free, by name
}

// spot is a seat as the model sees it.
type spot struct {
	name    string
	section int
	row     int
	number  int
	use     seating.Use
	table   bool
}

func drawHall(t *rapid.T, needs bool) *hall {
	h := &hall{is: map[string]bool{}}
	count := rapid.IntRange(1, 3).Draw(t, "sections")
	ids := []string{"A", "B", "C"}[:count]
	for i, id := range ids {
		s := seating.Section{ID: id, Tier: "lower", Away: rapid.IntRange(0, 3).Draw(t, "away")}
		for n := range rapid.IntRange(1, 3).Draw(t, "rows") {
			r := seating.Row{Label: fmt.Sprint(n + 1), Table: rapid.IntRange(0, 9).Draw(t, "table") == 0}
			number := rapid.IntRange(1, 4).Draw(t, "first")
			for range rapid.IntRange(1, 7).Draw(t, "seats") {
				seat := seating.Seat{Number: number}
				if needs {
					seat.Use = rapid.SampledFrom([]seating.Use{seating.Ordinary, seating.Ordinary, seating.Accessible, seating.Companion}).Draw(t, "use")
				}
				r.Seats = append(r.Seats, seat)
				number++
				if rapid.IntRange(0, 7).Draw(t, "aisle") == 0 {
					number += rapid.IntRange(1, 3).Draw(t, "gap")
				}
			}
			s.Rows = append(s.Rows, r)
		}
		if rapid.Bool().Draw(t, "focus") {
			r := rapid.SampledFrom(s.Rows).Draw(t, "focal row")
			s.Focus = seating.Focus{Row: r.Label, Seat: rapid.SampledFrom(r.Seats).Draw(t, "focal seat").Number}
		}
		others := slices.Delete(slices.Clone(ids), i, i+1)
		if len(others) > 0 {
			others = rapid.Permutation(others).Draw(t, "neighbours")
			s.Neighbours = others[:rapid.IntRange(0, len(others)).Draw(t, "how many")]
		}
		h.sections = append(h.sections, s)
	}
	chart, err := seating.NewChart(h.sections)
	if err != nil {
		t.Fatal(err)
	}
	h.chart, h.free = chart, seating.NewFree(chart)
	for _, s := range h.spots() {
		if rapid.IntRange(0, 3).Draw(t, "free") > 0 {
			h.put(t, s.name, true)
		}
	}
	return h
}

func (h *hall) put(t interface{ Fatalf(string, ...any) }, name string, free bool) {
	p, ok := h.chart.Find(name)
	if !ok || h.chart.Name(p) != name {
		t.Fatalf("seat %s is found as %v, %v", name, p, ok)
	}
	if free {
		h.free.Put(p)
	} else {
		h.free.Take(p)
	}
	h.is[name] = free
}

// spots lists every seat in order.
func (h *hall) spots() []spot {
	var all []spot
	row := 0
	for i, s := range h.sections {
		for _, r := range s.Rows {
			for _, seat := range r.Seats {
				all = append(all, spot{fmt.Sprintf("%s/%s/%d", s.ID, r.Label, seat.Number), i, row, seat.Number, seat.Use, r.Table})
			}
			row++
		}
	}
	return all
}

// distance is the formula of the package comment, for one seat.
func (h *hall) distance(s spot) int {
	section := h.sections[s.section]
	first := 0
	for _, before := range h.sections[:s.section] {
		first += len(before.Rows)
	}
	focal, focus := 0, section.Rows[0].Seats[0].Number+section.Rows[0].Seats[len(section.Rows[0].Seats)-1].Number
	for n, r := range section.Rows {
		if r.Label == section.Focus.Row {
			focal, focus = n, 2*section.Focus.Seat
		}
	}
	away := s.row - first - focal
	if away < 0 {
		away = -away
	}
	away += section.Away
	return 16*away*away + (2*s.number-focus)*(2*s.number-focus)
}

// lonely lists the free seats of a kind with no free seat of it beside them, when without counts as taken.
func (h *hall) lonely(usable func(spot) bool, without map[string]bool) map[string]bool {
	beside := map[[2]int]bool{}
	var open []spot
	for _, s := range h.spots() {
		if h.is[s.name] && usable(s) && !without[s.name] {
			open = append(open, s)
			beside[[2]int{s.row, s.number}] = true
		}
	}
	alone := map[string]bool{}
	for _, s := range open {
		if !beside[[2]int{s.row, s.number - 1}] && !beside[[2]int{s.row, s.number + 1}] {
			alone[s.name] = true
		}
	}
	return alone
}

// result is what the model finds: the step and what counts there.
type result struct {
	orphans, pieces, alone, distance int
	seats                            []string
}

func (r result) String() string {
	return fmt.Sprintf("%v: %d orphans, %d pieces, %d alone, distance %d", r.seats, r.orphans, r.pieces, r.alone, r.distance)
}

// usable tells which seats a party without need may have.
func (h *hall) usable(tier string) func(spot) bool {
	for _, s := range h.spots() {
		if h.is[s.name] && s.use == seating.Ordinary && !s.table {
			return func(s spot) bool { return s.use == seating.Ordinary }
		}
	}
	return func(spot) bool { return true }
}

// judge works out what a choice of seats costs.
func (h *hall) judge(seats []spot, usable func(spot) bool) result {
	var r result
	taken := map[string]bool{}
	for i, s := range seats {
		taken[s.name] = true
		r.seats = append(r.seats, s.name)
		r.distance += h.distance(s)
		if i == 0 || seats[i-1].row != s.row || seats[i-1].number+1 != s.number {
			r.pieces++
			if i == len(seats)-1 || seats[i+1].row != s.row || seats[i+1].number != s.number+1 {
				r.alone++
			}
		}
	}
	before := h.lonely(usable, nil)
	for name := range h.lonely(usable, taken) {
		if !before[name] {
			r.orphans++
		}
	}
	return r
}

// together is the best block of n adjacent seats in the sections.
func (h *hall) together(n int, in []int, strict bool, fit func([]spot) bool, usable func(spot) bool) (result, bool) {
	best, found := result{}, false
	spots := h.spots()
	for at := 0; at+n <= len(spots); at++ {
		block := spots[at : at+n]
		ok := slices.Contains(in, block[0].section)
		for i, s := range block {
			ok = ok && h.is[s.name] && !s.table && s.row == block[0].row && s.number == block[0].number+i
		}
		if !ok || !fit(block) {
			continue
		}
		r := h.judge(block, usable)
		if strict && r.orphans > 0 {
			continue
		}
		if !found || cmp.Or(cmp.Compare(r.orphans, best.orphans), cmp.Compare(r.distance, best.distance)) < 0 {
			best, found = r, true
		}
	}
	return best, found
}

// split tries every set of n seats of the sections.
func (h *hall) split(n int, in []int, strict bool, usable func(spot) bool) (result, bool) {
	var open []spot
	for _, s := range h.spots() {
		if h.is[s.name] && !s.table && usable(s) && slices.Contains(in, s.section) {
			open = append(open, s)
		}
	}
	best, found := result{}, false
	var choose func(from int, chosen []spot)
	choose = func(from int, chosen []spot) {
		if len(chosen) == n {
			r := h.judge(chosen, usable)
			if strict && r.orphans > 0 {
				return
			}
			if !found || cmp.Or(cmp.Compare(r.orphans, best.orphans), cmp.Compare(r.pieces, best.pieces), cmp.Compare(r.alone, best.alone)) < 0 {
				best, found = r, true
			}
			return
		}
		for i := from; i < len(open); i++ {
			choose(i+1, append(chosen[:len(chosen):len(chosen)], open[i]))
		}
	}
	choose(0, nil)
	return best, found
}
