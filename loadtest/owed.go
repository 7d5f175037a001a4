package loadtest

import "github.com/google/uuid"

// owed is what our database says has become of an order's money.
type owed struct {
	sold      int   // payments that were captured for what it sold
	late      int   // and too late for that
	given     int64 // by refunds that the provider made
	banks     int64 // taken back by disputes that are open, and as much of those that were lost as is the buyer's
	otherwise int64 // given back from elsewhere, while the provider keeps its own
}

// accounts are those of the orders that anything was paid for; the others' are zero. With an inquiry it also asks that every refund has
// come to its end.
func (e *evidence) accounts(q *Inquiry) map[uuid.UUID]owed {
	all := make(map[uuid.UUID]owed, len(e.orders))
	of := func(order uuid.UUID, add func(*owed)) {
		a := all[order]
		add(&a)
		all[order] = a
	}
	for _, p := range e.payments {
		switch {
		case p.Sold:
			of(p.Order, func(a *owed) { a.sold++ })
		case p.Late:
			of(p.Order, func(a *owed) { a.late++ })
		}
	}
	for _, f := range e.refunds {
		switch {
		case f.State == "succeeded":
			of(f.Order, func(a *owed) { a.given += f.Minor })
		case f.State == "failed" && f.Resolution == "paid_otherwise":
			of(f.Order, func(a *owed) { a.otherwise += f.Minor })
		}
		if q != nil {
			q.Checked(1)
			q.That(f.State == "succeeded" || f.State == "failed", "refund %s of order %s is still %s", f.ID, f.Order, f.State)
			q.That(f.State != "failed" || f.Resolution != "", "refund %s of order %s failed and nobody saw to it", f.ID, f.Order)
		}
	}
	for _, rows := range [][]bankRow{e.disputed, e.lost} {
		for _, d := range rows {
			of(d.Order, func(a *owed) { a.banks += d.Minor })
		}
	}
	return all
}

// due is what the provider should have of an order: all that was captured for it, but for what was given back and what banks have.
func (a owed) due(o orderRow) int64 {
	return int64(a.sold+a.late)*o.Minor - a.given - a.banks
}

// check asks that an order in its state was paid for as it should be: once if it sold anything, and that nothing is kept for nothing.
func (a owed) check(q *Inquiry, o orderRow) {
	switch o.State {
	case "payment_complete", "ticket_issued", "disputed", "dispute_lost":
		q.That(a.sold == 1, "order %s is %s and has %d payments that were captured for it", o.ID, o.State, a.sold)
	case "refund_pending", "refunded", "refund_failed": // of what was sold, or of late money
		q.That(a.sold+a.late > 0, "order %s is %s and nothing was ever captured for it", o.ID, o.State)
	default:
		q.That(a.sold == 0, "order %s is %s and has %d payments that were captured for it", o.ID, o.State, a.sold)
	}
	worth := int64(0)
	if a.sold > 0 {
		worth = o.Minor
	}
	q.That(a.due(o) <= worth+a.otherwise, "order %s is %s over %d %s and keeps %d, of late money too", o.ID, o.State, worth, o.Currency, a.due(o))
}
