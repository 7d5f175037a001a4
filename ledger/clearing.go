package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrDeadlines means that the deadlines of clearing accounts make no sense.
var ErrDeadlines = errors.New("ledger: clearing deadlines")

// Deadline is the time within which what came into a clearing account goes out again.
type Deadline struct {
	Within time.Duration
	Pooled bool // its debits are paid off from the oldest on, whatever their references
}

// Deadlines are those of all clearing accounts, by the first part of their code.
type Deadlines map[string]Deadline

// DefaultDeadlines are those of the table in the package comment.
func DefaultDeadlines() Deadlines {
	const day = 24 * time.Hour
	return Deadlines{
		"buyer_clearing":    {Within: 2 * time.Hour},          // a capture is tried for less than that
		"provider_clearing": {Within: 10 * day, Pooled: true}, // providers pay out weekly at the latest
		"provider_transit":  {Within: 5 * day},                // a bank transfer over a long weekend
		"refunds":           {Within: 5 * day},                // providers confirm at once; one without cover waits for sales
		"disputes":          {Within: 90 * day},               // card schemes decide in 60 to 75 days
		"late_money":        {Within: day},                    // a buyer's money without a ticket is nobody's business to keep
		"payout_clearing":   {Within: 5 * day},                // as provider_transit
		"resale_escrow":     {Within: 3 * day},                // a hand-over takes seconds, an objection days
	}
}

// With replaces the times of some accounts. It refuses accounts that have none, and times of nothing.
func (d Deadlines) With(within map[string]time.Duration) (Deadlines, error) {
	changed := make(Deadlines, len(d))
	for name, deadline := range d {
		changed[name] = deadline
	}
	var errs []error
	for name, time := range within {
		deadline, ok := changed[name]
		if !ok || time <= 0 {
			errs = append(errs, fmt.Errorf("%w: %s within %s: name a clearing account and a time longer than nothing", ErrDeadlines, name, time))
			continue
		}
		deadline.Within = time
		changed[name] = deadline
	}
	return changed, errors.Join(errs...)
}

const sqlClearingAccounts = `
SELECT account_id, code, currency, non_negative
FROM ledger_accounts
WHERE split_part(code, '/', 1) = ANY($1::TEXT[])
ORDER BY code, currency`

// sqlOpenReferences adds up both sides of an account by reference and keeps what is not at zero and older than the deadline. Pending
// is what is reserved and neither posted nor voided, on both sides together.
const sqlOpenReferences = `
WITH moves AS (
    SELECT reference, kind, -amount_minor AS minor, created_at FROM ledger_transfers WHERE debit_account = $1::UUID AND created_at <= $2::TIMESTAMPTZ
    UNION ALL
    SELECT reference, kind, amount_minor AS minor, created_at FROM ledger_transfers WHERE credit_account = $1::UUID AND created_at <= $2::TIMESTAMPTZ
), sums AS (
    SELECT reference,
           COALESCE(sum(CASE WHEN kind IN ('single', 'post', 'reverse') THEN minor ELSE 0 END), 0)::INT8 AS net,
           COALESCE(sum(CASE WHEN kind = 'pending' THEN abs(minor) WHEN kind IN ('post', 'void') THEN -abs(minor) ELSE 0 END), 0)::INT8 AS pending,
           min(created_at) AS since
    FROM moves
    GROUP BY reference
)
SELECT reference, net, pending, since
FROM sums
WHERE (net <> 0 OR pending <> 0) AND since <= $3::TIMESTAMPTZ
ORDER BY since, reference
LIMIT $4::INT8`

// sqlPooled is what an account has still to be paid off at a time: its final debits less its final credits, which are the kept ones
// without those recorded since.
const sqlPooled = `
SELECT (COALESCE((SELECT sum(debits_posted - credits_posted) FROM ledger_balances WHERE account_id = $1::UUID), 0)
     - COALESCE((SELECT sum(amount_minor) FROM ledger_transfers
                 WHERE debit_account = $1::UUID AND kind IN ('single', 'post', 'reverse') AND created_at > $2::TIMESTAMPTZ), 0)
     + COALESCE((SELECT sum(amount_minor) FROM ledger_transfers
                 WHERE credit_account = $1::UUID AND kind IN ('single', 'post', 'reverse') AND created_at > $2::TIMESTAMPTZ), 0))::INT8`

// sqlDebitsBack walks an account's final debits from the newest back.
const sqlDebitsBack = `
SELECT reference, amount_minor, created_at, sequence
FROM ledger_transfers
WHERE debit_account = $1::UUID AND kind IN ('single', 'post', 'reverse') AND (created_at, sequence) < ($2::TIMESTAMPTZ, $3::INT8)
ORDER BY created_at DESC, sequence DESC
LIMIT $4::INT8`

// Late is money that is in a clearing account for longer than its deadline. Net is credits minus debits as in Balance, what is still
// reserved is Pending.
type Late struct {
	Account   Account
	Reference uuid.UUID
	Net       Amount
	Pending   Amount
	Since     time.Time // when the reference came into the account
	Age       time.Duration
	Within    time.Duration
	Reason    string // why, where whoever lists it knows more than the account's name says; "" for what Why makes of that
}

