package payout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// State is how far a payout has come, see the package comment.
type State string

// The states of a payout.
const (
	Proposed State = "proposed"
	Approved State = "approved"
	Rejected State = "rejected"
	Sent     State = "sent"
	Arrived  State = "arrived"
	Returned State = "returned"
)

// from are the states in which a step to each state may be taken.
var from = map[State][]State{
	Approved: {Proposed}, Rejected: {Proposed, Approved}, Sent: {Approved}, Arrived: {Sent}, Returned: {Sent, Arrived},
}

// Payout is money that an organizer is to get, or got.
type Payout struct {
	ID        uuid.UUID
	Organizer string
	Amount    ledger.Amount
	State     State
	CreatedAt time.Time
	UpdatedAt time.Time
	History   []Step // of Load and Move; nil in lists
}

// Step is one step of a payout's life.
type Step struct {
	From, To      State
	Actor, Reason string
	At            time.Time
}

const (
	sqlListPayouts = `
SELECT payout_id, organizer, currency, amount_minor, state, created_at, updated_at FROM payouts
WHERE payout_id > $1::UUID AND ($2::TEXT = '' OR state = $2::TEXT) AND ($3::TEXT = '' OR organizer = $3::TEXT)
ORDER BY payout_id
LIMIT $4::INT8`

	sqlLoadPayout = `
SELECT payout_id, organizer, currency, amount_minor, state, created_at, updated_at, events FROM payouts WHERE payout_id = $1::UUID`

	sqlPayoutHistory = `SELECT from_state, to_state, actor, reason, at FROM payout_history WHERE payout_id = $1::UUID ORDER BY seq`

	sqlMovePayout = `
UPDATE payouts SET state = $3::TEXT, events = events + 1, updated_at = now() WHERE payout_id = $1::UUID AND state = $2::TEXT`

	sqlInsertStep = `
INSERT INTO payout_history (payout_id, seq, from_state, to_state, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6, now())`

	sqlWaiting = `
SELECT state, count(*), COALESCE(max(EXTRACT(EPOCH FROM now() - updated_at)), 0)::FLOAT8
FROM payouts
WHERE state IN ('proposed', 'approved', 'sent')
GROUP BY state`
)

func insertHistory(ctx context.Context, tx pgx.Tx, id uuid.UUID, seq int64, before, after State, actor, reason string) error {
	if _, err := tx.Exec(ctx, sqlInsertStep, id, seq, string(before), string(after), actor, reason); err != nil {
		return fmt.Errorf("write the history of payout %s: %w", id, err)
	}
	return nil
}

// List returns a page of payouts after an id, in the order of ids; of one state or organizer where they are given.
func (s *Service) List(ctx context.Context, state State, organizer string, after uuid.UUID, limit int) ([]Payout, error) {
	rows, err := s.db.Reader.Query(ctx, sqlListPayouts, after, string(state), organizer, limit)
	if err != nil {
		return nil, fmt.Errorf("list payouts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p Payout, err error) {
		err = r.Scan(&p.ID, &p.Organizer, &p.Amount.Currency, &p.Amount.Minor, &p.State, &p.CreatedAt, &p.UpdatedAt)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list payouts: %w", err)
	}
	return list, nil
}

// Move takes a step of a payout and books what it means. A payout that is there already is answered as it is; ErrState where the step is
// not possible; ErrShort when less is available than is to be approved or sent, or the organizer owes us some of it.
func (s *Service) Move(ctx context.Context, id uuid.UUID, to State, actor, reason string) (Payout, error) {
	var p Payout
	fresh := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		fresh = false
		var events int64
		if p, events, err = load(ctx, tx, id); err != nil || p.State == to {
			return err
		}
		if !slices.Contains(from[to], p.State) {
			return fmt.Errorf("%w: payout %s is %s and cannot be %s", ErrState, id, p.State, to)
		}
		if to == Approved || to == Sent {
			if err := afford(ctx, tx, p); err != nil {
				return err
			}
		}
		book, err := transfers(p, to)
		if err != nil {
			return err
		}
		if err := s.writer.Record(ctx, tx, book); err != nil {
			return fmt.Errorf("book payout %s as %s: %w", id, to, err)
		}
		if err := step(ctx, tx, p, events, to, actor, reason); err != nil {
			return err
		}
		fresh = true
		p, _, err = load(ctx, tx, id)
		return err
	})
	if err != nil {
		return Payout{}, err
	}
	if fresh {
		steps[to].Inc()
	}
	return p, nil
}

// step moves a payout on and writes its history.
func step(ctx context.Context, tx pgx.Tx, p Payout, events int64, to State, actor, reason string) error {
	if err := insertHistory(ctx, tx, p.ID, events, p.State, to, actor, reason); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlMovePayout, p.ID, string(p.State), string(to)); err != nil {
		return fmt.Errorf("move payout %s: %w", p.ID, err)
	}
	return nil
}

// transfers are what a step means in the ledger.
func transfers(p Payout, to State) ([]ledger.Transfer, error) {
	sent, err := ledger.PayoutSentTransfers(p.ID, p.Organizer, p.Amount)
	if err != nil {
		return nil, err
	}
	arrived, err := ledger.PayoutArrivedTransfers(p.ID, p.Amount)
	if err != nil {
		return nil, err
	}
	switch {
	case to == Sent:
		return sent, nil
	case to == Arrived:
		return arrived, nil
	case to == Returned && p.State == Arrived:
		return append(ledger.ReverseAll(arrived), ledger.ReverseAll(sent)...), nil
	case to == Returned:
		return ledger.ReverseAll(sent), nil
	}
	return nil, nil
}

func load(ctx context.Context, tx pgx.Tx, id uuid.UUID) (p Payout, events int64, err error) {
	err = tx.QueryRow(ctx, sqlLoadPayout, id).Scan(&p.ID, &p.Organizer, &p.Amount.Currency, &p.Amount.Minor, &p.State, &p.CreatedAt, &p.UpdatedAt, &events)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, 0, fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	if err != nil {
		return p, 0, fmt.Errorf("load payout %s: %w", id, err)
	}
	rows, err := tx.Query(ctx, sqlPayoutHistory, id)
	if err != nil {
		return p, 0, fmt.Errorf("read the history of payout %s: %w", id, err)
	}
	p.History, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Step, err error) {
		err = r.Scan(&s.From, &s.To, &s.Actor, &s.Reason, &s.At)
		return s, err
	})
	if err != nil {
		return p, 0, fmt.Errorf("read the history of payout %s: %w", id, err)
	}
	return p, events, nil
}
