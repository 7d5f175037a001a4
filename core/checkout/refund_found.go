package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// foundRefund records a refund that somebody made in the provider's own pages, and books it. When all of the order's money has gone
// back with it, its tickets are void as by a refund of ours. What a part means for the tickets nobody knows: they stay valid, and an
// operator finds it among those to be reviewed (RefundPage.Review) and says so (ReviewFound).
func (s *Service) foundRefund(ctx context.Context, e payment.Event) error {
	out := e.Refund.Outcome
	if out.ProviderRef == "" || out.Amount.Minor <= 0 || out.State == payment.RefundFailed {
		return nil // nothing has left our account
	}
	order, attempt, err := s.owner(ctx, e)
	if err != nil || order == uuid.Nil {
		return err
	}
	err = s.enterFound(ctx, order, attempt, out, webhook(e))
	if errors.Is(err, ErrOrderUnknown) {
		s.log.Warn("webhook about a refund of an order that is not ours", "webhook_id", e.ID)
		return nil
	}
	return err
}

// enterFound books a refund of an attempt that somebody made at the provider, or applies what became of one that is known.
func (s *Service) enterFound(ctx context.Context, order, attempt uuid.UUID, out payment.RefundOutcome, by origin) error {
	return s.change(ctx, order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		p := r.payment(attempt)
		if p == nil {
			return ErrOrderUnknown
		}
		for i := range refunds {
			if refunds[i].Provider == p.Provider && refunds[i].ProviderRef == out.ProviderRef {
				return s.applyRefund(ctx, tx, r, refunds, &refunds[i], out, by)
			}
		}
		return s.book(ctx, tx, r, refunds, p, out, by)
	})
}

// owner finds out whose payment a refund is of; uuid.Nil for none of ours.
func (s *Service) owner(ctx context.Context, e payment.Event) (order, attempt uuid.UUID, err error) {
	if e.OrderID != uuid.Nil && e.PaymentID != uuid.Nil {
		return e.OrderID, e.PaymentID, nil
	}
	identifier, err := s.providers.Identifier(e.Provider)
	if err != nil && !errors.Is(err, payment.ErrUnsupported) {
		return uuid.Nil, uuid.Nil, err
	}
	if err != nil || e.Refund.PaymentRef == "" {
		s.log.Warn("webhook about a refund of nobody", "webhook_id", e.ID)
		return uuid.Nil, uuid.Nil, nil //nolint:nilerr // a provider that cannot say whose it is
	}
	order, attempt, _, err = identifier.Identify(ctx, e.Refund.PaymentRef)
	if errors.Is(err, payment.ErrNotFound) {
		return uuid.Nil, uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, fmt.Errorf("whose payment is %s: %w", e.Refund.PaymentRef, err)
	}
	return order, attempt, nil
}

// book enters a refund that was found.
func (s *Service) book(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, p *Payment, out payment.RefundOutcome, by origin) error {
	terms, err := s.catalog(ctx, r.order.Event)
	if err != nil {
		return fmt.Errorf("terms of event %s: %w", r.order.Event, err)
	}
	moves, err := ledger.ReferenceMoves(ctx, tx, []uuid.UUID{r.order.ID})
	if err != nil {
		return err
	}
	known := moves[r.order.ID]
	p, late := r.bookedOf(p, known, payment.FoundRefundID(r.order.ID, p.Provider, out.ProviderRef))
	f := Refund{
		ID: payment.FoundRefundID(r.order.ID, p.Provider, out.ProviderRef), Order: r.order.ID, Event: r.order.Event, Payment: p.ID, Provider: p.Provider,
		ProviderRef: out.ProviderRef, Kind: RefundFound, State: RefundTaken, Amount: out.Amount, Reason: "made at the provider", Actor: "provider",
	}
	cause, to, said := CauseRefundFound, CauseRefundFound, "look whether the tickets should stay"
	if late {
		f.Kind, cause, to = RefundOfLate, CauseLateRefundRequested, CauseLateRefundRequested
	}
	transfers, before, err := f.foundTransfers(known, terms.Organizer)
	if err != nil {
		return fmt.Errorf("book refund %s, which somebody made at the provider: %w", out.ProviderRef, err)
	}
	left := f.room(before) - f.Amount.Minor
	if !f.late() && left <= 0 && (r.order.State == TicketIssued || r.order.State == Disputed) {
		if err := s.voidFound(ctx, tx, r, &f, unrefunded(len(r.order.Lines), refunds), terms); err != nil {
			return err
		}
		if said = "nothing of the order's money is left, and its tickets are void"; f.Reviewed == "" {
			said = "nothing of the order's money is left, but tickets of it were resold; see to it"
		}
		if r.order.State == TicketIssued {
			to = CauseRefundRequested
		}
	}
	if f.Kind == RefundFound && r.order.State == DisputeLost {
		said = "it is of what a dispute has left, and the tickets are void"
		if _, err := s.loseResale(ctx, tx, r, refunds, terms, resaleLoss{f.ID, "refunded at the provider", before, f.Parts.Face}); err != nil {
			return err
		}
	}
	if err := f.insert(ctx, tx); err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	s.metrics.refundFound.Inc()
	settled, err := settleGiven(ctx, tx, refunds, f.Payment, left)
	if err != nil {
		return err
	}
	refunds = append(refunds, f)
	if settled > 0 {
		said += fmt.Sprintf("; %d refunds that had failed are settled by it", settled)
		if r.order.State == RefundFailed && standing(r, refunds) != RefundFailed {
			if err := r.applyFrom(cause, by, "somebody refunded it at the provider instead"); err != nil {
				return err
			}
			to = CauseRefundResumed
		}
	}
	if err := r.come(refunds, to, cause, by, f.Amount.String()+" were refunded at the provider; "+said); err != nil {
		return err
	}
	if out.State == payment.RefundSucceeded {
		return s.applyRefund(ctx, tx, r, refunds, &refunds[len(refunds)-1], out, by)
	}
	return s.outbox.Enqueue(ctx, tx, []payment.Task{refundTask(&f)})
}

