package ctl_test

import (
	"encoding/json"
	"net/http"
)

// guardRoutes play the filter's record: one entrant with a verdict, whom an operator can lift.
func (f *fakeCore) guardRoutes(mux *http.ServeMux) {
	const entrant = "00112233445566778899aabbccddeeff"
	verdict := map[string]any{
		"id": "00000000-0000-4000-8000-000000000001", "at": f.clock, "event": "arena", "entrant": entrant, "device": entrant, "edge": "00000000-0000-4000-8000-000000000002",
		"network": "203.0.113.0/24", "network_hash": "9f86d081884c7d65", "place": "claim", "answer": "denied", "by": "", "score": 92.5, "level": "high",
		"reasons": []any{
			map[string]any{"signal": "honeypot", "points": 25, "said": "a hidden field was filled in"},
			map[string]any{"signal": "data_centre", "points": 15, "said": "the address belongs to a network for servers"},
		},
	}
	var lift map[string]any
	mux.HandleFunc("GET /admin/v1/events/{event}/guard", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		if answer := r.URL.Query().Get("answer"); r.PathValue("event") == "arena" && (answer == "" || answer == "denied") {
			list = append(list, verdict)
		}
		answer(w, 200, map[string]any{"verdicts": list, "totals": []any{}, "next": ""})
	})
	mux.HandleFunc("GET /admin/v1/guard/{entrant}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("entrant") != entrant {
			refuse(w, 404, "verdict_unknown", "The filter has no verdict on this entrant.")
			return
		}
		body := map[string]any{"entrant": entrant, "verdicts": []any{verdict}}
		if lift != nil {
			body["lift"] = lift
		}
		answer(w, 200, body)
	})
	mux.HandleFunc("POST /admin/v1/guard/{entrant}/lift", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Reason string }
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.Reason == "" {
			refuse(w, 422, "verdict_invalid", "The verdict, or the reason for lifting one, is not of the form that is kept.")
			return
		}
		lift = map[string]any{"reason": body.Reason, "actor": "operator", "at": f.clock}
		answer(w, 200, map[string]any{"entrant": r.PathValue("entrant"), "lifted": true, "reason": body.Reason})
	})
}
