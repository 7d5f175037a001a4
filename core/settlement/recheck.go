package settlement

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const sqlLoadRow = `
SELECT row_id, kind, source_ref, payment_ref, order_id, refund_id, gross_minor, fee_minor, currency, presentment_minor, presentment_currency, rate, payout_ref,
       created_at, digest
FROM settlement_rows
WHERE provider = $1::TEXT AND row_id = $2::TEXT`

// recheck refuses a correction that does not follow any more from what the books and the row say now. It reads in the transaction that
// then records it, so that of two corrections at once that exclude each other one is run again and refused.
func (s *Service) recheck(ctx context.Context, tx pgx.Tx, item Item) error {
	switch {
	case item.RowID == "" && item.Class == OursOnly:
		return s.stillMissing(ctx, tx, item)
	case item.RowID == "":
		return nil // fees and payouts: their rows are the reason, and stay
	}
	r, err := loadRow(ctx, tx, item.Provider, item.RowID)
	if errors.Is(err, pgx.ErrNoRows) && item.Class == Altered && item.Proposal.Was == nil || item.ID == idOf("repeated", item.Provider, item.RowID) ||
		item.ID == idOf("vanished", item.Provider, item.RowID) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read row %s again: %w", item.RowID, err)
	}
	if item.Class == Altered {
		if item.Proposal.Was != nil && !bytes.Equal(item.Proposal.Was, r.digest) {
			return fmt.Errorf("%w: row %s was taken as reading otherwise since", ErrStale, item.RowID)
		}
		return nil
	}
	m, err := s.look(ctx, tx, item.Provider, []row{r}, nil)
	if err != nil {
		return err
	}
	p := &page{rows: []row{r}, known: map[string]known{}}
	if err := p.read(ctx, tx, m); err != nil {
		return err
	}
	v, err := m.decide(r)
	if err != nil {
		return err
	}
	if len(v.items) == 0 {
		return fmt.Errorf("%w: the books have by now what row %s is about", ErrStale, item.RowID)
	}
	now, err := json.Marshal(v.items[0].Proposal)
	if err != nil {
		return fmt.Errorf("compare what is proposed: %w", err)
	}
	then, err := json.Marshal(item.Proposal)
	if err != nil {
		return fmt.Errorf("compare what is proposed: %w", err)
	}
	if !bytes.Equal(now, then) {
		return fmt.Errorf("%w: of row %s the books now propose to %s", ErrStale, item.RowID, v.items[0].Proposal.Action)
	}
	return nil
}

// stillMissing refuses to take back what a row has by now.
func (s *Service) stillMissing(ctx context.Context, tx pgx.Tx, item Item) error {
	moves, err := ledger.FindMoves(ctx, tx, []uuid.UUID{item.TransferID})
	if err != nil {
		return err
	}
	unclaimed, err := missing(ctx, tx, moves)
	if err != nil {
		return err
	}
	if !unclaimed[item.TransferID] {
		return fmt.Errorf("%w: the settlement has a row for transfer %s by now", ErrStale, item.TransferID)
	}
	return nil
}

func loadRow(ctx context.Context, tx pgx.Tx, provider, id string) (row, error) {
	rows, err := tx.Query(ctx, sqlLoadRow, provider, id)
	if err != nil {
		return row{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRow)
}
