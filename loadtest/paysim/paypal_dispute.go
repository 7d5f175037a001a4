package paysim

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
)

func (s *Server) ppShowDispute(c *ppCall) (*ppReply, func() *ppReply) {
	d := s.pp.disputes[c.id]
	if d == nil {
		return ppMissing(), nil
	}
	return &ppReply{http.StatusOK, d.json()}, nil
}

// ppEvidence takes evidence: a form with a part "input" that is JSON.
func (s *Server) ppEvidence(c *ppCall) (*ppReply, func() *ppReply) {
	d := s.pp.disputes[c.id]
	if d == nil {
		return ppMissing(), nil
	}
	notes, ok := evidenceNotes(c.r.Header.Get("Content-Type"), c.raw)
	switch {
	case !ok:
		return ppInvalid("MALFORMED_REQUEST"), nil
	case d.status != "WAITING_FOR_SELLER_RESPONSE" && d.status != "OPEN":
		return ppUnprocessable("DISPUTE_NOT_IN_STATE_TO_PROVIDE_EVIDENCE"), nil
	}
	d.evidence, d.status, d.updated, d.submissions = append(d.evidence, notes...), "UNDER_REVIEW", s.clock.now(), d.submissions+1
	s.after(s.cfg.DisputeReview, func() []*event {
		outcome := "RESOLVED_BUYER_FAVOUR"
		if s.dice.hits("dispute won", d.capture.order.name, 0.5) {
			outcome = "RESOLVED_SELLER_FAVOUR"
		}
		return s.ppDecide(d, "UNDER_REVIEW", outcome)
	})
	c.events = append(c.events, s.ppEvent("CUSTOMER.DISPUTE.UPDATED", d.capture.order, d.json()))
	again := func() *ppReply {
		return &ppReply{http.StatusOK, map[string]any{"links": []any{map[string]any{"href": c.base + "/v1/customer/disputes/" + d.id, "rel": "self", "method": "GET"}}}}
	}
	return again(), again
}

func evidenceNotes(kind string, raw []byte) ([]string, bool) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil || media != "multipart/form-data" {
		return nil, false
	}
	form := multipart.NewReader(bytes.NewReader(raw), params["boundary"])
	var notes []string
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return notes, len(notes) > 0
		}
		if err != nil {
			return nil, false
		}
		if part.FormName() != "input" {
			continue
		}
		var body struct {
			Evidences []struct {
				Type  string `json:"evidence_type"`
				Notes string `json:"notes"`
			} `json:"evidences"`
		}
		if json.NewDecoder(part).Decode(&body) != nil {
			return nil, false
		}
		for _, e := range body.Evidences {
			if e.Type == "" || len([]rune(e.Notes)) > 2000 {
				return nil, false
			}
			notes = append(notes, e.Notes)
		}
	}
}

