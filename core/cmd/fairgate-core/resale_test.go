package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

// listing is what a seller is told.
type listing struct {
	ID     uuid.UUID `json:"id"`
	State  string    `json:"state"`
	Price  amount    `json:"price"`
	YouGet amount    `json:"you_get"`
	Payout string    `json:"payout"`
}

type amount struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func price(minor int64) map[string]any {
	return map[string]any{"price": map[string]any{"minor": minor, "currency": "EUR"}}
}

// quoted checks what the owner of a ticket that cost 12.00 is told before they list it, and that nobody else is.
func (r *rig) quoted(owner, other *shopper, ticket string) {
	r.t.Helper()
	ask := func(s *shopper, query string) *http.Request {
		return r.as(s, http.MethodGet, "/v1/tickets/"+ticket+"/listing"+query, nil)
	}
	var quote struct {
		Cap, Most amount
		Organizer int64 `json:"organizer_millionths"`
		SellerFee int64 `json:"seller_fee_millionths"`
		Priced    *struct {
			Price  amount
			YouGet amount `json:"you_get"`
		}
	}
	r.call(ask(owner, ""), http.StatusOK, &quote)
	if quote.Cap.Minor != 1200 || quote.Most.Minor != 1200 || quote.Organizer != 100_000 || quote.SellerFee != 50_000 || quote.Priced != nil {
		r.t.Errorf("quote %+v", quote)
	}
	r.call(ask(owner, "?asked=1000"), http.StatusOK, &quote)
	if quote.Priced == nil || quote.Priced.Price.Minor != 1000 || quote.Priced.YouGet.Minor != 850 {
		r.t.Errorf("quote of 10.00: %+v", quote.Priced)
	}
	for query, want := range map[string]string{"?asked=1201": "price_over_cap", "?asked=0": "price_invalid", "?asked=x": "price_invalid"} {
		if got := r.code(ask(owner, query), http.StatusUnprocessableEntity); got != want {
			r.t.Errorf("quote %s: %s", query, got)
		}
	}
	if got := r.code(ask(other, ""), http.StatusNotFound); got != "ticket_unknown" {
		r.t.Errorf("somebody else's ticket is quoted: %s", got)
	}
	var seen struct {
		Hold string
		May  struct{ Transfer, Resell bool }
	}
	r.call(r.as(owner, http.MethodGet, "/v1/tickets/"+ticket, nil), http.StatusOK, &seen)
	if seen.Hold != "" || !seen.May.Transfer || !seen.May.Resell {
		r.t.Errorf("the ticket's owner may %+v", seen)
	}
}

