package api

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/ticket"
)

type ticketJSON struct {
	ID       uuid.UUID `json:"id"`
	Event    string    `json:"event"`
	OrderID  uuid.UUID `json:"order_id"`
	Tier     string    `json:"tier"`
	Seat     string    `json:"seat"`
	Epoch    uint32    `json:"epoch"`
	State    string    `json:"state"`
	Code     string    `json:"code"`
	IssuedAt timeJSON  `json:"issued_at"`
}

// loadTicket shows a ticket to its owner: as JSON, or its QR code as a picture where that is what is accepted.
func (s *Server) loadTicket(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, ticket.ErrUnknown)
	if err != nil {
		return err
	}
	sessions, err := s.sessions(r, looking)
	if err != nil {
		return err
	}
	t, err := ticket.Load(r.Context(), s.DB.Reader, id)
	if err != nil {
		return err
	}
	for _, session := range sessions {
		if session.Entrant == t.Owner && session.Event == t.Event {
			return s.writeTicket(w, r, t)
		}
	}
	return ticket.ErrUnknown
}

func (s *Server) writeTicket(w http.ResponseWriter, r *http.Request, t ticket.Ticket) error {
	if strings.Contains(r.Header.Get("Accept"), "image/png") {
		png, err := ticket.PNG(t.Code)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Cache-Control", "private, no-store")
		_, _ = w.Write(png) // the client has gone
		return nil
	}
	e, err := s.Events.ByID(r.Context(), t.Event)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, ticketJSON{ID: t.ID, Event: e.Slug, OrderID: t.Order, Tier: t.Tier, Seat: t.Seat, Epoch: t.Epoch,
		State: string(t.State), Code: t.Code, IssuedAt: timeJSON(t.IssuedAt)})
	return nil
}
