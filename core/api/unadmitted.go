package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// What an account may do without having been admitted. While an event sells, its waiting room says who may hold anything. Once its general
// sale is sold out, or has ended, nobody waits in it: then whoever is signed in may hold a ticket that another buyer sells on. That, and what the
// waiting list has offered, is ordered, paid and given back by the account whose it is, in whatever browser; what a session holds, by that
// session.

// errRoomFirst means that a hold needs a session of the event's waiting room now.
var errRoomFirst = errors.New("api: the waiting room is in force")

// holdUnadmitted holds a listing for the account that is signed in.
//
//	POST /v1/holds {"event":"arena","items":[{"listing":"…"}]}   Idempotency-Key: …
func (s *Server) holdUnadmitted(w http.ResponseWriter, r *http.Request) error {
	request := inventory.Request{Key: r.Header.Get("Idempotency-Key")}
	if err := idempotencyKey(request.Key); err != nil {
		return err
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return &detailed{errRequest, "The body could not be read, or is longer than allowed."}
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	var ask holdRequest
	if err := decode(r, &ask); err != nil {
		return err
	}
	if request.Items, err = ask.items(); err != nil {
		return err
	}
	listing, is := listingOf(&request)
	if !is {
		return errSessionMissing // everything else is held by those who were admitted
	}
	if !lottery.ValidSlug(ask.Event) {
		return event.ErrUnknown
	}
	e, err := s.Events.BySlug(r.Context(), ask.Event)
	if err != nil {
		return err
	}
	a, err := s.actorIn(r, e)
	if errors.Is(err, account.ErrSignedOut) {
		return errSessionMissing
	}
	if err != nil {
		return err
	}
	if err := s.roomless(r, e.Slug); err != nil {
		return err
	}
	if request.Items[0], err = s.Resale.ForHold(r.Context(), listing, e.ID, a.entrant); err != nil {
		return err
	}
	canonical, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	request.Event, request.Entrant, request.BodyHash = e.ID, a.entrant, sha256.Sum256(canonical)
	if request.Marks, err = s.actorMarks(r, &a); err != nil {
		return err
	}
	if err := account.Remember(r.Context(), s.DB, account.Entrancy{Account: a.account.ID, Event: e.ID, Entrant: a.entrant}); err != nil {
		return err
	}
	h, err := s.take(r, &a, &request)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, holdOf(h, e.Slug))
	return nil
}

// take holds what an account asks for, if it is not slowed. Asked again for what it has been given already it is given the same, and that
// counts once; what it was too late for does not count.
func (s *Server) take(r *http.Request, a *actor, request *inventory.Request) (inventory.Hold, error) {
	switch _, err := s.Inventory.Load(r.Context(), inventory.HoldID(request.Event, request.Entrant, request.Key)); {
	case err == nil:
		return s.Inventory.Hold(r.Context(), *request)
	case !errors.Is(err, inventory.ErrHoldUnknown):
		return inventory.Hold{}, err
	}
	taking := s.takingOf(r, a, access.PlaceHold)
	if err := s.Room.Take(r.Context(), &taking, s.lostHolds); err != nil {
		return inventory.Hold{}, err
	}
	h, err := s.Inventory.Hold(r.Context(), *request)
	if err != nil {
		s.Room.NotTaken(&taking)
		return inventory.Hold{}, err
	}
	s.Room.Took(&taking, h.ID)
	return h, nil
}

// takingOf is an account that is about to take something outside the waiting room.
func (s *Server) takingOf(r *http.Request, a *actor, place string) access.Taking {
	return access.Taking{Event: a.event.Slug, Entrant: a.entrant, Device: a.device, Client: r.Header.Get(clientHeader), Place: place}
}

// lostHolds tells of holds which are over: true for those that were let go, false for those that were bought.
func (s *Server) lostHolds(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]bool, error) {
	over := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		switch h, err := s.Inventory.Load(ctx, id); {
		case errors.Is(err, inventory.ErrHoldUnknown):
			over[id] = false
		case err != nil:
			return nil, err
		case h.State == inventory.Released || h.State == inventory.Expired:
			over[id] = true
		case h.State == inventory.Sold:
			over[id] = false
		}
	}
	return over, nil
}

// roomless refuses as long as the event's waiting room decides who may hold.
func (s *Server) roomless(r *http.Request, slug string) error {
	calendar, err := s.Room.Calendar(r.Context(), slug)
	switch {
	case err != nil:
		return err
	case calendar.Over() || calendar.Phase == access.Ended && len(calendar.Next) == 0:
		return nil
	case calendar.Phase == access.Paused:
		return access.ErrPaused
	}
	return errRoomFirst
}

// actsFor tells whether the account that is signed in may act for a hold: it is its own, and needed no session. false without one.
func (s *Server) actsFor(r *http.Request, hold *inventory.Hold) (actor, bool, error) {
	if r.Header.Get(accountHeader) == "" {
		return actor{}, false, nil
	}
	if !hold.Listing() {
		if offered, err := s.Waitlists.Made(r.Context(), hold.ID); err != nil || !offered {
			return actor{}, false, err
		}
	}
	e, err := s.Events.ByID(r.Context(), hold.Event)
	if err != nil {
		return actor{}, false, err
	}
	a, err := s.actorIn(r, e)
	if errors.Is(err, account.ErrSignedOut) {
		return actor{}, false, nil
	}
	return a, err == nil && a.entrant == hold.Entrant, err
}
