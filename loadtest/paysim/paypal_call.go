package paysim

import (
	"net/http"
	"strings"
	"time"
)

// ppAmount is an amount in a body.
type ppAmount struct {
	Currency string `json:"currency_code"`
	Value    string `json:"value"`
}

func (s *Server) ppCreate(c *ppCall) (*ppReply, func() *ppReply) {
	var body struct {
		Intent string `json:"intent"`
		Units  []struct {
			CustomID    string   `json:"custom_id"`
			InvoiceID   string   `json:"invoice_id"`
			Description string   `json:"description"`
			Amount      ppAmount `json:"amount"`
		} `json:"purchase_units"`
		Context struct {
			ReturnURL string `json:"return_url"`
			CancelURL string `json:"cancel_url"`
		} `json:"application_context"`
	}
	if !c.read(&body) || len(body.Units) != 1 {
		return ppInvalid("MALFORMED_REQUEST_JSON"), nil
	}
	u := body.Units[0]
	minor, ok := ppParse(u.Amount.Value, u.Amount.Currency)
	switch {
	case body.Intent != "AUTHORIZE":
		return ppUnprocessable("UNSUPPORTED_INTENT"), nil
	case !ok:
		return ppUnprocessable("DECIMAL_PRECISION"), nil
	case len(u.CustomID) > 127 || len(u.InvoiceID) > 127 || len(u.Description) > 127:
		return ppInvalid("INVALID_STRING_MAX_LENGTH"), nil
	}
	now := s.clock.now()
	o := &ppOrder{
		id: s.newID("PP"), name: nameOfCustom(u.CustomID), custom: u.CustomID, invoice: u.InvoiceID, description: u.Description, currency: u.Amount.Currency,
		minor: minor, returnURL: body.Context.ReturnURL, cancelURL: body.Context.CancelURL, base: c.base, status: "CREATED", created: now, updated: now,
	}
	s.pp.orders = append(s.pp.orders, o)
	s.pp.byOrder[o.id] = o
	return &ppReply{http.StatusCreated, o.json()}, func() *ppReply { return &ppReply{http.StatusOK, o.json()} }
}

// nameOfCustom is the merchant's own name of a payment: what stays of a custom_id when the merchant adds to it.
func nameOfCustom(custom string) string {
	parts := strings.Split(custom, ".")
	return strings.Join(parts[:min(4, len(parts))], ".")
}

// ppOrder finds the call's order. One that nobody paid for long is forgotten.
func (s *Server) ppOrder(c *ppCall) *ppOrder {
	o := s.pp.byOrder[c.id]
	if o == nil || len(o.auths) == 0 && s.clock.now().Sub(o.updated) > ppOrderLife {
		return nil
	}
	return o
}

func (s *Server) ppShowOrder(c *ppCall) (*ppReply, func() *ppReply) {
	o := s.ppOrder(c)
	if o == nil {
		return ppMissing(), nil
	}
	return &ppReply{http.StatusOK, o.json()}, nil
}

func (s *Server) ppPatch(c *ppCall) (*ppReply, func() *ppReply) {
	o := s.ppOrder(c)
	var body []struct{ Op, Path, Value string }
	switch {
	case o == nil:
		return ppMissing(), nil
	case !c.read(&body) || len(body) != 1 || body[0].Op != "replace" || body[0].Path != "/purchase_units/@reference_id=='default'/custom_id":
		return ppInvalid("NOT_PATCHABLE"), nil
	case len(body[0].Value) > 127:
		return ppInvalid("INVALID_STRING_MAX_LENGTH"), nil
	case o.status != "CREATED" && o.status != "APPROVED" && o.status != "PAYER_ACTION_REQUIRED":
		return ppUnprocessable("ORDER_ALREADY_COMPLETED"), nil
	}
	o.custom = body[0].Value
	return &ppReply{http.StatusNoContent, nil}, nil
}

func (s *Server) ppAuthorize(c *ppCall) (*ppReply, func() *ppReply) {
	o := s.ppOrder(c)
	switch {
	case o == nil:
		return ppMissing(), nil
	case len(o.auths) > 0:
		return ppUnprocessable("ORDER_ALREADY_AUTHORIZED"), nil
	case o.status != "APPROVED":
		return ppUnprocessable("ORDER_NOT_APPROVED"), nil
	case o.declines:
		o.status, o.updated = "PAYER_ACTION_REQUIRED", s.clock.now()
		return ppUnprocessable("INSTRUMENT_DECLINED"), nil
	}
	now := s.clock.now()
	a := &ppAuth{id: s.newID("PA"), order: o, status: "CREATED", custom: o.custom, minor: o.minor, created: now, first: now}
	s.ppAdd(c, a)
	o.status = "COMPLETED"
	return &ppReply{http.StatusCreated, o.json()}, func() *ppReply { return &ppReply{http.StatusOK, o.json()} }
}

