package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment/offline"
	"fairgate/ledger"
	"fairgate/loadtest/paysim"
)

const iban = "PT50 0002 0123 1234 5678 9015 4, Cellar Club"

// newOfflineRig is a rig whose event has so many places and can be paid by card, bank transfer or at the box office.
func newOfflineRig(t *testing.T, capacity int) *rig {
	t.Helper()
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "club.yaml")
	changed := strings.Replace(string(text), "capacity: 120", fmt.Sprintf("capacity: %d", capacity), 1) +
		"payment: {methods: [card, bank_transfer, box_office], transfer_within: 48h}\n"
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRigWith(t, file, paysim.Faults{}, func(c *config) {
		c.Payment.Offline = offlineConfig{Account: iban, Methods: []string{"bank_transfer", "box_office"}}
	})
}

// wired is an order as its buyer sees it who pays without a provider.
type wired struct {
	ID         uuid.UUID             `json:"id"`
	State      string                `json:"state"`
	Hold       uuid.UUID             `json:"hold_id"`
	Amount     struct{ Minor int64 } `json:"amount"`
	Deadline   time.Time             `json:"deadline"`
	ServerTime time.Time             `json:"server_time"`
	Tickets    []uuid.UUID           `json:"tickets"`
	Payment    struct {
		Method, State, Form string
		Ref                 string `json:"provider_ref"`
		PayTo               string `json:"pay_to"`
	} `json:"payment"`
}

// orders opens an order of so many tickets and waits until the buyer can be told how to pay.
func (r *rig) orders(s *shopper, slug, tier string, quantity int, method string) (o wired) {
	r.t.Helper()
	got := r.hold(slug, s, uuid.NewString(), fmt.Sprintf(`[{"tier":%q,"quantity":%d}]`, tier, quantity))
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil || got.Status != http.StatusCreated {
		r.t.Fatalf("hold: %+v, %v", got, err)
	}
	open := r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "method": method})
	open.Header.Set("Idempotency-Key", hold.ID.String())
	r.call(open, http.StatusCreated, &o)
	r.eventually("the buyer is told how to pay", func() bool { o = r.looks(s, o.ID); return o.Payment.State == "begun" })
	if o.Payment.PayTo != iban || o.Payment.Form != "instructions" || o.Payment.Method != method || !offline.Valid(o.Payment.Ref) {
		r.t.Fatalf("the buyer is told %+v", o.Payment)
	}
	return o
}

func (r *rig) looks(s *shopper, id uuid.UUID) (o wired) {
	r.t.Helper()
	r.call(r.as(s, http.MethodGet, "/v1/orders/"+id.String(), nil), http.StatusOK, &o)
	return o
}

func (r *rig) becomes(s *shopper, id uuid.UUID, state string) (o wired) {
	r.t.Helper()
	r.eventually("the order is "+state, func() bool { o = r.looks(s, id); return o.State == state })
	return o
}

// row is a row of the bank's.
type row struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	Amount    string `json:"amount"`
	Currency  string `json:"currency"`
}

type recorded struct {
	Known, Paid bool
	Review      string
}

// record records rows of the bank and tells what became of each.
func (r *rig) record(rows ...row) []recorded {
	r.t.Helper()
	var answer struct {
		Results []recorded `json:"results"`
	}
	r.admin(http.MethodPost, "/admin/v1/payments/receipts", map[string]any{"receipts": rows}, http.StatusOK, &answer)
	if len(answer.Results) != len(rows) {
		r.t.Fatalf("%d answers to %d rows", len(answer.Results), len(rows))
	}
	return answer.Results
}

func (r *rig) is(what string, got, want any) {
	r.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// books checks that the ledger verifies, and what it has in two accounts: what is held for nothing, and what came in all in all.
func (r *rig) books(late, taken int64) {
	r.t.Helper()
	var verified struct {
		OK bool `json:"ok"`
	}
	r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &verified)
	all, err := ledger.Balances(r.t.Context(), r.db.Reader)
	if err != nil || !verified.OK {
		r.t.Fatalf("the ledger verifies: %t; %v", verified.OK, err)
	}
	var gotLate, gotTaken int64
	for _, b := range all {
		switch b.Account {
		case ledger.LateMoney("EUR"):
			gotLate = b.Net().Minor
		case ledger.ProviderClearing(offline.Name, "EUR"):
			gotTaken = -b.Net().Minor
		}
	}
	r.is("late money and what was taken in the books", [2]int64{gotLate, gotTaken}, [2]int64{late, taken})
}

