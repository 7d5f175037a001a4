package event

import (
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/core/event/jurisdiction"
)

// Defaults and bounds of transfers.
const (
	defaultTransferCloses = 2 * time.Hour  // a gate off line has a pack of some time before doors
	defaultOfferLife      = 72 * time.Hour // as long as a bank transfer: there are weekends
	defaultMostTransfers  = 3
	maxTransfersPerTicket = 20
)

// regionForm is the part of an ISO 3166-2 code behind the hyphen.
var regionForm = regexp.MustCompile(`^[A-Z0-9]{1,3}$`)

// Transfer says how tickets may be handed on; the zero value lets them with the defaults. It costs nothing.
type Transfer struct {
	Forbidden    bool     `json:"forbidden,omitempty"`
	Exempt       string   `json:"exempt,omitempty"`       // by which exception of the place's law they are forbidden all the same
	ClosesBefore Duration `json:"closes_before,omitzero"` // before the start; zero: 2h
	ExpiresAfter Duration `json:"expires_after,omitzero"` // how long an offer stands; zero: 72h
	Most         int      `json:"most,omitempty"`         // how often one ticket may be handed on; 0: 3
}

// TransferRules are an event's rules with the defaults filled in.
type TransferRules struct {
	Allowed  bool
	ClosesAt time.Time // from then on nothing is offered or accepted
	OfferFor time.Duration
	Most     int
}

// TransferRules are the rules by which an event's tickets are handed on.
func (s Spec) TransferRules() TransferRules {
	r := TransferRules{Allowed: !s.Transfer.Forbidden, ClosesAt: s.StartsAt.Add(-defaultTransferCloses), OfferFor: defaultOfferLife, Most: defaultMostTransfers}
	if d := s.Transfer.ClosesBefore.Duration; d > 0 {
		r.ClosesAt = s.StartsAt.Add(-d)
	}
	if d := s.Transfer.ExpiresAfter.Duration; d > 0 {
		r.OfferFor = d
	}
	if s.Transfer.Most > 0 {
		r.Most = s.Transfer.Most
	}
	return r
}

func (d *decoder) transfer(n *yaml.Node, path string, t *Transfer) {
	d.mapping(n, path,
		key{"allowed", false, func(n *yaml.Node, path string) { t.Forbidden = !d.boolean(n, path) && !d.bad[path] }},
		key{"exempt", false, func(n *yaml.Node, path string) { t.Exempt = d.text(n, path, 200) }},
		key{"closes_before", false, func(n *yaml.Node, path string) {
			t.ClosesBefore = unless(defaultTransferCloses, d.duration(n, path, time.Minute, 72*time.Hour))
		}},
		key{"expires_after", false, func(n *yaml.Node, path string) {
			t.ExpiresAfter = unless(defaultOfferLife, d.duration(n, path, time.Minute, 30*24*time.Hour))
		}},
		d.limit("most", maxTransfersPerTicket, &t.Most),
	)
	if t.Most == defaultMostTransfers {
		t.Most = 0
	}
}

// unless is zero for the default, so that a file that names it and one that does not are the same.
func unless(usual time.Duration, d Duration) Duration {
	if d.Duration == usual {
		return Duration{}
	}
	return d
}

// checkTransfer refuses to forbid what the law of the place forbids to forbid.
func (d *decoder) checkTransfer(s *Spec) {
	if !s.Transfer.Forbidden || s.Transfer.Exempt != "" || d.badUnder("venue") {
		return
	}
	const path = "transfer.allowed"
	table := jurisdiction.Known()
	if s.Venue.Region == "" && table.Regional(s.Venue.Country) {
		d.add(path, "can be false only if venue.region says where in %s that is: some regions forbid to forbid it", s.Venue.Country)
		return
	}
	for _, p := range table.Of(s.Venue.Country, s.Venue.Region) {
		if may := p.Transfer.MayForbid; may != nil && !*may {
			d.add(path, "cannot be false in %s by %s, see %s; if one of its exceptions holds, name it as transfer.exempt", p.Name, p.Transfer.Law, p.Transfer.Source)
		}
	}
}
