package paysim

import (
	"net/http"
	"strings"
)

// Books is what the provider has on record: GET /_paysim/books. Amounts are in minor units, currencies upper case.
type Books struct {
	Intents    []BookedIntent   `json:"intents"` // in the order in which they were made; left out with ?entries=0
	Balances   map[string]int64 `json:"balances"`
	Captured   map[string]int64 `json:"captured"`
	Refunded   map[string]int64 `json:"refunded"`
	Authorized map[string]int64 `json:"authorized"` // reserved and not captured
	Statuses   map[string]int   `json:"statuses"`
	Voided     int              `json:"voided"` // intents that were canceled after money had been reserved or tried
	// Consistent says that the balances, kept as the money moved, are what the intents add up to.
	Consistent bool         `json:"consistent"`
	PayPal     *PayPalBooks `json:"paypal,omitempty"` // the PayPal side\'s own, which nothing above counts
	Webhooks   WebhookCount `json:"webhooks"`
	Calls      CallCount    `json:"calls"`
}

// BookedIntent is one payment as the provider has it.
type BookedIntent struct {
	ID       string `json:"id"`
	Order    string `json:"order"`   // metadata order_id
	Payment  string `json:"payment"` // metadata payment_id
	Attempt  string `json:"attempt"` // metadata attempt
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"`
	Currency string `json:"currency"`
	Charges  int    `json:"charges"` // cards tried
}

// WebhookCount says what became of the events.
type WebhookCount struct {
	Created    int64 `json:"created"`
	Delivered  int64 `json:"delivered"` // accepted with a 2xx; an event sent twice counts twice
	Early      int64 `json:"early"`     // of those, before the answer to the call
	Repeated   int64 `json:"repeated"`
	Retried    int64 `json:"retried"`
	Lost       int64 `json:"lost"`
	Late       int64 `json:"late"` // sent long after
	GivenUp    int64 `json:"given_up"`
	Overflowed int64 `json:"overflowed"` // dropped: no endpoint, or too many waiting
	Pending    int64 `json:"pending"`
}

// CallCount says what became of the calls of the API.
type CallCount struct {
	Served   int64 `json:"served"`
	Replayed int64 `json:"replayed"` // answered from an idempotency key
	Limited  int64 `json:"limited"`  // 429
	Failed   int64 `json:"failed"`   // 500 on purpose
	Lost     int64 `json:"lost"`     // carried out and not answered
	Cut      int64 `json:"cut"`      // neither carried out nor answered
	Slow     int64 `json:"slow"`
	Refused  int64 `json:"refused"` // wrong key, or idempotency key in use or used otherwise
}

// Balances is the money held, by upper-case currency.
func (s *Server) Balances() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	balances := make(map[string]int64, len(s.balances))
	for currency, minor := range s.balances {
		balances[strings.ToUpper(currency)] = minor
	}
	return balances
}

// Books reads the books, as of one moment.
func (s *Server) Books() Books {
	b := Books{
		Balances: map[string]int64{}, Captured: map[string]int64{}, Refunded: map[string]int64{},
		Authorized: map[string]int64{}, Statuses: map[string]int{},
	}
	s.mu.Lock()
	b.Intents = make([]BookedIntent, len(s.intents))
	for currency, minor := range s.balances {
		b.Balances[strings.ToUpper(currency)] = minor
	}
	for n, i := range s.intents {
		currency := strings.ToUpper(i.currency)
		b.Intents[n] = BookedIntent{
			ID: i.id, Order: i.value("order_id"), Payment: i.value(metadataPayment), Attempt: i.value("attempt"),
			Status: string(i.status), Amount: i.amount, Captured: i.received, Refunded: i.refunded, Currency: currency, Charges: i.charges,
		}
		b.Captured[currency] += i.received
		b.Refunded[currency] += i.refunded
		b.Authorized[currency] += i.capturable
		b.Statuses[string(i.status)]++
		if i.status == canceled && i.charges > 0 {
			b.Voided++
		}
	}
	b.PayPal = s.payPalBooks()
	s.mu.Unlock()
	b.Consistent = true
	for currency, captured := range b.Captured {
		b.Consistent = b.Consistent && captured-b.Refunded[currency] == b.Balances[currency]
	}
	n := &s.courier.counts
	b.Webhooks = WebhookCount{
		Created: n.created.Load(), Delivered: n.delivered.Load(), Early: n.early.Load(), Repeated: n.repeated.Load(), Retried: n.retried.Load(),
		Lost: n.lost.Load(), Late: n.late.Load(), GivenUp: n.givenUp.Load(), Overflowed: n.overflowed.Load(), Pending: int64(s.courier.pending()),
	}
	b.Calls = CallCount{
		Served: s.calls.served.Load(), Replayed: s.calls.replayed.Load(), Limited: s.calls.limited.Load(),
		Failed: s.calls.failed.Load(), Lost: s.calls.lost.Load(), Cut: s.calls.cut.Load(), Slow: s.calls.slow.Load(), Refused: s.calls.refused.Load(),
	}
	return b
}

func (s *Server) serveBooks(w http.ResponseWriter, r *http.Request) {
	b := s.Books()
	if r.URL.Query().Get("entries") == "0" {
		b.Intents = []BookedIntent{}
		if b.PayPal != nil {
			b.PayPal.Intents = []BookedIntent{}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encode(b))
}
