package stripe_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// day is what the tests settle: in seconds from, in time the same.
const dayStart = 1811808000

var (
	dayFrom  = time.Unix(dayStart, 0).UTC()
	dayUntil = dayFrom.AddDate(0, 0, 1)
)

// move is a balance transaction as Stripe shows it.
func move(id, kind, category string, amount int64, source any) object {
	return object{
		"id": id, "object": "balance_transaction", "amount": amount, "fee": 0, "net": amount, "currency": "eur", "type": kind,
		"reporting_category": category, "created": dayStart + 60, "available_on": dayStart + 3*86400, "source": source, "description": kind,
	}
}

// statement is an API that has balance transactions and payouts, and pages of two.
type statement struct {
	moves   []object
	payouts []object
	in      map[string]string // payout of a movement
	calls   []string
	trouble func(call int) (int, any)
}

func (s *statement) answer(r *http.Request, form url.Values) (int, any) {
	s.calls = append(s.calls, r.URL.Path+"?"+form.Encode())
	if s.trouble != nil {
		if status, body := s.trouble(len(s.calls)); status != 0 {
			return status, body
		}
	}
	list := s.payouts
	if r.URL.Path == "/v1/balance_transactions" {
		list = nil
		for _, m := range s.moves {
			created := strconv.Itoa(m["created"].(int))
			inSpan := created >= form.Get("created[gte]") && created < form.Get("created[lt]")
			if inSpan && (form.Get("payout") == "" || s.in[m["id"].(string)] == form.Get("payout")) {
				list = append(list, m)
			}
		}
	}
	if after := form.Get("starting_after"); after != "" {
		at := slices.IndexFunc(list, func(o object) bool { return o["id"] == after })
		list = list[at+1:]
	}
	return http.StatusOK, object{"object": "list", "has_more": len(list) > 2, "data": list[:min(2, len(list))]}
}

