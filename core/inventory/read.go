package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// snapshotTx is how rows are read that a guarded write will check again: one snapshot, no predicate locks.
var snapshotTx = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

const sqlNow = `SELECT now()`

const sqlReadStock = `
SELECT s.event_id, s.tier, s.allocation, s.capacity, s.taken
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[]) AS k (event_id, tier, allocation)
JOIN stock AS s ON s.event_id = k.event_id AND s.tier = k.tier AND s.allocation = k.allocation`

const sqlReadSeats = `
SELECT s.event_id, s.seat, s.tier, s.allocation, s.state
FROM unnest($1::UUID[], $2::TEXT[]) AS k (event_id, seat)
JOIN seats AS s ON s.event_id = k.event_id AND s.seat = k.seat`

const sqlReadQuota = `
SELECT q.event_id, q.buyer, q.taken
FROM unnest($1::UUID[], $2::BYTEA[]) AS k (event_id, buyer)
JOIN quota AS q ON q.event_id = k.event_id AND q.buyer = k.buyer`

const sqlReadHolds = `
SELECT h.hold_id, h.event_id, h.entrant, h.state, h.units, h.items, h.amount_minor, h.currency, h.body_hash, h.commit_no,
       h.created_at, h.deadline, h.extended, h.closed_at, now()
FROM unnest($1::UUID[]) AS k (hold_id)
JOIN holds AS h ON h.hold_id = k.hold_id`

// rowKeys are the rows a batch reads, each once.
type rowKeys struct {
	stock map[stockKey]struct{}
	seats map[seatKey]struct{}
	quota map[quotaKey]struct{}
	holds map[uuid.UUID]struct{}
}

// keysOf collects the rows that ops rest on. A seat's tier is known only after its row is read, so the stock of every
// seated tier on offer is read with it.
func keysOf(ops []op) rowKeys {
	keys := rowKeys{
		stock: make(map[stockKey]struct{}),
		seats: make(map[seatKey]struct{}),
		quota: make(map[quotaKey]struct{}, len(ops)),
		holds: make(map[uuid.UUID]struct{}, len(ops)),
	}
	for i := range ops {
		o := &ops[i]
		keys.holds[o.id] = struct{}{}
		if o.do != grant {
			continue // what a closing hold gives back is added blindly: no decision rests on it
		}
		keys.quota[quotaKey{o.event, o.entrant}] = struct{}{}
		for _, item := range o.items {
			if len(item.Seats) == 0 {
				if tier, ok := o.offer.Tiers[item.Tier]; ok {
					keys.stock[stockKey{o.event, item.Tier, orElse(item.Allocation, tier.Allocation)}] = struct{}{}
				}
				continue
			}
			for _, seat := range item.Seats {
				keys.seats[seatKey{o.event, seat}] = struct{}{}
			}
			for name, tier := range o.offer.Tiers {
				if tier.Kind == Seated {
					keys.stock[stockKey{o.event, name, orElse(item.Allocation, tier.Allocation)}] = struct{}{}
				}
			}
		}
	}
	return keys
}

// inSnapshot runs fn, which only reads, in a transaction of one snapshot.
func (s *Service) inSnapshot(ctx context.Context, fn func(pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, s.db.Pool, snapshotTx, fn)
	if err != nil && db.IsUnavailable(err) && !errors.Is(err, db.ErrUnavailable) {
		return fmt.Errorf("%w: %w", db.ErrUnavailable, err)
	}
	return err
}

// read fetches the rows of a batch from one snapshot in one round trip.
func (s *Service) read(ctx context.Context, keys rowKeys) (*snapshot, error) {
	snap := &snapshot{
		stock: make(map[stockKey]stockRow, len(keys.stock)),
		seats: make(map[seatKey]seatRow, len(keys.seats)),
		quota: make(map[quotaKey]int64, len(keys.quota)),
		holds: make(map[uuid.UUID]Hold),
	}
	err := s.inSnapshot(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, snap.queries(keys)).Close() })
	if err != nil {
		return nil, fmt.Errorf("read a batch: %w", err)
	}
	return snap, nil
}

