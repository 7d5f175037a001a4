package inventory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"fairgate/core/inventory/seating"
)

// Refusals of those who leave the choice of seats to us, or want whole rows.
var (
	ErrApart          = errors.New("inventory: the seats that are free do not fit the party")
	ErrSectionUnknown = errors.New("inventory: no such section")
	ErrSectionSoldOut = errors.New("inventory: the section is sold out")
	ErrRowUnknown     = errors.New("inventory: no such row or table")
	ErrTableWhole     = errors.New("inventory: a table is sold whole")
)

// maxRows bounds how many whole rows one item asks for.
const maxRows = 20

// Best asks for the best seats there are, by the rules of package seating. Item.Tier, Section or both say where.
type Best struct {
	Quantity   int // people, those with needs and their companions included
	Section    string
	Accessible int // accessible seats among them
	Companions int // companions' seats among them
	Allow      seating.Allow
}

// Apart is the ErrApart that says what would help.
type Apart struct {
	Left  int      // seats free where the buyer asked
	Relax []string // what the buyer would have to allow; empty when nothing helps, or nobody has worked it out
}

// Error tells it in one line.
func (e *Apart) Error() string {
	text := fmt.Sprintf("%v: %d are left", ErrApart, e.Left)
	if len(e.Relax) > 0 {
		text += ", which would do with " + strings.Join(e.Relax, " and ")
	}
	return text
}

// Is makes it an ErrApart.
func (e *Apart) Is(target error) bool { return target == ErrApart }

// checkForm finds what is wrong with an item of one of the forms of this file and counts its people.
func (i Item) checkForm() (people int, err error) {
	if len(i.Seats) > 0 || i.Quantity != 0 || i.Best != nil && len(i.Rows) > 0 {
		return 0, fmt.Errorf("%w: an item is a quantity, seats, rows or the best seats, and only one of them", ErrItemsInvalid)
	}
	if !plain(i.Tier) || !plain(i.Allocation) {
		return 0, fmt.Errorf("%w: the name of a tier or allocation", ErrItemsInvalid)
	}
	if b := i.Best; b != nil {
		switch {
		case b.Quantity < 1 || b.Quantity > seating.MaxParty:
			return 0, fmt.Errorf("%w: the best seats are found for 1 to %d, not %d", ErrQuantityInvalid, seating.MaxParty, b.Quantity)
		case b.Accessible < 0 || b.Companions < 0 || b.Accessible+b.Companions > b.Quantity || b.Accessible == 0 && b.Companions > 0:
			return 0, fmt.Errorf("%w: %d people with %d accessible seats and %d companions", ErrQuantityInvalid, b.Quantity, b.Accessible, b.Companions)
		case i.Tier == "" && b.Section == "":
			return 0, fmt.Errorf("%w: the best seats of a tier or of a section", ErrItemsInvalid)
		}
		return b.Quantity, nil
	}
	if len(i.Rows) > maxRows {
		return 0, fmt.Errorf("%w: at most %d rows", ErrItemsInvalid, maxRows)
	}
	return len(i.Rows), nil
}

// resolve turns what the chart alone can tell into the plain forms: rows into their seats, a section into its tier. The
// items given are left as they are.
func (o *Offer) resolve(items []Item) ([]Item, error) {
	plain := true
	for i := range items {
		plain = plain && items[i].Best == nil && len(items[i].Rows) == 0
	}
	if plain {
		return items, o.checkTables(items)
	}
	if o.Chart == nil {
		return nil, fmt.Errorf("%w: the event has no seats", ErrItemsInvalid)
	}
	resolved := make([]Item, len(items))
	units := 0
	for i, item := range items {
		if b := item.Best; b != nil {
			if b.Section != "" {
				tier, ok := o.Chart.SectionTier(b.Section)
				if !ok {
					return nil, fmt.Errorf("%w: %q", ErrSectionUnknown, b.Section)
				}
				if item.Tier != "" && item.Tier != tier {
					return nil, fmt.Errorf("%w: section %q is of tier %q, not %q", ErrItemsInvalid, b.Section, tier, item.Tier)
				}
				item.Tier = tier
			}
			item.Quantity = b.Quantity
		}
		for _, row := range item.Rows {
			seats, ok := o.Chart.Row(row)
			if !ok {
				return nil, fmt.Errorf("%w: %q", ErrRowUnknown, row)
			}
			item.Seats = append(item.Seats, seats...)
			if units+len(item.Seats) > maxUnits {
				return nil, fmt.Errorf("%w: more than %d at once", ErrOverLimit, maxUnits)
			}
		}
		item.Rows = nil
		units += item.units()
		resolved[i] = item
	}
	if err := checkNamed(resolved); err != nil {
		return nil, err
	}
	return resolved, o.checkTables(resolved)
}

