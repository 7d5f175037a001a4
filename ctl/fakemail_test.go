package ctl_test

import (
	"encoding/json"
	"net/http"
	"sync"
)

// mail answers as core does for two mails about an order, the first of which bounced.
func (f *fakeCore) mail(mux *http.ServeMux) {
	const order = "00000000-0000-0000-0000-000000000001"
	var mu sync.Mutex
	mail := func(id, kind, state, failure string) map[string]any {
		return map[string]any{"id": id, "key": kind + "/" + order, "kind": kind, "to": "ana@example.net", "language": "es", "subject": order, "state": state,
			"attempts": 1, "last_error": failure, "due_at": f.clock, "created_at": f.clock, "running": false}
	}
	mails := []map[string]any{
		mail("00000000-0000-0000-0000-0000000000b1", "tickets", "bounced", "550 5.1.1 no such user"),
		mail("00000000-0000-0000-0000-0000000000b2", "refunded", "sent", ""),
	}
	mux.HandleFunc("GET /admin/v1/mails", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		q, found := r.URL.Query(), []map[string]any{}
		for _, m := range mails {
			if (q.Get("subject") == order || m["state"] == "bounced") && (q.Get("state") == "" || m["state"] == q.Get("state")) && (q.Get("kind") == "" || m["kind"] == q.Get("kind")) {
				found = append(found, m)
			}
		}
		answer(w, 200, map[string]any{"mails": found, "next": ""})
	})
	one := func(w http.ResponseWriter, r *http.Request) map[string]any {
		for _, m := range mails {
			if m["id"] == r.PathValue("id") {
				return m
			}
		}
		refuse(w, 404, "mail_unknown", "There is no such mail.")
		return nil
	}
	mux.HandleFunc("GET /admin/v1/mails/{id}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if m := one(w, r); m != nil {
			answer(w, 200, m)
		}
	})
	mux.HandleFunc("POST /admin/v1/mails/{id}/retry", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var body struct{ To string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			refuse(w, 400, "bad_json", err.Error())
			return
		}
		m := one(w, r)
		switch {
		case m == nil:
		case m["state"] != "bounced":
			refuse(w, 409, "mail_alive", "Only mails that bounced or are dead can be tried again.")
		default:
			m["state"], m["attempts"], m["last_error"] = "ready", 0, ""
			if body.To != "" {
				m["to"] = body.To
			}
			answer(w, 200, m)
		}
	})
}
