package api

import (
	"context"
	"fmt"

	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// marker makes the marks by which the limits of an event or its tour count a buyer. Where there are no such limits it makes
// none and costs nothing.
type marker struct {
	key     []byte // nil: there are no limits
	network string // the address part of the last mark, since the items of one edge often come from few networks
	address inventory.Mark
}

// marker prepares the marks of an event.
func (s *Server) marker(ctx context.Context, slug string) (marker, error) {
	e, err := s.Events.BySlug(ctx, slug)
	if err != nil {
		return marker{}, err
	}
	l, t := e.Spec.Limits, e.Spec.Tour
	if l.PerAccount == 0 && l.PerDevice == 0 && l.PerAddress == 0 && t.PerDevice == 0 && t.PerAddress == 0 {
		return marker{}, nil
	}
	key, err := s.Events.LimitKey(ctx, e)
	return marker{key: key}, err
}

// marks are a buyer's: the client's address as the edge saw it, the browser, and the entrant, who is one account where accounts are the
// identity. Elsewhere an account that happens to be signed in does not count: signing out would give everybody a second allowance.
func (m *marker) marks(session *admission.Session, client []byte) inventory.Marks {
	if m.key == nil {
		return inventory.Marks{}
	}
	if network := event.NetworkOf(string(client)); m.address == (inventory.Mark{}) || network != m.network {
		m.network, m.address = network, inventory.Mark(event.Mark(m.key, "address", network))
	}
	return inventory.Marks{Account: accountOf(session.Entrant), Device: inventory.Mark(session.Device), Address: m.address}
}

func accountOf(entrant lottery.Entrant) inventory.Mark { return inventory.Mark(entrant) }

// overLimit tells a buyer which limit stands in the way and what is left under it.
func overLimit(o *inventory.OverLimit) string {
	whose, of := o.Whose(), "this event"
	if o.Tour {
		of = "all events of this tour"
	}
	if o.Left == 0 {
		return fmt.Sprintf("No more than %d tickets %s may be held or bought for %s, and all of them are.", o.Limit, whose, of)
	}
	return fmt.Sprintf("No more than %d tickets %s may be held or bought for %s; %d are left.", o.Limit, whose, of, o.Left)
}
