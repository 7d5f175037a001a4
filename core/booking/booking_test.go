package booking

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func eur(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

func record(t *testing.T, d *db.DB, transfers []ledger.Transfer, err error) []ledger.Transfer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return ledger.NewWriter(d.Reader).Record(ctx, tx, transfers)
	}); err != nil {
		t.Fatal(err)
	}
	return transfers
}

func balance(t *testing.T, d *db.DB, a ledger.Account) int64 {
	t.Helper()
	var n int64
	if err := d.Reader.QueryRow(t.Context(), sqlNet, a.ID()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func settle(t *testing.T, d *db.DB, payout string, minor int64) []ledger.Transfer {
	t.Helper()
	sent, err := ledger.SettlementSentTransfers(settlement.PayoutReference("stripe", payout), "stripe", eur(minor), eur(0))
	return record(t, d, sent, err)
}

func TestAProvidersPayoutThatHasArrivedClosesItsTransitOnceHoweverOftenItIsTold(t *testing.T) {
	d := dbtest.New(t)
	s := New(d)
	settle(t, d, "po_1", 6500)
	byReference := settle(t, d, "po_2", 100)[0].Reference
	if _, err := s.Arrive(t.Context(), "stripe", "po_1", eur(6400), "ann", "x"); !errors.Is(err, ErrAmount) {
		t.Errorf("another amount: %v", err)
	}
	if _, err := s.Arrive(t.Context(), "stripe", "po_3", ledger.Amount{}, "ann", "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown payout: %v", err)
	}
	if _, err := s.Arrive(t.Context(), "paypal", byReference.String(), ledger.Amount{}, "ann", "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("another provider's payout: %v", err)
	}
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = s.Arrive(t.Context(), "stripe", "po_1", eur(6500), "ann", "statement 12") })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	b, err := New(d).Arrive(t.Context(), "stripe", "po_1", ledger.Amount{}, "bob", "again")
	if err != nil || !b.Known || b.Amount != eur(6500) || b.Actor != "ann" || b.Reason != "statement 12" || b.Name != "stripe/po_1" || b.At.IsZero() {
		t.Errorf("told again: %+v, %v", b, err)
	}
	if _, err := s.Arrive(t.Context(), "stripe", "po_1", eur(1), "bob", "again"); !errors.Is(err, ErrOther) {
		t.Errorf("told otherwise: %v", err)
	}
	if b, err := s.Arrive(t.Context(), "stripe", byReference.String(), ledger.Amount{}, "ann", "x"); err != nil || b.Known || b.Amount != eur(100) {
		t.Errorf("by its reference: %+v, %v", b, err)
	}
	if transit, bank := balance(t, d, ledger.ProviderTransit("stripe", "EUR")), balance(t, d, ledger.Bank("EUR")); transit != 0 || bank != -6600 {
		t.Errorf("%d on its way, %d at the bank", transit, bank)
	}
	late, err := ledger.ReadClearing(t.Context(), d.Reader, ledger.DefaultDeadlines(), time.Now().Add(60*24*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range late {
		if o.Account == ledger.ProviderTransit("stripe", "EUR") {
			t.Errorf("late: %+v", o)
		}
	}
}

func TestAPayoutThatCameBackDoesNotArrive(t *testing.T) {
	d := dbtest.New(t)
	record(t, d, ledger.ReverseAll(settle(t, d, "po_1", 6500)), nil)
	if _, err := New(d).Arrive(t.Context(), "stripe", "po_1", ledger.Amount{}, "ann", "x"); !errors.Is(err, ErrUnknown) {
		t.Errorf("arrived: %v", err)
	}
}

func TestNoMoreTaxesArePaidThanAreOwedAndEachPaymentOnce(t *testing.T) {
	d := dbtest.New(t)
	s := New(d)
	sale, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", eur(5000), eur(432), eur(634))
	record(t, d, append(sale, ledger.PostAll(sale)...), err)
	if _, err := s.PayTax(t.Context(), "2027-Q2", eur(635), "ann", "return"); !errors.Is(err, ErrAmount) {
		t.Errorf("too much: %v", err)
	}
	for i := range 2 {
		if b, err := s.PayTax(t.Context(), "2027-Q2", eur(600), "ann", "return"); err != nil || b.Known != (i == 1) || b.Amount != eur(600) {
			t.Errorf("%+v, %v", b, err)
		}
	}
	if _, err := s.PayTax(t.Context(), "2027-Q2", eur(34), "ann", "return"); !errors.Is(err, ErrOther) {
		t.Errorf("the same payment otherwise: %v", err)
	}
	if owed := balance(t, d, ledger.TaxesPayable("EUR")); owed != 34 {
		t.Errorf("%d are owed", owed)
	}
}

func TestTheRoundingAccountIsClosedEitherWayAndOnceForEachName(t *testing.T) {
	d := dbtest.New(t)
	s := New(d)
	if _, err := s.CloseRounding(t.Context(), "2027-06", "EUR", "ann", "month"); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing to close: %v", err)
	}
	for i, net := range []int64{3, -2} {
		made, err := ledger.RoundingClearedTransfers(uuid.New(), eur(-net)) // the other way round: what it leaves is net
		record(t, d, made, err)
		name := []string{"2027-06", "2027-07"}[i]
		for again := range 2 {
			if b, err := s.CloseRounding(t.Context(), name, "EUR", "ann", "month"); err != nil || b.Known != (again == 1) || b.Amount != eur(net) {
				t.Errorf("%s: %+v, %v", name, b, err)
			}
		}
		if left := balance(t, d, ledger.Rounding("EUR")); left != 0 {
			t.Errorf("%s leaves %d", name, left)
		}
	}
}
