package settlement

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
	"fairgate/ledger"
)

func (w *world) only(state ItemState) Item {
	w.t.Helper()
	items := w.items(state)
	if len(items) != 1 {
		w.t.Fatalf("%d items are %s: %+v", len(items), state, items)
	}
	return items[0]
}

func TestARefundMadeAtTheProviderByHandIsProposedAndApprovedOnceByTwoOperators(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	var told []FoundRefund
	var telling sync.Mutex
	w.s.cfg.Found = func(_ context.Context, _ pgx.Tx, f FoundRefund) error {
		telling.Lock()
		defer telling.Unlock()
		told = append(told, f)
		return nil
	}
	order := w.sell(6966)
	w.add(payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_hand", PaymentRef: "pi_" + order.String(), Gross: eur(-2322)})
	report := w.reconcile(w.rows)
	if report.ExplainedPPM == whole || report.Overdue != 1 {
		t.Fatalf("report: %+v", report)
	}
	item := w.only(Open)
	if item.Class != TheirsOnly || len(item.Proposal.Transfers) == 0 || !strings.Contains(item.Why, order.String()) {
		t.Fatalf("item: %+v", item)
	}
	before := w.transfers()
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = w.s.Decide(context.Background(), item.ID, Approved, "operator", "seen in the dashboard")
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := w.transfers() - before; got != int64(len(item.Proposal.Transfers)) {
		t.Errorf("%d transfers were recorded, %d proposed", got, len(item.Proposal.Transfers))
	}
	want := FoundRefund{Provider: provider, Order: order, PaymentRef: "pi_" + order.String(), Ref: "re_hand", Amount: eur(2322)}
	if len(told) == 0 || slices.ContainsFunc(told, func(f FoundRefund) bool { return f != want }) {
		t.Errorf("whoever sells orders was told %+v", told)
	}
	if m := w.money(order); m.ReturnedMinor != 2322 {
		t.Errorf("the order's money: %+v", m)
	}
	if _, err := w.s.Decide(t.Context(), item.ID, Rejected, "another", "no"); !errors.Is(err, ErrDecided) {
		t.Errorf("a later rejection: %v", err)
	}
	if again := w.reconcile(w.rows); again.ExplainedPPM != whole || again.Open != 0 || len(w.items(Open)) != 0 {
		t.Errorf("after the approval: %+v, %+v", again, w.items(Open))
	}
}

func TestARejectedItemStaysUnexplainedAndOneNobodyKnowsIsSaidSo(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.add(payment.SettlementRow{Kind: payment.SettledOther, SourceRef: "adj_1", Gross: eur(-500)})
	w.reconcile(w.rows)
	if _, err := w.s.Decide(t.Context(), w.only(Open).ID, Rejected, "ann", "the bank looks into it"); err != nil {
		t.Fatal(err)
	}
	if r := w.reconcile(w.rows); r.ExplainedPPM != 0 || r.Open != 0 || r.Overdue != 0 || w.only(Rejected).Reason != "the bank looks into it" {
		t.Errorf("report: %+v", r)
	}
	if _, err := w.s.Decide(t.Context(), uuid.New(), Approved, "ann", "x"); !errors.Is(err, ErrItemUnknown) {
		t.Errorf("an unknown item: %v", err)
	}
}

func TestACaptureThatOnlyWeHaveIsReversedWhenItIsApproved(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.sell(5000)
	w.reconcile(nil)
	item := w.only(Open)
	if item.Class != OursOnly {
		t.Fatalf("item: %+v", item)
	}
	if _, err := w.s.Decide(t.Context(), item.ID, Approved, "ann", "never charged"); err != nil {
		t.Fatal(err)
	}
	if left := w.balance(ledger.ProviderClearing(provider, "EUR")); left != 0 {
		t.Errorf("the provider's account is left with %d", left)
	}
	if r := w.reconcile(nil); r.Open != 0 || r.ExplainedPPM != whole {
		t.Errorf("after the approval: %+v %+v", r, w.items(Open))
	}
}

func TestWhatIsTooYoungIsInTransitAndHealsWhenItsRowArrivesADayLater(t *testing.T) {
	d := dbtest.New(t)
	w := newWorld(t, d, time.Hour)
	w.sell(5000)
	young := w.reconcile(nil)
	if sum := young.Currencies[0].Classes[InTransit]; sum != (Sum{1, 5000}) || young.ExplainedPPM != whole || young.Open != 0 {
		t.Fatalf("young: %+v", young)
	}
	w.s.cfg.Grace = time.Nanosecond
	if late := w.reconcile(nil); late.Overdue != 1 || late.ExplainedPPM != 0 {
		t.Fatalf("late: %+v", late)
	}
	if healed := w.reconcile(w.rows); healed.Open != 0 || healed.ExplainedPPM != whole || w.only(Healed).Class != OursOnly {
		t.Errorf("healed: %+v", healed)
	}
}

func TestAChargeInEuroThatIsSettledInDollarsKeepsBothAmountsAndBooksTheChange(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	order := w.sell(10000)
	row := &w.rows[0]
	row.Presentment, row.Gross, row.Fee, row.Rate = eur(10000), ledger.Amount{Minor: 10850, Currency: "USD"}, ledger.Amount{Minor: 345, Currency: "USD"}, "1.085"
	if r := w.reconcile(w.rows); r.ExplainedPPM != whole || r.Open != 0 {
		t.Fatalf("report: %+v %+v", r, w.items(Open))
	}
	for account, want := range map[ledger.Account]int64{
		ledger.ProviderClearing(provider, "EUR"): 0, ledger.ProviderClearing(provider, "USD"): -10850 + 345,
		ledger.Exchange("EUR"): -10000, ledger.Exchange("USD"): 10850, ledger.ProviderCosts(provider, "USD"): -345,
	} {
		if got := w.balance(account); got != want {
			t.Errorf("%s %s: %d, want %d", account.Code, account.Currency, got, want)
		}
	}
	var rate, presented string
	if err := w.db.Reader.QueryRow(t.Context(), "SELECT rate, presentment_currency FROM settlement_rows WHERE order_id = $1", order).Scan(&rate, &presented); err != nil || rate != "1.085" || presented != "EUR" {
		t.Errorf("rate %q of %s, %v", rate, presented, err)
	}
}

func TestTheTwoLegsOfAChangeOfCurrenciesAreBookedTogetherInWhateverOrder(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.add(payment.SettlementRow{Kind: payment.SettledConversion, SourceRef: "fx_1", Gross: eur(-1000)})
	w.add(payment.SettlementRow{Kind: payment.SettledConversion, SourceRef: "fx_1", Gross: ledger.Amount{Minor: 1085, Currency: "USD"}})
	if r := w.reconcile(w.rows[:1]); r.Open != 1 {
		t.Fatalf("one leg: %+v", r)
	}
	if r := w.reconcile(w.rows); r.Open != 0 || r.ExplainedPPM != whole {
		t.Fatalf("both legs: %+v %+v", r, w.items(Open))
	}
	if w.balance(ledger.Exchange("EUR")) != -1000 || w.balance(ledger.Exchange("USD")) != 1085 {
		t.Error("the change of currencies is not in the books")
	}
}

func TestAPayoutThatComesBackIsReversed(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.sell(5000)
	w.add(payment.SettlementRow{Kind: payment.SettledPayout, SourceRef: "po_1", Gross: eur(-4000)})
	w.reconcile(w.rows)
	w.add(payment.SettlementRow{Kind: payment.SettledPayoutFailure, SourceRef: "po_1", Gross: eur(4000)})
	if r := w.reconcile(w.rows); r.Open != 0 || r.ExplainedPPM != whole || w.balance(ledger.ProviderTransit(provider, "EUR")) != 0 {
		t.Errorf("report: %+v %+v", r, w.items(Open))
	}
}

func TestARowThatReadsOtherwiseLaterOrIsGoneIsAltered(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.sell(5000)
	w.sell(6000)
	w.reconcile(w.rows)
	later := slices.Clone(w.rows[:1])
	later[0].Fee.Minor++
	if r := w.reconcile(later); r.Counts.Altered != 1 || r.Counts.Vanished != 1 || r.Open != 2 || r.ExplainedPPM != 0 {
		t.Fatalf("report: %+v", r)
	}
	for _, item := range w.items(Open) {
		if item.Class != Altered {
			t.Errorf("item: %+v", item)
		}
	}
	if r := w.reconcile(w.rows); r.Open != 0 || r.ExplainedPPM != whole {
		t.Errorf("as it was: %+v", r)
	}
}

func TestWithoutBookPlainAnOperatorApprovesFeesToo(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.s.cfg.BookPlain = false
	w.sell(5000)
	if r := w.reconcile(w.rows); r.ExplainedPPM != whole || r.Open != 1 || r.Overdue != 0 || w.balance(ledger.ProviderCosts(provider, "EUR")) != 0 {
		t.Fatalf("report: %+v", r)
	}
	if _, err := w.s.Decide(t.Context(), w.only(Open).ID, Approved, "ann", "month's end"); err != nil {
		t.Fatal(err)
	}
	if got := -w.balance(ledger.ProviderCosts(provider, "EUR")); got != w.rows[0].Fee.Minor {
		t.Errorf("costs are %d", got)
	}
}

func TestTwoReadingsAtOnceBookOnce(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	var fees int64
	for i := range 30 {
		w.sell(int64(4000 + i))
	}
	for _, r := range w.rows {
		fees += r.Fee.Minor
	}
	other := New(w.db, w.s.cfg)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, s := range []*Service{w.s, other} {
		wg.Go(func() { _, errs[i] = s.Reconcile(context.Background(), provider, w.day, w.rows) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got := -w.balance(ledger.ProviderCosts(provider, "EUR")); got != fees {
		t.Errorf("costs are %d, want %d", got, fees)
	}
}

func TestAReadingThatBreaksOffIsCompletedByTheNext(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	var fees int64
	for i := range pageRows/200 + 5 {
		w.sell(int64(4000 + i))
	}
	for _, r := range w.rows {
		fees += r.Fee.Minor
	}
	broken := errors.New("the provider hung up")
	half := brokenAfter{w.rows[:len(w.rows)/2], broken}
	if _, err := w.s.Reconcile(t.Context(), provider, w.day, half); !errors.Is(err, broken) {
		t.Fatalf("a reading that breaks off: %v", err)
	}
	// A page of it was taken when the process died.
	var first []row
	for _, r := range w.rows[:3] {
		made, err := newRow(r)
		if err != nil {
			t.Fatal(err)
		}
		first = append(first, made)
	}
	if _, err := w.s.take(t.Context(), provider, 1, incoming{rows: first}, false, new(int)); err != nil {
		t.Fatal(err)
	}
	if r := w.reconcile(w.rows); r.ExplainedPPM != whole || r.Open != 0 || -w.balance(ledger.ProviderCosts(provider, "EUR")) != fees {
		t.Errorf("report: %+v", r)
	}
}

type brokenAfter struct {
	rows listed
	err  error
}

func (b brokenAfter) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	if err := b.rows.Settlement(ctx, from, until, each); err != nil {
		return err
	}
	return b.err
}

func TestTheDailyJobReadsYesterdayAgainMissedDaysAndOnlyWhenItsHourHasCome(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	w.s.cfg.Hour, w.s.cfg.Reread = 3, 2
	day := func(n int) time.Time { return w.day.Add(time.Duration(n) * dayLength) }
	due := func(now time.Time) []time.Time {
		t.Helper()
		days, err := w.s.Due(t.Context(), provider, now)
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	if got := due(day(0).Add(4 * time.Hour)); !slices.Equal(got, []time.Time{day(-2), day(-1)}) {
		t.Errorf("at first: %v", got)
	}
	if got := due(day(0).Add(2 * time.Hour)); !slices.Equal(got, []time.Time{day(-3), day(-2)}) {
		t.Errorf("before the hour: %v", got)
	}
	for _, n := range []int{-8, -6, -2, -1} {
		if _, err := w.s.Reconcile(t.Context(), provider, day(n), w.rows); err != nil {
			t.Fatal(err)
		}
	}
	if got := due(day(0).Add(3 * time.Hour)); len(got) < 4 || !slices.Equal(got[:4], []time.Time{day(-7), day(-5), day(-4), day(-3)}) {
		t.Errorf("missed days: %v", got)
	}
	if held, err := w.s.lease(t.Context()); err != nil || !held {
		t.Fatalf("the lease: %t, %v", held, err)
	}
	if held, err := New(w.db, w.s.cfg).lease(t.Context()); err != nil || held {
		t.Errorf("a second core has the lease too: %t, %v", held, err)
	}
	w.s.release()
	other := New(w.db, w.s.cfg)
	if err := other.round(t.Context(), map[string]payment.SettlementReader{provider: w.rows}); err != nil {
		t.Fatal(err)
	}
	if got := due(day(0).Add(3 * time.Hour)); slices.Contains(got, day(-5)) {
		t.Errorf("after a round: %v", got)
	}
}

func FuzzASettlementFileIsReadOrRefusedAndNeverPanics(f *testing.F) {
	f.Add("id,kind,gross,currency,created_at\na,charge,65.50,EUR,2026-11-25T10:00:00Z\n")
	f.Add("id,kind,gross,currency,created_at,fee,presentment,presentment_currency\na,refund,-1,JPY,2026-11-25T10:00:00+09:00,0,-2.50,USD\n")
	f.Add("\ufeffid,kind\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		err := NewFile(strings.NewReader(text)).Settlement(context.Background(), time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), func(r payment.SettlementRow) error {
			_, err := newRow(r)
			if err != nil {
				t.Errorf("a row came through that is none: %v", err)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrFile) {
			t.Errorf("an error of another kind: %v", err)
		}
	})
}

func TestAFileOfABankIsASettlement(t *testing.T) {
	w := newWorld(t, dbtest.New(t), time.Nanosecond)
	order := w.sell(6550)
	text := "kind,id,currency,gross,created_at,order_id,fee\ncharge,b1,EUR,65.50," + w.day.Add(time.Hour).Format(time.RFC3339) + "," + order.String() + ",0.35\n" +
		"charge,b2,EUR,65.50,2001-01-01T00:00:00Z,,\n"
	r, err := w.s.Reconcile(t.Context(), provider, w.day, NewFile(strings.NewReader(text)))
	if err != nil || r.Counts.Rows != 1 || r.ExplainedPPM != whole {
		t.Fatalf("%+v, %v", r, err)
	}
	_, err = w.s.Reconcile(t.Context(), provider, w.day, NewFile(strings.NewReader("id,kind,gross,currency,created_at\nx,charge,1.234,EUR,2026-11-25T00:00:00Z\n")))
	if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a wrong amount: %v", err)
	}
}

func TestARefundThatFailedBeforeItWasDoneIsExplainedByBothOfItsRowsOrNone(t *testing.T) {
	for name, c := range map[string]struct {
		refund, back bool
		accused      ledger.Kind // "" for nothing
	}{
		"both rows": {refund: true, back: true}, "none": {},
		"never came back": {refund: true, accused: ledger.Void}, "came back from nowhere": {back: true, accused: ledger.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, dbtest.New(t), time.Nanosecond)
			order := w.sell(6966)
			m := w.money(order)
			parts, total, err := m.Share(1, 3, false)
			if err != nil {
				t.Fatal(err)
			}
			failed, done := uuid.New(), uuid.New()
			promised := w.record(ledger.RefundTransfers(w.terms(order), failed, m, parts, total))
			row := payment.SettlementRow{SourceRef: "re_1", PaymentRef: "pi_" + order.String(), OrderID: order, RefundID: failed}
			if c.refund {
				row.Kind, row.Gross = payment.SettledRefund, eur(-total)
				w.add(row)
				w.reconcile(w.rows)
				if item := w.only(Open); item.Class != TheirsOnly || item.Proposal.Action != "confirm the refund that was promised" {
					t.Errorf("while it is under way: %+v", item)
				}
			}
			void := w.record(ledger.VoidAll(promised), nil)
			// Another is made in its place, and must be taken for neither.
			w.record(ledger.PostAll(w.record(ledger.RefundTransfers(w.terms(order), done, w.money(order), parts, total))), nil)
			w.add(payment.SettlementRow{Kind: payment.SettledRefund, SourceRef: "re_2", PaymentRef: row.PaymentRef, OrderID: order, RefundID: done, Gross: eur(-total)})
			if c.back {
				row.Kind, row.Gross = payment.SettledRefundFailure, eur(total)
				w.add(row)
			}
			for range 2 {
				report := w.reconcile(w.rows)
				open := w.items(Open)
				if c.accused == "" {
					if report.ExplainedPPM != whole || len(open) != 0 {
						t.Errorf("%+v, %+v", report, open)
					}
					continue
				}
				if len(open) != 1 || open[0].Class != OursOnly || report.ExplainedPPM == whole || len(open[0].Proposal.Transfers) != 0 {
					t.Fatalf("%+v, %+v", report, open)
				}
				among := promised
				if c.accused == ledger.Void {
					among = void
				}
				if !slices.ContainsFunc(among, func(t ledger.Transfer) bool { return t.ID == open[0].TransferID && t.Code == "refund_payment" }) {
					t.Errorf("accused: %+v", open[0])
				}
			}
		})
	}
}

