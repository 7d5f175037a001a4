package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

// Bounds of a request for a refund.
const (
	maxRefundTickets = 100
	maxRefundReason  = 200 // characters
)

type refundJSON struct {
	ID          uuid.UUID  `json:"id"`
	OrderID     uuid.UUID  `json:"order_id"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Resolution  string     `json:"resolution,omitempty"` // of one that failed: retried, or paid_otherwise
	Amount      moneyJSON  `json:"amount"`
	Face        moneyJSON  `json:"face"`
	Fee         moneyJSON  `json:"fee"`
	Tax         moneyJSON  `json:"tax"`
	Items       []int      `json:"items"` // the order's lines whose tickets it made void
	Provider    string     `json:"provider"`
	ProviderRef string     `json:"provider_ref"`
	RetryOf     *uuid.UUID `json:"retry_of,omitempty"`
	Failure     string     `json:"failure,omitempty"`
	Reason      string     `json:"reason"`
	Actor       string     `json:"actor"`
	CreatedAt   timeJSON   `json:"created_at"`
	UpdatedAt   timeJSON   `json:"updated_at"`
	DoneAt      *timeJSON  `json:"done_at,omitempty"`
	Reviewed    string     `json:"reviewed,omitempty"` // of one found at the provider: void or kept, what was decided about tickets
}

func refundOf(f checkout.Refund) refundJSON {
	in := func(minor int64) moneyJSON { return moneyJSON{minor, f.Amount.Currency} }
	j := refundJSON{ID: f.ID, OrderID: f.Order, Kind: string(f.Kind), State: string(f.State), Resolution: f.Resolution, Amount: money(f.Amount),
		Face: in(f.Parts.Face), Fee: in(f.Parts.Fee), Tax: in(f.Parts.Tax), Items: f.Items, Provider: f.Provider, ProviderRef: f.ProviderRef,
		Failure: f.Failure, Reason: f.Reason, Actor: f.Actor, Reviewed: f.Reviewed, CreatedAt: timeJSON(f.CreatedAt), UpdatedAt: timeJSON(f.UpdatedAt)}
	if j.Items == nil {
		j.Items = []int{}
	}
	if f.RetryOf != uuid.Nil {
		j.RetryOf = &f.RetryOf
	}
	if !f.DoneAt.IsZero() {
		done := timeJSON(f.DoneAt)
		j.DoneAt = &done
	}
	return j
}

// orderRefundJSON is what a buyer sees of a refund.
type orderRefundJSON struct {
	ID        uuid.UUID `json:"id"`
	State     string    `json:"state"`
	Amount    moneyJSON `json:"amount"`
	Items     []int     `json:"items"`
	CreatedAt timeJSON  `json:"created_at"`
}

func refundsOf(o checkout.Order) []orderRefundJSON {
	list := make([]orderRefundJSON, 0, len(o.Refunds))
	for _, f := range o.Refunds {
		if f.Resolution == checkout.ResolvedRetry {
			continue // another one took its place
		}
		seen := orderRefundJSON{ID: f.ID, State: string(f.State), Amount: money(f.Amount), Items: f.Items, CreatedAt: timeJSON(f.CreatedAt)}
		if f.Resolution == checkout.ResolvedOtherwise {
			seen.State = string(checkout.RefundPaid)
		}
		if seen.Items == nil {
			seen.Items = []int{}
		}
		list = append(list, seen)
	}
	return list
}

// refundOrder gives money back.
//
//	POST /admin/v1/orders/{id}/refunds  Idempotency-Key: …
//	{"tickets": ["…"], "amount_minor": 1500, "keep_fee": false, "resell": true, "reason": "…"}
//
// tickets or amount_minor or neither, which is all that is left. keep_fee and resell are as the event's file says by default.
func (s *Server) refundOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrOrderUnknown)
	if err != nil {
		return err
	}
	if err := idempotencyKey(r.Header.Get("Idempotency-Key")); err != nil {
		return err
	}
	var body struct {
		Tickets []uuid.UUID `json:"tickets"`
		Minor   int64       `json:"amount_minor"`
		KeepFee *bool       `json:"keep_fee"`
		Resell  *bool       `json:"resell"`
		Reason  string      `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := reasonable(body.Reason); err != nil {
		return err
	}
	if body.Minor < 0 || body.Minor > 0 && len(body.Tickets) > 0 || len(body.Tickets) > maxRefundTickets {
		return &detailed{errRequest, fmt.Sprintf("Name up to %d tickets, or an amount_minor above 0, or neither.", maxRefundTickets)}
	}
	q := checkout.RefundRequest{Order: id, Key: "operator/" + r.Header.Get("Idempotency-Key"), Tickets: body.Tickets, Minor: body.Minor, KeepFee: body.KeepFee,
		Reason: body.Reason, Actor: operatorOf(r)}
	if body.Resell != nil {
		off := !*body.Resell
		q.KeepOff = &off
	}
	f, err := s.Checkout.Refund(r.Context(), q)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, refundOf(f))
	return nil
}

