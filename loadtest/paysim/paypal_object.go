package paysim

import (
	"strconv"
	"strings"
	"time"
)

// ppOrder is one order. What is below is guarded by the Server's mutex.
type ppOrder struct {
	id, name             string
	custom, invoice      string
	description          string
	currency             string
	minor                int64 // ISO 4217 minor units
	returnURL, cancelURL string
	base                 string // address in its links
	status               string
	declines             bool // the buyer's way to pay will be declined when it is authorized
	payer                string
	created, updated     time.Time
	auths                []*ppAuth
	captures             []*ppCapture
	refunds              []*ppRefund
}

type ppAuth struct {
	id      string
	order   *ppOrder
	status  string
	custom  string
	minor   int64
	created time.Time
	first   time.Time // when the first authorization of the order was made
}

type ppCapture struct {
	id      string
	order   *ppOrder
	auth    *ppAuth
	custom  string
	minor   int64
	fee     int64
	back    int64 // refunded
	taken   int64 // by disputes
	created time.Time
}

type ppRefund struct {
	id              string
	capture         *ppCapture
	status          string
	failure         string
	custom, invoice string
	minor           int64
	created         time.Time
}

type ppDispute struct {
	id          string
	capture     *ppCapture
	reason      string
	status      string
	stage       string
	outcome     string
	minor       int64
	lost        int64 // what the buyer gets in the end, when it is a part; 0: all
	held        bool  // the money is taken back for now
	submissions int
	evidence    []string
	created     time.Time
	updated     time.Time
	respondBy   time.Time
}

// ppRow is one movement of the balance.
type ppRow struct {
	id, reference, code, custom, invoice string
	currency                             string
	minor, fee                           int64 // as they change the balance
	at                                   time.Time
}

// Bounds in time that PayPal sets.
const (
	ppOrderLife    = 6 * time.Hour       // of an order that nobody authorizes
	ppHonorPeriod  = 3 * 24 * time.Hour  // before which nothing is authorized anew
	ppAuthLife     = 29 * 24 * time.Hour // of an authorization
	ppRefundWithin = 180 * 24 * time.Hour
)

// ppDecimals are the decimals that PayPal writes, and ISO 4217 has, of the currencies where it is not two and two.
var ppDecimals = map[string][2]int{"JPY": {0, 0}, "HUF": {0, 2}, "TWD": {0, 2}}

// ppParse reads an amount into minor units; ok is false for one that PayPal would refuse.
func ppParse(value, currency string) (minor int64, ok bool) {
	written, iso := 2, 2
	if d, special := ppDecimals[currency]; special {
		written, iso = d[0], d[1]
	}
	whole, fraction, point := strings.Cut(value, ".")
	if len(currency) != 3 || whole == "" || strings.ContainsAny(value, "+- ") || point && (len(fraction) == 0 || len(fraction) > written) {
		return 0, false
	}
	minor, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", iso-len(fraction)), 10, 64)
	return minor, err == nil && minor > 0 && minor < 1e12
}

// ppMoney writes minor units as PayPal does.
func ppMoney(minor int64, currency string) map[string]any {
	written, iso := 2, 2
	if d, special := ppDecimals[currency]; special {
		written, iso = d[0], d[1]
	}
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	for n := written; n < iso; n++ {
		minor /= 10
	}
	text := strconv.FormatInt(minor, 10)
	if written > 0 {
		for len(text) <= written {
			text = "0" + text
		}
		text = text[:len(text)-written] + "." + text[len(text)-written:]
	}
	return map[string]any{"currency_code": currency, "value": sign + text}
}

