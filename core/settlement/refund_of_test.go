package settlement

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// attempts writes the two payments of an order: of its sale, and one that came late.
func (w *world) attempts(order uuid.UUID, sale, late string) {
	w.t.Helper()
	for i, ref := range []string{sale, late} {
		_, err := w.db.Exec(context.Background(), `INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor,
currency, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, '', 'captured', FALSE, $6, '', 5000, 'EUR', now(), now())`,
			order, i+1, payment.PaymentID(order, i+1), provider, ref, []string{"", "late"}[i])
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// A refund by hand is of the payment that its row names, or whose charge it names, whatever else the order was paid.
func TestARefundByHandIsProposedOfThePaymentThatItsRowNames(t *testing.T) {
	for name, named := range map[string]struct{ sale, late string }{
		"as its row in payments does":          {"pi_sale", "pi_late"},
		"as its charge does, and no other row": {"order_of_sale", "order_of_late"},
		"as its charge does, or its own row":   {"order_of_sale", "pi_late"},
	} {
		for _, late := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, dbtest.New(t), time.Nanosecond)
				var told []FoundRefund
				w.s.cfg.Found = func(_ context.Context, _ pgx.Tx, f FoundRefund) error {
					told = append(told, f)
					return nil
				}
				order := w.sell(5000)
				w.rows[0].PaymentRef, w.rows[0].PaymentID = "pi_sale", payment.PaymentID(order, 1)
				w.attempts(order, named.sale, named.late)
				w.record(ledger.MoreLateMoneyTransfers(w.terms(order), payment.PaymentID(order, 2), 5000))
				w.add(payment.SettlementRow{Kind: payment.SettledCharge, SourceRef: "ch_late", PaymentRef: "pi_late", OrderID: order, PaymentID: payment.PaymentID(order, 2), Gross: eur(5000)})
				row := payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_hand", PaymentRef: "pi_sale", OrderID: order, Gross: eur(-5000)}
				code, attempt := "refund_payment", 1
				if late {
					row.PaymentRef, code, attempt = "pi_late", "late_refund", 2
				}
				w.add(row)
				w.reconcile(w.rows)
				item := w.only(Open)
				found := item.Proposal.Found
				if last := item.Proposal.Transfers; len(last) == 0 || last[len(last)-1].Code != code || found == nil || found.Payment != payment.PaymentID(order, attempt) {
					t.Fatalf("proposed: %+v, found %+v", item.Proposal, found)
				}
				if _, err := w.s.Decide(t.Context(), item.ID, Approved, "ann", "seen"); err != nil {
					t.Fatal(err)
				}
				if len(told) != 1 || told[0] != *found {
					t.Errorf("told: %+v", told)
				}
				if r := w.reconcile(w.rows); r.ExplainedPPM != whole || r.Open != 0 {
					t.Errorf("after the approval: %+v, %+v", r, w.items(Open))
				}
			})
		}
	}
}
