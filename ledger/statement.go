package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrAccountUnknown means that nothing was ever recorded on the account.
var ErrAccountUnknown = errors.New("ledger: no such account")

const sqlAccount = `
SELECT code, currency, non_negative
FROM ledger_accounts
WHERE account_id = $1::UUID`

// sqlBalanceAt takes from the kept balance what was recorded after the line at which it is wanted: that is less to read than
// everything before wherever somebody looks at the recent past.
const sqlBalanceAt = `
WITH since AS (
    SELECT kind, amount_minor AS debit, 0::INT8 AS credit FROM ledger_transfers
    WHERE debit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID)
    UNION ALL
    SELECT kind, 0::INT8 AS debit, amount_minor AS credit FROM ledger_transfers
    WHERE credit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID)
), moved AS (
    SELECT COALESCE(sum(CASE WHEN kind = 'pending' THEN debit WHEN kind IN ('post', 'void') THEN -debit ELSE 0 END), 0)::INT8 AS debits_pending,
           COALESCE(sum(CASE WHEN kind = 'pending' THEN credit WHEN kind IN ('post', 'void') THEN -credit ELSE 0 END), 0)::INT8 AS credits_pending,
           COALESCE(sum(CASE WHEN kind IN ('single', 'post', 'reverse') THEN debit ELSE 0 END), 0)::INT8 AS debits_posted,
           COALESCE(sum(CASE WHEN kind IN ('single', 'post', 'reverse') THEN credit ELSE 0 END), 0)::INT8 AS credits_posted
    FROM since
), kept AS (
    SELECT COALESCE(sum(debits_pending), 0)::INT8 AS debits_pending, COALESCE(sum(credits_pending), 0)::INT8 AS credits_pending,
           COALESCE(sum(debits_posted), 0)::INT8 AS debits_posted, COALESCE(sum(credits_posted), 0)::INT8 AS credits_posted
    FROM ledger_balances
    WHERE account_id = $1::UUID
)
SELECT (k.debits_pending - m.debits_pending)::INT8, (k.credits_pending - m.credits_pending)::INT8,
       (k.debits_posted - m.debits_posted)::INT8, (k.credits_posted - m.credits_posted)::INT8
FROM kept AS k
CROSS JOIN moved AS m`

// sqlStatement reads both sides of an account in the order of time.
const sqlStatement = `
SELECT s.transfer_id, s.other, s.is_debit, s.amount_minor, s.code, s.reference, s.kind, s.created_at, s.sequence
FROM (
    (SELECT transfer_id, credit_account AS other, TRUE AS is_debit, amount_minor, code, reference, kind, created_at, sequence
     FROM ledger_transfers
     WHERE debit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID)
       AND created_at <= $5::TIMESTAMPTZ
     ORDER BY created_at, sequence, transfer_id
     LIMIT $6::INT8)
    UNION ALL
    (SELECT transfer_id, debit_account AS other, FALSE AS is_debit, amount_minor, code, reference, kind, created_at, sequence
     FROM ledger_transfers
     WHERE credit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID)
       AND created_at <= $5::TIMESTAMPTZ
     ORDER BY created_at, sequence, transfer_id
     LIMIT $6::INT8)
) AS s
ORDER BY s.created_at, s.sequence, s.transfer_id
LIMIT $6::INT8`

const sqlAccountNames = `
SELECT account_id, code
FROM ledger_accounts
WHERE account_id = ANY($1::UUID[])`

// Place is a place in an account's statement: after the line of this time, number and id. The zero value is before the first line.
type Place struct {
	At       time.Time
	Sequence int64
	ID       uuid.UUID
}

// endOf is the place after everything recorded until at.
func endOf(at time.Time) Place {
	last := Place{At: at, Sequence: 1<<63 - 1}
	for i := range last.ID {
		last.ID[i] = 0xff
	}
	return last
}

// Line is one transfer as an account sees it. Balance is the account's after it, final transfers only.
type Line struct {
	ID        uuid.UUID
	Other     string // the account on the other side
	Debit     bool
	Amount    Amount
	Code      string
	Reference uuid.UUID
	Kind      Kind
	At        time.Time
	Balance   Amount
	sequence  int64
}

// Place is where the statement goes on after the line.
func (l Line) Place() Place { return Place{l.At, l.sequence, l.ID} }

