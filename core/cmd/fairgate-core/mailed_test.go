package main

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

// An order's address may be mistyped, or a friend's: "no reason to let its owner pay", hand on or give back. Nor to sell.
func TestWhoWasMerelyMailedATicketNeitherSellsNorHandsItOn(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nresale: {allowed: true}\n")
	slug, tier := r.firstEvent()
	people := r.open(slug, 1)
	r.admit(slug, people...)
	buyer := people[0]
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(r.hold(slug, buyer, "h", `[{"tier":"`+tier+`","quantity":1}]`).Body, &hold); err != nil {
		t.Fatal(err)
	}
	var o order
	r.call(r.keyed(r.as(buyer, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": "mallory@example.org"}), "o"), http.StatusCreated, &o)
	r.call(r.keyed(r.as(buyer, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), "p"), http.StatusOK, &o)
	r.payForm(o, visa)
	o = r.awaitOrder(buyer, o.ID, "ticket_issued")
	mallory := r.signsIn("mallory@example.org")
	path := "/v1/tickets/" + o.Tickets[0].String()
	if got := r.code(r.member(mallory, http.MethodPost, path+"/transfers", map[string]any{"email": "x@example.org"}), 404); got != "ticket_unknown" {
		t.Errorf("handed on: %s", got)
	}
	if got := r.code(r.member(mallory, http.MethodPost, path+"/listing", price(1)), 403); got != "ticket_not_yours" {
		t.Errorf("sold on: %s", got)
	}
	var seen struct {
		Code string
		May  struct{ Transfer, Resell bool }
	}
	r.call(r.member(mallory, http.MethodGet, path, nil), http.StatusOK, &seen)
	if seen.Code == "" || seen.May.Transfer || seen.May.Resell {
		t.Errorf("whoever was mailed it sees %+v", seen)
	}
	r.call(r.as(buyer, http.MethodGet, path, nil), http.StatusOK, &seen)
	if !seen.May.Transfer || !seen.May.Resell {
		t.Errorf("its buyer sees %+v", seen)
	}
}
