package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/booking"
	"fairgate/core/db/dbtest"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

func TestWhatTheBankSaysIsBookedOverTheAdminAPI(t *testing.T) {
	d := dbtest.New(t)
	s := &Server{DB: d, AdminSecret: "secret", Log: slog.New(slog.DiscardHandler), Bookings: booking.New(d)}
	eur := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }
	sent, err := ledger.SettlementSentTransfers(settlement.PayoutReference("stripe", "po_1"), "stripe", eur(6500), eur(0))
	sale, saleErr := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", eur(5000), eur(432), eur(634))
	off, offErr := ledger.RoundingClearedTransfers(uuid.New(), eur(2))
	if err != nil || saleErr != nil || offErr != nil {
		t.Fatal(err, saleErr, offErr)
	}
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return ledger.NewWriter(d.Reader).Record(ctx, tx, append(append(append(sent, sale...), ledger.PostAll(sale)...), off...))
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, status int) map[string]any {
		t.Helper()
		request := httptest.NewRequest(method, "/admin/v1/ledger/"+path, strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer secret")
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(OperatorHeader, "ann")
		answer := httptest.NewRecorder()
		s.Admin().ServeHTTP(answer, request)
		var fields map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil || answer.Code != status {
			t.Fatalf("%s %s: %d, %v: %s", path, body, answer.Code, err, answer.Body)
		}
		return fields
	}
	transit := func() (late int) {
		at := time.Now().Add(60 * 24 * time.Hour).UTC().Format(time.RFC3339)
		for _, l := range ask(http.MethodGet, "clearing?at="+at, "", 200)["late"].([]any) {
			if l.(map[string]any)["account"] == "provider_transit/stripe" {
				late++
			}
		}
		return late
	}
	if transit() != 1 {
		t.Fatal("the payout is not late")
	}
	for body, refusal := range map[string]struct {
		path, code string
		status     int
	}{
		`{"provider":"stripe","payout":"po_1"}`:                                                     {"arrived", "bad_request", 400},
		`{"provider":"Stripe/","payout":"po_1","reason":"x"}`:                                       {"arrived", "bad_request", 400},
		`{"provider":"stripe","payout":"po_1","amount":"-1","currency":"EUR","reason":"x"}`:         {"arrived", "bad_request", 400},
		`{"provider":"stripe","payout":"po_1","amount":"64.99","currency":"EUR","reason":"x"}`:      {"arrived", "booking_amount", 409},
		`{"provider":"stripe","payout":"po_2","reason":"x"}`:                                        {"arrived", "payout_not_sent", 404},
		`{"name":"2027-Q2","amount":"6.35","currency":"EUR","reason":"x"}`:                          {"tax-paid", "booking_amount", 409},
		`{"name":"2027-Q2","currency":"EUR","reason":"x"}`:                                          {"tax-paid", "bad_request", 400},
		`{"name":"2027-06","currency":"EURO","reason":"x"}`:                                         {"close-rounding", "bad_request", 400},
		`{"name":"2027-06","currency":"USD","reason":"x"}`:                                          {"close-rounding", "nothing_to_book", 409},
		`{"name":"2027-06","currency":"EUR","reason":"x","provider":"stripe","payout":"whichever"}`: {"something", "not_found", 404},
	} {
		if p := ask(http.MethodPost, "bookings/"+refusal.path, body, refusal.status); p["code"] != refusal.code {
			t.Errorf("%s %s: %v", refusal.path, body, p)
		}
	}
	for _, known := range []bool{false, true} {
		for path, body := range map[string]string{
			"arrived":        `{"provider":"stripe","payout":"po_1","amount":"65.00","currency":"EUR","reason":"statement 12"}`,
			"tax-paid":       `{"name":"2027-Q2","amount":"6.34","currency":"EUR","reason":"return"}`,
			"close-rounding": `{"name":"2027-06","currency":"EUR","reason":"month"}`,
		} {
			if b := ask(http.MethodPost, "bookings/"+path, body, 200); b["known"] != known || b["actor"] != "operator:ann" || b["amount"].(map[string]any)["minor"] == 0.0 {
				t.Errorf("%s: %v", path, b)
			}
		}
	}
	if p := ask(http.MethodPost, "bookings/arrived", `{"provider":"stripe","payout":"po_1","amount":"1.00","currency":"EUR","reason":"x"}`, 409); p["code"] != "booked_otherwise" {
		t.Errorf("told otherwise: %v", p)
	}
	if transit() != 0 {
		t.Error("the payout is late although it has arrived")
	}
}
