package api

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/fraud"
)

// reviewJSON is an order that waits for an operator, or did.
type reviewJSON struct {
	Order     uuid.UUID `json:"order_id"`
	PaymentID uuid.UUID `json:"payment_id"`
	Event     string    `json:"event"`
	Amount    moneyJSON `json:"amount"`
	Why       string    `json:"why"`
	OpenedAt  timeJSON  `json:"opened_at"`
	Deadline  timeJSON  `json:"deadline"`
	ClosedAt  *timeJSON `json:"closed_at,omitempty"`
	Decision  string    `json:"decision"`
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason"`
}

func reviewsOf(cases []checkout.ReviewCase) []reviewJSON {
	list := make([]reviewJSON, len(cases))
	for i, c := range cases {
		list[i] = reviewJSON{Order: c.Order, PaymentID: c.Payment, Event: c.Slug, Amount: money(c.Amount), Why: c.Why, OpenedAt: timeJSON(c.OpenedAt),
			Deadline: timeJSON(c.Deadline), Decision: c.Decision, Actor: c.Actor, Reason: c.Reason}
		if !c.ClosedAt.IsZero() {
			closed := timeJSON(c.ClosedAt)
			list[i].ClosedAt = &closed
		}
	}
	return list
}

// judgementJSON is what was judged of a payment, and why.
type judgementJSON struct {
	PaymentID uuid.UUID      `json:"payment_id"`
	Stage     string         `json:"stage"`
	Verdict   string         `json:"verdict"`
	Score     int            `json:"score"`
	Reasons   []fraud.Reason `json:"reasons"`
	At        timeJSON       `json:"at"`
}

// listReviews lists the orders that wait for an operator, the oldest first.
//
//	GET /admin/v1/reviews?limit=50
//	200 {"reviews": [{"order_id", "event", "amount", "why", "opened_at", "deadline", …}, …]}
func (s *Server) listReviews(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return err
	}
	cases, err := s.Checkout.Reviews(r.Context(), limit)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"reviews": reviewsOf(cases)})
	return nil
}

// showReview tells what was judged of an order's payments and what operators decided.
//
//	GET /admin/v1/reviews/{order}
//	200 {"order_id", "state", "reviews": […], "judgements": [{"stage", "verdict", "score", "reasons": [{"rule", "said", …}]}]}
func (s *Server) showReview(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrOrderUnknown)
	if err != nil {
		return err
	}
	order, err := s.Checkout.Find(r.Context(), id)
	if err != nil {
		return err
	}
	cases, judged, err := s.Checkout.Review(r.Context(), id)
	if err != nil {
		return err
	}
	judgements := make([]judgementJSON, len(judged))
	for i, j := range judged {
		judgements[i] = judgementJSON{PaymentID: j.Payment, Stage: string(j.Stage), Verdict: string(j.Verdict), Score: j.Score, Reasons: j.Reasons, At: timeJSON(j.At)}
	}
	writeJSON(w, http.StatusOK, map[string]any{"order_id": id, "state": order.State, "reviews": reviewsOf(cases), "judgements": judgements})
	return nil
}

// decideReview approves or denies an order in review.
//
//	POST /admin/v1/reviews/{order}/approve | deny   {"reason": "…"}
//	200 {"order_id", "state"}
//	409 no_review: somebody has decided, or nobody ever had to; 410 hold_expired: too late
func (s *Server) decideReview(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrOrderUnknown)
	if err != nil {
		return err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !plainText(body.Reason, 0, len(body.Reason)) {
		return &detailed{errRequest, "reason must be a text without control characters."}
	}
	switch r.PathValue("verb") {
	case "approve":
		err = s.Checkout.Approve(r.Context(), id, operatorOf(r), body.Reason)
	case "deny":
		err = s.Checkout.Deny(r.Context(), id, operatorOf(r), body.Reason)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	order, err := s.Checkout.Find(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"order_id": id, "state": order.State})
	return nil
}