// ppAdd books an authorization, and that it ends.
func (s *Server) ppAdd(c *ppCall, a *ppAuth) {
	a.order.auths, a.order.updated = append(a.order.auths, a), s.clock.now()
	s.pp.auths[a.id] = a
	c.events = append(c.events, s.ppEvent("PAYMENT.AUTHORIZATION.CREATED", a.order, a.json()))
	s.at(a.first.Add(ppAuthLife), func() []*event {
		if a.status != "CREATED" {
			return nil
		}
		a.status = "VOIDED"
		return []*event{s.ppEvent("PAYMENT.AUTHORIZATION.VOIDED", a.order, a.json())}
	})
}

func (s *Server) ppShowAuth(c *ppCall) (*ppReply, func() *ppReply) {
	a := s.pp.auths[c.id]
	if a == nil {
		return ppMissing(), nil
	}
	return &ppReply{http.StatusOK, a.json()}, nil
}

func (s *Server) ppTake(c *ppCall) (*ppReply, func() *ppReply) {
	a := s.pp.auths[c.id]
	if a == nil {
		return ppMissing(), nil
	}
	var body struct {
		Amount *ppAmount `json:"amount"`
		Final  bool      `json:"final_capture"`
	}
	minor := a.minor
	ok := c.read(&body)
	if ok && body.Amount != nil {
		minor, ok = ppParse(body.Amount.Value, body.Amount.Currency)
		ok = ok && body.Amount.Currency == a.order.currency
	}
	switch {
	case !ok:
		return ppUnprocessable("DECIMAL_PRECISION"), nil
	case a.status == "CAPTURED":
		return ppUnprocessable("AUTHORIZATION_ALREADY_CAPTURED"), nil
	case a.status == "VOIDED":
		return ppUnprocessable("AUTHORIZATION_VOIDED"), nil
	case minor > a.minor:
		return ppUnprocessable("MAX_CAPTURE_AMOUNT_EXCEEDED"), nil
	case s.dice.hits("refused", a.order.name, s.cfg.Faults.CaptureRefused):
		a.status = "VOIDED"
		c.events = append(c.events, s.ppEvent("PAYMENT.AUTHORIZATION.VOIDED", a.order, a.json()))
		return ppUnprocessable("AUTHORIZATION_EXPIRED"), nil
	}
	now := s.clock.now()
	taken := &ppCapture{id: s.newID("PC"), order: a.order, auth: a, custom: a.custom, minor: minor, fee: minor*34/1000 + 35, created: now}
	a.status, a.order.updated = "CAPTURED", now
	a.order.captures = append(a.order.captures, taken)
	s.pp.captures[taken.id] = taken
	s.ppMove(&ppRow{id: taken.id, code: "T0006", custom: taken.custom, invoice: a.order.invoice, currency: a.order.currency, minor: minor, fee: -taken.fee})
	c.events = append(c.events, s.ppEvent("PAYMENT.CAPTURE.COMPLETED", a.order, taken.json()))
	s.ppDisputeLater(taken)
	return &ppReply{http.StatusCreated, taken.json()}, func() *ppReply { return &ppReply{http.StatusOK, taken.json()} }
}

func (s *Server) ppVoid(c *ppCall) (*ppReply, func() *ppReply) {
	a := s.pp.auths[c.id]
	switch {
	case a == nil:
		return ppMissing(), nil
	case a.status == "CAPTURED":
		return ppUnprocessable("PREVIOUSLY_CAPTURED"), nil
	case a.status == "VOIDED":
		return ppUnprocessable("PREVIOUSLY_VOIDED"), nil
	}
	a.status, a.order.updated = "VOIDED", s.clock.now()
	c.events = append(c.events, s.ppEvent("PAYMENT.AUTHORIZATION.VOIDED", a.order, a.json()))
	again := func() *ppReply { return &ppReply{http.StatusOK, a.json()} }
	return again(), again
}

func (s *Server) ppReauthorize(c *ppCall) (*ppReply, func() *ppReply) {
	a := s.pp.auths[c.id]
	if a == nil {
		return ppMissing(), nil
	}
	now := s.clock.now()
	switch age := now.Sub(a.created); {
	case a.status != "CREATED":
		return ppUnprocessable("AUTHORIZATION_" + a.status), nil
	case now.Sub(a.first) > ppAuthLife:
		return ppUnprocessable("AUTHORIZATION_EXPIRED"), nil
	case age < ppHonorPeriod:
		return ppUnprocessable("REAUTHORIZATION_TOO_SOON"), nil
	}
	fresh := &ppAuth{id: s.newID("PA"), order: a.order, status: "CREATED", custom: a.custom, minor: a.minor, created: now, first: a.first}
	a.status = "VOIDED"
	s.ppAdd(c, fresh)
	return &ppReply{http.StatusCreated, fresh.json()}, func() *ppReply { return &ppReply{http.StatusOK, fresh.json()} }
}

