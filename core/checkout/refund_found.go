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
	f := Refund{
		ID: payment.FoundRefundID(r.order.ID, p.Provider, out.ProviderRef), Order: r.order.ID, Event: r.order.Event, Payment: p.ID, Provider: p.Provider,
		ProviderRef: out.ProviderRef, Kind: RefundFound, State: RefundTaken, Amount: out.Amount, Reason: "made at the provider", Actor: "provider",
	}
	cause, moves, said := CauseRefundFound, CauseRefundFound, "look whether the tickets should stay"
	var before ledger.OrderMoney
	var whole bool
	var transfers []ledger.Transfer
	if p.State == PaymentCaptured && p.Failure == lateMoney {
		f.Kind, cause, moves = RefundOfLate, CauseLateRefundRequested, CauseLateRefundRequested
		transfers, err = ledger.LateRefundTransfers(f.terms(terms.Organizer), f.ID, f.Amount.Minor)
	} else {
		transfers, before, err = f.foundTransfers(ctx, tx, terms.Organizer)
		whole = before.CapturedMinor-before.ReturnedMinor <= f.Amount.Minor
	}
	if err != nil {
		return fmt.Errorf("book refund %s, which somebody made at the provider: %w", out.ProviderRef, err)
	}
	if whole && (r.order.State == TicketIssued || r.order.State == Disputed) {
		if err := s.voidFound(ctx, tx, r, &f, unrefunded(len(r.order.Lines), refunds), terms); err != nil {
			return err
		}
		if said = "nothing of the order's money is left, and its tickets are void"; f.Reviewed == "" {
			said = "nothing of the order's money is left, but tickets of it were resold; see to it"
		}
		if r.order.State == TicketIssued {
			moves = CauseRefundRequested
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
	refunds = append(refunds, f)
	if err := r.come(refunds, moves, cause, by, f.Amount.String()+" were refunded at the provider; "+said); err != nil {
		return err
	}
	if out.State == payment.RefundSucceeded {
		return s.applyRefund(ctx, tx, r, refunds, &refunds[len(refunds)-1], out, by)
	}
	return s.outbox.Enqueue(ctx, tx, []payment.Task{refundTask(&f)})
}

// foundTransfers promise a refund that was found. If the reconciliation booked it first, they repeat what it booked. before is the order's
// money without it; what is disputed counts as left.
func (f *Refund) foundTransfers(ctx context.Context, tx pgx.Tx, organizer string) (transfers []ledger.Transfer, before ledger.OrderMoney, err error) {
	moves, err := ledger.ReferenceMoves(ctx, tx, []uuid.UUID{f.Order})
	if err != nil {
		return nil, before, err
	}
	m := ledger.MoneyOf(moves[f.Order])
	m.DisputedMinor = 0 // a dispute keeps us from giving money back; this is gone
	if parts, total, ok := ledger.RecordedRefund(moves[f.Order], f.Order, f.ID); ok && total == f.Amount.Minor {
		f.Parts = parts
		m.ReturnedMinor -= total
		m.Returned = ledger.Parts{Face: m.Returned.Face - parts.Face, Fee: m.Returned.Fee - parts.Fee, Tax: m.Returned.Tax - parts.Tax}
		transfers, err = ledger.RefundAgain(f.terms(organizer), f.ID, parts, total)
		return transfers, m, err
	}
	if f.Amount.Currency != m.Currency || f.Amount.Minor > m.CapturedMinor {
		return nil, m, ledger.ErrOverRefund
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