// queries prepares the statements that fill the snapshot.
func (snap *snapshot) queries(keys rowKeys) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(sqlNow).QueryRow(func(row pgx.Row) error { return row.Scan(&snap.now) })
	if len(keys.stock) > 0 {
		events, tiers, allocations := make([][16]byte, 0, len(keys.stock)), []string{}, []string{}
		for k := range keys.stock {
			events, tiers, allocations = append(events, k.event), append(tiers, k.tier), append(allocations, k.allocation)
		}
		b.Queue(sqlReadStock, events, tiers, allocations).Query(func(rows pgx.Rows) error {
			var k stockKey
			var row stockRow
			_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&k.event), &k.tier, &k.allocation, &row.capacity, &row.taken}, func() error {
				snap.stock[k] = row
				return nil
			})
			return err
		})
	}
	if len(keys.seats) > 0 {
		events, seats := make([][16]byte, 0, len(keys.seats)), make([]string, 0, len(keys.seats))
		for k := range keys.seats {
			events, seats = append(events, k.event), append(seats, k.seat)
		}
		b.Queue(sqlReadSeats, events, seats).Query(func(rows pgx.Rows) error {
			var k seatKey
			var row seatRow
			var state string
			_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&k.event), &k.seat, &row.tier, &row.allocation, &state}, func() error {
				row.free = state == "free"
				snap.seats[k] = row
				return nil
			})
			return err
		})
	}
	if len(keys.quota) > 0 {
		events, buyers := make([][16]byte, 0, len(keys.quota)), make([][]byte, 0, len(keys.quota))
		for k := range keys.quota {
			events, buyers = append(events, k.event), append(buyers, k.buyer[:])
		}
		b.Queue(sqlReadQuota, events, buyers).Query(func(rows pgx.Rows) error {
			var event uuid.UUID
			var buyer []byte
			var taken int64
			_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&event), &buyer, &taken}, func() error {
				snap.quota[quotaKey{event, lottery.Entrant(buyer)}] = taken
				return nil
			})
			return err
		})
	}
	if len(keys.holds) > 0 {
		ids := make([][16]byte, 0, len(keys.holds))
		for id := range keys.holds {
			ids = append(ids, id)
		}
		b.Queue(sqlReadHolds, ids).Query(func(rows pgx.Rows) error {
			return eachHold(rows, func(h Hold) { snap.holds[h.ID] = h })
		})
	}
	return b
}

// Read finds holds inside a transaction; unknown ones are missing from the map.
func Read(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]Hold, error) {
	rows, err := tx.Query(ctx, sqlReadHolds, raw(ids))
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	holds := make(map[uuid.UUID]Hold, len(ids))
	if err := eachHold(rows, func(h Hold) { holds[h.ID] = h }); err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return holds, nil
}

// eachHold scans rows with the columns of sqlReadHolds.
func eachHold(rows pgx.Rows, found func(Hold)) error {
	defer rows.Close()
	for rows.Next() {
		var h Hold
		var entrant, body []byte
		var items, currency string
		var minor int64
		var created, deadline, now time.Time
		var closed *time.Time
		err := rows.Scan((*[16]byte)(&h.ID), (*[16]byte)(&h.Event), &entrant, &h.State, &h.Units, &items, &minor, &currency, &body, &h.CommitNo,
			&created, &deadline, &h.Extended, &closed, &now)
		if err != nil {
			return fmt.Errorf("scan a hold: %w", err)
		}
		if len(entrant) != len(h.Entrant) || len(body) != len(h.BodyHash) {
			return fmt.Errorf("scan hold %s: entrant of %d bytes, body hash of %d", h.ID, len(entrant), len(body))
		}
		h.Entrant, h.BodyHash = lottery.Entrant(entrant), [32]byte(body)
		h.Amount = ledger.Amount{Minor: minor, Currency: currency}
		h.CreatedAt, h.Deadline = created.UTC(), deadline.UTC()
		if closed != nil {
			h.ClosedAt = closed.UTC()
		}
		if h.Items, err = decodeItems(items); err != nil {
			return fmt.Errorf("scan hold %s: %w", h.ID, err)
		}
		found(h.at(now.UTC()))
	}
	return rows.Err()
}
