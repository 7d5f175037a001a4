package paysim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// statement is every row that the library is told of, newest first, three at a time.
func (m *merchant) statement(params *stripe.BalanceTransactionListParams) (rows []*stripe.BalanceTransaction) {
	m.t.Helper()
	params.Limit = stripe.Int64(3)
	params.AddExpand("data.source")
	list := m.sdk.BalanceTransactions.List(params)
	for list.Next() {
		rows = append(rows, list.BalanceTransaction())
	}
	if list.Err() != nil {
		m.t.Fatal(list.Err())
	}
	return rows
}

func kindsOf(rows []*stripe.BalanceTransaction) string {
	var kinds []string
	for _, r := range rows {
		kinds = append(kinds, fmt.Sprintf("%s %d-%d", r.Type, r.Amount, r.Fee))
	}
	return strings.Join(kinds, ", ")
}

func TestTheStatementShowsEveryMovement(t *testing.T) {
	m := newMerchant(t, Config{FeePercent: 2.9, FeeFixed: 30, ScreeningFee: 5, AvailableAfter: 48 * time.Hour, PayoutEvery: 24 * time.Hour,
		WebhookEvents: []string{"payout.created", "payout.paid"}})
	i := m.paid(10_000, "eur", "pm_card_createDispute")
	m.paid(2_000, "eur", "pm_card_bypassPending")
	balance, err := m.sdk.Balance.Get(nil)
	if err != nil || balance.Pending[0].Amount != 10_000-320 || balance.Available[0].Amount != 2_000-88 {
		t.Fatalf("balance %+v, %v", balance, err)
	}
	if _, err := m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID), Amount: stripe.Int64(1_000), Metadata: map[string]string{"refund_id": "r1"}}); err != nil {
		t.Fatal(err)
	}
	m.advance("96h") // the dispute is opened on the third day
	rows := m.statement(&stripe.BalanceTransactionListParams{})
	const want = "adjustment -9000-1500, payout -9680-0, payout -902-0, stripe_fee -10-0, refund -1000-0, charge 2000-88, charge 10000-320"
	if got := kindsOf(rows); got != want {
		t.Fatalf("rows %s\nwant %s", got, want)
	}
	charge, back, dispute := rows[6], rows[4], rows[0]
	if charge.Source.Charge.Metadata["payment_id"] == "" || charge.Source.Charge.PaymentIntent.ID != i.ID || charge.FeeDetails[0].Amount != 320 ||
		charge.AvailableOn != charge.Created+48*3600 || charge.Net != 9680 || charge.ExchangeRate != 0 {
		t.Errorf("charge %+v", charge)
	}
	if back.Source.Refund.Metadata["refund_id"] != "r1" || back.Source.Refund.Charge.ID != i.LatestCharge.ID {
		t.Errorf("refund %+v", back.Source.Refund)
	}
	if dispute.Source.Dispute.PaymentIntent.ID != i.ID || dispute.ReportingCategory != "dispute" {
		t.Errorf("dispute %+v", dispute)
	}
	payouts := m.sdk.Payouts.List(&stripe.PayoutListParams{})
	var paid []string
	for payouts.Next() {
		p := payouts.Payout()
		paid = append(paid, fmt.Sprint(p.Amount, " ", p.Status, " ", kindsOf(m.statement(&stripe.BalanceTransactionListParams{Payout: stripe.String(p.ID)}))))
	}
	if got := strings.Join(paid, "; "); got != "9680 paid payout -9680-0, charge 10000-320; 902 paid payout -902-0, stripe_fee -10-0, refund -1000-0, charge 2000-88" {
		t.Errorf("payouts %s", got)
	}
	if got := kindsOf(m.statement(&stripe.BalanceTransactionListParams{Type: stripe.String("charge")})); got != "charge 2000-88, charge 10000-320" {
		t.Errorf("charges %s", got)
	}
	second := rows[1].Created
	if got := kindsOf(m.statement(&stripe.BalanceTransactionListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: second, LesserThan: second + 1}})); got != "payout -9680-0" {
		t.Errorf("of one second: %s", got)
	}
	one, err := m.sdk.BalanceTransactions.Get(charge.ID, nil)
	if err != nil || one.Amount != 10_000 {
		t.Errorf("one %+v, %v", one, err)
	}
	m.expect("none", m.call("GET", "/v1/balance_transactions/txn_0"), 404)
	kinds, _ := m.events(4)
	if got := strings.Join(kinds, " "); got != "payout.created payout.paid payout.created payout.paid" {
		t.Errorf("told %s", got)
	}
	if a := m.consistent().Accounts["EUR"]; a.PaidOut != 10_582 || a.Fees != 1908 || a.Billed != 10 || a.Available != -10_500 {
		t.Errorf("accounts %+v", a)
	}
}

