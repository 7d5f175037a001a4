package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// won gives the money back in the books, and the tickets to whoever still has the places and was not refunded.
func (d *dispute) won(ctx context.Context, tx pgx.Tx) error {
	fee := int64(0)
	if d.row.Fee > 0 && d.news.Fee.Minor == 0 {
		fee = d.row.Fee // the provider has taken its fee off again
	}
	transfers, err := ledger.DisputeWonTransfers(d.book(), d.row.ID, d.row.Amount.Minor, fee)
	if err != nil {
		return err
	}
	d.transfers = append(d.transfers, transfers...)
	if d.late {
		d.tasks = append(d.tasks, lateTask(d.row.ID, d.row.Order, d.row.Payment))
		return d.note(CauseLateDisputed, "won: the money is ours again")
	}
	others, err := d.others(ctx, tx)
	if err != nil {
		return err
	}
	if others > 0 || d.record.order.State == DisputeLost {
		return d.note(CauseDisputeWonPart, "the money is ours again; another dispute decides about the tickets")
	}
	undisputed := *d.record
	undisputed.order.State = TicketIssued
	switch standing(&undisputed, d.refunds) {
	case Refunded:
		return d.note(CauseDisputeWonRefunded, "the money is ours again; all tickets were refunded")
	case RefundPending:
		return d.note(CauseDisputeWonRefunding, "the money is ours again; a refund is under way")
	case RefundFailed:
		if err := d.note(CauseDisputeWonRefunding, "the money is ours again"); err != nil {
			return err
		}
		return d.note(CauseRefundFailed, "a refund has failed and is not settled")
	}
	undone, err := d.undone(ctx, tx)
	if err != nil {
		return err
	}
	tickets, err := d.theirs(ctx, tx, undone)
	if err != nil {
		return err
	}
	if d.terms.Cancelled {
		return d.wonForNothing(ctx, tx, len(tickets))
	}
	if len(tickets) == 0 && d.resold(ctx, tx) {
		return d.note(CauseDisputeWon, "its tickets were resold before")
	}
	if len(tickets) == 0 {
		return d.note(CauseDisputeWonNoPlaces, "the money is ours again; the places are somebody else's: refund it")
	}
	return d.handBack(ctx, tx, tickets, undone)
}

// wonForNothing gives the money of a cancelled event back, which has been refunded while this order was disputed.
func (d *dispute) wonForNothing(ctx context.Context, tx pgx.Tx, tickets int) error {
	if err := d.given.cover(d.refunds...); err != nil {
		return err
	}
	if err := d.note(CauseDisputeWon, fmt.Sprintf("%d tickets would be valid again, but the event is cancelled", tickets)); err != nil {
		return err
	}
	if err := d.keep(ctx, tx); err != nil {
		return err
	}
	no, yes := false, true
	run := RunID(d.row.Event)
	_, err := d.service.refund(ctx, tx, d.record, d.refunds, &RefundRequest{Order: d.row.Order, Key: "run/" + run.String(), KeepFee: &no, KeepOff: &yes,
		Reason: "the event is cancelled", Actor: "dispute", run: run})
	if errors.Is(err, ErrRefundNothing) {
		return nil
	}
	return err
}

// theirs are the order's tickets that the dispute made void, or whose resale was undone meanwhile, that no refund has taken back, and whose
// places the hold still has.
func (d *dispute) theirs(ctx context.Context, tx pgx.Tx, undone map[uuid.UUID]resale.Listing) ([]ticket.Ticket, error) {
	tickets, err := ticket.OfOrder(ctx, tx, d.row.Order, len(d.record.order.Lines))
	if err != nil {
		return nil, err
	}
	holds, err := inventory.Read(ctx, tx, []uuid.UUID{d.record.order.Hold})
	if err != nil {
		return nil, err
	}
	h := holds[d.record.order.Hold]
	if h.State != inventory.Sold {
		return nil, nil
	}
	seats, standing := map[string]bool{}, map[string]int{}
	for _, item := range h.Items {
		if len(item.Seats) == 0 {
			standing[item.Tier] += item.Quantity
		}
		for _, seat := range item.Seats {
			seats[seat] = true
		}
	}
	unrefunded := unrefunded(len(d.record.order.Lines), d.refunds)
	var left []ticket.Ticket
	for _, t := range tickets {
		_, back := undone[t.ID]
		switch {
		case t.State != ticket.Voided || t.VoidReason != voidedByDispute && !back || !slices.Contains(unrefunded, t.Item):
		case t.Seat != "" && (seats[t.Seat] || h.Listing()):
			left = append(left, t)
		case t.Seat == "" && standing[t.Tier] > 0:
			standing[t.Tier]--
			left = append(left, t)
		}
	}
	return left, nil
}

