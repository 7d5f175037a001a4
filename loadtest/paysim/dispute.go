package paysim

import (
	"strings"
)

// dispute is a buyer who asks their bank for the money back. It is guarded by the Server's mutex; what shows is a copy,
// whose maps never change.
//
//	inquiry:  warning_needs_response ─evidence─▶ warning_under_review ─DisputeReview─▶ warning_closed
//	               └─ no answer by due_by: warning_closed, or it becomes a dispute, as the seed has it
//	dispute:  needs_response ─evidence─▶ under_review ─DisputeReview─▶ won or lost, as the seed has it
//	               └─ no answer by due_by ─────────────────────────▶ lost
//
// Evidence whose uncategorized_text is winning_evidence or losing_evidence decides at once.
type dispute struct {
	id          string
	of          *intent
	charge      string
	amount      int64 // in the intent's currency
	settled     int64 // what it took from the balance; 0 for an inquiry
	withdrawn   bool  // the money is with the bank now
	created     int64
	dueBy       int64
	status      string
	reason      string
	evidence    map[string]string
	submissions int
	metadata    map[string]string
	txns        []disputeTxn
	name        string // what the dice know it by
}

const (
	disputeNeeds       = "needs_response"
	disputeReview      = "under_review"
	disputeWon         = "won"
	disputeLost        = "lost"
	inquiryNeeds       = "warning_needs_response"
	inquiryUnderReview = "warning_under_review"
	inquiryClosed      = "warning_closed"
)

const (
	eventDisputed          = "charge.dispute.created"
	eventDisputeUpdated    = "charge.dispute.updated"
	eventDisputeClosed     = "charge.dispute.closed"
	eventDisputeWithdrawn  = "charge.dispute.funds_withdrawn"
	eventDisputeReinstated = "charge.dispute.funds_reinstated"
)

// disputeReasons are what a dispute may be for, in Stripe's words.
var disputeReasons = []string{"fraudulent", "product_not_received", "unrecognized", "duplicate", "product_unacceptable", "credit_not_processed"}

// disputeLater plans the dispute of a charge that was just captured, if its card or the dice say that there will be one.
func (s *Server) disputeLater(i *intent) {
	reason, inquiry := i.card.disputes, i.card.inquiry
	if reason == "" && s.dice.hits("disputed", i.name(), s.cfg.Faults.Disputed) {
		reason = disputeReasons[int(s.dice.throw("dispute reason", i.name())*float64(len(disputeReasons)))]
		inquiry = s.dice.hits("dispute inquiry", i.name(), 0.1)
	}
	if reason == "" {
		return
	}
	s.after(s.cfg.DisputeAfter, func() []*event {
		_, events := s.openDispute(i, reason, 0, inquiry)
		return events
	})
}

// openDispute opens one over an amount, or with 0 over all that is left. It opens none, and returns nil, where nothing is
// left, or another is open. The caller holds the mutex.
func (s *Server) openDispute(i *intent, reason string, amount int64, inquiry bool) (*dispute, []*event) {
	left := i.left()
	if i.latest == nil || left <= 0 || amount > left || i.openDispute() != nil {
		return nil, nil
	}
	if amount == 0 {
		amount = left
	}
	now := s.clock.now()
	d := &dispute{
		id: s.newID("dp_"), of: i, charge: i.latest.id(&i.fixed), amount: amount, created: now.Unix(), dueBy: now.Add(s.cfg.DisputeDue).Unix(),
		status: disputeNeeds, reason: reason, name: numbered("dispute "+i.name(), len(i.disputes)+1),
	}
	i.disputes = append(i.disputes, d)
	s.disputes = append(s.disputes, d)
	s.disputeByID[d.id] = d
	i.amend(func(c *charge) { c.disputed = d.id })
	s.after(s.cfg.DisputeDue, func() []*event { return s.dueDispute(d) })
	if inquiry {
		d.status = inquiryNeeds
		return d, []*event{s.disputeEvent(eventDisputed, d)}
	}
	s.withdraw(d)
	return d, []*event{s.disputeEvent(eventDisputed, d), s.disputeEvent(eventDisputeWithdrawn, d)}
}

