package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
)

// maxMergeBody bounds a piece of a gate's log: 500 records of some 500 bytes.
const maxMergeBody = 1 << 20

// gateHandler is a handler for whoever has a gate's credential, and for that gate alone.
type gateHandler func(w http.ResponseWriter, r *http.Request, g scan.Gate) error

// Gate is the handler of the gate listener: what the devices at the doors of a venue may ask, and the page with which a phone is
// such a device. Every request but for the page carries the gate's credential as a bearer secret, is answered with JSON or an RFC 9457
// problem, and counts in the gate's rate (429 rate_limited):
//
//	GET  /gate/v1/gate             which gate this is: {gate, zone, event, name, starts_at, closes_at, time_zone, server_time}
//	POST /gate/v1/scans            {id, code, direction}: id is a random UUID that the gate makes for each scan, the same again is the
//	                               same scan; code is what the scanner read; direction is in, the default, or out. 200 opens the gate:
//	                               {id, ticket, tier, seat, direction, at}; anything else keeps it closed. Refusals: code_malformed,
//	                               code_other_event, code_forged, code_static, code_expired, gates_closed, ticket_superseded, ticket_void,
//	                               ticket_listed, ticket_companion, zone_other, ticket_used and ticket_inside (with before: {gate, at}, the pass that is the reason),
//	                               ticket_outside, ticket_unknown; scan_id_reused; scan_undone of an id that was undone. After 503
//	                               outcome_unknown, or no answer, ask again with the same id
//	POST /gate/v1/scans/{id}/undo  {reason} of 1 to 500 bytes: takes back a scan of this gate that opened it; again changes nothing.
//	                               {id, undone}; scan_unknown, reason_invalid
//	POST /gate/v1/scans:merge      {scans}: at most 500 records of this gate's own log, as package gate writes them, a scan before the
//	                               record that undoes it; again changes nothing. {records, new, rejected: [{id, why}], findings: [{scan,
//	                               ticket, tier, seat, gate, zone, direction, at, what, before}]}; scan_log_invalid: nothing was merged
//	GET  /gate/v1/pack?since=TIME  {pack}: the event's signed pack in base64, or what changed since the time of one
//	GET  /gate/v1/counts           {gates: [{gate, zone, in, out, refused, undone, findings}], zones: [{zone, entered, inside}]} of this
//	                               gate and its zone, at most a second old
func (s *Server) Gate() http.Handler {
	mux := http.NewServeMux()
	rates := newGateRates(s.GateRate, time.Now)
	on := func(pattern string, limit int64, h gateHandler) {
		mux.HandleFunc(pattern, s.on(limit, func(w http.ResponseWriter, r *http.Request) error {
			credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				return scan.ErrCredential
			}
			g, err := s.Scans.Authenticate(r.Context(), credential)
			if err != nil {
				return err
			}
			if err := rates.admit(g); err != nil {
				return err
			}
			return h(w, r, g)
		}))
	}
	on("GET /gate/v1/gate", maxBuyerBody, s.showGate)
	on("POST /gate/v1/scans", maxBuyerBody, s.scan)
	on("POST /gate/v1/scans/{id}/undo", maxBuyerBody, s.undoScan)
	on("POST /gate/v1/scans:merge", maxMergeBody, s.mergeScans)
	on("GET /gate/v1/pack", maxBuyerBody, s.pack)
	on("GET /gate/v1/counts", maxBuyerBody, s.gateCounts)
	if s.ScannerPage != nil {
		mux.Handle("GET /{$}", s.ScannerPage)
		mux.Handle("GET /scanner/", s.ScannerPage)
	}
	mux.HandleFunc("/", s.on(maxBuyerBody, nothing))
	return mux
}

// showGate tells a device which gate it is.
func (s *Server) showGate(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	e, err := s.Events.ByID(r.Context(), g.Event)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"gate": g.Name, "zone": g.Zone, "event": e.Slug, "name": e.Spec.Name, "starts_at": timeJSON(e.Spec.StartsAt),
		"closes_at": timeJSON(e.Spec.ClosesAt()), "time_zone": e.Spec.TimeZone, "server_time": timeJSON(time.Now())})
	return nil
}

type scanJSON struct {
	ID        uuid.UUID `json:"id"`
	Ticket    uuid.UUID `json:"ticket"`
	Tier      string    `json:"tier"`
	Seat      string    `json:"seat"`
	Direction string    `json:"direction"`
	At        timeJSON  `json:"at"`
}

