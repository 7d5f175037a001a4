package ctl_test

import (
	"net/http"
	"sync"
)

// outbox answers as core does for two tasks of an order, the first of them dead.
func (f *fakeCore) outbox(mux *http.ServeMux) {
	const order = "00000000-0000-0000-0000-000000000001"
	var mu sync.Mutex
	task := func(kind, state string, attempts int, failure string) map[string]any {
		return map[string]any{"id": "00000000-0000-0000-0000-0000000000aa", "kind": kind, "order_id": order, "payment_id": order, "state": state,
			"attempts": attempts, "last_error": failure, "due_at": f.clock, "created_at": f.clock, "running": false}
	}
	tasks := []map[string]any{task("capture", "dead", 300, "the payment provider cannot do it now"), task("begin", "ready", 2, "")}
	find := func(r *http.Request) map[string]any {
		for _, t := range tasks {
			if t["kind"] == r.PathValue("task") && t["order_id"] == r.PathValue("order") {
				return t
			}
		}
		return nil
	}
	mux.HandleFunc("GET /admin/v1/outbox", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		found := []map[string]any{}
		for _, t := range tasks {
			if kind := r.URL.Query().Get("kind"); (kind == "" || t["kind"] == kind) && (r.URL.Query().Get("dead") != "true" || t["state"] == "dead") {
				found = append(found, t)
			}
		}
		answer(w, 200, map[string]any{"tasks": found, "next": ""})
	})
	mux.HandleFunc("GET /admin/v1/outbox/{order}/{task}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if t := find(r); t != nil {
			answer(w, 200, t)
			return
		}
		refuse(w, 404, "task_unknown", "The order has no such outbox task.")
	})
	mux.HandleFunc("POST /admin/v1/outbox/{order}/{task}/retry", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		t := find(r)
		if t["state"] != "dead" {
			refuse(w, 409, "task_alive", "Only dead tasks can be retried or discarded.")
			return
		}
		t["state"], t["attempts"] = "ready", 1
		answer(w, 200, t)
	})
}
