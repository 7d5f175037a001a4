package paysim

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strconv"
)

// maxEntries bounds a page of the books.
const maxEntries = 10_000

// serveBooks answers GET /_paysim/books: all of it; with entries=0 without the lists of payments, orders, refunds, disputes
// and payouts; with offset and limit those lists from there on.
func (s *Server) serveBooks(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var b Books
	switch {
	case query.Get("entries") == "0":
		s.mu.Lock()
		b = s.totals()
		s.mu.Unlock()
		b.Intents, b.Orders, b.Refunds, b.Disputes, b.Payouts = []BookedIntent{}, []BookedOrder{}, []BookedRefund{}, []BookedDispute{}, []BookedPayout{}
		if b.PayPal != nil {
			b.PayPal.Intents = []BookedIntent{}
		}
	case query.Has("offset") || query.Has("limit"):
		offset, limit := 0, maxEntries
		for name, n := range map[string]*int{"offset": &offset, "limit": &limit} {
			if text := query.Get(name); text != "" {
				var err error
				if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
					s.send(w, refusal(invalid(http.StatusBadRequest, "parameter_invalid_integer", name, "Invalid integer: "+text)))
					return
				}
			}
		}
		s.mu.Lock()
		b = s.totals()
		b.Intents, b.Refunds, b.Disputes, b.Payouts = bookAll(cut(s.intents, offset, limit)), bookAll(cut(s.refunds, offset, limit)),
			bookAll(cut(s.disputes, offset, limit)), bookAll(cut(s.payouts, offset, limit))
		s.mu.Unlock()
	default:
		b = s.Books()
	}
	w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(w, 64<<10)
	_ = json.NewEncoder(out).Encode(b) // a reader that is gone reads again
	_ = out.Flush()
}

// cut is up to limit entries of a list from a place on.
func cut[T any](list []T, from, limit int) []T {
	from = min(from, len(list))
	return list[from:min(len(list), from+min(limit, maxEntries))]
}

// line is one line of the books as a stream; one of its fields is set.
type line struct {
	Intent  *BookedIntent  `json:"intent,omitempty"`
	Refund  *BookedRefund  `json:"refund,omitempty"`
	Dispute *BookedDispute `json:"dispute,omitempty"`
	Payout  *BookedPayout  `json:"payout,omitempty"`
	Totals  *Books         `json:"totals,omitempty"` // the last line, without lists
}

// streamBooks answers GET /_paysim/books.jsonl: a line for each entry and one with the totals, in memory that does not grow
// with the books. What happens meanwhile may be in one and not yet in the other; a provider at rest has one answer.
func (s *Server) streamBooks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 64<<10)
	to := json.NewEncoder(out)
	send := func(l line) bool { return to.Encode(l) == nil }
	if !stream(s, func() []*intent { return s.intents }, func(b BookedIntent) bool { return send(line{Intent: &b}) }) ||
		!stream(s, func() []*refund { return s.refunds }, func(b BookedRefund) bool { return send(line{Refund: &b}) }) ||
		!stream(s, func() []*dispute { return s.disputes }, func(b BookedDispute) bool { return send(line{Dispute: &b}) }) ||
		!stream(s, func() []*payout { return s.payouts }, func(b BookedPayout) bool { return send(line{Payout: &b}) }) {
		return // the reader is gone
	}
	s.mu.Lock()
	b := s.totals()
	s.mu.Unlock()
	send(line{Totals: &b})
	_ = out.Flush()
}

// stream sends the lines of a list, a thousand at a time so that the lock is never held long.
func stream[B any, T booked[B]](s *Server, list func() []T, send func(B) bool) bool {
	for from := 0; ; {
		s.mu.Lock()
		lines := bookAll(cut(list(), from, 1000))
		s.mu.Unlock()
		if len(lines) == 0 {
			return true
		}
		for _, l := range lines {
			if !send(l) {
				return false
			}
		}
		from += len(lines)
	}
}

// serveOrder answers GET /_paysim/orders/{order}: everything on record about one order.
func (s *Server) serveOrder(w http.ResponseWriter, r *http.Request) {
	order := r.PathValue("order")
	var b struct {
		Orders   []BookedOrder   `json:"orders"` // one for each currency
		Intents  []BookedIntent  `json:"intents"`
		Refunds  []BookedRefund  `json:"refunds"`
		Disputes []BookedDispute `json:"disputes"`
	}
	b.Intents, b.Refunds, b.Disputes = []BookedIntent{}, []BookedRefund{}, []BookedDispute{}
	s.mu.Lock()
	for _, i := range s.byOrder[order] {
		b.Intents = append(b.Intents, i.booked())
		b.Refunds = append(b.Refunds, bookAll(i.refunds)...)
		b.Disputes = append(b.Disputes, bookAll(i.disputes)...)
	}
	s.mu.Unlock()
	b.Orders = ordersOf(b.Intents)
	s.send(w, &reply{status: http.StatusOK, other: encode(b)})
}
