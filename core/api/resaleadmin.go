package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/core/resale"
)

// The operators' view of resale: what is listed, and whom to pay.

// adminListingJSON is a listing as operators see it.
type adminListingJSON struct {
	ownListingJSON
	Seller      string     `json:"seller"`
	AccountID   *uuid.UUID `json:"account_id,omitempty"`
	SellerOrder uuid.UUID  `json:"seller_order"`
	OrderID     *uuid.UUID `json:"order_id,omitempty"`
	NewTicket   *uuid.UUID `json:"new_ticket,omitempty"`
	PayoutBy    string     `json:"payout_by,omitempty"`
	PayoutRef   string     `json:"payout_reference,omitempty"`
}

func (s *Server) adminListingOf(r *http.Request, l *resale.Listing) (adminListingJSON, error) {
	e, err := s.Events.ByID(r.Context(), l.Event)
	if err != nil {
		return adminListingJSON{}, err
	}
	j := adminListingJSON{ownListingJSON: ownListingOf(l, e.Slug), Seller: l.Seller.String(), SellerOrder: l.SellerOrder, PayoutBy: l.PayoutBy, PayoutRef: l.PayoutRef}
	for of, into := range map[*uuid.UUID]**uuid.UUID{&l.Account: &j.AccountID, &l.Order: &j.OrderID, &l.NewTicket: &j.NewTicket} {
		if *of != uuid.Nil {
			*into = of
		}
	}
	return j, nil
}

// listListings answers GET /admin/v1/events/{id}/listings?state=&after=&limit=, oldest first. next continues it.
func (s *Server) listListings(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	event, err := s.eventOf(r)
	if err != nil {
		return err
	}
	page := resale.Page{Event: event, State: resale.State(q.Get("state"))}
	if page.Limit, err = limitOf(q.Get("limit")); err != nil {
		return err
	}
	if after := q.Get("after"); after != "" {
		if page.AfterTime, page.After, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	found, err := s.Resale.Page(r.Context(), page)
	if err != nil {
		return err
	}
	list, next := make([]adminListingJSON, len(found)), ""
	for i := range found {
		if list[i], err = s.adminListingOf(r, &found[i]); err != nil {
			return err
		}
	}
	if len(found) == page.Limit {
		last := found[len(found)-1]
		next = orderCursor(last.CreatedAt, last.ID)
	}
	writeJSON(w, http.StatusOK, map[string]any{"listings": list, "next": next})
	return nil
}

// showListing answers GET /admin/v1/listings/{id}.
func (s *Server) showListing(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, resale.ErrUnknown)
	if err != nil {
		return err
	}
	l, err := s.Resale.Find(r.Context(), id)
	if err != nil {
		return err
	}
	j, err := s.adminListingOf(r, &l)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, j)
	return nil
}

// moveListing answers POST /admin/v1/listings/{id}/{verb} with {"reason"}: withdraw takes it off sale; sent, arrived and returned tell what
// becomes of its seller's share, and the reason is then the bank's reference.
func (s *Server) moveListing(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, resale.ErrUnknown)
	if err != nil {
		return err
	}
	var d decision
	if err := d.read(r); err != nil {
		return err
	}
	var l resale.Listing
	switch verb := r.PathValue("verb"); verb {
	case "withdraw":
		l, err = s.Resale.WithdrawFor(r.Context(), id, operatorOf(r), d.Reason)
	case string(resale.PaySent), string(resale.PayArrived), string(resale.PayReturned):
		l, err = s.Resale.Pay(r.Context(), id, resale.PayoutStep(verb), operatorOf(r), d.Reason)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	j, err := s.adminListingOf(r, &l)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, j)
	return nil
}

// shareJSON is what one seller waits for, or was sent.
type shareJSON struct {
	adminListingJSON
	Email    string `json:"email"` // where to ask for the seller's bank account; Fairgate has none
	Ripe     bool   `json:"ripe"`
	Disputed bool   `json:"disputed"`
}

// listShares answers GET /admin/v1/listings/payouts?after=&limit=: the shares of sellers that wait or were sent, the longest due first.
func (s *Server) listShares(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	var at time.Time
	var id uuid.UUID
	if after := q.Get("after"); after != "" {
		if at, id, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	found, err := s.Resale.Shares(r.Context(), at, id, limit)
	if err != nil {
		return err
	}
	list, next := make([]shareJSON, len(found)), ""
	for i := range found {
		j, err := s.adminListingOf(r, &found[i].Listing)
		if err != nil {
			return err
		}
		list[i] = shareJSON{j, found[i].Email, found[i].Ripe, found[i].Disputed}
	}
	if len(found) == limit {
		last := found[len(found)-1]
		next = orderCursor(last.PayAt, last.ID)
	}
	writeJSON(w, http.StatusOK, map[string]any{"payouts": list, "next": next})
	return nil
}
