package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

const (
	capacity = 1_000_000_000 // never sold out while measuring
	limit    = 4
	ttl      = 10 * time.Minute
)

const sqlNewTier = `
INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, $2, 'general', $3, 0, 0)`

// newTier makes an event with one tier. Events with different numbers are hashed to different lanes.
func newTier(ctx context.Context, d *db.DB, tier string, capacity, number int) (uuid.UUID, error) {
	event := uuid.New()
	binary.BigEndian.PutUint32(event[12:], uint32(number))
	_, err := d.Pool.Exec(ctx, sqlNewTier, event, tier, capacity)
	return event, err
}

// newBuyer is a buyer nobody was before. Real ones are HMACs, so the bytes are spread out; making HMACs here would be
// measured too.
func newBuyer(n int64) lottery.Entrant {
	var e lottery.Entrant
	binary.BigEndian.PutUint64(e[:8], uint64(n)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(e[8:], uint64(n))
	return e
}

const (
	sqlRivalFind = `SELECT h.state FROM holds AS h WHERE h.hold_id = $1`

	sqlRivalStock = `
UPDATE stock SET taken = taken + $4, version = version + 1
WHERE event_id = $1 AND tier = $2 AND allocation = $3 AND taken + $4 <= capacity
RETURNING version`

	sqlRivalLockStock = `SELECT capacity, taken FROM stock WHERE event_id = $1 AND tier = $2 AND allocation = $3 FOR UPDATE`

	sqlRivalQuota = `
INSERT INTO quota AS q (quota_id, scope_id, kind, buyer, taken, max_units) VALUES ($1, $2, 'entrant', $3, $4, $5)
ON CONFLICT (quota_id) DO UPDATE SET taken = q.taken + excluded.taken, max_units = excluded.max_units
WHERE q.taken + excluded.taken <= excluded.max_units`

	sqlRivalExpiry = `INSERT INTO expiries (event_id, due_at, expiry_id, holds) VALUES ($1, now() + $2::INTERVAL, $3, $4)`

	sqlRivalHold = `
INSERT INTO holds (hold_id, event_id, entrant, state, units, items, amount_minor, currency, body_hash, commit_no,
                   created_at, deadline, extended, closed_at, quotas)
VALUES ($1, $2, $3, 'active', 1, $4, 6500, 'EUR', $5, $6, now(), now() + $7::INTERVAL, false, NULL, '')`

	// One row per ticket, as shops have it that let the database hand out the next free one.
	sqlRivalTickets = `CREATE TABLE bench_tickets (event_id UUID NOT NULL, ticket_no INT8 NOT NULL, hold_id UUID NULL, PRIMARY KEY (event_id, ticket_no))`
	sqlRivalFree    = `CREATE INDEX bench_tickets_free ON bench_tickets (event_id, ticket_no) WHERE hold_id IS NULL`
	sqlRivalPrint   = `INSERT INTO bench_tickets (event_id, ticket_no) SELECT $1, n FROM generate_series(1, $2::INT8) AS n`
	sqlRivalTicket  = `
UPDATE bench_tickets SET hold_id = $2
WHERE event_id = $1 AND ticket_no = (
    SELECT ticket_no FROM bench_tickets WHERE event_id = $1 AND hold_id IS NULL ORDER BY ticket_no LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING ticket_no`
	sqlRivalTake = `UPDATE stock SET taken = (SELECT count(*) FROM bench_tickets WHERE event_id = $1 AND hold_id IS NOT NULL), version = 1 WHERE event_id = $1`
)

// taking is how a rival takes one unit of the stock; it returns the commit number.
type taking func(ctx context.Context, tx pgx.Tx, event, hold uuid.UUID) (int64, error)

// rival gives every buyer a transaction and retries it when the database asks for that.
func rival(ctx context.Context, d *db.DB, o options, inTx func(context.Context, func(context.Context, pgx.Tx) error) error, event uuid.UUID, take taking) (figures, error) {
	var attempts atomic.Int64
	got, err := closedLoop(ctx, o.clients, o.seconds, func(ctx context.Context, n int64) error {
		buyer := newBuyer(n)
		id := inventory.HoldID(event, buyer, "key")
		body := make([]byte, 32)
		return inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			attempts.Add(1)
			var state string
			if err := tx.QueryRow(ctx, sqlRivalFind, id).Scan(&state); err == nil {
				return nil // a repeated request
			} else if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			version, err := take(ctx, tx, event, id)
			if err != nil {
				return err
			}
			if tag, err := tx.Exec(ctx, sqlRivalQuota, uuid.NewSHA1(event, buyer[:]), event, buyer[:], 1, limit); err != nil {
				return err
			} else if tag.RowsAffected() != 1 {
				return inventory.ErrOverLimit
			}
			if _, err := tx.Exec(ctx, sqlRivalExpiry, event, ttl, uuid.New(), id[:]); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, sqlRivalHold, id, event, buyer[:],
				`[{"tier":"floor","allocation":"general","quantity":1}]`, body, version, ttl)
			return err
		})
	})
	got.attempts = attempts.Load()
	return got, err
}

