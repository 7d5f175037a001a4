package ctl_test

import (
	"encoding/json"
	"net/http"
	"strings"
)

// ticketRoutes are core's routes about keys of tickets.
func (f *fakeCore) ticketRoutes(mux *http.ServeMux) {
	newest := map[string]int{"ticket": 1, "gate": 1, "pack": 1}
	show := func(w http.ResponseWriter, event string) {
		ring := func(kind string) (keys []map[string]any) {
			for no := newest[kind]; no > 0; no-- {
				keys = append(keys, map[string]any{"no": no, "public": strings.Repeat(string('a'+rune(no)), 64)})
			}
			return keys
		}
		answer(w, 200, map[string]any{"event": event, "keys": ring("ticket"), "pack_keys": ring("pack"), "gate_key": newest["gate"], "rotating": true})
	}
	mux.HandleFunc("GET /admin/v1/tickets/keys", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("event") != "arena" {
			refuse(w, 404, "event_unknown", "There is no such event.")
			return
		}
		show(w, "arena")
	})
	mux.HandleFunc("POST /admin/v1/tickets/{id}/move", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Seat, Reason string
			Any          bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Reason == "" || body.Seat == "102/A/7" && !body.Any {
			refuse(w, 409, "seat_held", "A buyer holds this seat.")
			return
		}
		answer(w, 200, map[string]any{"ticket": r.PathValue("id"), "from": "101/C/3", "seat": body.Seat, "tier": "lower", "epoch": 2})
	})
	mux.HandleFunc("POST /admin/v1/tickets/keys:rotate", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Event, Key string
			Newest     int
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || newest[body.Key] != body.Newest {
			refuse(w, 409, "key_not_newest", "That is not the event's newest key.")
			return
		}
		newest[body.Key]++
		show(w, body.Event)
	})
	mux.HandleFunc("GET /admin/v1/tickets/{id}/title", func(w http.ResponseWriter, r *http.Request) {
		step := func(how string, more map[string]any) map[string]any {
			one := map[string]any{"how": how, "from": "aa", "to": "bb", "epoch": 2, "at": "2027-06-01T10:00:00.000Z", "hash": "ff"}
			for k, v := range more {
				one[k] = v
			}
			return one
		}
		chain := map[string]any{"ok": true, "tickets": []any{
			map[string]any{"id": "t-1", "order_id": "o-1", "buyer": "aa", "owner": "bb", "epoch": 2, "state": "void", "issued_at": "2027-05-01T10:00:00.000Z",
				"steps": []any{step("transfer", nil)}},
			map[string]any{"id": "t-2", "order_id": "o-2", "buyer": "cc", "owner": "cc", "epoch": 1, "state": "valid", "issued_at": "2027-06-02T10:00:00.000Z",
				"steps": []any{step("resale", map[string]any{"price": euros(9900), "note": "from\na friend"})}},
		}}
		switch r.PathValue("id") {
		case "whole":
		case "sold":
			first := chain["tickets"].([]any)[0].(map[string]any)
			first["sold"] = []any{step("resale", map[string]any{"ticket": "t-2", "price": euros(9900)})}
			chain["tickets"] = []any{first}
		case "broken":
			chain["ok"], chain["broken"] = false, "step 0: its hash is another"
		default:
			refuse(w, 404, "ticket_unknown", "There is no such ticket.")
			return
		}
		answer(w, 200, chain)
	})
	mux.HandleFunc("GET /admin/v1/transfers", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		if r.URL.Query().Get("event") == "arena" {
			list = append(list, map[string]any{"id": "x", "ticket_id": "t-1", "event": "arena", "tier": "floor", "seat": "", "state": "ended", "reason": "the ticket is void",
				"given_by": "", "to": "ben@example.org", "created_at": "2027-06-01T10:00:00.000Z", "expires_at": "2027-06-03T10:00:00.000Z"})
		}
		answer(w, 200, map[string]any{"transfers": list})
	})
}
