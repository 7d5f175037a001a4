package paysim

import (
	"maps"
	"net/http"
	"strconv"
)

// maxEvidence bounds the characters of one piece of evidence, and all of them together, as Stripe does.
const (
	maxEvidence    = 20_000
	maxEvidenceAll = 150_000
)

// evidenceFields are what evidence can be about.
var evidenceFields = map[string]bool{
	"access_activity_log": true, "billing_address": true, "cancellation_policy": true, "cancellation_policy_disclosure": true,
	"cancellation_rebuttal": true, "customer_communication": true, "customer_email_address": true, "customer_name": true,
	"customer_purchase_ip": true, "customer_signature": true, "duplicate_charge_documentation": true, "duplicate_charge_explanation": true,
	"duplicate_charge_id": true, "product_description": true, "receipt": true, "refund_policy": true, "refund_policy_disclosure": true,
	"refund_refusal_explanation": true, "service_date": true, "service_documentation": true, "shipping_address": true,
	"shipping_carrier": true, "shipping_date": true, "shipping_documentation": true, "shipping_tracking_number": true,
	"uncategorized_file": true, "uncategorized_text": true,
}

// retrieveDispute answers GET /v1/disputes/{id}.
func (s *Server) retrieveDispute(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.disputeByID[id]
	if d == nil {
		return refusal(missing("dispute", id)), false
	}
	return &reply{status: http.StatusOK, other: encode(d.show())}, true
}

// listDisputes answers GET /v1/disputes, newest first: of one payment, or of all. Stripe lists them by when they were opened alone.
func (s *Server) listDisputes(c *call) (*reply, bool) {
	return listOfPayments(s, c, "dispute", func(i *intent) []*dispute { return i.disputes }, func() []*dispute { return s.disputes })
}

// listedAs is what a list goes by.
func (d *dispute) listedAs() (id string, created int64) { return d.id, d.created }

// answerDispute answers POST /v1/disputes/{id}: evidence, handed in unless submit=false.
func (s *Server) answerDispute(c *call) (*reply, bool) {
	p := readParams(c.form)
	evidence, metadata, submit := p.group("evidence"), p.group("metadata"), p.text("submit")
	all := 0
	for field, text := range evidence {
		if !evidenceFields[field] {
			p.wrong("parameter_unknown", "evidence["+field+"]", "Received unknown parameter: evidence["+field+"]")
		}
		if all += len(text); len(text) > maxEvidence || all > maxEvidenceAll {
			p.wrong("", "evidence["+field+"]", "Evidence has at most 20,000 characters a field and 150,000 in all.")
		}
	}
	if submit != "" && submit != "true" && submit != "false" {
		p.wrong("", "submit", "Invalid boolean: "+submit)
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.disputeByID[id]
	switch {
	case d == nil:
		return refusal(missing("dispute", id)), false
	case len(evidence)+len(submit) > 0 && d.status != disputeNeeds && d.status != inquiryNeeds:
		return refusal(invalid(http.StatusBadRequest, "", "", "This dispute is "+d.status+" and takes no more evidence.")), true
	}
	d.evidence, d.metadata = merged(d.evidence, evidence), merged(d.metadata, metadata)
	if submit == "true" || submit == "" && len(evidence) > 0 {
		c.events = s.submit(d)
	} else {
		c.events = []*event{s.disputeEvent(eventDisputeUpdated, d)}
	}
	for _, e := range c.events {
		e.request, e.key = c.request, c.key
	}
	return &reply{status: http.StatusOK, other: encode(d.show())}, true
}

// merged is a new map of both; what is empty in more is left out.
func merged(base, more map[string]string) map[string]string {
	m := maps.Clone(base)
	if m == nil {
		m = make(map[string]string)
	}
	for key, value := range more {
		if value == "" {
			delete(m, key)
		} else {
			m[key] = value
		}
	}
	return m
}

// disputeByHand answers POST /_paysim/dispute: payment_intent, and perhaps reason, amount, inquiry=true.
func (s *Server) disputeByHand(w http.ResponseWriter, r *http.Request) {
	fields, ok := s.control(w, r)
	if !ok {
		return
	}
	reason := fields["reason"]
	if reason == "" {
		reason = disputeReasons[0]
	}
	amount := int64(0)
	if text := fields["amount"]; text != "" {
		var err error
		if amount, err = strconv.ParseInt(text, 10, 64); err != nil || amount < 1 {
			s.send(w, refusal(invalid(http.StatusBadRequest, "parameter_invalid_integer", "amount", "Invalid integer: "+text)))
			return
		}
	}
	s.mu.Lock()
	i := s.byID[fields["payment_intent"]]
	if i == nil {
		s.mu.Unlock()
		s.send(w, refusal(missing("payment_intent", fields["payment_intent"])))
		return
	}
	d, events := s.openDispute(i, reason, amount, fields["inquiry"] == "true")
	if d == nil {
		s.mu.Unlock()
		s.send(w, refusal(invalid(http.StatusBadRequest, "", "payment_intent", "There is nothing to dispute: no money is left of it, or a dispute is open.")))
		return
	}
	shown := *d
	s.mu.Unlock()
	s.announce(r.Context(), events)
	s.send(w, &reply{status: http.StatusOK, other: encode(shown.show())})
}

// disputeTxn is a movement of the balance as a dispute lists it.
type disputeTxn struct{ row row }

// disputeJSON is a dispute as Stripe shows it.
type disputeJSON struct {
	ID                  string            `json:"id"`
	Object              string            `json:"object"`
	Amount              int64             `json:"amount"`
	BalanceTransactions []txnJSON         `json:"balance_transactions"`
	Charge              string            `json:"charge"`
	Created             int64             `json:"created"`
	Currency            string            `json:"currency"`
	Evidence            map[string]string `json:"evidence"`
	EvidenceDetails     struct {
		DueBy           int64 `json:"due_by"`
		HasEvidence     bool  `json:"has_evidence"`
		PastDue         bool  `json:"past_due"`
		SubmissionCount int   `json:"submission_count"`
	} `json:"evidence_details"`
	IsChargeRefundable bool              `json:"is_charge_refundable"`
	Livemode           bool              `json:"livemode"`
	Metadata           map[string]string `json:"metadata"`
	NetworkReasonCode  *string           `json:"network_reason_code"`
	PaymentIntent      string            `json:"payment_intent"`
	Reason             string            `json:"reason"`
	Status             string            `json:"status"`
}

// show is the dispute as an answer or an event shows it.
func (d dispute) show() any {
	o := disputeJSON{
		ID: d.id, Object: "dispute", Amount: d.amount, BalanceTransactions: []txnJSON{}, Charge: d.charge, Created: d.created,
		Currency: d.of.currency, Evidence: d.evidence, IsChargeRefundable: d.status == inquiryNeeds || d.status == inquiryUnderReview,
		Metadata: d.metadata, PaymentIntent: d.of.id, Reason: d.reason, Status: d.status,
	}
	if o.Evidence == nil {
		o.Evidence = map[string]string{}
	}
	if o.Metadata == nil {
		o.Metadata = map[string]string{}
	}
	o.EvidenceDetails.DueBy, o.EvidenceDetails.HasEvidence, o.EvidenceDetails.SubmissionCount = d.dueBy, len(d.evidence) > 0, d.submissions
	for n := range d.txns {
		r := &d.txns[n].row
		o.BalanceTransactions = append(o.BalanceTransactions, r.json(r.created, false))
	}
	return o
}

func (d dispute) about() string { return d.id }
