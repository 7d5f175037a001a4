package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sqlTotals reads every transfer once; both sides of an account are added up from its pairs.
const sqlTotals = `
SELECT debit_account, credit_account, kind, count(*)::INT8, sum(amount_minor)::INT8
FROM ledger_transfers
WHERE created_at <= $1::TIMESTAMPTZ
GROUP BY debit_account, credit_account, kind`

// sqlScanFreely allows what the service's connections avoid: reading a whole table in its own order. It lasts as long as the
// transaction; CockroachDB takes the setting and needs it not.
const sqlScanFreely = `SET LOCAL enable_seqscan = on`

const sqlAccountsAfter = `
SELECT account_id, code, currency, non_negative
FROM ledger_accounts
WHERE account_id > $1::UUID
ORDER BY account_id
LIMIT $2::INT8`

// Total is what all accounts of one currency add up to.
type Total struct {
	Currency       string `json:"currency"`
	DebitsPending  int64  `json:"debits_pending"`
	CreditsPending int64  `json:"credits_pending"`
	DebitsPosted   int64  `json:"debits_posted"`
	CreditsPosted  int64  `json:"credits_posted"`
}

// Trial is a trial balance: every account, and per currency what they add up to.
type Trial struct {
	Accounts   []Balance `json:"accounts"`
	Currencies []Total   `json:"currencies"`
	Transfers  int64     `json:"transfers"` // how many were added up; 0 where the kept balances were taken
}

// Zero reports whether debits equal credits in every currency, posted and pending.
func (t Trial) Zero() bool {
	for _, c := range t.Currencies {
		if c.DebitsPosted != c.CreditsPosted || c.DebitsPending != c.CreditsPending {
			return false
		}
	}
	return true
}

// TrialBalance takes the kept balances, all of one moment.
func TrialBalance(ctx context.Context, db Beginner) (Trial, error) {
	var t Trial
	err := inSnapshot(ctx, db, func(tx pgx.Tx) (err error) {
		t.Accounts, err = Balances(ctx, tx)
		return err
	})
	if err == nil {
		err = t.total()
	}
	return t, err
}

// TrialBalanceAt adds up the transfers recorded until at. It reads the whole table; see Recompute. A transfer's time is that at
// which its transaction began, so a moment that is less than a few seconds ago may still gain some.
func TrialBalanceAt(ctx context.Context, db Beginner, at time.Time) (Trial, error) {
	accounts := make(map[uuid.UUID]*Balance)
	var t Trial
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlScanFreely); err != nil {
			return fmt.Errorf("allow a scan: %w", err)
		}
		if err := readAccounts(ctx, tx, accounts); err != nil {
			return fmt.Errorf("read accounts: %w", err)
		}
		rows, err := tx.Query(ctx, sqlTotals, at)
		if err != nil {
			return fmt.Errorf("add up transfers: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var debit, credit uuid.UUID
			var kind Kind
			var count, minor int64
			if err := rows.Scan(&debit, &credit, &kind, &count, &minor); err != nil {
				return fmt.Errorf("add up transfers: %w", err)
			}
			t.Transfers += count
			d, c := accounts[debit], accounts[credit]
			if d == nil || c == nil {
				return fmt.Errorf("add up transfers: account %s or %s does not exist; run the verification", debit, credit)
			}
			if !d.move(kind, minor, true) || !c.move(kind, minor, false) {
				return fmt.Errorf("%w: %s or %s", ErrOverflow, d.Code, c.Code)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return Trial{}, err
	}
	for _, b := range accounts {
		if *b != (Balance{Account: b.Account}) {
			t.Accounts = append(t.Accounts, *b)
		}
	}
	slices.SortFunc(t.Accounts, func(a, b Balance) int { return compareAccounts(a.Account, b.Account) })
	return t, t.total()
}

// farFuture is later than every transfer.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Recompute adds up all transfers, whatever the kept balances say.
func Recompute(ctx context.Context, db Beginner) (Trial, error) {
	return TrialBalanceAt(ctx, db, farFuture)
}

// total adds the accounts up by currency.
func (t *Trial) total() error {
	sums := make(map[string]Balance)
	for _, b := range t.Accounts {
		sum, ok := sums[b.Currency].plus(b)
		if !ok {
			return fmt.Errorf("%w: all accounts in %s", ErrOverflow, b.Currency)
		}
		sums[b.Currency] = sum
	}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		s := sums[currency]
		t.Currencies = append(t.Currencies, Total{currency, s.DebitsPending, s.CreditsPending, s.DebitsPosted, s.CreditsPosted})
	}
	return nil
}

// inSnapshot runs fn in a transaction that reads everything as of one moment and writes nothing.
func inSnapshot(ctx context.Context, db Beginner, fn func(pgx.Tx) error) error {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin a snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written
	return fn(tx)
}

// readAccounts fills in every account with an empty balance.
func readAccounts(ctx context.Context, tx pgx.Tx, accounts map[uuid.UUID]*Balance) error {
	var last uuid.UUID
	for n := verifyRows; n == verifyRows; {
		rows, err := tx.Query(ctx, sqlAccountsAfter, last, verifyRows)
		if err != nil {
			return err
		}
		for n = 0; rows.Next(); n++ {
			b := &Balance{}
			if err := rows.Scan(&last, &b.Code, &b.Currency, &b.NonNegative); err != nil {
				rows.Close()
				return err
			}
			accounts[last] = b
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}
