package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

// Who may see what: an order belongs to the entrant who opened it, and a ticket to its owner, whom a transfer changes. A browser proves
// entrants by its sessions, an account proves one in each event. Who has proved the address that an order was given sees the order, and
// its tickets as long as they are still the orderer's, and may pay it: the mail about an unpaid order brings a link that can (resume.go).

// ownOrder calls do with the order of the path and its owner, if the request proves that it may.
func (s *Server) ownOrder(w http.ResponseWriter, r *http.Request, why purpose, do func(id uuid.UUID, owner lottery.Entrant) (checkout.Order, error)) error {
	id, err := pathID(r, checkout.ErrOrderUnknown)
	if err != nil {
		return err
	}
	sessions, refused := s.sessions(r, why)
	for _, session := range sessions {
		order, err := do(id, session.Entrant)
		if errors.Is(err, checkout.ErrOrderUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		view, err := s.ownOrderView(r.Context(), order)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, view)
		return nil
	}
	err = s.accountOrder(w, r, id, why, refused, do)
	if err != nil && (why == looking || why == paying) && !errors.Is(err, access.ErrBanned) && s.linkTo(r, id) {
		return s.linkedOrder(w, r, id, why, do)
	}
	return err
}

// accountOrder is ownOrder by the account that is signed in. refused is why no session of the request is good, nil if there are good ones.
func (s *Server) accountOrder(w http.ResponseWriter, r *http.Request, id uuid.UUID, why purpose, refused error,
	do func(uuid.UUID, lottery.Entrant) (checkout.Order, error)) error {
	if r.Header.Get(accountHeader) == "" {
		return cmp.Or(refused, checkout.ErrOrderUnknown)
	}
	a, err := s.account(r)
	if errors.Is(err, account.ErrSignedOut) && refused == nil {
		return checkout.ErrOrderUnknown
	}
	if err != nil {
		return err
	}
	order, err := s.Checkout.Find(r.Context(), id)
	if err != nil {
		return err
	}
	owns, err := s.owns(r.Context(), a, order.Event, order.Entrant)
	if err != nil {
		return err
	}
	if !owns && (why == givingBack || !a.Owns(order.Email)) {
		return checkout.ErrOrderUnknown
	}
	if why == paying { // whoever is excluded may look, and nothing else
		if err := s.mayPay(r, &order, true); err != nil {
			return err
		}
	}
	if order, err = do(id, order.Entrant); err != nil {
		return err
	}
	view, err := s.ownOrderView(r.Context(), order)
	if err != nil {
		return err
	}
	if !owns { // an address was written down, maybe wrongly: that is no reason to let its owner give anything back
		view.RefundTerms = nil
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// ownOrderView is an order as its buyer sees it, with what they may do.
func (s *Server) ownOrderView(ctx context.Context, order checkout.Order) (orderJSON, error) {
	view := orderOf(order, s.Form)
	terms, err := s.Checkout.MayRefund(ctx, &order)
	if err != nil || terms == nil {
		return view, err
	}
	view.RefundTerms = &refundTermsJSON{KeepsFee: terms.KeepsFee}
	if !terms.Until.IsZero() {
		until := timeJSON(terms.Until)
		view.RefundTerms.Until = &until
	}
	return view, nil
}

// ownTicket is the ticket of the path with its event, if the request proves that it may be seen: nobody else is told that there is one.
func (s *Server) ownTicket(r *http.Request) (ticket.Ticket, *event.Event, error) {
	id, err := pathID(r, ticket.ErrUnknown)
	if err != nil {
		return ticket.Ticket{}, nil, err
	}
	sessions, refused := s.sessions(r, looking)
	if refused != nil && r.Header.Get(accountHeader) == "" {
		return ticket.Ticket{}, nil, refused
	}
	t, err := ticket.Load(r.Context(), s.DB.Reader, id)
	if err != nil {
		return ticket.Ticket{}, nil, err
	}
	owns := false
	for _, session := range sessions {
		owns = owns || session.Entrant == t.Owner && session.Event == t.Event
	}
	if !owns && r.Header.Get(accountHeader) != "" {
		a, err := s.account(r)
		if errors.Is(err, account.ErrSignedOut) && refused == nil {
			return ticket.Ticket{}, nil, ticket.ErrUnknown
		}
		if err != nil {
			return ticket.Ticket{}, nil, err
		}
		if owns, err = s.accountOwns(r.Context(), a, t); err != nil {
			return ticket.Ticket{}, nil, err
		}
	}
	if !owns {
		return ticket.Ticket{}, nil, ticket.ErrUnknown
	}
	e, err := s.Events.ByID(r.Context(), t.Event)
	return t, e, err
}

// disposes reports whether the request proves that it comes from a ticket's owner, and not merely from whom the ticket was mailed to: an address
// was written down, maybe wrongly, which is no reason to let whoever has it sell the ticket.
func (s *Server) disposes(r *http.Request, t *ticket.Ticket) (bool, error) {
	sessions, _ := s.sessions(r, looking)
	for _, session := range sessions {
		if session.Entrant == t.Owner && session.Event == t.Event {
			return true, nil
		}
	}
	if r.Header.Get(accountHeader) == "" {
		return false, nil
	}
	a, err := s.account(r)
	if err != nil {
		return false, err
	}
	return s.owns(r.Context(), a, t.Event, t.Owner)
}

// accountOwns reports whether a ticket is the account's: it is its owner, or the orderer is and gave the account's address.
func (s *Server) accountOwns(ctx context.Context, a account.Account, t ticket.Ticket) (bool, error) {
	owns, err := s.owns(ctx, a, t.Event, t.Owner)
	if err != nil || owns {
		return owns, err
	}
	order, err := s.Checkout.Find(ctx, t.Order)
	if errors.Is(err, checkout.ErrOrderUnknown) {
		return false, nil
	}
	return err == nil && order.Entrant == t.Owner && a.Owns(order.Email), err
}

// owns reports whether the account is the entrant in the event.
func (s *Server) owns(ctx context.Context, a account.Account, of uuid.UUID, entrant lottery.Entrant) (bool, error) {
	own, err := s.entrantOf(ctx, a, of)
	return err == nil && own == entrant, err
}

// entrantOf is whom the account is in an event; event.ErrUnknown when there is none.
func (s *Server) entrantOf(ctx context.Context, a account.Account, of uuid.UUID) (lottery.Entrant, error) {
	e, err := s.Events.ByID(ctx, of)
	if err != nil {
		return lottery.Entrant{}, err
	}
	return a.Entrant(e.PseudonymKey), nil
}
