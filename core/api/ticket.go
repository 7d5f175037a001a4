package api

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/core/event"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
)

type ticketJSON struct {
	ID       uuid.UUID `json:"id"`
	Event    string    `json:"event"`
	OrderID  uuid.UUID `json:"order_id"`
	Tier     string    `json:"tier"`
	Seat     string    `json:"seat"`
	Epoch    uint32    `json:"epoch"`
	State    string    `json:"state"`
	Hold     string    `json:"hold,omitempty"` // offered to somebody, or listed for sale, when its code opens no gate
	Code     string    `json:"code"`
	IssuedAt timeJSON  `json:"issued_at"`

	Rotating *rotatingJSON `json:"rotating,omitempty"` // where the event asks for it
	Wallets  *walletsJSON  `json:"wallets,omitempty"`  // those that the ticket can be put into
	May      mayJSON       `json:"may"`
}

// mayJSON is what the event's rules let a ticket's owner do at the moment.
type mayJSON struct {
	Transfer bool `json:"transfer"`
	Resell   bool `json:"resell"`
}

// may tells what an owner may do with a ticket as it stands. Whether it has been scanned in is found out when they try.
func may(t *ticket.Ticket, e *event.Event, now time.Time) (m mayJSON, err error) {
	if t.State != ticket.Valid || t.Hold != ticket.Free || e.State == event.Cancelled {
		return m, nil
	}
	transfer := e.Spec.TransferRules()
	resale, err := e.Spec.ResaleRules()
	if err != nil {
		return m, err
	}
	return mayJSON{Transfer: transfer.Allowed && now.Before(transfer.ClosesAt), Resell: resale.Allowed && now.Before(resale.ClosesAt)}, nil
}

// rotatingJSON is what the owner's page or wallet makes the rotating part from: code, a full stop, and RFC 6238's digits.
type rotatingJSON struct {
	Seed      string `json:"seed"` // hex
	Algorithm string `json:"algorithm"`
	Period    string `json:"period"`
	Digits    int    `json:"digits"`
}

// loadTicket shows a ticket to its owner: as JSON, or its QR code as a picture where that is what is accepted.
func (s *Server) loadTicket(w http.ResponseWriter, r *http.Request) error {
	t, e, err := s.ownTicket(r)
	if err != nil {
		return err
	}
	return s.writeTicket(w, r, t, e)
}

// seed is what the rotating part of a ticket's code is made from; nil where codes stand still.
func (s *Server) seed(ctx context.Context, t ticket.Ticket, e *event.Event) ([]byte, error) {
	if !e.Spec.Gates.Rotating {
		return nil, nil
	}
	ring, err := s.Events.EnsureKeys(ctx, event.GatePurpose, event.Scope(t.Event))
	if err != nil {
		return nil, err
	}
	return code.Seed(ring[0].Secret, t.ID, t.Epoch), nil
}

// pictures are the forms in which a code is drawn; the first that is accepted is taken.
var pictures = []struct {
	media string
	draw  func(string) ([]byte, error)
}{{"image/png", code.PNG}, {"image/svg+xml", code.SVG}}

// writeTicket writes a ticket as JSON or as a picture. Where the event asks for it the picture has the rotating part of now.
func (s *Server) writeTicket(w http.ResponseWriter, r *http.Request, t ticket.Ticket, e *event.Event) error {
	seed, err := s.seed(r.Context(), t, e)
	if err != nil {
		return err
	}
	for _, p := range pictures {
		if !strings.Contains(r.Header.Get("Accept"), p.media) {
			continue
		}
		text := t.Code
		if seed != nil {
			text = code.Rotate(text, seed, time.Now())
		}
		picture, err := p.draw(text)
		if err != nil {
			return err
		}
		s.noteShown(r.Context(), &t)
		w.Header().Set("Content-Type", p.media)
		w.Header().Set("Cache-Control", "private, no-store")
		_, _ = w.Write(picture) // the client has gone
		return nil
	}
	shown := ticketJSON{ID: t.ID, Event: e.Slug, OrderID: t.Order, Tier: t.Tier, Seat: t.Seat, Epoch: t.Epoch,
		State: string(t.State), Hold: string(t.Hold), Code: t.Code, IssuedAt: timeJSON(t.IssuedAt)}
	switch theirs, err := s.disposes(r, &t); {
	case errors.Is(err, account.ErrSignedOut), err == nil && !theirs: // mailed to them, and somebody else's to hand on or sell
	case err != nil:
		return err
	default:
		if shown.May, err = may(&t, e, time.Now()); err != nil {
			return err
		}
	}
	if seed != nil {
		shown.Rotating = &rotatingJSON{hex.EncodeToString(seed), "SHA1", code.Period.String(), code.Digits}
	}
	shown.Wallets = s.walletsOf(t, e, seed)
	s.noteShown(r.Context(), &t)
	writeJSON(w, http.StatusOK, shown)
	return nil
}

// noteShown notes the delivery of a ticket. Who cannot be noted gets their ticket all the same.
func (s *Server) noteShown(ctx context.Context, t *ticket.Ticket) {
	if err := ticket.NoteShown(ctx, s.DB, t); err != nil {
		s.Log.Warn("the delivery of a ticket is not noted", "ticket_id", t.ID, "error", err.Error())
	}
}
