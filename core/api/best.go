package api

import (
	"context"

	"fairgate/core/event"
	"fairgate/core/inventory"
)

// bestJSON asks for the best seats of a tier, a section or both (core/inventory/seating says which those are). Accessible
// is how many of the people need an accessible seat, Companions how many come along beside them. Allow lists what the buyer
// puts up with: "orphans", "split", "neighbours".
type bestJSON struct {
	Quantity   int      `json:"quantity"`
	Tier       string   `json:"tier,omitempty"`
	Section    string   `json:"section,omitempty"`
	Accessible int      `json:"accessible,omitempty"`
	Companions int      `json:"companions,omitempty"`
	Allow      []string `json:"allow,omitempty"`
}

// item is the request as inventory understands it.
func (b *bestJSON) item() (inventory.Item, error) {
	best := &inventory.Best{Quantity: b.Quantity, Section: b.Section, Accessible: b.Accessible, Companions: b.Companions}
	for _, word := range b.Allow {
		switch word {
		case "orphans":
			best.Allow.Orphans = true
		case "split":
			best.Allow.Split = true
		case "neighbours":
			best.Allow.Neighbours = true
		default:
			return inventory.Item{}, &detailed{inventory.ErrItemsInvalid, "allow has the words orphans, split and neighbours, and no others."}
		}
	}
	return inventory.Item{Tier: b.Tier, Best: best}, nil
}

// window makes a request one through the presale whose on-sale let the buyer in, and only that. Whoever general sale let in comes through a
// presale only as entitled says.
func (s *Server) window(ctx context.Context, b *holdBatchWork, generation uint32, request *inventory.Request) error {
	if !b.shopKnown || b.generation != generation {
		b.generation, b.shopKnown = generation, true
		b.presale, b.shop = s.Room.Shop(ctx, string(b.slug), generation)
	}
	switch {
	case b.shop != nil:
		return b.shop
	case b.presale == "" && request.Window == "":
		return nil
	case b.presale == "":
		return s.entitled(ctx, string(b.slug))
	case request.Window != "" && request.Window != b.presale:
		return errWindow
	}
	request.Window = b.presale
	return nil
}

// entitled tells whether those whom general sale of an event let in have a right to its presales. Only invitations give it: whoever is
// inside an event that lets in invited entrants alone was invited. Which presales there are and when they are open is inventory's.
func (s *Server) entitled(ctx context.Context, slug string) error {
	e, err := s.Events.BySlug(ctx, slug)
	if err != nil {
		return err
	}
	if e.Spec.OnSale.Identity != event.InvitationIdentity {
		return errWindow
	}
	return nil
}
