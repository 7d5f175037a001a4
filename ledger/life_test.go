package ledger_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

// business plays orders of one organizer at random, keeps every transfer it recorded, and says what that adds up to.
type business struct {
	t        *testing.T
	d        *db.DB
	w        *ledger.Writer
	recorded []ledger.Transfer
	orders   []ledger.Terms
	refused  map[error]int
}

func (b *business) record(transfers []ledger.Transfer, err error) bool {
	b.t.Helper()
	if err == nil {
		err = record(b.t, b.d, b.w, transfers...)
	}
	for _, expected := range []error{ledger.ErrOverRefund, ledger.ErrInsufficient, ledger.ErrTransferMalformed} {
		if errors.Is(err, expected) {
			b.refused[expected]++
			return false
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.recorded = append(b.recorded, transfers...)
	return true
}

// refund gives something of an order back, in the transaction that looks what is left.
func (b *business) refund(terms ledger.Terms, how func(ledger.OrderMoney) (ledger.Parts, int64, error)) []ledger.Transfer {
	b.t.Helper()
	refund := uuid.New()
	var made []ledger.Transfer
	err := b.d.InTx(b.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		m, err := ledger.ReadOrder(ctx, tx, terms.Order)
		if err != nil {
			return err
		}
		p, total, err := how(m)
		if err != nil {
			return err
		}
		if made, err = ledger.RefundTransfers(terms, refund, m, p, total); err != nil {
			return err
		}
		return b.w.Record(ctx, tx, made)
	})
	switch {
	case errors.Is(err, ledger.ErrOverRefund):
		b.refused[ledger.ErrOverRefund]++
		return nil
	case errors.Is(err, ledger.ErrTransferMalformed):
		return nil // nothing was left
	case err != nil:
		b.t.Fatal(err)
	}
	b.recorded = append(b.recorded, made...)
	return made
}

func (b *business) step(rt *rapid.T) {
	eur := func(minor int64) ledger.Amount { return euros(minor) }
	minor := func(name string) int64 { return rapid.Int64Range(0, 9999).Draw(rt, name) }
	if len(b.orders) == 0 || rapid.IntRange(0, 3).Draw(rt, "sell") == 0 {
		terms := ledger.Terms{Order: uuid.New(), Organizer: "lumen-live", Provider: "stripe", Currency: "EUR"}
		sale, err := ledger.SaleTransfers(terms.Order, terms.Organizer, terms.Provider, eur(minor("face")+1), eur(minor("fee")), eur(minor("tax")))
		if !b.record(sale, err) {
			b.t.Fatal("a sale was refused")
		}
		if rapid.IntRange(0, 5).Draw(rt, "void") == 0 {
			b.record(ledger.VoidAll(sale), nil)
			return
		}
		b.record(ledger.PostAll(sale), nil)
		b.orders = append(b.orders, terms)
		return
	}
	terms := rapid.SampledFrom(b.orders).Draw(rt, "order")
	m, err := ledger.ReadOrder(b.t.Context(), b.d.Reader, terms.Order)
	if err != nil {
		b.t.Fatal(err)
	}
	rest, restMinor := m.Rest()
	switch rapid.IntRange(0, 8).Draw(rt, "what") {
	case 0, 1, 2:
		n, den := rapid.Int64Range(1, 7).Draw(rt, "n"), rapid.Int64Range(1, 7).Draw(rt, "of")
		made := b.refund(terms, func(m ledger.OrderMoney) (ledger.Parts, int64, error) {
			return m.Share(n, den, rapid.Bool().Draw(rt, "keep fee"))
		})
		if rapid.IntRange(0, 4).Draw(rt, "fails") == 0 {
			b.record(ledger.VoidAll(made), nil)
		} else {
			b.record(ledger.PostAll(made), nil)
		}
	case 3: // more than is left, whatever is left
		if made := b.refund(terms, func(ledger.OrderMoney) (ledger.Parts, int64, error) {
			return ledger.Parts{Face: rest.Face + 1, Fee: rest.Fee, Tax: rest.Tax}, restMinor + 1, nil
		}); made != nil {
			b.t.Fatalf("more was given back than is left: %v", made)
		}
	case 4:
		if restMinor <= 0 || rest.Face+rest.Fee+rest.Tax <= 0 {
			return
		}
		dispute := uuid.New()
		b.record(ledger.DisputeOpenedTransfers(terms, dispute, restMinor, 1500))
		if rapid.Bool().Draw(rt, "won") {
			b.record(ledger.DisputeWonTransfers(terms, dispute, restMinor, 0))
		} else {
			b.record(ledger.DisputeLostTransfers(terms, dispute, ledger.Loss{Parts: rest}, restMinor))
		}
	case 5:
		b.record(ledger.PayoutReleasedTransfers(uuid.New(), "lumen-live", eur(minor("due")), eur(minor("reserve"))))
	case 6:
		b.record(ledger.ReserveReleasedTransfers(uuid.New(), "lumen-live", eur(minor("due")+1)))
	case 7:
		payout, amount := uuid.New(), eur(minor("due")+1)
		sent, err := ledger.PayoutSentTransfers(payout, "lumen-live", amount)
		if !b.record(sent, err) {
			return
		}
		switch rapid.IntRange(0, 2).Draw(rt, "payout") {
		case 0:
			b.record(ledger.PayoutArrivedTransfers(payout, amount))
		case 1:
			b.record(ledger.ReverseAll(sent), nil)
		}
	case 8:
		b.record(ledger.SettlementSentTransfers(uuid.New(), "stripe", eur(minor("due")), eur(minor("cost"))))
	}
}

// giveEverythingBack refunds what is left of every order.
func (b *business) giveEverythingBack() {
	b.t.Helper()
	for _, terms := range b.orders {
		b.record(ledger.PostAll(b.refund(terms, func(m ledger.OrderMoney) (ledger.Parts, int64, error) {
			p, total := m.Rest()
			return p, total, nil
		})), nil)
	}
}

// sum adds the recorded transfers up by account.
func (b *business) sum() *model {
	m := &model{recorded: map[uuid.UUID]ledger.Transfer{}, balances: map[ledger.Account]*[4]int64{}}
	if err := m.record(b.recorded); err != nil {
		b.t.Fatal(err)
	}
	return m
}

// Whatever happens in whatever order, the trial balance is zero, no order gives back more than it brought, and once everything is given
// back nothing of the orders is left anywhere: rounding lost no cent.
func TestAnySequenceOfEventsKeepsTheBooksBalanced(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	refused := map[error]int{}
	rapid.Check(t, func(rt *rapid.T) {
		if rounds--; rounds < 0 {
			return
		}
		d := dbtest.New(t)
		b := &business{t: t, d: d, w: ledger.NewWriter(d.Reader), refused: refused}
		for range rapid.IntRange(10, 40).Draw(rt, "steps") {
			b.step(rt)
		}
		cut, before := now(t, d), b.sum()
		b.checkReports(cut)
		b.giveEverythingBack()
		for _, terms := range b.orders {
			m, err := ledger.ReadOrder(t.Context(), d.Reader, terms.Order)
			if err != nil {
				t.Fatal(err)
			}
			if p, total := m.Rest(); p != (ledger.Parts{}) || total != 0 || m.ReturnedMinor != m.CapturedMinor || m.CapturedMinor == 0 {
				t.Errorf("order %s is left with %+v, %d: %+v", terms.Order, p, total, m)
			}
		}
		after := b.sum()
		for _, a := range []ledger.Account{ledger.Rounding("EUR"), ledger.PlatformFees("EUR"), ledger.TaxesPayable("EUR"), ledger.Refunds("EUR"), ledger.BuyerClearing("EUR"), ledger.Disputes("stripe", "EUR")} {
			if s := after.balances[a]; s != nil && (s[2] != s[3] || s[0]|s[1] != 0) {
				t.Errorf("%s is left with %v", a.Code, *s)
			}
		}
		mustVerify(t, d, int64(len(b.recorded)))
		b.checkTrial(before, cut)
		b.checkReports(now(t, d))
	})
	if refused[ledger.ErrOverRefund] == 0 || refused[ledger.ErrInsufficient] == 0 {
		t.Errorf("refused were %v: the limits were never met", refused)
	}
}

func now(t *testing.T, d *db.DB) time.Time {
	t.Helper()
	at, err := d.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// checkTrial holds the books as of an earlier time against what was recorded until then.
func (b *business) checkTrial(before *model, cut time.Time) {
	b.t.Helper()
	trial, err := ledger.TrialBalanceAt(b.t.Context(), b.d.Reader, cut)
	if err != nil || !trial.Zero() || trial.Transfers != int64(len(before.recorded)) {
		b.t.Errorf("as of then: %d transfers, want %d: %+v, %v", trial.Transfers, len(before.recorded), trial.Currencies, err)
	}
	current, err := ledger.TrialBalance(b.t.Context(), b.d.Reader)
	if err != nil || !current.Zero() {
		b.t.Errorf("now: %+v, %v", current.Currencies, err)
	}
	recomputed, err := ledger.Recompute(b.t.Context(), b.d.Reader)
	if err != nil || recomputed.Transfers != int64(len(b.recorded)) {
		b.t.Errorf("recomputed: %d transfers, want %d, %v", recomputed.Transfers, len(b.recorded), err)
	}
	plain := func(t ledger.Trial) map[ledger.Account][4]int64 {
		figures := map[ledger.Account][4]int64{}
		for _, a := range t.Accounts {
			if f := [4]int64{a.DebitsPending, a.CreditsPending, a.DebitsPosted, a.CreditsPosted}; f != [4]int64{} {
				figures[a.Account] = f
			}
		}
		return figures
	}
	if !maps.Equal(plain(current), plain(recomputed)) {
		b.t.Errorf("kept %v, recomputed %v", plain(current), plain(recomputed))
	}
	for a, want := range before.balances {
		if got := plain(trial)[a]; got != *want {
			b.t.Errorf("%s as of then: %v in the trial balance, want %v", a.Code, got, *want)
		}
		balance, err := ledger.BalanceAt(b.t.Context(), b.d.Reader, a.Code, a.Currency, cut)
		if got := [4]int64{balance.DebitsPending, balance.CreditsPending, balance.DebitsPosted, balance.CreditsPosted}; err != nil || got != *want {
			b.t.Errorf("%s as of then: %v, want %v, %v", a.Code, got, *want, err)
		}
	}
}

// checkReports compares statements and the settlement with what was recorded.
func (b *business) checkReports(at time.Time) {
	b.t.Helper()
	m := b.sum()
	for a, want := range m.balances {
		var lines []uuid.UUID
		var place ledger.Place
		var closing ledger.Balance
		for page := 0; ; page++ {
			s, err := ledger.ReadStatement(b.t.Context(), b.d.Reader, a.Code, a.Currency, place, at, 7)
			if err != nil {
				b.t.Fatal(err)
			}
			if s.Opening != closing && page > 0 || page == 0 && s.Opening.Net().Minor != 0 {
				b.t.Errorf("%s: page %d opens with %+v, the one before closed with %+v", a.Code, page, s.Opening, closing)
			}
			for _, l := range s.Lines {
				lines = append(lines, l.ID)
				x := m.recorded[l.ID]
				if x.Amount != l.Amount || x.Code != l.Code || x.Kind != l.Kind || x.Reference != l.Reference || l.Debit != (x.Debit == a) ||
					l.Debit && x.Credit.Code != l.Other || !l.Debit && x.Debit.Code != l.Other {
					b.t.Errorf("%s: line %+v of transfer %+v", a.Code, l, x)
				}
			}
			closing, place = s.Closing, s.Next
			if !s.More {
				break
			}
		}
		var expected []uuid.UUID
		for _, x := range b.recorded {
			if x.Debit == a || x.Credit == a {
				expected = append(expected, x.ID)
			}
		}
		if !slices.Equal(lines, expected) {
			b.t.Errorf("%s: the statement has %d lines in another order or number than the %d recorded", a.Code, len(lines), len(expected))
		}
		if got := [4]int64{closing.DebitsPending, closing.CreditsPending, closing.DebitsPosted, closing.CreditsPosted}; got != *want {
			b.t.Errorf("%s closes with %v, want %v", a.Code, got, *want)
		}
	}
	b.checkSettlement(m, at)
}

func (b *business) checkSettlement(m *model, at time.Time) {
	b.t.Helper()
	sums := map[string]int64{}
	arrived := map[uuid.UUID]bool{}
	for _, x := range b.recorded {
		switch x.Kind {
		case ledger.Single, ledger.Post:
			sums[x.Code] += x.Amount.Minor
			arrived[x.Reference] = arrived[x.Reference] || x.Code == "payout_arrived"
		case ledger.Reverse:
			sums[x.Code] -= x.Amount.Minor
		}
	}
	net := func(a ledger.Account) int64 {
		if s := m.balances[a]; s != nil {
			return s[3] - s[2]
		}
		return 0
	}
	s, err := ledger.ReadSettlement(b.t.Context(), b.d.Reader, "lumen-live", "EUR", at)
	if err != nil {
		b.t.Fatal(err)
	}
	want := ledger.Settlement{
		Organizer: "lumen-live", Currency: "EUR", At: at, Sold: sums["sale_face"], Refunded: sums["refund_face"], Disputed: sums["dispute_face"],
		Fees: sums["sale_fee"] - sums["refund_fee"] - sums["dispute_fee_part"], Taxes: sums["sale_tax"] - sums["refund_tax"] - sums["dispute_tax"],
		Payable: net(ledger.OrganizerPayable("lumen-live", "EUR")), Reserve: net(ledger.OrganizerReserve("lumen-live", "EUR")),
		Available: net(ledger.OrganizerAvailable("lumen-live", "EUR")), Sent: sums["payout_sent"], PaidOut: sums["payout_arrived"],
	}
	want.InTransit = want.Sent - want.PaidOut
	want.Due = want.Payable + want.Reserve + want.Available
	if s != want {
		b.t.Errorf("the settlement is %+v, want %+v", s, want)
	}
	if s.Sold+s.Royalties-s.Refunded-s.Disputed-s.Sent != s.Due {
		b.t.Errorf("the settlement does not add up: %+v", s)
	}
}
