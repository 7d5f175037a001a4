package ledger

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/google/uuid"
)

// sqlVerifyBalances and sqlVerifyAccounts each read one table whole, since a full join would hide which side is missing.
const sqlVerifyBalances = `
SELECT account_id, bool_or(non_negative), bool_and(non_negative), sum(debits_pending)::INT8, sum(credits_pending)::INT8,
       sum(debits_posted)::INT8, sum(credits_posted)::INT8
FROM ledger_balances
WHERE account_id > $1::UUID
GROUP BY account_id
ORDER BY account_id
LIMIT $2::INT8`

const sqlVerifyAccounts = `
SELECT a.account_id, a.code, a.currency, a.non_negative,
       EXISTS (SELECT 1 FROM ledger_balances AS b WHERE b.account_id = a.account_id)
FROM ledger_accounts AS a
WHERE a.account_id > $1::UUID
ORDER BY a.account_id
LIMIT $2::INT8`

func (v *verification) readAccounts(ctx context.Context) error {
	var last uuid.UUID
	for n := verifyRows; n == verifyRows; {
		rows, err := v.tx.Query(ctx, sqlVerifyAccounts, last, verifyRows)
		if err != nil {
			return err
		}
		for n = 0; rows.Next(); n++ {
			var a Account
			var balance bool
			if err := rows.Scan(&last, &a.Code, &a.Currency, &a.NonNegative, &balance); err != nil {
				return err
			}
			v.accounts[last] = &bookedAccount{stored: Balance{Account: a}, computed: Balance{Account: a}}
			v.consistent.expect(a.ID() == last && a.validate() == nil && balance,
				"account %s (%s %s): id does not follow from its code, or it has no balance", last, a.Code, a.Currency)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return v.readBalances(ctx)
}

func (v *verification) readBalances(ctx context.Context) error {
	var last uuid.UUID
	for n := verifyRows; n == verifyRows; {
		rows, err := v.tx.Query(ctx, sqlVerifyBalances, last, verifyRows)
		if err != nil {
			return err
		}
		for n = 0; rows.Next(); n++ {
			var b Balance
			var all bool
			if err := rows.Scan(&last, &b.NonNegative, &all, &b.DebitsPending, &b.CreditsPending, &b.DebitsPosted, &b.CreditsPosted); err != nil {
				return err
			}
			a, ok := v.accounts[last]
			if !ok {
				v.consistent.fail("balance %s belongs to no account", last)
				continue
			}
			if a.stored.NonNegative != b.NonNegative || b.NonNegative != all {
				v.consistent.fail("account %s %s: non_negative is %t, its balance says %t", a.stored.Code, a.stored.Currency, a.stored.NonNegative, b.NonNegative)
			}
			b.Account = a.stored.Account
			a.stored = b
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

// compareBalances holds what is stored against what the transfers add up to.
func (v *verification) compareBalances() {
	type sums struct{ pending, posted big.Int }
	byCurrency := make(map[string]*sums)
	for _, id := range slices.SortedFunc(maps.Keys(v.accounts), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		a := v.accounts[id]
		s, c := a.stored, a.computed
		v.recomputed.expect(!a.overflow && s == c, "%s %s: stored %s, transfers give %s", s.Code, s.Currency, s.figures(), c.figures())
		if s.NonNegative {
			v.nonNegative.expect(s.covered() && c.covered(), "%s %s: stored %s, transfers give %s", s.Code, s.Currency, s.figures(), c.figures())
		}
		if byCurrency[s.Currency] == nil {
			byCurrency[s.Currency] = &sums{}
		}
		t := byCurrency[s.Currency]
		t.pending.Add(&t.pending, big.NewInt(s.DebitsPending)).Sub(&t.pending, big.NewInt(s.CreditsPending))
		t.posted.Add(&t.posted, big.NewInt(s.DebitsPosted)).Sub(&t.posted, big.NewInt(s.CreditsPosted))
	}
	for _, currency := range slices.Sorted(maps.Keys(byCurrency)) {
		t := byCurrency[currency]
		v.zeroSum.expect(t.pending.Sign() == 0 && t.posted.Sign() == 0,
			"%s: debits minus credits are %s posted and %s pending", currency, &t.posted, &t.pending)
	}
}

// figures lists debits and credits as posted+pending.
func (b Balance) figures() string {
	return fmt.Sprintf("debits %d+%d credits %d+%d", b.DebitsPosted, b.DebitsPending, b.CreditsPosted, b.CreditsPending)
}
