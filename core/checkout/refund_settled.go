package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// taskFound enters a refund of which only the settlement told. Its payload is settledRefund.
const taskFound = payment.KindFound

// SettledRefund is a refund that a provider settled, and that somebody made in the provider's own pages.
type SettledRefund struct {
	Order      uuid.UUID
	Payment    uuid.UUID // uuid.Nil where the settlement cannot tell which of the order's it is
	Provider   string
	PaymentRef string        // the provider's name of the payment, "" where the settlement does not say
	Ref        string        // and of the refund
	Amount     ledger.Amount // in the order's currency
}

// settledRefund is a SettledRefund in the outbox.
type settledRefund struct {
	Ref    string        `json:"ref"`
	Amount ledger.Amount `json:"amount"`
}

const sqlRefundedPayment = `
SELECT payment_id FROM payments WHERE order_id = $1 AND provider = $2 AND (state = 'captured' OR payment_id = $4)
ORDER BY CASE WHEN payment_id = $4 THEN 0 ELSE 1 END, CASE WHEN provider_ref = $3 AND provider_ref <> '' THEN 0 ELSE 1 END, attempt DESC LIMIT 1`

// SettledRefund, in the transaction in which a reconciliation books a refund that somebody made at the provider, has the outbox enter it as
// its webhook would have: of an order of which nothing is left the tickets become void, else an operator is shown it. The money is booked
// once, whoever does it, and of the payment that it was booked of. An order without a captured payment has no tickets, and nothing is to be entered.
func (s *Service) SettledRefund(ctx context.Context, tx pgx.Tx, f SettledRefund) error {
	var attempt uuid.UUID
	err := tx.QueryRow(ctx, sqlRefundedPayment, f.Order, f.Provider, f.PaymentRef, f.Payment).Scan(&attempt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the payment of refund %s: %w", f.Ref, err)
	}
	text, err := json.Marshal(settledRefund{f.Ref, f.Amount})
	if err != nil {
		return fmt.Errorf("write down refund %s: %w", f.Ref, err)
	}
	id := payment.TaskID(payment.FoundRefundID(f.Order, f.Provider, f.Ref), taskFound)
	return s.outbox.Enqueue(ctx, tx, []payment.Task{{ID: id, Kind: taskFound, OrderID: f.Order, PaymentID: attempt, Payload: string(text)}})
}

// settledFound is the outbox's handler of refunds that the settlement told of.
func (s *Service) settledFound(ctx context.Context, t payment.Task) error {
	var f settledRefund
	if err := json.Unmarshal([]byte(t.Payload), &f); err != nil || f.Ref == "" {
		return fmt.Errorf("task %s names %q: %w", t.ID, t.Payload, payment.ErrPermanent)
	}
	return s.enterFound(ctx, t.OrderID, t.PaymentID, payment.RefundOutcome{State: payment.RefundSucceeded, ProviderRef: f.Ref, Amount: f.Amount},
		origin{actor: "outbox", source: sourceOf(t)})
}
