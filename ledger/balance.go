package ledger

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

const sqlBalances = `
SELECT a.code, a.currency, a.non_negative, sum(b.debits_pending)::INT8, sum(b.credits_pending)::INT8,
       sum(b.debits_posted)::INT8, sum(b.credits_posted)::INT8
FROM ledger_accounts AS a
JOIN ledger_balances AS b ON b.account_id = a.account_id
WHERE (a.code, a.currency) > ($1::TEXT, $2::TEXT)
GROUP BY a.code, a.currency, a.non_negative
ORDER BY a.code, a.currency
LIMIT $3::INT8`

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Balance is what has been reserved and moved on each side of an account, in minor units.
type Balance struct {
	Account
	DebitsPending  int64 `json:"debits_pending"`
	CreditsPending int64 `json:"credits_pending"`
	DebitsPosted   int64 `json:"debits_posted"`
	CreditsPosted  int64 `json:"credits_posted"`
}

// Net is credits minus debits, posted only: positive is what we owe, negative what we are owed.
func (b Balance) Net() Amount {
	return Amount{Minor: b.CreditsPosted - b.DebitsPosted, Currency: b.Currency}
}

// Balances lists every account by code and currency. It reads page by page; inside one transaction all pages are of one moment.
func Balances(ctx context.Context, q Querier) ([]Balance, error) {
	var all []Balance
	var code, currency string
	for {
		page, err := balancesAfter(ctx, q, code, currency)
		if err != nil {
			return nil, fmt.Errorf("read balances: %w", err)
		}
		all = append(all, page...)
		if len(page) < batchRows {
			return all, nil
		}
		code, currency = page[len(page)-1].Code, page[len(page)-1].Currency
	}
}

func balancesAfter(ctx context.Context, q Querier, code, currency string) ([]Balance, error) {
	rows, err := q.Query(ctx, sqlBalances, code, currency, batchRows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (Balance, error) {
		var b Balance
		err := r.Scan(&b.Code, &b.Currency, &b.NonNegative, &b.DebitsPending, &b.CreditsPending, &b.DebitsPosted, &b.CreditsPosted)
		return b, err
	})
}

// move adds one side of a transfer to b and reports whether it fitted.
func (b *Balance) move(kind Kind, minor int64, debit bool) bool {
	pending, posted := &b.CreditsPending, &b.CreditsPosted
	if debit {
		pending, posted = &b.DebitsPending, &b.DebitsPosted
	}
	var ok bool
	switch kind {
	case Pending:
		*pending, ok = addInt64(*pending, minor)
	case Void:
		*pending, ok = addInt64(*pending, -minor)
	case Post:
		if *pending, ok = addInt64(*pending, -minor); ok {
			*posted, ok = addInt64(*posted, minor)
		}
	case Single, Reverse:
		*posted, ok = addInt64(*posted, minor)
	default:
		return false
	}
	return ok
}

// plus is b moved by d; false when a figure overflows.
func (b Balance) plus(d Balance) (Balance, bool) {
	var ok [4]bool
	b.DebitsPending, ok[0] = addInt64(b.DebitsPending, d.DebitsPending)
	b.CreditsPending, ok[1] = addInt64(b.CreditsPending, d.CreditsPending)
	b.DebitsPosted, ok[2] = addInt64(b.DebitsPosted, d.DebitsPosted)
	b.CreditsPosted, ok[3] = addInt64(b.CreditsPosted, d.CreditsPosted)
	return b, ok == [4]bool{true, true, true, true}
}

// mostInStripe bounds each figure of a stripe, so that no sum of stripes overflows.
const mostInStripe = math.MaxInt64 / stripes

// bounded reports whether every figure of a stripe is within its bounds.
func (b Balance) bounded() bool {
	return max(b.DebitsPending, b.CreditsPending, b.DebitsPosted, b.CreditsPosted) <= mostInStripe &&
		min(b.DebitsPending, b.CreditsPending, b.DebitsPosted, b.CreditsPosted) >= -mostInStripe
}

// covered reports whether credits posted reach debits posted and pending.
func (b Balance) covered() bool {
	debits, ok := addInt64(b.DebitsPosted, b.DebitsPending)
	return ok && b.CreditsPosted >= debits
}
