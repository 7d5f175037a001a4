package offline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// Outcomes of Assign and Return that callers branch on.
var (
	// ErrReceiptUnknown means that no receipt of that id was recorded.
	ErrReceiptUnknown = errors.New("offline: no such receipt")
	// ErrNothingLeft means that everything of the receipt is used or was sent back.
	ErrNothingLeft = errors.New("offline: nothing is left of the receipt")
	// ErrNotDue means that the order waits for no money by bank transfer or at a box office.
	ErrNotDue = errors.New("offline: the order waits for no such money")
	// ErrTooLittle means that the receipt would not complete what the order waits for, or is in another currency.
	ErrTooLittle = errors.New("offline: the receipt does not complete the order's amount")
)

// Decision is what an operator decided about what is left of a receipt.
type Decision struct {
	Receipt string
	Amount  ledger.Amount // what was used or sent back
	Known   bool          // it was decided before; nothing has changed
}

const sqlRest = `SELECT amount_minor - used_minor - returned_minor AS rest, currency FROM offline_receipts WHERE receipt_id = $1`

const sqlDueOfOrder = `SELECT reference, order_id, payment_id, state, amount_minor, currency FROM offline_payments
WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1`

const sqlDecided = `SELECT amount_minor, currency FROM offline_decisions WHERE decision_id = $1`

const sqlDecide = `INSERT INTO offline_decisions (decision_id, receipt_id, verb, order_id, payment_id, amount_minor, currency, actor, reason, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())`

// Assign uses what is left of a receipt for the last payment of an order, together with what came in for that before. It must
// complete it; what is too much stays with the receipt. Assigning it again changes nothing. Errors: ErrReceiptUnknown, ErrNotDue,
// ErrNothingLeft, ErrTooLittle.
func (p *Provider) Assign(ctx context.Context, receipt string, order uuid.UUID, actor, reason string) (done Decision, err error) {
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d, err := scanDue(tx.QueryRow(ctx, sqlDueOfOrder, order))
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotDue
		}
		if err != nil {
			return err
		}
		id := uuid.NewSHA1(ReceiptID(receipt), []byte("assigned/"+d.id.String()))
		rest, known, err := restOf(ctx, tx, receipt, id)
		if done = known; err != nil || known.Known {
			return err
		}
		if d.state == "paid" {
			return ErrNotDue
		}
		parts, sum, err := partsOf(ctx, tx, d)
		if err != nil {
			return err
		}
		for i, q := range parts {
			if q.id == receipt { // it came under the order's reference
				parts, sum = append(parts[:i], parts[i+1:]...), sum-q.rest
				break
			}
		}
		if rest.Currency != d.amount.Currency || sum+rest.Minor < d.amount.Minor || sum >= d.amount.Minor {
			return ErrTooLittle
		}
		done.Amount = ledger.Amount{Minor: d.amount.Minor - sum, Currency: rest.Currency}
		if _, err := p.complete(ctx, tx, d, append(parts, part{id: receipt, rest: rest.Minor})); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlDecide, id, receipt, "assigned", d.order, d.id, done.Amount.Minor, done.Amount.Currency, actor, reason)
		return err
	})
	if err != nil {
		return Decision{}, fmt.Errorf("assign receipt %s to order %s: %w", receipt, order, err)
	}
	p.cfg.Outbox.Wake()
	return done, nil
}

const sqlReturn = `UPDATE offline_receipts SET returned_minor = returned_minor + $2, review = '' WHERE receipt_id = $1`

// Return says that everything that is left of a receipt was sent back. Saying it again changes nothing. Errors: ErrReceiptUnknown,
// ErrNothingLeft.
func (p *Provider) Return(ctx context.Context, receipt, actor, reason string) (done Decision, err error) {
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		id := uuid.NewSHA1(ReceiptID(receipt), []byte("returned"))
		rest, known, err := restOf(ctx, tx, receipt, id)
		if done = known; err != nil || known.Known {
			return err
		}
		done.Amount = rest
		transfers, err := ledger.ReceiptReturnedTransfers(ReceiptID(receipt), Name, rest)
		if err != nil {
			return err
		}
		if err := p.writer.Record(ctx, tx, transfers); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlReturn, receipt, rest.Minor); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, sqlDecide, id, receipt, "returned", nil, nil, rest.Minor, rest.Currency, actor, reason)
		return err
	})
	if err != nil {
		return Decision{}, fmt.Errorf("return receipt %s: %w", receipt, err)
	}
	return done, nil
}

// restOf is what is left of a receipt, unless the decision was made before.
func restOf(ctx context.Context, tx pgx.Tx, receipt string, decision uuid.UUID) (rest ledger.Amount, d Decision, err error) {
	d = Decision{Receipt: receipt}
	err = tx.QueryRow(ctx, sqlRest, receipt).Scan(&rest.Minor, &rest.Currency)
	if errors.Is(err, pgx.ErrNoRows) {
		return rest, d, ErrReceiptUnknown
	}
	if err != nil {
		return rest, d, err
	}
	err = tx.QueryRow(ctx, sqlDecided, decision).Scan(&d.Amount.Minor, &d.Amount.Currency)
	switch {
	case err == nil:
		d.Known = true
		return rest, d, nil
	case !errors.Is(err, pgx.ErrNoRows):
		return rest, d, err
	case rest.Minor == 0:
		return rest, d, ErrNothingLeft
	}
	return rest, d, nil
}

// Received is a receipt as operators see it.
type Received struct {
	Receipt

	Rest       ledger.Amount // what no payment has taken and nobody sent back
	Review     string        // why a person has to look at the rest; "" for no rest, or while more may come
	Actor      string        // who recorded it
	RecordedAt time.Time
}

const sqlReceipts = `SELECT receipt_id, reference, amount_minor, currency, amount_minor - used_minor - returned_minor AS rest, review, actor, note,
    received_at, recorded_at
FROM offline_receipts ORDER BY recorded_at DESC, receipt_id LIMIT $1`

const sqlReceiptsToReview = `SELECT receipt_id, reference, amount_minor, currency, amount_minor - used_minor - returned_minor AS rest, review, actor, note,
    received_at, recorded_at
FROM offline_receipts WHERE review <> '' ORDER BY recorded_at, receipt_id LIMIT $1`

// Receipts are the latest receipts, or those that wait for a person, the oldest first; at most limit.
func (p *Provider) Receipts(ctx context.Context, review bool, limit int) ([]Received, error) {
	text := sqlReceipts
	if review {
		text = sqlReceiptsToReview
	}
	rows, err := p.cfg.DB.Reader.Query(ctx, text, limit)
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Received, err error) {
		err = row.Scan(&r.ID, &r.Reference, &r.Amount.Minor, &r.Amount.Currency, &r.Rest.Minor, &r.Review, &r.Actor, &r.Note, &r.ReceivedAt, &r.RecordedAt)
		r.Rest.Currency = r.Amount.Currency
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	return list, nil
}