func TestATransferRecordedByTwoOperatorsAtOnceBuysTicketsOnce(t *testing.T) {
	r := newOfflineRig(t, 20)
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	var shown struct {
		Methods []string `json:"payment_methods"`
	}
	r.edge(http.MethodGet, "/v1/events/"+slug, nil, http.StatusOK, &shown)
	r.is("what the event offers", shown.Methods, []string{"card", "bank_transfer", "box_office"})

	absurd := []row{{"fine", "", "1.00", "EUR"}, {"absurd", "", "3000000000000000.00", "EUR"}}
	r.is("an absurd amount", r.code(r.request("admin", http.MethodPost, "/admin/v1/payments/receipts", map[string]any{"receipts": absurd}), http.StatusUnprocessableEntity), "receipt_amount")

	o := r.orders(s, slug, tier, 2, "bank_transfer")
	if left := o.Deadline.Sub(o.ServerTime); left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("the hold lives for %s, want until the sale ends, which comes before the bank's 48 hours are over", left)
	}
	spaced := strings.ToLower(o.Payment.Ref[:4] + " " + o.Payment.Ref[4:])
	r.is("half of it", r.record(row{"1", spaced, "20.00", "EUR"}), []recorded{{}})
	r.is("before the rest is there", r.looks(s, o.ID).State, "payment_pending")
	r.books(2000, 2000)
	rows := []row{{"2", o.Payment.Ref, "4.00", "EUR"}, {"3", o.Payment.Ref, "24.00", "EUR"}, {"4", "RF00" + o.Payment.Ref[4:], "24.00", "EUR"}, {"5", "RF18539007547034", "9.00", "EUR"},
		{"6", o.Payment.Ref, "24.00", "USD"}}
	var both sync.WaitGroup
	results := make([][]recorded, 2)
	for i := range results { // both have the same rows of the bank
		both.Go(func() { results[i] = r.record(rows...) })
	}
	both.Wait()
	for n, want := range []recorded{{Paid: true}, {Review: "paid already"}, {Review: "that reference has a typing mistake"}, {Review: "no such reference"}, {Review: "another currency than EUR"}} {
		a, b := results[0][n], results[1][n]
		if a.Known {
			a, b = b, a
		}
		r.is(fmt.Sprintf("row %d of the one and of the other", n+2), []recorded{a, b}, []recorded{want, {Known: true}})
	}
	for i, again := range r.record(rows...) {
		r.is(fmt.Sprintf("row %d a third time", i+2), again, recorded{Known: true})
	}
	o = r.becomes(s, o.ID, "ticket_issued")
	r.is("tickets", len(o.Tickets), 2)
	r.is("payment and account once it is paid", o.Payment.State+o.Payment.PayTo, "captured")
	r.books(2400+2400+900, 2400+2400+2400+900)

	var list struct {
		Receipts []struct {
			ID   string
			Rest struct{ Minor int64 }
		} `json:"receipts"`
	}
	r.admin(http.MethodGet, "/admin/v1/payments/receipts?review=true", nil, http.StatusOK, &list)
	r.is("what waits for a person", len(list.Receipts), 4)

	// The mistyped one was for the buyer's next order.
	next := r.orders(s, slug, tier, 2, "bank_transfer")
	assign := map[string]any{"receipt": "4", "order_id": next.ID, "reason": "the buyer called"}
	r.is("to an order that is paid", r.code(r.request("admin", http.MethodPost, "/admin/v1/payments/receipts/assign", map[string]any{"receipt": "4", "order_id": o.ID, "reason": "x"}), http.StatusConflict), "order_not_due")
	r.is("too little", r.code(r.request("admin", http.MethodPost, "/admin/v1/payments/receipts/assign", map[string]any{"receipt": "5", "order_id": next.ID, "reason": "x"}), http.StatusConflict), "receipt_too_little")
	r.is("nobody says why", r.code(r.request("admin", http.MethodPost, "/admin/v1/payments/receipts/return", map[string]any{"receipt": "5"}), http.StatusBadRequest), "bad_request")
	for range 2 {
		r.admin(http.MethodPost, "/admin/v1/payments/receipts/assign", assign, http.StatusOK, nil)
		r.admin(http.MethodPost, "/admin/v1/payments/receipts/return", map[string]any{"receipt": "3", "reason": "sent twice"}, http.StatusOK, nil)
	}
	r.becomes(s, next.ID, "ticket_issued")
	r.books(900, 2400+2400+900)
}

// expire ends the hold of an order before its time.
func (r *rig) expire(s *shopper, o wired) {
	r.t.Helper()
	for _, statement := range []string{`UPDATE holds SET deadline = now() - INTERVAL '1 second' WHERE state = 'active'`, `UPDATE expiries SET due_at = now() - INTERVAL '1 second'`} {
		if _, err := r.db.Pool.Exec(r.t.Context(), statement); err != nil {
			r.t.Fatal(err)
		}
	}
	r.eventually("the order and its payment are over", func() bool {
		now := r.looks(s, o.ID)
		return now.State == "expired" && now.Payment.State == "voided"
	})
}