func reasonable(reason string) error {
	if !plainText(reason, 1, maxRefundReason) {
		return &detailed{errRequest, fmt.Sprintf("Say why, in 1 to %d characters, without control characters.", maxRefundReason)}
	}
	return nil
}

// refundOwn is a buyer who gives tickets back, where the event lets them.
//
//	POST /v1/orders/{id}/refund  Idempotency-Key: …
//	{"tickets": ["…"]}   without tickets: all that are left
func (s *Server) refundOwn(w http.ResponseWriter, r *http.Request) error {
	key := r.Header.Get("Idempotency-Key")
	if err := idempotencyKey(key); err != nil {
		return err
	}
	var body struct {
		Tickets []uuid.UUID `json:"tickets"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Tickets) > maxRefundTickets {
		return &detailed{errRequest, fmt.Sprintf("Name up to %d tickets.", maxRefundTickets)}
	}
	return s.ownOrder(w, r, givingBack, func(id uuid.UUID, owner lottery.Entrant) (checkout.Order, error) {
		return s.Checkout.RefundOwn(r.Context(), id, owner, "buyer/"+key, body.Tickets)
	})
}

// listRefunds lists refunds, oldest first.
//
//	GET /admin/v1/refunds?event=&state=&kind=&unsettled=true&review=true&after=&limit=
func (s *Server) listRefunds(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page := checkout.RefundPage{State: checkout.RefundState(q.Get("state")), Kind: checkout.RefundKind(q.Get("kind")), Unsettled: q.Get("unsettled") == "true", Review: q.Get("review") == "true"}
	var err error
	if slug := q.Get("event"); slug != "" {
		e, err := s.Events.BySlug(r.Context(), slug)
		if err != nil {
			return err
		}
		page.Event = e.ID
	}
	if page.Limit, err = limitOf(q.Get("limit")); err != nil {
		return err
	}
	if after := q.Get("after"); after != "" {
		if page.AfterTime, page.AfterRefund, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	found, err := s.Checkout.Refunds(r.Context(), page)
	if err != nil {
		return err
	}
	list, next := make([]refundJSON, len(found)), ""
	for i, f := range found {
		list[i] = refundOf(f)
	}
	if len(found) == page.Limit {
		last := found[len(found)-1]
		next = orderCursor(last.CreatedAt, last.ID)
	}
	writeJSON(w, http.StatusOK, map[string]any{"refunds": list, "next": next})
	return nil
}

func (s *Server) showRefund(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrRefundUnknown)
	if err != nil {
		return err
	}
	f, err := s.Checkout.FindRefund(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, refundOf(f))
	return nil
}

// retryRefund settles a refund that failed: by another one, or by a record of how the buyer was paid instead.
//
//	POST /admin/v1/refunds/{id}/retry  Idempotency-Key: …
//	{"paid_otherwise": "bank transfer 4711"}   empty: try again
func (s *Server) retryRefund(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrRefundUnknown)
	if err != nil {
		return err
	}
	key := r.Header.Get("Idempotency-Key")
	if err := idempotencyKey(key); err != nil {
		return err
	}
	var body struct {
		PaidOtherwise string `json:"paid_otherwise"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	var f checkout.Refund
	if body.PaidOtherwise == "" {
		f, err = s.Checkout.RetryRefund(r.Context(), id, key, operatorOf(r))
	} else if err = reasonable(body.PaidOtherwise); err == nil {
		f, err = s.Checkout.PaidOtherwise(r.Context(), id, body.PaidOtherwise, operatorOf(r))
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, refundOf(f))
	return nil
}

// reviewRefund decides what a refund that somebody made at the provider means for the order's tickets.
//
//	POST /admin/v1/refunds/{id}/review
//	{"tickets": ["…"], "reason": "…"}   these are void; or instead "all": true, all that are left, or "keep": true, none
func (s *Server) reviewRefund(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, checkout.ErrRefundUnknown)
	if err != nil {
		return err
	}
	var body struct {
		Tickets []uuid.UUID `json:"tickets"`
		All     bool        `json:"all"`
		Keep    bool        `json:"keep"`
		Reason  string      `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := reasonable(body.Reason); err != nil {
		return err
	}
	said := 0 // what is left out by mistake must not be a decision
	for _, one := range []bool{len(body.Tickets) > 0, body.All, body.Keep} {
		if one {
			said++
		}
	}
	if len(body.Tickets) > maxRefundTickets || said != 1 {
		return &detailed{errRequest, fmt.Sprintf("Say what becomes of the tickets: name up to %d that are void, or all, or keep.", maxRefundTickets)}
	}
	f, err := s.Checkout.ReviewFound(r.Context(), checkout.FoundReview{Refund: id, Tickets: body.Tickets, All: body.All, Reason: body.Reason, Actor: operatorOf(r)})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, refundOf(f))
	return nil
}

type runJSON struct {
	Event     string    `json:"event"`
	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Orders    int64     `json:"orders"`
	Waiting   int64     `json:"waiting"`
	Open      int64     `json:"open"`
	Refunded  int64     `json:"refunded"`
	Failed    int64     `json:"failed"`
	Skipped   int64     `json:"skipped"`
	Amount    moneyJSON `json:"amount"`
	CreatedAt timeJSON  `json:"created_at"`
	DoneAt    *timeJSON `json:"done_at,omitempty"`

	Failures []runFailureJSON `json:"failures,omitempty"`
}

// runFailureJSON is an order for which a run could not even make a refund.
type runFailureJSON struct {
	Order string   `json:"order_id"`
	Error string   `json:"error"`
	At    timeJSON `json:"at"`
}

func runOf(run checkout.Run, e *event.Event) runJSON {
	j := runJSON{Event: e.Slug, State: run.State, Reason: run.Reason, Orders: run.Orders, Waiting: run.Waiting, Open: run.Open, Refunded: run.Refunded,
		Failed: run.Failed, Skipped: run.Skipped, Amount: moneyJSON{run.Amount.Minor, e.Spec.Currency}, CreatedAt: timeJSON(run.CreatedAt)}
	if !run.DoneAt.IsZero() {
		done := timeJSON(run.DoneAt)
		j.DoneAt = &done
	}
	for _, f := range run.Failures {
		j.Failures = append(j.Failures, runFailureJSON{Order: f.Order.String(), Error: f.Error, At: timeJSON(f.At)})
	}
	return j
}

// cancelEvent cancels an event: its sale ends, and everything that was paid for it is refunded. Each step may be repeated; when the
// answer is lost the same request completes what is missing.
//
//	POST /admin/v1/events/{id}/cancel
//	{"reason": "…"}
func (s *Server) cancelEvent(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := reasonable(body.Reason); err != nil {
		return err
	}
	e, err := s.Events.Cancel(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	s.Catalog.Nudge()
	_, err = s.Room.Cancel(r.Context(), e.Slug, "The event is cancelled. What you paid comes back by itself.")
	if err != nil && !errors.Is(err, access.ErrNoSale) {
		return err
	}
	run, err := s.Checkout.RefundEvent(r.Context(), e.ID, body.Reason, operatorOf(r))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, runOf(run, e))
	return nil
}

// showRun tells how far the refund of a cancelled event has come.
func (s *Server) showRun(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	run, err := s.Checkout.RunOf(r.Context(), e.ID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, runOf(run, e))
	return nil
}
