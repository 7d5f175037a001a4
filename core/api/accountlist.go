package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/core/checkout"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

// maxAccountOrders and maxAccountTickets bound the two lists below.
const (
	maxAccountOrders  = 50
	maxAccountTickets = 200
)

type accountOrderJSON struct {
	ID        uuid.UUID `json:"id"`
	Event     string    `json:"event"`
	Name      string    `json:"name"` // of the event
	State     string    `json:"state"`
	Amount    moneyJSON `json:"amount"`
	Tickets   int       `json:"tickets"` // that it is of, issued or not
	CreatedAt timeJSON  `json:"created_at"`
}

// accountOrders lists the orders of the account and those that were given its address, the newest first.
//
//	GET /v1/account/orders?after=…   after: the next of an earlier page
func (s *Server) accountOrders(w http.ResponseWriter, r *http.Request) error {
	session, err := s.renewed(w, r)
	if err != nil {
		return err
	}
	before := checkout.Before{Limit: maxAccountOrders}
	if after := r.URL.Query().Get("after"); after != "" {
		if before.Time, before.Order, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	owned, err := s.ownedBy(r.Context(), session.Account)
	if err != nil {
		return err
	}
	orders, next, err := s.Checkout.Owned(r.Context(), owned, before)
	if err != nil {
		return err
	}
	list := make([]accountOrderJSON, 0, len(orders))
	for _, o := range orders {
		e, err := s.Events.ByID(r.Context(), o.Event)
		if err != nil {
			return err
		}
		list = append(list, accountOrderJSON{o.ID, e.Slug, e.Spec.Name, string(o.State), moneyJSON{o.Minor, o.Currency}, o.Tickets, timeJSON(o.CreatedAt)})
	}
	more := ""
	if next.Order != uuid.Nil {
		more = orderCursor(next.Time, next.Order)
	}
	writeJSON(w, http.StatusOK, struct {
		Orders []accountOrderJSON `json:"orders"`
		Next   string             `json:"next"`
	}{list, more})
	return nil
}

// ownedBy is what is asked for to find the account's orders.
func (s *Server) ownedBy(ctx context.Context, a account.Account) (checkout.Owner, error) {
	all, err := account.Entrancies(ctx, s.DB.Reader, a.ID)
	if err != nil {
		return checkout.Owner{}, err
	}
	owner := checkout.Owner{Email: a.Normalized(), Owns: a.Owns}
	for _, e := range all {
		owner.Events, owner.Entrants = append(owner.Events, e.Event), append(owner.Entrants, e.Entrant)
	}
	return owner, nil
}

type accountTicketJSON struct {
	ID       uuid.UUID `json:"id"`
	Event    string    `json:"event"`
	Name     string    `json:"name"` // of the event
	StartsAt timeJSON  `json:"starts_at"`
	TimeZone string    `json:"time_zone"`
	OrderID  uuid.UUID `json:"order_id"`
	Tier     string    `json:"tier"`
	Seat     string    `json:"seat"`
	State    string    `json:"state"`
	IssuedAt timeJSON  `json:"issued_at"`
}

// accountTickets lists the account's tickets, the newest first: of its latest orders as far as they are still the orderer's, and those that
// were handed to it. more says that there are others; each is found by its order.
//
//	GET /v1/account/tickets
func (s *Server) accountTickets(w http.ResponseWriter, r *http.Request) error {
	session, err := s.renewed(w, r)
	if err != nil {
		return err
	}
	found, more, err := s.ticketsOf(r.Context(), session.Account)
	if err != nil {
		return err
	}
	list := make([]accountTicketJSON, 0, len(found))
	for _, t := range found {
		e, err := s.Events.ByID(r.Context(), t.Event)
		if err != nil {
			return err
		}
		list = append(list, accountTicketJSON{t.ID, e.Slug, e.Spec.Name, timeJSON(e.Spec.StartsAt), e.Spec.TimeZone, t.Order, t.Tier, t.Seat, string(t.State),
			timeJSON(t.IssuedAt)})
	}
	writeJSON(w, http.StatusOK, struct {
		Tickets []accountTicketJSON `json:"tickets"`
		More    bool                `json:"more"`
	}{list, more})
	return nil
}

// ticketsOf finds the tickets of an account, the newest first.
func (s *Server) ticketsOf(ctx context.Context, a account.Account) ([]ticket.Ticket, bool, error) {
	owned, err := s.ownedBy(ctx, a)
	if err != nil {
		return nil, false, err
	}
	orders, next, err := s.Checkout.Owned(ctx, owned, checkout.Before{Limit: maxAccountTickets})
	if err != nil {
		return nil, false, err
	}
	more := next.Order != uuid.Nil
	var ids []uuid.UUID
	orderers := make(map[uuid.UUID]lottery.Entrant, len(orders))
	for _, o := range orders {
		orderers[o.ID] = o.Entrant
		for i := range o.Tickets {
			ids = append(ids, ticket.TicketID(o.ID, i))
		}
	}
	handed, err := ticket.HandedTo(ctx, s.DB.Reader, owned.Events, owned.Entrants, maxAccountTickets)
	if err != nil {
		return nil, false, err
	}
	found, err := ticket.LoadAll(ctx, s.DB.Reader, append(handed, ids...))
	if err != nil {
		return nil, false, err
	}
	own := make(map[uuid.UUID]lottery.Entrant, len(owned.Events))
	for i, e := range owned.Events {
		own[e] = owned.Entrants[i]
	}
	found = slices.DeleteFunc(found, func(t ticket.Ticket) bool {
		orderer, listed := orderers[t.Order]
		mine, known := own[t.Event]
		return (!known || mine != t.Owner) && (!listed || orderer != t.Owner)
	})
	slices.SortFunc(found, func(a, b ticket.Ticket) int {
		if c := b.IssuedAt.Compare(a.IssuedAt); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Order[:]), string(b.Order[:])); c != 0 {
			return c
		}
		return a.Item - b.Item
	})
	if len(found) > maxAccountTickets {
		found, more = found[:maxAccountTickets], true
	}
	return found, more, nil
}
