// Package offline takes payments without a payment provider: by bank transfer, and at a box office. Buyers are given a
// reference to quote and the account to pay to; operators say what came in, row by row of the bank, see Record.
//
// It refuses to count a row twice, and to sell for less than is due. What is due is taken of the money that came in under a
// reference, and completes the payment, authorized and captured in one. Everything else waits for a person: what is too much,
// what came under no reference of ours, in another currency, or for a payment that is paid; and what was too little once the
// payment is void. Money that comes in full for a void payment is captured all the same, for whoever knows the order to find
// out that it is late. Refunds are pending until somebody who made the transfer says so.
//
// A Provider is safe for concurrent use; nothing is remembered outside the database.
package offline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// Name is the provider's name in rows, routes and accounts.
const Name = "offline"

// Config is how money comes in.
type Config struct {
	DB *db.DB
	// Account is where buyers transfer to, as they are shown it: an IBAN with the holder's name.
	Account string
	Outbox  *payment.Outbox
}

// Provider implements payment.Provider and payment.Refunder.
type Provider struct{ cfg Config }

// New makes a Provider.
func New(cfg Config) *Provider { return &Provider{cfg} }

// Name is "offline".
func (p *Provider) Name() string { return Name }

// Form tells where to transfer to.
func (p *Provider) Form(string, string) payment.Form { return payment.Form{Account: p.cfg.Account} }

const sqlBegin = `INSERT INTO offline_payments (reference, payment_id, order_id, attempt, method, amount_minor, currency, state, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', now(), now())
ON CONFLICT (reference) DO NOTHING`

const sqlPayment = `SELECT payment_id, state, amount_minor, currency FROM offline_payments WHERE reference = $1`

// Begin notes the payment under its reference, once.
func (p *Provider) Begin(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	ref := Reference(i.PaymentID)
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlBegin, ref, i.PaymentID, i.OrderID, i.Attempt, i.Method, i.Amount.Minor, i.Amount.Currency)
		return err
	})
	if err != nil {
		return payment.Outcome{}, fmt.Errorf("begin payment %s: %w: %w", i.PaymentID, payment.ErrTemporary, err)
	}
	return p.Lookup(ctx, i)
}

// Lookup reads where the payment stands.
func (p *Provider) Lookup(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	return read(ctx, p.cfg.DB.Reader, i)
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func read(ctx context.Context, q querier, i payment.Intent) (payment.Outcome, error) {
	ref := Reference(i.PaymentID)
	var id uuid.UUID
	var state string
	out := payment.Outcome{ProviderRef: ref}
	err := q.QueryRow(ctx, sqlPayment, ref).Scan(&id, &state, &out.Amount.Minor, &out.Amount.Currency)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return payment.Outcome{}, payment.ErrNotFound
	case err != nil:
		return payment.Outcome{}, fmt.Errorf("read payment %s: %w: %w", i.PaymentID, payment.ErrTemporary, err)
	case id != i.PaymentID || out.Amount != i.Amount && i.Amount != (ledger.Amount{}):
		return payment.Outcome{}, fmt.Errorf("payment %s: %w: its reference %s belongs to another", i.PaymentID, payment.ErrRejected, ref)
	}
	out.State = map[string]payment.OutcomeState{"open": payment.Begun, "paid": payment.Captured, "void": payment.Voided}[state]
	return out, nil
}

// Capture says that the money is there, if it is: nothing is ever only authorized.
func (p *Provider) Capture(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	out, err := p.Lookup(ctx, i)
	if err == nil && out.State != payment.Captured {
		err = fmt.Errorf("capture payment %s: %w: it is %s", i.PaymentID, payment.ErrDeclined, out.State)
	}
	return out, err
}

const sqlVoid = `UPDATE offline_payments SET state = 'void', updated_at = now() WHERE reference = $1 AND state = 'open'`

// What was too little is nobody's any more.
const sqlVoidRest = `UPDATE offline_receipts SET review = 'too little' WHERE reference = $1 AND used_minor < amount_minor AND review = ''`

// Void ends the payment unless it is paid. Money that comes afterwards is captured nevertheless.
func (p *Provider) Void(ctx context.Context, i payment.Intent) (payment.Outcome, error) {
	var out payment.Outcome
	err := p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlVoid, Reference(i.PaymentID))
		if err == nil && tag.RowsAffected() == 1 {
			_, err = tx.Exec(ctx, sqlVoidRest, Reference(i.PaymentID))
		}
		if err != nil {
			return fmt.Errorf("void payment %s: %w: %w", i.PaymentID, payment.ErrTemporary, err)
		}
		out, err = read(ctx, tx, i)
		return err
	})
	if err == nil && out.State == payment.Captured {
		err = fmt.Errorf("void payment %s: %w: it is paid", i.PaymentID, payment.ErrDeclined)
	}
	return out, err
}