// bookedOf is the payment that a refund which was found is of, and whether that is late money: p, unless the reconciliation has booked
// the refund and took it for one of late money or of the sale, as p is not.
func (r *record) bookedOf(p *Payment, moves []ledger.Move, refund uuid.UUID) (of *Payment, late bool) {
	for _, m := range moves {
		late = m.ID == ledger.TransferID(r.order.ID, refund.String()+"/late_refund")
		if !late && m.ID != ledger.TransferID(r.order.ID, refund.String()+"/refund_payment") {
			continue
		}
		if late == p.late() {
			return p, late
		}
		for i := range r.payments {
			if other := &r.payments[i]; other.State == PaymentCaptured && other.Provider == p.Provider && other.late() == late {
				return other, late
			}
		}
		return p, late
	}
	return p, p.late()
}

// room is how much of an order's money there is for a refund: what is left of its sale, or of its late money.
func (f *Refund) room(m ledger.OrderMoney) int64 {
	if f.late() {
		return m.LateMinor
	}
	return m.CapturedMinor - m.ReturnedMinor
}

// foundTransfers promise a refund that was found. If the reconciliation booked it first, they repeat what it booked. before is the order's
// money without it; what is disputed counts as left.
func (f *Refund) foundTransfers(moves []ledger.Move, organizer string) (transfers []ledger.Transfer, before ledger.OrderMoney, err error) {
	m := ledger.MoneyOf(moves)
	m.DisputedMinor = 0 // a dispute keeps us from giving money back; this is gone
	parts, total, booked := ledger.RecordedRefund(moves, f.Order, f.ID)
	booked = booked && total == f.Amount.Minor
	switch {
	case booked && !f.late():
		f.Parts = parts
		m.ReturnedMinor -= total
		m.Returned = ledger.Parts{Face: m.Returned.Face - parts.Face, Fee: m.Returned.Fee - parts.Fee, Tax: m.Returned.Tax - parts.Tax}
		transfers, err = ledger.RefundAgain(f.terms(organizer), f.ID, parts, total)
		return transfers, m, err
	case booked:
		m.LateMinor += total
		transfers, err = ledger.LateRefundTransfers(f.terms(organizer), f.ID, total)
		return transfers, m, err
	case f.Amount.Currency != m.Currency || f.Amount.Minor > f.room(m):
		return nil, m, fmt.Errorf("%w: %s of %d", ledger.ErrOverRefund, f.Amount, f.room(m)) // or one of ours has it that will fail: told again
	case f.late():
		transfers, err = ledger.LateRefundTransfers(f.terms(organizer), f.ID, f.Amount.Minor)
		return transfers, m, err
	}
	if f.Parts, _, err = amountParts(m, f.Amount.Minor); err != nil {
		return nil, m, err
	}
	transfers, err = ledger.RefundTransfers(f.terms(organizer), f.ID, m, f.Parts, f.Amount.Minor)
	return transfers, m, err
}

// found tells whether somebody made the refund in the provider's own pages: its id follows from the provider's name of it.
func (f *Refund) found() bool {
	return f.ProviderRef != "" && f.ID == payment.FoundRefundID(f.Order, f.Provider, f.ProviderRef)
}
