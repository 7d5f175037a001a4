package paysim

import (
	"slices"
	"strings"
)

// Books is what the provider has on record: GET /_paysim/books. Amounts are in minor units, currencies upper case. Maps by
// currency are by that in which the buyers paid, but for Accounts.
type Books struct {
	Intents  []BookedIntent  `json:"intents"` // in the order in which they were made, as all lists are
	Orders   []BookedOrder   `json:"orders"`
	Refunds  []BookedRefund  `json:"refunds"`
	Disputes []BookedDispute `json:"disputes"`
	Payouts  []BookedPayout  `json:"payouts"`
	// Statement is what the provider's statement gets wrong.
	Statement BookedStatement `json:"statement"`
	// Counts says how long the lists are, also where they are left out.
	Counts BookedCounts `json:"counts"`

	Balances   map[string]int64         `json:"balances"` // captured, less what was given back and is or was lost to disputes
	Captured   map[string]int64         `json:"captured"`
	Refunded   map[string]int64         `json:"refunded"`   // by refunds that have not failed
	Disputed   map[string]int64         `json:"disputed"`   // taken back by disputes that are open or lost
	Authorized map[string]int64         `json:"authorized"` // reserved and not captured
	Accounts   map[string]BookedAccount `json:"accounts"`   // by the currency of the balance
	Statuses   map[string]int           `json:"statuses"`
	Voided     int                      `json:"voided"` // intents that were canceled after money had been reserved or tried
	// Consistent says that what was kept as the money moved is what intents, refunds, disputes, payouts and movements add up to.
	Consistent bool `json:"consistent"`
	// Problems says what does not add up, ten lines at most.
	Problems []string     `json:"problems,omitempty"`
	PayPal   *PayPalBooks `json:"paypal,omitempty"` // the PayPal side's own, which nothing above counts
	Webhooks WebhookCount `json:"webhooks"`
	Calls    CallCount    `json:"calls"`
}

// BookedIntent is one payment as the provider has it.
type BookedIntent struct {
	ID       string `json:"id"`
	Order    string `json:"order"`   // metadata order_id
	Payment  string `json:"payment"` // metadata payment_id
	Attempt  string `json:"attempt"` // metadata attempt
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"`
	Disputed int64  `json:"disputed"`
	Currency string `json:"currency"`
	Charges  int    `json:"charges"` // cards charged or declined
	Created  int64  `json:"created"`
}

// BookedOrder is what all payments of one order come to: metadata order_id. An order that was paid in several currencies is
// listed once for each.
type BookedOrder struct {
	Order      string `json:"order"`
	Currency   string `json:"currency"`
	Payments   int    `json:"payments"` // intents
	Charges    int    `json:"charges"`  // of them, those that have taken money; more than one is a buyer charged twice
	Captured   int64  `json:"captured"`
	Refunded   int64  `json:"refunded"`
	Disputed   int64  `json:"disputed"`
	Authorized int64  `json:"authorized"`
}

// BookedRefund is one refund as the provider has it.
type BookedRefund struct {
	ID       string `json:"id"`
	Intent   string `json:"intent"`
	Refund   string `json:"refund"` // metadata refund_id
	Order    string `json:"order"`  // of the intent
	Payment  string `json:"payment"`
	Amount   int64  `json:"amount"`
	Settled  int64  `json:"settled"` // in the currency of the balance
	Currency string `json:"currency"`
	Status   string `json:"status"` // pending, succeeded or failed
	Failure  string `json:"failure,omitempty"`
	Created  int64  `json:"created"`
}

// BookedDispute is one dispute as the provider has it.
type BookedDispute struct {
	ID        string `json:"id"`
	Intent    string `json:"intent"`
	Order     string `json:"order"`
	Payment   string `json:"payment"`
	Amount    int64  `json:"amount"`
	Settled   int64  `json:"settled"`
	Currency  string `json:"currency"`
	Reason    string `json:"reason"`
	Status    string `json:"status"`
	Withdrawn bool   `json:"withdrawn"` // the money is with the bank
	Evidence  int    `json:"evidence"`  // times that evidence was handed in
	Created   int64  `json:"created"`
	DueBy     int64  `json:"due_by"`
}

