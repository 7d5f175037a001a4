package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sqlOfReference finds an order's transfers by the bytes their ids begin with.
const sqlOfReference = `
SELECT t.transfer_id, d.code, c.code, t.amount_minor, t.currency, t.code, t.kind, t.created_at
FROM ledger_transfers AS t
JOIN ledger_accounts AS d ON d.account_id = t.debit_account
JOIN ledger_accounts AS c ON c.account_id = t.credit_account
WHERE t.transfer_id BETWEEN $1::UUID AND $2::UUID AND t.reference = $3::UUID
ORDER BY t.created_at, t.writer, t.sequence
LIMIT $4::INT8`

// Booked is a recorded transfer as people read it: accounts by their codes.
type Booked struct {
	ID            uuid.UUID
	Debit, Credit string
	Amount        Amount
	Code          string
	Kind          Kind
	At            time.Time
}

// OfReference lists what was recorded for a reference (an order, a payout), oldest first, at most limit.
func OfReference(ctx context.Context, q Querier, reference uuid.UUID, limit int) ([]Booked, error) {
	first, last := idRange(reference)
	rows, err := q.Query(ctx, sqlOfReference, first, last, reference, limit)
	if err != nil {
		return nil, fmt.Errorf("read the transfers of %s: %w", reference, err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Booked, error) {
		var b Booked
		return b, row.Scan(&b.ID, &b.Debit, &b.Credit, &b.Amount.Minor, &b.Amount.Currency, &b.Code, &b.Kind, &b.At)
	})
	if err != nil {
		return nil, fmt.Errorf("read the transfers of %s: %w", reference, err)
	}
	return found, nil
}
