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
