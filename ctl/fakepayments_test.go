package ctl_test

import (
	"encoding/json"
	"net/http"
	"strings"
)

// payments answers as core does when operators record money that came in without a provider.
func (f *fakeCore) payments(mux *http.ServeMux) {
	const refund, order = "00000000-0000-0000-0000-0000000000ee", "00000000-0000-0000-0000-000000000001"
	f.receipts = map[string]map[string]any{}
	var ids []string
	decided, refunded := map[string]bool{}, ""
	mux.HandleFunc("POST /admin/v1/payments/receipts", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Receipts []map[string]string `json:"receipts"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		results := []any{}
		for _, row := range body.Receipts {
			result := map[string]any{"id": row["id"], "known": f.receipts[row["id"]] != nil, "paid": false}
			if f.receipts[row["id"]] == nil {
				rest, review := euros(6500), ""
				switch {
				case strings.HasPrefix(row["reference"], "RF18"):
					result["paid"], rest = true, euros(0)
				case row["reference"] == "":
					review = "no reference"
				default:
					review = "that reference has a typing mistake"
				}
				f.receipts[row["id"]] = map[string]any{"id": row["id"], "reference": row["reference"], "amount": euros(6500), "rest": rest, "review": review,
					"actor": "operator", "note": row["note"], "received_at": f.clock, "recorded_at": f.clock}
				ids = append(ids, row["id"])
				result["review"] = review
			}
			results = append(results, result)
		}
		answer(w, 200, map[string]any{"results": results})
	})
	mux.HandleFunc("GET /admin/v1/payments/receipts", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		for _, id := range ids {
			if r.URL.Query().Get("review") != "true" || f.receipts[id]["review"] != "" {
				list = append(list, f.receipts[id])
			}
		}
		answer(w, 200, map[string]any{"receipts": list})
	})
	mux.HandleFunc("POST /admin/v1/payments/receipts/{verb}", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Receipt, Reason string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		receipt, done := f.receipts[body.Receipt], decided[r.PathValue("verb")+body.Receipt]
		switch {
		case receipt == nil:
			refuse(w, 404, "receipt_unknown", "No receipt of this id was recorded.")
		case receipt["rest"].(map[string]any)["minor"] == 0 && !done:
			refuse(w, 409, "receipt_used", "Nothing is left of the receipt.")
		default:
			receipt["rest"], receipt["review"], decided[r.PathValue("verb")+body.Receipt] = euros(0), "", true
			answer(w, 200, map[string]any{"receipt": body.Receipt, "amount": euros(6500), "known": done})
		}
	})
	mux.HandleFunc("GET /admin/v1/payments/due", func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		if refunded == "" {
			list = append(list, map[string]any{"id": refund, "order_id": order, "reference": "RF18539007547034", "amount": euros(6500), "since": f.clock})
		}
		answer(w, 200, map[string]any{"refunds": list})
	})
	mux.HandleFunc("POST /admin/v1/payments/refunds/{id}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		switch verb := r.PathValue("verb"); {
		case r.PathValue("id") != refund:
			refuse(w, 404, "refund_unknown", "No refund of this id waits for a transfer by hand.")
		case refunded != "" && refunded != verb:
			refuse(w, 409, "refund_decided", "The contrary was said of this refund before.")
		default:
			refunded = verb
			answer(w, 200, map[string]any{"id": refund, "done": verb == "confirm"})
		}
	})
}
