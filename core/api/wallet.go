package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"fairgate/core/event"
	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/passes"
	"fairgate/core/ticket/wallet"
)

// Wallets are those that tickets can be put into. One that is nil is not offered.
type Wallets struct {
	Apple  *wallet.Apple
	Google *wallet.Google
	// Passes keeps what is in wallets as the tickets are; nil: nothing in a wallet is told of changes.
	Passes *passes.Service
	// PageURL is where a ticket is shown, with {event}, {order} and {ticket} in it; empty: passes link to no page.
	PageURL string
}

// walletsJSON are the addresses at which a ticket is put into wallets.
type walletsJSON struct {
	Apple  string `json:"apple,omitempty"`
	Google string `json:"google,omitempty"`
}

// walletsOf are the wallets that a ticket is offered for; nil: none.
func (s *Server) walletsOf(t ticket.Ticket, e *event.Event, seed []byte) *walletsJSON {
	if dead(t, e) != nil {
		return nil
	}
	var offered walletsJSON
	at := "/v1/tickets/" + t.ID.String() + "/wallet/"
	if s.Wallets.Apple != nil && s.Wallets.Apple.Offers(wallet.Pass{Seed: seed, Page: s.ticketPage(t, e)}) == nil {
		offered.Apple = at + "apple"
	}
	if s.Wallets.Google != nil {
		offered.Google = at + "google"
	}
	if offered == (walletsJSON{}) {
		return nil
	}
	return &offered
}

// dead tells why no gate opens for a ticket's code any more, as gates do; nil when one does. Of a cancelled event none does, whether the
// refund has come to the ticket or not.
func dead(t ticket.Ticket, e *event.Event) error {
	switch {
	case t.State != ticket.Valid, e.State == event.Cancelled:
		return gate.ErrVoid
	case t.Hold == ticket.Listed:
		return gate.ErrListed
	}
	return nil
}

// applePass gives the owner of a ticket its pass for Apple Wallet. That of a dead ticket says so, and takes the place of the one they have.
func (s *Server) applePass(w http.ResponseWriter, r *http.Request) error {
	t, e, err := s.ownTicket(r)
	if err != nil {
		return err
	}
	if s.Wallets.Apple == nil {
		return wallet.ErrUnavailable
	}
	p, err := s.givenPass(r.Context(), &t, e, passes.Apple, s.Wallets.Apple.Updates())
	if err != nil {
		return err
	}
	made, err := s.Wallets.Apple.Make(r.Context(), p)
	if err != nil {
		return err
	}
	s.noteShown(r.Context(), &t)
	w.Header().Set("Content-Type", wallet.AppleType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+e.Slug+"-"+t.ID.String()[:8]+`.pkpass"`)
	w.Header().Set("Cache-Control", "private, no-store")
	_, _ = w.Write(made) // the client has gone
	return nil
}

// ApplePass is a ticket's pass for Apple Wallet, to be sent to its owner; nil where none is offered.
func (s *Server) ApplePass(ctx context.Context, t ticket.Ticket, e *event.Event) ([]byte, error) {
	if s.Wallets.Apple == nil {
		return nil, nil
	}
	p, err := s.walletPass(ctx, t, e)
	if err != nil || s.Wallets.Apple.Offers(p) != nil {
		return nil, err
	}
	if p, err = s.givenPass(ctx, &t, e, passes.Apple, s.Wallets.Apple.Updates()); err != nil {
		return nil, err
	}
	return s.Wallets.Apple.Make(ctx, p)
}

