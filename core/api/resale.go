package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// listingsMaxAge is how long a list of what is on sale may be shown without asking again.
const listingsMaxAge = time.Second

// listingJSON is a listing as everybody may see it: what it costs in all comes first, and nobody's name is in it.
type listingJSON struct {
	ID    uuid.UUID `json:"id"`
	Price moneyJSON `json:"price"` // all-in
	Asked moneyJSON `json:"asked"`
	Fee   moneyJSON `json:"fee"`
	Tax   moneyJSON `json:"tax"`
	Tier  string    `json:"tier"`
	Seat  string    `json:"seat"`
	Held  bool      `json:"held,omitempty"` // somebody is buying it at the moment
	Since timeJSON  `json:"listed_at"`
}

// ownListingJSON is a listing as its seller sees it.
type ownListingJSON struct {
	listingJSON
	Event     string     `json:"event"`
	TicketID  uuid.UUID  `json:"ticket_id"`
	State     string     `json:"state"`
	Reason    string     `json:"reason,omitempty"`
	YouGet    moneyJSON  `json:"you_get"`
	Organizer moneyJSON  `json:"organizer_share"`
	SellerFee moneyJSON  `json:"seller_fee"`
	Cap       *moneyJSON `json:"cap,omitempty"` // the most that it may cost in all; none: no cap
	SoldAt    *timeJSON  `json:"sold_at,omitempty"`
	PaidFrom  *timeJSON  `json:"paid_from,omitempty"` // when the seller is paid at the earliest
	Payout    string     `json:"payout,omitempty"`
}

func ownListingOf(l *resale.Listing, slug string) ownListingJSON {
	p := l.Price
	in := func(minor int64) moneyJSON { return money(p.Amount(minor)) }
	j := ownListingJSON{
		listingJSON: listingJSON{ID: l.ID, Price: in(p.AllIn()), Asked: in(p.Asked), Fee: in(p.Fee), Tax: in(p.Tax), Tier: l.Tier, Seat: l.Seat,
			Held: l.State == resale.Selling, Since: timeJSON(l.CreatedAt)},
		Event: slug, TicketID: l.Ticket, State: string(l.State), Reason: l.Reason, YouGet: in(p.Share()), Organizer: in(p.Royalty), SellerFee: in(p.Commission),
		Payout: string(l.Payout),
	}
	if p.Cap >= 0 {
		most := in(p.Cap)
		j.Cap = &most
	}
	if !l.SoldAt.IsZero() {
		at, from := timeJSON(l.SoldAt), timeJSON(l.PayAt)
		j.SoldAt, j.PaidFrom = &at, &from
	}
	return j
}

// eventListings shows what is on sale from one buyer to the next, the cheapest first, to anybody.
//
//	GET /v1/events/{id}/listings
func (s *Server) eventListings(w http.ResponseWriter, r *http.Request) error {
	id, err := s.eventOf(r)
	if err != nil {
		return err
	}
	found, err := s.Resale.OnSale(r.Context(), id)
	if err != nil {
		return err
	}
	list := make([]listingJSON, len(found))
	for i, l := range found {
		in := func(minor int64) moneyJSON { return money(l.Price.Amount(minor)) }
		list[i] = listingJSON{ID: l.ID, Price: in(l.Price.AllIn()), Asked: in(l.Price.Asked), Fee: in(l.Price.Fee), Tax: in(l.Price.Tax), Tier: l.Tier, Seat: l.Seat,
			Held: l.Held, Since: timeJSON(l.Since)}
	}
	return writeCacheable(w, r, listingsMaxAge, map[string]any{"listings": list})
}

