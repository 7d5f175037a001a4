package settlement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/ledger"
)

const sqlListItems = `
SELECT item_id, provider, day, class, row_id, transfer_id, amount_minor, currency, why, proposal, since, state, decided_by, reason, decided_at
FROM settlement_items
WHERE provider = $1::TEXT AND day = $2::DATE AND item_id > $3::UUID AND ($4::TEXT = '' OR state = $4::TEXT)
ORDER BY item_id
LIMIT $5::INT8`

const sqlLoadItem = `
SELECT item_id, provider, day, class, row_id, transfer_id, amount_minor, currency, why, proposal, since, state, decided_by, reason, decided_at
FROM settlement_items
WHERE item_id = $1::UUID`

const sqlDecideItem = `
UPDATE settlement_items
SET state = $2::TEXT, decided_by = $3::TEXT, reason = $4::TEXT, decided_at = now(), transfer_id = COALESCE($5::UUID, transfer_id)
WHERE item_id = $1::UUID AND state = 'open'`

const sqlCorrectRow = `
UPDATE settlement_rows
SET class = 'corrected', transfer_id = COALESCE($3::UUID, transfer_id), transfer_at = COALESCE($4::TIMESTAMPTZ, transfer_at)
WHERE provider = $1::TEXT AND row_id = $2::TEXT`

// sqlReread makes what a row says now the row. One that was not matched stays so, to be decided by the next reading.
const sqlReread = `
UPDATE settlement_rows
SET class = CASE WHEN class = 'matched' THEN 'corrected' ELSE class END, digest = $3::BYTEA, gross_minor = COALESCE($4::INT8, gross_minor),
    fee_minor = COALESCE($5::INT8, fee_minor)
WHERE provider = $1::TEXT AND row_id = $2::TEXT`

const sqlOpenItems = `
SELECT count(*), COALESCE(sum(CASE WHEN since <= $1::TIMESTAMPTZ AND class <> 'matched' THEN 1 ELSE 0 END), 0)::INT8
FROM settlement_items
WHERE state = 'open'`

func scanItem(r pgx.CollectableRow) (Item, error) {
	var i Item
	var transfer pgtype.UUID
	var decided pgtype.Timestamptz
	var proposal string
	err := r.Scan(&i.ID, &i.Provider, &i.Day, &i.Class, &i.RowID, &transfer, &i.Amount.Minor, &i.Amount.Currency, &i.Why, &proposal, &i.Since,
		&i.State, &i.DecidedBy, &i.Reason, &decided)
	if err != nil {
		return i, err
	}
	i.TransferID, i.DecidedAt = transfer.Bytes, decided.Time
	if err := json.Unmarshal([]byte(proposal), &i.Proposal); err != nil {
		return i, fmt.Errorf("read the proposal of item %s: %w", i.ID, err)
	}
	return i, nil
}

// Items lists a page of a day's items after an id, in the order of ids; of one state, or of all where it is empty.
func (s *Service) Items(ctx context.Context, provider string, day time.Time, state ItemState, after uuid.UUID, limit int) ([]Item, error) {
	rows, err := s.db.Reader.Query(ctx, sqlListItems, provider, Day(day), after, string(state), limit)
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	items, err := pgx.CollectRows(rows, scanItem)
	if err != nil {
		return nil, fmt.Errorf("list items: %w", err)
	}
	return items, nil
}

