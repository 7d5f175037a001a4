package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/payment"
)

// disputeJSON is what a buyer's bank disputes.
type disputeJSON struct {
	Ref         string    `json:"ref"`
	Provider    string    `json:"provider"`
	Order       uuid.UUID `json:"order_id"`
	PaymentID   uuid.UUID `json:"payment_id"`
	Amount      moneyJSON `json:"amount"`
	Fee         moneyJSON `json:"fee"`
	Reason      string    `json:"reason"`
	State       string    `json:"state"`
	RespondBy   *timeJSON `json:"respond_by,omitempty"`
	DraftedAt   *timeJSON `json:"drafted_at,omitempty"`
	SubmittedAt *timeJSON `json:"submitted_at,omitempty"`
	SubmittedBy string    `json:"submitted_by"`
	OpenedAt    timeJSON  `json:"opened_at"`
	ClosedAt    *timeJSON `json:"closed_at,omitempty"`
}

func disputeOf(d checkout.Dispute) disputeJSON {
	at := func(t time.Time) *timeJSON {
		if t.IsZero() {
			return nil
		}
		j := timeJSON(t)
		return &j
	}
	return disputeJSON{Ref: d.Ref, Provider: d.Provider, Order: d.Order, PaymentID: d.Payment, Amount: money(d.Amount), Fee: moneyJSON{d.Fee, d.Amount.Currency},
		Reason: d.Reason, State: string(d.State), RespondBy: at(d.RespondBy), DraftedAt: at(d.DraftedAt), SubmittedAt: at(d.SubmittedAt),
		SubmittedBy: d.SubmittedBy, OpenedAt: timeJSON(d.OpenedAt), ClosedAt: at(d.ClosedAt)}
}

// listDisputes lists disputes, the latest first.
//
//	GET /admin/v1/disputes?state=open&limit=50   state: inquiry, open, review, won or lost; without it all
//	200 {"disputes": [{"ref", "provider", "order_id", "amount", "reason", "state", "respond_by", …}, …]}
func (s *Server) listDisputes(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	found, err := s.Checkout.Disputes(r.Context(), payment.DisputeState(r.URL.Query().Get("state")), limit)
	if err != nil {
		return err
	}
	list := make([]disputeJSON, len(found))
	for i, d := range found {
		list[i] = disputeOf(d)
	}
	writeJSON(w, http.StatusOK, map[string]any{"disputes": list})
	return nil
}

// showDispute shows one dispute by the provider's name of it.
func (s *Server) showDispute(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Checkout.Dispute(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, disputeOf(d))
	return nil
}

// disputeEvidence assembles what we have to say now, without sending it.
//
//	GET /admin/v1/disputes/{ref}/evidence
//	200 {"customer_email", "service_date", "product", "access_log", "refund_policy", "more"}
func (s *Server) disputeEvidence(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Checkout.Evidence(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"customer_email": e.CustomerEmail, "service_date": e.ServiceDate, "product": e.ProductText,
		"access_log": e.AccessLog, "refund_policy": e.RefundPolicy, "more": e.Uncategorized})
	return nil
}

// submitDispute has the evidence handed in. It answers once that is durable; the provider is told right after.
func (s *Server) submitDispute(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Checkout.SubmitDispute(r.Context(), r.PathValue("ref"), operatorOf(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, disputeOf(d))
	return nil
}