func (s *Server) ppShowCapture(c *ppCall) (*ppReply, func() *ppReply) {
	taken := s.pp.captures[c.id]
	if taken == nil {
		return ppMissing(), nil
	}
	return &ppReply{http.StatusOK, taken.json()}, nil
}

func (s *Server) ppGiveBack(c *ppCall) (*ppReply, func() *ppReply) {
	taken := s.pp.captures[c.id]
	if taken == nil {
		return ppMissing(), nil
	}
	var body struct {
		Amount    *ppAmount `json:"amount"`
		CustomID  string    `json:"custom_id"`
		InvoiceID string    `json:"invoice_id"`
	}
	minor, ok := taken.minor-taken.back, c.read(&body)
	if ok && body.Amount != nil {
		minor, ok = ppParse(body.Amount.Value, body.Amount.Currency)
		ok = ok && body.Amount.Currency == taken.order.currency
	}
	now := s.clock.now()
	switch {
	case !ok:
		return ppUnprocessable("DECIMAL_PRECISION"), nil
	case len(body.CustomID) > 127 || len(body.InvoiceID) > 127:
		return ppInvalid("INVALID_STRING_MAX_LENGTH"), nil
	case taken.back == taken.minor:
		return ppUnprocessable("CAPTURE_FULLY_REFUNDED"), nil
	case minor > taken.minor-taken.back:
		return ppUnprocessable("REFUND_AMOUNT_EXCEEDED"), nil
	case taken.taken > 0:
		return ppUnprocessable("REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"), nil
	case now.Sub(taken.created) > ppRefundWithin:
		return ppUnprocessable("REFUND_TIME_LIMIT_EXCEEDED"), nil
	}
	for _, r := range taken.order.refunds {
		if body.InvoiceID != "" && r.invoice == body.InvoiceID {
			return ppUnprocessable("DUPLICATE_INVOICE_ID"), nil
		}
	}
	r := &ppRefund{id: s.newID("PR"), capture: taken, status: "COMPLETED", custom: body.CustomID, invoice: body.InvoiceID, minor: minor, created: now}
	if r.custom == "" {
		r.custom = taken.custom
	}
	taken.back += minor
	taken.order.refunds, taken.order.updated = append(taken.order.refunds, r), now
	s.pp.refunds[r.id] = r
	s.ppMove(&ppRow{id: r.id, reference: taken.id, code: "T1107", custom: r.custom, invoice: r.invoice, currency: taken.order.currency, minor: -minor})
	s.pp.given = append(s.pp.given, r)
	c.events = append(c.events, s.ppProgress(r))
	return &ppReply{http.StatusCreated, r.json()}, func() *ppReply { return &ppReply{http.StatusOK, r.json()} }
}

// ppProgress says what becomes of a refund that was just made, and returns the event that tells about it.
func (s *Server) ppProgress(r *ppRefund) *event {
	o, name := r.capture.order, r.custom
	switch {
	case s.dice.hits("refund failed", name, s.cfg.Faults.RefundFailed):
		s.after(2*s.cfg.RefundAfter, func() []*event {
			r.status, r.failure = "FAILED", "ECHECK"
			r.capture.back -= r.minor
			s.ppMove(&ppRow{id: s.newID("PR"), reference: r.capture.id, code: "T1107", custom: r.custom, currency: o.currency, minor: r.minor})
			return []*event{s.ppEvent("PAYMENT.REFUND.FAILED", o, r.json())}
		})
	case s.dice.hits("refund pending", name, s.cfg.Faults.RefundPending):
		s.after(s.cfg.RefundAfter, func() []*event {
			r.status = "COMPLETED"
			return []*event{s.ppEvent("PAYMENT.CAPTURE.REFUNDED", o, r.json())}
		})
	default:
		return s.ppEvent("PAYMENT.CAPTURE.REFUNDED", o, r.json())
	}
	r.status = "PENDING"
	return s.ppEvent("PAYMENT.REFUND.PENDING", o, r.json())
}

func (s *Server) ppShowRefund(c *ppCall) (*ppReply, func() *ppReply) {
	r := s.pp.refunds[c.id]
	if r == nil {
		return ppMissing(), nil
	}
	return &ppReply{http.StatusOK, r.json()}, nil
}

// ppApprove is what the buyer decides on PayPal's page. It returns the event that tells about it, nil for none.
func (s *Server) ppApprove(o *ppOrder, declines bool) *event {
	if o.status != "CREATED" && o.status != "PAYER_ACTION_REQUIRED" && (o.status != "APPROVED" || declines == o.declines) {
		return nil
	}
	o.status, o.declines, o.payer, o.updated = "APPROVED", declines, "PAYSIM"+strings.ToUpper(shortHash(o.name)), s.clock.now().Truncate(time.Millisecond)
	return s.ppEvent("CHECKOUT.ORDER.APPROVED", o, o.json())
}
