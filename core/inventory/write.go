package inventory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Every statement below names its rows by primary key and repeats as a guard what the plan rests on. A statement that
// touches fewer rows than the plan has means that the plan is out of date.

const sqlMoveStock = `
UPDATE stock AS s SET taken = s.taken + k.change, version = s.version + 1
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::INT8[]) AS k (event_id, tier, allocation, change)
WHERE s.event_id = k.event_id AND s.tier = k.tier AND s.allocation = k.allocation
  AND s.taken + k.change <= s.capacity AND s.taken + k.change >= 0
RETURNING s.event_id, s.tier, s.allocation, s.capacity, s.taken, s.version, s.price_no, s.waitlisted, now()`

const sqlCloseHolds = `
UPDATE holds AS h SET state = k.next, closed_at = now()
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[]) AS k (hold_id, previous, next)
WHERE h.hold_id = k.hold_id AND h.state = k.previous
  AND (k.previous = 'sold' OR (k.next = 'expired') = (h.deadline <= now()))`

const sqlFreeSeats = `
UPDATE seats AS s SET state = 'free', hold_id = NULL
FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[]) AS k (event_id, seat, hold_id)
WHERE s.event_id = k.event_id AND s.seat = k.seat AND s.hold_id = k.hold_id`

// A seat that was moved to another tier or allocation since it was read would be counted in the wrong stock row.
const sqlTakeSeats = `
UPDATE seats AS s SET state = 'held', hold_id = k.hold_id
FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[], $4::TEXT[], $5::TEXT[]) AS k (event_id, seat, hold_id, tier, allocation)
WHERE s.event_id = k.event_id AND s.seat = k.seat AND s.state = 'free' AND s.tier = k.tier AND s.allocation = k.allocation`

const sqlMoveQuota = `
UPDATE quota AS q SET taken = q.taken + k.units, max_units = CASE WHEN k.max_units > 0 THEN k.max_units ELSE q.max_units END
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[]) AS k (quota_id, units, max_units)
WHERE q.quota_id = k.quota_id
  AND q.taken + k.units >= 0 AND (k.units < 0 OR q.taken + k.units <= k.max_units)`

const sqlInsertQuota = `
INSERT INTO quota (quota_id, scope_id, kind, buyer, taken, max_units)
SELECT k.quota_id, k.scope_id, k.kind, k.buyer, k.units, k.max_units
FROM unnest($1::UUID[], $2::INT8[], $3::INT8[], $4::UUID[], $5::TEXT[], $6::BYTEA[])
     AS k (quota_id, units, max_units, scope_id, kind, buyer)`

const sqlInsertHolds = `
INSERT INTO holds (hold_id, event_id, entrant, state, units, items, amount_minor, currency, body_hash, commit_no,
                   created_at, deadline, extended, closed_at, quotas)
SELECT k.hold_id, k.event_id, k.entrant, 'active', k.units, k.items, k.amount_minor, k.currency, k.body_hash, k.commit_no,
       $10::TIMESTAMPTZ, k.deadline, false, NULL, k.quotas
FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[], $4::INT8[], $5::TEXT[], $6::INT8[], $7::TEXT[], $8::BYTEA[], $9::INT8[],
            $11::TIMESTAMPTZ[], $12::BYTEA[])
     AS k (hold_id, event_id, entrant, units, items, amount_minor, currency, body_hash, commit_no, deadline, quotas)`

const sqlInsertExpiries = `
INSERT INTO expiries (event_id, due_at, expiry_id, holds)
SELECT k.event_id, k.due_at, k.expiry_id, k.holds
FROM unnest($1::UUID[], $2::TIMESTAMPTZ[], $3::UUID[], $4::BYTEA[]) AS k (event_id, due_at, expiry_id, holds)`

// What a row that another core inserted in the meantime violates. The inserts are plain on purpose: passing over a row
// that exists would leave the stock taken for a repeated request.
const (
	constraintHold  = "holds_pkey"
	constraintQuota = "quota_pkey"
)

