package inventory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// MaxExtension is the farthest a deadline can be moved, once, for a payment that is under way and is settled by machines.
const MaxExtension = 5 * time.Minute

const sqlSellHolds = `
UPDATE holds AS h SET state = 'sold', closed_at = now()
FROM unnest($1::UUID[]) AS k (hold_id)
WHERE h.hold_id = k.hold_id AND h.state = 'active' AND h.deadline > now()
RETURNING h.hold_id, h.event_id, h.items`

const sqlSellSeats = `
UPDATE seats AS s SET state = 'sold'
FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[]) AS k (event_id, seat, hold_id)
WHERE s.event_id = k.event_id AND s.seat = k.seat AND s.hold_id = k.hold_id AND s.state = 'held'`

// Every hold named is written, extended or not: whoever closes one of them at the same time has to look again.
const sqlKeepHolds = `
UPDATE holds AS h
SET deadline = CASE WHEN NOT h.extended AND k.micros > 0
        THEN greatest(h.deadline, least(now() + k.micros * INTERVAL '1 microsecond', h.deadline + k.most * INTERVAL '1 microsecond')) ELSE h.deadline END,
    extended = h.extended OR (k.micros > 0 AND h.deadline < now() + k.micros * INTERVAL '1 microsecond')
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[]) AS k (hold_id, micros, most)
WHERE h.hold_id = k.hold_id AND h.state = 'active' AND h.deadline > now()
RETURNING h.hold_id, h.deadline, now()`

// Sell makes active holds sold, their seats with them, and leaves stock and quota alone, which count them already. The
// map has an entry for each hold that could not be sold: ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed (sold before, or
// released).
func Sell(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	ids = inOrder(ids)
	rows, err := tx.Query(ctx, sqlSellHolds, raw(ids))
	if err != nil {
		return nil, fmt.Errorf("sell holds: %w", err)
	}
	sold := make(map[uuid.UUID]struct{}, len(ids))
	var seats []seatMove
	var id, event uuid.UUID
	var text string
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), (*[16]byte)(&event), &text}, func() error {
		items, err := decodeItems(text)
		if err != nil {
			return fmt.Errorf("hold %s: %w", id, err)
		}
		sold[id] = struct{}{}
		recordSale(ctx, id, event, items)
		for _, item := range items {
			for _, seat := range item.Seats {
				seats = append(seats, seatMove{seatKey: seatKey{event, seat}, hold: id})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sell holds: %w", err)
	}
	if len(seats) > 0 {
		b := &pgx.Batch{}
		queueSeats(b, sqlSellSeats, "sell seats", seats)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return nil, fmt.Errorf("sell seats: %w", err)
		}
	}
	return explain(ctx, tx, ids, sold, Hold.open)
}

// Unsell puts sold holds back on sale as released. The map has an entry for each hold that is not sold: ErrHoldUnknown or
// ErrHoldClosed, and ErrHoldExpired for one that is still active or was never sold in time.
func Unsell(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	return giveBack(ctx, tx, ids, Sold)
}

// Release puts active holds back on sale as released, inside the caller's transaction and without the Released hook. The
// map has an entry for each hold that is not active, as for Sell.
func Release(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	return giveBack(ctx, tx, ids, Active)
}

// giveBack releases holds that are in a state. Unlike a lane it reads inside the transaction: checkout's transactions
// are about few holds.
func giveBack(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, previous State) (map[uuid.UUID]error, error) {
	ids = inOrder(ids)
	holds, err := Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var passed []passedUnit
	if previous == Sold {
		if passed, err = readPassed(ctx, tx, ids); err != nil {
			return nil, err
		}
	}
	var units []uuid.UUID
	failed := make(map[uuid.UUID]error)
	p := plan{stock: make(map[stockKey]int64), quota: make(map[uuid.UUID]quotaChange)}
	for _, id := range ids {
		switch h, ok := holds[id]; {
		case !ok:
			failed[id] = ErrHoldUnknown
		case h.State == previous:
			p.giveBack(h, previous, Released)
			units = append(units, p.uncount(slices.DeleteFunc(slices.Clone(passed), func(u passedUnit) bool { return u.hold != id }))...)
		case h.State == Expired:
			failed[id] = ErrHoldExpired
		default:
			failed[id] = ErrHoldClosed
		}
	}
	if p.writes() {
		if err := p.write(ctx, tx); err != nil {
			return nil, fmt.Errorf("give back %d holds: %w", len(p.closes), err)
		}
	}
	return failed, forgetPassed(ctx, tx, units)
}

// Keeping is a hold that must be active when the transaction commits. For is how long it shall at least live from now on;
// zero leaves its deadline alone.
// Most is how far beyond the deadline it had; 0 is MaxExtension.
type Keeping struct {
	Hold uuid.UUID
	For  time.Duration
	Most time.Duration
}

// Kept is what Keep did: the deadlines of the holds that are active, and the transaction's time.
type Kept struct {
	Deadlines map[uuid.UUID]time.Time
	Now       time.Time
}

// Keep makes sure that holds are active and stay so until the transaction ends, and moves deadlines that are too near, once
// in a hold's life and at most Most beyond the deadline it had. A deadline that is far enough stays and the extension
// is not used up. A hold that is not active has no deadline in the answer.
func Keep(ctx context.Context, tx pgx.Tx, holds []Keeping) (Kept, error) {
	holds = slices.SortedFunc(slices.Values(holds), func(a, b Keeping) int { return bytes.Compare(a.Hold[:], b.Hold[:]) })
	ids, micros, most := make([][16]byte, len(holds)), make([]int64, len(holds)), make([]int64, len(holds))
	for i, h := range holds {
		ids[i], micros[i] = h.Hold, max(h.For, 0).Microseconds()
		most[i] = cmp.Or(max(h.Most, 0), MaxExtension).Microseconds()
	}
	kept := Kept{Deadlines: make(map[uuid.UUID]time.Time, len(holds))}
	rows, err := tx.Query(ctx, sqlKeepHolds, ids, micros, most)
	if err != nil {
		return Kept{}, fmt.Errorf("keep holds: %w", err)
	}
	var id uuid.UUID
	var deadline time.Time
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &deadline, &kept.Now}, func() error {
		kept.Deadlines[id] = deadline.UTC()
		return nil
	})
	if err != nil {
		return Kept{}, fmt.Errorf("keep holds: %w", err)
	}
	kept.Now = kept.Now.UTC()
	return kept, nil
}

// explain asks why about each hold that a statement passed over.
func explain(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, done map[uuid.UUID]struct{}, why func(Hold) error) (map[uuid.UUID]error, error) {
	failed := make(map[uuid.UUID]error)
	if len(done) == len(ids) {
		return failed, nil
	}
	holds, err := Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if _, ok := done[id]; ok {
			continue
		}
		h, ok := holds[id]
		if !ok {
			failed[id] = ErrHoldUnknown
		} else if err := why(h); err != nil {
			failed[id] = err
		}
	}
	return failed, nil
}

// inOrder is the ids sorted, each once: rows are locked in key order.
func inOrder(ids []uuid.UUID) []uuid.UUID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// raw is ids in the type that pgx encodes without reflection.
func raw(ids []uuid.UUID) [][16]byte {
	out := make([][16]byte, len(ids))
	for i, id := range ids {
		out[i] = id
	}
	return out
}
