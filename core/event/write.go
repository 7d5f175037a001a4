package event

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlDeleteTiers = `
DELETE FROM tiers
WHERE event_id = $1::UUID AND NOT tier = ANY($2::TEXT[])`

const sqlUpsertTiers = `
INSERT INTO tiers (event_id, tier, name, kind, face_minor, fee_minor, tax_minor, sort)
SELECT $1::UUID, u.tier, u.name, u.kind, u.face_minor, u.fee_minor, u.tax_minor, u.sort
FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[], $8::INT8[])
     AS u(tier, name, kind, face_minor, fee_minor, tax_minor, sort)
ON CONFLICT (event_id, tier) DO UPDATE
SET name = excluded.name, kind = excluded.kind, face_minor = excluded.face_minor, fee_minor = excluded.fee_minor,
    tax_minor = excluded.tax_minor, sort = excluded.sort`

const sqlInsertStock = `
INSERT INTO stock (event_id, tier, allocation, capacity, taken, version)
SELECT $1::UUID, u.tier, u.allocation, u.capacity, 0, 1
FROM unnest($2::TEXT[], $3::TEXT[], $4::INT8[]) AS u(tier, allocation, capacity)`

const sqlUpdateStock = `
UPDATE stock AS s
SET capacity = u.capacity, version = s.version + 1
FROM unnest($2::TEXT[], $3::TEXT[], $4::INT8[]) AS u(tier, allocation, capacity)
WHERE s.event_id = $1::UUID AND s.tier = u.tier AND s.allocation = u.allocation`

const sqlDeleteStock = `
DELETE FROM stock AS s
USING unnest($2::TEXT[], $3::TEXT[]) AS u(tier, allocation)
WHERE s.event_id = $1::UUID AND s.tier = u.tier AND s.allocation = u.allocation AND s.taken = 0`

const sqlInsertSeats = `
INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state, hold_id)
SELECT $1::UUID, u.seat, u.section, u.row_label, u.number, u.tier, u.allocation, 'free', NULL
FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::TEXT[], $7::TEXT[]) AS u(seat, section, row_label, number, tier, allocation)`

const sqlMoveSeats = `
UPDATE seats AS s
SET tier = u.tier, allocation = u.allocation
FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[]) AS u(seat, tier, allocation)
WHERE s.event_id = $1::UUID AND s.seat = u.seat AND s.state IN ('free', 'blocked')`

const sqlDeleteSeats = `
DELETE FROM seats
WHERE event_id = $1::UUID AND seat = ANY($2::TEXT[]) AND state IN ('free', 'blocked')`

// errDrifted means that the tables are not what the applied spec says: somebody else wrote to them.
var errDrifted = errors.New("event: stock or seats differ from the applied event file")

// write carries the plan out. Every statement must touch exactly the rows it was planned for.
func (p *plan) write(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	for _, step := range []func(context.Context, pgx.Tx, uuid.UUID) error{p.writeTiers, p.writeStock, p.writeSeats, p.writeAllocations} {
		if err := step(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) writeTiers(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	n := len(p.after.Tiers)
	ids, names, kinds := make([]string, n), make([]string, n), make([]string, n)
	faces, fees, taxes, sorts := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, t := range p.after.Tiers {
		price, err := p.after.Price(t)
		if err != nil {
			return err
		}
		ids[i], names[i], kinds[i], sorts[i] = t.ID, t.Name, t.Kind, int64(i)
		faces[i], fees[i], taxes[i] = price.Face.Minor, price.Fee.Minor, price.Tax.Minor
	}
	if p.before.ID != "" {
		if _, err := tx.Exec(ctx, sqlDeleteTiers, id, ids); err != nil {
			return fmt.Errorf("remove tiers: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, sqlUpsertTiers, id, ids, names, kinds, faces, fees, taxes, sorts); err != nil {
		return fmt.Errorf("write tiers: %w", err)
	}
	return nil
}

// stockRows are columns of the table stock.
type stockRows struct {
	tiers, allocations []string
	capacities         []int64
}

func (r *stockRows) add(k stockKey, capacity int64) {
	r.tiers, r.allocations, r.capacities = append(r.tiers, k.tier), append(r.allocations, k.allocation), append(r.capacities, capacity)
}

func (p *plan) writeStock(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	var added, changed, removed stockRows
	wanted := p.wanted
	for _, k := range sortedStock(p.stock, wanted) {
		row, known := p.stock[k]
		capacity, stays := wanted[k]
		switch {
		case !known:
			added.add(k, capacity)
		case !stays:
			removed.add(k, 0)
		case row.capacity != capacity:
			changed.add(k, capacity)
		}
	}
	if len(removed.tiers) > 0 {
		if err := exactly(ctx, tx, len(removed.tiers), sqlDeleteStock, id, removed.tiers, removed.allocations); err != nil {
			return fmt.Errorf("remove stock: %w", err)
		}
	}
	if len(changed.tiers) > 0 {
		if err := exactly(ctx, tx, len(changed.tiers), sqlUpdateStock, id, changed.tiers, changed.allocations, changed.capacities); err != nil {
			return fmt.Errorf("change stock: %w", err)
		}
	}
	if len(added.tiers) > 0 {
		if err := exactly(ctx, tx, len(added.tiers), sqlInsertStock, id, added.tiers, added.allocations, added.capacities); err != nil {
			return fmt.Errorf("add stock: %w", err)
		}
	}
	return nil
}

func (p *plan) writeSeats(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	for part := range slices.Chunk(p.removedSeats, planRows) {
		if err := exactly(ctx, tx, len(part), sqlDeleteSeats, id, part); err != nil {
			return fmt.Errorf("remove seats: %w", err)
		}
	}
	for part := range slices.Chunk(p.movedSeats, planRows) {
		n := len(part)
		ids, tiers, allocations := make([]string, n), make([]string, n), make([]string, n)
		for i, seat := range part {
			ids[i], tiers[i], allocations[i] = seat.ID, seat.Tier, seat.Allocation
		}
		if err := exactly(ctx, tx, n, sqlMoveSeats, id, ids, tiers, allocations); err != nil {
			return fmt.Errorf("move seats: %w", err)
		}
	}
	for part := range slices.Chunk(p.addedSeats, planRows) {
		n := len(part)
		ids, sections, labels := make([]string, n), make([]string, n), make([]string, n)
		numbers, tiers, allocations := make([]int64, n), make([]string, n), make([]string, n)
		for i, seat := range part {
			ids[i], sections[i], labels[i] = seat.ID, seat.Section, seat.Row
			numbers[i], tiers[i], allocations[i] = seat.Number, seat.Tier, seat.Allocation
		}
		if err := exactly(ctx, tx, n, sqlInsertSeats, id, ids, sections, labels, numbers, tiers, allocations); err != nil {
			return fmt.Errorf("add seats: %w", err)
		}
	}
	return nil
}

// exactly runs a statement that must touch n rows.
func exactly(ctx context.Context, tx pgx.Tx, n int, sql string, args ...any) error {
	tag, err := tx.Exec(ctx, sql, args...)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != int64(n) {
		return fmt.Errorf("%w: %d rows instead of %d", errDrifted, tag.RowsAffected(), n)
	}
	return nil
}
