package settlement

import (
	"testing"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// An operator discards a refund that the provider has made, the settlement is read, and the item's advice is followed: the refund is
// revived, and everything is explained, whichever is looked at first.
func TestARefundThatIsRevivedHasItsRowWheneverItWasRead(t *testing.T) {
	for name, c := range map[string]struct{ before, found, yesterday bool }{
		"read after the revival": {}, "read before it": {before: true}, "made at the provider": {before: true, found: true},
		"of a day that is not read again": {before: true, yesterday: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, dbtest.New(t), 1)
			order := w.sell(6966)
			m := w.money(order)
			parts, total, err := m.Share(1, 3, false)
			if err != nil {
				t.Fatal(err)
			}
			row := payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_1", PaymentRef: "pi_" + order.String(), OrderID: order, RefundID: uuid.New(),
				Gross: eur(-total), Fee: eur(7)}
			refund := row.RefundID
			if c.found {
				row.RefundID, refund = uuid.Nil, payment.FoundRefundID(order, provider, row.SourceRef)
			}
			w.record(ledger.VoidAll(w.record(ledger.RefundTransfers(w.terms(order), refund, m, parts, total))), nil)
			w.add(row)
			today, yesterday := w.rows, listed(nil)
			if c.yesterday {
				w.rows[1].CreatedAt = w.day.Add(-12 * dayLength / 24)
				today, yesterday = w.rows[:1], w.rows[1:]
				if _, err := w.s.Reconcile(t.Context(), provider, w.day.Add(-dayLength), yesterday); err != nil {
					t.Fatal(err)
				}
			}
			if c.before {
				w.reconcile(today)
				if item := w.only(Open); item.Class != OursOnly || len(item.Proposal.Transfers) != 0 {
					t.Fatalf("while it is given up: %+v", item)
				}
			}
			revived := payment.RevivedRefundID(refund)
			w.record(ledger.PostAll(w.record(ledger.RefundTransfers(w.terms(order), revived, w.money(order), parts, total))), nil)
			for range 2 {
				if r, open := w.reconcile(today), w.items(Open); r.ExplainedPPM != whole || len(open) != 0 {
					t.Errorf("after it was revived: %+v, %+v", r, open)
				}
			}
			if c.before && w.only(Healed).Class != OursOnly {
				t.Error("the item is not healed")
			}
			if got := -w.balance(ledger.ProviderCosts(provider, "EUR")); got != w.rows[0].Fee.Minor+w.rows[1].Fee.Minor {
				t.Errorf("the fees are booked as %d", got)
			}
			// The refund's return, of which the bank thinks a week later, is of what was revived.
			w.record(ledger.ReverseAll(ledger.PostAll(w.record(ledger.RefundTransfers(w.terms(order), revived, m, parts, total)))), nil)
			row.Kind, row.Gross, row.Fee = payment.SettledRefundFailure, eur(total), eur(0)
			w.add(row)
			if r, open := w.reconcile(append(today, w.rows[2])), w.items(Open); r.ExplainedPPM != whole || len(open) != 0 {
				t.Errorf("after it came back: %+v, %+v", r, open)
			}
		})
	}
}

// A row whose claim was a promise that was given up, of an order with a revived refund that is another one's.
func TestARevivedRefundHasNoRowOfAnother(t *testing.T) {
	w := newWorld(t, dbtest.New(t), 1)
	order := w.sell(6966)
	m := w.money(order)
	parts, total, err := m.Share(1, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	one, two := uuid.New(), uuid.New()
	for _, id := range []uuid.UUID{one, two} {
		w.record(ledger.VoidAll(w.record(ledger.RefundTransfers(w.terms(order), id, w.money(order), parts, total))), nil)
	}
	w.add(payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_1", PaymentRef: "pi_" + order.String(), OrderID: order, RefundID: one, Gross: eur(-total)})
	w.reconcile(w.rows)
	w.record(ledger.PostAll(w.record(ledger.RefundTransfers(w.terms(order), payment.RevivedRefundID(two), w.money(order), parts, total))), nil)
	for range 2 {
		if r := w.reconcile(w.rows); r.ExplainedPPM == whole || len(w.items(Open)) != 2 {
			t.Errorf("%+v, %+v", r, w.items(Open))
		}
	}
}

// It is given up once more after it was revived, the day is read, and it is revived again.
func TestARefundThatIsRevivedTwiceHasItsRow(t *testing.T) {
	for _, between := range []bool{true, false} {
		w := newWorld(t, dbtest.New(t), 1)
		order := w.sell(6966)
		m := w.money(order)
		parts, total, err := m.Share(1, 3, false)
		if err != nil {
			t.Fatal(err)
		}
		refund := uuid.New()
		promise := func(id uuid.UUID) []ledger.Transfer {
			return w.record(ledger.RefundTransfers(w.terms(order), id, w.money(order), parts, total))
		}
		names := payment.RevivedRefundIDs(refund)
		w.record(ledger.VoidAll(promise(refund)), nil)
		w.add(payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_1", PaymentRef: "pi_" + order.String(), OrderID: order, RefundID: refund, Gross: eur(-total)})
		if between {
			w.reconcile(w.rows)
		}
		w.record(ledger.VoidAll(promise(names[0])), nil)
		w.reconcile(w.rows)
		w.record(ledger.PostAll(promise(names[1])), nil)
		for range 2 {
			if r, open := w.reconcile(w.rows), w.items(Open); r.ExplainedPPM != whole || len(open) != 0 {
				t.Errorf("read between %t: %+v, %+v", between, r, open)
			}
		}
	}
}
