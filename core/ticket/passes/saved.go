package passes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/wallet"
	"fairgate/edge/lottery"
)

// ErrUnknown means that there is no such pass, or no such phone that has it.
var ErrUnknown = errors.New("passes: unknown")

// Wallet is a kind of wallet.
type Wallet string

// The kinds of wallets.
const (
	Apple  Wallet = "apple"
	Google Wallet = "google"
)

// Saved is a pass that was given out.
type Saved struct {
	Ticket    uuid.UUID
	Owner     lottery.Entrant
	Wallet    Wallet
	Named     uint32 // the epoch in its name
	Version   int64  // counts changes
	ChangedAt time.Time
}

// Name is the pass's name within a wallet.
func (s Saved) Name() string { return wallet.Name(s.Ticket, s.Named) }

// Shows tells whether the pass shows the ticket: it is still its owner's.
func (s Saved) Shows(t ticket.Ticket) bool { return s.Ticket == t.ID && s.Owner == t.Owner }

// settling is how long after a change another one may be dated in the same second, or be committed with an earlier date.
const settling = time.Minute

// LastModified is since when the pass is as it is, in whole seconds. As long as another change may come to have the same second it is one
// second less, so that whoever was given the pass before that change is given it again.
func (s Saved) LastModified(now time.Time) time.Time {
	second := s.ChangedAt.UTC().Truncate(time.Second)
	if now.Sub(s.ChangedAt) < settling {
		return second.Add(-time.Second)
	}
	return second
}

const sqlSave = `
INSERT INTO wallet_passes (ticket_id, owner, wallet, name_epoch, order_id, version, changed_at, due_at, attempts, last_error, saved_at)
VALUES ($1::UUID, $2::BYTEA, $3::TEXT, $4::INT8, $5::UUID, 0, now(), NULL, 0, '', now())
ON CONFLICT (ticket_id, owner, wallet) DO NOTHING`

const sqlSaved = `
SELECT ticket_id, owner, wallet, name_epoch, version, changed_at
FROM wallet_passes
WHERE ticket_id = $1::UUID AND owner = $2::BYTEA AND wallet = $3::TEXT`

const sqlNamed = `
SELECT ticket_id, owner, wallet, name_epoch, version, changed_at
FROM wallet_passes
WHERE ticket_id = $1::UUID AND name_epoch = $2::INT8 AND wallet = $3::TEXT`

// Save notes that the owner of a ticket is given its pass, and answers the ticket as it is when that is written: of whatever changes it later
// the wallet is told. ticket.ErrUnknown when it is somebody else's by now.
func (s *Service) Save(ctx context.Context, t ticket.Ticket, w Wallet) (Saved, ticket.Ticket, error) {
	var saved Saved
	var now ticket.Ticket
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if now, err = ticket.Load(ctx, tx, t.ID); err != nil {
			return err
		}
		if now.Owner != t.Owner {
			return ticket.ErrUnknown
		}
		if _, err := tx.Exec(ctx, sqlSave, now.ID, now.Owner[:], string(w), int64(now.Epoch), now.Order); err != nil {
			return err
		}
		saved, err = find(ctx, tx, sqlSaved, now.ID, now.Owner[:], string(w))
		return err
	})
	if err != nil {
		return Saved{}, ticket.Ticket{}, fmt.Errorf("save a pass of ticket %s: %w", t.ID, err)
	}
	return saved, now, nil
}

// Find finds the pass of a name and the ticket. ErrUnknown when there is none.
func (s *Service) Find(ctx context.Context, id uuid.UUID, named uint32, w Wallet) (saved Saved, t ticket.Ticket, err error) {
	err = s.cfg.DB.Reading(ctx, func() (err error) {
		// The pass first: a change that comes in between is in the ticket, and the pass's time is too early rather than too late.
		if saved, err = find(ctx, s.cfg.DB.Reader, sqlNamed, id, int64(named), string(w)); err != nil {
			return err
		}
		t, err = ticket.Load(ctx, s.cfg.DB.Reader, id)
		return err
	})
	if err != nil {
		return Saved{}, ticket.Ticket{}, fmt.Errorf("find a pass of ticket %s: %w", id, err)
	}
	return saved, t, nil
}

func find(ctx context.Context, q ticket.Querier, sql string, args ...any) (Saved, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Saved{}, err
	}
	saved, err := pgx.CollectExactlyOneRow(rows, scanSaved)
	if errors.Is(err, pgx.ErrNoRows) {
		return Saved{}, ErrUnknown
	}
	return saved, err
}

func scanSaved(row pgx.CollectableRow) (s Saved, err error) {
	var owner []byte
	if err := row.Scan(&s.Ticket, &owner, &s.Wallet, &s.Named, &s.Version, &s.ChangedAt); err != nil {
		return s, err
	}
	if len(owner) != len(s.Owner) {
		return s, fmt.Errorf("owner of %d bytes", len(owner))
	}
	s.Owner = lottery.Entrant(owner)
	return s, nil
}