// ppOpenDispute has a buyer dispute a payment: fields capture (an id) or payment (the merchant's payment_id), reason, stage.
// A stage other than INQUIRY takes the money back at once.
func (s *Server) ppOpenDispute(w http.ResponseWriter, r *http.Request) {
	fields, ok := s.control(w, r)
	if !ok {
		return
	}
	orText := func(name, value string) string {
		if fields[name] != "" {
			return fields[name]
		}
		return value
	}
	s.mu.Lock()
	taken := s.pp.captures[fields["capture"]]
	for _, o := range s.pp.orders {
		if fields["payment"] != "" && paymentOfCustom(o.custom) == fields["payment"] && len(o.captures) > 0 {
			taken = o.captures[0]
		}
	}
	if taken == nil {
		s.mu.Unlock()
		s.ppSend(w, ppMissing())
		return
	}
	d, events := s.ppDispute(taken, orText("reason", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"), orText("stage", "CHARGEBACK"))
	answer := ppUnprocessable("NOTHING_TO_DISPUTE")
	if d != nil {
		answer = &ppReply{http.StatusCreated, d.json()}
	}
	s.mu.Unlock()
	s.announce(r.Context(), events)
	s.ppSend(w, answer)
}

// ppDispute opens a dispute over what is left of a capture, nil when that is nothing or disputed already. One that is not
// answered in time is lost.
func (s *Server) ppDispute(taken *ppCapture, reason, stage string) (*ppDispute, []*event) {
	left := taken.minor - taken.back - taken.taken
	if left <= 0 {
		return nil, nil
	}
	now := s.clock.now()
	d := &ppDispute{
		id: "PP-D-" + s.newID(""), capture: taken, reason: reason, stage: stage, status: "WAITING_FOR_SELLER_RESPONSE",
		minor: left, created: now, updated: now, respondBy: now.Add(s.cfg.DisputeDue),
	}
	s.pp.disputes[d.id] = d
	s.pp.disputed = append(s.pp.disputed, d)
	if stage != "INQUIRY" {
		s.ppHold(d)
	}
	s.after(s.cfg.DisputeDue, func() []*event { return s.ppDecide(d, "WAITING_FOR_SELLER_RESPONSE", "RESOLVED_BUYER_FAVOUR") })
	return d, []*event{s.ppEvent("CUSTOMER.DISPUTE.CREATED", taken.order, d.json())}
}

// ppDisputeLater plans the dispute of a payment that was just captured, if the dice say that there will be one.
func (s *Server) ppDisputeLater(taken *ppCapture) {
	if !s.dice.hits("disputed", taken.order.name, s.cfg.Faults.Disputed) {
		return
	}
	reasons := []string{"UNAUTHORISED", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "MERCHANDISE_OR_SERVICE_NOT_AS_DESCRIBED", "DUPLICATE_TRANSACTION"}
	reason := reasons[int(s.dice.throw("dispute reason", taken.order.name)*float64(len(reasons)))]
	s.after(s.cfg.DisputeAfter, func() []*event {
		_, events := s.ppDispute(taken, reason, "CHARGEBACK")
		return events
	})
}

// ppDecide ends a dispute that has the status.
func (s *Server) ppDecide(d *ppDispute, status, outcome string) []*event {
	if d.status != status {
		return nil
	}
	d.status, d.outcome, d.updated = "RESOLVED", outcome, s.clock.now()
	lost := ppLost(outcome)
	if lost && !d.held {
		s.ppHold(d)
	}
	switch {
	case lost && d.rest() > 0:
		s.ppRelease(d, d.rest())
	case !lost && d.held:
		d.held = false
		s.ppRelease(d, d.minor)
	}
	return []*event{s.ppEvent("CUSTOMER.DISPUTE.RESOLVED", d.capture.order, d.json())}
}

// ppLost tells whether an outcome is for the buyer.
func ppLost(outcome string) bool { return outcome == "RESOLVED_BUYER_FAVOUR" || outcome == "ACCEPTED" }

// rest is what the merchant keeps of a dispute that is lost in part.
func (d *ppDispute) rest() int64 {
	if d.lost == 0 {
		return 0
	}
	return d.minor - d.lost
}

// ppHold takes the disputed money back; ppRelease gives it, or a part of it, to the merchant again.
func (s *Server) ppHold(d *ppDispute) {
	d.held, d.capture.taken = true, d.capture.taken+d.minor
	s.ppMove(&ppRow{id: s.newID("PD"), reference: d.capture.id, code: "T1201", custom: d.capture.custom, currency: d.capture.order.currency, minor: -d.minor})
}

func (s *Server) ppRelease(d *ppDispute, minor int64) {
	d.capture.taken -= minor
	s.ppMove(&ppRow{id: s.newID("PD"), reference: d.capture.id, code: "T1202", custom: d.capture.custom, currency: d.capture.order.currency, minor: minor})
}

// ppMoveDispute brings a dispute further: field outcome (RESOLVED_SELLER_FAVOUR, RESOLVED_BUYER_FAVOUR …), where the buyer gets a part
// only with amount_refunded (such as 3.00), or stage=CHARGEBACK.
func (s *Server) ppMoveDispute(w http.ResponseWriter, r *http.Request) {
	fields, ok := s.control(w, r)
	if !ok {
		return
	}
	outcomes := []string{"RESOLVED_SELLER_FAVOUR", "RESOLVED_BUYER_FAVOUR", "RESOLVED_WITH_PAYOUT", "CANCELED_BY_BUYER", "ACCEPTED", "DENIED"}
	s.mu.Lock()
	d := s.pp.disputes[r.PathValue("id")]
	var answer *ppReply
	var events []*event
	switch outcome := fields["outcome"]; {
	case d == nil:
		answer = ppMissing()
	case d.status == "RESOLVED":
		answer = ppUnprocessable("DISPUTE_ALREADY_RESOLVED")
	case outcome == "" && fields["stage"] == "CHARGEBACK":
		d.stage, d.status, d.updated = "CHARGEBACK", "WAITING_FOR_SELLER_RESPONSE", s.clock.now()
		if !d.held {
			s.ppHold(d)
		}
		events, answer = []*event{s.ppEvent("CUSTOMER.DISPUTE.UPDATED", d.capture.order, d.json())}, &ppReply{http.StatusOK, d.json()}
	case !slices.Contains(outcomes, outcome):
		answer = ppInvalid("INVALID_PARAMETER_VALUE")
	default:
		if part := fields["amount_refunded"]; part != "" {
			minor, ok := ppParse(part, d.capture.order.currency)
			if !ok || !ppLost(outcome) || minor <= 0 || minor > d.minor {
				answer = ppInvalid("INVALID_PARAMETER_VALUE")
				break
			}
			d.lost = minor
		}
		events = s.ppDecide(d, d.status, outcome)
		answer = &ppReply{http.StatusOK, d.json()}
	}
	s.mu.Unlock()
	s.announce(r.Context(), events)
	s.ppSend(w, answer)
}
