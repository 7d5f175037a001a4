package checkout

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
// why. Errors: payment.ErrTaskAlive.
func (s *Service) DiscardTask(ctx context.Context, order, task uuid.UUID, actor, reason string) error {
	return s.changeTask(ctx, order, CauseTaskDiscarded, actor, reason, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return s.outbox.Discard(ctx, tx, order, task, actor+": "+reason)
	})
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
		said := kind
		if reason != "" {
			said += ": " + reason
		}
		if err := records[order].apply(cause, actor, said); err != nil {
			return err
		}
		return s.flush(ctx, tx, records)
	})
}
