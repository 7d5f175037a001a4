package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/scan"
)

// everyGate makes a gate's handler one for operators, who may do at any gate of an event what the gate may.
func (s *Server) everyGate(h gateHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		e, err := s.Events.BySlug(r.Context(), r.PathValue("event"))
		if err != nil {
			return err
		}
		return h(w, r, scan.Gate{Event: e.ID})
	}
}

// gateRoutes are the admin listener's routes about gates.
func (s *Server) gateRoutes(admin func(pattern string, h handler)) {
	admin("GET /admin/v1/events/{event}/gates", s.everyGate(s.listGates))
	admin("POST /admin/v1/events/{event}/gates", s.everyGate(s.addGate))
	admin("DELETE /admin/v1/events/{event}/gates/{gate}", s.everyGate(s.revokeGate))
	admin("GET /admin/v1/events/{event}/pack", s.everyGate(s.pack))
	admin("GET /admin/v1/events/{event}/counts", s.everyGate(s.gateCounts))
	admin("GET /admin/v1/events/{event}/findings", s.everyGate(s.listFindings))
	admin("POST /admin/v1/events/{event}/scans:merge", s.everyGate(s.mergeScans))
	admin("POST /admin/v1/events/{event}/scans/{id}/undo", s.everyGate(func(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
		return s.undo(w, r, g, operatorOf(r))
	}))
}

type gateJSON struct {
	Gate      string    `json:"gate"`
	Zone      string    `json:"zone"`
	CreatedAt timeJSON  `json:"created_at"`
	CreatedBy string    `json:"created_by"`
	RevokedAt *timeJSON `json:"revoked_at,omitempty"`
}

func (s *Server) listGates(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	gates, err := s.Scans.Gates(r.Context(), g.Event)
	if err != nil {
		return err
	}
	list := make([]gateJSON, len(gates))
	for i, one := range gates {
		list[i] = gateJSON{one.Name, one.Zone, timeJSON(one.CreatedAt), one.CreatedBy, nil}
		if !one.RevokedAt.IsZero() {
			revoked := timeJSON(one.RevokedAt)
			list[i].RevokedAt = &revoked
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"gates": list})
	return nil
}

// addGate answers with the gate's credential, this once.
func (s *Server) addGate(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	var body struct {
		Gate    string `json:"gate"`
		Zone    string `json:"zone"`
		Replace bool   `json:"replace"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	credential, err := s.Scans.AddGate(r.Context(), g.Event, scan.NewGate{Name: body.Gate, Zone: body.Zone, Replace: body.Replace}, operatorOf(r))
	var no *scan.NoZone
	switch {
	case errors.As(err, &no) && len(no.Known) == 0:
		return &detailed{err, "The event has no zones: leave the zone out, or write them into the event's file (gates.zones) and apply that first."}
	case errors.As(err, &no):
		return &detailed{err, fmt.Sprintf("The event has no zone %.63q. Take one of %s, leave the zone out for the venue as a whole, or write it into the event's file (gates.zones) and apply that first.",
			no.Zone, strings.Join(no.Known, ", "))}
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]any{"gate": body.Gate, "zone": body.Zone, "credential": credential})
	return nil
}

func (s *Server) revokeGate(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	if err := s.Scans.RevokeGate(r.Context(), g.Event, r.PathValue("gate")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listFindings lists passes that should not have been.
func (s *Server) listFindings(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	var at time.Time
	var after uuid.UUID
	if text := q.Get("after"); text != "" {
		if at, after, err = parseOrderCursor(text); err != nil {
			return err
		}
	}
	found, err := s.Scans.Findings(r.Context(), g.Event, at, after, limit)
	if err != nil {
		return err
	}
	next := ""
	if len(found) == limit {
		last := found[limit-1]
		next = orderCursor(last.At, last.Scan)
	}
	writeJSON(w, http.StatusOK, map[string]any{"findings": scanFindingsJSON(found), "next": next})
	return nil
}