// due waits for the one refund that somebody has to transfer.
func (r *rig) due(order uuid.UUID, minor int64) (refund string) {
	r.t.Helper()
	var list struct {
		Refunds []struct {
			ID     string    `json:"id"`
			Order  uuid.UUID `json:"order_id"`
			Amount struct{ Minor int64 }
		} `json:"refunds"`
	}
	r.eventually("a refund waits for its transfer", func() bool {
		r.admin(http.MethodGet, "/admin/v1/payments/due", nil, http.StatusOK, &list)
		return len(list.Refunds) == 1
	})
	if f := list.Refunds[0]; f.Order != order || f.Amount.Minor != minor {
		r.t.Errorf("due is %+v, want %d of order %s", f, minor, order)
	}
	return list.Refunds[0].ID
}

func TestMoneyForAnExpiredOrderGetsOtherTicketsOrGoesBackByHand(t *testing.T) {
	r := newOfflineRig(t, 14)
	slug, tier := r.firstEvent()
	all := r.open(slug, 5)
	r.admit(slug, all...)

	first := r.orders(all[0], slug, tier, 2, "bank_transfer")
	r.expire(all[0], first)
	r.is("too little for what is over", r.record(row{"1", first.Payment.Ref, "23.00", "EUR"}), []recorded{{Review: "too little"}})
	r.is("too much for what is over", r.record(row{"2", first.Payment.Ref, "2.00", "EUR"}), []recorded{{Paid: true, Review: "too much"}})
	first = r.becomes(all[0], first.ID, "ticket_issued") // there were others left
	r.is("tickets of the late one", len(first.Tickets), 2)
	r.books(100, 2500)

	second := r.orders(all[1], slug, tier, 2, "bank_transfer")
	r.expire(all[1], second)
	for i, buyer := range all[2:] {
		cash := r.orders(buyer, slug, tier, 4, "box_office")
		r.is("cash", r.record(row{fmt.Sprint("box/", i), cash.Payment.Ref, "48.00", "EUR"}), []recorded{{Paid: true}})
		r.is("tickets at the box office", len(r.becomes(buyer, cash.ID, "ticket_issued").Tickets), 4)
	}

	r.is("late, and nothing is left", r.record(row{"3", second.Payment.Ref, "24.00", "EUR"}), []recorded{{Paid: true}})
	refund := r.due(second.ID, 2400)
	r.is("until it is transferred", r.becomes(all[1], second.ID, "refund_pending").State, "refund_pending")
	r.admin(http.MethodPost, "/admin/v1/payments/refunds/"+refund+"/confirm", map[string]any{"reason": "sent"}, http.StatusOK, nil)
	r.becomes(all[1], second.ID, "refunded")
	r.books(100, 2500+3*4800)
	r.is("places sold", r.number(sqlTaken), 14)
}

func TestARefundOfATransferIsPendingUntilAnOperatorHasMadeIt(t *testing.T) {
	r := newOfflineRig(t, 20)
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.orders(s, slug, tier, 2, "bank_transfer")
	r.record(row{"1", o.Payment.Ref, "24.00", "EUR"})
	r.becomes(s, o.ID, "ticket_issued")
	ask := r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill"})
	ask.Header.Set("Idempotency-Key", "1")
	r.call(ask, http.StatusCreated, nil)
	refund := r.due(o.ID, 2400)
	r.is("until it is transferred", r.becomes(s, o.ID, "refund_pending").State, "refund_pending")
	path := "/admin/v1/payments/refunds/" + refund
	for range 2 {
		r.admin(http.MethodPost, path+"/confirm", map[string]any{}, http.StatusOK, nil)
	}
	r.is("the contrary", r.code(r.request("admin", http.MethodPost, path+"/fail", map[string]any{}), http.StatusConflict), "refund_decided")
	r.is("another", r.code(r.request("admin", http.MethodPost, "/admin/v1/payments/refunds/"+uuid.NewString()+"/fail", map[string]any{}), http.StatusNotFound), "refund_unknown")
	r.becomes(s, o.ID, "refunded")
	r.books(0, 0)
	var due struct{ Refunds []any }
	r.admin(http.MethodGet, "/admin/v1/payments/due", nil, http.StatusOK, &due)
	r.is("what is still due", len(due.Refunds), 0)
}

func TestCurrenciesThatNobodyTakesWhereEventsAreSoldAreToldAtTheStart(t *testing.T) {
	r := newOfflineRig(t, 20) // in EUR, in Portugal
	for countries, want := range map[string]string{"PT": "", "ES": "currency=EUR country=PT"} {
		c := r.cfg.Payment
		c.Routes = []routeConfig{{Currencies: []string{"EUR"}, Countries: []string{countries}}}
		if err := json.Unmarshal([]byte(`[{"Provider": "stripe"}]`), &c.Routes[0].Providers); err != nil {
			t.Fatal(err)
		}
		providers, err := c.providers(accounts{db: r.db, log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		if err := checkRoutes(t.Context(), r.db, providers, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
			t.Fatal(err)
		}
		if want == "" && said.Len() > 0 || !strings.Contains(said.String(), want) {
			t.Errorf("with routes for %s it says %q, want %q", countries, said.String(), want)
		}
	}
}