// write carries out a plan inside tx and fills in what only the database knows: commit numbers and times. It may run
// several times for one plan. The stock rows come first because cores competing for them should wait before they have
// done any work, and all rows are visited in key order.
func (p *plan) write(ctx context.Context, tx pgx.Tx) error {
	rows, now, err := p.moveStock(ctx, tx)
	if err != nil {
		return err
	}
	if err := p.checkWindows(now); err != nil {
		return err
	}
	for key, least := range p.rests {
		if rows[key].Taken-p.stock[key] < least {
			return fmt.Errorf("refuse for want of stock: %w", ErrOutdated)
		}
	}
	p.after = rows
	for i := range p.closes {
		p.closes[i].hold.ClosedAt, p.closes[i].hold.AsOf = now, now
	}
	for i := range p.grants {
		g := &p.grants[i]
		g.hold.CommitNo = rows[g.first].Version
		for n := range g.hold.Items {
			item := &g.hold.Items[n]
			row := rows[stockKey{g.hold.Event, item.Tier, item.Allocation}]
			item.Commit = row.Version
			if row.Waitlisted && !g.kept {
				return fmt.Errorf("grant what is kept for a waiting list by now: %w", ErrOutdated)
			}
			if item.PriceNo != row.priceNo && Listed(item.Allocation) {
				return fmt.Errorf("grant a listing at price %d, which has price %d: %w", item.PriceNo, row.priceNo, ErrOutdated)
			}
		}
		g.hold.CreatedAt, g.hold.AsOf = now, now
		g.hold.Deadline = now.Add(g.ttl.Truncate(time.Microsecond)) // the database keeps microseconds
	}
	b := &pgx.Batch{}
	p.queueCloses(b)
	queueSeats(b, sqlFreeSeats, "free seats", p.freed)
	queueTaken(b, p.taken)
	p.queueQuota(b)
	p.queueGrants(b, now)
	p.queueSeatLog(b, rows)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write a batch: %w", err)
	}
	recordPlan(ctx, p, rows, now)
	return nil
}

// moveStock changes the stock rows and returns them as they are then, and the transaction's time.
func (p *plan) moveStock(ctx context.Context, tx pgx.Tx) (map[stockKey]Stock, time.Time, error) {
	keys := make([]stockKey, 0, len(p.stock))
	for k := range p.stock {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b stockKey) int {
		return cmp.Or(bytes.Compare(a.event[:], b.event[:]), strings.Compare(a.tier, b.tier), strings.Compare(a.allocation, b.allocation))
	})
	events, tiers := make([][16]byte, len(keys)), make([]string, len(keys))
	allocations, changes := make([]string, len(keys)), make([]int64, len(keys))
	for i, k := range keys {
		events[i], tiers[i], allocations[i], changes[i] = k.event, k.tier, k.allocation, p.stock[k]
	}
	moved, err := tx.Query(ctx, sqlMoveStock, events, tiers, allocations, changes)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("move stock: %w", err)
	}
	var k stockKey
	var row Stock
	var now time.Time
	rows := make(map[stockKey]Stock, len(keys))
	_, err = pgx.ForEachRow(moved, []any{(*[16]byte)(&k.event), &k.tier, &k.allocation, &row.Capacity, &row.Taken, &row.Version, &row.priceNo, &row.Waitlisted, &now}, func() error {
		row.Tier, row.Allocation = k.tier, k.allocation
		rows[k] = row
		return nil
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("move stock: %w", err)
	}
	if len(rows) != len(keys) {
		return nil, time.Time{}, fmt.Errorf("move stock: %d of %d rows: %w", len(rows), len(keys), ErrOutdated)
	}
	return rows, now.UTC(), nil
}

func (p *plan) queueCloses(b *pgx.Batch) {
	if len(p.closes) == 0 {
		return
	}
	slices.SortFunc(p.closes, func(a, b closing) int { return bytes.Compare(a.hold.ID[:], b.hold.ID[:]) })
	ids, previous, next := make([][16]byte, 0, len(p.closes)), make([]string, 0, len(p.closes)), make([]string, 0, len(p.closes))
	for i := range p.closes {
		if c := &p.closes[i]; len(c.rest) == 0 {
			ids, previous, next = append(ids, c.hold.ID), append(previous, string(c.previous)), append(next, string(c.hold.State))
		}
	}
	if len(ids) > 0 {
		b.Queue(sqlCloseHolds, ids, previous, next).Exec(exactly("close holds", len(ids)))
	}
	p.queueShrinks(b)
}

func queueSeats(b *pgx.Batch, sql, what string, moves []seatMove) {
	if len(moves) == 0 {
		return
	}
	slices.SortFunc(moves, bySeat)
	events, seats, holds := make([][16]byte, len(moves)), make([]string, len(moves)), make([][16]byte, len(moves))
	for i, m := range moves {
		events[i], seats[i], holds[i] = m.event, m.seat, m.hold
	}
	b.Queue(sql, events, seats, holds).Exec(exactly(what, len(moves)))
}

// bySeat is the order in which rows of seats are locked.
func bySeat(a, b seatMove) int {
	return cmp.Or(bytes.Compare(a.event[:], b.event[:]), strings.Compare(a.seat, b.seat))
}

