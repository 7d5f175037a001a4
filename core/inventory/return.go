package inventory

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What is left of a hold is written only if it is sold and still as it was read. A hold of which everything was given back
// is closed and keeps the units it had last, as any other hold that is over.
const sqlShrinkHolds = `
UPDATE holds AS h SET units = k.units, items = k.items
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::INT8[]) AS k (hold_id, units, items, was)
WHERE h.hold_id = k.hold_id AND h.state = 'sold' AND h.units = k.was`

// Part is what is given back of one sold hold: each item names a tier with a quantity, or seats; an allocation only where
// the hold has units of one tier in several.
type Part struct {
	Hold  uuid.UUID
	Items []Item
	Units []uuid.UUID // by which its units are passed on (Pass); needed of those that may have been
}

// Return puts parts of sold holds back on sale: stock, seats and quotas get the units back, the hold keeps the others and
// becomes released when none is left. What is to be kept off sale is not returned: its units stay with the hold. The map
// has an entry for each hold that stays as it was: ErrHoldUnknown, ErrHoldClosed (not sold), ErrItemsInvalid (it has not
// got these units). A hold may be named once.
func Return(ctx context.Context, tx pgx.Tx, parts []Part) (map[uuid.UUID]error, error) {
	parts = slices.SortedFunc(slices.Values(parts), func(a, b Part) int { return bytes.Compare(a.Hold[:], b.Hold[:]) })
	ids := make([]uuid.UUID, len(parts))
	for i, part := range parts {
		if ids[i] = part.Hold; i > 0 && ids[i] == ids[i-1] {
			return nil, fmt.Errorf("%w: hold %s is returned twice at once", ErrItemsInvalid, part.Hold)
		}
	}
	holds, err := Read(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	passed, err := readPassed(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var units []uuid.UUID
	failed := make(map[uuid.UUID]error)
	p := plan{stock: make(map[stockKey]int64), quota: make(map[uuid.UUID]quotaChange)}
	for _, part := range parts {
		switch h, known := holds[part.Hold]; {
		case !known:
			failed[part.Hold] = ErrHoldUnknown
		case h.State != Sold:
			failed[part.Hold] = ErrHoldClosed
		default:
			if err := p.takeOut(h, part.Items); err != nil {
				failed[part.Hold] = err
				continue
			}
			units = append(units, p.uncount(slices.DeleteFunc(slices.Clone(passed), func(u passedUnit) bool {
				return u.hold != part.Hold || !slices.Contains(part.Units, u.unit)
			}))...)
		}
	}
	if p.writes() {
		if err := p.write(ctx, tx); err != nil {
			return nil, fmt.Errorf("return parts of %d holds: %w", len(p.closes), err)
		}
	}
	return failed, forgetPassed(ctx, tx, units)
}

// takeOut plans that a sold hold gives items back.
func (p *plan) takeOut(h Hold, items []Item) error {
	rest, given := h.Items, []Item(nil)
	for _, want := range items {
		var err error
		if rest, given, err = without(rest, given, want); err != nil {
			return err
		}
	}
	left, units := 0, 0
	for _, item := range rest {
		left += item.Quantity
	}
	for _, item := range given {
		units += item.Quantity
	}
	switch {
	case units == 0:
		return fmt.Errorf("%w: nothing is given back", ErrItemsInvalid)
	case left == 0:
		rest = nil
	}
	was := h.Units
	h.Items, h.Units = given, units
	next := Sold
	if left == 0 {
		next = Released
	}
	p.giveBack(h, Sold, next)
	c := &p.closes[len(p.closes)-1]
	c.returned, c.rest, c.was = true, rest, was
	return nil
}

// without takes one wanted item out of a hold's and adds it to what is given back, which has an item for each item of the
// hold that gives some of it.
func without(items, given []Item, want Item) (rest, out []Item, err error) {
	rest, out = make([]Item, 0, len(items)), given
	open := want.Quantity
	if len(want.Seats) > 0 {
		open = len(want.Seats)
	}
	if open <= 0 || len(want.Seats) > 0 && want.Quantity != 0 && want.Quantity != len(want.Seats) {
		return nil, nil, fmt.Errorf("%w: %d of tier %q are given back", ErrItemsInvalid, want.Quantity, want.Tier)
	}
	for _, item := range items {
		fits := (want.Tier == "" || want.Tier == item.Tier) && (want.Allocation == "" || want.Allocation == item.Allocation)
		part, n := item, 0
		part.Seats = nil
		switch {
		case !fits:
		case len(want.Seats) > 0:
			keep := make([]string, 0, len(item.Seats))
			for _, seat := range item.Seats {
				if slices.Contains(want.Seats, seat) {
					part.Seats = append(part.Seats, seat)
				} else {
					keep = append(keep, seat)
				}
			}
			item.Seats, n = keep, len(part.Seats)
		case len(item.Seats) == 0:
			n = min(open, item.Quantity)
		}
		if n > 0 {
			part.Quantity = n
			item.Quantity -= n
			open -= n
			out = append(out, part)
		}
		if item.Quantity > 0 {
			rest = append(rest, item)
		}
	}
	if open != 0 {
		return nil, nil, fmt.Errorf("%w: the hold has not got %v of tier %q", ErrItemsInvalid, orQuantity(want), want.Tier)
	}
	return rest, out, nil
}

func orQuantity(item Item) any {
	if len(item.Seats) > 0 {
		return item.Seats
	}
	return item.Quantity
}

// queueShrinks writes what is left of holds that give back a part.
func (p *plan) queueShrinks(b *pgx.Batch) {
	var ids [][16]byte
	var units, were []int64
	var items []string
	for i := range p.closes {
		c := &p.closes[i]
		if len(c.rest) == 0 {
			continue
		}
		ids, items = append(ids, c.hold.ID), append(items, encodeItems(c.rest))
		units, were = append(units, int64(c.was-c.hold.Units)), append(were, int64(c.was))
	}
	if len(ids) > 0 {
		b.Queue(sqlShrinkHolds, ids, units, items, were).Exec(exactly("shrink holds", len(ids)))
	}
}
