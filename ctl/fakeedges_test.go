package ctl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// edgeRoutes play two edges, the clock of one of which is off, and their keys.
func (f *fakeCore) edgeRoutes(mux *http.ServeMux) {
	const first, second = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
	edges := []map[string]any{
		{"edge_id": first, "enrolled_at": f.clock, "seen_at": f.clock, "revoked_at": nil, "clock_ahead_ms": 3, "clock_wrong": false, "live": true, "keys": 1, "keys_to_replace": 0},
		{"edge_id": second, "enrolled_at": f.clock, "seen_at": f.clock, "revoked_at": nil, "clock_ahead_ms": 61000, "clock_wrong": true, "live": true, "keys": 2, "keys_to_replace": 0},
	}
	passKey := 1
	find := func(id string) map[string]any {
		for _, e := range edges {
			if e["edge_id"] == id {
				return e
			}
		}
		return nil
	}
	mux.HandleFunc("GET /admin/v1/edges", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"edges": edges, "next": ""})
	})
	mux.HandleFunc("POST /admin/v1/edges/{edge}/revoke", func(w http.ResponseWriter, r *http.Request) {
		e := find(r.PathValue("edge"))
		if e == nil {
			refuse(w, 404, "edge_not_found", "There is no such edge. See GET /admin/v1/edges.")
			return
		}
		e["revoked_at"], e["live"], e["keys"] = f.clock, false, 0
		answer(w, 200, map[string]any{"edge_id": r.PathValue("edge"), "revoked": true})
	})
	for verb, done := range map[string]string{"rotate": "replaced", "revoke": "revoked"} {
		mux.HandleFunc("POST /admin/v1/edges/keys:"+verb, func(w http.ResponseWriter, r *http.Request) {
			var body struct {
				Edge string `json:"edge_id"`
			}
			if json.NewDecoder(r.Body).Decode(&body) != nil {
				refuse(w, 400, "bad_json", "The body is no JSON.")
				return
			}
			n := 3
			if e := find(body.Edge); e != nil {
				n = e["keys"].(int)
			}
			answer(w, 200, map[string]any{done: n})
		})
	}
	accountKeys := []int{1}
	keys := func(w http.ResponseWriter) {
		answer(w, 200, map[string]any{"newest": accountKeys[0], "verify": accountKeys})
	}
	mux.HandleFunc("GET /admin/v1/accounts/keys", func(w http.ResponseWriter, _ *http.Request) { keys(w) })
	mux.HandleFunc("POST /admin/v1/accounts/keys:rotate", func(w http.ResponseWriter, _ *http.Request) {
		accountKeys = append([]int{accountKeys[0] + 1}, accountKeys...)
		keys(w)
	})
	mux.HandleFunc("POST /admin/v1/accounts/keys:revoke", func(w http.ResponseWriter, _ *http.Request) {
		accountKeys = []int{accountKeys[0] + 1}
		keys(w)
	})
	mux.HandleFunc("POST /admin/v1/events/{id}/invitations", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Count   int
			Presale string
		}
		_ = json.NewDecoder(r.Body).Decode(&asked) // what it does not understand it makes none of
		codes := []string{}
		for i := range asked.Count {
			codes = append(codes, fmt.Sprintf("code-%d-%s", i, asked.Presale))
		}
		answer(w, 201, map[string]any{"event": "arena", "presale": asked.Presale, "invitations": codes})
	})
	newest := func(w http.ResponseWriter) {
		answer(w, 200, map[string]any{"event": "arena", "newest": map[string]any{"pass": passKey, "receipt": 1, "invitation": 1}})
	}
	mux.HandleFunc("GET /admin/v1/events/{id}/keys", func(w http.ResponseWriter, _ *http.Request) { newest(w) })
	mux.HandleFunc("POST /admin/v1/events/{id}/keys:rotate", func(w http.ResponseWriter, _ *http.Request) { passKey++; newest(w) })
}
