package settlement

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// mixed is a settlement with what there is: sales, refunds, a dispute, a fee, a payout, and three things wrong with it.
func (w *world) mixed() listed {
	for i := range 6 {
		order := w.sell(int64(5000 + i))
		if i%3 == 0 {
			w.refund(order)
		}
		if i == 4 {
			w.dispute(order, 1000)
		}
	}
	w.add(payment.SettlementRow{Kind: payment.SettledFee, SourceRef: "fee_1", Gross: eur(-99)})
	w.add(payment.SettlementRow{Kind: payment.SettledPayout, SourceRef: "po_1", Gross: eur(-7000)})
	rows := slices.Clone(w.rows)
	rows[2].Gross.Minor += 7
	extra := rows[3]
	extra.ID += "_again"
	rows = append(slices.Delete(rows, 5, 6), extra)
	return rows
}

// standing is what a reading leaves: balances, and items without their ids.
func (w *world) standing(rows listed) string {
	r := w.reconcile(rows)
	var said []string
	for _, state := range []ItemState{Open, Approved} {
		for _, item := range w.items(state) {
			said = append(said, fmt.Sprint(item.Class, state, item.Amount))
		}
	}
	slices.Sort(said)
	w.transfers()
	return fmt.Sprint(r.ExplainedPPM, r.Open, r.Currencies, w.balance(ledger.ProviderClearing(provider, "EUR")), w.balance(ledger.ProviderCosts(provider, "EUR")),
		w.balance(ledger.ProviderTransit(provider, "EUR")), w.balance(ledger.LateMoney("EUR")), strings.Join(said, "; "))
}

func TestAProcessThatDiesAtAnyCommitOfAReadingLeavesWhatTheNextReadingCompletes(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	want := w.standing(w.mixed())
	deaths := 0
	for _, done := range []bool{false, true} {
		for nth := 1; ; nth++ {
			w := newWorld(t, dbtest.New(t), time.Nanosecond)
			rows := w.mixed()
			dying, died := dbtest.Dying(t, w.db, nth, done)
			s := New(dying, w.s.cfg)
			s.page = 6
			ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
			_, err := s.Reconcile(ctx, provider, w.day, rows)
			stop()
			if !died() {
				if err != nil {
					t.Fatalf("a process that does not die: %v", err)
				}
				break
			}
			deaths++
			if err == nil {
				t.Errorf("commit %d: a dead process has finished", nth)
			}
			if got := w.standing(rows); got != want {
				t.Errorf("died at commit %d, done %t: %s\nwant %s", nth, done, got, want)
			}
		}
	}
	if deaths < 12 {
		t.Errorf("it died %d times alone", deaths)
	}
}

func TestAnApprovalWhoseProcessDiesIsGivenOnce(t *testing.T) {
	for _, done := range []bool{false, true} {
		w := newWorld(t, dbtest.New(t), time.Nanosecond)
		rows := w.mixed()
		w.reconcile(rows)
		items := w.items(Open)
		before := w.transfers()
		var proposed int
		for _, item := range items {
			proposed += len(item.Proposal.Transfers)
			dying, died := dbtest.Dying(t, w.db, 1, done)
			if _, err := New(dying, w.s.cfg).Decide(t.Context(), item.ID, Approved, "ann", "yes"); err == nil || !died() {
				t.Fatalf("the process lives: %v", err)
			}
			if _, err := w.s.Decide(t.Context(), item.ID, Approved, "ann", "yes"); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.transfers() - before; got != int64(proposed) || len(items) != 3 {
			t.Errorf("done %t: %d transfers for %d proposed in %d items", done, got, proposed, len(items))
		}
		if r := w.reconcile(rows); r.ExplainedPPM != whole || r.Open != 0 {
			t.Errorf("done %t: %+v", done, r)
		}
	}
}

func TestTheMoneyOfAnAlteredRowIsBookedWhenThatIsApproved(t *testing.T) {
	for _, c := range []struct {
		name       string
		gross, fee int64
		late, cost int64 // more of it in the books
	}{{"more", 7, 0, 7, 0}, {"less", -7, 0, 0, 7}, {"a higher fee", 0, 5, 0, 5}, {"a lower fee", 0, -5, 0, -5}, {"less and a lower fee", -7, -7, 0, 0}, {"both more", 3, 2, 3, 2}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, dbtest.New(t), time.Nanosecond)
			w.sell(5000)
			w.reconcile(w.rows)
			costs := -w.balance(ledger.ProviderCosts(provider, "EUR"))
			rows, other := slices.Clone(w.rows), slices.Clone(w.rows)
			rows[0].Gross.Minor += c.gross
			rows[0].Fee.Minor += c.fee
			other[0].Fee.Minor += 1000
			w.reconcile(other)
			stale := w.only(Open)
			w.reconcile(rows)
			for _, item := range w.items(Open) {
				if item.ID == stale.ID {
					continue
				}
				if _, err := w.s.Decide(t.Context(), item.ID, Approved, "ann", "they told us"); err != nil {
					t.Fatal(err)
				}
			}
			if late, cost := w.balance(ledger.LateMoney("EUR")), -w.balance(ledger.ProviderCosts(provider, "EUR"))-costs; late != c.late || cost != c.cost {
				t.Errorf("late money %d, costs %d more", late, cost)
			}
			if r := w.reconcile(rows); r.ExplainedPPM != whole || r.Open != 0 {
				t.Errorf("in the end: %+v, %+v", r, w.items(Open))
			}
		})
	}
}