func TestATicketIsListedBoughtAndPaidForOverHTTP(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nresale: {allowed: true, seller_fee_percent: 5, organizer_share_percent: 10}\n")
	slug, tier := r.firstEvent()
	people := r.open(slug, 3)
	r.admit(slug, people...)
	seller, buyer, other := people[0], people[1], people[2]
	o := r.bought(seller, slug, tier, 1)
	list := func(s *shopper, minor int64) *http.Request {
		return r.keyed(r.as(s, http.MethodPost, "/v1/tickets/"+o.Tickets[0].String()+"/listing", price(minor)), "list")
	}
	if got := r.code(list(buyer, 1000), http.StatusForbidden); got != "ticket_not_yours" {
		t.Errorf("somebody else's ticket: %s", got)
	}
	if got := r.code(list(seller, 1201), http.StatusUnprocessableEntity); got != "price_over_cap" {
		t.Errorf("over the cap: %s", got)
	}
	r.quoted(seller, buyer, o.Tickets[0].String())
	var l listing
	r.call(list(seller, 1200), http.StatusCreated, &l)
	if l.State != "open" || l.Price.Minor != 1200 || l.YouGet.Minor != 1020 {
		t.Fatalf("listing %+v", l)
	}
	r.call(list(seller, 1200), http.StatusOK, &l) // and again
	r.call(r.as(seller, http.MethodPatch, "/v1/listings/"+l.ID.String(), price(1000)), http.StatusOK, &l)
	if l.Price.Minor != 1000 {
		t.Errorf("listing %+v", l)
	}
	if got := r.code(r.as(buyer, http.MethodDelete, "/v1/listings/"+l.ID.String(), nil), http.StatusForbidden); got != "ticket_not_yours" {
		t.Errorf("somebody else's listing: %s", got)
	}
	public := r.raw(r.request("edge", http.MethodGet, "/v1/events/"+slug+"/listings", nil))
	if public.status != http.StatusOK || !strings.Contains(public.header.Get("Cache-Control"), "public") || !strings.Contains(string(public.body), l.ID.String()) {
		t.Fatalf("listings: %d, %v, %s", public.status, public.header, public.body)
	}
	for _, secret := range []string{seller.entrant.String(), o.Tickets[0].String(), o.ID.String(), "example.org", "seller"} {
		if strings.Contains(string(public.body), secret) {
			t.Errorf("everybody is told %q: %s", secret, public.body)
		}
	}

	want := fmt.Sprintf(`[{"listing":%q}]`, l.ID)
	if got := r.hold(slug, seller, "own", want); got.Problem.Code != "listing_own" {
		t.Errorf("one's own: %+v", got)
	}
	if got := r.hold(slug, buyer, "with", fmt.Sprintf(`[{"listing":%q},{"tier":%q,"quantity":1}]`, l.ID, tier)); got.Problem.Code != "items_invalid" {
		t.Errorf("with something beside it: %+v", got)
	}
	got := r.hold(slug, buyer, "buy", want)
	if got.Status != http.StatusCreated {
		t.Fatalf("hold %+v", got)
	}
	if got := r.hold(slug, other, "too", want); got.Problem.Code != "listing_gone" {
		t.Errorf("two hold one ticket: %+v", got)
	}
	if again := r.hold(slug, buyer, "buy", want); string(again.Body) == "" || again.Status != http.StatusCreated {
		t.Errorf("the same again: %+v", again)
	}
	if got := r.code(r.as(seller, http.MethodDelete, "/v1/listings/"+l.ID.String(), nil), http.StatusConflict); got != "listing_held" {
		t.Errorf("withdrawn while it is held: %s", got)
	}
	var hold struct {
		ID     uuid.UUID `json:"id"`
		Amount amount    `json:"amount"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil || hold.Amount.Minor != 1000 {
		t.Fatalf("hold %s, %v", got.Body, err)
	}
	var b order
	r.call(r.keyed(r.as(buyer, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID}), "order"), http.StatusCreated, &b)
	r.call(r.as(buyer, http.MethodPost, "/v1/orders/"+b.ID.String()+"/pay", map[string]any{}), http.StatusOK, &b)
	r.payForm(b, visa)
	b = r.awaitOrder(buyer, b.ID, "ticket_issued")

	var was, now struct {
		State string `json:"state"`
	}
	r.call(r.as(seller, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil), http.StatusOK, &was)
	r.call(r.as(buyer, http.MethodGet, "/v1/tickets/"+b.Tickets[0].String(), nil), http.StatusOK, &now)
	if was.State != "void" || now.State != "valid" {
		t.Errorf("the seller's ticket is %s, the buyer's %s", was.State, now.State)
	}
	if got := r.code(r.as(seller, http.MethodDelete, "/v1/listings/"+l.ID.String(), nil), http.StatusConflict); got != "ticket_resold" {
		t.Errorf("withdrawn when it is sold: %s", got)
	}
	var mine struct {
		Listings []listing `json:"listings"`
	}
	r.call(r.as(seller, http.MethodGet, "/v1/listings", nil), http.StatusOK, &mine)
	if len(mine.Listings) != 1 || mine.Listings[0].State != "sold" || mine.Listings[0].YouGet.Minor != 850 || mine.Listings[0].Payout != "waiting" {
		t.Errorf("mine: %+v", mine)
	}
	var shares struct {
		Payouts []struct {
			ID   uuid.UUID `json:"id"`
			Ripe bool      `json:"ripe"`
		} `json:"payouts"`
	}
	r.admin(http.MethodGet, "/admin/v1/listings/payouts", nil, http.StatusOK, &shares)
	if len(shares.Payouts) != 1 || shares.Payouts[0].ID != l.ID || shares.Payouts[0].Ripe {
		t.Errorf("payouts: %+v", shares)
	}
	if got := r.code(r.request("admin", http.MethodPost, "/admin/v1/listings/"+l.ID.String()+"/sent", map[string]any{"reason": "bank order 4711"}), http.StatusConflict); got != "payout_early" {
		t.Errorf("paid before the event: %s", got)
	}
	r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/listings?state=sold", nil, http.StatusOK, &mine)
	if len(mine.Listings) != 1 {
		t.Errorf("of the event: %+v", mine)
	}
	var verified struct {
		OK bool `json:"ok"`
	}
	r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &verified)
	if !verified.OK {
		t.Error("the ledger does not verify")
	}
}