// units are what an item in a plain form asks for.
func (i *Item) units() int { return max(len(i.Seats), i.Quantity) }

// checkNamed finds what is wrong with items in the plain forms taken together: a row may hold a seat that stands beside it.
func checkNamed(items []Item) error {
	units := 0
	seen := make(map[string]struct{})
	for i := range items {
		if units += items[i].units(); units > maxUnits {
			return fmt.Errorf("%w: more than %d at once", ErrOverLimit, maxUnits)
		}
		for _, seat := range items[i].Seats {
			if _, twice := seen[seat]; twice {
				return fmt.Errorf("%w: seat %q is asked for twice", ErrItemsInvalid, seat)
			}
			seen[seat] = struct{}{}
		}
	}
	return nil
}

// checkTables refuses a part of a table.
func (o *Offer) checkTables(items []Item) error {
	if o.Chart == nil || !o.Chart.Tables() {
		return nil
	}
	named := make(map[string]bool)
	for _, item := range items {
		for _, seat := range item.Seats {
			named[seat] = true
		}
	}
	for seat := range named {
		place, ok := o.Chart.Find(seat)
		if !ok {
			continue // whoever reads the seats will say so
		}
		whole, _ := o.Chart.Table(place)
		for _, other := range whole {
			if !named[other] {
				return fmt.Errorf("%w: ask for all of %q", ErrTableWhole, other[:strings.LastIndexByte(other, '/')])
			}
		}
	}
	return nil
}

// wish is an item as package seating understands it.
func (i *Item) wish(o *op) seating.Wish {
	b := i.Best
	return seating.Wish{
		Tier: i.Tier, Section: b.Section, Quantity: b.Quantity, Accessible: b.Accessible, Companions: b.Companions, Allow: b.Allow,
		KeepCompanions: o.companionsKept(),
	}
}

// pick finds the best seats for an item and takes them in the mirror, for the ops that follow. What the stock row refuses
// is refused for that reason, whatever the mirror says.
func (d *decider) pick(o *op, item *Item, allocation string) ([]string, error) {
	key := stockKey{o.event, item.Tier, allocation}
	row, ok := d.was.stock[key]
	left := row.capacity - row.taken - d.plan.stock[key]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %q has no stock in allocation %q", ErrTierUnknown, item.Tier, allocation)
	case left <= 0:
		return nil, ErrSoldOut
	case row.waitlisted && !d.mayHaveKept(o):
		return nil, ErrWaitlisted
	case left < int64(item.Best.Quantity):
		return nil, fmt.Errorf("%w: %d of tier %q", ErrNotEnoughLeft, left, item.Tier)
	}
	m := d.was.mirrors[o.event]
	picked, err := m.pool(allocation).Pick(item.wish(o))
	var refusal *seating.Refusal
	switch {
	case errors.As(err, &refusal):
		if item.Best.Section != "" && refusal.Left == 0 {
			return nil, fmt.Errorf("%w: %q", ErrSectionSoldOut, item.Best.Section)
		}
		return nil, &Apart{Left: refusal.Left, Relax: refusal.Relax.Words()}
	case errors.Is(err, seating.ErrTier):
		return nil, fmt.Errorf("%w: %w", ErrTierUnknown, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrItemsInvalid, err)
	}
	names := make([]string, len(picked.Seats))
	for n, place := range picked.Seats {
		names[n] = m.chart.Name(place)
		d.reserve(o.event, allocation, names[n])
	}
	return names, nil
}

// reserve takes a seat in the mirror, if there is one of the event, until the op is refused or decide is done.
func (d *decider) reserve(event uuid.UUID, allocation, seat string) {
	m := d.was.mirrors[event]
	if m == nil {
		return
	}
	pool := m.free[allocation]
	if place, ok := m.chart.Find(seat); ok && pool != nil && pool.Take(place) {
		d.reserved = append(d.reserved, reservation{pool, place})
	}
}

// unreserve gives a seat back to the mirror, if there is one of the event, until decide is done.
func (d *decider) unreserve(event uuid.UUID, allocation, seat string) {
	if m := d.was.mirrors[event]; m != nil && m.free[allocation] != nil {
		m.set(allocation, seat, true)
	}
}

// reservation is a seat taken in a mirror for the op at hand.
type reservation struct {
	pool  *seating.Free
	place seating.Place
}

// settle ends an op: what it reserved stays taken for the ops that follow if it was granted.
func (d *decider) settle(granted bool) {
	if !granted {
		for _, r := range d.reserved {
			r.pool.Put(r.place)
		}
	}
	d.reserved = d.reserved[:0]
}
