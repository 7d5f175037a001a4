package ctl_test

import (
	"encoding/json"
	"net/http"
	"time"
)

// reviewed is the one order that the fake core has in review.
const reviewed = "00000000-0000-0000-0000-000000000009"

// money adds what operators ask about payments.
func (f *fakeCore) money(mux *http.ServeMux) {
	disputed := func(h func(w http.ResponseWriter)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("ref") != "dp_1" {
				refuse(w, 404, "dispute_unknown", "There is no such dispute.")
				return
			}
			h(w)
		}
	}
	mux.HandleFunc("GET /admin/v1/disputes", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		if state := r.URL.Query().Get("state"); state == "" || state == f.dispute()["state"] {
			list = append(list, f.dispute())
		}
		answer(w, 200, map[string]any{"disputes": list})
	})
	mux.HandleFunc("GET /admin/v1/disputes/{ref}", disputed(func(w http.ResponseWriter) { answer(w, 200, f.dispute()) }))
	mux.HandleFunc("GET /admin/v1/disputes/{ref}/evidence", disputed(func(w http.ResponseWriter) {
		answer(w, 200, map[string]any{"customer_email": "ann@example.org", "service_date": "2027-06-12", "product": "2 tickets for arena: floor; floor",
			"access_log": "2027-02-01T12:00:00Z  step       opened by buyer\n2027-02-01T12:00:05Z  ticket     issued\n", "refund_policy": "", "more": "Order opened."})
	}))
	mux.HandleFunc("POST /admin/v1/disputes/{ref}/submit", disputed(func(w http.ResponseWriter) {
		if f.submitted {
			refuse(w, 409, "dispute_over", "The dispute takes no evidence any more.")
			return
		}
		f.submitted = true
		answer(w, 202, f.dispute())
	}))
	mux.HandleFunc("GET /admin/v1/reviews", func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		if f.decided == "" {
			list = append(list, f.reviewCase())
		}
		answer(w, 200, map[string]any{"reviews": list})
	})
	mux.HandleFunc("GET /admin/v1/reviews/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != reviewed {
			refuse(w, 409, "no_review", "The order does not wait for a review.")
			return
		}
		answer(w, 200, map[string]any{"order_id": reviewed, "state": "payment_review", "reviews": []any{f.reviewCase()}, "judgements": []any{
			map[string]any{"stage": "begin", "verdict": "allow", "score": 0, "reasons": nil, "at": f.clock},
			map[string]any{"stage": "authorized", "verdict": "review", "score": 20, "at": f.clock, "reasons": []any{
				map[string]any{"rule": "cards_per_account", "verdict": "review", "said": "4 cards of the account within 1h0m0s, more than 3"},
				map[string]any{"rule": "postal_check_failed", "weight": 20, "said": "the postal code is not the card's"},
			}},
		}})
	})
	mux.HandleFunc("POST /admin/v1/reviews/{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Reason string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		switch {
		case r.PathValue("id") != reviewed || f.decided != "":
			refuse(w, 409, "no_review", "The order does not wait for a review.")
		case body.Reason == "":
			refuse(w, 422, "reason_invalid", "A decision needs a reason.")
		default:
			f.decided = map[string]string{"approve": "approved", "deny": "denied"}[r.PathValue("verb")]
			state := map[string]string{"approve": "payment_pending", "deny": "cancelled"}[r.PathValue("verb")]
			answer(w, 200, map[string]any{"order_id": reviewed, "state": state})
		}
	})
}

func (f *fakeCore) reviewCase() map[string]any {
	c := map[string]any{"order_id": reviewed, "event": "arena", "amount": euros(13100), "why": "4 cards of the account within 1h0m0s, more than 3",
		"opened_at": f.clock, "deadline": f.clock.Add(30 * time.Minute), "decision": f.decided, "actor": "", "reason": ""}
	if f.decided != "" {
		c["closed_at"], c["actor"], c["reason"] = f.clock, "operator:ann", "called the buyer"
	}
	return c
}

func (f *fakeCore) dispute() map[string]any {
	d := map[string]any{"ref": "dp_1", "provider": "stripe", "order_id": reviewed, "amount": euros(13100), "fee": euros(1500), "reason": "fraudulent", "state": "open",
		"respond_by": f.clock.Add(7 * 24 * time.Hour), "drafted_at": f.clock, "submitted_by": "", "opened_at": f.clock}
	if f.submitted {
		d["state"], d["submitted_at"], d["submitted_by"] = "review", f.clock, "operator:ann"
	}
	return d
}
