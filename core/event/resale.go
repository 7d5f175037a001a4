package event

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/core/event/jurisdiction"
	"fairgate/ledger"
)

// What a resold ticket may cost its buyer in all.
const (
	CapFace    = "face"    // what it cost when it was first sold, fees and taxes included
	CapPercent = "percent" // so much more
	CapFree    = "free"    // as much as its seller likes
)

// What a cap is computed from.
const (
	BaseFirst = "first" // what the ticket cost when it was first sold
	BaseLower = "lower" // that, or what its present holder paid, whichever is less
)

// AfterEvent has sellers paid two days after the event's start.
const AfterEvent = "after_event"

// Defaults and bounds of resale.
const (
	defaultResaleCloses = 2 * time.Hour // a gate off line has a pack of some time before doors
	defaultMostListings = 4
	maxListings         = 1000
	maxCapPercent       = 100 // twice what it cost
)

// Resale says whether and how buyers may sell their tickets on; the zero value does not let them.
type Resale struct {
	Allowed        bool          `json:"allowed,omitempty"`
	Authorized     bool          `json:"authorized,omitempty"`              // the organizer has agreed, where the law of the place asks for that
	Cap            string        `json:"cap,omitempty"`                     // CapPercent or CapFree; empty: CapFace
	CapPercent     Rate          `json:"cap_percent_millionths,omitempty"`  // over the base
	Base           string        `json:"base,omitempty"`                    // BaseLower; empty: BaseFirst
	SellerFee      Rate          `json:"seller_fee_millionths,omitempty"`   // of what is asked: the platform's
	OrganizerShare Rate          `json:"organizer_millionths,omitempty"`    // likewise the organizer's
	BuyerFee       ledger.Amount `json:"buyer_fee,omitzero"`                // on top, see taxes.included
	ClosesBefore   Duration      `json:"closes_before,omitzero"`            // before the start; zero: 2h
	PayAfter       Duration      `json:"pay_after,omitzero"`                // the sale; zero: after the event
	MaxListings    int           `json:"max_listings_per_seller,omitempty"` // 0: 4
}

// ResaleRules are an event's rules, with defaults filled in and the law of its place counted in: the stricter one holds.
type ResaleRules struct {
	Allowed     bool
	Free        bool
	Over        Rate // over the base
	LowerBase   bool
	SellerFee   Rate
	Organizer   Rate
	Fee, Tax    ledger.Amount // that the buyer pays on top
	ClosesAt    time.Time
	PayAfter    time.Duration // zero: after the event
	MaxListings int
}

// ResaleRules are the rules by which an event's tickets are sold on.
func (s Spec) ResaleRules() (ResaleRules, error) {
	r := ResaleRules{Allowed: s.Resale.Allowed, Free: s.Resale.Cap == CapFree, Over: s.Resale.CapPercent, LowerBase: s.Resale.Base == BaseLower,
		SellerFee: s.Resale.SellerFee, Organizer: s.Resale.OrganizerShare, ClosesAt: s.StartsAt.Add(-defaultResaleCloses),
		PayAfter: s.Resale.PayAfter.Duration, MaxListings: defaultMostListings}
	if d := s.Resale.ClosesBefore.Duration; d > 0 {
		r.ClosesAt = s.StartsAt.Add(-d)
	}
	if s.Resale.MaxListings > 0 {
		r.MaxListings = s.Resale.MaxListings
	}
	law := jurisdiction.ResaleIn(s.Venue.Country)
	if law.Capped() && (r.Free || r.Over > Rate(law.OverMillionths())) {
		r.Free, r.Over = false, Rate(law.OverMillionths())
	}
	r.Allowed = r.Allowed && (s.Resale.Authorized || !law.Authorization) // an event that was applied before the law was known
	fee := s.Resale.BuyerFee
	if fee.Currency == "" {
		fee.Currency = s.Currency
	}
	p, err := price(ledger.Amount{Currency: s.Currency}, Fees{PerTicket: fee}, s.Taxes)
	if err != nil {
		return r, fmt.Errorf("price the fee of a resale: %w", err)
	}
	r.Fee, r.Tax = p.Fee, p.Tax
	return r, nil
}

func (d *decoder) resale(n *yaml.Node, path string, r *Resale, prices map[string]string) {
	percent := false
	d.mapping(n, path,
		key{"allowed", true, func(n *yaml.Node, path string) { r.Allowed = d.boolean(n, path) }},
		key{"authorized", false, func(n *yaml.Node, path string) { r.Authorized = d.boolean(n, path) }},
		key{"cap", false, func(n *yaml.Node, path string) {
			if r.Cap = d.choice(n, path, CapFace, CapPercent, CapFree); r.Cap == CapFace {
				r.Cap = ""
			}
		}},
		key{"cap_percent", false, func(n *yaml.Node, path string) { percent, r.CapPercent = true, d.rate(n, path, maxCapPercent) }},
		key{"base", false, func(n *yaml.Node, path string) {
			if r.Base = d.choice(n, path, BaseFirst, BaseLower); r.Base == BaseFirst {
				r.Base = ""
			}
		}},
		key{"seller_fee_percent", false, func(n *yaml.Node, path string) { r.SellerFee = d.rate(n, path, 100) }},
		key{"organizer_share_percent", false, func(n *yaml.Node, path string) { r.OrganizerShare = d.rate(n, path, 100) }},
		key{"buyer_fee", false, func(n *yaml.Node, path string) { prices[path], _ = d.decimal(n, path) }},
		key{"closes_before", false, func(n *yaml.Node, path string) {
			if r.ClosesBefore = d.duration(n, path, time.Minute, 72*time.Hour); r.ClosesBefore.Duration == defaultResaleCloses {
				r.ClosesBefore = Duration{}
			}
		}},
		key{"pay_sellers", false, func(n *yaml.Node, path string) {
			if n.Value != AfterEvent {
				r.PayAfter = d.duration(n, path, 24*time.Hour, 180*24*time.Hour)
			}
		}},
		d.limit("max_listings_per_seller", maxListings, &r.MaxListings),
	)
	if r.MaxListings == defaultMostListings {
		r.MaxListings = 0
	}
	switch {
	case d.badUnder(path):
	case (r.Cap == CapPercent) != percent:
		d.add(path+".cap_percent", "says how much more than the base a ticket may cost, with cap: percent and with nothing else")
	case r.SellerFee+r.OrganizerShare > whole:
		d.add(path+".organizer_share_percent", "and seller_fee_percent are more than all of the price")
	}
}

// checkResale refuses what the law of the place does not allow. The cap of the law holds in any case; a file that names a looser one is
// wrong all the same, because it would promise sellers what is not kept.
func (d *decoder) checkResale(s *Spec) {
	if !s.Resale.Allowed || d.badUnder("venue") || d.badUnder("resale") {
		return
	}
	law := jurisdiction.ResaleIn(s.Venue.Country)
	if law.Authorization && !s.Resale.Authorized {
		d.add("resale.authorized", "must be true in %s: the organizer has to agree to resale there, by %s, see %s", law.Name, law.Law, law.Source)
	}
	if law.Capped() && (s.Resale.Cap == CapFree || s.Resale.CapPercent > Rate(law.OverMillionths())) {
		d.add("resale.cap", "lets tickets cost more than %s allows, by %s, see %s", law.Name, law.Law, law.Source)
	}
}