// queueTaken is queueSeats for those that holds take.
func queueTaken(b *pgx.Batch, moves []seatMove) {
	n := len(moves)
	if n == 0 {
		return
	}
	slices.SortFunc(moves, bySeat)
	events, seats, holds := make([][16]byte, n), make([]string, n), make([][16]byte, n)
	tiers, allocations := make([]string, n), make([]string, n)
	for i := range moves {
		m := &moves[i]
		events[i], seats[i], holds[i], tiers[i], allocations[i] = m.event, m.seat, m.hold, m.tier, m.allocation
	}
	b.Queue(sqlTakeSeats, events, seats, holds, tiers, allocations).Exec(exactly("take seats", n))
}

// queueQuota touches every row at most once.
func (p *plan) queueQuota(b *pgx.Batch) {
	changes := make([]*quotaChange, 0, len(p.quota))
	for _, c := range p.quota {
		changes = append(changes, &c)
	}
	slices.SortFunc(changes, func(a, b *quotaChange) int { return bytes.Compare(a.id[:], b.id[:]) })
	n := len(changes)
	insert, move := newQuotaRows(n), newQuotaRows(n)
	scopes, kinds, buyers := make([][16]byte, 0, n), make([]string, 0, n), make([][]byte, 0, n)
	for _, c := range changes {
		switch {
		case c.fresh:
			insert.add(c)
			scopes, kinds, buyers = append(scopes, c.scope), append(kinds, c.kind), append(buyers, c.buyer[:])
		case c.units != 0:
			move.add(c)
		}
	}
	if n := len(move.ids); n > 0 {
		b.Queue(sqlMoveQuota, move.ids, move.units, move.limits).Exec(exactly("move quotas", n))
	}
	if n := len(insert.ids); n > 0 {
		b.Queue(sqlInsertQuota, insert.ids, insert.units, insert.limits, scopes, kinds, buyers).Exec(exactly("insert quotas", n))
	}
}

// quotaRows are the arrays of a quota statement.
type quotaRows struct {
	ids    [][16]byte
	units  []int64
	limits []int64
}

func newQuotaRows(n int) quotaRows {
	return quotaRows{make([][16]byte, 0, n), make([]int64, 0, n), make([]int64, 0, n)}
}

func (r *quotaRows) add(c *quotaChange) {
	r.ids, r.units, r.limits = append(r.ids, c.id), append(r.units, c.units), append(r.limits, c.limit)
}

func (p *plan) queueGrants(b *pgx.Batch, now time.Time) {
	n := len(p.grants)
	if n == 0 {
		return
	}
	order := make([]*Hold, n)
	for i := range p.grants {
		order[i] = &p.grants[i].hold
	}
	slices.SortFunc(order, func(a, b *Hold) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	ids, events, entrants := make([][16]byte, n), make([][16]byte, n), make([][]byte, n)
	units, items, amounts := make([]int64, n), make([]string, n), make([]int64, n)
	currencies, bodies, commits, deadlines := make([]string, n), make([][]byte, n), make([]int64, n), make([]time.Time, n)
	quotas := make([][]byte, n)
	for i, h := range order {
		ids[i], events[i], entrants[i] = h.ID, h.Event, h.Entrant[:]
		units[i], items[i], amounts[i] = int64(h.Units), encodeItems(h.Items), h.Amount.Minor
		currencies[i], bodies[i], commits[i], deadlines[i] = h.Amount.Currency, h.BodyHash[:], h.CommitNo, h.Deadline
		quotas[i] = joinIDs(h.others)
	}
	b.Queue(sqlInsertHolds, ids, events, entrants, units, items, amounts, currencies, bodies, commits, now, deadlines, quotas).
		Exec(exactly("insert holds", n))
	queueExpiries(b, order)
}

// queueExpiries notes when to look at new holds again: those of one event and deadline together.
func queueExpiries(b *pgx.Batch, holds []*Hold) {
	type when struct {
		event    uuid.UUID
		deadline time.Time
	}
	groups := make(map[when][]byte, 1)
	for _, h := range holds {
		at := when{h.Event, h.Deadline}
		groups[at] = append(groups[at], h.ID[:]...)
	}
	var rows expiryRows
	for at, group := range groups {
		rows.add(at.event, at.deadline, group)
	}
	b.Queue(sqlInsertExpiries, rows.events, rows.due, rows.ids, rows.holds).Exec(exactly("insert expiries", len(rows.ids)))
}

// exactly makes the check that a statement touched n rows.
func exactly(what string, n int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
			return fmt.Errorf("%s: %d of %d rows: %w", what, tag.RowsAffected(), n, ErrOutdated)
		}
		return nil
	}
}

// limit is the most units a buyer may have.
func (o *Offer) limit() int64 {
	if o.Limit <= 0 {
		return math.MaxInt64
	}
	return int64(o.Limit)
}

// closed lists a plan's closed holds that end in a state.
func (p *plan) closed(next State) []Hold {
	var holds []Hold
	for i := range p.closes {
		if p.closes[i].hold.State == next {
			holds = append(holds, p.closes[i].hold)
		}
	}
	return holds
}
