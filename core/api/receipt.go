package api

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/payment/offline"
)

// receiptJSON is money that came in outside any provider, as operators see it.
type receiptJSON struct {
	ID         string    `json:"id"`
	Reference  string    `json:"reference"`
	Amount     moneyJSON `json:"amount"`
	Rest       moneyJSON `json:"rest"` // what no payment has taken and nobody has sent back
	Review     string    `json:"review"`
	Actor      string    `json:"actor"`
	Note       string    `json:"note"`
	ReceivedAt timeJSON  `json:"received_at"`
	RecordedAt timeJSON  `json:"recorded_at"`
}

// listReceipts lists what came in, the latest first, or what waits for a person, the oldest first.
//
//	GET /admin/v1/payments/receipts?review=true&limit=50
//	200 {"receipts": [{"id", "reference", "amount", "rest", "review", "actor", "note", "received_at", "recorded_at"}, …]}
func (s *Server) listReceipts(w http.ResponseWriter, r *http.Request) error {
	if s.Offline == nil {
		return errOfflineOff
	}
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	found, err := s.Offline.Receipts(r.Context(), r.URL.Query().Get("review") == "true", limit)
	if err != nil {
		return err
	}
	list := make([]receiptJSON, len(found))
	for i, f := range found {
		list[i] = receiptJSON{f.ID, f.Reference, money(f.Amount), money(f.Rest), f.Review, f.Actor, f.Note, timeJSON(f.ReceivedAt), timeJSON(f.RecordedAt)}
	}
	writeJSON(w, http.StatusOK, map[string]any{"receipts": list})
	return nil
}

// listDueRefunds lists the refunds that somebody has to transfer, the oldest first.
//
//	GET /admin/v1/payments/due?limit=50
//	200 {"refunds": [{"id", "order_id", "reference", "amount", "since"}, …]}
func (s *Server) listDueRefunds(w http.ResponseWriter, r *http.Request) error {
	if s.Offline == nil {
		return errOfflineOff
	}
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	found, err := s.Offline.DueRefunds(r.Context(), limit)
	if err != nil {
		return err
	}
	type dueJSON struct {
		ID        uuid.UUID `json:"id"`
		Order     uuid.UUID `json:"order_id"`
		Reference string    `json:"reference"`
		Amount    moneyJSON `json:"amount"`
		Since     timeJSON  `json:"since"`
	}
	list := make([]dueJSON, len(found))
	for i, f := range found {
		list[i] = dueJSON{f.ID, f.Order, f.Reference, money(f.Amount), timeJSON(f.Since)}
	}
	writeJSON(w, http.StatusOK, map[string]any{"refunds": list})
	return nil
}

// decideReceipt says what becomes of what is left of a receipt. The receipt is named in the body: banks put anything into a name.
//
//	POST /admin/v1/payments/receipts/assign   {"receipt": "BANK-1", "order_id": "…", "reason": "…"}
//	POST /admin/v1/payments/receipts/return   {"receipt": "BANK-1", "reason": "…"}
//	200 {"receipt", "amount", "known"}        known: decided before, nothing has changed
func (s *Server) decideReceipt(w http.ResponseWriter, r *http.Request) error {
	verb := r.PathValue("verb")
	if s.Offline == nil {
		return errOfflineOff
	}
	if verb != "assign" && verb != "return" {
		return errNotFound
	}
	var body struct {
		Receipt string    `json:"receipt"`
		Order   uuid.UUID `json:"order_id"`
		Reason  string    `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	switch {
	case !plainText(body.Receipt, 1, 128):
		return offline.ErrReceiptUnknown
	case !plainText(body.Reason, 1, 500):
		return &detailed{errRequest, "A decision needs a reason of 1 to 500 characters, without control characters, which is kept."}
	case (verb == "assign") != (body.Order != uuid.Nil):
		return &detailed{errRequest, "order_id is needed to assign, and only then."}
	}
	var done offline.Decision
	var err error
	if verb == "assign" {
		done, err = s.Offline.Assign(r.Context(), body.Receipt, body.Order, operatorOf(r), body.Reason)
	} else {
		done, err = s.Offline.Return(r.Context(), body.Receipt, operatorOf(r), body.Reason)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"receipt": done.Receipt, "amount": money(done.Amount), "known": done.Known})
	return nil
}