func TestMoneyIsChangedAtOneRateAndNothingIsLostByRounding(t *testing.T) {
	m := newMerchant(t, Config{SettlementCurrency: "eur", Seed: 4})
	for _, currency := range []string{"usd", "jpy", "kwd"} {
		i := m.paid(1_001, currency, "pm_card_visa")
		for range 3 {
			m.expect("a part", m.call("POST", "/v1/refunds", "payment_intent", i.ID, "amount", "333"), 200)
		}
		m.expect("the rest", m.call("POST", "/v1/refunds", "payment_intent", i.ID), 200)
		rows := m.statement(&stripe.BalanceTransactionListParams{})
		charge, left := rows[4], int64(0)
		for _, r := range rows[:5] {
			left += r.Net
		}
		if left != 0 || charge.Currency != "eur" || charge.ExchangeRate == 0 || charge.Source.Charge.Amount != 1_001 || string(charge.Source.Charge.Currency) != currency {
			t.Errorf("%s: %d left of %+v", currency, left, charge)
		}
		inMajor := func(minor int64, currency string) float64 { return float64(minor) / math.Pow10(exponent(currency)) }
		if got, want := inMajor(charge.Amount, "eur"), inMajor(1_001, currency)*charge.ExchangeRate; math.Abs(got-want) > 0.00501 {
			t.Errorf("%s: %v at %v came to %v", currency, inMajor(1_001, currency), charge.ExchangeRate, got)
		}
	}
	if b := m.consistent(); b.Accounts["EUR"].Available != 0 || b.Balances["JPY"] != 0 || b.Captured["JPY"] != 1_001 {
		t.Errorf("books %+v", b)
	}
}

func TestAPayoutMayComeBack(t *testing.T) {
	m := newMerchant(t, Config{PayoutEvery: 24 * time.Hour, PayoutTakes: time.Hour, Faults: Faults{PayoutFailed: 1}, WebhookEvents: []string{"payout.failed"}})
	m.paid(1_000, "eur", "pm_card_visa")
	m.advance("14h")
	if got := kindsOf(m.statement(&stripe.BalanceTransactionListParams{})); got != "payout_failure 1000-0, payout -1000-0, charge 1000-0" {
		t.Errorf("rows %s", got)
	}
	m.events(1)
	if b := m.consistent(); b.Accounts["EUR"].Available != 1_000 || b.Payouts[0].Status != "failed" {
		t.Errorf("books %+v", b.Payouts)
	}
	m.advance("23h30m")
	if b := m.consistent(); len(b.Payouts) != 2 {
		t.Errorf("it is not tried again: %+v", b.Payouts)
	}
}

func TestTheBooksKnowEveryMistakeOfTheStatement(t *testing.T) {
	m := newMerchant(t, Config{Seed: 9, Rate: 1e6, Faults: Faults{SettlementMissing: 0.1, SettlementExtra: 0.1, SettlementAltered: 0.1}})
	for n := range 60 {
		id, secret := m.create("metadata[payment_id]", fmt.Sprint("p", n), "metadata[order_id]", fmt.Sprint("o", n))
		m.confirm(id, secret, "pm_card_visa")
		m.call("POST", "/v1/payment_intents/"+id+"/capture")
	}
	shown := make(map[string]int64)
	for _, r := range m.statement(&stripe.BalanceTransactionListParams{}) {
		shown[r.ID] = r.Amount
	}
	b := m.consistent()
	st := b.Statement
	if len(st.Missing) == 0 || len(st.Extra) == 0 || len(st.Altered) == 0 || len(shown) != st.Rows || st.Rows != 60-len(st.Missing)+len(st.Extra) {
		t.Errorf("%d rows, missing %d, extra %d, altered %d", len(shown), len(st.Missing), len(st.Extra), len(st.Altered))
	}
	for _, one := range st.Missing {
		if _, there := shown[one.Row]; there || one.Amount != 1_000 || !strings.HasPrefix(one.Payment, "p") {
			t.Errorf("missing %+v", one)
		}
	}
	for _, one := range st.Altered {
		if shown[one.Row] != one.Shown || one.Shown == one.Amount {
			t.Errorf("altered %+v is shown as %d", one, shown[one.Row])
		}
	}
	for _, one := range st.Extra {
		if shown[one.Row] != one.Shown {
			t.Errorf("extra %+v is shown as %d", one, shown[one.Row])
		}
	}
	for id, amount := range shown {
		if amount != 1_000 && !strings.Contains(fmt.Sprint(st.Altered), id) {
			t.Errorf("row %s shows %d and is on no list", id, amount)
		}
	}
}

