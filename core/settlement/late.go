package settlement

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// attempt is a payment attempt of an order as its row in payments says.
type attempt struct {
	id     uuid.UUID
	number int64
	state  string
	ref    string
	amount ledger.Amount
	late   bool // captured, and has bought nothing
}

const sqlAttempts = `
SELECT order_id, payment_id, attempt, state, provider_ref, amount_minor, currency, state = 'captured' AND failure = 'late'
FROM payments
WHERE order_id = ANY($1::UUID[]) AND provider = $2::TEXT`

// attemptsOf reads the attempts of orders with the matcher's provider.
func (m *matcher) attemptsOf(ctx context.Context, q ledger.Querier, orders []uuid.UUID) error {
	if len(orders) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, sqlAttempts, orders, m.provider)
	if err != nil {
		return fmt.Errorf("read the payments of settlement rows: %w", err)
	}
	m.attempts = map[uuid.UUID][]attempt{}
	var order uuid.UUID
	var a attempt
	_, err = pgx.ForEachRow(rows, []any{&order, &a.id, &a.number, &a.state, &a.ref, &a.amount.Minor, &a.amount.Currency, &a.late}, func() error {
		m.attempts[order] = append(m.attempts[order], a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the payments of settlement rows: %w", err)
	}
	return nil
}

// attempt is the one that a charge is of: by the provider's name of it, or the only one there is where that was never learned.
func (m *matcher) attempt(r row) (attempt, bool) {
	all := m.attempts[r.order]
	for _, a := range all {
		if a.ref != "" && a.ref == r.PaymentRef {
			return a, true
		}
	}
	if len(all) == 1 && all[0].ref == "" {
		return all[0], true
	}
	return attempt{}, false
}

const sqlRefundedCharges = `
SELECT payment_ref, transfer_id
FROM settlement_rows
WHERE provider = $1::TEXT AND kind = 'charge' AND payment_ref = ANY($2::TEXT[]) AND transfer_id IS NOT NULL`

// chargesOf reads which transfers the charges of refunds were matched with.
func (m *matcher) chargesOf(ctx context.Context, q ledger.Querier, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, sqlRefundedCharges, m.provider, refs)
	if err != nil {
		return fmt.Errorf("read what the charges of refunds are matched with: %w", err)
	}
	m.charges = map[string]uuid.UUID{}
	var ref string
	var transfer uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&ref, &transfer}, func() error {
		m.charges[ref] = transfer
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what the charges of refunds are matched with: %w", err)
	}
	return nil
}

// refunded is the attempt that a refund is of: by the provider's name of the payment, or, where that is another than its row's, such as
// the capture of a PayPal order, by what the payment's charge is matched with. The row's own word of our payment is not kept, and so
// decides nothing: an approval has to come to the same later.
func (m *matcher) refunded(r row) (attempt, bool) {
	var captured []attempt
	for _, a := range m.attempts[r.order] {
		if a.ref != "" && a.ref == r.PaymentRef {
			a.late = a.late || a.state != "captured" // whatever was captured of it, nothing was sold for that
			return a, true
		}
		if a.state == "captured" {
			captured = append(captured, a)
		}
	}
	if len(captured) == 1 {
		return captured[0], true
	}
	transfer, charged := m.charges[r.PaymentRef]
	if !charged {
		return attempt{}, false
	}
	sale := slices.ContainsFunc(m.byOrder[r.order], func(move ledger.Move) bool {
		return move.ID == transfer && (move.Code == "sale_payment" || move.Code == "resale_payment")
	})
	for _, a := range captured {
		brought := transfer == ledger.TransferID(r.order, a.id.String()+"/late_money") || a.number == 1 && transfer == ledger.TransferID(r.order, "late_money")
		if brought || sale && !a.late {
			return a, true
		}
	}
	return attempt{}, false
}

// charged proposes what to do with a charge of a payment that we know and the books do not have as paid. ok is false where it is not
// of such a payment, or not what that was to be.
func (m *matcher) charged(r row) (p Proposal, ok bool, err error) {
	a, known := m.attempt(r)
	amount, fits := r.paid(a.amount.Currency)
	if !known || !fits || amount != a.amount {
		return p, false, nil
	}
	switch a.state {
	case "created", "begun", "authorized":
		return Proposal{Action: "none: the payment is under way; see ticketctl orders show " + r.order.String()}, true, nil
	case "voiding", "voided", "capture_failed":
	default:
		return p, false, nil
	}
	terms := ledger.Terms{Order: r.order, Provider: m.provider, Currency: amount.Currency}
	p = Proposal{Action: "book it as late money of the order, which is then sold for it or gives it back", Late: a.id}
	if a.number > 1 {
		p.Transfers, err = ledger.MoreLateMoneyTransfers(terms, a.id, amount.Minor)
	} else {
		p.Transfers, err = ledger.LateMoneyTransfers(terms, amount.Minor)
	}
	if err == nil {
		p.Claims = p.Transfers[0].ID
	}
	p, err = m.foreign(r, p, amount, err)
	return p, true, err
}

const sqlStrays = `
SELECT payment_ref, row_id
FROM settlement_rows
WHERE provider = $1::TEXT AND kind = 'charge' AND payment_ref = ANY($2::TEXT[]) AND class <> 'matched'`

// straysOf reads the late money of nobody that the payments of refunds brought: charges that were booked under their rows.
func (m *matcher) straysOf(ctx context.Context, from books, refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	rows, err := from.Query(ctx, sqlStrays, m.provider, refs)
	if err != nil {
		return fmt.Errorf("read the charges of refunds: %w", err)
	}
	m.strays = map[string][]uuid.UUID{}
	var references []uuid.UUID
	var ref, id string
	_, err = pgx.ForEachRow(rows, []any{&ref, &id}, func() error {
		reference := RowReference(m.provider, id)
		m.strays[ref], references = append(m.strays[ref], reference), append(references, reference)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the charges of refunds: %w", err)
	}
	found, err := ledger.ReferenceMoves(ctx, from, references)
	if err != nil {
		return err
	}
	for reference, moves := range found {
		m.byOrder[reference] = moves
	}
	return nil
}

// stray proposes to close late money of nobody with the refund that somebody made of it at the provider. Of a payment that an order knows
// as well it must be exactly that money.
func (m *matcher) stray(r row) (p Proposal, ok bool, err error) {
	if r.RefundID != uuid.Nil {
		return p, false, nil
	}
	for _, reference := range m.strays[r.PaymentRef] {
		moves, amount := m.byOrder[reference], r.gross()
		late := lateMoney(moves)
		if len(moves) == 0 || moves[0].Amount.Currency != amount.Currency || late < amount.Minor || r.order != uuid.Nil && late != amount.Minor {
			continue
		}
		name := r.SourceRef
		if name == "" {
			name = r.ID
		}
		made, err := ledger.LateRefundTransfers(ledger.Terms{Order: reference, Provider: m.provider, Currency: amount.Currency},
			payment.FoundRefundID(reference, m.provider, name), amount.Minor)
		if err != nil {
			return p, false, err
		}
		p = Proposal{Action: "book it as the refund of the late money that row brought", Transfers: append(made, ledger.PostAll(made)...)}
		p.Claims = p.Transfers[len(p.Transfers)-1].ID
		return p, true, nil
	}
	return p, false, nil
}
