package api

import (
	"net/http"
	"time"
)

// changeJSON is an event that was moved. Times of the event have the venue's offset.
type changeJSON struct {
	Revision    int64     `json:"revision"`
	WasStarts   string    `json:"was_starts_at"`
	StartsAt    string    `json:"starts_at"`
	WasVenue    string    `json:"was_venue"`
	Venue       string    `json:"venue"`
	ChangedAt   timeJSON  `json:"changed_at"`
	RefundUntil timeJSON  `json:"refund_until"`
	ToldAt      *timeJSON `json:"told_at,omitempty"` // once the mails of all buyers are queued, or a later change took its place
}

// listChanges lists when and where an event was moved: GET /admin/v1/events/{id}/changes answers {changes}, oldest first.
func (s *Server) listChanges(w http.ResponseWriter, r *http.Request) error {
	changes, err := s.Events.Changes(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	list := make([]changeJSON, len(changes))
	for i, c := range changes {
		list[i] = changeJSON{c.Revision, c.WasStarts.Format(time.RFC3339), c.StartsAt.Format(time.RFC3339), c.WasVenue, c.Venue, timeJSON(c.ChangedAt), timeJSON(c.RefundUntil), nil}
		if !c.ToldAt.IsZero() {
			told := timeJSON(c.ToldAt)
			list[i].ToldAt = &told
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"changes": list})
	return nil
}
