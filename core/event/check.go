package event

import (
	"fmt"
	"time"
	_ "time/tzdata" // a file that is right on one machine is right on all of them

	"fairgate/ledger"
)

// check complains about what no single value shows: names that refer to nothing, things given twice, sums that do not fit. It is
// silent about values that were complained about when they were read.
func (d *decoder) check(s *Spec) {
	d.checkClock(s)
	if _, ok := ledger.Exponent(s.Currency); !ok && s.Currency != "" {
		d.add("currency", "%s is not a currency in use (ISO 4217)", s.Currency)
	}
	tiers := d.checkTiers(s)
	allocations := d.checkAllocations(s, tiers)
	d.checkSections(s, tiers, allocations)
	d.checkResale(s)
	d.checkPresales(s)
	d.checkZones(s)
	d.checkTransfer(s)
}

func (d *decoder) checkClock(s *Spec) {
	if s.TimeZone == "" {
		return
	}
	location, err := time.LoadLocation(s.TimeZone)
	if err != nil || s.TimeZone == "Local" {
		d.add("time_zone", "%s is not a time zone such as Europe/Madrid", quote(s.TimeZone))
		return
	}
	if s.StartsAt.IsZero() {
		return
	}
	_, given := s.StartsAt.Zone()
	local := s.StartsAt.In(location)
	if _, offset := local.Zone(); given != offset && given != 0 {
		d.add("starts_at", "%s has the offset %s on that day: write %s, or Z for UTC", s.TimeZone, local.Format("-07:00"), local.Format(time.RFC3339))
	}
	s.StartsAt = s.StartsAt.UTC()
}

func (d *decoder) checkTiers(s *Spec) map[string]*TierSpec {
	tiers := make(map[string]*TierSpec, len(s.Tiers))
	if len(s.Tiers) == 0 && !d.bad["tiers"] && !d.bad[""] {
		d.add("tiers", "must have at least one tier")
	}
	for i := range s.Tiers {
		t, path := &s.Tiers[i], fmt.Sprintf("tiers[%d]", i)
		if t.ID != "" {
			if tiers[t.ID] != nil {
				d.add(path+".id", "%s is the id of an earlier tier", t.ID)
			} else {
				tiers[t.ID] = t
			}
		}
		switch {
		case t.Kind == General && t.Capacity == 0 && !d.bad[path+".capacity"]:
			d.add(path+".capacity", "is missing: a general tier needs one")
		case t.Kind == Seated && t.Capacity != 0:
			d.add(path+".capacity", "a seated tier has no capacity of its own; its seats are counted")
		}
		d.checkPrice(s, t, path)
	}
	return tiers
}

// checkPrice refuses what would be free, which no payment provider can take, and what does not fit.
func (d *decoder) checkPrice(s *Spec, t *TierSpec, path string) {
	if d.bad[path+".price"] || d.bad["fees.per_ticket"] || d.bad[path] {
		return
	}
	if _, ok := ledger.Exponent(s.Currency); !ok {
		return
	}
	switch p, err := s.Price(*t); {
	case err != nil:
		d.add(path+".price", "with fees and taxes it is more than can be counted")
	case p.AllIn.Minor == 0:
		d.add(path+".price", "with fees and taxes must be more than nothing")
	}
}

func (d *decoder) checkAllocations(s *Spec, tiers map[string]*TierSpec) map[stockKey]bool {
	known := make(map[stockKey]bool)
	aside := make(map[string]int64)
	for i, a := range s.Allocations {
		path := fmt.Sprintf("allocations[%d]", i)
		if a.ID == "" || a.Tier == "" {
			continue
		}
		t := tiers[a.Tier]
		k := stockKey{a.Tier, a.ID}
		switch {
		case a.ID == GeneralAllocation:
			d.add(path+".id", "general is what is not set aside; choose another id")
		case t == nil:
			d.add(path+".tier", "there is no tier %s", a.Tier)
		case known[k]:
			d.add(path+".id", "%s has its share of tier %s already", a.ID, a.Tier)
		case t.Kind == General && a.Quantity == 0 && !d.bad[path+".quantity"]:
			d.add(path+".quantity", "is missing: it says how much of a general tier is set aside")
		case t.Kind == Seated && a.Quantity != 0:
			d.add(path+".quantity", "seats are set aside by naming the allocation at a section or row, and counted there")
		case t.Kind == General && t.Capacity > 0 && aside[a.Tier]+a.Quantity > t.Capacity:
			d.add(path+".quantity", "sets aside %d of tier %s, which has only %d", aside[a.Tier]+a.Quantity, a.Tier, t.Capacity)
		}
		if !a.ReleaseAt.IsZero() && !s.StartsAt.IsZero() && !a.ReleaseAt.Before(s.StartsAt) {
			d.add(path+".release_at", "must be before the event starts")
		}
		known[k] = true
		aside[a.Tier] += a.Quantity
	}
	return known
}

