package checkout

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// RetryRefund makes another refund in the place of one that failed: the same amount, or what is left where somebody has refunded a part at
// the provider, under a new id, since the provider
// keeps its answer to the old one. Asking again with the same key returns the same refund. Of one that an operator gave up the provider
// is asked first, and if it has made it, that one is the answer. Errors: ErrRefundUnknown, ErrRefundOpen, ErrRefundKey, ErrRefundDispute,
// ErrRefundUnclear, ledger.ErrOverRefund.
func (s *Service) RetryRefund(ctx context.Context, id uuid.UUID, key, actor string) (Refund, error) {
	f, err := s.FindRefund(ctx, id)
	if err != nil {
		return Refund{}, err
	}
	again := RefundID(f.Order, "retry/"+id.String()+"/"+key)
	disputed, gaveUp := false, f.revivable()
	answer := again
	err = s.asking(ctx, f.Order, id, func(known answers) error {
		if now, err := s.FindRefund(ctx, id); err != nil || (gaveUp || len(known) > 0) && now.revived && !now.unsettled() {
			answer = id
			return err
		}
		return s.retry(ctx, known, &f, again, actor, &disputed)
	})
	if disputed && (errors.Is(err, ErrTransition) || errors.Is(err, ledger.ErrOverRefund)) {
		err = fmt.Errorf("%w: %w", ErrRefundDispute, err)
	}
	if err != nil {
		return Refund{}, fmt.Errorf("retry refund %s: %w", id, err)
	}
	return s.FindRefund(ctx, answer)
}

// retry makes the refund that takes the place of f. disputed tells whether the order was.
func (s *Service) retry(ctx context.Context, known answers, f *Refund, again uuid.UUID, actor string, disputed *bool) error {
	id := f.ID
	return s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		*disputed = r.order.State == Disputed
		failed, err := unsettledOf(refunds, id, again)
		if failed == nil || err != nil {
			return err
		}
		if err := known.cover(*failed); err != nil {
			return err
		}
		next := *failed
		next.ID, next.RetryOf, next.State, next.Failure, next.ProviderRef, next.Actor = again, id, RefundAsked, "", "", actor
		next.revived, next.again = false, 0
		if next.Kind == RefundFound {
			next.Kind = RefundOfAmount
		}
		next.Items = nil // the first keeps them: a ticket is void once
		transfers, left, err := s.renewed(ctx, tx, &next, false)
		if err != nil {
			return err
		}
		if err := failed.move(ctx, tx, failed.State, ResolvedRetry, failed.Failure, ""); err != nil {
			return err
		}
		if _, err := settleGiven(ctx, tx, refunds, next.Payment, left); err != nil {
			return err
		}
		refunds = append(refunds, next)
		if err := r.come(refunds, CauseRefundRetried, CausePartRefundRequested, origin{actor: actor}, next.instead(failed)); err != nil {
			return err
		}
		return s.promise(ctx, tx, &next, transfers)
	})
}

// PaidOtherwise records that the buyer of a refund that failed got the money another way, such as a bank transfer; how says
// which. What counts as paid is its amount, or what is left where somebody has refunded a part at the provider. Of a refund that an operator gave up the provider is asked first: if it has made it, that is recorded instead, and the answer is ErrRefundMade. Other errors as of RetryRefund.
func (s *Service) PaidOtherwise(ctx context.Context, id uuid.UUID, how, actor string) (Refund, error) {
	f, err := s.FindRefund(ctx, id)
	if err != nil {
		return Refund{}, err
	}
	if f.Resolution == ResolvedOtherwise {
		return f, nil
	}
	gaveUp := f.revivable()
	err = s.asking(ctx, f.Order, id, func(known answers) error {
		if now, err := s.FindRefund(ctx, id); err != nil || (gaveUp || len(known) > 0) && now.revived && !now.unsettled() {
			return cmp.Or(err, ErrRefundMade)
		}
		return s.payOtherwise(ctx, known, &f, how, actor)
	})
	if err != nil {
		return Refund{}, fmt.Errorf("settle refund %s: %w", id, err)
	}
	return s.FindRefund(ctx, id)
}

