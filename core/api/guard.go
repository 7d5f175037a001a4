package api

import (
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/edge/lottery"
)

// verdictJSON is a verdict of an edge's filter, as edges send it and operators see it.
type verdictJSON struct {
	ID          uuid.UUID          `json:"id"`
	At          time.Time          `json:"at"`
	Event       string             `json:"event"`
	Entrant     lottery.Entrant    `json:"entrant"`
	Device      lottery.DeviceHash `json:"device"`
	Edge        *uuid.UUID         `json:"edge,omitempty"`
	Network     string             `json:"network"`
	NetworkHash string             `json:"network_hash"`
	Place       string             `json:"place"`
	Answer      string             `json:"answer"`
	By          string             `json:"by"`
	Score       float64            `json:"score"`
	Level       string             `json:"level"`
	Reasons     []access.Reason    `json:"reasons"`
}

// keepVerdicts takes what an edge's filter decided, and tells the edge whom operators have lifted.
func (s *Server) keepVerdicts(w http.ResponseWriter, r *http.Request) error {
	edge, err := s.edgeID(r)
	if err != nil {
		return err
	}
	var body struct {
		Since    uint64        `json:"lifts_since"`
		Verdicts []verdictJSON `json:"verdicts"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	verdicts := make([]access.Verdict, len(body.Verdicts))
	for i, v := range body.Verdicts {
		verdicts[i] = access.Verdict{
			ID: v.ID, At: v.At, Event: v.Event, Entrant: v.Entrant, Device: v.Device, Network: v.Network, Place: v.Place, Answer: v.Answer, By: v.By,
			Score: v.Score, Level: v.Level, Reasons: v.Reasons,
		}
		if !fromHex(verdicts[i].NetworkHash[:], v.NetworkHash) {
			return access.ErrVerdictInvalid
		}
	}
	if err := s.Room.KeepVerdicts(r.Context(), edge, verdicts); err != nil {
		return err
	}
	version, lifted, err := s.Room.Lifts(r.Context())
	if err != nil {
		return err
	}
	answer := map[string]any{"lifts_version": version}
	if version != body.Since {
		if lifted == nil {
			lifted = []lottery.Entrant{}
		}
		answer["lifted"] = lifted
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func verdictsJSON(verdicts []access.Verdict) []verdictJSON {
	list := make([]verdictJSON, len(verdicts))
	for i, v := range verdicts {
		list[i] = verdictJSON{
			ID: v.ID, At: v.At.UTC(), Event: v.Event, Entrant: v.Entrant, Device: v.Device, Edge: &v.Edge, Network: v.Network, NetworkHash: hex.EncodeToString(v.NetworkHash[:]),
			Place: v.Place, Answer: v.Answer, By: v.By, Score: v.Score, Level: v.Level, Reasons: v.Reasons,
		}
	}
	return list
}

// guardRoutes are the admin listener's routes about the filter.
func (s *Server) guardRoutes(admin func(pattern string, h handler)) {
	admin("GET /admin/v1/events/{event}/guard", s.listVerdicts)
	admin("GET /admin/v1/guard/{entrant}", s.explainVerdicts)
	admin("POST /admin/v1/guard/{entrant}/lift", s.liftVerdict)
}

// listVerdicts lists the verdicts of an event, the newest first, with what they come to.
func (s *Server) listVerdicts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	var after access.VerdictMark
	if text := q.Get("after"); text != "" {
		at, id, _ := strings.Cut(text, "/")
		var wrong error
		if after.At, wrong = time.Parse(time.RFC3339Nano, at); wrong == nil {
			after.ID, wrong = uuid.Parse(id)
		}
		if wrong != nil {
			return &detailed{errRequest, "after is not where a list has ended."}
		}
	}
	slug := r.PathValue("event")
	if !lottery.ValidSlug(slug) {
		return access.ErrNoSale
	}
	verdicts, err := s.Room.VerdictsOfEvent(r.Context(), slug, q.Get("answer"), after, limit)
	if err != nil {
		return err
	}
	counts, err := s.Room.CountVerdicts(r.Context(), slug)
	if err != nil {
		return err
	}
	type countJSON struct {
		Answer   string `json:"answer"`
		By       string `json:"by"`
		Verdicts int    `json:"verdicts"`
		Entrants int    `json:"entrants"`
	}
	totals := make([]countJSON, len(counts))
	for i, c := range counts {
		totals[i] = countJSON{c.Answer, c.By, c.Verdicts, c.Entrants}
	}
	next := ""
	if n := len(verdicts); n == limit {
		last := verdicts[n-1]
		next = last.At.UTC().Format(time.RFC3339Nano) + "/" + last.ID.String()
	}
	writeJSON(w, http.StatusOK, map[string]any{"verdicts": verdictsJSON(verdicts), "totals": totals, "next": next})
	return nil
}

type liftJSON struct {
	Reason string   `json:"reason"`
	Actor  string   `json:"actor"`
	At     timeJSON `json:"at"`
}

// mostExplained is how many verdicts on one entrant are shown.
const mostExplained = 100

// explainVerdicts says everything the filter has decided about an entrant, and why.
func (s *Server) explainVerdicts(w http.ResponseWriter, r *http.Request) error {
	entrant, err := lottery.ParseEntrant(r.PathValue("entrant"))
	if err != nil {
		return &detailed{errRequest, "An entrant is 32 hex digits in lower case, as receipts and the transcript have it."}
	}
	verdicts, lift, err := s.Room.VerdictsOf(r.Context(), entrant, mostExplained)
	if err != nil {
		return err
	}
	answer := map[string]any{"entrant": entrant, "verdicts": verdictsJSON(verdicts)}
	if lift != nil {
		answer["lift"] = liftJSON{lift.Reason, lift.Actor, timeJSON(lift.At)}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// liftVerdict lets an entrant pass the filter.
func (s *Server) liftVerdict(w http.ResponseWriter, r *http.Request) error {
	entrant, err := lottery.ParseEntrant(r.PathValue("entrant"))
	if err != nil {
		return &detailed{errRequest, "An entrant is 32 hex digits in lower case, as receipts and the transcript have it."}
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !plainText(body.Reason, 1, 500) {
		return &detailed{errRequest, "reason must be a text of 1 to 500 bytes without control characters."}
	}
	if err := s.Room.LiftVerdict(r.Context(), entrant, body.Reason, operatorOf(r)); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"entrant": entrant, "lifted": true, "reason": body.Reason})
	return nil
}