// Of two refunds of one amount that failed, one before and one after it was thought to be done, each return is its own refund's, whichever
// is read first.
func TestAReturnIsOfTheRefundThatItNames(t *testing.T) {
	for _, voidFirst := range []bool{true, false} {
		w := newWorld(t, dbtest.New(t), time.Nanosecond)
		order := w.sell(6966)
		m := w.money(order)
		parts, total, err := m.Share(1, 3, false)
		if err != nil {
			t.Fatal(err)
		}
		done, promised := uuid.New(), uuid.New()
		given := w.record(ledger.PostAll(w.record(ledger.RefundTransfers(w.terms(order), done, m, parts, total))), nil)
		w.record(ledger.ReverseAll(given), nil)
		w.record(ledger.VoidAll(w.record(ledger.RefundTransfers(w.terms(order), promised, w.money(order), parts, total))), nil)
		back := []uuid.UUID{done, promised}
		if voidFirst {
			slices.Reverse(back)
		}
		row := payment.SettlementRow{PaymentRef: "pi_" + order.String(), OrderID: order}
		for _, id := range back {
			row.Kind, row.Gross, row.RefundID, row.SourceRef = payment.SettledRefund, eur(-total), id, "re_"+id.String()
			w.add(row)
		}
		for _, id := range back {
			row.Kind, row.Gross, row.RefundID, row.SourceRef = payment.SettledRefundFailure, eur(total), id, "re_"+id.String()
			w.add(row)
		}
		if report, open := w.reconcile(w.rows), w.items(Open); report.ExplainedPPM != whole || len(open) != 0 {
			t.Errorf("void first %t: %+v, %+v", voidFirst, report, open)
		}
	}
}