func ppTime(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

func (o *ppOrder) json() map[string]any {
	payments := map[string]any{}
	list := func(name string, n int, one func(int) map[string]any) {
		if n == 0 {
			return
		}
		all := make([]any, n)
		for i := range n {
			all[i] = one(i)
		}
		payments[name] = all
	}
	list("authorizations", len(o.auths), func(i int) map[string]any { return o.auths[i].json() })
	list("captures", len(o.captures), func(i int) map[string]any { return o.captures[i].json() })
	list("refunds", len(o.refunds), func(i int) map[string]any { return o.refunds[i].json() })
	unit := map[string]any{
		"reference_id": "default", "custom_id": o.custom, "invoice_id": o.invoice, "description": o.description, "amount": ppMoney(o.minor, o.currency),
		"payee": map[string]any{"email_address": "merchant@paysim.invalid", "merchant_id": "PAYSIMMERCHANT"},
	}
	if len(payments) > 0 {
		unit["payments"] = payments
	}
	j := map[string]any{
		"id": o.id, "intent": "AUTHORIZE", "status": o.status, "purchase_units": []any{unit}, "create_time": ppTime(o.created),
		"links": []any{
			map[string]any{"href": o.base + "/v2/checkout/orders/" + o.id, "rel": "self", "method": "GET"},
			map[string]any{"href": o.base + "/checkoutnow?token=" + o.id, "rel": "approve", "method": "GET"},
		},
	}
	if !o.updated.Equal(o.created) {
		j["update_time"] = o.updated.UTC().Format(time.RFC3339Nano)
	}
	if o.payer != "" {
		j["payer"] = map[string]any{
			"payer_id": o.payer, "email_address": "buyer@paysim.invalid", "name": map[string]any{"given_name": "Paula", "surname": "Sim"},
			"address": map[string]any{"country_code": "PT"},
		}
	}
	return j
}

func (o *ppOrder) related(more map[string]any) map[string]any {
	more["order_id"] = o.id
	return map[string]any{"related_ids": more}
}

func (a *ppAuth) json() map[string]any {
	return map[string]any{
		"id": a.id, "status": a.status, "amount": ppMoney(a.minor, a.order.currency), "custom_id": a.custom, "invoice_id": a.order.invoice,
		"create_time": ppTime(a.created), "update_time": ppTime(a.order.updated), "expiration_time": ppTime(a.first.Add(ppAuthLife)),
		"seller_protection": map[string]any{"status": "ELIGIBLE"}, "supplementary_data": a.order.related(map[string]any{}),
		"links": []any{map[string]any{"href": a.order.base + "/v2/payments/authorizations/" + a.id, "rel": "self", "method": "GET"}},
	}
}

func (c *ppCapture) status() string {
	switch {
	case c.back == 0:
		return "COMPLETED"
	case c.back < c.minor:
		return "PARTIALLY_REFUNDED"
	default:
		return "REFUNDED"
	}
}

func (c *ppCapture) json() map[string]any {
	currency := c.order.currency
	return map[string]any{
		"id": c.id, "status": c.status(), "amount": ppMoney(c.minor, currency), "final_capture": true, "custom_id": c.custom, "invoice_id": c.order.invoice,
		"create_time": ppTime(c.created), "update_time": ppTime(c.order.updated),
		"seller_receivable_breakdown": map[string]any{
			"gross_amount": ppMoney(c.minor, currency), "paypal_fee": ppMoney(c.fee, currency), "net_amount": ppMoney(c.minor-c.fee, currency),
		},
		"supplementary_data": c.order.related(map[string]any{"authorization_id": c.auth.id}),
		"links":              []any{map[string]any{"href": c.order.base + "/v2/payments/captures/" + c.id, "rel": "self", "method": "GET"}},
	}
}

func (r *ppRefund) json() map[string]any {
	j := map[string]any{
		"id": r.id, "status": r.status, "amount": ppMoney(r.minor, r.capture.order.currency), "custom_id": r.custom, "invoice_id": r.invoice,
		"create_time": ppTime(r.created), "update_time": ppTime(r.created),
		"links": []any{
			map[string]any{"href": r.capture.order.base + "/v2/payments/refunds/" + r.id, "rel": "self", "method": "GET"},
			map[string]any{"href": r.capture.order.base + "/v2/payments/captures/" + r.capture.id, "rel": "up", "method": "GET"},
		},
	}
	if r.failure != "" {
		j["status_details"] = map[string]any{"reason": r.failure}
	}
	return j
}

func (d *ppDispute) json() map[string]any {
	o := d.capture.order
	j := map[string]any{
		"dispute_id": d.id, "create_time": ppTime(d.created), "update_time": ppTime(d.updated), "reason": d.reason, "status": d.status,
		"dispute_state": "REQUIRED_ACTION", "dispute_life_cycle_stage": d.stage, "dispute_channel": "INTERNAL",
		"dispute_amount": ppMoney(d.minor, o.currency),
		"disputed_transactions": []any{map[string]any{
			"seller_transaction_id": d.capture.id, "buyer_transaction_id": "B" + d.capture.id, "custom": d.capture.custom,
			"invoice_number": o.invoice, "gross_amount": ppMoney(d.capture.minor, o.currency), "transaction_status": "COMPLETED",
		}},
		"links": []any{map[string]any{"href": o.base + "/v1/customer/disputes/" + d.id, "rel": "self", "method": "GET"}},
	}
	if d.status == "WAITING_FOR_SELLER_RESPONSE" || d.status == "OPEN" {
		j["seller_response_due_date"] = ppTime(d.respondBy)
	}
	if d.outcome != "" {
		outcome := map[string]any{"outcome_code": d.outcome}
		if ppLost(d.outcome) {
			outcome["amount_refunded"] = ppMoney(d.minor-d.rest(), o.currency)
		}
		j["dispute_outcome"] = outcome
	}
	return j
}
