package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const sqlReadStock = `
SELECT s.event_id, s.tier, s.allocation, s.capacity, s.taken, s.version, s.price_minor, s.price_no, s.waitlisted
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[]) AS k (event_id, tier, allocation)
JOIN stock AS s ON s.event_id = k.event_id AND s.tier = k.tier AND s.allocation = k.allocation`

const sqlReadSeats = `
SELECT s.event_id, s.seat, s.tier, s.allocation, s.state
FROM unnest($1::UUID[], $2::TEXT[]) AS k (event_id, seat)
JOIN seats AS s ON s.event_id = k.event_id AND s.seat = k.seat`

const sqlReadQuota = `
SELECT q.quota_id, q.taken
FROM unnest($1::UUID[]) AS k (quota_id)
JOIN quota AS q ON q.quota_id = k.quota_id`

const sqlReadHolds = `
SELECT h.hold_id, h.event_id, h.entrant, h.state, h.units, h.items, h.amount_minor, h.currency, h.body_hash, h.commit_no,
       h.created_at, h.deadline, h.extended, h.closed_at, h.quotas, now()
FROM unnest($1::UUID[]) AS k (hold_id)
JOIN holds AS h ON h.hold_id = k.hold_id`

// loadAll finds holds; unknown ones are missing from the map.
func (s *Service) loadAll(ctx context.Context, ids [][16]byte) (map[uuid.UUID]Hold, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var holds map[uuid.UUID]Hold
	err := s.db.Reading(ctx, func() (err error) {
		holds, err = queryHolds(ctx, s.db.Reader, ids)
		return err
	})
	return holds, err
}

// read fetches the rows that ops rest on, without a transaction: what is written will be guarded.
//
// A grant has to find the hold that the same request was given before. Whoever was ever given one has a quota row, so
// holds are looked up only for buyers who have one. With trusting, not even that is asked for buyers this process has
// never met (acquaintances): in a rush nearly all are new, and looking for what is not there would be a quarter of the
// cost. Should one have a row or a hold after all, the insert fails on it and the batch is read again, in full.
//
// Holds are read last: whoever is told "sold out" because of the stock, the seats or the quota that their own earlier
// request took is then told of that hold instead.
func (s *Service) read(ctx context.Context, ops []op, trusting bool) (*snapshot, error) {
	snap := &snapshot{
		stock: make(map[stockKey]stockRow),
		seats: make(map[seatKey]seatRow),
		quota: make(map[uuid.UUID]int64, len(ops)),
	}
	keys := keysOf(ops)
	for i := range ops {
		if trusting && ops[i].do == grant && ops[i].instead == uuid.Nil && !s.buyers.knowAny(ops[i].counts) {
			snap.strangers = append(snap.strangers, i)
			continue
		}
		for _, c := range ops[i].counts {
			keys.quota[c.id] = struct{}{}
		}
	}
	beside := accessibleBeside(ops)
	if len(keys.stock)+len(keys.seats)+len(keys.quota) > 0 {
		timed := windowed(ops)
		err := s.db.Reading(ctx, func() error {
			b := snap.queries(keys)
			snap.queueOwners(b, beside)
			if timed {
				snap.queueClock(b)
			}
			return s.db.Reader.SendBatch(ctx, b).Close()
		})
		if err != nil {
			return nil, fmt.Errorf("read a batch: %w", err)
		}
	}
	var ids [][16]byte
	for i := range ops {
		if ops[i].do != grant || snap.counted(ops[i].counts) {
			ids = append(ids, ops[i].id)
		}
		if ops[i].instead != uuid.Nil {
			ids = append(ids, ops[i].instead)
		}
	}
	var err error
	if snap.holds, err = s.loadAll(ctx, ids); err != nil {
		return nil, fmt.Errorf("read the holds of a batch: %w", err)
	}
	return snap, nil
}

// counted tells whether a buyer has a row in quota.
func (snap *snapshot) counted(counts []count) bool {
	for _, c := range counts {
		if _, known := snap.quota[c.id]; known {
			return true
		}
	}
	return false
}

// rowKeys are the rows a batch reads, each once.
type rowKeys struct {
	stock map[stockKey]struct{}
	seats map[seatKey]struct{}
	quota map[uuid.UUID]struct{}
}

