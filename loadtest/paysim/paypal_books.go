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
	Voided     int              `json:"voided"`   // orders whose authorization was voided
	Disputes   int              `json:"disputes"` // opened
	Tokens     int64            `json:"tokens"`   // access tokens given out
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
		Disputes: len(p.disputes), Tokens: p.tokens.Load(), Consistent: true,
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
			i.Status, i.Captured, i.Refunded = "captured", i.Captured+c.minor, i.Refunded+c.back
			b.Disputed[o.currency] += c.taken
		}
		b.Captured[o.currency] += i.Captured
		b.Refunded[o.currency] += i.Refunded
		b.Statuses[i.Status]++
		b.Intents[n] = i
	}
	for currency, minor := range p.balances {
		b.Balances[currency], b.Fees[currency] = minor, p.fees[currency]
	}
	for currency, captured := range b.Captured {
		b.Consistent = b.Consistent && captured-b.Refunded[currency]-b.Disputed[currency] == b.Balances[currency]
	}
	return b
}
