package api

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/event"
)

// rotatable are the keys of an event that operators rotate, by the name they have outside.
var rotatable = map[string]event.Purpose{"ticket": event.TicketPurpose, "gate": event.GatePurpose, "pack": event.PackPurpose}

// ticketKeysJSON is what a gate needs to verify an event's codes, and its packs. Of gate keys, which are secret, only the number is said.
type ticketKeysJSON struct {
	Event    string          `json:"event"`
	EventID  uuid.UUID       `json:"event_id"`
	Keys     []publicKeyJSON `json:"keys"`      // of codes
	PackKeys []publicKeyJSON `json:"pack_keys"` // of event packs
	GateKey  uint32          `json:"gate_key"`  // number of the newest
	Rotating bool            `json:"rotating"`
}

// ticketKeys shows an event's public keys.
func (s *Server) ticketKeys(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.URL.Query().Get("event"))
	if err != nil {
		return err
	}
	keys, err := s.keysOf(r.Context(), e)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, keys)
	return nil
}

// rotateTicketKeys makes the key that follows the one the caller believes to be the newest.
func (s *Server) rotateTicketKeys(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Event  string `json:"event"`
		Key    string `json:"key"` // ticket, gate or pack
		Newest uint32 `json:"newest"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	purpose, ok := rotatable[body.Key]
	if !ok {
		return &detailed{errRequest, "key must be ticket, gate or pack."}
	}
	e, err := s.Events.BySlug(r.Context(), body.Event)
	if err != nil {
		return err
	}
	if _, err := s.Events.EnsureKeys(r.Context(), purpose, event.Scope(e.ID)); err != nil {
		return err
	}
	if _, err := s.Events.Rotate(r.Context(), purpose, event.Scope(e.ID), body.Newest); err != nil {
		return err
	}
	s.Log.Info("a key was rotated", "event", e.Slug, "key", body.Key, "newest", body.Newest+1, "actor", operatorOf(r))
	keys, err := s.keysOf(r.Context(), e)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, keys)
	return nil
}

func (s *Server) keysOf(ctx context.Context, e *event.Event) (ticketKeysJSON, error) {
	rings := make(map[event.Purpose]event.KeyRing, len(rotatable))
	for _, purpose := range rotatable {
		ring, err := s.Events.EnsureKeys(ctx, purpose, event.Scope(e.ID))
		if err != nil {
			return ticketKeysJSON{}, err
		}
		rings[purpose] = ring
	}
	return ticketKeysJSON{Event: e.Slug, EventID: e.ID, Keys: publicKeys(rings[event.TicketPurpose]), PackKeys: publicKeys(rings[event.PackPurpose]),
		GateKey: rings[event.GatePurpose][0].Number, Rotating: e.Spec.Gates.Rotating}, nil
}

type publicKeyJSON struct {
	No     uint32 `json:"no"`
	Public string `json:"public"`
}

func publicKeys(ring event.KeyRing) []publicKeyJSON {
	keys := make([]publicKeyJSON, len(ring))
	for i, k := range ring {
		keys[i] = publicKeyJSON{k.Number, hex.EncodeToString(k.Public)}
	}
	return keys
}