// settled reads the whole day.
func settled(t *testing.T, s *statement) []payment.SettlementRow {
	t.Helper()
	var rows []payment.SettlementRow
	err := scripted(t, s.answer).Settlement(t.Context(), dayFrom, dayUntil, func(row payment.SettlementRow) error {
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestASettlementSaysWhatEveryMovementWas(t *testing.T) {
	order, refund := uuid.New(), uuid.New()
	id := payment.PaymentID(order, 1)
	bears := object{"order_id": order.String(), "payment_id": id.String(), "attempt": "1"}
	refundBears := object{"order_id": order.String(), "payment_id": id.String(), "attempt": "1", "refund_id": refund.String()}
	charge := object{"id": "ch_1", "object": "charge", "amount": 10000, "amount_captured": 10000, "captured": true, "currency": "usd",
		"payment_intent": "pi_1", "metadata": bears}
	given := object{"id": "re_1", "object": "refund", "amount": 500, "currency": "eur", "payment_intent": "pi_1", "charge": "ch_1", "metadata": refundBears}
	dispute := object{"id": "dp_1", "object": "dispute", "amount": 9000, "currency": "eur", "payment_intent": "pi_1", "charge": "ch_1"}
	paid := object{"id": "po_1", "object": "payout", "amount": 7000, "currency": "eur"}

	sale := move("txn_sale", "charge", "charge", 9123, charge)
	sale["fee"], sale["exchange_rate"] = 300, 0.9123
	s := &statement{
		moves: []object{
			sale,
			move("txn_refund", "refund", "refund", -500, given),
			move("txn_back", "refund_failure", "refund_failure", 500, given),
			move("txn_taken", "adjustment", "dispute", -9000, dispute),
			move("txn_won", "adjustment", "dispute_reversal", 9000, dispute),
			move("txn_fee", "stripe_fee", "fee", -200, nil),
			move("txn_payout", "payout", "payout", -7000, paid),
			move("txn_bounced", "payout_failure", "payout_reversal", 7000, paid),
			move("txn_named", "payment", "charge", 100, "py_2"), // a source that is only named
			move("txn_odd", "levitation", "levitation", 1, nil),
		},
		payouts: []object{
			{"id": "po_1", "automatic": true}, {"id": "po_hand", "automatic": false}, {"id": "po_2", "automatic": true},
		},
		in: map[string]string{"txn_sale": "po_2", "txn_refund": "po_2", "txn_payout": "po_1"},
	}
	eur := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }
	want := []payment.SettlementRow{
		{ID: "txn_sale", Kind: payment.SettledCharge, SourceRef: "ch_1", PaymentRef: "pi_1", OrderID: order, PaymentID: id, Gross: eur(9123),
			Fee: eur(300), Presentment: ledger.Amount{Minor: 10000, Currency: "USD"}, Rate: "0.9123", PayoutRef: "po_2", Description: "charge"},
		{ID: "txn_refund", Kind: payment.SettledRefund, SourceRef: "re_1", PaymentRef: "pi_1", OrderID: order, PaymentID: id, RefundID: refund,
			Gross: eur(-500), PayoutRef: "po_2", Description: "refund"},
		{ID: "txn_back", Kind: payment.SettledRefundFailure, SourceRef: "re_1", PaymentRef: "pi_1", OrderID: order, PaymentID: id, RefundID: refund,
			Gross: eur(500), Description: "refund_failure"},
		{ID: "txn_taken", Kind: payment.SettledDispute, SourceRef: "dp_1", PaymentRef: "pi_1", Gross: eur(-9000), Description: "adjustment"},
		{ID: "txn_won", Kind: payment.SettledDisputeReverse, SourceRef: "dp_1", PaymentRef: "pi_1", Gross: eur(9000), Description: "adjustment"},
		{ID: "txn_fee", Kind: payment.SettledFee, Gross: eur(-200), Description: "stripe_fee"},
		{ID: "txn_payout", Kind: payment.SettledPayout, SourceRef: "po_1", Gross: eur(-7000), PayoutRef: "po_1", Description: "payout"},
		{ID: "txn_bounced", Kind: payment.SettledPayoutFailure, SourceRef: "po_1", Gross: eur(7000), Description: "payout_failure"},
		{ID: "txn_named", Kind: payment.SettledCharge, SourceRef: "py_2", Gross: eur(100), Description: "payment"},
		{ID: "txn_odd", Kind: payment.SettledOther, Gross: eur(1), Description: "levitation"},
	}
	for i := range want {
		want[i].CreatedAt, want[i].AvailableAt = dayFrom.Add(time.Minute), dayFrom.AddDate(0, 0, 3)
		if want[i].Fee == (ledger.Amount{}) {
			want[i].Fee = eur(0)
		}
	}
	got := settled(t, s)
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("row %d is\n%+v, want\n%+v", i, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for _, call := range s.calls {
		if q, _ := url.Parse(call); q.Query().Get("payout") == "po_hand" {
			t.Error("a payout made by hand was asked what is in it, which Stripe refuses")
		}
	}
}

func TestEveryTypeOfMovementHasAKind(t *testing.T) {
	for _, c := range []struct {
		kind, category string
		amount         int64
		source         any
		want           payment.SettlementKind
	}{
		{"charge", "charge", 1, nil, payment.SettledCharge},
		{"payment", "charge", 1, nil, payment.SettledCharge},
		{"refund", "refund", -1, nil, payment.SettledRefund},
		{"payment_refund", "refund", -1, nil, payment.SettledRefund},
		{"refund", "partial_capture_reversal", -1, nil, payment.SettledOther},
		{"payment_failure_refund", "charge_failure", -1, nil, payment.SettledOther},
		{"payment_reversal", "charge_failure", -1, nil, payment.SettledOther},
		{"refund_failure", "", 1, nil, payment.SettledRefundFailure},
		{"adjustment", "refund_failure", 1, nil, payment.SettledRefundFailure},
		{"adjustment", "", 1, "re_1", payment.SettledRefundFailure},
		{"adjustment", "", -1, "dp_1", payment.SettledDispute},
		{"adjustment", "", 1, "du_1", payment.SettledDisputeReverse},
		{"adjustment", "other_adjustment", 1, nil, payment.SettledOther},
		{"adjustment", "fee", -1, nil, payment.SettledFee},
		{"stripe_fee", "fee", -1, nil, payment.SettledFee},
		{"stripe_fx_fee", "", -1, nil, payment.SettledFee},
		{"tax_fee", "tax", -1, nil, payment.SettledFee},
		{"adjustment", "network_cost", -1, nil, payment.SettledFee},
		{"adjustment", "currency_conversion", -1, nil, payment.SettledConversion},
		{"payout", "payout", -1, nil, payment.SettledPayout},
		{"payout_cancel", "payout_reversal", 1, nil, payment.SettledPayoutFailure},
		{"payout_failure", "", 1, nil, payment.SettledPayoutFailure},
		{"topup", "topup", 1, nil, payment.SettledOther},
		{"transfer", "transfer", -1, nil, payment.SettledOther},
		{"reserve_transaction", "risk_reserved_funds", -1, nil, payment.SettledOther},
		{"contribution", "contribution", -1, nil, payment.SettledOther},
	} {
		rows := settled(t, &statement{moves: []object{move("txn_1", c.kind, c.category, c.amount, c.source)}})
		if len(rows) != 1 || rows[0].Kind != c.want {
			t.Errorf("%s/%s of %d about %v: %+v, want %s", c.kind, c.category, c.amount, c.source, rows, c.want)
		}
	}
}

func TestASettlementKeepsToItsSpan(t *testing.T) {
	at := func(id string, second int) object {
		m := move(id, "charge", "charge", 1, nil)
		m["created"] = second
		return m
	}
	rows := settled(t, &statement{moves: []object{
		at("after", dayStart+86400), at("last", dayStart+86399), at("first", dayStart), at("before", dayStart-1),
	}})
	if len(rows) != 2 || rows[0].ID != "last" || rows[1].ID != "first" {
		t.Errorf("rows %+v", rows)
	}
	s := &statement{}
	if err := scripted(t, s.answer).Settlement(t.Context(), dayUntil, dayFrom, nil); err != nil || len(s.calls) != 0 {
		t.Errorf("a span of nothing: %v, %d calls", err, len(s.calls))
	}
}

func TestALostPageOfASettlementIsAskedForAgain(t *testing.T) {
	s := &statement{moves: []object{move("txn_3", "charge", "charge", 1, nil), move("txn_2", "charge", "charge", 1, nil), move("txn_1", "charge", "charge", 1, nil)}}
	s.trouble = func(call int) (int, any) {
		switch call {
		case 2:
			return http.StatusTooManyRequests, refusal("invalid_request_error", "rate_limit")
		case 4:
			return http.StatusInternalServerError, refusal("api_error", "")
		default:
			return 0, nil
		}
	}
	rows := settled(t, s)
	if len(rows) != 3 || rows[0].ID != "txn_3" || rows[2].ID != "txn_1" || len(s.calls) != 5 {
		t.Errorf("%d rows by %d calls: %+v", len(rows), len(s.calls), rows)
	}
}

func TestASettlementEndsWhenItIsToldTo(t *testing.T) {
	enough := errors.New("enough")
	s := &statement{moves: []object{move("txn_2", "charge", "charge", 1, nil), move("txn_1", "charge", "charge", 1, nil)}}
	seen := 0
	err := scripted(t, s.answer).Settlement(t.Context(), dayFrom, dayUntil, func(payment.SettlementRow) error { seen++; return enough })
	if !errors.Is(err, enough) || seen != 1 {
		t.Errorf("%d rows, %v", seen, err)
	}
	s = &statement{trouble: func(int) (int, any) { return http.StatusUnauthorized, refusal("invalid_request_error", "") }}
	err = scripted(t, s.answer).Settlement(t.Context(), dayFrom, dayUntil, func(payment.SettlementRow) error { return nil })
	if !isOne(err, payment.ErrRejected) || len(s.calls) != 1 {
		t.Errorf("wrong credentials: %v after %d calls", err, len(s.calls))
	}
}
