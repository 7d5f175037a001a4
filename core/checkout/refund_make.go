package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// taskRefund has the provider give money back. Its payload is the refund's id.
const taskRefund = payment.KindRefund

func refundTask(f *Refund) payment.Task {
	return payment.Task{ID: payment.TaskID(f.ID, taskRefund), Kind: taskRefund, OrderID: f.Order, PaymentID: f.Payment, Payload: f.ID.String()}
}

// Refund gives back what was paid for an order, for some of its tickets, or an amount. In one transaction the tickets
// become void, their units go back on sale, the books promise the money to the buyer, and the call to the provider is in
// the outbox. Asking again with the same key returns the same refund. Errors: ErrOrderUnknown, ErrRefundKey, ErrRefundEarly
// (ask again when the payment is captured), ErrRefundDispute, ErrTransition, ErrTicketsNot, ErrRefundNothing, ErrRefundUnclear, ledger.ErrOverRefund.
func (s *Service) Refund(ctx context.Context, q RefundRequest) (Refund, error) {
	var made Refund
	err := s.asking(ctx, q.Order, uuid.Nil, func(known answers) error {
		return s.change(ctx, q.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
			err := known.cover(refunds...)
			if err == nil {
				made, err = s.refund(ctx, tx, r, refunds, &q)
			}
			return err
		})
	})
	if err != nil {
		return Refund{}, fmt.Errorf("refund order %s: %w", q.Order, err)
	}
	return s.FindRefund(ctx, made.ID)
}

// RefundOwn is Refund for buyers, as far as the event's file lets them: by ticket or whole, in time, and by its policy; or, while that
// is offered and the event has not begun, because it was moved after they had bought (movedReason): the fee included, whatever the
// policy says. Errors besides those of Refund: ErrRefundRefused, ErrRefundTransferred, ErrRefundEntered,
// ErrRefundSellerPaid.
func (s *Service) RefundOwn(ctx context.Context, order uuid.UUID, entrant lottery.Entrant, key string, tickets []uuid.UUID) (Order, error) {
	o, err := s.Load(ctx, order, entrant)
	if err != nil {
		return Order{}, err
	}
	terms, err := s.catalog(ctx, o.Event)
	if err != nil {
		return Order{}, fmt.Errorf("terms of event %s: %w", o.Event, err)
	}
	id := RefundID(order, key)
	var known *Refund
	for i := range o.Refunds {
		if o.Refunds[i].ID == id {
			known = &o.Refunds[i]
		}
	}
	q := RefundRequest{Order: order, Key: key, Tickets: tickets, Actor: "buyer", Reason: "asked for by the buyer", own: true}
	moved, err := s.movedSince(ctx, &o, terms.StartsAt)
	if err != nil {
		return Order{}, err
	}
	switch p := terms.Refunds; {
	case known != nil && known.Reason != movedReason: // asked for before, whatever has changed since
	case known != nil || moved:
		q.KeepFee, q.Reason = new(bool), movedReason // the fee goes back, too
	case !p.Buyers:
		return Order{}, ErrRefundRefused
	case !p.Until.IsZero() && !o.ServerTime.Before(p.Until):
		return Order{}, fmt.Errorf("%w: it did until %s", ErrRefundRefused, p.Until)
	}
	_, err = s.Refund(ctx, q)
	if err != nil {
		return Order{}, err
	}
	return s.Load(ctx, order, entrant)
}

// refund is Refund inside its transaction.
func (s *Service) refund(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, q *RefundRequest) (Refund, error) {
	id, hash := RefundID(q.Order, q.Key), q.hash()
	for _, f := range refunds {
		if f.ID == id {
			if !bytes.Equal(f.bodyHash, hash) {
				return Refund{}, ErrRefundKey
			}
			return f, nil
		}
	}
	if p := r.live(); p != nil && r.order.State == PaymentPending || r.order.State == PaymentComplete {
		return Refund{}, ErrRefundEarly
	}
	p := r.sale()
	rest := r.order.State == DisputeLost && q.kind() == RefundOfAmount // of a dispute of a part: see package comment
	if r.order.State == Disputed {
		return Refund{}, fmt.Errorf("%w: %w: a refund while %s", ErrRefundDispute, ErrTransition, r.order.State)
	}
	if r.order.State != TicketIssued && !rest || p == nil {
		return Refund{}, fmt.Errorf("%w: a refund while %s", ErrTransition, r.order.State)
	}
	terms, err := s.catalog(ctx, r.order.Event)
	if err != nil {
		return Refund{}, fmt.Errorf("terms of event %s: %w", r.order.Event, err)
	}
	keepFee, keepOff := terms.Refunds.KeepFee, terms.Refunds.KeepOff || terms.Cancelled
	if q.KeepFee != nil {
		keepFee = *q.KeepFee
	}
	if q.KeepOff != nil {
		keepOff = *q.KeepOff
	}
	left := unrefunded(len(r.order.Lines), refunds)
	items, err := q.chosen(r, refunds, ticket.TicketID)
	if err != nil {
		return Refund{}, err
	}
	if items, err = s.notResold(ctx, tx, r, q, items, terms.Organizer); err != nil {
		return Refund{}, err
	}
	if q.own {
		if err := r.stillTheirs(ctx, tx, items); err != nil {
			return Refund{}, err
		}
		if err := s.sellerUnpaid(ctx, tx, r); err != nil {
			return Refund{}, err
		}
	}
	m, err := ledger.ReadOrder(ctx, tx, r.order.ID)
	if err != nil {
		return Refund{}, err
	}
	parts, total, err := q.worth(m, r.order.Lines, items, left, keepFee)
	if err != nil {
		return Refund{}, err
	}
	f := Refund{
		ID: id, Order: r.order.ID, Event: r.order.Event, Payment: p.ID, Provider: p.Provider, Kind: q.kind(), State: RefundAsked,
		Amount: ledger.Amount{Minor: total, Currency: r.order.Amount.Currency}, Parts: parts, Items: items, Run: q.run,
		Reason: q.Reason, Actor: q.Actor, bodyHash: hash,
	}
	transfers, err := ledger.RefundTransfers(f.terms(terms.Organizer), f.ID, m, parts, total)
	if err != nil {
		return Refund{}, err
	}
	news := newsRefunded
	if q.run != uuid.Nil || terms.Cancelled {
		news = newsCancelled
	}
	if err := tellGone(ctx, tx, r, items, news); err != nil {
		return Refund{}, err
	}
	if err := s.takeBack(ctx, tx, r, items, keepOff, q.Reason); err != nil {
		return Refund{}, err
	}
	if len(items) > 0 {
		if err := s.unlist(ctx, tx, r, items, terms, q.Reason); err != nil {
			return Refund{}, err
		}
	}
	if rest { // of what a dispute has left
		if _, err := s.loseResale(ctx, tx, r, refunds, terms, resaleLoss{f.ID, "refunded: " + q.Reason, m, parts.Face}); err != nil {
			return Refund{}, err
		}
	}
	refunds = append(refunds, f)
	why := fmt.Sprintf("%s back for %s: %s", f.Amount, purpose(&f), q.Reason)
	if err := r.come(refunds, CauseRefundRequested, CausePartRefundRequested, origin{actor: q.Actor}, why); err != nil {
		return Refund{}, err
	}
	if q.run != uuid.Nil {
		if err := notify.QueueAll(ctx, tx, cancelledMail(&r.order)); err != nil {
			return Refund{}, err
		}
	}
	return f, s.promise(ctx, tx, &f, transfers)
}