// payOtherwise books a refund that failed as paid from our bank.
func (s *Service) payOtherwise(ctx context.Context, known answers, f *Refund, how, actor string) error {
	id := f.ID
	return s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		failed, err := unsettledOf(refunds, id, uuid.Nil)
		if failed == nil || err != nil {
			return err
		}
		if err := known.cover(*failed); err != nil {
			return err
		}
		// The books' refund that failed is void or reversed. Another one takes its place and is paid from our bank.
		other := *failed
		other.ID = RefundID(f.Order, "otherwise/"+id.String())
		transfers, left, err := s.renewed(ctx, tx, &other, false)
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
		if _, err := settleGiven(ctx, tx, refunds, other.Payment, left); err != nil {
			return err
		}
		if other.Amount != failed.Amount {
			how = other.instead(failed) + ": " + how
		}
		switch to := standing(r, refunds); {
		case to == RefundPending && r.order.State == RefundFailed:
			return r.apply(CauseRefundResumed, actor, how)
		case to == r.order.State:
			return r.apply(CausePartPaidOtherwise, actor, how)
		}
		return r.apply(CausePaidOtherwise, actor, how)
	})
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

// renewed are the pending transfers of a refund that takes the place of one that failed. A dispute keeps us from giving money back, but
// not from booking what is gone. left is what remains of the order's money after it, or of its late money.
func (s *Service) renewed(ctx context.Context, tx pgx.Tx, f *Refund, gone bool) (transfers []ledger.Transfer, left int64, err error) {
	terms, err := s.catalog(ctx, f.Event)
	if err != nil {
		return nil, 0, fmt.Errorf("terms of event %s: %w", f.Event, err)
	}
	m, err := ledger.ReadOrder(ctx, tx, f.Order)
	if err != nil {
		return nil, 0, err
	}
	if !gone {
		if err := f.fit(m); err != nil {
			return nil, 0, err
		}
	}
	if f.late() {
		most := m.LateMinor
		if !gone {
			if most, err = lateLeft(ctx, tx, f.Order, f.Payment); err != nil {
				return nil, 0, err
			}
		}
		if most < f.Amount.Minor {
			return nil, 0, fmt.Errorf("%w: of late money %d is left", ledger.ErrOverRefund, most)
		}
		transfers, err = ledger.LateRefundTransfers(f.terms(terms.Organizer), f.ID, f.Amount.Minor)
		return transfers, m.LateMinor - f.Amount.Minor, err
	}
	if gone {
		m.DisputedMinor = 0
	}
	transfers, err = ledger.RefundTransfers(f.terms(terms.Organizer), f.ID, m, f.Parts, f.Amount.Minor)
	return transfers, m.CapturedMinor - m.ReturnedMinor - f.Amount.Minor, err
}

// fit makes a refund that takes the place of one that failed no larger than what is left: somebody may have refunded a part at the
// provider meanwhile. What is disputed counts as left here: it may come back, and is refused until then.
func (f *Refund) fit(m ledger.OrderMoney) error {
	minor := min(f.Amount.Minor, f.room(m))
	if minor <= 0 && f.Amount.Minor > 0 {
		return fmt.Errorf("%w: nothing is left", ledger.ErrOverRefund)
	}
	m.DisputedMinor = 0
	rest, _ := m.Rest()
	if f.late() || minor == f.Amount.Minor && f.Parts.Face <= rest.Face && f.Parts.Fee <= rest.Fee && f.Parts.Tax <= rest.Tax {
		f.Amount.Minor = minor
		return nil
	}
	var err error
	f.Parts, f.Amount.Minor, err = amountParts(m, minor)
	return err
}

// instead says of which refund this one takes the place, and of how much of it.
func (f *Refund) instead(failed *Refund) string {
	if f.Amount == failed.Amount {
		return "instead of refund " + failed.ID.String()
	}
	return fmt.Sprintf("%s instead of refund %s of %s: the rest was refunded before", f.Amount, failed.ID, failed.Amount)
}

// settleGiven settles the refunds of a payment that failed when nothing is left of its money: the buyer has it by others, or is about to.
func settleGiven(ctx context.Context, tx pgx.Tx, refunds []Refund, of uuid.UUID, left int64) (settled int, err error) {
	for i := range refunds {
		f := &refunds[i]
		if left > 0 || !f.unsettled() || f.Payment != of {
			continue
		}
		if err := f.move(ctx, tx, f.State, ResolvedOtherwise, f.Failure, ""); err != nil {
			return 0, err
		}
		settled++
	}
	return settled, nil
}