// guarded is one UPDATE that checks what it takes.
func guarded(ctx context.Context, tx pgx.Tx, event, _ uuid.UUID) (version int64, err error) {
	err = tx.QueryRow(ctx, sqlRivalStock, event, "floor", "general", 1).Scan(&version)
	return version, err
}

// locked looks first and keeps everybody else waiting until the commit.
func locked(ctx context.Context, tx pgx.Tx, event, hold uuid.UUID) (int64, error) {
	var has, taken int64
	if err := tx.QueryRow(ctx, sqlRivalLockStock, event, "floor", "general").Scan(&has, &taken); err != nil {
		return 0, err
	}
	if taken >= has {
		return 0, inventory.ErrSoldOut
	}
	return guarded(ctx, tx, event, hold)
}

// measureNaive is a guarded UPDATE in a SERIALIZABLE transaction.
func measureNaive(ctx context.Context, d *db.DB, o options) (figures, error) {
	return measureRival(ctx, d, o, d.InTx, guarded)
}

// measureGuarded is the same at READ COMMITTED, where nobody has to start anew and everybody waits for the row.
func measureGuarded(ctx context.Context, d *db.DB, o options) (figures, error) {
	return measureRival(ctx, d, o, d.InBookkeeping, guarded)
}

func measureForUpdate(ctx context.Context, d *db.DB, o options) (figures, error) {
	return measureRival(ctx, d, o, d.InBookkeeping, locked)
}

func measureRival(ctx context.Context, d *db.DB, o options, inTx func(context.Context, func(context.Context, pgx.Tx) error) error, take taking) (figures, error) {
	event, err := newTier(ctx, d, "floor", capacity, 0)
	if err != nil {
		return figures{}, err
	}
	got, err := rival(ctx, d, o, inTx, event, take)
	if err != nil {
		return figures{}, err
	}
	return got, check(ctx, d, &got, 1, false, event)
}

// measureSkipLocked hands out rows that nobody else is looking at.
func measureSkipLocked(ctx context.Context, d *db.DB, o options) (figures, error) {
	event, err := newTier(ctx, d, "floor", capacity, 0)
	if err != nil {
		return figures{}, err
	}
	for _, sql := range []string{sqlRivalTickets, sqlRivalFree} {
		if _, err := d.Pool.Exec(ctx, sql); err != nil {
			return figures{}, fmt.Errorf("make the tickets: %w", err)
		}
	}
	tickets := 10_000 * int64((warmUp + o.seconds).Seconds())
	if _, err := d.Pool.Exec(ctx, sqlRivalPrint, event, tickets); err != nil {
		return figures{}, fmt.Errorf("make the tickets: %w", err)
	}
	got, err := rival(ctx, d, o, d.InBookkeeping, event, func(ctx context.Context, tx pgx.Tx, event, hold uuid.UUID) (no int64, err error) {
		err = tx.QueryRow(ctx, sqlRivalTicket, event, hold).Scan(&no)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, fmt.Errorf("all %d tickets are gone: %w", tickets, errDone)
		}
		return no, err
	})
	if err != nil {
		return figures{}, err
	}
	if _, err := d.Pool.Exec(ctx, sqlRivalTake, event); err != nil {
		return figures{}, err
	}
	err = check(ctx, d, &got, 1, false, event)
	got.commits = 0
	return got, err
}
