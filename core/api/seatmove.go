package api

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/ticket"
)

// moveSeat gives a ticket another seat: POST /admin/v1/tickets/{id}/move {seat, any, reason} answers {ticket, order, from, seat, tier,
// epoch}. Asked again it answers the same, with from as seat.
func (s *Server) moveSeat(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, ticket.ErrUnknown)
	if err != nil {
		return err
	}
	var body struct {
		Seat   string `json:"seat"`
		Any    bool   `json:"any"`
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	moved, err := s.Checkout.MoveSeat(r.Context(), checkout.SeatMove{Ticket: id, Seat: body.Seat, Any: body.Any, Reason: body.Reason, Actor: operatorOf(r)})
	if err != nil {
		return err
	}
	t := moved.Ticket
	writeJSON(w, http.StatusOK, struct {
		Ticket uuid.UUID `json:"ticket"`
		Order  uuid.UUID `json:"order"`
		From   string    `json:"from"`
		Seat   string    `json:"seat"`
		Tier   string    `json:"tier"`
		Epoch  uint32    `json:"epoch"`
	}{t.ID, moved.Order, moved.From, t.Seat, t.Tier, t.Epoch})
	return nil
}
