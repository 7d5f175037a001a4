package settlement

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// walkRows is how many transfers of ours are looked at together.
const walkRows = 5000

// sqlClaimed counts a transfer that a row differs from as well: the row's item speaks of it.
const sqlClaimed = `
SELECT r.transfer_id
FROM unnest($1::TIMESTAMPTZ[], $2::UUID[]) AS u(transfer_at, transfer_id)
JOIN settlement_rows AS r ON r.transfer_at = u.transfer_at AND r.transfer_id = u.transfer_id
WHERE r.transfer_id IS NOT NULL
UNION ALL
SELECT transfer_id FROM settlement_items WHERE transfer_id = ANY($2::UUID[]) AND class IN ('amount_differs', 'altered') AND state <> 'healed'`

const sqlHealOurs = `
UPDATE settlement_items
SET state = 'healed', decided_at = now(), decided_by = 'core', reason = 'a later reading explains it'
WHERE provider = $1::TEXT AND day = $2::DATE AND class = 'ours_only' AND state IN ('open', 'rejected') AND reading < $3::INT8`

// transit is what is too young to be accused, by currency.
type transit map[string]Sum

// walk looks at the transfers of a day on the provider's clearing account that should have a row.
func (s *Service) walk(ctx context.Context, provider string, day time.Time, reading int64, now time.Time) (transit, error) {
	young := transit{}
	code := ledger.ProviderClearing(provider, "").Code
	currencies, err := ledger.AccountCurrencies(ctx, s.db.Reader, code)
	if err != nil {
		return nil, err
	}
	for _, c := range currencies {
		account := ledger.ProviderClearing(provider, c)
		for _, debits := range []bool{true, false} {
			place := ledger.Place{At: day.Add(-time.Microsecond), Sequence: 1<<62 - 1}
			for {
				moves, err := ledger.AccountMoves(ctx, s.db.Reader, account.ID(), debits, place, day.Add(dayLength), walkRows)
				if err != nil {
					return nil, err
				}
				if err := s.accuse(ctx, provider, moves, debits, reading, now, young); err != nil {
					return nil, err
				}
				if len(moves) < walkRows {
					break
				}
				place = moves[len(moves)-1].Place()
			}
		}
	}
	if _, err := s.db.Exec(ctx, sqlHealOurs, provider, day, reading); err != nil {
		return nil, fmt.Errorf("heal what the settlement has by now: %w", err)
	}
	return young, nil
}

// accuse raises items for the moves of a page that no row has and that are old enough.
func (s *Service) accuse(ctx context.Context, provider string, moves []ledger.Move, debits bool, reading int64, now time.Time, young transit) error {
	expected := moves[:0]
	for _, move := range moves {
		// Of a promised refund that was given up the provider has both rows or none.
		if move.Final() && walked[move.Code] || !move.Final() && returnable(move) {
			expected = append(expected, move)
		}
	}
	missing, err := missing(ctx, s.db.Reader, expected)
	if err != nil || len(missing) == 0 {
		return err
	}
	var open []ledger.Move
	for _, move := range expected {
		if missing[move.ID] {
			open = append(open, move)
		}
	}
	if open, err = s.unrevived(ctx, provider, open); err != nil {
		return err
	}
	if open, err = s.unpaired(ctx, open); err != nil {
		return err
	}
	var items []Item
	for _, move := range open {
		if now.Sub(move.At) < s.cfg.Grace {
			young.add(move.Amount)
			continue
		}
		reversal, err := s.reversal(ctx, move)
		if err != nil {
			return err
		}
		items = append(items, unclaimed(provider, move, reversal, debits))
	}
	if len(items) == 0 {
		return nil
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		if err := queueItems(batch, provider, reading, items); err != nil {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("raise what only the books have: %w", err)
	}
	return nil
}

// missing are the transfers that no row is matched with.
func missing(ctx context.Context, q ledger.Querier, moves []ledger.Move) (map[uuid.UUID]bool, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	missing := make(map[uuid.UUID]bool, len(moves))
	ids, times := make([]uuid.UUID, len(moves)), make([]time.Time, len(moves))
	for i, move := range moves {
		ids[i], times[i] = move.ID, move.At
		missing[move.ID] = true
	}
	rows, err := q.Query(ctx, sqlClaimed, times, ids)
	if err != nil {
		return nil, fmt.Errorf("find the rows of transfers: %w", err)
	}
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { delete(missing, id); return nil }); err != nil {
		return nil, fmt.Errorf("find the rows of transfers: %w", err)
	}
	return missing, nil
}

// unpaired leaves out transfers and their reversals, and promises and their being void, where neither has a row: together they
// are nothing. A promise that stands or was kept is nothing by itself.
func (s *Service) unpaired(ctx context.Context, moves []ledger.Move) ([]ledger.Move, error) {
	var others []uuid.UUID
	for _, move := range moves {
		others = append(others, counterpart(move))
	}
	kinds := map[uuid.UUID]ledger.Kind{} // of those that are recorded; a post has the id that being void would have
	found, err := ledger.FindMoves(ctx, s.db.Reader, others)
	if err != nil {
		return nil, err
	}
	for _, move := range found {
		kinds[move.ID] = move.Kind
	}
	unmatched, err := missing(ctx, s.db.Reader, found)
	if err != nil {
		return nil, err
	}
	open := moves[:0]
	for _, move := range moves {
		other := counterpart(move)
		switch {
		case unmatched[other], move.Kind == ledger.Pending && kinds[other] != ledger.Void:
			continue
		}
		open = append(open, move)
	}
	return open, nil
}

// counterpart is the id of what makes nothing of a move: its reversal, or of a promise its being void; of these what they undo.
func counterpart(move ledger.Move) uuid.UUID {
	this := []ledger.Transfer{{ID: move.ID, Reference: move.Reference, Kind: move.Kind}}
	switch move.Kind {
	case ledger.Reverse, ledger.Void:
		return move.PriorID
	case ledger.Pending:
		return ledger.VoidAll(this)[0].ID
	}
	return ledger.ReverseAll(this)[0].ID
}

// reversal is the transfer that takes a move back.
func (s *Service) reversal(ctx context.Context, move ledger.Move) ([]ledger.Transfer, error) {
	if move.Kind == ledger.Reverse || !move.Final() {
		return nil, nil
	}
	debit, err := s.account(ctx, move.Debit)
	if err != nil {
		return nil, err
	}
	credit, err := s.account(ctx, move.Credit)
	if err != nil {
		return nil, err
	}
	return ledger.ReverseAll([]ledger.Transfer{asTransfer(move, debit, credit)}), nil
}

// account is the account of an id. They are few and never change, so they are remembered.
func (s *Service) account(ctx context.Context, id uuid.UUID) (ledger.Account, error) {
	if a, ok := s.accounts.Load(id); ok {
		return a.(ledger.Account), nil
	}
	a, err := ledger.AccountOf(ctx, s.db.Reader, id)
	if err == nil {
		s.accounts.Store(id, a)
	}
	return a, err
}

func (t transit) add(a ledger.Amount) {
	sum := t[a.Currency]
	sum.Count++
	sum.Minor += a.Minor
	t[a.Currency] = sum
}
