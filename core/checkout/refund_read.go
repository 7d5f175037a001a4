package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// FindRefund returns one refund; ErrRefundUnknown when there is none.
func (s *Service) FindRefund(ctx context.Context, id uuid.UUID) (Refund, error) {
	return readRefund(ctx, s.db.Reader, id)
}

// RefundPage asks for refunds, oldest first, after the last one of the page before.
type RefundPage struct {
	Event       uuid.UUID   // uuid.Nil for all
	State       RefundState // "" for all
	Kind        RefundKind  // "" for all
	Unsettled   bool        // only those that failed and that nobody has seen to
	Review      bool        // only those that somebody made at the provider, of orders whose tickets are good: see ReviewFound
	AfterTime   time.Time
	AfterRefund uuid.UUID
	Limit       int
}

const sqlRefundPage = `
SELECT refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor, tax_minor,
    currency, items, body_hash, retry_of, run_id, failure, reason, actor, created_at, updated_at, done_at, revived, revived_again, reviewed
FROM refunds
WHERE (created_at, refund_id) > ($1::TIMESTAMPTZ, $2::UUID) AND ($3::UUID IS NULL OR event_id = $3) AND ($4::TEXT = '' OR state = $4)
    AND ($5::TEXT = '' OR kind = $5) AND (NOT $6::BOOL OR state = 'failed' AND resolution = '')
    AND (NOT $8::BOOL OR kind = 'found' AND reviewed = '' AND state <> 'failed'
        AND EXISTS (SELECT 1 FROM orders AS o WHERE o.order_id = refunds.order_id AND o.state = 'ticket_issued'))
ORDER BY created_at, refund_id LIMIT $7`

// Refunds returns one page of refunds.
func (s *Service) Refunds(ctx context.Context, p RefundPage) ([]Refund, error) {
	rows, err := s.db.Reader.Query(ctx, sqlRefundPage, p.AfterTime, p.AfterRefund, idOrNull(p.Event), string(p.State), string(p.Kind), p.Unsettled, p.Limit, p.Review)
	if err != nil {
		return nil, fmt.Errorf("list refunds: %w", err)
	}
	refunds, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("list refunds: %w", err)
	}
	return refunds, nil
}