// Statement is one page of an account's lines, in the order of time. Opening is the account before the first of them, Closing after the
// last; Next is where the following page begins, if More.
type Statement struct {
	Account Account
	Opening Balance
	Lines   []Line
	Closing Balance
	More    bool
	Next    Place
}

// BalanceAt is an account as all transfers recorded until at leave it; see TrialBalanceAt about the last seconds.
func BalanceAt(ctx context.Context, db Beginner, code, currency string, at time.Time) (Balance, error) {
	var b Balance
	err := inSnapshot(ctx, db, func(tx pgx.Tx) error {
		a, err := findAccount(ctx, tx, code, currency)
		if err == nil {
			b, err = balanceAfter(ctx, tx, a, endOf(at))
		}
		return err
	})
	return b, err
}

// ReadStatement reads the page after a place, of transfers recorded until a time, at most limit lines. To begin with a time, begin after
// Place{At: thatTime}.
func ReadStatement(ctx context.Context, db Beginner, code, currency string, after Place, until time.Time, limit int) (Statement, error) {
	var s Statement
	err := inSnapshot(ctx, db, func(tx pgx.Tx) (err error) {
		if s.Account, err = findAccount(ctx, tx, code, currency); err != nil {
			return err
		}
		if s.Opening, err = balanceAfter(ctx, tx, s.Account, after); err != nil {
			return err
		}
		others, err := s.readLines(ctx, tx, after, until, limit)
		if err != nil {
			return fmt.Errorf("read the statement of %s %s: %w", code, currency, err)
		}
		return s.nameOthers(ctx, tx, others)
	})
	return s, err
}

func findAccount(ctx context.Context, tx pgx.Tx, code, currency string) (Account, error) {
	var a Account
	err := tx.QueryRow(ctx, sqlAccount, Account{Code: code, Currency: currency}.ID()).Scan(&a.Code, &a.Currency, &a.NonNegative)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("%w: %s %s", ErrAccountUnknown, code, currency)
	}
	if err != nil {
		return a, fmt.Errorf("find account %s %s: %w", code, currency, err)
	}
	return a, nil
}

func balanceAfter(ctx context.Context, tx pgx.Tx, a Account, p Place) (Balance, error) {
	b := Balance{Account: a}
	err := tx.QueryRow(ctx, sqlBalanceAt, a.ID(), p.At, p.Sequence, p.ID).Scan(&b.DebitsPending, &b.CreditsPending, &b.DebitsPosted, &b.CreditsPosted)
	if err != nil {
		return b, fmt.Errorf("balance of %s %s: %w", a.Code, a.Currency, err)
	}
	return b, nil
}

// readLines fills in the lines and the closing balance, and returns the accounts on the other side, line by line.
func (s *Statement) readLines(ctx context.Context, tx pgx.Tx, after Place, until time.Time, limit int) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, sqlStatement, s.Account.ID(), after.At, after.Sequence, after.ID, until, limit+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var others []uuid.UUID
	s.Closing = s.Opening
	for rows.Next() {
		if len(s.Lines) == limit {
			s.More = true
			s.Next = s.Lines[limit-1].Place()
			break
		}
		l := Line{Amount: Amount{Currency: s.Account.Currency}}
		var other uuid.UUID
		if err := rows.Scan(&l.ID, &other, &l.Debit, &l.Amount.Minor, &l.Code, &l.Reference, &l.Kind, &l.At, &l.sequence); err != nil {
			return nil, err
		}
		if !s.Closing.move(l.Kind, l.Amount.Minor, l.Debit) {
			return nil, fmt.Errorf("%w: %s", ErrOverflow, l.ID)
		}
		l.Balance = s.Closing.Net()
		s.Lines, others = append(s.Lines, l), append(others, other)
	}
	return others, rows.Err()
}

// nameOthers fills in the codes of the accounts on the other side.
func (s *Statement) nameOthers(ctx context.Context, tx pgx.Tx, others []uuid.UUID) error {
	rows, err := tx.Query(ctx, sqlAccountNames, others)
	if err != nil {
		return fmt.Errorf("name accounts: %w", err)
	}
	defer rows.Close()
	codes := make(map[uuid.UUID]string)
	for rows.Next() {
		var id uuid.UUID
		var code string
		if err := rows.Scan(&id, &code); err != nil {
			return fmt.Errorf("name accounts: %w", err)
		}
		codes[id] = code
	}
	for i := range s.Lines {
		s.Lines[i].Other = codes[others[i]]
	}
	return rows.Err()
}
