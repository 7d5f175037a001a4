package event

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// How often a ticket opens the gates of a zone.
const (
	EnterOnce      = "once"       // the default
	EnterAfterExit = "after_exit" // again after it was scanned on the way out
	EnterFree      = "free"       // always
)

// When the tickets of companions' seats open a gate.
const (
	CompanionsFree     = "free"     // the default: like any other
	CompanionsTogether = "together" // once a ticket of an accessible seat of the same order has entered
)

// defaultCloseAfter is how long after its start an event's tickets still open the gates.
const defaultCloseAfter = 24 * time.Hour

// maxZones bounds the zones of an event.
const maxZones = 50

// Gates are the rules at an event's doors; the zero value is one zone, which is entered once.
type Gates struct {
	Rotating   bool     `json:"rotating,omitempty"`   // codes are shown with a part that changes, and refused without it
	Reentry    string   `json:"reentry,omitempty"`    // EnterAfterExit or EnterFree; empty: EnterOnce
	CloseAfter Duration `json:"close_after,omitzero"` // zero: 24h
	Together   bool     `json:"together,omitempty"`   // companions enter with or after those whom they accompany
	Zones      []Zone   `json:"zones,omitempty"`
}

// Zone is a part of the venue with gates of its own.
type Zone struct {
	ID       string   `json:"id"`
	Tiers    []string `json:"tiers,omitempty"`    // whose tickets open its gates, …
	Sections []string `json:"sections,omitempty"` // … and those of seats in these sections
}

// maxCompanionsReleased is the longest time before the start at which companions' seats are sold to anybody: always, for any event.
const maxCompanionsReleased = 5 * 365 * 24 * time.Hour

// CompanionsFreeAt tells whether at a moment companions' seats are sold to anybody.
func (s Spec) CompanionsFreeAt(now time.Time) bool {
	d := s.Companions.Duration
	return d > 0 && !now.Before(s.StartsAt.Add(-d))
}

// AccessibleSeats are the ids of the event's accessible seats and of the companions' beside them.
func (s Spec) AccessibleSeats() (accessible, companions []string) {
	for _, section := range s.Sections {
		for _, r := range section.Rows {
			for _, n := range r.Accessible {
				accessible = append(accessible, fmt.Sprintf("%s/%s/%d", section.ID, r.Label, n))
			}
			for _, n := range r.Companions {
				companions = append(companions, fmt.Sprintf("%s/%s/%d", section.ID, r.Label, n))
			}
		}
	}
	return accessible, companions
}

// companions is the word for Together.
func (g Gates) companions() string {
	if g.Together {
		return CompanionsTogether
	}
	return CompanionsFree
}

// ClosesAt is when an event's tickets no longer open a gate.
func (s Spec) ClosesAt() time.Time {
	if s.Gates.CloseAfter.Duration > 0 {
		return s.StartsAt.Add(s.Gates.CloseAfter.Duration)
	}
	return s.StartsAt.Add(defaultCloseAfter)
}

func (d *decoder) gates(n *yaml.Node, path string, g *Gates) {
	d.mapping(n, path,
		key{"rotating", false, func(n *yaml.Node, path string) { g.Rotating = d.boolean(n, path) }},
		key{"reentry", false, func(n *yaml.Node, path string) {
			if g.Reentry = d.choice(n, path, EnterOnce, EnterAfterExit, EnterFree); g.Reentry == EnterOnce {
				g.Reentry = ""
			}
		}},
		key{"close_after", false, func(n *yaml.Node, path string) {
			if g.CloseAfter = d.duration(n, path, time.Minute, 90*24*time.Hour); g.CloseAfter.Duration == defaultCloseAfter {
				g.CloseAfter = Duration{}
			}
		}},
		key{"companions", false, func(n *yaml.Node, path string) {
			g.Together = d.choice(n, path, CompanionsFree, CompanionsTogether) == CompanionsTogether
		}},
		key{"zones", false, func(n *yaml.Node, path string) {
			d.list(n, path, maxZones, func(n *yaml.Node, path string) {
				var z Zone
				d.mapping(n, path,
					key{"id", true, func(n *yaml.Node, path string) { z.ID = d.name(n, path, idForm, idRule) }},
					key{"tiers", false, func(n *yaml.Node, path string) { z.Tiers = d.texts(n, path, maxTiers, 32) }},
					key{"sections", false, func(n *yaml.Node, path string) {
						d.list(n, path, maxSections, func(n *yaml.Node, path string) {
							z.Sections = append(z.Sections, d.name(n, path, sectionForm, sectionRule))
						})
					}},
				)
				g.Zones = append(g.Zones, z)
			})
		}},
	)
}

// checkZones complains about zones that nothing can enter, and names that refer to nothing.
func (d *decoder) checkZones(s *Spec) {
	seen := make(map[string]bool)
	for i, z := range s.Gates.Zones {
		path := fmt.Sprintf("gates.zones[%d]", i)
		if z.ID != "" && seen[z.ID] {
			d.add(path+".id", "%s is the id of an earlier zone", z.ID)
		}
		seen[z.ID] = true
		if len(z.Tiers)+len(z.Sections) == 0 && !d.badUnder(path) {
			d.add(path, "nobody could enter: name tiers or sections")
		}
		for _, name := range z.Tiers {
			if _, at := s.tier(name); at < 0 {
				d.add(path+".tiers", "there is no tier %s", quote(name))
			}
		}
		for _, name := range z.Sections {
			if name != "" && !slices.ContainsFunc(s.Sections, func(c Section) bool { return c.ID == name }) {
				d.add(path+".sections", "there is no section %s", name)
			}
		}
	}
}
