package paysim

import (
	"net/http"
	"sort"
	"strconv"
)

// statement is what the provider tells about the movements of the balance: what truly moved, but for what it gets wrong on
// the seed. It notes each of its mistakes. It is guarded by the Server's mutex.
type statement struct {
	rows    []*row // oldest first
	missing []BookedMistake
	extra   []BookedMistake
	altered []BookedMistake
}

// row is one line of the statement.
type row struct {
	*txn
	id      string
	altered int64 // what the amount is shown to be too much, or too little when negative
	extra   bool  // nothing moved
}

// enter puts a movement onto the statement. The caller holds the mutex.
func (s *Server) enter(t *txn) {
	f, st := &s.cfg.Faults, &s.account.statement
	if f.SettlementMissing > 0 || f.SettlementExtra > 0 || f.SettlementAltered > 0 {
		t.name = numbered(t.name, s.dice.nth("row "+t.name))
	}
	r := &row{txn: t, id: t.id}
	switch {
	case s.dice.hits("row missing", t.name, f.SettlementMissing):
		st.missing = append(st.missing, r.booked())
		r = nil
	case s.dice.hits("row altered", t.name, f.SettlementAltered):
		by := 1 + int64(s.dice.throw("altered by", t.name)*500)
		if s.dice.hits("altered down", t.name, 0.5) {
			by = -by
		}
		r.altered = by
		st.altered = append(st.altered, r.booked())
	}
	if r != nil {
		st.add(r)
	}
	if s.dice.hits("row extra", t.name, f.SettlementExtra) {
		again := &row{txn: t, id: s.newID("txn_"), extra: true}
		if s.dice.hits("extra without source", t.name, 0.5) {
			again.txn = &txn{kind: txnAdjustment, category: "other_adjustment", currency: t.currency, amount: t.amount, fee: 0,
				created: t.created, available: t.available, description: "Adjustment"}
		}
		st.add(again)
		st.extra = append(st.extra, again.booked())
	}
}

func (st *statement) add(r *row) {
	st.rows = append(st.rows, r)
	if r.payout != nil {
		r.payout.rows = append(r.payout.rows, r)
	}
}

// booked is a mistake as the books have it.
func (r *row) booked() BookedMistake {
	m := BookedMistake{
		Row: r.id, Type: r.kind, Source: r.source, Currency: upper(r.currency), Amount: r.amount, Shown: r.amount + r.altered, Created: r.created,
	}
	if r.of != nil {
		m.Order, m.Payment = r.of.value("order_id"), r.of.value(metadataPayment)
	}
	return m
}

// listTransactions answers GET /v1/balance_transactions.
func (s *Server) listTransactions(c *call) (*reply, bool) {
	p := readParams(c.form)
	kind, payout, currency, source := p.text("type"), p.text("payout"), p.text("currency"), p.text("source")
	page, expand := p.page(), p.expands("data.source")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.account.statement.rows
	if payout != "" {
		found := s.payoutByID[payout]
		if found == nil {
			return refusal(missing("payout", payout)), false
		}
		rows = found.rows
	}
	now := s.clock.now().Unix()
	return page.reply(listed{
		url: "/v1/balance_transactions", what: "balance transaction", len: len(rows),
		id:      func(n int) string { return rows[n].id },
		created: func(n int) int64 { return rows[n].created },
		keep: func(n int) bool {
			r := rows[n]
			return (kind == "" || r.kind == kind) && (currency == "" || r.currency == currency) && (source == "" || r.source == source)
		},
		show: func(n int) any { return rows[n].json(now, expand) },
	}), true
}

// retrieveTransaction answers GET /v1/balance_transactions/{id}.
func (s *Server) retrieveTransaction(c *call) (*reply, bool) {
	p := readParams(c.form)
	expand := p.expands("source")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := s.account.statement.rows
	n := sort.Search(len(rows), func(n int) bool { return number(rows[n].id) >= number(id) })
	if n == len(rows) || rows[n].id != id {
		return refusal(missing("balance transaction", id)), false
	}
	return &reply{status: http.StatusOK, other: encode(rows[n].json(s.clock.now().Unix(), expand))}, true
}

// txnJSON is a balance transaction as Stripe shows it.
type txnJSON struct {
	ID                string    `json:"id"`
	Object            string    `json:"object"`
	Amount            int64     `json:"amount"`
	AvailableOn       int64     `json:"available_on"`
	Created           int64     `json:"created"`
	Currency          string    `json:"currency"`
	Description       *string   `json:"description"`
	ExchangeRate      *rate     `json:"exchange_rate"`
	Fee               int64     `json:"fee"`
	FeeDetails        []feeJSON `json:"fee_details"`
	Net               int64     `json:"net"`
	ReportingCategory string    `json:"reporting_category"`
	Source            any       `json:"source"` // its id, or the object where that is asked for
	Status            string    `json:"status"`
	Type              string    `json:"type"`
}

type feeJSON struct {
	Amount      int64   `json:"amount"`
	Application *string `json:"application"`
	Currency    string  `json:"currency"`
	Description string  `json:"description"`
	Type        string  `json:"type"`
}

// rate is an exchange rate in millionths, which JSON shows as a decimal.
type rate int64

// MarshalJSON writes the rate without ever making a float of it.
func (r rate) MarshalJSON() ([]byte, error) {
	whole, part := int64(r)/million, int64(r)%million
	text := strconv.AppendInt(nil, whole, 10)
	text = append(text, '.')
	return append(text, strconv.FormatInt(million+part, 10)[1:]...), nil
}

// json shows the row. The caller holds the mutex.
func (r *row) json(now int64, expand bool) txnJSON {
	o := txnJSON{
		ID: r.id, Object: "balance_transaction", Amount: r.amount + r.altered, AvailableOn: r.available, Created: r.created, Currency: r.currency,
		Description: optional(r.description), Fee: r.fee, FeeDetails: []feeJSON{}, Net: r.net() + r.altered, ReportingCategory: r.category,
		Source: optional(r.source), Status: "available", Type: r.kind,
	}
	if r.available > now {
		o.Status = "pending"
	}
	if r.txn.rate != 0 {
		shown := rate(r.txn.rate)
		o.ExchangeRate = &shown
	}
	if r.fee != 0 {
		what := "Stripe processing fees"
		if r.kind == txnAdjustment {
			what = "Dispute fee"
		}
		o.FeeDetails = append(o.FeeDetails, feeJSON{Amount: r.fee, Currency: r.currency, Description: what, Type: "stripe_fee"})
	}
	if expand && r.shows != nil {
		if shows := r.shows(); shows != nil {
			o.Source = shows.show()
		}
	}
	return o
}
