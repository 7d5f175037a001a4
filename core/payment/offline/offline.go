// Package offline takes payments without a payment provider: by bank transfer, and at a box office. Buyers are given a
// reference to quote and the account to pay to; operators say what came in, row by row of the bank, see Record.
//
// It refuses to count a row twice, and to sell for less than is due. What is due is taken of the money that came in under a
// reference, and completes the payment, authorized and captured in one. Everything else waits for a person: what is too much,
// what came under no reference of ours, in another currency, or for a payment that is paid; and what was too little once the
// payment is void. Money that comes in full for a void payment is captured all the same, for whoever knows the order to find
// out that it is late. What of a receipt no payment has taken stands in the ledger as late_money, with the receipt as reference,
// until an operator assigns it to an order (Assign) or sends it back (Return). Refunds are pending until somebody who made the
// transfer says so (Confirm).
//
// A Provider is safe for concurrent use; nothing is remembered outside the database.
package offline

import (
	"context"
	"errors"
	"fmt"

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
type Provider struct {
	cfg    Config
	writer *ledger.Writer
}

// New makes a Provider. Without a database it can only be asked for its name and form.
func New(cfg Config) *Provider {
	p := &Provider{cfg: cfg}
	if cfg.DB != nil {
		p.writer = ledger.NewWriter(cfg.DB.Reader)
	}
	return p
}

// Name is "offline".
func (p *Provider) Name() string { return Name }

// Form tells where to transfer to; what to quote is the payment's reference.
func (p *Provider) Form(string, string) payment.Form {
	return payment.Form{Kind: payment.FormInstructions, Account: p.cfg.Account}
}

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
const sqlVoidRest = `UPDATE offline_receipts SET review = 'too little' WHERE reference = $1 AND used_minor + returned_minor < amount_minor AND review = ''`

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
