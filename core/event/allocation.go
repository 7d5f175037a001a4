package event

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What was released of an allocation stays with general sale when the event file is applied again, changed or not: the
// file says what was set aside, the table allocations what of it is no longer. Only where the file itself moves a seat
// does the file decide. Another release_at opens a closed allocation again; what was released stays released.

const sqlReleased = `
SELECT tier, allocation, released
FROM allocations
WHERE event_id = $1::UUID
FOR UPDATE`

const sqlReleasedSeats = `
SELECT seat, tier, allocation
FROM released_seats
WHERE event_id = $1::UUID AND seat = ANY($2::TEXT[])`

const sqlForgetReleasedSeats = `
DELETE FROM released_seats
WHERE event_id = $1::UUID AND seat = ANY($2::TEXT[])`

const sqlDeleteAllocations = `
DELETE FROM allocations AS a
USING unnest($2::TEXT[], $3::TEXT[]) AS u(tier, allocation)
WHERE a.event_id = $1::UUID AND a.tier = u.tier AND a.allocation = u.allocation`

const sqlUpsertAllocations = `
INSERT INTO allocations (event_id, tier, allocation, release_at, released, closed_at)
SELECT $1::UUID, u.tier, u.allocation, u.release_at, u.released, NULL
FROM unnest($2::TEXT[], $3::TEXT[], $4::TIMESTAMPTZ[], $5::INT8[]) AS u(tier, allocation, release_at, released)
ON CONFLICT (event_id, tier, allocation) DO UPDATE
SET closed_at = CASE WHEN allocations.release_at IS NOT DISTINCT FROM excluded.release_at THEN allocations.closed_at ELSE NULL END,
    release_at = excluded.release_at, released = excluded.released`

// readReleased finds what of the event was released, and which of the seats that the file moves or removes.
func (p *plan) readReleased(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	rows, err := tx.Query(ctx, sqlReleased, id)
	if err != nil {
		return fmt.Errorf("read allocations: %w", err)
	}
	var k stockKey
	var units int64
	if _, err := pgx.ForEachRow(rows, []any{&k.tier, &k.allocation, &units}, func() error { p.released[k] = units; return nil }); err != nil {
		return fmt.Errorf("read allocations: %w", err)
	}
	if len(p.released) == 0 {
		return nil
	}
	moved := append([]string(nil), p.removedSeats...)
	for _, seat := range p.movedSeats {
		moved = append(moved, seat.ID)
	}
	rows, err = tx.Query(ctx, sqlReleasedSeats, id, moved)
	if err != nil {
		return fmt.Errorf("read released seats: %w", err)
	}
	var seat string
	_, err = pgx.ForEachRow(rows, []any{&seat, &k.tier, &k.allocation}, func() error {
		p.forgotten = append(p.forgotten, seat)
		p.released[k]--
		return nil
	})
	if err != nil {
		return fmt.Errorf("read released seats: %w", err)
	}
	return nil
}

// adjust is the capacities that the tables shall have: those of the file, less what was released since.
func (p *plan) adjust() {
	p.wanted = p.after.stock()
	for k, units := range p.released {
		if _, stays := p.wanted[k]; stays {
			p.wanted[k] -= units
			p.wanted[stockKey{k.tier, GeneralAllocation}] += units
		}
	}
}

// andReleased is a part of messages about an allocation.
func (p *plan) andReleased(k stockKey) string {
	if p.released[k] == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d were released to general sale", p.released[k])
}

// compareAllocations notes other times of release and other presales.
func (p *plan) compareAllocations() {
	old := make(map[stockKey]time.Time)
	for _, a := range p.before.Allocations {
		old[stockKey{a.Tier, a.ID}] = a.ReleaseAt
	}
	for _, a := range p.after.Allocations {
		if at, known := old[stockKey{a.Tier, a.ID}]; known && !at.Equal(a.ReleaseAt) {
			p.note(true, "allocation %s/%s: released %s → %s", a.Tier, a.ID, instantText(at), instantText(a.ReleaseAt))
		}
	}
	before := make(map[string]Presale)
	for _, sale := range p.before.Presales {
		before[sale.ID] = sale
	}
	for _, sale := range p.after.Presales {
		known, ok := before[sale.ID]
		p.note(!ok, "presale %s: added", sale.ID)
		p.note(ok && known != sale, "presale %s: changed", sale.ID)
		delete(before, sale.ID)
	}
	for _, sale := range p.before.Presales {
		if _, gone := before[sale.ID]; gone {
			p.note(true, "presale %s: removed", sale.ID)
		}
	}
}

func instantText(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}

// writeAllocations brings the table to the file.
func (p *plan) writeAllocations(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if len(p.forgotten) > 0 {
		if err := exactly(ctx, tx, len(p.forgotten), sqlForgetReleasedSeats, id, p.forgotten); err != nil {
			return fmt.Errorf("forget released seats: %w", err)
		}
	}
	var gone stockRows
	for k := range p.released {
		if _, stays := p.wanted[k]; !stays {
			gone.add(k, 0)
		}
	}
	if len(gone.tiers) > 0 {
		if err := exactly(ctx, tx, len(gone.tiers), sqlDeleteAllocations, id, gone.tiers, gone.allocations); err != nil {
			return fmt.Errorf("remove allocations: %w", err)
		}
	}
	var kept stockRows
	var times []*time.Time
	for _, a := range p.after.Allocations {
		k := stockKey{a.Tier, a.ID}
		kept.add(k, p.released[k])
		var at *time.Time
		if !a.ReleaseAt.IsZero() {
			at = &a.ReleaseAt
		}
		times = append(times, at)
	}
	if len(times) > 0 {
		if err := exactly(ctx, tx, len(times), sqlUpsertAllocations, id, kept.tiers, kept.allocations, times, kept.capacities); err != nil {
			return fmt.Errorf("write allocations: %w", err)
		}
	}
	return nil
}