// Why says in a few words what is missing.
func (l Late) Why() string {
	if l.Reason != "" {
		return l.Reason
	}
	name, _, _ := strings.Cut(l.Account.Code, "/")
	if l.Pending.Minor != 0 {
		return "reserved, and neither posted nor voided"
	}
	switch name {
	case "provider_clearing":
		return "taken by the provider and not in any of its payouts"
	case "provider_transit":
		return "sent by the provider and not received by the bank"
	case "refunds":
		return "promised back and not confirmed by the provider"
	case "disputes":
		return "disputed and not decided"
	case "late_money":
		return "paid for nothing, and neither sold nor refunded"
	case "payout_clearing":
		return "sent, and neither arrived nor come back"
	case "resale_escrow":
		return "paid, and the ticket neither handed over nor the money returned"
	}
	return "half of its transfers are missing"
}

// Overdue is everything that is late in one clearing account. Items are the oldest; there may be more than were asked for.
type Overdue struct {
	Account Account
	Late    Amount // the sum of the items, without sign
	Oldest  time.Duration
	Items   []Late
	More    bool // there are more items than were asked for; Late is the sum of the listed ones then
}

// ReadClearing lists what is late at a time, oldest first in each account, at most limit items per account. Accounts with nothing late
// are left out. It reads all transfers of the accounts that are not pooled.
func ReadClearing(ctx context.Context, db Beginner, deadlines Deadlines, at time.Time, limit int) ([]Overdue, error) {
	var found []Overdue
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		accounts, err := clearingAccounts(ctx, tx, deadlines)
		if err != nil {
			return fmt.Errorf("list clearing accounts: %w", err)
		}
		for _, a := range accounts {
			name, _, _ := strings.Cut(a.Code, "/")
			deadline := deadlines[name]
			read := readOpen
			if deadline.Pooled {
				read = readPooled
			}
			items, err := read(ctx, tx, a, at, deadline.Within, limit+1)
			if err != nil {
				return fmt.Errorf("look for late money in %s %s: %w", a.Code, a.Currency, err)
			}
			if len(items) > 0 {
				found = append(found, overdue(a, items, limit))
			}
		}
		return nil
	})
	slices.SortStableFunc(found, func(x, y Overdue) int { return cmp.Compare(y.Oldest, x.Oldest) })
	return found, err
}

func overdue(a Account, items []Late, limit int) Overdue {
	o := Overdue{Account: a, Late: Amount{0, a.Currency}, More: len(items) > limit}
	o.Items = items[:min(len(items), limit)]
	for _, l := range o.Items {
		o.Late.Minor += max(l.Net.Minor, -l.Net.Minor, l.Pending.Minor)
		o.Oldest = max(o.Oldest, l.Age)
	}
	return o
}

// OldestFirst is everything that is late, across accounts.
func OldestFirst(accounts []Overdue) []Late {
	var all []Late
	for _, o := range accounts {
		all = append(all, o.Items...)
	}
	slices.SortStableFunc(all, func(x, y Late) int { return x.Since.Compare(y.Since) })
	return all
}

func clearingAccounts(ctx context.Context, tx pgx.Tx, deadlines Deadlines) ([]Account, error) {
	names := make([]string, 0, len(deadlines))
	for name := range deadlines {
		names = append(names, name)
	}
	rows, err := tx.Query(ctx, sqlClearingAccounts, names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (Account, error) {
		var id uuid.UUID
		var a Account
		err := r.Scan(&id, &a.Code, &a.Currency, &a.NonNegative)
		return a, err
	})
}

// readOpen lists the references of an account that have not closed in time.
func readOpen(ctx context.Context, tx pgx.Tx, a Account, at time.Time, within time.Duration, limit int) ([]Late, error) {
	rows, err := tx.Query(ctx, sqlOpenReferences, a.ID(), at, at.Add(-within), limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (Late, error) {
		l := Late{Account: a, Net: Amount{0, a.Currency}, Pending: Amount{0, a.Currency}, Within: within}
		err := r.Scan(&l.Reference, &l.Net.Minor, &l.Pending.Minor, &l.Since)
		l.Age = at.Sub(l.Since)
		return l, err
	})
}

// readPooled lists the debits of an account that its credits, all of them, have not paid off yet: as many of the newest as the balance
// is, and of those the ones past the deadline.
func readPooled(ctx context.Context, tx pgx.Tx, a Account, at time.Time, within time.Duration, limit int) ([]Late, error) {
	var open int64
	if err := tx.QueryRow(ctx, sqlPooled, a.ID(), at).Scan(&open); err != nil || open <= 0 {
		return nil, err
	}
	var late []Late
	before, sequence := at, int64(math.MaxInt64)
	for open > 0 {
		rows, err := tx.Query(ctx, sqlDebitsBack, a.ID(), before, sequence, verifyRows)
		if err != nil {
			return nil, err
		}
		n := 0
		for ; rows.Next(); n++ {
			l := Late{Account: a, Net: Amount{0, a.Currency}, Pending: Amount{0, a.Currency}, Within: within}
			var minor int64
			if err := rows.Scan(&l.Reference, &minor, &before, &sequence); err != nil {
				rows.Close()
				return nil, err
			}
			l.Since, l.Age = before, at.Sub(before)
			l.Net.Minor = -min(minor, open)
			if open > 0 && l.Age >= within {
				late = append(late, l)
			}
			open -= min(minor, open)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if n < verifyRows {
			break
		}
		if len(late) > 2*limit { // the oldest count, and they come last
			late = late[len(late)-limit:]
		}
	}
	slices.Reverse(late)
	return late[:min(len(late), limit)], nil
}