// openDispute is the intent's dispute that is not decided yet, nil if there is none.
func (i *intent) openDispute() *dispute {
	for _, d := range i.disputes {
		if d.isOpen() {
			return d
		}
	}
	return nil
}

func (d *dispute) isOpen() bool {
	switch d.status {
	case disputeWon, disputeLost, inquiryClosed:
		return false
	}
	return true
}

func (s *Server) disputeEvent(kind string, d *dispute) *event {
	return s.newEvent(kind, &d.of.fixed, *d, nil)
}

// withdraw takes the disputed money and the fee from the balance.
func (s *Server) withdraw(d *dispute) {
	i := d.of
	d.settled = s.settleOut(i, d.amount)
	i.disputed += d.amount
	i.out += d.settled
	d.withdrawn = true
	s.balances[i.currency] -= d.amount
	t := &txn{kind: txnAdjustment, category: "dispute", fee: s.cfg.DisputeFee, source: d.id, name: d.name,
		description: "Chargeback withdrawal for " + d.charge, shows: d.now}
	s.moveFor(i, -d.settled, t)
	d.txns = append(d.txns[:len(d.txns):len(d.txns)], disputeTxn{row: row{txn: t, id: t.id}})
}

// reinstate gives the disputed money and the fee back.
func (s *Server) reinstate(d *dispute) {
	i := d.of
	i.disputed -= d.amount
	i.out -= d.settled
	d.withdrawn = false
	s.balances[i.currency] += d.amount
	t := &txn{kind: txnAdjustment, category: "dispute_reversal", fee: -s.cfg.DisputeFee, source: d.id, name: "reversal of " + d.name,
		description: "Chargeback reversal for " + d.charge, shows: d.now}
	s.moveFor(i, d.settled, t)
	d.txns = append(d.txns[:len(d.txns):len(d.txns)], disputeTxn{row: row{txn: t, id: t.id}})
}

// dueDispute ends the time in which a dispute could be answered.
func (s *Server) dueDispute(d *dispute) []*event {
	switch d.status {
	case disputeNeeds:
		return s.decide(d, disputeLost)
	case inquiryNeeds:
		left := d.of.left()
		if left < d.amount || !s.dice.hits("inquiry escalates", d.name, 0.5) {
			return s.decide(d, inquiryClosed)
		}
		d.status, d.dueBy = disputeNeeds, s.clock.now().Add(s.cfg.DisputeDue).Unix()
		s.withdraw(d)
		s.after(s.cfg.DisputeDue, func() []*event { return s.dueDispute(d) })
		return []*event{s.disputeEvent(eventDisputeUpdated, d), s.disputeEvent(eventDisputeWithdrawn, d)}
	}
	return nil
}

// submit hands the evidence in to the bank, which takes its time, or decides at once when the evidence says how.
func (s *Server) submit(d *dispute) []*event {
	d.submissions++
	if d.status == inquiryNeeds {
		d.status = inquiryUnderReview
	} else {
		d.status = disputeReview
	}
	events := []*event{s.disputeEvent(eventDisputeUpdated, d)}
	switch told := strings.TrimSpace(d.evidence["uncategorized_text"]); {
	case told == "winning_evidence":
		return append(events, s.review(d, true)...)
	case told == "losing_evidence":
		return append(events, s.review(d, false)...)
	}
	s.after(s.cfg.DisputeReview, func() []*event { return s.review(d, s.dice.hits("dispute won", d.name, 0.5)) })
	return events
}

// review ends a dispute that was answered.
func (s *Server) review(d *dispute, won bool) []*event {
	switch {
	case d.status == inquiryUnderReview:
		return s.decide(d, inquiryClosed)
	case d.status != disputeReview:
		return nil
	case won:
		return s.decide(d, disputeWon)
	}
	return s.decide(d, disputeLost)
}

// decide ends a dispute.
func (s *Server) decide(d *dispute, as string) []*event {
	d.status = as
	if as != disputeWon {
		return []*event{s.disputeEvent(eventDisputeClosed, d)}
	}
	s.reinstate(d)
	return []*event{s.disputeEvent(eventDisputeClosed, d), s.disputeEvent(eventDisputeReinstated, d)}
}

// now is the dispute as it is now. The caller holds the mutex.
func (d *dispute) now() shower { return *d }
