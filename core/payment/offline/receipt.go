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

// Receipt is one row of the bank's, or what a box office took.
type Receipt struct {
	ID         string // the bank's name of the row: the same row twice counts once
	Reference  string // as the buyer quoted it
	Amount     ledger.Amount
	ReceivedAt time.Time
	Note       string
}

// MaxReceipt is the most that one receipt may be, in minor units of any currency: more is a mistake in the file, and what is left
// of receipts has to fit into the books, which have room for nine million of these.
const MaxReceipt = 1_000_000_000_000

// ErrReceiptAmount means that a receipt is of nothing, or of more than MaxReceipt.
var ErrReceiptAmount = errors.New("offline: no bank transfers that amount")

// Result is what became of a Receipt.
type Result struct {
	Known  bool   // it was recorded before
	Paid   bool   // it completed its payment
	Review string // why a person has to look at it, or at what is left of it
}

// The reasons for which a receipt waits for a person, as they are shown.
const (
	reviewNone      = "no reference"
	reviewTypo      = "that reference has a typing mistake"
	reviewUnknown   = "no such reference"
	reviewPaid      = "paid already"
	reviewTooLittle = "too little"
	reviewTooMuch   = "too much"
	reviewOther     = "recorded before with another amount or reference"
)

var receiptSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:receipt"))

// ReceiptID is the reference under which the ledger has a receipt.
func ReceiptID(id string) uuid.UUID { return uuid.NewSHA1(receiptSpace, []byte(id)) }

const sqlReceive = `INSERT INTO offline_receipts (receipt_id, reference, amount_minor, currency, used_minor, review, actor, note, received_at, recorded_at)
VALUES ($1, $2, $3, $4, 0, '', $5, $6, $7, now())
ON CONFLICT (receipt_id) DO NOTHING`

const sqlReceived = `SELECT reference, amount_minor, currency FROM offline_receipts WHERE receipt_id = $1`

const sqlDue = `SELECT reference, order_id, payment_id, state, amount_minor, currency FROM offline_payments WHERE reference = $1`

const sqlParts = `SELECT receipt_id, amount_minor - used_minor - returned_minor AS rest FROM offline_receipts
WHERE reference = $1 AND currency = $2 AND used_minor = 0 AND returned_minor = 0 AND review IN ('', 'too little') ORDER BY recorded_at, receipt_id LIMIT 1000`

const sqlReview = `UPDATE offline_receipts SET review = $2 WHERE receipt_id = $1`

const sqlUse = `UPDATE offline_receipts SET used_minor = used_minor + $2, review = $3 WHERE receipt_id = $1`

const sqlPaid = `UPDATE offline_payments SET state = 'paid', updated_at = now() WHERE reference = $1 AND state IN ('open', 'void')`

// due is what a payment waits for.
type due struct {
	reference string
	order, id uuid.UUID
	state     string
	amount    ledger.Amount
}

func scanDue(row pgx.Row) (d due, err error) {
	return d, row.Scan(&d.reference, &d.order, &d.id, &d.state, &d.amount.Minor, &d.amount.Currency)
}

// part is money that a payment may take: what is left of a receipt.
type part struct {
	id    string
	rest  int64
	fresh bool // recorded by this transaction: the ledger does not have it yet
}

// Record takes one receipt in, in one transaction, and has its payment completed when everything due is there. Recording it
// again changes nothing. Errors: ErrReceiptAmount, ledger.ErrOverflow when the books have no room for it, those of db.DB.InTx; after
// any of them the receipt is not recorded, except after db.ErrAmbiguous, when it may be.
func (p *Provider) Record(ctx context.Context, r Receipt, actor string) (result Result, err error) {
	if r.Amount.Minor <= 0 || r.Amount.Minor > MaxReceipt {
		return Result{}, fmt.Errorf("%w: receipt %s over %s", ErrReceiptAmount, r.ID, r.Amount)
	}
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		result, err = p.record(ctx, tx, r, actor)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("record receipt %s: %w", r.ID, err)
	}
	if result.Paid {
		p.cfg.Outbox.Wake()
	}
	return result, nil
}

