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

// foundRefund records a refund that somebody made in the provider's own pages, and books it. What it means for the tickets
// nobody knows: they stay valid, and an operator sees the refund's kind and the order's history.
func (s *Service) foundRefund(ctx context.Context, e payment.Event) error {
	out := e.Refund.Outcome
	if out.ProviderRef == "" || out.Amount.Minor <= 0 || out.State == payment.RefundFailed {
		return nil // nothing has left our account
	}
	order, attempt, err := s.owner(ctx, e)
	if err != nil || order == uuid.Nil {
		return err
	}
	err = s.change(ctx, order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		p := r.payment(attempt)
		if p == nil {
			return ErrOrderUnknown
		}
		for i := range refunds {
			if refunds[i].Provider == p.Provider && refunds[i].ProviderRef == out.ProviderRef {
				return s.applyRefund(ctx, tx, r, refunds, &refunds[i], out, webhook(e))
			}
		}
		return s.book(ctx, tx, r, refunds, p, out, webhook(e))
	})
	if errors.Is(err, ErrOrderUnknown) {
		s.log.Warn("webhook about a refund of an order that is not ours", "webhook_id", e.ID)
		return nil
	}
	return err
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
	cause := CauseRefundFound
	var transfers []ledger.Transfer
	if p.State == PaymentCaptured && p.Failure == lateMoney {
		f.Kind, cause = RefundOfLate, CauseLateRefundRequested
		transfers, err = ledger.LateRefundTransfers(f.terms(terms.Organizer), f.ID, f.Amount.Minor)
	} else {
		transfers, err = f.foundTransfers(ctx, tx, terms.Organizer)
	}
	if err != nil {
		return fmt.Errorf("book refund %s, which somebody made at the provider: %w", out.ProviderRef, err)
	}
	if err := f.insert(ctx, tx); err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	s.metrics.refundFound.Inc()
	refunds = append(refunds, f)
	if err := r.come(refunds, cause, cause, by, f.Amount.String()+" were refunded at the provider; look whether the tickets should stay"); err != nil {
		return err
	}
	if out.State == payment.RefundSucceeded {
		return s.applyRefund(ctx, tx, r, refunds, &refunds[len(refunds)-1], out, by)
	}
	return s.outbox.Enqueue(ctx, tx, []payment.Task{refundTask(&f)})
}

// foundTransfers promise a refund that was found. If the reconciliation booked it first, they repeat what it booked.
func (f *Refund) foundTransfers(ctx context.Context, tx pgx.Tx, organizer string) ([]ledger.Transfer, error) {
	moves, err := ledger.ReferenceMoves(ctx, tx, []uuid.UUID{f.Order})
	if err != nil {
		return nil, err
	}
	if parts, total, ok := ledger.RecordedRefund(moves[f.Order], f.Order, f.ID); ok && total == f.Amount.Minor {
		f.Parts = parts
		return ledger.RefundAgain(f.terms(organizer), f.ID, parts, total)
	}
	m := ledger.MoneyOf(moves[f.Order])
	m.DisputedMinor = 0 // a dispute keeps us from giving money back; this is gone
	if f.Amount.Currency != m.Currency || f.Amount.Minor > m.CapturedMinor {
		return nil, ledger.ErrOverRefund
	}
	if f.Parts, _, err = amountParts(m, f.Amount.Minor); err != nil {
		return nil, err
	}
	return ledger.RefundTransfers(f.terms(organizer), f.ID, m, f.Parts, f.Amount.Minor)
}

// found tells whether somebody made the refund in the provider's own pages: its id follows from the provider's name of it.
func (f *Refund) found() bool {
	return f.ProviderRef != "" && f.ID == payment.FoundRefundID(f.Order, f.Provider, f.ProviderRef)
}
