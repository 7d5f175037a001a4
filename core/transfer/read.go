package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const sqlTransferColumns = `SELECT transfer_id, event_id, ticket_id, epoch, tier, seat, giver, giver_account, giver_email, giver_language, receiver, language, state, reason, account_id, owner,
    body_hash, created_at, expires_at, closed_at
FROM transfers `

const (
	sqlLoadTransfer = sqlTransferColumns + `WHERE transfer_id = $1::UUID`
	sqlLockTransfer = sqlTransferColumns + `WHERE transfer_id = $1::UUID FOR UPDATE`
	// Each part is a search of its own, since no index knows two of them.
	sqlTransfersTo      = sqlTransferColumns + `WHERE receiver = $1 ORDER BY created_at DESC, transfer_id LIMIT $2`
	sqlTransfersBy      = sqlTransferColumns + `WHERE giver = ANY($1::BYTEA[]) ORDER BY created_at DESC, transfer_id LIMIT $2`
	sqlTransfersByMe    = sqlTransferColumns + `WHERE giver_account = $1::UUID ORDER BY created_at DESC, transfer_id LIMIT $2`
	sqlTransfersOf      = sqlTransferColumns + `WHERE ticket_id = $1::UUID ORDER BY created_at DESC, transfer_id LIMIT $2`
	sqlTransfersOfEvent = sqlTransferColumns + `WHERE event_id = $1::UUID ORDER BY created_at DESC, transfer_id LIMIT $2`
)

const sqlTransactionTime = `SELECT now()`

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func scan(row pgx.CollectableRow) (t Transfer, err error) {
	var giver, owner []byte
	var giverAccount, account *uuid.UUID
	var closed *time.Time
	err = row.Scan(&t.ID, &t.Event, &t.Ticket, &t.Epoch, &t.Tier, &t.Seat, &giver, &giverAccount, &t.GiverEmail, &t.GiverLanguage, &t.To, &t.Language, &t.State, &t.Reason, &account, &owner,
		&t.bodyHash, &t.CreatedAt, &t.ExpiresAt, &closed)
	if err != nil {
		return t, err
	}
	if len(giver) != len(t.Giver) || len(owner) != 0 && len(owner) != len(t.Owner) {
		return t, fmt.Errorf("transfer %s: giver of %d bytes, owner of %d", t.ID, len(giver), len(owner))
	}
	copy(t.Giver[:], giver)
	copy(t.Owner[:], owner)
	if giverAccount != nil {
		t.GiverAccount = *giverAccount
	}
	if account != nil {
		t.Account = *account
	}
	t.CreatedAt, t.ExpiresAt = t.CreatedAt.UTC(), t.ExpiresAt.UTC()
	if closed != nil {
		t.ClosedAt = closed.UTC()
	}
	return t, nil
}

func one(ctx context.Context, q Querier, sql string, id uuid.UUID) (Transfer, error) {
	rows, err := q.Query(ctx, sql, id)
	if err != nil {
		return Transfer{}, fmt.Errorf("read transfer %s: %w", id, err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, scan)
	if errors.Is(err, pgx.ErrNoRows) {
		return Transfer{}, ErrUnknown
	}
	if err != nil {
		return Transfer{}, fmt.Errorf("read transfer %s: %w", id, err)
	}
	return t, nil
}

func load(ctx context.Context, q Querier, id uuid.UUID) (Transfer, error) {
	return one(ctx, q, sqlLoadTransfer, id)
}

// lock reads a transfer that is about to change, and the transaction's time.
func lock(ctx context.Context, tx pgx.Tx, id uuid.UUID) (t Transfer, now time.Time, err error) {
	if t, err = one(ctx, tx, sqlLockTransfer, id); err != nil {
		return t, now, err
	}
	if err := tx.QueryRow(ctx, sqlTransactionTime).Scan(&now); err != nil {
		return t, now, fmt.Errorf("read the time: %w", err)
	}
	return t, now, nil
}

// Find is one transfer. ErrUnknown.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (t Transfer, err error) {
	err = s.db.Reading(ctx, func() error {
		t, err = load(ctx, s.db.Reader, id)
		return err
	})
	return t, err
}

// maxListed bounds a list; the newest are in it.
const maxListed = 100

// Party is who asks for their transfers.
type Party struct {
	Email   string            // proved; empty: none
	Account uuid.UUID         // uuid.Nil: not signed in
	Owners  []lottery.Entrant // that the request proves
}

// Of lists the newest transfers that a party has given and that were offered to it.
func (s *Service) Of(ctx context.Context, p Party) (given, received []Transfer, err error) {
	owners := make([][]byte, len(p.Owners))
	for i := range p.Owners {
		owners[i] = p.Owners[i][:]
	}
	given, err = s.list(ctx, sqlTransfersBy, owners)
	if err != nil {
		return nil, nil, err
	}
	if p.Account != uuid.Nil {
		mine, err := s.list(ctx, sqlTransfersByMe, p.Account)
		if err != nil {
			return nil, nil, err
		}
		known := map[uuid.UUID]bool{}
		for _, t := range given {
			known[t.ID] = true
		}
		for _, t := range mine {
			if !known[t.ID] {
				given = append(given, t)
			}
		}
	}
	if p.Email == "" {
		return given, nil, nil
	}
	to, err := s.cfg.Normalize(p.Email)
	if err != nil {
		return nil, nil, err
	}
	received, err = s.list(ctx, sqlTransfersTo, to)
	return given, received, err
}

// OfTicket lists the newest transfers of a ticket, for operators.
func (s *Service) OfTicket(ctx context.Context, ticket uuid.UUID) ([]Transfer, error) {
	return s.list(ctx, sqlTransfersOf, ticket)
}

// OfEvent lists the newest transfers of an event, for operators.
func (s *Service) OfEvent(ctx context.Context, event uuid.UUID) ([]Transfer, error) {
	return s.list(ctx, sqlTransfersOfEvent, event)
}

func (s *Service) list(ctx context.Context, sql string, by any) (all []Transfer, err error) {
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sql, by, maxListed)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scan)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list transfers: %w", err)
	}
	return all, nil
}

// Masked is as much of an address as lets somebody know it again who knows it: "a…@example.org".
func Masked(email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok {
		return ""
	}
	first, _ := utf8.DecodeRuneInString(local)
	return string(first) + "…@" + domain
}