// lostMinor is what the buyer gets of a dispute that is lost: all of it, unless the provider says that it is a part.
func (d *dispute) lostMinor() int64 {
	part, all := d.news.Lost, d.row.Amount
	if d.row.State != payment.DisputeLost || part.Currency != all.Currency || part.Minor <= 0 || part.Minor > all.Minor {
		return all.Minor
	}
	return part.Minor
}

// lost charges the money to those who had earned it, and puts the places back on sale where the event says so. Of one that is lost in
// part the rest is ours again, the tickets stay void, and the places are kept until an operator has looked at it.
func (d *dispute) lost(ctx context.Context, tx pgx.Tx) error {
	m, err := ledger.ReadOrder(ctx, tx, d.row.Order)
	if err != nil {
		return err
	}
	lost := ledger.Amount{Minor: d.lostMinor(), Currency: d.row.Amount.Currency}
	loss, err := lossOf(m, lost.Minor, d.late)
	if err != nil {
		return err
	}
	loss.ExcessMinor = lost.Minor - loss.minor
	transfers, err := ledger.DisputeLostTransfers(d.book(), d.row.ID, loss.Loss, lost.Minor)
	if err != nil {
		return err
	}
	d.transfers = append(d.transfers, transfers...)
	if d.taken > lost.Minor {
		if transfers, err = ledger.DisputeWonTransfers(d.book(), d.row.ID, d.taken-lost.Minor, 0); err != nil {
			return err
		}
		d.transfers = append(d.transfers, transfers...)
	}
	said, part := fmt.Sprintf("%s is the buyer's", lost), lost.Minor < d.row.Amount.Minor
	if part {
		said = fmt.Sprintf("%s of %s is the buyer's, the rest is ours; look what becomes of the tickets and places", lost, d.row.Amount)
	}
	if loss.ExcessMinor > 0 {
		excess := ledger.Amount{Minor: loss.ExcessMinor, Currency: d.row.Amount.Currency}
		d.service.metrics.disputeExcess.Inc()
		d.service.log.Error("a dispute was lost over money that the buyer has back already; talk to the provider", "order_id", d.row.Order, "dispute", d.row.Ref, "excess", excess.String())
		said += fmt.Sprintf(", %s of it had gone back before: taken twice, and booked as a cost of the provider", excess)
	}
	settled, err := d.settleRefunds(ctx, tx, m, loss.minor)
	if err != nil {
		return err
	}
	if settled > 0 {
		said += fmt.Sprintf("; %d failed refunds are settled by it", settled)
	}
	if d.late {
		return d.lostLate(said, settled > 0)
	}
	if err := d.note(CauseDisputeLost, said); err != nil {
		return err
	}
	if err := tellLost(ctx, tx, d.record); err != nil {
		return err
	}
	resold, err := d.service.loseResale(ctx, tx, d.record, d.refunds, d.terms, resaleLoss{d.row.ID, "lost to a dispute", m, loss.Face})
	if err != nil || resold || part || !d.terms.ResellLost {
		return err
	}
	_, err = inventory.Unsell(ctx, tx, []uuid.UUID{d.record.order.Hold}) // what was given back before is no error
	return err
}

// lostLate has the outbox give back what the dispute has left of late money. An order that waited for an operator to see to a refund
// which the dispute has settled waits no more.
func (d *dispute) lostLate(said string, settled bool) error {
	d.tasks = append(d.tasks, lateTask(d.row.ID, d.row.Order, d.row.Payment))
	if err := d.note(CauseLateDisputed, "lost: "+said); err != nil || !settled {
		return err
	}
	if t := d.record.taken[d.row.Payment]; d.record.taken != nil {
		if d.counted {
			t.minor -= d.row.Amount.Minor // it was there as disputed
		}
		d.record.taken[d.row.Payment] = taken{t.minor + d.lostMinor(), true}
	}
	switch to := standing(d.record, d.refunds); {
	case d.record.order.State != RefundFailed || to == RefundFailed:
		return nil
	case to == RefundPending:
		return d.note(CauseRefundResumed, "the dispute settled what had failed")
	}
	return d.note(CausePaidOtherwise, "the dispute settled what had failed")
}

