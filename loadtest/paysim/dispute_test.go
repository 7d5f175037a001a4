package paysim

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

// disputed is the dispute of a payment whose card disputes it, opened after the usual three days.
func (m *merchant) disputed(method string) (*stripe.PaymentIntent, *stripe.Dispute) {
	m.t.Helper()
	i := m.paid(1000, "eur", method)
	m.advance("72h")
	list := m.sdk.Disputes.List(&stripe.DisputeListParams{PaymentIntent: stripe.String(i.ID)})
	if !list.Next() {
		m.t.Fatalf("no dispute: %v", list.Err())
	}
	return i, list.Dispute()
}

// listDisputes lists the disputes that were opened since, on pages of one.
func (m *merchant) listDisputes(since int64) (refs []string) {
	m.t.Helper()
	params := &stripe.DisputeListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: since}}
	params.Limit = stripe.Int64(1)
	list := m.sdk.Disputes.List(params)
	for list.Next() {
		refs = append(refs, list.Dispute().ID)
	}
	if err := list.Err(); err != nil {
		m.t.Fatal(err)
	}
	return refs
}

func (m *merchant) answer(d *stripe.Dispute, text string) *stripe.Dispute {
	m.t.Helper()
	answered, err := m.sdk.Disputes.Update(d.ID, &stripe.DisputeParams{
		Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String(text), CustomerEmailAddress: stripe.String("a@b.example")}, Submit: stripe.Bool(true),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return answered
}

func TestADisputeTakesTheMoneyAndEvidenceBringsItBack(t *testing.T) {
	m := newMerchant(t, Config{WebhookEvents: []string{eventDisputed, eventDisputeWithdrawn, eventDisputeUpdated, eventDisputeClosed, eventDisputeReinstated}})
	i, d := m.disputed("pm_card_createDispute")
	if d.Status != stripe.DisputeStatusNeedsResponse || d.Amount != 1000 || d.Reason != stripe.DisputeReasonFraudulent || d.PaymentIntent.ID != i.ID ||
		d.EvidenceDetails.DueBy != m.sim.Now().Unix()+7*24*3600 || len(d.BalanceTransactions) != 1 || d.BalanceTransactions[0].Fee != 1500 || d.BalanceTransactions[0].Net != -2500 {
		t.Errorf("opened %+v", d)
	}
	if left := m.sim.Balances()["EUR"]; left != 0 {
		t.Errorf("%d left", left)
	}
	_, err := m.sdk.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(i.ID)})
	if code := codeOf(err); code != "charge_disputed" {
		t.Errorf("a refund of it: %s", code)
	}
	draft, err := m.sdk.Disputes.Update(d.ID, &stripe.DisputeParams{Evidence: &stripe.DisputeEvidenceParams{ServiceDate: stripe.String("2027-06-20")}, Submit: stripe.Bool(false)})
	if err != nil || draft.Status != stripe.DisputeStatusNeedsResponse || !draft.EvidenceDetails.HasEvidence || draft.EvidenceDetails.SubmissionCount != 0 {
		t.Errorf("a draft %+v, %v", draft, err)
	}
	won := m.answer(d, "winning_evidence")
	if won.Status != stripe.DisputeStatusWon || won.Evidence.ServiceDate != "2027-06-20" || won.EvidenceDetails.SubmissionCount != 1 || len(won.BalanceTransactions) != 2 {
		t.Errorf("won %+v", won)
	}
	if left := m.sim.Balances()["EUR"]; left != 1000 {
		t.Errorf("%d left", left)
	}
	if _, err := m.sdk.Disputes.Update(d.ID, &stripe.DisputeParams{Submit: stripe.Bool(true)}); err == nil {
		t.Error("a dispute that is decided takes evidence")
	}
	kinds, events := m.events(6)
	if got := strings.Join(kinds, " "); got != "charge.dispute.created charge.dispute.funds_withdrawn charge.dispute.updated charge.dispute.updated charge.dispute.closed charge.dispute.funds_reinstated" {
		t.Errorf("told %s", got)
	}
	var told stripe.Dispute
	if err := json.Unmarshal(events[0].Data.Raw, &told); err != nil || told.ID != d.ID || told.Status != stripe.DisputeStatusNeedsResponse || told.PaymentIntent.ID != i.ID {
		t.Errorf("told of %+v, %v", told, err)
	}
	b := m.consistent()
	if a := b.Accounts["EUR"]; a.Available != 1000 || a.Fees != 0 {
		t.Errorf("accounts %+v", b.Accounts)
	}
}

