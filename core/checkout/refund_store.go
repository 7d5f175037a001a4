package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

const sqlRefund = `
SELECT refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor, tax_minor,
    currency, items, body_hash, retry_of, run_id, failure, reason, actor, created_at, updated_at, done_at, revived, revived_again, reviewed
FROM refunds WHERE refund_id = $1`

const sqlRefundsOfOrder = `
SELECT refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor, tax_minor,
    currency, items, body_hash, retry_of, run_id, failure, reason, actor, created_at, updated_at, done_at, revived, revived_again, reviewed
FROM refunds WHERE order_id = $1 ORDER BY created_at, refund_id`

const sqlRefundsOfOrders = `
SELECT refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor, tax_minor,
    currency, items, body_hash, retry_of, run_id, failure, reason, actor, created_at, updated_at, done_at, revived, revived_again, reviewed
FROM refunds WHERE order_id = ANY($1::UUID[]) ORDER BY created_at, refund_id`

const sqlRefundByRef = `SELECT refund_id, order_id FROM refunds WHERE provider = $1 AND provider_ref = $2 AND provider_ref <> ''`

const sqlInsertRefund = `
INSERT INTO refunds (refund_id, order_id, event_id, payment_id, provider, provider_ref, kind, state, resolution, amount_minor, face_minor, fee_minor,
    tax_minor, currency, items, body_hash, retry_of, run_id, failure, reason, actor, created_at, updated_at, done_at, reviewed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, now(), now(),
    CASE WHEN $8 IN ('succeeded', 'failed') THEN now() ELSE NULL END, $21)`

const sqlMoveRefund = `
UPDATE refunds SET state = $3, resolution = $4, failure = $5, updated_at = now(),
    provider_ref = CASE WHEN $6 = '' THEN provider_ref ELSE $6 END,
    done_at = CASE WHEN state = $3 THEN done_at WHEN $3 IN ('succeeded', 'failed') THEN now() ELSE NULL END
WHERE refund_id = $1 AND state = $2 AND resolution = $7`

// What a refund that somebody else inserted in the meantime violates.
var refundMeanwhile = []string{"refunds_pkey", "refunds_by_ref"}

func scanRefund(row pgx.CollectableRow) (Refund, error) {
	var f Refund
	var items string
	var retryOf, run *uuid.UUID
	var done *time.Time
	err := row.Scan(&f.ID, &f.Order, &f.Event, &f.Payment, &f.Provider, &f.ProviderRef, &f.Kind, &f.State, &f.Resolution, &f.Amount.Minor,
		&f.Parts.Face, &f.Parts.Fee, &f.Parts.Tax, &f.Amount.Currency, &items, &f.bodyHash, &retryOf, &run, &f.Failure, &f.Reason, &f.Actor,
		&f.CreatedAt, &f.UpdatedAt, &done, &f.revived, &f.again, &f.Reviewed)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal([]byte(items), &f.Items); err != nil {
		return f, fmt.Errorf("items of refund %s: %w", f.ID, err)
	}
	if retryOf != nil {
		f.RetryOf = *retryOf
	}
	if run != nil {
		f.Run = *run
	}
	f.CreatedAt, f.UpdatedAt = f.CreatedAt.UTC(), f.UpdatedAt.UTC()
	if done != nil {
		f.DoneAt = done.UTC()
	}
	return f, nil
}

func readRefund(ctx context.Context, q ledger.Querier, id uuid.UUID) (Refund, error) {
	rows, err := q.Query(ctx, sqlRefund, id)
	if err != nil {
		return Refund{}, fmt.Errorf("read refund %s: %w", id, err)
	}
	f, err := pgx.CollectExactlyOneRow(rows, scanRefund)
	if errors.Is(err, pgx.ErrNoRows) {
		return Refund{}, ErrRefundUnknown
	}
	if err != nil {
		return Refund{}, fmt.Errorf("read refund %s: %w", id, err)
	}
	return f, nil
}

func refundsOf(ctx context.Context, q ledger.Querier, order uuid.UUID) ([]Refund, error) {
	rows, err := q.Query(ctx, sqlRefundsOfOrder, order)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of order %s: %w", order, err)
	}
	refunds, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of order %s: %w", order, err)
	}
	return refunds, nil
}

