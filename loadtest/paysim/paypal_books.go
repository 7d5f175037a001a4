package paysim

import "strings"

// PayPalBooks is what the PayPal side has on record, under "paypal" in the books. Amounts are in minor units.
type PayPalBooks struct {
	Intents    []BookedIntent   `json:"intents"` // one an order; left out with ?entries=0
	Balances   map[string]int64 `json:"balances"`
	Fees       map[string]int64 `json:"fees"` // kept by PayPal, not in Balances
	Captured   map[string]int64 `json:"captured"`
	Refunded   map[string]int64 `json:"refunded"`
	Disputed   map[string]int64 `json:"disputed"` // taken back and not given again
	Authorized map[string]int64 `json:"authorized"`
	Statuses   map[string]int   `json:"statuses"`
	Voided     int              `json:"voided"` // orders whose authorization was voided
	Refunds    []BookedRefund   `json:"refunds"`
	Disputes   []BookedDispute  `json:"disputes"`
	Statement  BookedStatement  `json:"statement"` // what the report gets wrong
	Tokens     int64            `json:"tokens"`    // access tokens given out
	Consistent bool             `json:"consistent"`
}

// payPalBooks reads the books of the PayPal side; nil when nobody used it. The caller holds the mutex.
func (s *Server) payPalBooks() *PayPalBooks {
	p := s.pp
	if p.tokens.Load() == 0 {
		return nil
	}
	b := &PayPalBooks{
		Intents: make([]BookedIntent, len(p.orders)), Balances: map[string]int64{}, Fees: map[string]int64{}, Captured: map[string]int64{},
		Refunded: map[string]int64{}, Disputed: map[string]int64{}, Authorized: map[string]int64{}, Statuses: map[string]int{},
		Statement: p.mistakes, Tokens: p.tokens.Load(), Consistent: true,
	}
	for n, o := range p.orders {
		i := BookedIntent{ID: o.id, Status: strings.ToLower(o.status), Amount: o.minor, Currency: o.currency, Charges: len(o.auths)}
		if parts := strings.Split(o.custom, "."); len(parts) >= 4 {
			i.Payment, i.Order, i.Attempt = parts[1], parts[2], parts[3]
		}
		for _, a := range o.auths {
			switch a.status {
			case "CREATED":
				i.Status = "authorized"
				b.Authorized[o.currency] += a.minor
			case "VOIDED":
				i.Status = "voided"
			}
		}
		if len(o.captures) == 0 && i.Status == "voided" {
			b.Voided++
		}
		for _, c := range o.captures {
			i.Status, i.Captured, i.Refunded, i.Disputed = "captured", i.Captured+c.minor, i.Refunded+c.back, i.Disputed+c.taken
			b.Disputed[o.currency] += c.taken
		}
		b.Captured[o.currency] += i.Captured
		b.Refunded[o.currency] += i.Refunded
		b.Statuses[i.Status]++
		b.Intents[n] = i
	}
	b.Statement.Rows = len(p.rows)
	for _, r := range p.given {
		b.Refunds = append(b.Refunds, r.booked())
	}
	for _, d := range p.disputed {
		b.Disputes = append(b.Disputes, d.booked())
	}
	for currency, minor := range p.balances {
		b.Balances[currency], b.Fees[currency] = minor, p.fees[currency]
	}
	for currency, captured := range b.Captured {
		b.Consistent = b.Consistent && captured-b.Refunded[currency]-b.Disputed[currency] == b.Balances[currency]
	}
	return b
}

func (r *ppRefund) booked() BookedRefund {
	b := BookedRefund{
		ID: r.id, Intent: r.capture.order.id, Order: orderOfCustom(r.custom), Payment: paymentOfCustom(r.custom), Amount: r.minor, Settled: r.minor,
		Currency: r.capture.order.currency, Status: "succeeded", Failure: strings.ToLower(r.failure), Created: r.created.Unix(),
	}
	if parts := strings.Split(r.custom, ".r."); len(parts) == 2 {
		b.Refund = parts[1]
	}
	if r.status != "COMPLETED" {
		b.Status = strings.ToLower(r.status)
	}
	return b
}

func (d *ppDispute) booked() BookedDispute {
	status := d.status
	if d.outcome != "" {
		status = d.outcome
	}
	return BookedDispute{
		ID: d.id, Intent: d.capture.order.id, Order: orderOfCustom(d.capture.custom), Payment: paymentOfCustom(d.capture.custom), Amount: d.minor, Settled: d.minor,
		Currency: d.capture.order.currency, Reason: strings.ToLower(d.reason), Status: strings.ToLower(status), Withdrawn: d.held, Evidence: d.submissions,
		Created: d.created.Unix(), DueBy: d.respondBy.Unix(),
	}
}
