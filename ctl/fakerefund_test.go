package ctl_test

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// refunding is what a fake core knows of refunds.
type refunding struct {
	made map[string]map[string]any // by order and key
	list []map[string]any
	runs map[string]int // by event: how often it was looked at
}

func (f *fakeCore) refundRoutes(mux *http.ServeMux) {
	r := &refunding{made: map[string]map[string]any{}, runs: map[string]int{}}
	mux.HandleFunc("POST /admin/v1/orders/{id}/refunds", func(w http.ResponseWriter, q *http.Request) { f.createRefund(r, w, q) })
	mux.HandleFunc("GET /admin/v1/refunds", func(w http.ResponseWriter, q *http.Request) {
		found := []any{}
		for _, one := range r.list {
			if review := q.URL.Query().Get("review") != ""; review && (one["kind"] != "found" || one["reviewed"] != nil) {
				continue
			}
			if q.URL.Query().Get("unsettled") == "" || one["state"] == "failed" && one["resolution"] == nil {
				found = append(found, one)
			}
		}
		answer(w, 200, map[string]any{"refunds": found, "next": ""})
	})
	mux.HandleFunc("GET /admin/v1/refunds/{id}", func(w http.ResponseWriter, q *http.Request) {
		for _, one := range r.list {
			if one["id"] == q.PathValue("id") {
				answer(w, 200, one)
				return
			}
		}
		refuse(w, 404, "refund_unknown", "There is no such refund.")
	})
	mux.HandleFunc("POST /admin/v1/refunds/{id}/review", r.review)
	mux.HandleFunc("POST /admin/v1/refunds/{id}/retry", func(w http.ResponseWriter, q *http.Request) { f.retryRefund(r, w, q) })
	mux.HandleFunc("POST /admin/v1/events/{id}/cancel", f.withEvent(func(w http.ResponseWriter, q *http.Request, _ *fakeEvent) {
		r.runs[q.PathValue("id")] = 0
		answer(w, 202, run(q.PathValue("id"), "running", 0))
	}))
	mux.HandleFunc("GET /admin/v1/events/{id}/refunds", f.withEvent(func(w http.ResponseWriter, q *http.Request, _ *fakeEvent) {
		event := q.PathValue("id")
		looked, known := r.runs[event]
		if !known {
			refuse(w, 404, "refund_run_unknown", "The event was not cancelled, so nothing of it is being refunded as a whole.")
			return
		}
		r.runs[event]++
		answer(w, 200, run(event, []string{"running", "done"}[min(looked, 1)], looked))
	}))
}

func run(event, state string, refunded int) map[string]any {
	refunded = min(refunded, 1) * 3
	return map[string]any{"event": event, "state": state, "orders": 5, "waiting": 3 - refunded, "open": 0, "refunded": refunded, "failed": 1, "skipped": 1,
		"amount": euros(13100 * refunded)}
}

func (f *fakeCore) createRefund(r *refunding, w http.ResponseWriter, q *http.Request) {
	var body map[string]any
	key := q.Header.Get("Idempotency-Key")
	if key == "" || json.NewDecoder(q.Body).Decode(&body) != nil {
		refuse(w, 400, "idempotency_key_missing", "The Idempotency-Key header is required.")
		return
	}
	if one := r.made[q.PathValue("id")+key]; one != nil {
		answer(w, 201, one)
		return
	}
	if body["amount_minor"] == float64(99999) {
		refuse(w, 409, "refund_too_much", "That is more than is left of what was paid.")
		return
	}
	one := map[string]any{"id": fmt.Sprintf("00000000-0000-5000-8000-%012d", len(r.list)+1), "order_id": q.PathValue("id"), "kind": "order", "state": "failed",
		"failure": "charge_disputed", "amount": euros(13100), "face": euros(12000), "fee": euros(1000), "tax": euros(100), "items": []int{0, 1},
		"provider": "stripe", "provider_ref": "", "reason": body["reason"], "actor": "operator", "created_at": f.clock}
	if minor, ok := body["amount_minor"].(float64); ok {
		one["kind"], one["amount"], one["items"], one["state"] = "amount", euros(int(minor)), []int{}, "succeeded"
		delete(one, "failure")
		if minor == 1616 || minor == 1717 { // made at the provider, 1717 of a resale
			one["kind"] = "found"
		}
		if minor == 1414 || minor == 1515 { // given up, and made all the same
			one["state"], one["failure"] = "failed", "discarded"
		}
	}
	r.list, r.made[q.PathValue("id")+key] = append(r.list, one), one
	answer(w, 201, one)
}

func (r *refunding) review(w http.ResponseWriter, q *http.Request) {
	var body struct {
		Tickets []string `json:"tickets"`
		All     bool     `json:"all"`
		Keep    bool     `json:"keep"`
		Reason  string   `json:"reason"`
	}
	for _, one := range r.list {
		if one["id"] != q.PathValue("id") || json.NewDecoder(q.Body).Decode(&body) != nil || body.Reason == "" {
			continue
		}
		switch {
		case one["kind"] != "found":
			refuse(w, 409, "refund_not_found_there", "The refund was not made by hand at the provider.")
			return
		case one["reviewed"] != nil:
			refuse(w, 409, "refund_reviewed", "Somebody has reviewed the refund otherwise.")
			return
		}
		if amount, of := one["amount"].(map[string]any); of && fmt.Sprint(amount["minor"]) == "1717" && (body.All || len(body.Tickets) > 0) {
			refuse(w, 409, "refund_part", "Its buyer has only a part of the money back. Refund the rest of the order instead.")
			return
		}
		if !body.Keep && !body.All && len(body.Tickets) == 0 {
			refuse(w, 400, "bad_request", "Say what becomes of the tickets.")
			return
		}
		one["reviewed"] = "kept"
		if body.All || len(body.Tickets) > 0 {
			one["reviewed"], one["items"] = "void", make([]int, max(1, len(body.Tickets)))
		}
		answer(w, 200, one)
		return
	}
	refuse(w, 404, "refund_unknown", "There is no such refund.")
}

func (f *fakeCore) retryRefund(r *refunding, w http.ResponseWriter, q *http.Request) {
	var body struct {
		PaidOtherwise string `json:"paid_otherwise"`
	}
	for _, one := range r.list {
		if one["id"] != q.PathValue("id") || json.NewDecoder(q.Body).Decode(&body) != nil {
			continue
		}
		if one["state"] != "failed" || one["resolution"] != nil {
			refuse(w, 409, "refund_not_failed", "The refund has not failed, or has been settled already. Look at it.")
			return
		}
		if one["failure"] == "discarded" {
			one["state"] = "succeeded"
			delete(one, "failure")
			if body.PaidOtherwise != "" {
				refuse(w, 409, "refund_made", "The provider has made the refund that was given up; nothing else was recorded.")
				return
			}
			answer(w, 201, one)
			return
		}
		one["resolution"] = map[bool]string{true: "retried", false: "paid_otherwise"}[body.PaidOtherwise == ""]
		answer(w, 201, one)
		return
	}
	refuse(w, 404, "refund_unknown", "There is no such refund.")
}