// refundsAmong reads the refunds of orders, by order. Nobody refunds what is not paid, so those that are being paid are not
// asked for.
func (s *Service) refundsAmong(ctx context.Context, orders map[uuid.UUID]found) (map[uuid.UUID][]Refund, error) {
	ids := make([]uuid.UUID, 0, len(orders))
	for id, f := range orders {
		if f.order.State != PaymentPending {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := s.db.Reader.Query(ctx, sqlRefundsOfOrders, ids)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of %d orders: %w", len(ids), err)
	}
	all, err := pgx.CollectRows(rows, scanRefund)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of %d orders: %w", len(ids), err)
	}
	refunds := make(map[uuid.UUID][]Refund)
	for _, f := range all {
		refunds[f.Order] = append(refunds[f.Order], f)
	}
	return refunds, nil
}

func (f *Refund) insert(ctx context.Context, tx pgx.Tx) error {
	text, err := itemsText(f.Items)
	if err != nil {
		return fmt.Errorf("items of refund %s: %w", f.ID, err)
	}
	if f.bodyHash == nil {
		f.bodyHash = []byte{}
	}
	_, err = tx.Exec(ctx, sqlInsertRefund, f.ID, f.Order, f.Event, f.Payment, f.Provider, f.ProviderRef, f.Kind, f.State, f.Amount.Minor,
		f.Parts.Face, f.Parts.Fee, f.Parts.Tax, f.Amount.Currency, text, f.bodyHash, idOrNull(f.RetryOf), idOrNull(f.Run), f.Failure, f.Reason, f.Actor, f.Reviewed)
	if err != nil {
		return fmt.Errorf("insert refund %s: %w", f.ID, err)
	}
	return nil
}

// itemsText is how the lines of a refund are stored.
func itemsText(items []int) (string, error) {
	if items == nil {
		items = []int{}
	}
	text, err := json.Marshal(items)
	return string(text), err
}

// move writes a refund's next state and what became known of it. The row must be as f was read.
func (f *Refund) move(ctx context.Context, tx pgx.Tx, to RefundState, resolution, failure, ref string) error {
	tag, err := tx.Exec(ctx, sqlMoveRefund, f.ID, f.State, to, resolution, failure, ref, f.Resolution)
	if err != nil {
		return fmt.Errorf("move refund %s to %s: %w", f.ID, to, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("move refund %s to %s: %w", f.ID, to, errOutdated)
	}
	f.State, f.Resolution, f.Failure = to, resolution, failure
	if ref != "" {
		f.ProviderRef = ref
	}
	return nil
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// change runs fn on an order, its attempts and its refunds in one transaction, and writes what fn changed of the order. fn
// may run several times. Unlike a lane's batch it reads inside the transaction: what is seldom need not be fast.
func (s *Service) change(ctx context.Context, order uuid.UUID, fn func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error) error {
	var causes []Cause
	for reading := 1; ; reading++ {
		err := inventory.InTx(ctx, s.db, s.cfg.Recorder, func(ctx context.Context, tx pgx.Tx) error {
			records, err := loadRecords(ctx, tx, []uuid.UUID{order})
			if err != nil {
				return err
			}
			r := records[order]
			if r == nil {
				return ErrOrderUnknown
			}
			if err := r.decode(); err != nil {
				return fmt.Errorf("order %s: %w", order, err)
			}
			refunds, err := refundsOf(ctx, tx, order)
			if err != nil {
				return err
			}
			if err := r.readTaken(ctx, tx); err != nil {
				return err
			}
			if err := fn(ctx, tx, r, refunds); err != nil {
				return err
			}
			causes = causes[:0]
			for _, e := range r.entries {
				causes = append(causes, e.cause)
			}
			return s.flush(ctx, tx, records)
		})
		if err == nil {
			s.outbox.Wake()
			s.waiting.wake(order, nil)
			for _, cause := range causes {
				s.metrics.applied(cause)
			}
			return nil
		}
		if reading == maxReadings || ctx.Err() != nil || !overtaken(err) {
			return err
		}
		s.metrics.outdated.Inc()
	}
}

// overtaken tells whether somebody else was quicker, so that looking again helps.
func overtaken(err error) bool {
	if errors.Is(err, errOutdated) || errors.Is(err, inventory.ErrOutdated) || errors.Is(err, resale.ErrOutdated) || errors.Is(err, ticket.ErrMismatch) {
		return true
	}
	for _, constraint := range append(refundMeanwhile, insertedMeanwhile...) {
		if db.Violates(err, constraint) {
			return true
		}
	}
	return false
}
