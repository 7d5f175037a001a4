package api

import (
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/inventory"
)

// releaseJSON is one release of an allocation to general sale. Cause is command, time, or return: of what was held when
// the allocation was released as a whole, and came back later.
type releaseJSON struct {
	ID         uuid.UUID `json:"id"`
	Tier       string    `json:"tier"`
	Allocation string    `json:"allocation"`
	Units      int64     `json:"units"`
	Cause      string    `json:"cause"`
	Actor      string    `json:"actor"`
	At         timeJSON  `json:"at"`
}

func releasesOf(list []inventory.AllocationRelease) []releaseJSON {
	shown := make([]releaseJSON, len(list))
	for i, r := range list {
		shown[i] = releaseJSON{r.ID, r.Tier, r.Allocation, r.Units, r.Cause, r.Actor, timeJSON(r.At)}
	}
	return shown
}

// releaseAllocation is POST /admin/v1/events/{id}/allocations/{allocation}/release. The body has release_id, a random UUID
// by which the same release sent again moves nothing more, either all or quantity (at most so many of each tier), and
// perhaps a tier; without one, every tier that has the allocation is meant. The answer has what was moved of each.
func (s *Server) releaseAllocation(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ReleaseID uuid.UUID `json:"release_id"`
		Tier      string    `json:"tier"`
		Quantity  int64     `json:"quantity"`
		All       bool      `json:"all"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	switch {
	case body.ReleaseID == uuid.Nil:
		return &detailed{errRequest, "release_id must be a random UUID; send the same one again to repeat a request."}
	case body.All == (body.Quantity != 0) || body.Quantity < 0:
		return &detailed{errRequest, "Say either all, or a quantity from 1 up."}
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	done, err := s.Inventory.ReleaseAllocation(r.Context(), inventory.ReleaseOrder{
		Event: e.ID, Allocation: r.PathValue("allocation"), Tier: body.Tier, Quantity: body.Quantity, ID: body.ReleaseID, Actor: operatorOf(r),
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": e.Slug, "releases": releasesOf(done)})
	return nil
}

// listReleases is GET /admin/v1/events/{id}/releases?limit=: the latest releases, the last one first.
func (s *Server) listReleases(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	list, err := s.Inventory.Releases(r.Context(), e.ID, limit)
	if err != nil {
		return fmt.Errorf("list releases: %w", err)
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": e.Slug, "releases": releasesOf(list), "next": ""})
	return nil
}