// keysOf collects the stock and seats that grants rest on. A seat's tier is known only after its row is read, so the stock of every
// seated tier on offer is read with it. What a closing hold gives back is added blindly: no decision rests on it.
func keysOf(ops []op) rowKeys {
	keys := rowKeys{
		stock: make(map[stockKey]struct{}),
		seats: make(map[seatKey]struct{}),
		quota: make(map[uuid.UUID]struct{}),
	}
	for i := range ops {
		o := &ops[i]
		if o.do != grant {
			continue
		}
		for _, item := range o.mentioned() {
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

// queries prepares the statements that fill the snapshot.
func (snap *snapshot) queries(keys rowKeys) *pgx.Batch {
	b := &pgx.Batch{}
	snap.queueStock(b, keys.stock)
	snap.queueSeats(b, keys.seats)
	snap.queueQuota(b, keys.quota)
	return b
}

func (snap *snapshot) queueStock(b *pgx.Batch, keys map[stockKey]struct{}) {
	if len(keys) == 0 {
		return
	}
	events, tiers, allocations := make([][16]byte, 0, len(keys)), make([]string, 0, len(keys)), make([]string, 0, len(keys))
	for k := range keys {
		events, tiers, allocations = append(events, k.event), append(tiers, k.tier), append(allocations, k.allocation)
	}
	b.Queue(sqlReadStock, events, tiers, allocations).Query(func(rows pgx.Rows) error {
		var k stockKey
		var row stockRow
		_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&k.event), &k.tier, &k.allocation, &row.capacity, &row.taken, &row.version, &row.priceMinor, &row.priceNo, &row.waitlisted}, func() error {
			snap.stock[k] = row
			return nil
		})
		return err
	})
}

func (snap *snapshot) queueSeats(b *pgx.Batch, keys map[seatKey]struct{}) {
	if len(keys) == 0 {
		return
	}
	events, seats := make([][16]byte, 0, len(keys)), make([]string, 0, len(keys))
	for k := range keys {
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

func (snap *snapshot) queueQuota(b *pgx.Batch, keys map[uuid.UUID]struct{}) {
	if len(keys) == 0 {
		return
	}
	ids := make([][16]byte, 0, len(keys))
	for id := range keys {
		ids = append(ids, id)
	}
	b.Queue(sqlReadQuota, ids).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var taken int64
		_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &taken}, func() error {
			snap.quota[id] = taken
			return nil
		})
		return err
	})
}

// Read finds holds in a transaction, or outside of one with db.Reader; unknown ones are missing from the map.
func Read(ctx context.Context, q Querier, ids []uuid.UUID) (map[uuid.UUID]Hold, error) {
	holds, err := queryHolds(ctx, q, raw(ids))
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return holds, nil
}

// Querier is what reads: a transaction or the reading pool.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func queryHolds(ctx context.Context, q Querier, ids [][16]byte) (map[uuid.UUID]Hold, error) {
	holds := make(map[uuid.UUID]Hold, len(ids))
	rows, err := q.Query(ctx, sqlReadHolds, ids)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		h, err := scanHold(rows)
		if err != nil {
			return nil, err
		}
		holds[h.ID] = h
	}
	return holds, rows.Err()
}

// scanHold reads a row with the columns of sqlReadHolds.
func scanHold(row pgx.Row) (Hold, error) {
	var h Hold
	var entrant, body, others []byte
	var items string
	var created, deadline, now time.Time
	var closed *time.Time
	err := row.Scan((*[16]byte)(&h.ID), (*[16]byte)(&h.Event), &entrant, &h.State, &h.Units, &items, &h.Amount.Minor,
		&h.Amount.Currency, &body, &h.CommitNo, &created, &deadline, &h.Extended, &closed, &others, &now)
	if err != nil {
		return Hold{}, fmt.Errorf("scan a hold: %w", err)
	}
	if len(entrant) != len(h.Entrant) || len(body) != len(h.BodyHash) {
		return Hold{}, fmt.Errorf("scan hold %s: entrant of %d bytes, body hash of %d", h.ID, len(entrant), len(body))
	}
	h.Entrant, h.BodyHash = lottery.Entrant(entrant), [32]byte(body)
	h.CreatedAt, h.Deadline = created.UTC(), deadline.UTC()
	if len(others) > 0 {
		h.others = splitIDs(others)
	}
	if closed != nil {
		h.ClosedAt = closed.UTC()
	}
	if h.Items, err = decodeItems(items); err != nil {
		return Hold{}, fmt.Errorf("scan hold %s: %w", h.ID, err)
	}
	return h.at(now.UTC()), nil
}
