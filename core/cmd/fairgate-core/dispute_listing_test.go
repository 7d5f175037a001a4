package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

// Both providers over HTTP, and of what happens after the purchase not one message arrives: neither that the dispute was opened nor
// that it was decided. The lists tell.
func TestDisputesOfWhichEveryMessageWasLostAreFoundInTheListsOfBothProviders(t *testing.T) {
	r := newRigWith(t, club, paysim.Faults{}, func(c *config) {
		c.Disputes.ListEvery, c.Checkout.LookupAfter = 50*time.Millisecond, 100*time.Millisecond
		p := &c.Payment.PayPal // whose webhooks go nowhere
		p.BaseURL, p.ClientID, p.ClientSecret, p.WebhookID = c.Payment.Stripe.BaseURL, "paysim", "paysim_secret", "PAYSIM-WEBHOOK"
		p.ReturnURL, p.CancelURL, p.RatePerSecond, p.EndpointRatePerSecond = "http://127.0.0.1/back/{order}", "http://127.0.0.1/off/{order}", 1000, 1000
	})
	slug, tier := r.firstEvent()
	all := r.open(slug, 2)
	r.admit(slug, all...)
	card, _ := r.begin(all[0], slug, tier, 2)
	r.payForm(card, cardDisputed)
	r.awaitOrder(all[0], card.ID, "ticket_issued")

	got := r.hold(slug, all[1], uuid.NewString(), fmt.Sprintf(`[{"tier":%q,"quantity":2}]`, tier))
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil {
		t.Fatal(err)
	}
	var wallet order
	r.call(r.as(all[1], http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "method": "paypal"}), http.StatusCreated, &wallet)
	r.call(r.as(all[1], http.MethodPost, "/v1/orders/"+wallet.ID.String()+"/pay", map[string]any{}), http.StatusOK, &wallet)
	page, err := url.Parse(wallet.Payment.PayURL)
	if err != nil {
		t.Fatal(err)
	}
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := stay.PostForm(page.String(), url.Values{"token": {page.Query().Get("token")}, "action": {"approve"}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.awaitOrder(all[1], wallet.ID, "ticket_issued")
	r.eventually("both payments are captured, and nothing is on its way", func() bool {
		return r.number(`SELECT count(*) FROM payments WHERE state = 'captured'`) == 2 && r.number(sqlUnhandled) == 0 && r.provider.Books().Webhooks.Pending == 0
	})

	// From now on no message arrives.
	r.atProvider(http.MethodPost, "/v1/webhook_endpoints", url.Values{"url": {r.servers["webhook"].URL + "/webhooks/stripe"}, "enabled_events[]": {"payout.paid"}}, nil)
	told := r.number(`SELECT count(*) FROM webhooks`)
	r.provider.Advance(t.Context(), 73*time.Hour)
	var paid string
	if err := r.db.Reader.QueryRow(t.Context(), `SELECT payment_id::TEXT FROM payments WHERE provider = 'paypal'`).Scan(&paid); err != nil {
		t.Fatal(err)
	}
	var there struct {
		Ref string `json:"dispute_id"`
	}
	r.atProviderFor(http.MethodPost, "/_paysim/paypal/disputes", url.Values{"payment": {paid}}, http.StatusCreated, &there)
	for i, id := range []uuid.UUID{card.ID, wallet.ID} {
		if o := r.awaitOrder(all[i], id, "disputed"); len(o.Tickets) != 0 {
			t.Errorf("a disputed order shows %d tickets", len(o.Tickets))
		}
	}
	if valid := r.number(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets of disputed orders are valid", valid)
	}
	if taken := r.number(`SELECT count(*) FROM disputes WHERE taken`); taken != 2 {
		t.Errorf("%d disputes are booked", taken)
	}

	// PayPal lists what has changed as well.
	r.atProvider(http.MethodPost, "/_paysim/paypal/disputes/"+there.Ref, url.Values{"outcome": {"RESOLVED_SELLER_FAVOUR"}}, nil)
	if o := r.awaitOrder(all[1], wallet.ID, "ticket_issued"); len(o.Tickets) != 2 {
		t.Errorf("%d tickets after it was won", len(o.Tickets))
	}
	if now := r.number(`SELECT count(*) FROM webhooks`); now != told {
		t.Fatalf("%d webhooks arrived: the lists were not needed", now-told)
	}
	if opened := r.number(`SELECT count(*) FROM order_events WHERE cause = 'dispute_opened' AND actor = 'listing'`); opened != 2 {
		t.Errorf("%d disputes were opened by a list", opened)
	}
	if ahead := r.number(`SELECT count(*) FROM dispute_listings WHERE mark > now() + INTERVAL '2 days' AND page = ''`); ahead != 2 {
		t.Errorf("%d of two marks are the providers' own time", ahead)
	}
	var books struct {
		OK bool `json:"ok"`
	}
	if r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &books); !books.OK {
		t.Error("the ledger does not verify")
	}
}