// Decide approves an item, which records its proposed transfers, or rejects it, which records that it is left as it is. Decided the same
// way before, it answers as it did then; decided otherwise or healed is ErrDecided. ErrStale when the correction does not follow from the
// books any more, such as a refund of an order that was refunded since: the next reading proposes anew. Of two at once one decides.
func (s *Service) Decide(ctx context.Context, id uuid.UUID, decision ItemState, by, reason string) (Item, error) {
	if decision != Approved && decision != Rejected {
		return Item{}, fmt.Errorf("%w: %q is no decision", ErrDecided, decision)
	}
	var item Item
	fresh := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		fresh = false
		if item, err = loadItem(ctx, tx, id); err != nil {
			return err
		}
		if item.State == decision {
			return nil
		}
		if item.State != Open {
			return fmt.Errorf("%w: item %s is %s", ErrDecided, id, item.State)
		}
		fresh = true
		extra := uuid.Nil
		if decision == Approved {
			if extra, err = s.correct(ctx, tx, item); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, sqlDecideItem, id, string(decision), by, reason, nullable(extra)); err != nil {
			return fmt.Errorf("decide item %s: %w", id, err)
		}
		item, err = loadItem(ctx, tx, id)
		return err
	})
	if err != nil {
		return Item{}, err
	}
	if fresh && decision == Approved {
		approvals.Inc()
	} else if fresh {
		rejections.Inc()
	}
	return item, nil
}

// correct records what an item proposes, if it still fits, and returns the transfer that the item explains beside its row.
func (s *Service) correct(ctx context.Context, tx pgx.Tx, item Item) (extra uuid.UUID, err error) {
	if err := s.recheck(ctx, tx, item); err != nil {
		return extra, err
	}
	p := item.Proposal
	if err := s.writer.Record(ctx, tx, p.Transfers); err != nil {
		return extra, fmt.Errorf("record the correction of item %s: %w", item.ID, err)
	}
	if p.Late != uuid.Nil && s.cfg.Late != nil && len(p.Transfers) > 0 {
		if err := s.cfg.Late(ctx, tx, p.Transfers[0].Reference, p.Late); err != nil {
			return extra, fmt.Errorf("hand late money of item %s over: %w", item.ID, err)
		}
	}
	if p.Found != nil && s.cfg.Found != nil {
		if err := s.cfg.Found(ctx, tx, *p.Found); err != nil {
			return extra, fmt.Errorf("hand the refund of item %s over: %w", item.ID, err)
		}
	}
	extra = p.Extra
	if item.Class == AmountDiffers && len(p.Transfers) > 0 {
		extra = p.Transfers[0].ID // the row is matched with the transfer it differs from; this one is the item's
	}
	if item.RowID == "" {
		return extra, nil
	}
	if item.Class == Altered && p.Digest != nil {
		if _, err := tx.Exec(ctx, sqlReread, item.Provider, item.RowID, p.Digest, p.Gross, p.Fee); err != nil {
			return extra, fmt.Errorf("take row %s as it reads now: %w", item.RowID, err)
		}
		return extra, nil
	}
	of := claim{id: p.Claims, at: madeAt}
	if p.Claims != uuid.Nil {
		moves, err := ledger.FindMoves(ctx, tx, []uuid.UUID{p.Claims})
		if err != nil {
			return extra, err
		}
		for _, move := range moves {
			of.at = move.At
		}
	}
	if _, err := tx.Exec(ctx, sqlCorrectRow, item.Provider, item.RowID, nullable(of.id), of.time()); err != nil {
		return extra, runAgain(fmt.Errorf("correct row %s: %w", item.RowID, err))
	}
	return extra, nil
}

func loadItem(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Item, error) {
	rows, err := tx.Query(ctx, sqlLoadItem, id)
	if err != nil {
		return Item{}, fmt.Errorf("load item %s: %w", id, err)
	}
	item, err := pgx.CollectExactlyOneRow(rows, scanItem)
	if errors.Is(err, pgx.ErrNoRows) {
		return Item{}, fmt.Errorf("%w: %s", ErrItemUnknown, id)
	}
	if err != nil {
		return Item{}, fmt.Errorf("load item %s: %w", id, err)
	}
	return item, nil
}

// measure tells the metrics how many items wait.
func (s *Service) measure(ctx context.Context, now time.Time) error {
	var open, overdue int64
	if err := s.db.Reader.QueryRow(ctx, sqlOpenItems, now.Add(-s.cfg.Grace)).Scan(&open, &overdue); err != nil {
		return fmt.Errorf("count open items: %w", err)
	}
	itemsOpen.Set(float64(open))
	itemsOverdue.Set(float64(overdue))
	return nil
}