// promise writes a new refund, its transfers and its task.
func (s *Service) promise(ctx context.Context, tx pgx.Tx, f *Refund, transfers []ledger.Transfer) error {
	if err := f.insert(ctx, tx); err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	return s.outbox.Enqueue(ctx, tx, []payment.Task{refundTask(f)})
}

// takeBack makes the tickets of lines void and, unless they are kept off sale, gives their units back.
func (s *Service) takeBack(ctx context.Context, tx pgx.Tx, r *record, items []int, keepOff bool, reason string) error {
	if len(items) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(items))
	part := inventory.Part{Hold: r.order.Hold}
	places := map[string]int{} // in the part, by tier
	for n, i := range items {
		ids[n] = ticket.TicketID(r.order.ID, i)
		part.Units = append(part.Units, ids[n])
		line := r.order.Lines[i]
		if line.Seat != "" && line.Listing == uuid.Nil { // a resale's seat is with the hold that it was sold first with
			part.Items = append(part.Items, inventory.Item{Tier: line.Tier, Seats: []string{line.Seat}})
			continue
		}
		tier := line.Tier
		if line.Listing != uuid.Nil {
			tier = "" // its hold has one unit, and the ticket's seat may have been changed to another tier's since
		}
		at, known := places[tier]
		if !known {
			at = len(part.Items)
			places[tier] = at
			part.Items = append(part.Items, inventory.Item{Tier: tier})
		}
		part.Items[at].Quantity++
	}
	if !keepOff {
		failed, err := inventory.Return(ctx, tx, []inventory.Part{part})
		if err == nil {
			err = failed[part.Hold]
		}
		if err != nil && !errors.Is(err, inventory.ErrItemsInvalid) {
			return fmt.Errorf("give units of hold %s back: %w", part.Hold, err)
		}
		if err != nil { // whoever took them back before, the money is due all the same
			s.log.Error("the units of refunded tickets are not in their hold", "order_id", r.order.ID, "error", err)
		}
	}
	if _, err := ticket.Void(ctx, tx, ids, reason); err != nil {
		return err
	}
	return nil
}

// terms say whom a refund's money concerns.
func (f *Refund) terms(organizer string) ledger.Terms {
	return ledger.Terms{Order: f.Order, Organizer: organizer, Provider: f.Provider, Currency: f.Amount.Currency}
}

// purpose is what a refund is for, in words.
func purpose(f *Refund) string {
	switch f.Kind {
	case RefundOfTickets:
		return fmt.Sprintf("%d tickets", len(f.Items))
	case RefundOfAmount:
		return "a share of the order"
	case RefundOfLate:
		return "a payment that came too late"
	case RefundFound:
		return "a refund that somebody made at the provider"
	}
	return "the order"
}

// transfersOf are a refund's transfers, as they were made when it began.
func (s *Service) transfersOf(ctx context.Context, f *Refund) ([]ledger.Transfer, error) {
	terms, err := s.catalog(ctx, f.Event)
	if err != nil {
		return nil, fmt.Errorf("terms of event %s: %w", f.Event, err)
	}
	if f.late() {
		return ledger.LateRefundTransfers(f.terms(terms.Organizer), f.booked(), f.Amount.Minor)
	}
	return ledger.RefundAgain(f.terms(terms.Organizer), f.booked(), f.Parts, f.Amount.Minor)
}

// late tells whether a refund is of money that never bought anything. Its parts are nothing then.
func (f *Refund) late() bool { return f.Kind == RefundOfLate }