// Receipt is one row of the bank's, or what a box office took.
type Receipt struct {
	ID         string // the bank's name of the row: the same row twice counts once
	Reference  string // as the buyer quoted it
	Amount     ledger.Amount
	ReceivedAt time.Time
	Note       string
}

// Result is what became of a Receipt.
type Result struct {
	Known  bool   // it was recorded before
	Paid   bool   // it completed its payment
	Review string // why a person has to look at it, or at what is left of it
}

const sqlReceive = `INSERT INTO offline_receipts (receipt_id, reference, amount_minor, currency, used_minor, review, actor, note, received_at, recorded_at)
VALUES ($1, $2, $3, $4, 0, '', $5, $6, $7, now())
ON CONFLICT (receipt_id) DO NOTHING`

const sqlDue = `SELECT order_id, payment_id, state, amount_minor, currency FROM offline_payments WHERE reference = $1`

const sqlUnused = `SELECT receipt_id, amount_minor FROM offline_receipts
WHERE reference = $1 AND currency = $2 AND used_minor = 0 AND review IN ('', 'too little') ORDER BY recorded_at, receipt_id LIMIT 1000`

const sqlUse = `UPDATE offline_receipts SET used_minor = $2, review = $3 WHERE receipt_id = $1`

const sqlPaid = `UPDATE offline_payments SET state = 'paid', updated_at = now() WHERE reference = $1 AND state IN ('open', 'void')`

// Record takes one receipt in, in one transaction, and has its payment completed when everything due is there. Recording it
// again changes nothing.
func (p *Provider) Record(ctx context.Context, r Receipt, actor string) (result Result, err error) {
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
	if err != nil || tag.RowsAffected() == 0 {
		return Result{Known: err == nil}, err
	}
	review := func(why string) (Result, error) {
		_, err := tx.Exec(ctx, sqlUse, r.ID, 0, why)
		return Result{Review: why}, err
	}
	var order, id uuid.UUID
	var state, currency string
	var due int64
	switch err := tx.QueryRow(ctx, sqlDue, ref).Scan(&order, &id, &state, &due, &currency); {
	case errors.Is(err, pgx.ErrNoRows):
		return review("no such reference")
	case err != nil:
		return Result{}, err
	case currency != r.Amount.Currency:
		return review("another currency than " + currency)
	case state == "paid":
		return review("paid already")
	}
	rows, err := tx.Query(ctx, sqlUnused, ref, currency)
	if err != nil {
		return Result{}, err
	}
	type part struct {
		ID    string
		Minor int64
	}
	parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
	if err != nil {
		return Result{}, err
	}
	sum := int64(0)
	for _, q := range parts {
		sum += q.Minor
	}
	if sum < due {
		if state == "void" {
			return review("too little")
		}
		return Result{}, nil // more may come
	}
	result := Result{Paid: true}
	for _, q := range parts {
		used := min(q.Minor, due)
		due -= used
		why := ""
		if used < q.Minor {
			why, result.Review = "too much", "too much"
		}
		if _, err := tx.Exec(ctx, sqlUse, q.ID, used, why); err != nil {
			return Result{}, err
		}
	}
	if _, err := tx.Exec(ctx, sqlPaid, ref); err != nil {
		return Result{}, err
	}
	return result, p.cfg.Outbox.Enqueue(ctx, tx, []payment.Task{{ID: payment.TaskID(id, payment.KindRecorded), Kind: payment.KindRecorded, OrderID: order, PaymentID: id}})
}

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
		return payment.RefundOutcome{}, payment.ErrNotFound
	case err != nil:
		return payment.RefundOutcome{}, fmt.Errorf("read refund %s: %w: %w", r.ID, payment.ErrTemporary, err)
	}
	if out.State != payment.RefundFailed {
		out.Failure = ""
	}
	return out, nil
}

const sqlConfirm = `UPDATE offline_refunds SET state = $2, actor = $3, note = $4, updated_at = now() WHERE refund_id = $1 AND state = 'pending'`

// Confirm says that a refund was transferred, or that it cannot be; false when none of that id is pending.
func (p *Provider) Confirm(ctx context.Context, refund uuid.UUID, done bool, actor, note string) (changed bool, err error) {
	state := payment.RefundFailed
	if done {
		state = payment.RefundSucceeded
	}
	err = p.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sqlConfirm, refund, string(state), actor, note)
		changed = err == nil && tag.RowsAffected() == 1
		return err
	})
	return changed, err
}
