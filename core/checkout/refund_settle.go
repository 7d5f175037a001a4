package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// RetryRefund makes another refund in the place of one that failed: the same amount, under a new id, since the provider
// keeps its answer to the old one. Asking again with the same key returns the same refund. Of one that an operator gave up the provider
// is asked first, and if it has made it, that one is the answer. Errors: ErrRefundUnknown, ErrRefundOpen, ErrRefundKey, ErrRefundDispute,
// ErrRefundUnclear, ledger.ErrOverRefund.
func (s *Service) RetryRefund(ctx context.Context, id uuid.UUID, key, actor string) (Refund, error) {
	f, err := s.FindRefund(ctx, id)
	if err != nil {
		return Refund{}, err
	}
	if revived, err := s.askGivenUpOne(ctx, &f); err != nil || revived {
		return f, err
	}
	again := RefundID(f.Order, "retry/"+id.String()+"/"+key)
	disputed := false
	err = s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		disputed = r.order.State == Disputed
		failed, err := unsettledOf(refunds, id, again)
		if failed == nil || err != nil {
			return err
		}
		next := *failed
		next.ID, next.RetryOf, next.State, next.Failure, next.ProviderRef, next.Actor = again, id, RefundAsked, "", "", actor
		if next.Kind == RefundFound {
			next.Kind = RefundOfAmount
		}
		next.Items = nil // the first keeps them: a ticket is void once
		transfers, err := s.renewed(ctx, tx, &next)
		if err != nil {
			return err
		}
		if err := failed.move(ctx, tx, failed.State, ResolvedRetry, failed.Failure, ""); err != nil {
			return err
		}
		refunds = append(refunds, next)
		if err := r.come(refunds, CauseRefundRetried, CausePartRefundRequested, origin{actor: actor}, "instead of refund "+id.String()); err != nil {
			return err
		}
		return s.promise(ctx, tx, &next, transfers)
	})
	if disputed && (errors.Is(err, ErrTransition) || errors.Is(err, ledger.ErrOverRefund)) {
		err = fmt.Errorf("%w: %w", ErrRefundDispute, err)
	}
	if err != nil {
		return Refund{}, fmt.Errorf("retry refund %s: %w", id, err)
	}
	return s.FindRefund(ctx, again)
}

// PaidOtherwise records that the buyer of a refund that failed got the money another way, such as a bank transfer; how says
// which. Of a refund that an operator gave up the provider is asked first: if it has made it, that is the answer. Errors as of RetryRefund.
func (s *Service) PaidOtherwise(ctx context.Context, id uuid.UUID, how, actor string) (Refund, error) {
	f, err := s.FindRefund(ctx, id)
	if err != nil {
		return Refund{}, err
	}
	if f.Resolution == ResolvedOtherwise {
		return f, nil
	}
	if revived, err := s.askGivenUpOne(ctx, &f); err != nil || revived {
		return f, err
	}
	err = s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		failed, err := unsettledOf(refunds, id, uuid.Nil)
		if failed == nil || err != nil {
			return err
		}
		// The books' refund that failed is void or reversed. Another one takes its place and is paid from our bank.
		other := *failed
		other.ID = RefundID(f.Order, "otherwise/"+id.String())
		transfers, err := s.renewed(ctx, tx, &other)
		if err != nil {
			return err
		}
		paid, err := ledger.RefundOtherwiseTransfers(other.terms(""), other.ID, other.Amount.Minor)
		if err != nil {
			return err
		}
		transfers = append(transfers, ledger.PostAll(transfers)...)
		if err := s.ledger.Record(ctx, tx, append(transfers, paid...)); err != nil {
			return err
		}
		if err := failed.move(ctx, tx, failed.State, ResolvedOtherwise, failed.Failure, ""); err != nil {
			return err
		}
		switch to := standing(r, refunds); {
		case to == RefundPending && r.order.State == RefundFailed:
			return r.apply(CauseRefundResumed, actor, how)
		case to == r.order.State:
			return r.apply(CausePartPaidOtherwise, actor, how)
		}
		return r.apply(CausePaidOtherwise, actor, how)
	})
	if err != nil {
		return Refund{}, fmt.Errorf("settle refund %s: %w", id, err)
	}
	return s.FindRefund(ctx, id)
}

// unsettledOf finds the refund that failed and has to be settled; nil when the one that takes its place exists.
func unsettledOf(refunds []Refund, id, instead uuid.UUID) (*Refund, error) {
	for i := range refunds {
		if refunds[i].ID == instead {
			return nil, nil
		}
	}
	for i := range refunds {
		if f := &refunds[i]; f.ID == id {
			if !f.unsettled() {
				return nil, ErrRefundOpen
			}
			return f, nil
		}
	}
	return nil, ErrRefundUnknown
}

// renewed are the pending transfers of a refund that takes the place of one that failed.
func (s *Service) renewed(ctx context.Context, tx pgx.Tx, f *Refund) ([]ledger.Transfer, error) {
	terms, err := s.catalog(ctx, f.Event)
	if err != nil {
		return nil, fmt.Errorf("terms of event %s: %w", f.Event, err)
	}
	if f.late() {
		left, err := lateLeft(ctx, tx, f.Order, f.Payment)
		if err != nil {
			return nil, err
		}
		if left < f.Amount.Minor {
			return nil, fmt.Errorf("%w: of late money %d is left", ledger.ErrOverRefund, left)
		}
		return ledger.LateRefundTransfers(f.terms(terms.Organizer), f.ID, f.Amount.Minor)
	}
	m, err := ledger.ReadOrder(ctx, tx, f.Order)
	if err != nil {
		return nil, err
	}
	return ledger.RefundTransfers(f.terms(terms.Organizer), f.ID, m, f.Parts, f.Amount.Minor)
}