func TestADisputeIsLostByBadEvidenceOrByNone(t *testing.T) {
	m := newMerchant(t, Config{})
	_, d := m.disputed("pm_card_createDispute")
	if lost := m.answer(d, "losing_evidence"); lost.Status != stripe.DisputeStatusLost {
		t.Errorf("answered badly: %s", lost.Status)
	}
	_, d = m.disputed("pm_card_createDisputeProductNotReceived")
	m.advance("167h")
	if got, err := m.sdk.Disputes.Get(d.ID, nil); err != nil || got.Status != stripe.DisputeStatusNeedsResponse {
		t.Errorf("before it is due: %+v, %v", got, err)
	}
	m.advance("2h")
	if got, err := m.sdk.Disputes.Get(d.ID, nil); err != nil || got.Status != stripe.DisputeStatusLost {
		t.Errorf("after it was due: %+v, %v", got, err)
	}
	if b := m.consistent(); b.Disputed["EUR"] != 2000 || b.Balances["EUR"] != 0 || b.Accounts["EUR"].Available != -3000 {
		t.Errorf("books %+v", b)
	}
}

func TestTheSeedDecidesWhatTheBankMakesOfEvidence(t *testing.T) {
	outcomes := map[stripe.DisputeStatus]int{}
	for seed := range uint64(12) {
		m := newMerchant(t, Config{Seed: seed})
		_, d := m.disputed("pm_card_createDispute")
		if answered := m.answer(d, "they came, and we can show it"); answered.Status != stripe.DisputeStatusUnderReview {
			t.Fatalf("answered: %s", answered.Status)
		}
		m.advance("72h")
		decided, err := m.sdk.Disputes.Get(d.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		outcomes[decided.Status]++
		m.consistent()
	}
	if outcomes["won"] == 0 || outcomes["lost"] == 0 || outcomes["won"]+outcomes["lost"] != 12 {
		t.Errorf("decided %v", outcomes)
	}
}

func TestAnInquiryTakesNoMoney(t *testing.T) {
	ends := map[stripe.DisputeStatus]int{}
	for seed := range uint64(10) {
		m := newMerchant(t, Config{Seed: seed})
		i, d := m.disputed("pm_card_createDisputeInquiry")
		if d.Status != stripe.DisputeStatusWarningNeedsResponse || m.sim.Balances()["EUR"] != 1000 || !d.IsChargeRefundable {
			t.Errorf("asked %+v", d)
		}
		if seed == 0 {
			m.expect("a refund while it is asked", m.call("POST", "/v1/refunds", "payment_intent", i.ID), 200)
		}
		m.advance("169h")
		left, err := m.sdk.Disputes.Get(d.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		ends[left.Status]++
		m.consistent()
	}
	if ends["warning_closed"] == 0 || ends["needs_response"] == 0 {
		t.Errorf("unanswered inquiries became %v", ends)
	}
	m := newMerchant(t, Config{})
	_, d := m.disputed("pm_card_createDisputeInquiry")
	if answered := m.answer(d, "it is fine"); answered.Status != stripe.DisputeStatusWarningUnderReview {
		t.Errorf("answered: %s", answered.Status)
	}
	m.advance("72h")
	if got, err := m.sdk.Disputes.Get(d.ID, nil); err != nil || got.Status != stripe.DisputeStatusWarningClosed {
		t.Errorf("in the end %+v, %v", got, err)
	}
}

func TestADisputeIsOpenedByHand(t *testing.T) {
	a := newAPI(t, Config{})
	id, secret := a.create()
	a.confirm(id, secret, "pm_card_visa")
	a.expect("nothing was taken", a.call("POST", "/_paysim/dispute", "payment_intent", id), 400)
	a.call("POST", "/v1/payment_intents/"+id+"/capture")
	a.expect("without a key", a.call("POST", "/_paysim/dispute", "Authorization", "", "payment_intent", id), 401)
	a.expect("of nothing", a.call("POST", "/_paysim/dispute", "payment_intent", "pi_0"), 404)
	a.expect("too much", a.call("POST", "/_paysim/dispute", "payment_intent", id, "amount", "1001"), 400)
	a.postAsCurl("/_paysim/dispute", `{"payment_intent":"`+id+`","reason":"duplicate","amount":"400"}`)
	a.expect("another one", a.call("POST", "/_paysim/dispute", "payment_intent", id), 400)
	b := a.consistent()
	if len(b.Disputes) != 1 || b.Disputes[0].Amount != 400 || b.Disputes[0].Reason != "duplicate" || b.Balances["EUR"] != 600 {
		t.Errorf("books %+v", b.Disputes)
	}
	d := "/v1/disputes/" + b.Disputes[0].ID
	a.expect("no such field", a.call("POST", d, "evidence[poem]", "x"), 400, "error", "code", "parameter_unknown")
	a.expect("too long", a.call("POST", d, "evidence[uncategorized_text]", strings.Repeat("x", maxEvidence+1)), 400)
	a.expect("no boolean", a.call("POST", d, "submit", "perhaps"), 400)
	a.expect("no such dispute", a.call("POST", "/v1/disputes/dp_0", "submit", "true"), 404)
}
