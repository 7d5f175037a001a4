package ctl_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

const fakeItem = "00000000-0000-4000-8000-00000000000a"

// settlement adds what core says of settlements: one item, which can be decided once.
func (f *fakeCore) settlement(mux *http.ServeMux) {
	state, by, reason := "open", "", ""
	item := func() map[string]any {
		return map[string]any{"id": fakeItem, "provider": "stripe", "day": "2026-11-25", "class": "theirs_only", "row": "txn_9", "amount": map[string]any{"minor": 6500, "currency": "EUR"},
			"why": "The provider settled a refund of -65.00 EUR; the books have no such transfer.", "action": "book it as a refund of the order", "since": f.clock, "state": state,
			"decided_by": by, "reason": reason, "transfers": []any{map[string]any{"debit": "refunds", "credit": "provider_clearing/stripe", "code": "refund_payment",
				"amount": map[string]any{"minor": 6500, "currency": "EUR"}}}}
	}
	report := func(rows int) map[string]any {
		open := map[bool]int{true: 1, false: 0}[state == "open"]
		return map[string]any{"provider": "stripe", "day": "2026-11-25", "read_at": f.clock, "counts": map[string]any{"rows": rows, "new": rows},
			"currencies": []any{map[string]any{"currency": "EUR", "classes": map[string]any{"matched": map[string]any{"count": rows - 1, "minor": 993500}},
				"total": 1000000, "unexplained": 6500 * open, "explained_ppm": 1000000 - 6500*open}},
			"explained_ppm": 1000000 - 6500*open, "open": open, "overdue": open}
	}
	mux.HandleFunc("POST /admin/v1/settlement/{provider}/days/{day}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Type") == "text/csv" {
			answer(w, 200, report(strings.Count(string(body), "\n")-1))
			return
		}
		if r.PathValue("provider") == "offline" {
			refuse(w, 422, "settlement_unreadable", "Core cannot read this provider's settlement by itself. Send it as a file.")
			return
		}
		answer(w, 200, report(100))
	})
	mux.HandleFunc("GET /admin/v1/settlement/{provider}/days/{day}", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, 404, "day_unread", "The settlement of this day was never read.")
	})
	mux.HandleFunc("GET /admin/v1/settlement/{provider}/days/{day}/items", func(w http.ResponseWriter, r *http.Request) {
		items := []any{}
		if want := r.URL.Query().Get("state"); want == "" || want == state {
			items = append(items, item())
		}
		answer(w, 200, map[string]any{"items": items, "next": ""})
	})
	mux.HandleFunc("POST /admin/v1/settlement-items/{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Reason string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		decided := map[string]string{"approve": "approved", "reject": "rejected"}[r.PathValue("verb")]
		switch {
		case r.PathValue("id") != fakeItem:
			refuse(w, 404, "item_unknown", "There is no such item.")
		case state != "open" && state != decided:
			refuse(w, 409, "item_decided", "The item was decided otherwise, or has healed by itself.")
		default:
			state, by, reason = decided, "operator:"+r.Header.Get("Fairgate-Operator"), body.Reason
			answer(w, 200, item())
		}
	})
}

// bookings books everything once, by its name; one payout of 65.00 EUR is on its way.
func (f *fakeCore) bookings(mux *http.ServeMux) {
	booked := map[string]map[string]any{}
	kinds := map[string]string{"arrived": "settlement_arrived", "tax-paid": "tax_paid", "close-rounding": "rounding_cleared"}
	mux.HandleFunc("POST /admin/v1/ledger/bookings/{verb}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Provider, Payout, Name, Amount, Currency, Reason string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		verb, minor := r.PathValue("verb"), 634
		if verb == "arrived" {
			body.Name, minor = body.Provider+"/"+body.Payout, 6500
		}
		switch known := booked[verb+body.Name]; {
		case known != nil:
			known["known"] = true
			answer(w, 200, known)
		case verb == "arrived" && body.Payout != "po_1":
			refuse(w, 404, "payout_not_sent", "Nothing of this payout is on its way to the bank.")
		case verb == "arrived" && body.Amount != "65.00":
			refuse(w, 409, "booking_amount", "booking: not that amount: 65.00 EUR of payout po_1 is on its way.")
		default:
			booked[verb+body.Name] = map[string]any{"reference": fakeItem, "kind": kinds[verb], "name": body.Name, "amount": map[string]any{"minor": minor, "currency": "EUR"},
				"actor": "operator:" + r.Header.Get("Fairgate-Operator"), "reason": body.Reason, "at": f.clock, "known": false}
			answer(w, 200, booked[verb+body.Name])
		}
	})
}

const fakePayout = "00000000-0000-4000-8000-00000000000c"

// payouts adds one payout with its life; it is made by the first run.
func (f *fakeCore) payouts(mux *http.ServeMux) {
	state := ""
	from := map[string]string{"approved": "proposed", "rejected": "proposed", "sent": "approved", "arrived": "sent", "returned": "sent"}
	eur := func(minor int) map[string]any { return map[string]any{"minor": minor, "currency": "EUR"} }
	payout := func() map[string]any {
		return map[string]any{"id": fakePayout, "organizer": "lumen-live", "amount": eur(900000), "state": state, "created_at": f.clock, "updated_at": f.clock}
	}
	mux.HandleFunc("POST /admin/v1/payouts:run", func(w http.ResponseWriter, _ *http.Request) {
		lines := []any{}
		if state == "" {
			state = "proposed"
			lines = append(lines, map[string]any{"organizer": "lumen-live", "released": eur(900000), "reserved": eur(100000), "unreserved": eur(0), "covered": eur(0), "used": eur(0), "payout_id": fakePayout})
		}
		answer(w, 200, map[string]any{"run_id": fakeItem, "lines": lines})
	})
	mux.HandleFunc("GET /admin/v1/payouts", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		if want := r.URL.Query().Get("state"); state != "" && (want == "" || want == state) {
			list = append(list, payout())
		}
		answer(w, 200, map[string]any{"payouts": list, "next": ""})
	})
	mux.HandleFunc("POST /admin/v1/payouts/{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		to := map[string]string{"approve": "approved", "reject": "rejected"}[r.PathValue("verb")]
		if to == "" {
			to = r.PathValue("verb")
		}
		switch {
		case r.PathValue("id") != fakePayout:
			refuse(w, 404, "payout_unknown", "There is no such payout.")
		case state != to && state != from[to]:
			refuse(w, 409, "payout_state", "The payout's state does not allow that.")
		default:
			state = to
			answer(w, 200, payout())
		}
	})
}
