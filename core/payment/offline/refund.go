package offline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Outcomes of Confirm that callers branch on.
var (
	// ErrRefundUnknown means that no refund of that id waits, or ever waited, for a transfer by hand.
	ErrRefundUnknown = errors.New("offline: no such refund")
	// ErrRefundDecided means that somebody has said the contrary of this refund.
	ErrRefundDecided = errors.New("offline: the refund was decided otherwise")
)

const sqlRefund = `INSERT INTO offline_refunds (refund_id, reference, payment_id, order_id, amount_minor, currency, state, actor, note, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, 'pending', '', '', now(), now())
ON CONFLICT (refund_id) DO NOTHING`

const sqlRefundState = `SELECT state, note, amount_minor, currency FROM offline_refunds WHERE refund_id = $1`

// Refund notes that money has to be transferred back. It is pending until Confirm.
func (p *Provider) Refund(ctx context.Context, i payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlRefund, r.ID, Reference(i.PaymentID), i.PaymentID, i.OrderID, r.Amount.Minor, r.Amount.Currency)
		return err
	})
	if err != nil {
		return payment.RefundOutcome{}, fmt.Errorf("refund %s: %w: %w", r.ID, payment.ErrTemporary, err)
	}
	return p.LookupRefund(ctx, i, r)
}

// LookupRefund reads where the refund stands.
func (p *Provider) LookupRefund(ctx context.Context, _ payment.Intent, r payment.Refund) (payment.RefundOutcome, error) {
	out := payment.RefundOutcome{ProviderRef: r.ID.String()}
	err := p.cfg.DB.Reader.QueryRow(ctx, sqlRefundState, r.ID).Scan(&out.State, &out.Failure, &out.Amount.Minor, &out.Amount.Currency)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return payment.RefundOutcome{}, payment.ErrNoRefund
	case err != nil:
		return payment.RefundOutcome{}, fmt.Errorf("read refund %s: %w: %w", r.ID, payment.ErrTemporary, err)
	}
	if out.State != payment.RefundFailed {
		out.Failure = ""
	}
	return out, nil
}

const sqlConfirm = `UPDATE offline_refunds SET state = $2, actor = $3, note = $4, updated_at = now() WHERE refund_id = $1 AND state = 'pending'`

const sqlRefundOf = `SELECT order_id, payment_id, state FROM offline_refunds WHERE refund_id = $1`

// Confirm says that a refund was transferred, or that it cannot be. Saying the same again changes nothing. Errors: ErrRefundUnknown,
// ErrRefundDecided.
func (p *Provider) Confirm(ctx context.Context, refund uuid.UUID, done bool, actor, note string) error {
	state := payment.RefundFailed
	if done {
		state = payment.RefundSucceeded
	}
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlConfirm, refund, string(state), actor, note)
		if err != nil {
			return err
		}
		var order, id uuid.UUID
		var stands payment.RefundState
		switch err := tx.QueryRow(ctx, sqlRefundOf, refund).Scan(&order, &id, &stands); {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrRefundUnknown
		case err != nil:
			return err
		case stands != state:
			return ErrRefundDecided
		case tag.RowsAffected() == 0:
			return nil // said before
		}
		// The refund's own task asks by and by; this one asks now.
		return p.cfg.Outbox.Enqueue(ctx, tx, []payment.Task{{ID: payment.TaskID(refund, "confirmed"), Kind: payment.KindRefund, OrderID: order, PaymentID: id, Payload: refund.String()}})
	})
	if err != nil {
		return fmt.Errorf("confirm refund %s: %w", refund, err)
	}
	p.cfg.Outbox.Wake()
	return nil
}

// DueRefund is money that somebody has to transfer back.
type DueRefund struct {
	ID, Order uuid.UUID
	Reference string // under which the money came
	Amount    ledger.Amount
	Since     time.Time
}

const sqlDueRefunds = `SELECT refund_id, order_id, reference, amount_minor, currency, created_at FROM offline_refunds
WHERE state = 'pending' ORDER BY created_at, refund_id LIMIT $1`

// DueRefunds are the refunds that wait for a transfer, the oldest first, at most limit.
func (p *Provider) DueRefunds(ctx context.Context, limit int) ([]DueRefund, error) {
	rows, err := p.cfg.DB.Reader.Query(ctx, sqlDueRefunds, limit)
	if err != nil {
		return nil, fmt.Errorf("list refunds that are due: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DueRefund, err error) {
		return d, row.Scan(&d.ID, &d.Order, &d.Reference, &d.Amount.Minor, &d.Amount.Currency, &d.Since)
	})
	if err != nil {
		return nil, fmt.Errorf("list refunds that are due: %w", err)
	}
	return list, nil
}