func (p *Provider) record(ctx context.Context, tx pgx.Tx, r Receipt, actor string) (Result, error) {
	ref := Normal(r.Reference)
	tag, err := tx.Exec(ctx, sqlReceive, r.ID, ref, r.Amount.Minor, r.Amount.Currency, actor, r.Note, r.ReceivedAt)
	if err != nil {
		return Result{}, err
	}
	if tag.RowsAffected() == 0 {
		return known(ctx, tx, r.ID, ref, r.Amount)
	}
	review := func(why string) (Result, error) {
		if _, err := tx.Exec(ctx, sqlReview, r.ID, why); err != nil {
			return Result{}, err
		}
		return Result{Review: why}, p.hold(ctx, tx, r.ID, r.Amount)
	}
	d, err := scanDue(tx.QueryRow(ctx, sqlDue, ref))
	switch {
	case errors.Is(err, pgx.ErrNoRows) && ref == "":
		return review(reviewNone)
	case errors.Is(err, pgx.ErrNoRows) && !Valid(ref):
		return review(reviewTypo)
	case errors.Is(err, pgx.ErrNoRows):
		return review(reviewUnknown)
	case err != nil:
		return Result{}, err
	case d.amount.Currency != r.Amount.Currency:
		return review("another currency than " + d.amount.Currency)
	case d.state == "paid":
		return review(reviewPaid)
	}
	parts, sum, err := partsOf(ctx, tx, d)
	if err != nil {
		return Result{}, err
	}
	if sum < d.amount.Minor {
		if d.state == "void" {
			return review(reviewTooLittle)
		}
		return Result{}, p.hold(ctx, tx, r.ID, r.Amount) // more may come
	}
	for i := range parts {
		parts[i].fresh = parts[i].id == r.ID
	}
	more, err := p.complete(ctx, tx, d, parts)
	if err != nil {
		return Result{}, err
	}
	return Result{Paid: true, Review: more}, nil
}

// known is the answer to a receipt whose id is taken.
func known(ctx context.Context, tx pgx.Tx, id, ref string, amount ledger.Amount) (Result, error) {
	var was string
	var of ledger.Amount
	if err := tx.QueryRow(ctx, sqlReceived, id).Scan(&was, &of.Minor, &of.Currency); err != nil {
		return Result{}, err
	}
	if was != ref || of != amount {
		return Result{Known: true, Review: reviewOther}, nil
	}
	return Result{Known: true}, nil
}

// partsOf are the receipts that wait for the rest of a payment, and how much they are.
func partsOf(ctx context.Context, tx pgx.Tx, d due) (parts []part, sum int64, err error) {
	rows, err := tx.Query(ctx, sqlParts, d.reference, d.amount.Currency)
	if err != nil {
		return nil, 0, err
	}
	parts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q part, err error) { return q, row.Scan(&q.id, &q.rest) })
	for _, q := range parts {
		sum += q.rest
	}
	return parts, sum, err
}

// hold books what no payment has taken.
func (p *Provider) hold(ctx context.Context, tx pgx.Tx, id string, rest ledger.Amount) error {
	transfers, err := ledger.ReceiptHeldTransfers(ReceiptID(id), Name, rest)
	if err != nil {
		return err
	}
	return p.writer.Record(ctx, tx, transfers)
}

// complete takes what is due from the parts, which are enough, in their order, and has the order told. more says that something of
// them is left for a person.
func (p *Provider) complete(ctx context.Context, tx pgx.Tx, d due, parts []part) (more string, err error) {
	var transfers []ledger.Transfer
	in := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: d.amount.Currency} }
	left := d.amount.Minor
	for _, q := range parts {
		used, why := min(q.rest, left), ""
		left -= used
		if used < q.rest {
			why, more = reviewTooMuch, reviewTooMuch
		}
		if _, err := tx.Exec(ctx, sqlUse, q.id, used, why); err != nil {
			return "", err
		}
		var booked []ledger.Transfer
		if q.fresh {
			booked, err = ledger.ReceiptHeldTransfers(ReceiptID(q.id), Name, in(q.rest-used))
		} else {
			booked, err = ledger.ReceiptUsedTransfers(ReceiptID(q.id), d.id, Name, in(used))
		}
		if err != nil {
			return "", err
		}
		transfers = append(transfers, booked...)
	}
	if _, err := tx.Exec(ctx, sqlPaid, d.reference); err != nil {
		return "", err
	}
	if len(transfers) > 0 {
		if err := p.writer.Record(ctx, tx, transfers); err != nil {
			return "", err
		}
	}
	return more, p.cfg.Outbox.Enqueue(ctx, tx, []payment.Task{{ID: payment.TaskID(d.id, payment.KindRecorded), Kind: payment.KindRecorded, OrderID: d.order, PaymentID: d.id}})
}
