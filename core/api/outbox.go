package api

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/payment"
)

// maxTaskReason bounds why an operator did something.
const maxTaskReason = 500

// deadletterJSON is an outbox task as operators see it.
type deadletterJSON struct {
	ID        uuid.UUID `json:"id"`
	Kind      string    `json:"kind"`
	OrderID   uuid.UUID `json:"order_id"`
	PaymentID uuid.UUID `json:"payment_id"`
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error"`
	DueAt     timeJSON  `json:"due_at"`
	CreatedAt timeJSON  `json:"created_at"`
	DoneAt    *timeJSON `json:"done_at,omitempty"`
	Running   bool      `json:"running"`
}

func deadletterOf(r payment.Record) deadletterJSON {
	task := deadletterJSON{ID: r.ID, Kind: r.Kind, OrderID: r.OrderID, PaymentID: r.PaymentID, State: r.State, Attempts: r.Attempts,
		LastError: r.LastError, DueAt: timeJSON(r.DueAt), CreatedAt: timeJSON(r.CreatedAt), Running: r.LeaseUntil != nil}
	if r.DoneAt != nil {
		at := timeJSON(*r.DoneAt)
		task.DoneAt = &at
	}
	return task
}

// listOutbox lists what the outside world still has to be told.
//
//	GET /admin/v1/outbox?dead=true&kind=capture&order=…&limit=&after=
//	200 {"tasks": […], "next": "…"}   oldest first
func (s *Server) listOutbox(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	ask := payment.Listing{Dead: q.Get("dead") == "true", Kind: q.Get("kind"), Limit: limit + 1}
	if text := q.Get("order"); text != "" {
		if ask.Order, err = uuid.Parse(text); err != nil {
			return &detailed{errRequest, "order must be the id of an order."}
		}
	}
	if after := q.Get("after"); after != "" {
		if ask.AfterTime, ask.AfterTask, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	found, err := s.Outbox.List(r.Context(), ask)
	if err != nil {
		return err
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = orderCursor(found[limit-1].CreatedAt, found[limit-1].ID)
	}
	tasks := make([]deadletterJSON, len(found))
	for i, t := range found {
		tasks[i] = deadletterOf(t)
	}
	writeJSON(w, http.StatusOK, map[string]any{"tasks": tasks, "next": next})
	return nil
}

// taskPath reads order and task of the path. The task may be named by its kind, where the order has one of it.
func (s *Server) taskPath(r *http.Request) (order, task uuid.UUID, err error) {
	if order, err = uuid.Parse(r.PathValue("order")); err != nil {
		return order, task, payment.ErrTaskUnknown
	}
	if task, err = uuid.Parse(r.PathValue("task")); err == nil {
		return order, task, nil
	}
	all, err := s.Outbox.OfOrder(r.Context(), order)
	if err != nil {
		return order, task, err
	}
	for _, t := range all {
		if t.Kind == r.PathValue("task") {
			if task != uuid.Nil {
				return order, task, &detailed{errRequest, "The order has several tasks of that kind. Name the one by its id."}
			}
			task = t.ID
		}
	}
	if task == uuid.Nil {
		return order, task, payment.ErrTaskUnknown
	}
	return order, task, nil
}

// showTask shows one task.
//
//	GET /admin/v1/outbox/{order}/{task}
func (s *Server) showTask(w http.ResponseWriter, r *http.Request) error {
	order, task, err := s.taskPath(r)
	if err != nil {
		return err
	}
	return s.writeTask(w, r, order, task)
}

func (s *Server) writeTask(w http.ResponseWriter, r *http.Request, order, task uuid.UUID) error {
	found, err := s.Outbox.Find(r.Context(), order, task)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, deadletterOf(found))
	return nil
}

// changeTask retries or discards a dead task.
//
//	POST /admin/v1/outbox/{order}/{task}/{retry|discard}
//	{"reason": "…"}   needed to discard
func (s *Server) changeTask(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	reason := strings.TrimSpace(body.Reason)
	if !plainText(reason, 0, maxTaskReason) {
		return &detailed{errRequest, "reason must be a text of at most 500 characters, without control characters."}
	}
	order, task, err := s.taskPath(r)
	if err != nil {
		return err
	}
	if _, err := s.Outbox.Find(r.Context(), order, task); err != nil {
		return err
	}
	switch r.PathValue("verb") {
	case "retry":
		err = s.Checkout.RetryTask(r.Context(), order, task, operatorOf(r), reason)
	case "discard":
		if reason == "" {
			return &detailed{errRequest, "A reason is needed: what is discarded will never be done."}
		}
		err = s.Checkout.DiscardTask(r.Context(), order, task, operatorOf(r), reason)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	return s.writeTask(w, r, order, task)
}