// scan opens the gate (200), or says as a problem why it stays closed.
func (s *Server) scan(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	var body struct {
		ID        uuid.UUID `json:"id"`
		Code      string    `json:"code"`
		Direction string    `json:"direction"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	way := gate.Direction(body.Direction)
	if body.Direction == "" {
		way = gate.In
	}
	if body.ID == uuid.Nil || way != gate.In && way != gate.Out {
		return &detailed{errRequest, "A scan needs an id, a random UUID of its own, a code, and a direction, in or out."}
	}
	result, err := s.Scans.Scan(r.Context(), g, scan.Request{ID: body.ID, Shown: body.Code, Direction: way}, time.Now())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, scanJSON{result.Scan, result.Ticket, result.Tier, result.Seat, string(way), timeJSON(result.At)})
	return nil
}

func (s *Server) undoScan(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	return s.undo(w, r, g, "gate:"+g.Name)
}

func (s *Server) undo(w http.ResponseWriter, r *http.Request, g scan.Gate, actor string) error {
	id, err := pathID(r, scan.ErrUnknown)
	if err != nil {
		return err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := s.Scans.Undo(r.Context(), g, id, actor, body.Reason); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "undone": true})
	return nil
}

type scanFindingJSON struct {
	Scan      uuid.UUID   `json:"scan"`
	Ticket    uuid.UUID   `json:"ticket"`
	Tier      string      `json:"tier"`
	Seat      string      `json:"seat"`
	Gate      string      `json:"gate"`
	Zone      string      `json:"zone"`
	Direction string      `json:"direction"`
	At        timeJSON    `json:"at"`
	What      string      `json:"what"`
	Before    *beforeJSON `json:"before,omitempty"`
}

// beforeJSON is the pass because of which another was, or should have been, refused.
type beforeJSON struct {
	Gate string   `json:"gate"`
	At   timeJSON `json:"at"`
}

func scanFindingsJSON(found []scan.Finding) []scanFindingJSON {
	list := make([]scanFindingJSON, len(found))
	for i, f := range found {
		list[i] = scanFindingJSON{f.Scan, f.Ticket, f.Tier, f.Seat, f.Gate, f.Zone, string(f.Direction), timeJSON(f.At), f.What, nil}
		if f.BeforeGate != "" {
			list[i].Before = &beforeJSON{f.BeforeGate, timeJSON(f.BeforeAt)}
		}
	}
	return list
}

// mergeScans takes a gate's own log home.
func (s *Server) mergeScans(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	var body struct {
		Scans []gate.Record `json:"scans"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	for _, one := range body.Scans {
		if g.Name != "" && (one.Gate != g.Name || one.Zone != g.Zone) {
			return &detailed{scan.ErrCredential, fmt.Sprintf("The log has scans of gate %.63q in zone %.63q; this credential is that of gate %s in zone %q.", one.Gate, one.Zone, g.Name, g.Zone)}
		}
	}
	report, err := s.Scans.Merge(r.Context(), g.Event, body.Scans)
	if err != nil {
		return err
	}
	rejected := make([]map[string]any, len(report.Rejected))
	for i, one := range report.Rejected {
		rejected[i] = map[string]any{"id": one.ID, "why": one.Why}
	}
	writeJSON(w, http.StatusOK, map[string]any{"records": len(body.Scans), "new": report.New, "rejected": rejected, "findings": scanFindingsJSON(report.Findings)})
	return nil
}

// pack gives the event's pack, or with since, the time of one, what is new.
func (s *Server) pack(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return &detailed{errRequest, "since must be the time of a pack, as RFC 3339."}
		}
	}
	sealed, err := s.Scans.Pack(r.Context(), g.Event, since)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"pack": base64.StdEncoding.EncodeToString(sealed)})
	return nil
}

type gateCountsJSON struct {
	Gate     string `json:"gate"`
	Zone     string `json:"zone"`
	In       int    `json:"in"`
	Out      int    `json:"out"`
	Refused  int    `json:"refused"`
	Undone   int    `json:"undone"`
	Findings int    `json:"findings"`
}

type zoneCountsJSON struct {
	Zone    string `json:"zone"`
	Entered int    `json:"entered"`
	Inside  int    `json:"inside"`
}

// gateCounts counts what was scanned: of all gates as of now for an operator, of its own for a gate, at most a second old.
func (s *Server) gateCounts(w http.ResponseWriter, r *http.Request, g scan.Gate) error {
	count := s.Scans.Counts
	if g.Name != "" {
		count = s.Scans.LiveCounts
	}
	gates, zones, err := count(r.Context(), g.Event)
	if err != nil {
		return err
	}
	byGate, byZone := []gateCountsJSON{}, []zoneCountsJSON{}
	for _, c := range gates {
		if g.Name == "" || c.Gate == g.Name {
			byGate = append(byGate, gateCountsJSON(c))
		}
	}
	for _, c := range zones {
		if g.Name == "" || c.Zone == g.Zone {
			byZone = append(byZone, zoneCountsJSON(c))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"gates": byGate, "zones": byZone})
	return nil
}
