package paysim

import (
	"maps"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"time"
)

// payout is money on its way to the merchant's bank. It is guarded by the Server's mutex; what shows is a copy.
type payout struct {
	id       string
	amount   int64
	currency string
	created  int64
	arrival  int64
	status   string
	txn      string
	failed   string // the movement that brought the money back
	paid     []*txn // what it pays out
	rows     []*row // as the statement has it, itself included
	name     string
}

const (
	payoutInTransit = "in_transit"
	payoutPaid      = "paid"
	payoutFailed    = "failed"
)

// fixedOfPayout is what the events of all payouts belong to.
var fixedOfPayout = &fixed{id: "payouts", metadata: [][2]string{{metadataPayment, "payouts"}}}

// planPayouts has the next payout made when it is time. The caller holds the mutex or has not shared the Server yet.
func (s *Server) planPayouts() {
	every := s.cfg.PayoutEvery
	if every <= 0 {
		return
	}
	s.at(s.clock.now().Truncate(every).Add(every), func() []*event {
		s.planPayouts()
		return s.payOut()
	})
}

// payOut sends what is available in each currency to the merchant's bank, after the fees that are not kept of a charge.
func (s *Server) payOut() (events []*event) {
	now := s.clock.now()
	for _, currency := range slices.Sorted(maps.Keys(s.account.purses)) {
		s.chargeScreening(currency, now)
		p := s.account.purses[currency]
		p.mature(now.Unix())
		if p.available <= 0 {
			continue
		}
		out := &payout{
			id: s.newID("po_"), amount: p.available, currency: currency, created: now.Unix(), arrival: now.Add(s.cfg.PayoutTakes).Unix(),
			status: payoutInTransit, paid: p.ready, name: "payout " + currency + " " + strconv.FormatInt(now.Unix(), 10),
		}
		p.ready = nil
		s.payouts = append(s.payouts, out)
		s.payoutByID[out.id] = out
		for _, t := range out.paid {
			t.payout = out
		}
		s.rowsOf(out)
		t := &txn{kind: txnPayout, category: "payout", currency: currency, amount: -out.amount, source: out.id, payout: out,
			description: "STRIPE PAYOUT", name: out.name, shows: out.now}
		s.move(t)
		out.txn = t.id
		events = append(events, s.newEvent("payout.created", fixedOfPayout, *out, nil))
		s.after(s.cfg.PayoutTakes, func() []*event { return s.arrives(out) })
	}
	return events
}

// rowsOf gathers the rows of what a payout pays out, in the order of the statement.
func (s *Server) rowsOf(out *payout) {
	oldest := out.created
	for _, t := range out.paid {
		oldest = min(oldest, t.created)
	}
	rows := s.account.statement.rows
	first := sort.Search(len(rows), func(n int) bool { return rows[n].created >= oldest })
	for _, r := range rows[first:] {
		if r.payout == out {
			out.rows = append(out.rows, r)
		}
	}
}

// chargeScreening books the fee for the charges that were screened since the last time.
func (s *Server) chargeScreening(currency string, now time.Time) {
	n := s.account.screened[currency]
	if n == 0 || s.cfg.ScreeningFee == 0 {
		return
	}
	s.account.screened[currency] = 0
	s.move(&txn{kind: txnFee, category: "fee", currency: currency, amount: -n * s.cfg.ScreeningFee,
		description: "Radar (" + now.UTC().Format(time.DateOnly) + "): " + strconv.FormatInt(n, 10) + " screened",
		name:        "screening " + currency + " " + now.UTC().Format(time.RFC3339)})
}

// arrives ends a payout: at the bank, or back with us.
func (s *Server) arrives(out *payout) []*event {
	if s.dice.hits("payout fails", out.name, s.cfg.Faults.PayoutFailed) {
		out.status = payoutFailed
		t := &txn{kind: txnPayoutFailure, category: "payout_reversal", currency: out.currency, amount: out.amount, source: out.id,
			description: "PAYOUT FAILURE", name: "failure of " + out.name, shows: out.now}
		s.move(t)
		out.failed = t.id
		return []*event{s.newEvent("payout.failed", fixedOfPayout, *out, nil)}
	}
	out.status = payoutPaid
	return []*event{s.newEvent("payout.paid", fixedOfPayout, *out, nil)}
}

// now is the payout as it is now. The caller holds the mutex.
func (p *payout) now() shower { return *p }

// listPayouts answers GET /v1/payouts.
func (s *Server) listPayouts(c *call) (*reply, bool) {
	p := readParams(c.form)
	status, page := p.text("status"), p.page()
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return page.reply(listed{
		url: "/v1/payouts", what: "payout", len: len(s.payouts),
		id:      func(n int) string { return s.payouts[n].id },
		created: func(n int) int64 { return s.payouts[n].created },
		keep:    func(n int) bool { return status == "" || s.payouts[n].status == status },
		show:    func(n int) any { return s.payouts[n].show() },
	}), true
}

// retrievePayout answers GET /v1/payouts/{id}.
func (s *Server) retrievePayout(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.payoutByID[id]
	if found == nil {
		return refusal(missing("payout", id)), false
	}
	return &reply{status: http.StatusOK, other: encode(found.show())}, true
}

// payoutJSON is a payout as Stripe shows it.
type payoutJSON struct {
	ID                        string  `json:"id"`
	Object                    string  `json:"object"`
	Amount                    int64   `json:"amount"`
	ArrivalDate               int64   `json:"arrival_date"`
	Automatic                 bool    `json:"automatic"`
	BalanceTransaction        string  `json:"balance_transaction"`
	Created                   int64   `json:"created"`
	Currency                  string  `json:"currency"`
	FailureBalanceTransaction *string `json:"failure_balance_transaction"`
	FailureCode               *string `json:"failure_code"`
	Livemode                  bool    `json:"livemode"`
	Method                    string  `json:"method"`
	ReconciliationStatus      string  `json:"reconciliation_status"`
	SourceType                string  `json:"source_type"`
	Status                    string  `json:"status"`
	Type                      string  `json:"type"`
}

// show is the payout as an answer or an event shows it.
func (p payout) show() any {
	o := payoutJSON{
		ID: p.id, Object: "payout", Amount: p.amount, ArrivalDate: p.arrival, Automatic: true, BalanceTransaction: p.txn, Created: p.created,
		Currency: p.currency, FailureBalanceTransaction: optional(p.failed), Method: "standard", ReconciliationStatus: "completed",
		SourceType: "card", Status: p.status, Type: "bank_account",
	}
	if p.status == payoutFailed {
		o.FailureCode = optional("account_closed")
	}
	return o
}

func (p payout) about() string { return p.id }
