package paysim

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"
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
	d.evidence, d.status, d.updated = append(d.evidence, notes...), "UNDER_REVIEW", s.clock.now()
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
	now := s.clock.now()
	d := &ppDispute{
		id: "PP-D-" + s.newID(""), capture: taken, reason: orText("reason", "MERCHANDISE_OR_SERVICE_NOT_RECEIVED"), stage: orText("stage", "CHARGEBACK"),
		status: "WAITING_FOR_SELLER_RESPONSE", minor: taken.minor - taken.back, created: now, updated: now, respondBy: now.Add(ppAnswerWithin),
	}
	s.pp.disputes[d.id] = d
	if d.stage != "INQUIRY" {
		s.ppHold(d)
	}
	events := []*event{s.ppEvent("CUSTOMER.DISPUTE.CREATED", taken.order, d.json())}
	answer := &ppReply{http.StatusCreated, d.json()}
	s.mu.Unlock()
	s.announce(r.Context(), events)
	s.ppSend(w, answer)
}

// ppHold takes the disputed money back; ppRelease gives it to the merchant again.
func (s *Server) ppHold(d *ppDispute) {
	d.held, d.capture.taken = true, d.capture.taken+d.minor
	s.ppMove(&ppRow{id: s.newID("PD"), reference: d.capture.id, code: "T1201", custom: d.capture.custom, currency: d.capture.order.currency, minor: -d.minor})
}

func (s *Server) ppRelease(d *ppDispute) {
	d.held, d.capture.taken = false, d.capture.taken-d.minor
	s.ppMove(&ppRow{id: s.newID("PD"), reference: d.capture.id, code: "T1202", custom: d.capture.custom, currency: d.capture.order.currency, minor: d.minor})
}

// ppMoveDispute brings a dispute further: field outcome (RESOLVED_SELLER_FAVOUR, RESOLVED_BUYER_FAVOUR …) or stage=CHARGEBACK.
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
		d.status, d.outcome, d.updated = "RESOLVED", outcome, s.clock.now()
		lost := outcome == "RESOLVED_BUYER_FAVOUR" || outcome == "ACCEPTED"
		if lost && !d.held {
			s.ppHold(d)
		} else if !lost && d.held {
			s.ppRelease(d)
		}
		events, answer = []*event{s.ppEvent("CUSTOMER.DISPUTE.RESOLVED", d.capture.order, d.json())}, &ppReply{http.StatusOK, d.json()}
	}
	s.mu.Unlock()
	s.announce(r.Context(), events)
	s.ppSend(w, answer)
}

// ppReport is the transaction search.
func (s *Server) ppReport(c *ppCall) (*ppReply, func() *ppReply) {
	q := c.r.URL.Query()
	from, errFrom := time.Parse(time.RFC3339, q.Get("start_date"))
	until, errUntil := time.Parse(time.RFC3339, q.Get("end_date"))
	size, page := 100, 1
	number := func(name string, into *int, most int) bool {
		if q.Get(name) == "" {
			return true
		}
		n, err := strconv.Atoi(q.Get(name))
		*into = n
		return err == nil && n >= 1 && n <= most
	}
	if errFrom != nil || errUntil != nil || until.Before(from) || until.Sub(from) > 31*24*time.Hour || !number("page_size", &size, 500) || !number("page", &page, 100_000) {
		return ppInvalid("INVALID_REQUEST"), nil
	}
	var found []*ppRow
	for _, row := range s.pp.rows {
		if at := row.at.Truncate(time.Second); !at.Before(from) && !at.After(until) {
			found = append(found, row)
		}
	}
	if len(found) > 10_000 {
		return ppInvalid("RESULTSET_TOO_LARGE"), nil
	}
	pages := max(1, (len(found)+size-1)/size)
	details := []any{}
	for _, row := range found[min(len(found), (page-1)*size):min(len(found), page*size)] {
		details = append(details, map[string]any{"transaction_info": row.json()})
	}
	return &ppReply{http.StatusOK, map[string]any{
		"transaction_details": details, "account_number": "PAYSIMMERCHANT", "start_date": ppStamp(from), "end_date": ppStamp(until),
		"last_refreshed_datetime": ppStamp(s.clock.now()), "page": page, "total_items": len(found), "total_pages": pages, "links": []any{},
	}}, nil
}

// ppStamp is a time as reports have it.
func ppStamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05-0700")
}

func (r *ppRow) json() map[string]any {
	j := map[string]any{
		"transaction_id": r.id, "transaction_event_code": r.code, "transaction_initiation_date": ppStamp(r.at), "transaction_updated_date": ppStamp(r.at),
		"transaction_amount": ppMoney(r.minor, r.currency), "transaction_status": "S", "custom_field": r.custom, "invoice_id": r.invoice,
	}
	if r.reference != "" {
		j["paypal_reference_id"], j["paypal_reference_id_type"] = r.reference, "TXN"
	}
	if r.fee != 0 {
		j["fee_amount"] = ppMoney(r.fee, r.currency)
	}
	return j
}
