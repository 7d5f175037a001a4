package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/event"
)

// edgeRoutes are the admin listener's routes about edges and the keys of the waiting room.
func (s *Server) edgeRoutes(admin func(pattern string, h handler)) {
	admin("GET /admin/v1/edges", s.listEdges)
	admin("POST /admin/v1/edges/{edge}/revoke", s.revokeEdge)
	admin("POST /admin/v1/edges/keys:rotate", s.replaceEdgeKeys)
	admin("POST /admin/v1/edges/keys:revoke", s.revokeEdgeKeys)
	admin("GET /admin/v1/events/{id}/keys", s.roomKeys)
	admin("POST /admin/v1/events/{id}/keys:rotate", s.rotateRoomKey)
}

type edgeJSON struct {
	Edge         uuid.UUID `json:"edge_id"`
	EnrolledAt   timeJSON  `json:"enrolled_at"`
	SeenAt       timeJSON  `json:"seen_at"`
	RevokedAt    *timeJSON `json:"revoked_at"`
	ClockAheadMS int64     `json:"clock_ahead_ms"` // by how much core's clock is ahead of the edge's
	ClockWrong   bool      `json:"clock_wrong"`
	Live         bool      `json:"live"`
	Keys         int       `json:"keys"`
	Replacing    int       `json:"keys_to_replace"`
}

func (s *Server) listEdges(w http.ResponseWriter, r *http.Request) error {
	edges, err := s.Room.Edges(r.Context())
	if err != nil {
		return err
	}
	list := make([]edgeJSON, len(edges))
	for i, e := range edges {
		list[i] = edgeJSON{
			Edge: e.Edge, EnrolledAt: timeJSON(e.EnrolledAt), SeenAt: timeJSON(e.SeenAt), ClockAheadMS: e.ClockAhead.Milliseconds(), ClockWrong: e.ClockWrong,
			Live: e.Live, Keys: e.Keys, Replacing: e.Replacing,
		}
		if e.RevokedAt != nil {
			at := timeJSON(*e.RevokedAt)
			list[i].RevokedAt = &at
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"edges": list, "next": ""})
	return nil
}

// revokeEdge throws an edge out.
func (s *Server) revokeEdge(w http.ResponseWriter, r *http.Request) error {
	edge, err := uuid.Parse(r.PathValue("edge"))
	if err != nil {
		return access.ErrNoEdge
	}
	if err := s.Room.RevokeEdge(r.Context(), edge); err != nil {
		return err
	}
	s.Log.Warn("an edge was thrown out", "edge", edge.String(), "actor", operatorOf(r))
	writeJSON(w, http.StatusOK, map[string]any{"edge_id": edge, "revoked": true})
	return nil
}

type edgeKeysRequest struct {
	Edge  uuid.UUID `json:"edge_id"` // the nil UUID: all of them
	Event string    `json:"event"`   // empty: all of them
}

func (s *Server) replaceEdgeKeys(w http.ResponseWriter, r *http.Request) error {
	return s.changeEdgeKeys(w, r, "replaced", s.Room.ReplaceEdgeKeys)
}

func (s *Server) revokeEdgeKeys(w http.ResponseWriter, r *http.Request) error {
	return s.changeEdgeKeys(w, r, "revoked", s.Room.RevokeEdgeKeys)
}

func (s *Server) changeEdgeKeys(w http.ResponseWriter, r *http.Request, what string, change func(context.Context, uuid.UUID, string) (int, error)) error {
	var body edgeKeysRequest
	if err := decode(r, &body); err != nil {
		return err
	}
	n, err := change(r.Context(), body.Edge, body.Event)
	if err != nil {
		return err
	}
	s.Log.Info("keys of edges are "+what, "edge", body.Edge.String(), "event", body.Event, "keys", n, "actor", operatorOf(r))
	writeJSON(w, http.StatusOK, map[string]any{what: n})
	return nil
}

// roomPurposes are the keys of an event's waiting room that operators rotate, by the name they have outside.
var roomPurposes = map[string]event.Purpose{"pass": event.PassPurpose, "receipt": event.ReceiptPurpose, "invitation": event.InvitationPurpose}

// roomKeys says which key of each kind is the newest.
func (s *Server) roomKeys(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.writeRoomKeys(w, r, e)
}

func (s *Server) writeRoomKeys(w http.ResponseWriter, r *http.Request, e *event.Event) error {
	newest := make(map[string]uint32, len(roomPurposes))
	for name, purpose := range roomPurposes {
		ring, err := s.Events.Keys(r.Context(), purpose, event.Scope(e.ID))
		if err != nil {
			return err
		}
		newest[name] = ring[0].Number
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": e.Slug, "newest": newest})
	return nil
}

// rotateRoomKey makes the key that follows the one the caller believes to be the newest. What older ones signed stays good. Edges learn
// of it with the next key that they register, which they are asked for at once.
func (s *Server) rotateRoomKey(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Key    string `json:"key"` // pass, receipt or invitation
		Newest uint32 `json:"newest"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	purpose, ok := roomPurposes[body.Key]
	if !ok {
		return &detailed{errRequest, "key must be pass, receipt or invitation."}
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := s.Events.Rotate(r.Context(), purpose, event.Scope(e.ID), body.Newest); err != nil {
		return err
	}
	if _, err := s.Room.ReplaceEdgeKeys(r.Context(), uuid.Nil, e.Slug); err != nil {
		return err
	}
	s.Log.Info("a key was rotated", "event", e.Slug, "key", body.Key, "newest", body.Newest+1, "actor", operatorOf(r))
	return s.writeRoomKeys(w, r, e)
}
