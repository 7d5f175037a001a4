package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

const sqlDisputeColumns = `SELECT ref, provider, dispute_id, order_id, payment_id, event_id, amount_minor, currency, fee_minor, reason, state, taken, respond_by, evidence,
    drafted_at, submitted_at, submitted_by, opened_at, updated_at, closed_at
FROM disputes `

const (
	sqlDisputeForUpdate = sqlDisputeColumns + `WHERE ref = $1 AND provider = $2 FOR UPDATE`
	sqlDisputeByRef     = sqlDisputeColumns + `WHERE ref = $1 ORDER BY provider LIMIT 1`
	sqlDisputeList      = sqlDisputeColumns + `WHERE ($1::TEXT = '' OR state = $1) ORDER BY opened_at DESC, ref LIMIT $2`
)

// sqlOtherDisputes counts those of the order's payment that are undecided.
const sqlOtherDisputes = `
SELECT count(*) FROM disputes WHERE order_id = $1 AND payment_id = $4 AND taken AND closed_at IS NULL AND NOT (ref = $2 AND provider = $3)`

// sqlDisputesOfID counts the order's disputes that have an id.
const sqlDisputesOfID = `SELECT count(*) FROM disputes WHERE order_id = $1 AND dispute_id = $2`

const sqlUpsertDispute = `
INSERT INTO disputes (ref, provider, dispute_id, order_id, payment_id, event_id, amount_minor, currency, fee_minor, reason, state, taken, respond_by, evidence,
    drafted_at, submitted_at, submitted_by, opened_at, updated_at, closed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, '', NULL, NULL, '', now(), now(), CASE WHEN $14::BOOL THEN now() ELSE NULL END)
ON CONFLICT (ref, provider) DO UPDATE SET fee_minor = EXCLUDED.fee_minor, reason = EXCLUDED.reason, state = EXCLUDED.state, taken = EXCLUDED.taken,
    respond_by = EXCLUDED.respond_by, updated_at = now(), closed_at = coalesce(disputes.closed_at, EXCLUDED.closed_at)`

func (d *dispute) others(ctx context.Context, tx pgx.Tx) (n int64, err error) {
	if err := tx.QueryRow(ctx, sqlOtherDisputes, d.row.Order, d.row.Ref, d.row.Provider, d.row.Payment).Scan(&n); err != nil {
		return 0, fmt.Errorf("look for other disputes of order %s: %w", d.row.Order, err)
	}
	return n, nil
}

func (d *dispute) store(ctx context.Context, tx pgx.Tx) error {
	r := &d.row
	var respond *time.Time
	if !r.RespondBy.IsZero() {
		respond = &r.RespondBy
	}
	_, err := tx.Exec(ctx, sqlUpsertDispute, r.Ref, r.Provider, r.ID, r.Order, r.Payment, r.Event, r.Amount.Minor, r.Amount.Currency, r.Fee, r.Reason,
		string(r.State), r.Taken, respond, closed(r.State))
	if err != nil {
		return fmt.Errorf("write dispute %s: %w", r.Ref, err)
	}
	return nil
}

func scanDispute(row pgx.Row) (Dispute, error) {
	var d Dispute
	var respond, drafted, submitted, closedAt *time.Time
	err := row.Scan(&d.Ref, &d.Provider, &d.ID, &d.Order, &d.Payment, &d.Event, &d.Amount.Minor, &d.Amount.Currency, &d.Fee, &d.Reason, &d.State, &d.Taken, &respond,
		&d.Evidence, &drafted, &submitted, &d.SubmittedBy, &d.OpenedAt, &d.UpdatedAt, &closedAt)
	for from, to := range map[*time.Time]*time.Time{respond: &d.RespondBy, drafted: &d.DraftedAt, submitted: &d.SubmittedAt, closedAt: &d.ClosedAt} {
		if from != nil {
			*to = from.UTC()
		}
	}
	return d, err
}

// Dispute finds a dispute by the provider's name of it; ErrDisputeUnknown when there is none.
func (s *Service) Dispute(ctx context.Context, ref string) (Dispute, error) {
	d, err := scanDispute(s.db.Reader.QueryRow(ctx, sqlDisputeByRef, ref))
	if errors.Is(err, pgx.ErrNoRows) {
		return Dispute{}, ErrDisputeUnknown
	}
	if err != nil {
		return Dispute{}, fmt.Errorf("read dispute %s: %w", ref, err)
	}
	return d, nil
}

// Disputes lists disputes, the latest first; of all states when none is given.
func (s *Service) Disputes(ctx context.Context, state payment.DisputeState, limit int) ([]Dispute, error) {
	rows, err := s.db.Reader.Query(ctx, sqlDisputeList, string(state), limit)
	if err != nil {
		return nil, fmt.Errorf("list disputes: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Dispute, error) { return scanDispute(row) })
	if err != nil {
		return nil, fmt.Errorf("list disputes: %w", err)
	}
	return all, nil
}
