package checkout

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// RetryTask has a dead outbox task of an order run again, and notes in the order's history who wanted it and why. Errors:
// payment.ErrTaskAlive.
func (s *Service) RetryTask(ctx context.Context, order, task uuid.UUID, actor, reason string) error {
	err := s.changeTask(ctx, order, CauseTaskRetried, actor, reason, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return s.outbox.Retry(ctx, tx, order, task)
	})
	if err == nil {
		s.outbox.Wake()
	}
	return err
}

// DiscardTask ends a dead outbox task of an order without having run it, and notes in the order's history who wanted it and
// why. A refund whose task it was has failed then: an operator refunds again or records that it was paid otherwise. Errors:
// payment.ErrTaskAlive.
func (s *Service) DiscardTask(ctx context.Context, order, task uuid.UUID, actor, reason string) error {
	err := s.change(ctx, order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		kind, err := s.outbox.Discard(ctx, tx, order, task, actor+": "+reason)
		if err != nil {
			return err
		}
		if err := r.apply(CauseTaskDiscarded, actor, saidOf(kind, reason)); err != nil {
			return err
		}
		for i := range refunds {
			if f := &refunds[i]; f.State.Open() && payment.TaskID(f.booked(), taskRefund) == task {
				return s.applyRefund(ctx, tx, r, refunds, f, payment.RefundOutcome{State: payment.RefundFailed, Failure: refundDiscarded}, origin{actor: actor})
			}
		}
		return nil
	})
	if !errors.Is(err, ErrOrderUnknown) {
		return err
	}
	return s.changeTask(ctx, order, CauseTaskDiscarded, actor, reason, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return s.outbox.Discard(ctx, tx, order, task, actor+": "+reason)
	})
}

// refundDiscarded is the failure of a refund that an operator has the outbox try no more.
const refundDiscarded = "discarded"

// saidOf is what the history says of a task that an operator changed.
func saidOf(kind, reason string) string {
	if reason == "" {
		return kind
	}
	return kind + ": " + reason
}

// changeTask changes a task and the order's history in one transaction.
func (s *Service) changeTask(ctx context.Context, order uuid.UUID, cause Cause, actor, reason string, change func(context.Context, pgx.Tx) (string, error)) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		kind, err := change(ctx, tx)
		if err != nil {
			return err
		}
		records, err := loadRecords(ctx, tx, []uuid.UUID{order})
		if err != nil || records[order] == nil { // a task that is about no order of ours has no history
			return err
		}
		if err := records[order].apply(cause, actor, saidOf(kind, reason)); err != nil {
			return err
		}
		return s.flush(ctx, tx, records)
	})
}
