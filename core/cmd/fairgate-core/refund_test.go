package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

// bought is an order with its tickets.
func (r *rig) bought(s *shopper, slug, tier string, quantity int) order {
	r.t.Helper()
	o, _ := r.begin(s, slug, tier, quantity)
	r.payForm(o, visa)
	return r.awaitOrder(s, o.ID, "ticket_issued")
}

func (r *rig) keyed(req *http.Request, key string) *http.Request {
	req.Header.Set("Idempotency-Key", key)
	return req
}

// refundedAt is what the provider's own books say it gave back for an order.
func (r *rig) refundedAt(id uuid.UUID) (minor int64) {
	for _, i := range r.booked(id) {
		minor += i.Refunded
	}
	return minor
}

func TestMoneyGoesBackOverHTTPAndACancelledEventIsRefundedWhole(t *testing.T) {
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "club.yaml")
	if err := os.WriteFile(file, fmt.Appendf(text, "fees: {per_ticket: \"1.00\"}\nrefunds: {by: buyer, keep_fee: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRigWith(t, file, paysim.Faults{}, func(*config) {})
	slug, tier := r.firstEvent()
	all := r.open(slug, 3)
	r.admit(slug, all...)
	own, given, kept := r.bought(all[0], slug, tier, 2), r.bought(all[1], slug, tier, 1), r.bought(all[2], slug, tier, 2)

	// A buyer gives one ticket back and keeps the other; the fee stays with us.
	back := func(want int) *http.Request {
		req := r.as(all[0], http.MethodPost, "/v1/orders/"+own.ID.String()+"/refund", map[string]any{"tickets": []uuid.UUID{own.Tickets[want]}})
		return r.keyed(req, "ticket-"+fmt.Sprint(want))
	}
	var seen struct {
		State   string      `json:"state"`
		Tickets []uuid.UUID `json:"tickets"`
		Refunds []struct {
			State  string `json:"state"`
			Amount struct {
				Minor int64 `json:"minor"`
			} `json:"amount"`
		} `json:"refunds"`
	}
	for range 2 {
		r.call(back(1), http.StatusOK, &seen)
	}
	if len(seen.Refunds) != 1 || seen.Refunds[0].Amount.Minor != 1200 || len(seen.Tickets) != 1 {
		t.Fatalf("the order has %+v", seen)
	}
	if code := r.code(r.keyed(r.as(all[1], http.MethodPost, "/v1/orders/"+own.ID.String()+"/refund", map[string]any{}), "k"), http.StatusNotFound); code != "order_unknown" {
		t.Errorf("somebody else's order: %s", code)
	}
	r.eventually("the provider gave the ticket's price back", func() bool { return r.refundedAt(own.ID) == 1200 })

	// An operator gives a whole order back, once.
	path := "/admin/v1/orders/" + given.ID.String() + "/refunds"
	var refund struct {
		ID    uuid.UUID `json:"id"`
		State string    `json:"state"`
	}
	for range 2 {
		r.call(r.keyed(r.request("admin", http.MethodPost, path, map[string]any{"reason": "ill", "keep_fee": false}), "whole"), http.StatusCreated, &refund)
	}
	r.awaitOrder(all[1], given.ID, "refunded")
	r.admin(http.MethodGet, "/admin/v1/refunds/"+refund.ID.String(), nil, http.StatusOK, &refund)
	if refund.State != "succeeded" || r.refundedAt(given.ID) != 1300 {
		t.Errorf("refund %+v, the provider gave %d", refund, r.refundedAt(given.ID))
	}
	if code := r.code(r.keyed(r.request("admin", http.MethodPost, path, map[string]any{"reason": "again"}), "second"), http.StatusConflict); code != "order_state" {
		t.Errorf("refunded twice: %s", code)
	}
	for want, body := range map[string]map[string]any{"bad_request": {"reason": "seen"}, "refund_not_found_there": {"keep": true, "reason": "seen"}} {
		status := map[string]int{"bad_request": http.StatusBadRequest, "refund_not_found_there": http.StatusConflict}[want]
		if code := r.code(r.request("admin", http.MethodPost, "/admin/v1/refunds/"+refund.ID.String()+"/review", body), status); code != want {
			t.Errorf("reviewed by %v: %s", body, code)
		}
	}

	// The event is cancelled: what is left of everything goes back, and nothing more is sold.
	for range 2 {
		r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/cancel", map[string]any{"reason": "storm"}, http.StatusAccepted, nil)
	}
	var run struct {
		State                             string
		Orders, Refunded, Failed, Skipped int64
		Waiting, Open                     int64
	}
	r.eventually("the event is refunded", func() bool {
		r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/refunds", nil, http.StatusOK, &run)
		return run.State == "done"
	})
	if run.Orders != 3 || run.Refunded != 2 || run.Skipped != 1 || run.Failed+run.Waiting+run.Open != 0 {
		t.Errorf("run %+v", run)
	}
	r.awaitOrder(all[0], own.ID, "refunded")
	r.awaitOrder(all[2], kept.ID, "refunded")
	if r.refundedAt(own.ID) != 2600 || r.refundedAt(kept.ID) != 2600 {
		t.Errorf("the provider gave %d and %d", r.refundedAt(own.ID), r.refundedAt(kept.ID))
	}
	if got := r.hold(slug, all[0], uuid.NewString(), `[{"tier":"`+tier+`","quantity":1}]`); got.Status < 400 {
		t.Errorf("a hold of a cancelled event: %d", got.Status)
	}
	var books struct {
		OK bool `json:"ok"`
	}
	if r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &books); !books.OK {
		t.Error("the ledger does not verify")
	}
}
