package paysim

import (
	"maps"
	"net/http"
	"slices"
)

// Kinds of movements of the balance, as Stripe calls them.
const (
	txnCharge        = "charge"
	txnRefund        = "refund"
	txnRefundFailure = "refund_failure"
	txnAdjustment    = "adjustment" // a dispute, or its reversal
	txnFee           = "stripe_fee"
	txnPayout        = "payout"
	txnPayoutFailure = "payout_failure"
)

// txn is one movement of the merchant's balance: a balance transaction. Only payout changes once it is made.
type txn struct {
	id          string
	kind        string
	category    string // reporting_category
	currency    string // of the balance, lower case
	amount      int64  // signed as it changes the balance
	fee         int64  // what of it the provider keeps; negative when it comes back
	rate        int64  // exchange rate in millionths; 0 where no currency changed
	created     int64
	available   int64
	source      string // id of what moved; "" for none
	of          *intent
	shows       func() shower // the source as it is now; nil for none. Called with the mutex held
	payout      *payout       // in which it was paid out, or which it is
	description string
	name        string // what the dice know it by
}

func (t *txn) net() int64 { return t.amount - t.fee }

// purse is the balance in one currency. Money waits until it is available, and then until it is paid out.
type purse struct {
	pending   int64
	available int64
	waiting   []*txn // not yet available, the first first
	ready     []*txn // available and not paid out
}

// account is the merchant's balance, kept as the money moves. It is guarded by the Server's mutex.
type account struct {
	purses    map[string]*purse // by lower-case currency
	txns      []*txn            // what truly moved, oldest first
	statement statement         // what the provider says moved
	screened  map[string]int64  // charges since the last stripe_fee
}

func newAccount() account {
	return account{purses: make(map[string]*purse), screened: make(map[string]int64)}
}

func (a *account) purse(currency string) *purse {
	p := a.purses[currency]
	if p == nil {
		p = &purse{}
		a.purses[currency] = p
	}
	return p
}

// mature makes available what is due.
func (p *purse) mature(now int64) {
	n := 0
	for ; n < len(p.waiting) && p.waiting[n].available <= now; n++ {
		t := p.waiting[n]
		p.pending -= t.net()
		p.available += t.net()
		p.ready = append(p.ready, t)
	}
	p.waiting = p.waiting[n:]
}

// move books a movement. Money that comes in by charges waits for AvailableAfter; everything else counts at once. The caller
// holds the mutex.
func (s *Server) move(t *txn) {
	now := s.clock.now()
	t.id, t.created, t.available = s.newID("txn_"), now.Unix(), now.Unix()
	p := s.account.purse(t.currency)
	if t.kind == txnCharge && s.cfg.AvailableAfter > 0 && !t.of.card.available {
		t.available = now.Add(s.cfg.AvailableAfter).Unix()
		p.pending += t.net()
		p.waiting = append(p.waiting, t)
	} else {
		p.available += t.net()
		if t.kind != txnPayout {
			p.ready = append(p.ready, t)
		}
	}
	s.account.txns = append(s.account.txns, t)
	s.enter(t)
}

// balanceCurrency is the currency of the balance that a payment's money goes into.
func (s *Server) balanceCurrency(of *intent) string {
	if s.cfg.SettlementCurrency != "" {
		return s.cfg.SettlementCurrency
	}
	return of.currency
}

// moveFor books a movement of an intent's money: minor units in its currency that come in, or go out when negative.
func (s *Server) moveFor(of *intent, minor int64, t *txn) {
	t.of, t.currency = of, s.balanceCurrency(of)
	t.amount = minor
	if t.currency != of.currency {
		t.rate = s.dice.exchange(of.currency, t.currency)
	}
	if t.name == "" {
		t.name = t.kind + " " + of.name()
	}
	s.move(t)
}

// settle is an amount of an intent's currency in that of the balance.
func (s *Server) settle(of *intent, minor int64) int64 {
	to := s.balanceCurrency(of)
	return convert(minor, of.currency, to, s.dice.exchange(of.currency, to))
}

// settleOut is what minor units that leave an intent take from the balance. What is left at the end goes whole, so that
// rounding never leaves anything behind.
func (s *Server) settleOut(of *intent, minor int64) int64 {
	if minor == of.left() {
		return of.settled - of.out
	}
	return min(s.settle(of, minor), of.settled-of.out)
}

// feeOf is what the provider keeps of a charge that came to so much.
func (s *Server) feeOf(settled int64) int64 {
	if s.cfg.FeePercent == 0 && s.cfg.FeeFixed == 0 {
		return 0
	}
	parts := int64(s.cfg.FeePercent*10_000 + 0.5) // in millionths of the amount
	return (settled*parts+million/2)/million + s.cfg.FeeFixed
}

// took books money that an intent has just received.
func (s *Server) took(i *intent) {
	i.settled = s.settle(i, i.received)
	s.balances[i.currency] += i.received
	t := &txn{kind: txnCharge, category: "charge", fee: s.feeOf(i.settled), source: i.latest.id(&i.fixed), description: i.description}
	t.shows = func() shower { return charged{i.snapshot(), i.latest} }
	s.moveFor(i, i.settled, t)
	i.amend(func(c *charge) { c.txn = t.id })
	s.account.screened[t.currency]++
	s.disputeLater(i)
}

// balance answers GET /v1/balance.
func (s *Server) balance(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	b := balanceJSON{Object: "balance", Available: []amountJSON{}, Pending: []amountJSON{}}
	s.mu.Lock()
	for _, currency := range slices.Sorted(maps.Keys(s.account.purses)) {
		p := s.account.purses[currency]
		p.mature(s.clock.now().Unix())
		b.Available = append(b.Available, amountJSON{p.available, currency})
		b.Pending = append(b.Pending, amountJSON{p.pending, currency})
	}
	s.mu.Unlock()
	return &reply{status: http.StatusOK, other: encode(b)}, true
}

type amountJSON struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type balanceJSON struct {
	Object    string       `json:"object"`
	Livemode  bool         `json:"livemode"`
	Available []amountJSON `json:"available"`
	Pending   []amountJSON `json:"pending"`
}