// BookedPayout is one payout as the provider has it.
type BookedPayout struct {
	ID       string `json:"id"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Status   string `json:"status"` // in_transit, paid or failed
	Movement int    `json:"movements"`
	Created  int64  `json:"created"`
	Arrival  int64  `json:"arrival"`
}

// BookedAccount is the balance in one currency.
type BookedAccount struct {
	Available int64 `json:"available"`
	Pending   int64 `json:"pending"`
	Fees      int64 `json:"fees"`   // what the provider has kept of charges and disputes
	Billed    int64 `json:"billed"` // and charged by itself
	PaidOut   int64 `json:"paid_out"`
	Movements int   `json:"movements"`
}

// BookedStatement is what the provider's statement gets wrong: movements it leaves out, makes up, or shows with another amount.
type BookedStatement struct {
	Rows    int             `json:"rows"`
	Missing []BookedMistake `json:"missing"`
	Extra   []BookedMistake `json:"extra"`
	Altered []BookedMistake `json:"altered"`
}

// BookedMistake is one such movement. Row is the id it has, or would have, on the statement.
type BookedMistake struct {
	Row      string `json:"row"`
	Type     string `json:"type"`
	Source   string `json:"source"`
	Order    string `json:"order"`
	Payment  string `json:"payment"`
	Currency string `json:"currency"`
	Amount   int64  `json:"amount"` // what truly moved, or would have if it had
	Shown    int64  `json:"shown"`
	Created  int64  `json:"created"`
}

// BookedCounts is how long the lists of the books are.
type BookedCounts struct {
	Intents  int `json:"intents"`
	Refunds  int `json:"refunds"`
	Disputes int `json:"disputes"`
	Payouts  int `json:"payouts"`
}

// WebhookCount says what became of the events.
type WebhookCount struct {
	Created    int64 `json:"created"`
	Delivered  int64 `json:"delivered"` // accepted with a 2xx; an event sent twice counts twice
	Early      int64 `json:"early"`     // of those, before the answer to the call
	Repeated   int64 `json:"repeated"`
	Retried    int64 `json:"retried"`
	Lost       int64 `json:"lost"`
	Late       int64 `json:"late"` // sent long after
	GivenUp    int64 `json:"given_up"`
	Overflowed int64 `json:"overflowed"` // dropped: no endpoint, or too many waiting
	Pending    int64 `json:"pending"`
}

// CallCount says what became of the calls of the API.
type CallCount struct {
	Served   int64 `json:"served"`
	Replayed int64 `json:"replayed"` // answered from an idempotency key
	Limited  int64 `json:"limited"`  // 429
	Failed   int64 `json:"failed"`   // 500 on purpose
	Lost     int64 `json:"lost"`     // carried out and not answered
	Cut      int64 `json:"cut"`      // neither carried out nor answered
	Slow     int64 `json:"slow"`
	OnWay    int64 `json:"on_way"`  // carried out late
	Refused  int64 `json:"refused"` // wrong key, or idempotency key in use or used otherwise
}

func upper(currency string) string { return strings.ToUpper(currency) }

// Balances is the money held for buyers' payments, by upper-case currency, whatever was paid out of it.
func (s *Server) Balances() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.balancesNow()
}

func (s *Server) balancesNow() map[string]int64 {
	balances := make(map[string]int64, len(s.balances))
	for currency, minor := range s.balances {
		balances[upper(currency)] = minor
	}
	return balances
}

// Books reads the books, as of one moment.
func (s *Server) Books() Books {
	s.mu.Lock()
	b := s.totals()
	b.Intents, b.Refunds, b.Disputes, b.Payouts = bookAll(s.intents), bookAll(s.refunds), bookAll(s.disputes), bookAll(s.payouts)
	s.mu.Unlock()
	b.Orders = ordersOf(b.Intents)
	return b
}

// booked is something that the books have a line of.
type booked[B any] interface{ booked() B }

// bookAll are the lines of a list. The caller holds the mutex.
func bookAll[B any, T booked[B]](list []T) []B {
	lines := make([]B, len(list))
	for n, one := range list {
		lines[n] = one.booked()
	}
	return lines
}

func (i *intent) booked() BookedIntent {
	return BookedIntent{
		ID: i.id, Order: i.value("order_id"), Payment: i.value(metadataPayment), Attempt: i.value("attempt"),
		Status: string(i.status), Amount: i.amount, Captured: i.received, Refunded: i.refunded, Disputed: i.disputed,
		Currency: upper(i.currency), Charges: i.charges, Created: i.created,
	}
}

func (r *refund) booked() BookedRefund {
	return BookedRefund{
		ID: r.id, Intent: r.of.id, Refund: metadataOf(r.metadata)["refund_id"], Order: r.of.value("order_id"), Payment: r.of.value(metadataPayment),
		Amount: r.amount, Settled: r.settled, Currency: upper(r.of.currency), Status: r.status, Failure: r.failure, Created: r.created,
	}
}

func (d *dispute) booked() BookedDispute {
	return BookedDispute{
		ID: d.id, Intent: d.of.id, Order: d.of.value("order_id"), Payment: d.of.value(metadataPayment), Amount: d.amount, Settled: d.settled,
		Currency: upper(d.of.currency), Reason: d.reason, Status: d.status, Withdrawn: d.withdrawn, Evidence: d.submissions,
		Created: d.created, DueBy: d.dueBy,
	}
}

func (p *payout) booked() BookedPayout {
	return BookedPayout{
		ID: p.id, Amount: p.amount, Currency: upper(p.currency), Status: p.status, Movement: len(p.paid), Created: p.created, Arrival: p.arrival,
	}
}

// ordersOf adds up payments by order, in the order in which the orders came first.
func ordersOf(intents []BookedIntent) []BookedOrder {
	orders := make([]BookedOrder, 0, len(intents))
	at := make(map[[2]string]int, len(intents))
	for n := range intents {
		i := &intents[n]
		key := [2]string{i.Order, i.Currency}
		place, known := at[key]
		if !known {
			place = len(orders)
			at[key] = place
			orders = append(orders, BookedOrder{Order: i.Order, Currency: i.Currency})
		}
		o := &orders[place]
		o.Payments++
		if i.Captured > 0 {
			o.Charges++
		}
		if i.Status == string(requiresCapture) {
			o.Authorized += i.Amount
		}
		o.Captured += i.Captured
		o.Refunded += i.Refunded
		o.Disputed += i.Disputed
	}
	return orders
}

// totals are the books without their lists. The caller holds the mutex.
func (s *Server) totals() Books {
	b := Books{
		Intents: []BookedIntent{}, Orders: []BookedOrder{}, Refunds: []BookedRefund{}, Disputes: []BookedDispute{}, Payouts: []BookedPayout{},
		Balances: s.balancesNow(), Captured: map[string]int64{}, Refunded: map[string]int64{}, Disputed: map[string]int64{},
		Authorized: map[string]int64{}, Accounts: map[string]BookedAccount{}, Statuses: map[string]int{},
		Counts: BookedCounts{Intents: len(s.intents), Refunds: len(s.refunds), Disputes: len(s.disputes), Payouts: len(s.payouts)},
	}
	for _, i := range s.intents {
		currency := upper(i.currency)
		b.Captured[currency] += i.received
		b.Refunded[currency] += i.refunded
		b.Disputed[currency] += i.disputed
		b.Authorized[currency] += i.capturable
		b.Statuses[string(i.status)]++
		if i.status == canceled && i.charges > 0 {
			b.Voided++
		}
	}
	st := &s.account.statement
	b.Statement = BookedStatement{Rows: len(st.rows), Missing: slices.Clone(st.missing), Extra: slices.Clone(st.extra), Altered: slices.Clone(st.altered)}
	s.accounts(&b)
	s.checkBooks(&b)
	b.PayPal = s.payPalBooks()
	n := &s.courier.counts
	b.Webhooks = WebhookCount{
		Created: n.created.Load(), Delivered: n.delivered.Load(), Early: n.early.Load(), Repeated: n.repeated.Load(), Retried: n.retried.Load(),
		Lost: n.lost.Load(), Late: n.late.Load(), GivenUp: n.givenUp.Load(), Overflowed: n.overflowed.Load(), Pending: int64(s.courier.pending()),
	}
	b.Calls = CallCount{
		Served: s.calls.served.Load(), Replayed: s.calls.replayed.Load(), Limited: s.calls.limited.Load(), Failed: s.calls.failed.Load(),
		Lost: s.calls.lost.Load(), Cut: s.calls.cut.Load(), Slow: s.calls.slow.Load(), OnWay: s.calls.onWay.Load(), Refused: s.calls.refused.Load(),
	}
	return b
}