func (d *decoder) checkSections(s *Spec, tiers map[string]*TierSpec, allocations map[stockKey]bool) {
	sections := make(map[string]bool)
	seats := make(map[string]int64) // by tier
	used := make(map[stockKey]bool)
	for i := range s.Sections {
		section, path := &s.Sections[i], fmt.Sprintf("seating.sections[%d]", i)
		if section.ID != "" && sections[section.ID] {
			d.add(path+".id", "%s is the id of an earlier section", section.ID)
		}
		sections[section.ID] = true
		t := tiers[section.Tier]
		switch {
		case section.Tier == "":
		case t == nil:
			d.add(path+".tier", "there is no tier %s", section.Tier)
		case t.Kind == General:
			d.add(path+".tier", "tier %s is general: it has no seats", section.Tier)
		}
		seats[section.Tier] += d.checkRows(section, path)
		if t != nil {
			d.checkSeatAllocations(section, path, allocations, used)
		}
		d.checkFocus(section, path)
		d.checkNeighbours(s, i)
	}
	for i, t := range s.Tiers {
		if t.Kind == Seated && t.ID != "" && seats[t.ID] == 0 && !d.badUnder("seating") {
			d.add(fmt.Sprintf("tiers[%d]", i), "no section has seats of tier %s", t.ID)
		}
	}
	for i, a := range s.Allocations {
		if t := tiers[a.Tier]; t != nil && t.Kind == Seated && a.ID != GeneralAllocation && !used[stockKey{a.Tier, a.ID}] && !d.badUnder("seating") {
			d.add(fmt.Sprintf("allocations[%d]", i), "no section or row of tier %s names %s", a.Tier, a.ID)
		}
	}
}

// checkRows complains about seats given twice and counts the rest.
func (d *decoder) checkRows(section *Section, path string) int64 {
	if len(section.Rows) == 0 && !d.badUnder(path+".rows") {
		d.add(path+".rows", "must have at least one row")
	}
	var count int64
	taken := make(map[string][]Row)
	for _, r := range section.Rows {
		for _, other := range taken[r.Label] {
			if r.First <= other.Last && other.First <= r.Last {
				d.add(path+".rows", "row %s has seat %d twice", r.Label, max(r.First, other.First))
				break
			}
			if r.Table != other.Table {
				d.add(path+".rows", "%s is a table in one place and a row in another", r.Label)
				break
			}
		}
		taken[r.Label] = append(taken[r.Label], r)
		count += r.Last - r.First + 1
	}
	return count
}

// checkSeatAllocations complains about allocations that sections and rows name and the file does not list.
func (d *decoder) checkSeatAllocations(section *Section, path string, allocations, used map[stockKey]bool) {
	refused := make(map[string]bool)
	name := func(at, allocation string) {
		k := stockKey{section.Tier, allocation}
		used[k] = true
		if allocation != "" && allocation != GeneralAllocation && !allocations[k] && !refused[allocation] {
			refused[allocation] = true
			d.add(at, "there is no allocation %s of tier %s", allocation, section.Tier)
		}
	}
	for _, r := range section.Rows {
		if r.Allocation != "" {
			name(path+".rows", r.Allocation)
		}
	}
	name(path+".allocation", section.Allocation)
}

// badUnder reports whether anything at path or inside it was complained about.
func (d *decoder) badUnder(path string) bool {
	for bad := range d.bad {
		if len(bad) >= len(path) && bad[:len(path)] == path {
			return true
		}
	}
	return false
}