// googleLink sends the owner of a ticket to where it is saved to Google Wallet, or names the address where JSON is accepted. The address
// has all that the ticket is, so it is in no cache.
func (s *Server) googleLink(w http.ResponseWriter, r *http.Request) error {
	t, e, err := s.ownTicket(r)
	if err != nil {
		return err
	}
	if s.Wallets.Google == nil {
		return wallet.ErrUnavailable
	}
	if err := dead(t, e); err != nil {
		return err
	}
	p, err := s.givenPass(r.Context(), &t, e, passes.Google, s.Wallets.Google.Updates())
	if err != nil {
		return err
	}
	if err := dead(t, e); err != nil { // since it was read
		return err
	}
	link, err := s.Wallets.Google.Link(r.Context(), p, time.Now())
	if err != nil {
		return err
	}
	s.noteShown(r.Context(), &t)
	w.Header().Set("Cache-Control", "private, no-store")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, map[string]string{"url": link})
		return nil
	}
	w.Header().Set("Location", link)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// givenPass is the pass that the owner of a ticket is given. Where its wallet is to be told of changes it is written down that they have it,
// and t is the ticket as it was then.
func (s *Server) givenPass(ctx context.Context, t *ticket.Ticket, e *event.Event, w passes.Wallet, updates bool) (wallet.Pass, error) {
	if s.Wallets.Passes == nil || !updates {
		return s.walletPass(ctx, *t, e)
	}
	saved, now, err := s.Wallets.Passes.Save(ctx, *t, w)
	if err != nil {
		return wallet.Pass{}, err
	}
	*t = now
	return s.savedPass(ctx, saved, now, e)
}

// DescribePass is what a pass that was given out shows now.
func (s *Server) DescribePass(ctx context.Context, saved passes.Saved, t ticket.Ticket) (wallet.Pass, error) {
	e, err := s.Events.ByID(ctx, t.Event)
	if err != nil {
		return wallet.Pass{}, err
	}
	return s.savedPass(ctx, saved, t, e)
}

// savedPass is what a pass that was given out shows of a ticket as it was read. Of one that has become somebody else's it shows nothing that
// is new since.
func (s *Server) savedPass(ctx context.Context, saved passes.Saved, t ticket.Ticket, e *event.Event) (wallet.Pass, error) {
	p, err := s.walletPass(ctx, t, e)
	if err != nil {
		return p, err
	}
	p.Named = saved.Named
	if !saved.Shows(t) {
		p.Void, p.Code, p.Seed, p.Seat, p.Page = true, "", nil, "", ""
	}
	if saved.Wallet == passes.Apple {
		p.Token, err = s.Wallets.Passes.Token(ctx, saved)
	}
	return p, err
}

// walletPass is what wallets are told of a ticket: nothing of its owner.
func (s *Server) walletPass(ctx context.Context, t ticket.Ticket, e *event.Event) (wallet.Pass, error) {
	seed, err := s.seed(ctx, t, e)
	if err != nil {
		return wallet.Pass{}, err
	}
	zone, err := time.LoadLocation(e.Spec.TimeZone)
	if err != nil {
		zone = time.UTC // the zone was known when the event was applied
	}
	var place *wallet.Place
	if c := e.Spec.Venue.Coordinates; c != nil {
		place = &wallet.Place{Latitude: c.Latitude, Longitude: c.Longitude}
	}
	p := wallet.Pass{
		Ticket: t.ID, Epoch: t.Epoch, Code: t.Code, Seed: seed, Void: dead(t, e) != nil, Tier: t.Tier, Seat: t.Seat, Page: s.ticketPage(t, e),
		Event:    wallet.Event{Slug: e.Slug, Name: e.Spec.Name, Venue: e.Spec.Venue.Name, Address: e.Spec.Venue.City + ", " + e.Spec.Venue.Country, Place: place},
		StartsAt: e.Spec.StartsAt.In(zone), ClosesAt: e.Spec.ClosesAt().In(zone),
	}
	for _, tier := range e.Spec.Tiers {
		if tier.ID == t.Tier {
			p.Tier = tier.Name
		}
	}
	return p, nil
}

func (s *Server) ticketPage(t ticket.Ticket, e *event.Event) string {
	return strings.NewReplacer("{event}", e.Slug, "{order}", t.Order.String(), "{ticket}", t.ID.String()).Replace(s.Wallets.PageURL)
}