// listTicket offers a ticket for resale and takes it out of use.
//
//	POST /v1/tickets/{id}/listing {"price":{"minor":5000,"currency":"EUR"}}   price: what the seller asks, without the buyer's fee
func (s *Server) listTicket(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if err := idempotencyKey(key); err != nil {
		return err
	}
	var body struct {
		Price ledger.Amount `json:"price"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	t, _, err := s.ownTicket(r)
	if errors.Is(err, ticket.ErrUnknown) {
		return s.notTheirs(r)
	}
	if err != nil {
		return err
	}
	switch theirs, err := s.disposes(r, &t); {
	case err != nil:
		return err
	case !theirs:
		return resale.ErrNotOwner
	}
	offer := resale.Offer{Ticket: t.ID, Seller: t.Owner, Asked: body.Price, Key: key}
	if a, err := s.account(r); err == nil {
		offer.Account, offer.Email = a.ID, a.Email
	}
	l, created, err := s.Resale.List(r.Context(), offer)
	if err != nil {
		return overCap(err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.writeListing(w, r, status, &l)
}

// overCap says in an answer how much a ticket may cost.
func overCap(err error) error {
	var over *resale.OverCap
	if !errors.As(err, &over) {
		return err
	}
	return &detailed{err, fmt.Sprintf("This ticket may cost its buyer at most %s in all, so you may ask at most %s.", over.Most, over.Asked)}
}

// notTheirs tells somebody else's ticket from one that does not exist.
func (s *Server) notTheirs(r *http.Request) error {
	id, err := pathID(r, ticket.ErrUnknown)
	if err == nil {
		_, err = ticket.Load(r.Context(), s.DB.Reader, id)
	}
	if err != nil {
		return err
	}
	return resale.ErrNotOwner
}

// sells tells whether the request proves that it comes from the listing's seller: by a session of theirs, or signed in as they were.
func (s *Server) sells(r *http.Request, l *resale.Listing) (bool, error) {
	sessions, refused := s.sessions(r, looking)
	for _, session := range sessions {
		if session.Event == l.Event && session.Entrant == l.Seller {
			return true, nil
		}
	}
	a, err := s.account(r)
	if err != nil {
		if refused != nil {
			return false, refused
		}
		return false, nil
	}
	if a.ID == l.Account {
		return true, nil
	}
	return s.owns(r.Context(), a, l.Event, l.Seller)
}

func (s *Server) writeListing(w http.ResponseWriter, r *http.Request, status int, l *resale.Listing) error {
	e, err := s.Events.ByID(r.Context(), l.Event)
	if err != nil {
		return err
	}
	writeJSON(w, status, ownListingOf(l, e.Slug))
	return nil
}

// ownListings are the caller's listings, the latest first, whatever became of them.
//
//	GET /v1/listings
func (s *Server) ownListings(w http.ResponseWriter, r *http.Request) error {
	var owners []resale.Owner
	sessions, refused := s.sessions(r, looking)
	for _, session := range sessions {
		owners = append(owners, resale.Owner{Event: session.Event, Entrant: session.Entrant})
	}
	a, err := s.account(r)
	if err != nil && refused != nil {
		return refused
	}
	found, err := s.Resale.Of(r.Context(), owners, a.ID)
	if err != nil {
		return err
	}
	list := make([]ownListingJSON, len(found))
	for i := range found {
		e, err := s.Events.ByID(r.Context(), found[i].Event)
		if err != nil {
			return err
		}
		list[i] = ownListingOf(&found[i], e.Slug)
	}
	writeJSON(w, http.StatusOK, map[string]any{"listings": list})
	return nil
}

// ownListing calls do with the listing of the path for whoever of the caller's identities listed it.
func (s *Server) ownListing(w http.ResponseWriter, r *http.Request, do func(id uuid.UUID, seller lottery.Entrant) (resale.Listing, error)) error {
	id, err := pathID(r, resale.ErrUnknown)
	if err != nil {
		return err
	}
	l, err := s.Resale.Find(r.Context(), id)
	if err != nil {
		return err
	}
	theirs, err := s.sells(r, &l)
	if err != nil {
		return err
	}
	if !theirs {
		return resale.ErrNotOwner
	}
	if l, err = do(id, l.Seller); err != nil {
		return overCap(err)
	}
	return s.writeListing(w, r, http.StatusOK, &l)
}

// repriceListing asks another price; whoever is buying at the moment pays the one they were shown.
//
//	PATCH /v1/listings/{id} {"price":{"minor":4500,"currency":"EUR"}}
func (s *Server) repriceListing(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Price ledger.Amount `json:"price"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	return s.ownListing(w, r, func(id uuid.UUID, seller lottery.Entrant) (resale.Listing, error) {
		return s.Resale.Reprice(r.Context(), id, seller, body.Price)
	})
}

// withdrawListing takes a listing off sale; the ticket has a new code.
//
//	DELETE /v1/listings/{id}
func (s *Server) withdrawListing(w http.ResponseWriter, r *http.Request) error {
	return s.ownListing(w, r, func(id uuid.UUID, seller lottery.Entrant) (resale.Listing, error) {
		return s.Resale.Withdraw(r.Context(), id, seller)
	})
}

// listingOf is the listing that a hold is asked of; false for any other hold.
func listingOf(r *inventory.Request) (uuid.UUID, bool) {
	if len(r.Items) != 1 {
		return uuid.Nil, false
	}
	return inventory.ListingOf(r.Items[0].Allocation)
}
