package ledger_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func record(t *testing.T, d *db.DB, w *ledger.Writer, transfers ...ledger.Transfer) error {
	t.Helper()
	return d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return w.Record(ctx, tx, transfers) })
}

func mustRecord(t *testing.T, d *db.DB, w *ledger.Writer, transfers ...ledger.Transfer) {
	t.Helper()
	if err := record(t, d, w, transfers...); err != nil {
		t.Fatal(err)
	}
}

func balances(t *testing.T, d *db.DB) map[string]ledger.Balance {
	t.Helper()
	all, err := ledger.Balances(t.Context(), d.Pool)
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]ledger.Balance)
	for _, b := range all {
		byName[b.Code+" "+b.Currency] = b
	}
	return byName
}

// mustVerify fails unless the books are in order and as many as expected.
func mustVerify(t *testing.T, d *db.DB, transfers int64) ledger.Report {
	t.Helper()
	r, err := ledger.Verify(t.Context(), d.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK || r.Transfers != transfers {
		t.Fatalf("verified %d transfers, want %d: %+v", r.Transfers, transfers, r.Checks)
	}
	return r
}

func sale(t *testing.T, minor int64) []ledger.Transfer {
	t.Helper()
	s, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", euros(minor), euros(100), euros(21))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func single(debit, credit ledger.Account, minor int64) ledger.Transfer {
	reference := uuid.New()
	return ledger.Transfer{
		ID: ledger.TransferID(reference, "test"), Debit: debit, Credit: credit, Amount: ledger.Amount{Minor: minor, Currency: debit.Currency},
		Code: "test", Reference: reference, Kind: ledger.Single,
	}
}

func TestASaleIsPendingUntilItIsPosted(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	s := sale(t, 5000)
	mustRecord(t, d, w, s...)
	if b := balances(t, d)["organizer_payable/lumen-live EUR"]; b.CreditsPending != 5000 || b.Net() != euros(0) {
		t.Errorf("after the sale: %+v", b)
	}
	mustRecord(t, d, w, ledger.PostAll(s)...)
	got := balances(t, d)
	for name, minor := range map[string]int64{
		"organizer_payable/lumen-live EUR": 5000, "platform_fees EUR": 100, "taxes_payable EUR": 21, "provider_clearing/stripe EUR": -5121, "buyer_clearing EUR": 0,
	} {
		if b := got[name]; b.Net().Minor != minor || b.DebitsPending != 0 || b.CreditsPending != 0 {
			t.Errorf("%s: %+v, want %d", name, b, minor)
		}
	}
	mustVerify(t, d, 8)
}

func TestAVoidedSaleLeavesNothingBehind(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	s := sale(t, 5000)
	mustRecord(t, d, w, append(s, ledger.VoidAll(s)...)...)
	for name, b := range balances(t, d) {
		if b.DebitsPending|b.CreditsPending|b.DebitsPosted|b.CreditsPosted != 0 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	mustVerify(t, d, 8)
}

func TestAReversalUndoesATransferOnceAndExactly(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	s := sale(t, 5000)
	posts := ledger.PostAll(s)
	mustRecord(t, d, w, append(s, posts...)...)
	undo := ledger.ReverseAll(append(s, posts...))
	if len(undo) != len(posts) {
		t.Fatalf("%d reversals of %d posts", len(undo), len(posts))
	}
	mustRecord(t, d, w, undo...)
	mustRecord(t, d, w, append(undo, ledger.ReverseAll(posts)...)...)
	for name, b := range balances(t, d) {
		if b.Net().Minor != 0 || b.DebitsPosted == 0 || b.DebitsPosted != b.CreditsPosted || b.DebitsPending|b.CreditsPending != 0 {
			t.Errorf("%s: %+v", name, b)
		}
	}
	if again := ledger.ReverseAll(undo); len(again) != 0 {
		t.Errorf("reversals were reversed: %v", again)
	}
	mustVerify(t, d, 12)
}

func TestRecordingTwiceIsRecordingOnce(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	s := sale(t, 5000)
	everything := append(s, ledger.PostAll(s)...)
	mustRecord(t, d, w, append(everything, everything...)...)
	before := balances(t, d)
	mustRecord(t, d, w, everything...)
	mustRecord(t, d, ledger.NewWriter(d.Reader), ledger.PostAll(s)...)
	for name, b := range balances(t, d) {
		if b != before[name] {
			t.Errorf("%s went from %+v to %+v", name, before[name], b)
		}
	}
	mustVerify(t, d, 8)
}

func TestRefusalsNameTheirReasonAndChangeNothing(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	clearing, fees, escrow := ledger.BuyerClearing("EUR"), ledger.PlatformFees("EUR"), ledger.ResaleEscrow("EUR")
	posted, voided, open := sale(t, 1000), sale(t, 2000), sale(t, 3000)
	known := single(clearing, fees, 70)
	mustRecord(t, d, w, known, single(clearing, escrow, 500))
	mustRecord(t, d, w, append(posted, ledger.PostAll(posted)...)...)
	mustRecord(t, d, w, append(voided, ledger.VoidAll(voided)...)...)
	mustRecord(t, d, w, open...)

	with := func(x ledger.Transfer, change func(*ledger.Transfer)) ledger.Transfer {
		change(&x)
		return x
	}
	other := func(x ledger.Transfer, name string) ledger.Transfer {
		x.ID = ledger.TransferID(x.Reference, name)
		return x
	}
	unnamed := open[0]
	unnamed = ledger.PostAll([]ledger.Transfer{other(unnamed, "unnamed")})[0]
	pretended := with(known, func(x *ledger.Transfer) { x.Kind = ledger.Pending })
	reversal := ledger.ReverseAll([]ledger.Transfer{known})[0]
	mustRecord(t, d, w, reversal)
	before := balances(t, d)
	fresh := single(clearing, fees, 1)
	for _, c := range []struct {
		name      string
		transfers []ledger.Transfer
		want      error
	}{
		{"same id, other amount", []ledger.Transfer{with(known, func(x *ledger.Transfer) { x.Amount.Minor++ })}, ledger.ErrMismatch},
		{"same id, other account", []ledger.Transfer{with(known, func(x *ledger.Transfer) { x.Credit = ledger.TaxesPayable("EUR") })}, ledger.ErrMismatch},
		{"same id, other reference", []ledger.Transfer{with(known, func(x *ledger.Transfer) { x.Reference[15]++ })}, ledger.ErrMismatch},
		{"same id, other code", []ledger.Transfer{with(known, func(x *ledger.Transfer) { x.Code = "other" })}, ledger.ErrMismatch},
		{"same id twice in a batch", []ledger.Transfer{fresh, with(fresh, func(x *ledger.Transfer) { x.Amount.Minor = 2 })}, ledger.ErrMismatch},
		{"account with another flag", []ledger.Transfer{single(clearing, with(fresh, func(x *ledger.Transfer) { x.Credit.NonNegative = true }).Credit, 5)}, ledger.ErrMismatch},
		{"void of a posted sale", ledger.VoidAll(posted), ledger.ErrEnded},
		{"post of a voided sale", ledger.PostAll(voided), ledger.ErrEnded},
		{"post and void in one batch", append(ledger.PostAll(open), ledger.VoidAll(open)...), ledger.ErrEnded},
		{"post of another amount", []ledger.Transfer{with(ledger.PostAll(open)[0], func(x *ledger.Transfer) { x.Amount.Minor-- })}, ledger.ErrMismatch},
		{"post of other accounts", []ledger.Transfer{with(ledger.PostAll(open)[0], func(x *ledger.Transfer) { x.Credit = fees })}, ledger.ErrMismatch},
		{"post of nothing known", []ledger.Transfer{unnamed}, ledger.ErrPendingUnknown},
		{"post of a single", ledger.PostAll([]ledger.Transfer{pretended}), ledger.ErrPendingUnknown},
		{"reversal of a pending", ledger.ReverseAll([]ledger.Transfer{with(open[0], func(x *ledger.Transfer) { x.Kind = ledger.Single })}), ledger.ErrNotFinal},
		{"reversal of a void", ledger.ReverseAll([]ledger.Transfer{with(ledger.VoidAll(voided)[0], func(x *ledger.Transfer) { x.Kind = ledger.Post })}), ledger.ErrNotFinal},
		{"reversal of a reversal", ledger.ReverseAll([]ledger.Transfer{with(reversal, func(x *ledger.Transfer) { x.Kind = ledger.Single })}), ledger.ErrNotFinal},
		{"reversal of nothing known", ledger.ReverseAll([]ledger.Transfer{single(clearing, fees, 5)}), ledger.ErrNotFinal},
		{"reversal of another amount", ledger.ReverseAll([]ledger.Transfer{with(ledger.PostAll(posted)[0], func(x *ledger.Transfer) { x.Amount.Minor-- })}), ledger.ErrMismatch},
		{"reversal the same way round", []ledger.Transfer{with(ledger.ReverseAll(ledger.PostAll(posted))[0], func(x *ledger.Transfer) { x.Debit, x.Credit = x.Credit, x.Debit })}, ledger.ErrMismatch},
		{"reversal for another reason", []ledger.Transfer{with(reversal, func(x *ledger.Transfer) { x.Code = "other" })}, ledger.ErrMismatch},
		{"reversal under another id", []ledger.Transfer{other(ledger.ReverseAll(ledger.PostAll(posted))[0], "x")}, ledger.ErrTransferMalformed},
		{"post under another id", []ledger.Transfer{other(ledger.PostAll(open)[0], "x")}, ledger.ErrTransferMalformed},
		{"id of another reference", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.ID = uuid.New() })}, ledger.ErrTransferMalformed},
		{"post before its pending", append(ledger.PostAll(sale(t, 1)), sale(t, 1)...), ledger.ErrPendingUnknown},
		{"more than the escrow has", []ledger.Transfer{single(escrow, clearing, 300), single(escrow, clearing, 201)}, ledger.ErrInsufficient},
		{"more reserved than the escrow has", []ledger.Transfer{with(single(escrow, clearing, 501), func(x *ledger.Transfer) { x.Kind = ledger.Pending })}, ledger.ErrInsufficient},
		{"two currencies", []ledger.Transfer{single(clearing, ledger.PlatformFees("USD"), 5)}, ledger.ErrCurrency},
		{"no currency", []ledger.Transfer{single(ledger.BuyerClearing("EURO"), ledger.PlatformFees("EURO"), 5)}, ledger.ErrCurrency},
		{"overflow of a balance", []ledger.Transfer{single(clearing, fees, math.MaxInt64)}, ledger.ErrOverflow},
		{"overflow in the batch", []ledger.Transfer{single(clearing, fees, math.MaxInt64), single(clearing, fees, math.MaxInt64)}, ledger.ErrOverflow},
		{"nothing", []ledger.Transfer{single(clearing, fees, 0)}, ledger.ErrTransferMalformed},
		{"less than nothing", []ledger.Transfer{single(clearing, fees, -5)}, ledger.ErrTransferMalformed},
		{"to itself", []ledger.Transfer{single(clearing, clearing, 5)}, ledger.ErrTransferMalformed},
		{"no id", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.ID = uuid.Nil })}, ledger.ErrTransferMalformed},
		{"no code", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.Code = "" })}, ledger.ErrTransferMalformed},
		{"unknown kind", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.Kind = "gift" })}, ledger.ErrTransferMalformed},
		{"single that answers another", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.PriorID = uuid.New() })}, ledger.ErrTransferMalformed},
		{"post that answers nothing", []ledger.Transfer{with(fresh, func(x *ledger.Transfer) { x.Kind = ledger.Post })}, ledger.ErrTransferMalformed},
		{"account without a name", []ledger.Transfer{single(ledger.Account{Currency: "EUR"}, fees, 5)}, ledger.ErrAccountMalformed},
		{"account with a strange name", []ledger.Transfer{single(ledger.OrganizerPayable("Lumen Live", "EUR"), fees, 5)}, ledger.ErrAccountMalformed},
	} {
		// The bystander would be recorded if refusals were of single transfers.
		if err := record(t, d, w, append([]ledger.Transfer{single(clearing, fees, 1)}, c.transfers...)...); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	for name, b := range balances(t, d) {
		if b != before[name] {
			t.Errorf("%s went from %+v to %+v", name, before[name], b)
		}
	}
	mustVerify(t, d, 3+8+8+4)
}

func TestTheDatabaseItselfRefusesAnUncoveredBalance(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	mustRecord(t, d, w, single(ledger.BuyerClearing("EUR"), ledger.ResaleEscrow("EUR"), 500))
	_, err := d.Pool.Exec(t.Context(), `UPDATE ledger_balances SET debits_pending = 501 WHERE account_id = $1`, ledger.ResaleEscrow("EUR").ID())
	if !db.Violates(err, "ledger_balances_covered") {
		t.Errorf("got %v", err)
	}
}

func TestABatchMayBeLargerThanAStatement(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	var all []ledger.Transfer
	for i := range 600 {
		all = append(all, sale(t, int64(i+1))...)
	}
	mustRecord(t, d, w, append(all, ledger.PostAll(all)...)...)
	if b := balances(t, d)["organizer_payable/lumen-live EUR"]; b.CreditsPosted != 600*601/2 {
		t.Errorf("organizer has %+v", b)
	}
	mustVerify(t, d, 4800)
}
