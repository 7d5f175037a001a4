package event

import (
	"time"

	"go.yaml.in/yaml/v3"
)

// What a waiting list is offered before everybody.
const (
	FirstReturned = "returned" // what the event has sold and got back
	FirstResold   = "resold"   // what buyers sell on
	FirstBoth     = "both"     // the default
)

// Defaults and bounds of waiting lists.
const (
	defaultWaitlistOffer  = 30 * time.Minute
	defaultWaitlistDraw   = 15 * time.Minute
	defaultWaitlistCloses = 3 * time.Hour
)

// Waitlist says whether those who found nothing are asked first once there are tickets again; the zero value has no list.
type Waitlist struct {
	Enabled      bool     `json:"enabled,omitempty"`
	First        string   `json:"first,omitempty"`        // FirstReturned or FirstResold; empty: FirstBoth
	OfferFor     Duration `json:"offer_for,omitzero"`     // how long an offer stands; zero: 30m
	DrawAfter    Duration `json:"draw_after,omitzero"`    // so long after it has sold out those who asked are drawn; zero: 15m
	ClosesBefore Duration `json:"closes_before,omitzero"` // before the start; from then on general sale has everything; zero: 3h
}

// WaitlistRules are an event's rules with the defaults filled in.
type WaitlistRules struct {
	Enabled          bool
	Returned, Resold bool
	OfferFor         time.Duration
	DrawAfter        time.Duration
	ClosesAt         time.Time
}

// WaitlistRules are the rules of an event's waiting list. Resold tickets count only where there are any.
func (s Spec) WaitlistRules() WaitlistRules {
	w := s.Waitlist
	r := WaitlistRules{Enabled: w.Enabled, Returned: w.First != FirstResold, Resold: w.First != FirstReturned && s.Resale.Allowed,
		OfferFor: defaultWaitlistOffer, DrawAfter: defaultWaitlistDraw, ClosesAt: s.StartsAt.Add(-defaultWaitlistCloses)}
	if d := w.OfferFor.Duration; d > 0 {
		r.OfferFor = d
	}
	if d := w.DrawAfter.Duration; d > 0 {
		r.DrawAfter = d
	}
	if d := w.ClosesBefore.Duration; d > 0 {
		r.ClosesAt = s.StartsAt.Add(-d)
	}
	return r
}

func (d *decoder) waitlist(n *yaml.Node, path string, w *Waitlist) {
	d.mapping(n, path,
		key{"enabled", true, func(n *yaml.Node, path string) { w.Enabled = d.boolean(n, path) }},
		key{"first", false, func(n *yaml.Node, path string) {
			if w.First = d.choice(n, path, FirstReturned, FirstResold, FirstBoth); w.First == FirstBoth {
				w.First = ""
			}
		}},
		key{"offer_for", false, func(n *yaml.Node, path string) {
			w.OfferFor = unless(defaultWaitlistOffer, d.duration(n, path, 5*time.Second, 72*time.Hour))
		}},
		key{"draw_after", false, func(n *yaml.Node, path string) {
			w.DrawAfter = unless(defaultWaitlistDraw, d.duration(n, path, time.Second, 72*time.Hour))
		}},
		key{"closes_before", false, func(n *yaml.Node, path string) {
			w.ClosesBefore = unless(defaultWaitlistCloses, d.duration(n, path, time.Minute, 72*time.Hour))
		}},
	)
}
