package settlement

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// listed is a settlement held in memory.
type listed []payment.SettlementRow

func (l listed) Settlement(_ context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	for _, r := range l {
		if r.CreatedAt.Before(from) || !r.CreatedAt.Before(until) {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

const provider = "stripe"

func eur(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

// world is a database with sales in its books, and the true settlement of them.
type world struct {
	t      testing.TB
	db     *db.DB
	s      *Service
	day    time.Time
	rows   listed
	orders []uuid.UUID
	n      int
}

// newWorld is old enough for everything when grace is a nanosecond.
func newWorld(t testing.TB, d *db.DB, grace time.Duration) *world {
	t.Helper()
	now, err := d.Now(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, db: d, s: New(d, Config{Grace: grace, BookPlain: true}), day: Day(now)}
}

func (w *world) record(transfers []ledger.Transfer, err error) []ledger.Transfer {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.db.InTx(context.Background(), func(ctx context.Context, tx pgx.Tx) error { return w.s.writer.Record(ctx, tx, transfers) })
	if err != nil {
		w.t.Fatal(err)
	}
	return transfers
}

// add appends a row of the true settlement.
func (w *world) add(r payment.SettlementRow) {
	w.n++
	r.ID = fmt.Sprintf("txn_%04d_%s", w.n, uuid.NewString()[:8])
	r.CreatedAt = w.day.Add(time.Duration(w.n) * time.Microsecond) // of today, and never later than now
	w.rows = append(w.rows, r)
}

// sell sells and captures an order, with its row.
func (w *world) sell(minor int64) uuid.UUID {
	order := uuid.New()
	sale := w.record(ledger.SaleTransfers(order, "lumen-live", provider, eur(minor-200), eur(150), eur(50)))
	w.record(ledger.PostAll(sale), nil)
	w.orders = append(w.orders, order)
	w.add(payment.SettlementRow{Kind: payment.SettledCharge, SourceRef: "ch_" + order.String(), PaymentRef: "pi_" + order.String(), OrderID: order,
		Gross: eur(minor), Fee: eur(minor/50 + 25)})
	return order
}

func (w *world) money(order uuid.UUID) ledger.OrderMoney {
	w.t.Helper()
	m, err := ledger.ReadOrder(context.Background(), w.db.Reader, order)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) terms(order uuid.UUID) ledger.Terms {
	return ledger.Terms{Order: order, Organizer: "lumen-live", Provider: provider, Currency: "EUR"}
}

// refund gives a third back, with its row.
func (w *world) refund(order uuid.UUID) {
	m := w.money(order)
	parts, total, err := m.Share(1, 3, false)
	if err != nil {
		w.t.Fatal(err)
	}
	refund := uuid.New()
	promised := w.record(ledger.RefundTransfers(w.terms(order), refund, m, parts, total))
	w.record(ledger.PostAll(promised), nil)
	w.add(payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_" + refund.String(), PaymentRef: "pi_" + order.String(), OrderID: order,
		RefundID: refund, Gross: eur(-total)})
}

// dispute takes an order's money back; its row names the payment alone.
func (w *world) dispute(order uuid.UUID, minor int64) {
	w.record(ledger.DisputeOpenedTransfers(w.terms(order), uuid.New(), minor, 1500))
	w.add(payment.SettlementRow{Kind: payment.SettledDispute, SourceRef: "du_" + order.String(), PaymentRef: "pi_" + order.String(), Gross: eur(-minor), Fee: eur(1500)})
}

func (w *world) reconcile(rows listed) Report {
	w.t.Helper()
	r, err := w.s.Reconcile(context.Background(), provider, w.day, rows)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) items(state ItemState) []Item {
	w.t.Helper()
	items, err := w.s.Items(context.Background(), provider, w.day, state, uuid.Nil, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return items
}

func (w *world) balance(a ledger.Account) int64 {
	w.t.Helper()
	all, err := ledger.Balances(context.Background(), w.db.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range all {
		if b.Account == a {
			return b.Net().Minor
		}
	}
	return 0
}

func (w *world) transfers() int64 {
	w.t.Helper()
	t, err := ledger.Recompute(context.Background(), w.db.Reader)
	if err != nil || !t.Zero() {
		w.t.Fatalf("trial balance: %v, zero %t", err, t.Zero())
	}
	return t.Transfers
}

func TestATrueSettlementIsExplainedToTheCentAndItsPayoutEmptiesTheProvidersAccount(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	var sum, fees int64
	for i := range 20 {
		order := w.sell(int64(5000 + i))
		if i%4 == 0 {
			w.refund(order)
		}
		if i%7 == 1 {
			w.dispute(order, 1000)
		}
	}
	w.add(payment.SettlementRow{Kind: payment.SettledFee, SourceRef: "fee_1", Gross: eur(-99)})
	for _, r := range w.rows {
		sum += r.Gross.Minor - r.Fee.Minor
		fees += r.Fee.Minor
	}
	w.add(payment.SettlementRow{Kind: payment.SettledPayout, SourceRef: "po_1", Gross: eur(-sum)})
	r := w.reconcile(w.rows)
	if r.ExplainedPPM != whole || r.Open != 0 || r.Overdue != 0 || r.Counts.New != int64(len(w.rows)) || r.Currencies[0].Classes[Matched].Count != int64(len(w.rows)) {
		t.Fatalf("report: %+v", r)
	}
	if left := w.balance(ledger.ProviderClearing(provider, "EUR")); left != 0 {
		t.Errorf("the provider's clearing account is left with %d", left)
	}
	if transit := w.balance(ledger.ProviderTransit(provider, "EUR")); transit != -sum {
		t.Errorf("%d is on its way to the bank, want %d", -transit, sum)
	}
	if costs := -w.balance(ledger.ProviderCosts(provider, "EUR")); costs != fees+99 {
		t.Errorf("costs are %d, want %d", costs, fees+99)
	}
	// The line of the clearing list closes when the bank has it.
	w.record(ledger.SettlementArrivedTransfers(PayoutReference(provider, "po_1"), provider, eur(sum)))
	late, err := ledger.ReadClearing(t.Context(), w.db.Reader, ledger.DefaultDeadlines(), w.day.Add(60*dayLength), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range late {
		if o.Account.Code == "provider_clearing/"+provider || o.Account.Code == "provider_transit/"+provider {
			t.Errorf("late after the payout: %+v", o)
		}
	}
	before := w.transfers()
	if again := w.reconcile(w.rows); again.Counts.New != 0 || again.ExplainedPPM != whole || again.Open != 0 || w.transfers() != before {
		t.Errorf("read again: %+v, %d transfers before, %d after", again, before, w.transfers())
	}
}

// alteration is one thing that is wrong with a settlement.
type alteration struct {
	name  string
	apply func(w *world, rows listed, i int) listed
	found func(i Item, r payment.SettlementRow) bool
}

var alterations = []alteration{
	{"missing", func(_ *world, rows listed, i int) listed { return slices.Delete(rows, i, i+1) },
		func(i Item, _ payment.SettlementRow) bool { return i.Class == OursOnly }},
	{"extra", func(w *world, rows listed, i int) listed {
		extra := rows[i]
		extra.ID, extra.SourceRef, extra.PaymentRef, extra.OrderID, extra.RefundID = extra.ID+"_extra", extra.SourceRef+"x", extra.PaymentRef+"x", uuid.New(), uuid.New()
		return slices.Insert(rows, i, extra)
	}, func(i Item, r payment.SettlementRow) bool { return i.Class == TheirsOnly && i.RowID == r.ID+"_extra" }},
	{"amount", func(_ *world, rows listed, i int) listed { rows[i].Gross.Minor += 7; return rows },
		func(i Item, r payment.SettlementRow) bool { return i.Class == AmountDiffers && i.RowID == r.ID }},
	{"twice", func(_ *world, rows listed, i int) listed { return slices.Insert(rows, i, rows[i]) },
		func(i Item, r payment.SettlementRow) bool { return i.Class == Duplicated && i.RowID == r.ID }},
	{"twice under another id", func(_ *world, rows listed, i int) listed {
		extra := rows[i]
		extra.ID += "_twin"
		return slices.Insert(rows, i+1, extra)
	}, func(i Item, r payment.SettlementRow) bool { return i.Class == Duplicated && i.RowID == r.ID+"_twin" }},
	{"currency", func(_ *world, rows listed, i int) listed {
		rows[i].Gross.Currency, rows[i].Fee.Currency = "USD", "USD"
		return rows
	}, func(i Item, r payment.SettlementRow) bool { return i.Class == AmountDiffers && i.RowID == r.ID }},
	{"day", func(_ *world, rows listed, i int) listed {
		rows[i].CreatedAt = rows[i].CreatedAt.Add(-3 * dayLength)
		return rows
	}, func(i Item, _ payment.SettlementRow) bool { return i.Class == OursOnly }},
}

func TestEveryAlterationIsFoundAndNothingTrueIsAccused(t *testing.T) {
	d := dbtest.New(t)
	used := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, d, time.Nanosecond)
		clearAll(t, d)
		for range rapid.IntRange(3, 8).Draw(rt, "orders") {
			order := w.sell(rapid.Int64Range(3000, 90000).Draw(rt, "minor"))
			if rapid.Bool().Draw(rt, "refunded") {
				w.refund(order)
			}
			if rapid.Bool().Draw(rt, "disputed") {
				w.dispute(order, 500)
			}
		}
		truth := slices.Clone(w.rows)
		rows := slices.Clone(w.rows)
		// Each alteration takes a row of its own, from the last to the first, so that places stay what they are. Charges of disputed
		// orders stay: without one nobody knows whose the dispute is.
		n := rapid.IntRange(0, 3).Draw(rt, "alterations")
		want := map[int]alteration{}
		for i := len(rows) - 1; i >= 0 && len(want) < n; i-- {
			if rows[i].Kind == payment.SettledCharge && slices.ContainsFunc(rows, func(r payment.SettlementRow) bool {
				return r.Kind == payment.SettledDispute && r.PaymentRef == rows[i].PaymentRef
			}) || rapid.Bool().Draw(rt, "skip") {
				continue
			}
			a := alterations[rapid.IntRange(0, len(alterations)-1).Draw(rt, "which")]
			if a.name == "extra" && truth[i].Kind == payment.SettledDispute {
				continue
			}
			rows = a.apply(w, rows, i)
			want[i] = a
			used[a.name]++
		}
		report := w.reconcile(rows)
		items := w.items(Open)
		for i, a := range want {
			if !slices.ContainsFunc(items, func(item Item) bool { return a.found(item, truth[i]) }) {
				rt.Fatalf("%s of %+v was not found among %+v", a.name, truth[i], items)
			}
		}
		if len(items) != len(want) {
			rt.Fatalf("%d alterations, %d accusations: %+v", len(want), len(items), items)
		}
		if (len(want) == 0) != (report.ExplainedPPM == whole) {
			rt.Fatalf("explained %d with %d alterations", report.ExplainedPPM, len(want))
		}
		before := w.transfers()
		if again := w.reconcile(rows); again.Counts.New != 0 || len(w.items(Open)) != len(items) || w.transfers() != before || again.ExplainedPPM != report.ExplainedPPM {
			rt.Fatalf("reading again changed something: %+v", again)
		}
		heals(rt, w, truth, want)
	})
	for _, a := range alterations {
		if used[a.name] == 0 {
			t.Errorf("no settlement was altered by %q", a.name)
		}
	}
}

// heals reads the true settlement afterwards: what was missing heals, what was wrong is told as altered, never as money.
func heals(rt *rapid.T, w *world, truth listed, want map[int]alteration) {
	w.reconcile(truth)
	for _, item := range w.items(Open) {
		if item.Class == OursOnly && !slices.ContainsFunc(truth, func(r payment.SettlementRow) bool { return item.Day.Equal(Day(r.CreatedAt)) }) {
			rt.Fatalf("did not heal: %+v", item)
		}
	}
	for i, a := range want {
		if a.name != "missing" && a.name != "twice" {
			continue
		}
		for _, item := range w.items(Open) {
			if item.RowID == truth[i].ID {
				rt.Fatalf("%s did not heal: %+v", a.name, item)
			}
		}
	}
}

func clearAll(t testing.TB, d *db.DB) {
	t.Helper()
	for _, table := range []string{"settlement_rows", "settlement_items", "settlement_days", "ledger_transfers", "ledger_balances", "ledger_accounts"} {
		if _, err := d.Exec(context.Background(), "DELETE FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
}
