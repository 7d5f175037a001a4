package paysim

import (
	"net/http"
)

// refund is money that goes back to a buyer. It is guarded by the Server's mutex; what shows is a copy.
type refund struct {
	no       int // place in the list of all refunds
	id       string
	of       *intent
	charge   string
	amount   int64 // in the intent's currency
	settled  int64 // in that of the balance
	created  int64
	status   string
	reason   string
	failure  string
	txn      string
	failed   string // the movement that brought the money back
	metadata [][2]string
	name     string // what the dice know it by
}

const (
	refundPending   = "pending"
	refundSucceeded = "succeeded"
	refundFailed    = "failed"
)

const (
	eventRefundMade    = "refund.created"
	eventRefundUpdated = "refund.updated"
	eventRefundFailed  = "refund.failed"
	eventChargeRefund  = "charge.refund.updated"
)

// refundFailures are why a refund fails, in Stripe's words.
var refundFailures = []string{"expired_or_canceled_card", "lost_or_stolen_card", "unknown"}

// refund answers POST /v1/refunds.
func (s *Server) refund(c *call) (*reply, bool) {
	p := readParams(c.form)
	intentID, chargeID := p.text("payment_intent"), p.text("charge")
	amount := p.integer("amount", 1, maxAmount, 0)
	r := &refund{reason: p.text("reason"), metadata: sortedMetadata(p.group("metadata"))}
	switch r.reason {
	case "", "duplicate", "fraudulent", "requested_by_customer":
	default:
		p.wrong("parameter_invalid_enum", "reason", "Invalid reason: must be one of duplicate, fraudulent, or requested_by_customer")
	}
	if len(r.metadata) > 50 {
		p.wrong("", "metadata", "You can have up to 50 keys.")
	}
	if (intentID == "") == (chargeID == "") {
		p.wrong("parameter_missing", "payment_intent", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	s.mu.Lock()
	i := s.byID[intentID]
	if chargeID != "" {
		i, _ = s.chargeByID(chargeID)
	}
	if i == nil {
		s.mu.Unlock()
		if chargeID != "" {
			return refusal(missing("charge", chargeID)), false
		}
		return refusal(missing("payment_intent", intentID)), false
	}
	fail := i.refundable(&amount)
	if fail == nil {
		c.events = s.giveBack(i, amount, r, c)
	}
	shown := *r
	s.mu.Unlock()
	if fail != nil {
		return refusal(fail), true
	}
	return &reply{status: http.StatusOK, other: encode(shown.show())}, true
}

// refundable tells why an amount cannot be refunded. 0 means all that is left, and becomes it.
func (i *intent) refundable(amount *int64) *failure {
	left := i.left()
	switch {
	case i.status != succeeded:
		return wrongState(i.snapshot(), "refunded")
	case i.disputed > 0:
		f := invalid(http.StatusBadRequest, "charge_disputed", "", "Charge "+i.latest.id(&i.fixed)+" has been charged back; cannot issue a refund.")
		f.Charge = i.latest.id(&i.fixed)
		return f
	case left == 0:
		return invalid(http.StatusBadRequest, "charge_already_refunded", "", "Charge "+i.latest.id(&i.fixed)+" has already been refunded.")
	case *amount > left:
		return invalid(http.StatusBadRequest, "charge_already_refunded", "amount", "Refund amount ("+money(*amount, i.currency)+
			") is greater than unrefunded amount on charge ("+money(left, i.currency)+").")
	}
	if *amount == 0 {
		*amount = left
	}
	return nil
}

// giveBack makes a refund of what can be refunded, and plans what becomes of it later. The caller holds the mutex.
func (s *Server) giveBack(i *intent, amount int64, r *refund, c *call) []*event {
	r.no, r.id, r.of, r.charge, r.amount = len(s.refunds), s.newID("re_"), i, i.latest.id(&i.fixed), amount
	r.created, r.status, r.settled = s.clock.now().Unix(), refundSucceeded, s.settleOut(i, amount)
	r.name = "refund " + i.name()
	for _, pair := range r.metadata {
		if pair[0] == "refund_id" {
			r.name = "refund " + pair[1]
		}
	}
	i.refunded += amount
	i.out += r.settled
	s.balances[i.currency] -= amount
	i.refunds = append(i.refunds, r)
	s.refunds = append(s.refunds, r)
	s.refundByID[r.id] = r
	t := &txn{kind: txnRefund, category: "refund", source: r.id, name: r.name, description: "REFUND FOR CHARGE", shows: r.now}
	s.moveFor(i, -r.settled, t)
	r.txn = t.id
	f := &s.cfg.Faults
	fails := i.card.refunds == "failed" || s.dice.hits("refund fails", r.name, f.RefundFailed)
	waits := i.card.refunds == "pending" || s.dice.hits("refund waits", r.name, f.RefundPending)
	if waits {
		r.status = refundPending
		s.after(s.cfg.RefundAfter, func() []*event { return s.refundDone(r) })
	}
	if fails {
		s.after(2*s.cfg.RefundAfter, func() []*event { return s.refundFails(r) })
	}
	return []*event{
		s.newEvent(eventRefundMade, &i.fixed, *r, c),
		s.newEvent(eventRefunded, &i.fixed, charged{i.snapshot(), i.latest}, c),
	}
}

// refundDone ends the wait of a refund.
func (s *Server) refundDone(r *refund) []*event {
	if r.status != refundPending {
		return nil
	}
	r.status = refundSucceeded
	return s.refundNews(r)
}

// refundFails brings the money of a refund back that had been thought to be with the buyer.
func (s *Server) refundFails(r *refund) []*event {
	if r.status == refundFailed {
		return nil
	}
	r.status = refundFailed
	r.failure = refundFailures[int(s.dice.throw("why refund fails", r.name)*float64(len(refundFailures)))]
	r.of.refunded -= r.amount
	r.of.out -= r.settled
	s.balances[r.of.currency] += r.amount
	t := &txn{kind: txnRefundFailure, category: "refund_failure", source: r.id, name: "failure of " + r.name, description: "REFUND FAILURE", shows: r.now}
	s.moveFor(r.of, r.settled, t)
	r.failed = t.id
	return append(s.refundNews(r), s.newEvent(eventRefundFailed, &r.of.fixed, *r, nil))
}

// refundNews tells that a refund has changed, under both of Stripe's names for that.
func (s *Server) refundNews(r *refund) []*event {
	return []*event{
		s.newEvent(eventRefundUpdated, &r.of.fixed, *r, nil),
		s.newEvent(eventChargeRefund, &r.of.fixed, *r, nil),
	}
}

// now is the refund as it is now. The caller holds the mutex.
func (r *refund) now() shower { return *r }

// retrieveRefund answers GET /v1/refunds/{id}.
func (s *Server) retrieveRefund(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	r := s.refundByID[id]
	if r == nil {
		s.mu.Unlock()
		return refusal(missing("refund", id)), false
	}
	shown := *r
	s.mu.Unlock()
	return &reply{status: http.StatusOK, other: encode(shown.show())}, true
}

// listRefunds answers GET /v1/refunds, newest first: of one payment, or of all.
func (s *Server) listRefunds(c *call) (*reply, bool) {
	return listOfPayments(s, c, "refund", func(i *intent) []*refund { return i.refunds }, func() []*refund { return s.refunds })
}

// listedAs is what a list goes by.
func (r *refund) listedAs() (id string, created int64) { return r.id, r.created }

// refundJSON is a refund as Stripe shows it.
type refundJSON struct {
	ID                        string            `json:"id"`
	Object                    string            `json:"object"`
	Amount                    int64             `json:"amount"`
	BalanceTransaction        *string           `json:"balance_transaction"`
	Charge                    string            `json:"charge"`
	Created                   int64             `json:"created"`
	Currency                  string            `json:"currency"`
	FailureBalanceTransaction *string           `json:"failure_balance_transaction,omitempty"`
	FailureReason             *string           `json:"failure_reason,omitempty"`
	Metadata                  map[string]string `json:"metadata"`
	PaymentIntent             string            `json:"payment_intent"`
	Reason                    *string           `json:"reason"`
	ReceiptNumber             *string           `json:"receipt_number"`
	Status                    string            `json:"status"`
}

// show is the refund as an answer or an event shows it.
func (r refund) show() any {
	return refundJSON{
		ID: r.id, Object: "refund", Amount: r.amount, BalanceTransaction: optional(r.txn), Charge: r.charge, Created: r.created,
		Currency: r.of.currency, FailureBalanceTransaction: optional(r.failed), FailureReason: optional(r.failure),
		Metadata: metadataOf(r.metadata), PaymentIntent: r.of.id, Reason: optional(r.reason), Status: r.status,
	}
}

func (r refund) about() string { return r.id }
