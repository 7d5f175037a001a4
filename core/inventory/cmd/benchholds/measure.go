package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

const (
	warmUp   = time.Second
	capacity = 1_000_000_000 // never sold out while measuring
	limit    = 4
	ttl      = 10 * time.Minute
)

// newTier makes an event with one hot tier. Events with different numbers are hashed to different lanes.
func newTier(ctx context.Context, d *db.DB, number int) (uuid.UUID, error) {
	event := uuid.New()
	binary.BigEndian.PutUint32(event[12:], uint32(number))
	_, err := d.Pool.Exec(ctx, `INSERT INTO stock (event_id, tier, allocation, capacity, taken, version)
		VALUES ($1, 'floor', 'general', $2, 0, 0)`, event, capacity)
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

// closedLoop runs callers that each ask for one hold after the other, and counts what happens after the warm-up.
func closedLoop(ctx context.Context, callers int, duration time.Duration, hold func(ctx context.Context, n int64) error) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, warmUp+duration, errDone)
	defer cancel()
	from := time.Now().Add(warmUp)
	var buyers atomic.Int64
	var mu sync.Mutex // guards the two below; a caller takes it once per hold, which costs next to nothing beside the hold
	var failed error
	got := figures{took: duration, latency: hdrhistogram.New(1, time.Minute.Microseconds(), 2)}
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for {
				began := time.Now()
				err := hold(ctx, buyers.Add(1))
				mu.Lock()
				if err == nil && began.After(from) {
					err = got.latency.RecordValue(time.Since(began).Microseconds())
				}
				if err != nil && !errors.Is(context.Cause(ctx), errDone) {
					failed = errors.Join(failed, err)
					cancel()
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	running.Wait()
	got.holds = got.latency.TotalCount()
	return got, failed
}

// errDone ends a measurement.
var errDone = errors.New("the time is up")

// check compares the stock with the holds that were counted: a figure for lost holds is worth nothing.
func check(ctx context.Context, d *db.DB, f *figures, events ...uuid.UUID) error {
	var taken, units, quota int64
	err := d.Pool.QueryRow(ctx, `SELECT (SELECT sum(taken)::INT8 FROM stock WHERE event_id = ANY ($1)),
		(SELECT sum(version)::INT8 FROM stock WHERE event_id = ANY ($1)),
		(SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE event_id = ANY ($1)),
		(SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE scope_id = ANY ($1))`, events).Scan(&taken, &f.commits, &units, &quota)
	if err != nil {
		return err
	}
	f.all = taken
	if taken != units || taken != quota || taken < f.holds {
		return fmt.Errorf("stock says %d, holds %d, quotas %d, callers at least %d", taken, units, quota, f.holds)
	}
	return nil
}

const sqlNaiveFind = `SELECT h.state FROM holds AS h WHERE h.hold_id = $1`

const sqlNaiveStock = `
UPDATE stock SET taken = taken + $4, version = version + 1
WHERE event_id = $1 AND tier = $2 AND allocation = $3 AND taken + $4 <= capacity
RETURNING version`

const sqlNaiveQuota = `
INSERT INTO quota AS q (quota_id, scope_id, kind, buyer, taken, max_units) VALUES ($1, $2, 'entrant', $3, $4, $5)
ON CONFLICT (quota_id) DO UPDATE SET taken = q.taken + excluded.taken, max_units = excluded.max_units
WHERE q.taken + excluded.taken <= excluded.max_units`

const sqlNaiveExpiry = `INSERT INTO expiries (event_id, due_at, expiry_id, holds) VALUES ($1, now() + $2::INTERVAL, $3, $4)`

const sqlNaiveInsert = `
INSERT INTO holds (hold_id, event_id, entrant, state, units, items, amount_minor, currency, body_hash, commit_no,
                   created_at, deadline, extended, closed_at)
VALUES ($1, $2, $3, 'active', 1, $4, 6500, 'EUR', $5, $6, now(), now() + $7::INTERVAL, false, NULL)`

// measureNaive gives every buyer a SERIALIZABLE transaction.
func measureNaive(ctx context.Context, d *db.DB, o options) (figures, error) {
	event, err := newTier(ctx, d, 0)
	if err != nil {
		return figures{}, err
	}
	var attempts atomic.Int64
	got, err := closedLoop(ctx, o.clients, o.seconds, func(ctx context.Context, n int64) error {
		buyer := newBuyer(n)
		id := inventory.HoldID(event, buyer, "key")
		body := make([]byte, 32)
		return d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			attempts.Add(1)
			var state string
			if err := tx.QueryRow(ctx, sqlNaiveFind, id).Scan(&state); err == nil {
				return nil // a repeated request
			} else if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			var version int64
			if err := tx.QueryRow(ctx, sqlNaiveStock, event, "floor", "general", 1).Scan(&version); err != nil {
				return err
			}
			if tag, err := tx.Exec(ctx, sqlNaiveQuota, uuid.NewSHA1(event, buyer[:]), event, buyer[:], 1, limit); err != nil {
				return err
			} else if tag.RowsAffected() != 1 {
				return inventory.ErrOverLimit
			}
			if _, err := tx.Exec(ctx, sqlNaiveExpiry, event, ttl, uuid.New(), id[:]); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, sqlNaiveInsert, id, event, buyer[:],
				`[{"tier":"floor","allocation":"general","quantity":1}]`, body, version, ttl)
			return err
		})
	})
	if err != nil {
		return figures{}, err
	}
	got.attempts = attempts.Load()
	return got, check(ctx, d, &got, event)
}

// measureGroup asks the service in process.
func measureGroup(ctx context.Context, d *db.DB, o options) (figures, error) {
	events := make([]uuid.UUID, o.events)
	for i := range events {
		var err error
		if events[i], err = newTier(ctx, d, i); err != nil {
			return figures{}, err
		}
	}
	offer := inventory.Offer{
		Currency: "EUR", Limit: limit, HoldTTL: ttl,
		Tiers: map[string]inventory.TierOffer{"floor": {Kind: inventory.General, PriceMinor: 6500, Allocation: "general"}},
	}
	s := inventory.New(d, inventory.Config{
		Lanes: o.events, MaxBatch: o.batch, MaxQueue: 2 * o.callers,
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) { return offer, nil },
	}, inventory.Hooks{})
	defer s.Close()
	items := []inventory.Item{{Tier: "floor", Quantity: 1}}
	got, err := closedLoop(ctx, o.callers, o.seconds, func(ctx context.Context, n int64) error {
		_, err := s.Hold(ctx, inventory.Request{Event: events[n%int64(len(events))], Entrant: newBuyer(n), Key: "key", Items: items})
		return err
	})
	if err != nil {
		return figures{}, err
	}
	return got, check(ctx, d, &got, events...)
}
