package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const sqlFindMoves = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, created_at, sequence
FROM ledger_transfers
WHERE transfer_id = ANY($1::UUID[])`

const sqlReferenceMoves = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, created_at, sequence
FROM ledger_transfers
WHERE transfer_id BETWEEN $1::UUID AND $2::UUID AND reference = $3::UUID
ORDER BY transfer_id`

const sqlDebitMoves = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, created_at, sequence
FROM ledger_transfers
WHERE debit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID) AND created_at < $5::TIMESTAMPTZ
ORDER BY created_at, sequence, transfer_id
LIMIT $6::INT8`

const sqlCreditMoves = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, created_at, sequence
FROM ledger_transfers
WHERE credit_account = $1::UUID AND (created_at, sequence, transfer_id) > ($2::TIMESTAMPTZ, $3::INT8, $4::UUID) AND created_at < $5::TIMESTAMPTZ
ORDER BY created_at, sequence, transfer_id
LIMIT $6::INT8`

const sqlAccountCurrencies = `SELECT currency FROM ledger_accounts WHERE code = $1::TEXT ORDER BY currency`

const sqlAccountByID = `SELECT code, currency, non_negative FROM ledger_accounts WHERE account_id = $1::UUID`

// Move is a recorded transfer, its accounts by id: what comparing books needs, a few hundred bytes each.
type Move struct {
	ID        uuid.UUID
	Debit     uuid.UUID
	Credit    uuid.UUID
	Amount    Amount
	Code      string
	Reference uuid.UUID
	Kind      Kind
	PriorID   uuid.UUID
	At        time.Time
	Sequence  int64
}

// Final reports whether the move changed final balances.
func (m Move) Final() bool { return m.Kind == Single || m.Kind == Post || m.Kind == Reverse }

// Place is the move's place in the statement of either of its accounts.
func (m Move) Place() Place { return Place{At: m.At, Sequence: m.Sequence, ID: m.ID} }

func collectMoves(rows pgx.Rows, err error) ([]Move, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (Move, error) {
		var m Move
		var prior pgtype.UUID
		err := r.Scan(&m.ID, &m.Debit, &m.Credit, &m.Amount.Minor, &m.Amount.Currency, &m.Code, &m.Reference, &m.Kind, &prior, &m.At, &m.Sequence)
		m.PriorID = prior.Bytes
		return m, err
	})
}

// FindMoves reads the transfers of these ids that are recorded, in no order. A few thousand ids at a time.
func FindMoves(ctx context.Context, q Querier, ids []uuid.UUID) ([]Move, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	moves, err := collectMoves(q.Query(ctx, sqlFindMoves, ids))
	if err != nil {
		return nil, fmt.Errorf("find transfers: %w", err)
	}
	return moves, nil
}

// ReferenceMoves reads all transfers of each reference, by reference, in the order of their ids.
func ReferenceMoves(ctx context.Context, r Reader, references []uuid.UUID) (map[uuid.UUID][]Move, error) {
	found := make(map[uuid.UUID][]Move, len(references))
	batch := &pgx.Batch{}
	for _, reference := range references {
		first, last := idRange(reference)
		batch.Queue(sqlReferenceMoves, first, last, reference).Query(func(rows pgx.Rows) error {
			moves, err := collectMoves(rows, nil)
			if len(moves) > 0 {
				found[reference] = moves
			}
			return err
		})
	}
	if batch.Len() == 0 {
		return found, nil
	}
	if err := r.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("find the transfers of references: %w", err)
	}
	return found, nil
}

// AccountMoves reads one page of an account's debits, or credits, in the order of time: after a place and before a time.
func AccountMoves(ctx context.Context, q Querier, account uuid.UUID, debits bool, after Place, before time.Time, limit int) ([]Move, error) {
	sql := sqlCreditMoves
	if debits {
		sql = sqlDebitMoves
	}
	moves, err := collectMoves(q.Query(ctx, sql, account, after.At, after.Sequence, after.ID, before, limit))
	if err != nil {
		return nil, fmt.Errorf("read an account's transfers: %w", err)
	}
	return moves, nil
}

// AccountCurrencies are the currencies in which an account exists.
func AccountCurrencies(ctx context.Context, q Querier, code string) ([]string, error) {
	rows, err := q.Query(ctx, sqlAccountCurrencies, code)
	if err != nil {
		return nil, fmt.Errorf("list the currencies of %s: %w", code, err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// AccountOf is the account of an id; ErrAccountUnknown when nothing was ever recorded on it.
func AccountOf(ctx context.Context, q Querier, id uuid.UUID) (Account, error) {
	var a Account
	err := q.QueryRow(ctx, sqlAccountByID, id).Scan(&a.Code, &a.Currency, &a.NonNegative)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, fmt.Errorf("%w: %s", ErrAccountUnknown, id)
	}
	if err != nil {
		return Account{}, fmt.Errorf("find an account: %w", err)
	}
	return a, nil
}