func TestLargeBooksAreReadInParts(t *testing.T) {
	a := newAPI(t, Config{Rate: 1e6})
	for n := range 25 {
		id, secret := a.create("metadata[order_id]", fmt.Sprint("o", n/2), "metadata[payment_id]", fmt.Sprint("p", n))
		a.confirm(id, secret, "pm_card_visa")
		a.call("POST", "/v1/payment_intents/"+id+"/capture")
		if n%5 == 0 {
			a.call("POST", "/v1/refunds", "payment_intent", id, "amount", "10")
		}
	}
	whole := a.consistent()
	var part Books
	if err := json.Unmarshal([]byte(a.call("GET", "/_paysim/books", "offset", "20", "limit", "10").text), &part); err != nil {
		t.Fatal(err)
	}
	if len(part.Intents) != 5 || part.Intents[0] != whole.Intents[20] || len(part.Refunds) != 0 || part.Counts.Refunds != 5 || part.Captured["EUR"] != 25_000 {
		t.Errorf("part %+v", part)
	}
	a.expect("nonsense", a.call("GET", "/_paysim/books", "offset", "-1"), 400)
	lines := bufio.NewScanner(strings.NewReader(a.call("GET", "/_paysim/books.jsonl").text))
	counts := map[string]int{}
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Intent != nil:
			if *l.Intent != whole.Intents[counts["intents"]] {
				t.Errorf("streamed %+v", l.Intent)
			}
			counts["intents"]++
		case l.Refund != nil:
			counts["refunds"]++
		case l.Totals != nil:
			if counts["intents"] != 25 || l.Totals.Balances["EUR"] != whole.Balances["EUR"] || !l.Totals.Consistent {
				t.Errorf("totals %+v after %v", l.Totals, counts)
			}
			counts["totals"]++
		}
	}
	if counts["refunds"] != 5 || counts["totals"] != 1 {
		t.Errorf("streamed %v", counts)
	}
	if len(whole.Orders) != 13 || whole.Orders[0].Charges != 2 || whole.Orders[0].Captured != 2_000 || whole.Orders[0].Refunded != 10 {
		t.Errorf("orders %+v", whole.Orders)
	}
	one := a.call("GET", "/_paysim/orders/o0")
	if len(one.body["intents"].([]any)) != 2 || len(one.body["refunds"].([]any)) != 1 {
		t.Errorf("one order %s", one.text)
	}
}

func TestTheFormWorksInAFrameOfOurOwn(t *testing.T) {
	const shop = "https://tickets.example"
	a := newAPI(t, Config{FrameAncestors: []string{shop, "https://other.example"}})
	id, secret := a.create()
	page := a.call("GET", "/pay/"+id, "client_secret", secret, "embed", "1", "parent", shop)
	a.expect("the form", page, 200)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "frame-ancestors "+shop+" https://other.example") || !strings.Contains(policy, "script-src 'nonce-") {
		t.Errorf("policy %s", policy)
	}
	paid := a.call("POST", "/pay/"+id, "client_secret", secret, "embed", "1", "parent", shop, "card", "4242424242424242", "return_url", shop+"/done")
	a.expect("paid inside the frame", paid, 200)
	for _, part := range []string{`type: "paysim:done"`, `status: "requires_capture"`, `"https://tickets.example"`} {
		if !strings.Contains(strings.ReplaceAll(paid.text, `\/`, `/`), part) {
			t.Errorf("the page lacks %s: %s", part, paid.text)
		}
	}
	stranger := a.call("GET", "/pay/"+id, "client_secret", secret, "embed", "1", "parent", "https://evil.example")
	if strings.Contains(stranger.text, "postMessage") || strings.Contains(stranger.text, "evil") {
		t.Error("a stranger's page is told")
	}
	alone := a.call("GET", "/pay/"+id, "client_secret", secret)
	if strings.Contains(alone.text, "<script") || !strings.Contains(alone.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("not in a frame it has %v", alone.header)
	}
	nobody := newAPI(t, Config{})
	id, secret = nobody.create()
	if page := nobody.call("GET", "/pay/"+id, "client_secret", secret, "embed", "1", "parent", shop); !strings.Contains(page.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("without frame_ancestors: %v", page.header)
	}
	for _, wrong := range []string{"tickets.example", "https://a.example/path", "https://*.example", "https://a.example; script-src *"} {
		if _, err := New(Config{FrameAncestors: []string{wrong}}); err == nil {
			t.Errorf("%q is taken for an origin", wrong)
		}
	}
}
