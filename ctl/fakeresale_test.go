package ctl_test

import "net/http"

const fakeListing = "00000000-0000-4000-8000-00000000000e"

// resale adds one listing that is sold, and whose seller can be paid.
func (f *fakeCore) resale(mux *http.ServeMux) {
	payout := "waiting"
	from := map[string]string{"sent": "waiting", "arrived": "sent", "returned": "sent"}
	eur := func(minor int) map[string]any { return map[string]any{"minor": minor, "currency": "EUR"} }
	listing := func() map[string]any {
		return map[string]any{"id": fakeListing, "event": "arena", "price": eur(7500), "asked": eur(7379), "you_get": eur(6272), "organizer_share": eur(738),
			"seller_fee": eur(369), "cap": eur(8000), "tier": "lower", "seat": "101/B/7", "state": "sold", "ticket_id": fakeItem, "seller": "0badc0de",
			"seller_order": fakeItem, "listed_at": f.clock, "payout": payout, "paid_from": f.clock, "email": "ana@example.org", "ripe": true}
	}
	mux.HandleFunc("GET /admin/v1/events/{id}/listings", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		if want := r.URL.Query().Get("state"); want == "" || want == "sold" {
			list = append(list, listing())
		}
		answer(w, 200, map[string]any{"listings": list, "next": ""})
	})
	mux.HandleFunc("GET /admin/v1/listings/payouts", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"payouts": []any{listing()}, "next": ""})
	})
	mux.HandleFunc("GET /admin/v1/listings/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != fakeListing {
			refuse(w, 404, "listing_unknown", "There is no such listing.")
			return
		}
		answer(w, 200, listing())
	})
	mux.HandleFunc("POST /admin/v1/listings/{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		switch verb := r.PathValue("verb"); {
		case verb == "withdraw":
			refuse(w, 409, "ticket_resold", "The ticket is sold.")
		case payout != verb && payout != from[verb]:
			refuse(w, 409, "payout_state", "The seller's share does not stand so that this can be done.")
		default:
			payout = verb
			answer(w, 200, listing())
		}
	})
}
