package api

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// An order that was begun and not paid is found again by the browser's sessions, by the account that is signed in, and by the link of a mail.
// The link is of one order: it shows how that stands and lets it be paid, on whatever device it is opened. Its tickets, and everything else,
// are for those whose order it is.

// linkHeader is where an edge writes the links that a browser has opened, separated by commas.
const linkHeader = "Fairgate-Order-Link"

// maxLinks bounds how many links one request may show.
const maxLinks = 4

// links are the orders that the request has good links to.
func (s *Server) links(r *http.Request) []uuid.UUID {
	shown := r.Header.Get(linkHeader)
	if shown == "" {
		return nil
	}
	keys, err := s.OrderLinks(r.Context())
	if err != nil {
		s.Log.Warn("the keys of order links cannot be read", "error", err.Error())
		return nil
	}
	var orders []uuid.UUID
	for i, text := range strings.Split(shown, ",") {
		if i == maxLinks {
			break
		}
		raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		if link, err := admission.VerifyOrderLink(raw, keys, s.Room.Now()); err == nil {
			orders = append(orders, link.Order)
		}
	}
	return orders
}

// linkTo tells whether the request has a good link to an order.
func (s *Server) linkTo(r *http.Request, order uuid.UUID) bool {
	for _, id := range s.links(r) {
		if id == order {
			return true
		}
	}
	return false
}

// linkedOrder is ownOrder for whoever has a link to the order.
func (s *Server) linkedOrder(w http.ResponseWriter, r *http.Request, id uuid.UUID, why purpose, do func(uuid.UUID, lottery.Entrant) (checkout.Order, error)) error {
	order, err := s.Checkout.Find(r.Context(), id)
	if err != nil {
		return err
	}
	if why == paying {
		if err := s.mayPay(r, &order, false); err != nil {
			return err
		}
	}
	if order, err = do(id, order.Entrant); err != nil {
		return err
	}
	view := orderOf(order, s.Form)
	view.Linked, view.Tickets, view.Refunds = true, []uuid.UUID{}, []orderRefundJSON{}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// mayPay refuses who pays an order without a session of its entrant: by the exclusions of the entrant, the device and, of who is signed in, the
// account.
func (s *Server) mayPay(r *http.Request, order *checkout.Order, signedIn bool) error {
	if s.Room.HasBan(access.BanEntrant, order.Entrant[:]) {
		return access.ErrBanned
	}
	if signedIn {
		e, err := s.Events.ByID(r.Context(), order.Event)
		if err == nil {
			_, err = s.actorIn(r, e)
		}
		return err
	}
	if device, err := deviceOf(r.Header.Get("Fairgate-Device")); err == nil && s.Room.HasBan(access.BanDevice, device[:]) {
		return access.ErrBanned
	}
	return nil
}

type unfinishedJSON struct {
	ID         uuid.UUID `json:"id"`
	Event      string    `json:"event"`
	Name       string    `json:"name"` // of the event
	TimeZone   string    `json:"time_zone"`
	HoldID     uuid.UUID `json:"hold_id"`
	State      string    `json:"state"`
	Amount     moneyJSON `json:"amount"`
	Tickets    int       `json:"tickets"` // that it is of
	Deadline   timeJSON  `json:"deadline"`
	ServerTime timeJSON  `json:"server_time"`
}

// unfinishedOrders lists the orders that still can be paid: of the browser's sessions, of the account that is signed in, and those that the
// browser has links to; with event, of that event alone. The newest come first.
//
//	GET /v1/orders?event=arena
func (s *Server) unfinishedOrders(w http.ResponseWriter, r *http.Request) error {
	sessions, refused := s.sessions(r, looking)
	var owner checkout.Owner
	if r.Header.Get(accountHeader) != "" {
		a, err := s.account(r)
		if err == nil {
			owner, err = s.ownedBy(r.Context(), a)
		} else if refused == nil {
			err = nil // the sessions are good all the same
		}
		if err != nil {
			return err
		}
	}
	for i := range sessions {
		owner.Events, owner.Entrants = append(owner.Events, sessions[i].Event), append(owner.Entrants, sessions[i].Entrant)
	}
	linked := s.links(r)
	if refused != nil && r.Header.Get(accountHeader) == "" && len(linked) == 0 {
		return refused
	}
	slug := r.URL.Query().Get("event")
	if slug != "" && !lottery.ValidSlug(slug) {
		return &detailed{errRequest, "event must be the name of an event."}
	}
	found, err := s.Checkout.Unfinished(r.Context(), owner, linked)
	if err != nil {
		return err
	}
	list := make([]unfinishedJSON, 0, len(found))
	for _, o := range found {
		e, err := s.Events.ByID(r.Context(), o.Event)
		if err != nil {
			return err
		}
		if slug == "" || slug == e.Slug {
			list = append(list, unfinishedJSON{o.ID, e.Slug, e.Spec.Name, e.Spec.TimeZone, o.Hold, string(o.State), moneyJSON{o.Minor, o.Currency}, o.Tickets,
				timeJSON(o.Deadline), timeJSON(o.ServerTime)})
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Orders []unfinishedJSON `json:"orders"`
	}{list})
	return nil
}