// settleRefunds settles refunds that have failed: what is left after the dispute is not enough for them, and the buyer has it.
func (d *dispute) settleRefunds(ctx context.Context, tx pgx.Tx, m ledger.OrderMoney, taken int64) (settled int, err error) {
	left := m.CapturedMinor - m.ReturnedMinor - taken
	if d.late {
		left = m.LateMinor - taken
	}
	for i := range d.refunds {
		f := &d.refunds[i]
		if !f.unsettled() || f.Payment != d.row.Payment || f.Amount.Minor <= left {
			continue
		}
		if err := f.move(ctx, tx, f.State, ResolvedOtherwise, f.Failure, ""); err != nil {
			return 0, err
		}
		settled++
	}
	return settled, nil
}

// loss is what a lost amount is charged to, and how much of it that is.
type loss struct {
	ledger.Loss
	minor int64
}

// lossOf takes a lost amount of what the order has left, as it was split when it was paid; disputes that are undecided have a claim to
// it too, and whoever is decided first has it.
func lossOf(m ledger.OrderMoney, minor int64, late bool) (loss, error) {
	if late {
		n := max(0, min(minor, m.LateMinor))
		return loss{ledger.Loss{LateMinor: n}, n}, nil
	}
	m.DisputedMinor = 0
	_, left := m.Rest()
	n := max(0, min(minor, left))
	if n == 0 {
		return loss{}, nil
	}
	parts, n, err := amountParts(m, n)
	return loss{ledger.Loss{Parts: parts}, n}, err
}

const sqlLostDisputes = `SELECT count(*) FROM disputes WHERE order_id = $1 AND payment_id = $2 AND taken AND state = 'lost'`

// disputedAway looks, when a refund has failed, for lost disputes of its payment. What they took in excess because the refund counted as
// given is charged to those who had earned it; and if the buyer so has the refund's money, it is settled.
func (s *Service) disputedAway(ctx context.Context, tx pgx.Tx, f *Refund) (settled bool, err error) {
	var disputes int64
	if err := tx.QueryRow(ctx, sqlLostDisputes, f.Order, f.Payment).Scan(&disputes); err != nil {
		return false, fmt.Errorf("look for lost disputes of order %s: %w", f.Order, err)
	}
	if disputes == 0 {
		return false, nil
	}
	m, err := ledger.ReadOrder(ctx, tx, f.Order)
	if err != nil {
		return false, err
	}
	charge, err := lossOf(m, m.ExcessMinor, f.late())
	if err != nil {
		return false, err
	}
	left := m.CapturedMinor - m.ReturnedMinor
	if f.late() {
		left = m.LateMinor
	}
	if charge.minor > 0 {
		terms, err := s.catalog(ctx, f.Event)
		if err != nil {
			return false, fmt.Errorf("terms of event %s: %w", f.Event, err)
		}
		transfers, err := ledger.DisputeChargedTransfers(f.terms(terms.Organizer), f.booked(), charge.Loss, charge.minor)
		if err != nil {
			return false, err
		}
		if err := s.ledger.Record(ctx, tx, transfers); err != nil {
			return false, err
		}
	}
	if f.Amount.Minor <= left-charge.minor {
		return false, nil
	}
	return true, f.move(ctx, tx, f.State, ResolvedOtherwise, f.Failure, "")
}

const sqlUndecided = `SELECT coalesce(sum(amount_minor), 0)::INT8 FROM disputes WHERE order_id = $1 AND payment_id = $2 AND taken AND closed_at IS NULL`

// lateLeft is what of an order's late money may be given back: it was neither promised nor lost, and no bank has taken this payment back.
func lateLeft(ctx context.Context, q ledger.Querier, order, attempt uuid.UUID) (int64, error) {
	m, err := ledger.ReadOrder(ctx, q, order)
	if err != nil {
		return 0, err
	}
	undecided := int64(0)
	if err := q.QueryRow(ctx, sqlUndecided, order, attempt).Scan(&undecided); err != nil {
		return 0, fmt.Errorf("look for disputes of order %s: %w", order, err)
	}
	return m.LateMinor - undecided, nil
}
