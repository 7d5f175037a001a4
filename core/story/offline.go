package story

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const sqlDueOfOrder = `
SELECT reference, method, amount_minor, currency, state, created_at, updated_at FROM offline_payments
WHERE order_id = $1 ORDER BY created_at, reference LIMIT $2`

const sqlReceiptsOfOrder = `
SELECT r.receipt_id, r.amount_minor, r.used_minor, r.returned_minor, r.currency, r.review, r.actor, r.received_at, r.recorded_at
FROM offline_payments AS p INNER JOIN offline_receipts AS r ON r.reference = p.reference
WHERE p.order_id = $1 ORDER BY r.recorded_at, r.receipt_id LIMIT $2`

const sqlDecisionsOfOrder = `
SELECT d.receipt_id, d.verb, d.amount_minor, d.currency, d.actor, d.reason, d.decided_at FROM offline_decisions AS d
WHERE d.order_id = $1
   OR d.receipt_id IN (SELECT r.receipt_id FROM offline_payments AS p INNER JOIN offline_receipts AS r ON r.reference = p.reference WHERE p.order_id = $1)
ORDER BY d.decided_at, d.decision_id LIMIT $2`

// offline tells of money without a payment provider: what the buyer was told to pay, what came in under that reference, and
// what operators decided about what no payment took. What the bank wrote beside a transfer is not told: it may name a person.
func offline(ctx context.Context, q Querier, o order) ([]Entry, error) {
	due, err := list(ctx, q, "what is due without a provider", func(row pgx.CollectableRow) ([]Entry, error) {
		var reference, method, state string
		var amount ledger.Amount
		var made, updated time.Time
		if err := row.Scan(&reference, &method, &amount.Minor, &amount.Currency, &state, &made, &updated); err != nil {
			return nil, err
		}
		entries := []Entry{{At: made, Kind: "receipt", Who: "offline", Text: fmt.Sprintf("%s is due by %s under the reference %s", amount, method, reference)}}
		if state != "open" {
			entries = append(entries, Entry{At: updated, Kind: "receipt", Who: "offline", Text: "what was due under " + reference + " is " + state})
		}
		return entries, nil
	}, sqlDueOfOrder, o.id, maxRows)
	if err != nil || len(due) == 0 {
		return due, err
	}
	receipts, err := list(ctx, q, "the receipts", func(row pgx.CollectableRow) ([]Entry, error) {
		var id, review, actor string
		var amount ledger.Amount
		var used, returned int64
		var received, recorded time.Time
		if err := row.Scan(&id, &amount.Minor, &used, &returned, &amount.Currency, &review, &actor, &received, &recorded); err != nil {
			return nil, err
		}
		e := Entry{At: recorded, Kind: "receipt", Who: actor, Text: fmt.Sprintf("%s came in", amount),
			Lines: []string{"receipt " + id + ", by the bank at " + received.UTC().Format(time.DateTime)}}
		if used < amount.Minor {
			e.Lines = append(e.Lines, fmt.Sprintf("%s of it went to a payment, %s back to its sender", ledger.Amount{Minor: used, Currency: amount.Currency}, ledger.Amount{Minor: returned, Currency: amount.Currency}))
		}
		if review != "" {
			e.Lines = append(e.Lines, "waits for a person: "+review)
		}
		return []Entry{e}, nil
	}, sqlReceiptsOfOrder, o.id, maxRows)
	if err != nil {
		return nil, err
	}
	decisions, err := list(ctx, q, "what was decided about receipts", func(row pgx.CollectableRow) ([]Entry, error) {
		var id, verb, actor, reason string
		var amount ledger.Amount
		var at time.Time
		if err := row.Scan(&id, &verb, &amount.Minor, &amount.Currency, &actor, &reason, &at); err != nil {
			return nil, err
		}
		return []Entry{{At: at, Kind: "receipt", Who: actor, Text: fmt.Sprintf("%s of receipt %s %s", amount, id, verb), Lines: []string{reason}}}, nil
	}, sqlDecisionsOfOrder, o.id, maxRows)
	return append(append(due, receipts...), decisions...), err
}
