package ledger_test

import (
	"slices"
	"strings"
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

// tamper changes the books as nobody but a database's owner can.
func tamper(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := d.Pool.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// breakable is a database whose schema may be changed, which those of dbtest.New may not.
func breakable(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dbtest.URL(t), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	if _, err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// Each case says which checks must fail, and that no other does.
func TestEveryManipulationIsFound(t *testing.T) {
	const unlinked = `ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_prior_link`
	for _, c := range []struct {
		name       string
		statements []string
		failing    []string
	}{
		{"a balance is raised", []string{
			`UPDATE ledger_balances SET credits_posted = credits_posted + 1 WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'platform_fees')`,
		}, []string{"balances_recomputed", "sums_to_zero"}},
		{"two balances are shifted so that the sums agree", []string{
			`UPDATE ledger_balances SET credits_posted = credits_posted + 1 WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'platform_fees')`,
			`UPDATE ledger_balances SET credits_posted = credits_posted - 1 WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'taxes_payable')`,
		}, []string{"balances_recomputed"}},
		{"a sealed single is made larger, balances too", []string{
			`UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'single'`,
			`UPDATE ledger_balances SET debits_posted = debits_posted + 1 WHERE account_id = (SELECT debit_account FROM ledger_transfers WHERE kind = 'single')`,
			`UPDATE ledger_balances SET credits_posted = credits_posted + 1 WHERE account_id = (SELECT credit_account FROM ledger_transfers WHERE kind = 'single')`,
		}, []string{"chains_intact"}},
		{"a sealed transfer gets another reference", []string{
			`UPDATE ledger_transfers SET reference = '00000000-0000-4000-8000-000000000001' WHERE sequence = 3`,
		}, []string{"answered_once", "chains_intact", "transfers_well_formed"}},
		{"a sealed transfer is dated back", []string{
			`UPDATE ledger_transfers SET created_at = created_at - INTERVAL '1 day' WHERE sequence = 3`,
		}, []string{"chains_intact"}},
		{"a post is made larger", []string{
			`UPDATE ledger_transfers SET amount_minor = amount_minor + 1 WHERE kind = 'post' AND code = 'sale_fee'`,
		}, []string{"balances_recomputed", "chains_intact", "answered_once"}},
		{"a post goes to another account", []string{
			`UPDATE ledger_transfers SET credit_account = (SELECT account_id FROM ledger_accounts WHERE code = 'platform_fees') WHERE kind = 'post' AND code = 'sale_tax'`,
		}, []string{"balances_recomputed", "chains_intact", "answered_once"}},
		{"a post becomes a void", []string{
			`UPDATE ledger_transfers SET kind = 'void' WHERE kind = 'post' AND code = 'sale_tax'`,
		}, []string{"balances_recomputed", "chains_intact"}},
		{"a pending is ended twice", []string{
			`INSERT INTO ledger_transfers SELECT (left(transfer_id::TEXT, 14) || '8000-8000-000000000002')::UUID, debit_account, credit_account, amount_minor, currency, code, reference, 'void', prior_id, writer, 100, created_at FROM ledger_transfers WHERE kind = 'post' AND code = 'sale_tax'`,
			`UPDATE ledger_transfers SET sequence = 14 WHERE sequence = 100`,
		}, []string{"balances_recomputed", "answered_once"}},
		{"a post ends a single", []string{
			`UPDATE ledger_transfers SET prior_id = (SELECT transfer_id FROM ledger_transfers WHERE kind = 'single') WHERE kind = 'post' AND code = 'sale_tax'`,
		}, []string{"chains_intact", "answered_once"}},
		{"a post ends nothing", []string{
			unlinked,
			`UPDATE ledger_transfers SET prior_id = NULL WHERE kind = 'post' AND code = 'sale_tax'`,
		}, []string{"chains_intact", "answered_once", "transfers_well_formed"}},
		{"a pending that was posted disappears", []string{
			`DELETE FROM ledger_transfers WHERE kind = 'pending' AND code = 'sale_tax' AND sequence = 4`,
		}, []string{"balances_recomputed", "chains_intact", "answered_once", "sequences_gapless"}},
		{"a transfer in the middle disappears", []string{
			`DELETE FROM ledger_transfers WHERE kind = 'single'`,
		}, []string{"balances_recomputed", "chains_intact", "sequences_gapless"}},
		{"the last, unsealed transfer disappears", []string{
			`DELETE FROM ledger_transfers WHERE sequence = 13`,
		}, []string{"balances_recomputed"}},
		{"the last sealed ones and everything after disappear", []string{
			`DELETE FROM ledger_transfers WHERE sequence >= 9`,
		}, []string{"balances_recomputed", "chains_intact"}},
		{"all transfers disappear", []string{
			`DELETE FROM ledger_transfers`,
		}, []string{"balances_recomputed", "chains_intact"}},
		{"a seal disappears", []string{
			`DELETE FROM ledger_seals WHERE first_sequence = 1`,
		}, []string{"chains_intact"}},
		{"a seal is replaced", []string{
			`UPDATE ledger_seals SET hash = sha256('x'::BYTEA) WHERE first_sequence = 1`,
		}, []string{"chains_intact"}},
		{"a seal pretends to cover less", []string{
			`UPDATE ledger_seals SET first_sequence = 2 WHERE first_sequence = 1`,
		}, []string{"chains_intact"}},
		{"a sequence number is moved", []string{
			`UPDATE ledger_transfers SET sequence = 20 WHERE sequence = 13`,
		}, []string{"sequences_gapless"}},
		{"an amount is negative", []string{
			`ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_amount_minor_check`,
			`UPDATE ledger_transfers SET amount_minor = -amount_minor WHERE sequence = 13`,
		}, []string{"balances_recomputed", "transfers_well_formed"}},
		{"a kind nobody knows", []string{
			`ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_kind_check`,
			`UPDATE ledger_transfers SET kind = 'gift' WHERE sequence = 13`,
		}, []string{"balances_recomputed", "transfers_well_formed"}},
		{"a transfer changes its currency", []string{
			`UPDATE ledger_transfers SET currency = 'USD' WHERE sequence = 13`,
		}, []string{"transfers_well_formed"}},
		{"an account changes its currency", []string{
			`UPDATE ledger_accounts SET currency = 'USD' WHERE code = 'resale_escrow'`,
		}, []string{"accounts_consistent", "sums_to_zero", "transfers_well_formed"}},
		{"an account disappears", []string{
			`DELETE FROM ledger_accounts WHERE code = 'resale_escrow'`,
		}, []string{"accounts_consistent", "sums_to_zero", "transfers_well_formed"}},
		{"a balance disappears", []string{
			`DELETE FROM ledger_balances WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'resale_escrow')`,
		}, []string{"accounts_consistent", "balances_recomputed", "sums_to_zero"}},
		{"an account may suddenly go negative", []string{
			`UPDATE ledger_balances SET non_negative = FALSE WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'resale_escrow')`,
		}, []string{"accounts_consistent"}},
		{"an account that may not go negative does", []string{
			`ALTER TABLE ledger_balances DROP CONSTRAINT ledger_balances_covered`,
			`UPDATE ledger_balances SET debits_posted = 9999 WHERE account_id = (SELECT account_id FROM ledger_accounts WHERE code = 'resale_escrow')`,
		}, []string{"balances_recomputed", "non_negative", "sums_to_zero"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(t *testing.T) *db.DB { return dbtest.New(t) }
			if strings.Contains(strings.Join(c.statements, " "), "DROP ") {
				open = breakable
			}
			d := open(t)
			books(t, d)
			tamper(t, d, c.statements...)
			r, err := ledger.Verify(t.Context(), d.Pool)
			if err != nil {
				t.Fatal(err)
			}
			var failing []string
			for _, check := range r.Checks {
				if check.Failed > 0 {
					failing = append(failing, check.Name)
				}
				if (check.Failed > 0) && check.Detail == "" {
					t.Errorf("%s failed without a word", check.Name)
				}
			}
			slices.Sort(failing)
			slices.Sort(c.failing)
			if r.OK || !slices.Equal(failing, c.failing) {
				t.Errorf("failing are %v, want %v: %+v", failing, c.failing, r.Checks)
			}
		})
	}
}

// books are transfers 1 to 13 of one writer: a sale and its posts (2 to 5 and 6 to 9) and an open sale's (10 to 12), with seals
// over 1 to 9 and over 10 to 12, and one more that is not sealed.
func books(t *testing.T, d *db.DB) {
	t.Helper()
	w := ledger.NewWriter(d.Reader)
	s := sale(t, 5000)
	mustRecord(t, d, w, single(ledger.BuyerClearing("EUR"), ledger.ResaleEscrow("EUR"), 700))
	mustRecord(t, d, w, append(s, ledger.PostAll(s)...)...)
	if n := seal(t, d, w); n != 9 {
		t.Fatalf("sealed %d", n)
	}
	mustRecord(t, d, w, sale(t, 3000)[:3]...)
	if n := seal(t, d, w); n != 3 {
		t.Fatalf("sealed %d", n)
	}
	last := single(ledger.BuyerClearing("EUR"), ledger.ResaleEscrow("EUR"), 40)
	last.Kind = ledger.Pending
	mustRecord(t, d, w, last)
	mustVerify(t, d, 13)
}

func TestFailuresAreCountedButNotAllSpelledOut(t *testing.T) {
	d := breakable(t)
	w := ledger.NewWriter(d.Reader)
	for range 4 {
		mustRecord(t, d, w, sale(t, 1000)...)
	}
	seal(t, d, w)
	tamper(t, d, `ALTER TABLE ledger_transfers DROP CONSTRAINT ledger_transfers_amount_minor_check`, `UPDATE ledger_transfers SET amount_minor = 0`)
	r, err := ledger.Verify(t.Context(), d.Pool)
	if err != nil {
		t.Fatal(err)
	}
	c := check(t, r, "transfers_well_formed")
	if c.Checked != 16 || c.Failed != 16 || len(c.Detail) > 2000 || !strings.HasSuffix(c.Detail, "; and 11 more") {
		t.Errorf("got %+v", c)
	}
}

func TestAnEmptyLedgerVerifiesAndSaysThatItIsEmpty(t *testing.T) {
	r := mustVerify(t, dbtest.New(t), 0)
	if r.Accounts != 0 || len(r.Checks) != 8 {
		t.Errorf("got %+v", r)
	}
}
