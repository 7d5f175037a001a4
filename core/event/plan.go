package event

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// planRows is how many rows one statement carries.
const planRows = 1000

const sqlStockForUpdate = `
SELECT tier, allocation, capacity, taken
FROM stock
WHERE event_id = $1::UUID AND price_no = 0
ORDER BY tier, allocation
FOR UPDATE`

const sqlSeatStates = `
SELECT seat, state
FROM seats
WHERE event_id = $1::UUID AND seat = ANY($2::TEXT[])`

// sqlSaleUnderWay asks the waiting room's table: entrants are made of identities from the moment joining opens.
const sqlSaleUnderWay = `
SELECT phase
FROM draws
WHERE event_id = $1::UUID AND phase NOT IN ('announced', 'ended')`

// stockRow is what the table has of one tier and allocation.
type stockRow struct{ capacity, taken int64 }

// plan is what has to be written to get from one spec to another.
type plan struct {
	complaints
	changes []string

	before, after Spec
	stock         map[stockKey]stockRow
	taken         map[string]int64   // by tier
	released      map[stockKey]int64 // units that went from an allocation to general sale
	wanted        map[stockKey]int64 // capacities as they shall be

	addedSeats, movedSeats []Seat
	removedSeats           []string
	forgotten              []string // released seats that the file moves or removes
}

// planChanges compares the spec that is applied with the one that shall be, and refuses with Problems.
func planChanges(ctx context.Context, tx pgx.Tx, id uuid.UUID, before, after Spec) (*plan, error) {
	p := &plan{
		complaints: complaints{at: after.at}, before: before, after: after,
		stock: make(map[stockKey]stockRow), taken: make(map[string]int64), released: make(map[stockKey]int64),
	}
	if before.ID != "" { // a new event has none, or else inserting its own fails
		if err := p.readStock(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	p.compareSeats()
	if before.ID != "" {
		if err := p.readReleased(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	p.adjust()
	if err := p.checkSeatStates(ctx, tx, id); err != nil {
		return nil, err
	}
	if err := p.checkIdentity(ctx, tx, id); err != nil {
		return nil, err
	}
	p.compareLeaves()
	p.compareTiers()
	p.compareStock()
	p.compareAllocations()
	return p, p.err()
}

func (p *plan) readStock(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	rows, err := tx.Query(ctx, sqlStockForUpdate, id)
	if err != nil {
		return fmt.Errorf("read stock: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var k stockKey
		var r stockRow
		if err := rows.Scan(&k.tier, &k.allocation, &r.capacity, &r.taken); err != nil {
			return fmt.Errorf("read stock: %w", err)
		}
		p.stock[k] = r
		p.taken[k.tier] += r.taken
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read stock: %w", err)
	}
	return nil
}

// compareSeats finds seats added, removed and moved to another tier or allocation. The table has what the applied spec says, so
// only the seats that change are ever read.
func (p *plan) compareSeats() {
	before := make(map[string]Seat)
	for _, seat := range p.before.Seats() {
		before[seat.ID] = seat
	}
	for _, seat := range p.after.Seats() {
		known, ok := before[seat.ID]
		switch {
		case !ok:
			p.addedSeats = append(p.addedSeats, seat)
		case known != seat:
			p.movedSeats = append(p.movedSeats, seat)
		}
		delete(before, seat.ID)
	}
	p.removedSeats = slices.Sorted(maps.Keys(before))
	p.note(len(p.addedSeats) > 0, "seats: %d added", len(p.addedSeats))
	p.note(len(p.movedSeats) > 0, "seats: %d moved to another tier or allocation", len(p.movedSeats))
	p.note(len(p.removedSeats) > 0, "seats: %d removed", len(p.removedSeats))
}

func (p *plan) note(when bool, format string, args ...any) {
	if when {
		p.changes = append(p.changes, fmt.Sprintf(format, args...))
	}
}

// checkSeatStates refuses to remove or move seats that are held or sold.
func (p *plan) checkSeatStates(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	removed, err := takenSeats(ctx, tx, id, p.removedSeats)
	if err != nil {
		return err
	}
	if len(removed) > 0 {
		p.add("seating", "%s cannot be removed: held or sold", list(removed))
	}
	ids := make([]string, len(p.movedSeats))
	for i, seat := range p.movedSeats {
		ids[i] = seat.ID
	}
	moved, err := takenSeats(ctx, tx, id, ids)
	if err != nil {
		return err
	}
	if len(moved) > 0 {
		p.add("seating", "%s cannot change tier or allocation: held or sold", list(moved))
	}
	return nil
}

func takenSeats(ctx context.Context, tx pgx.Tx, id uuid.UUID, seats []string) ([]string, error) {
	var taken []string
	for part := range slices.Chunk(seats, planRows) {
		rows, err := tx.Query(ctx, sqlSeatStates, id, part)
		if err != nil {
			return nil, fmt.Errorf("read seats: %w", err)
		}
		var seat, state string
		_, err = pgx.ForEachRow(rows, []any{&seat, &state}, func() error {
			if state != "free" && state != "blocked" {
				taken = append(taken, seat)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read seats: %w", err)
		}
	}
	slices.Sort(taken)
	return taken, nil
}

// list names a few seats and counts the others.
func list(seats []string) string {
	const most = 5
	if len(seats) <= most {
		return "seats " + strings.Join(seats, ", ")
	}
	return fmt.Sprintf("seats %s and %d more", strings.Join(seats[:most], ", "), len(seats)-most)
}

// checkIdentity refuses another kind of identity while entrants made of the old one wait.
func (p *plan) checkIdentity(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if p.before.ID == "" || p.before.OnSale.Identity == p.after.OnSale.Identity {
		return nil
	}
	var phase string
	switch err := tx.QueryRow(ctx, sqlSaleUnderWay, id).Scan(&phase); {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return fmt.Errorf("read the on-sale: %w", err)
	default:
		p.add("on_sale.identity", "cannot change from %s while the on-sale is %s", p.before.OnSale.Identity, phase)
	}
	return nil
}

// compareLeaves notes changes of single values and refuses those that money depends on.
func (p *plan) compareLeaves() {
	var taken int64
	for _, n := range p.taken {
		taken += n
	}
	before := p.before.leaves()
	for i, l := range p.after.leaves() {
		old := before[i].value
		if old == l.value {
			continue
		}
		p.note(true, "%s: %v → %v", l.path, old, l.value)
		if l.promised && taken > 0 {
			p.add(l.path, "cannot change from %v while %d tickets are held or sold", old, taken)
		}
	}
}

// leaf is a single value of a spec.
type leaf struct {
	path     string
	value    any
	promised bool // holds and the ledger depend on it
}

// leaves lists the single values of a spec, always the same ones in the same order.
func (s Spec) leaves() []leaf {
	return []leaf{
		{"name", s.Name, false},
		{"category", s.Category, false},
		{"summary", s.Summary, false},
		{"performers", strings.Join(s.Performers, ", "), false},
		{"tags", strings.Join(s.Tags, ", "), false},
		{"organizer", s.Organizer, true},
		{"venue.name", s.Venue.Name, false},
		{"venue.city", s.Venue.City, false},
		{"venue.country", s.Venue.Country, false},
		{"venue.region", s.Venue.Region, false},
		{"time_zone", s.TimeZone, false},
		{"starts_at", s.StartsAt.UTC().Format(time.RFC3339), false},
		{"currency", s.Currency, true},
		{"fees.per_ticket", s.Fees.PerTicket, false}, // a tier's price says whether that breaks a promise
		{"fees.percent", s.Fees.Percent, false},
		{"taxes.percent", s.Taxes.Percent, false},
		{"taxes.included", s.Taxes.Included, false},
		{"limits.per_buyer", s.Limits.PerBuyer, false},
		{"limits.per_account", s.Limits.PerAccount, false},
		{"limits.per_device", s.Limits.PerDevice, false},
		{"limits.per_address", s.Limits.PerAddress, false},
		{"limits.per_card", s.Limits.PerCard, false},
		{"tour.id", s.Tour.ID, true}, // what is held or sold counts in the tour it was held in
		{"tour.per_device", s.Tour.PerDevice, false},
		{"tour.per_address", s.Tour.PerAddress, false},
		{"tour.per_card", s.Tour.PerCard, false},
		{"hold.ttl", s.Hold.TTL, false},
		{"hold.payment_extension", s.Hold.PaymentExtension, false},
		{"resale.allowed", s.Resale.Allowed, false}, // who has listed a ticket keeps the price that was agreed on
		{"resale.authorized", s.Resale.Authorized, false},
		{"resale.cap", cmp.Or(s.Resale.Cap, CapFace), false},
		{"resale.cap_percent", s.Resale.CapPercent, false},
		{"resale.base", cmp.Or(s.Resale.Base, BaseFirst), false},
		{"resale.seller_fee_percent", s.Resale.SellerFee, false},
		{"resale.organizer_share_percent", s.Resale.OrganizerShare, false},
		{"resale.buyer_fee", s.Resale.BuyerFee, false},
		{"resale.closes_before", cmp.Or(s.Resale.ClosesBefore, Duration{defaultResaleCloses}), false},
		{"resale.pay_sellers", s.Resale.PayAfter, false},
		{"resale.max_listings_per_seller", cmp.Or(s.Resale.MaxListings, defaultMostListings), false},
		{"payment.methods", strings.Join(s.Payment.Methods, ", "), false},
		{"payment.transfer_within", s.Payment.TransferWithin, false},
		{"on_sale.identity", s.OnSale.Identity, false}, // see checkIdentity
		{"on_sale.joining_before", s.OnSale.JoiningBefore, false},
		{"on_sale.window", s.OnSale.Window, false},
		{"on_sale.max_per_network", s.OnSale.MaxPerNetwork, false},
		{"on_sale.session_ttl", s.OnSale.SessionTTL, false},
		{"on_sale.claim_within", s.OnSale.ClaimWithin, false},
		{"on_sale.max_inside", s.OnSale.MaxInside, false},
		{"on_sale.pace_per_second", s.OnSale.PacePerSecond, false},
		{"gates.rotating", s.Gates.Rotating, false},
		{"gates.reentry", cmp.Or(s.Gates.Reentry, EnterOnce), false},
		{"seating.companions_released_before", s.Companions, false},
		{"gates.companions", s.Gates.companions(), false},
		{"gates.close_after", cmp.Or(s.Gates.CloseAfter, Duration{defaultCloseAfter}), false},
		{"transfer.allowed", !s.Transfer.Forbidden, false},
		{"transfer.exempt", s.Transfer.Exempt, false},
		{"transfer.closes_before", cmp.Or(s.Transfer.ClosesBefore, Duration{defaultTransferCloses}), false},
		{"transfer.expires_after", cmp.Or(s.Transfer.ExpiresAfter, Duration{defaultOfferLife}), false},
		{"transfer.most", cmp.Or(s.Transfer.Most, defaultMostTransfers), false},
		{"waiting_list.enabled", s.Waitlist.Enabled, false},
		{"waiting_list.first", cmp.Or(s.Waitlist.First, FirstBoth), false},
		{"waiting_list.offer_for", cmp.Or(s.Waitlist.OfferFor, Duration{defaultWaitlistOffer}), false}, // offers that stand keep what they said
		{"waiting_list.draw_after", cmp.Or(s.Waitlist.DrawAfter, Duration{defaultWaitlistDraw}), false},
		{"waiting_list.closes_before", cmp.Or(s.Waitlist.ClosesBefore, Duration{defaultWaitlistCloses}), false},
	}
}

// compareTiers notes tiers added, changed and removed, and refuses another price or kind of what is taken.
func (p *plan) compareTiers() {
	for i, t := range p.after.Tiers {
		old, at := p.before.tier(t.ID)
		if at < 0 {
			p.note(true, "tier %s: added", t.ID)
			continue
		}
		path, taken := fmt.Sprintf("tiers[%d]", i), p.taken[t.ID]
		p.note(old.Name != t.Name, "tier %s: name %s → %s", t.ID, old.Name, t.Name)
		p.note(old.Kind != t.Kind, "tier %s: %s → %s", t.ID, old.Kind, t.Kind)
		if old.Kind != t.Kind && taken > 0 {
			p.add(path+".kind", "cannot change from %s while %d tickets are held or sold", old.Kind, taken)
		}
		before, err1 := p.before.Price(old)
		after, err2 := p.after.Price(t)
		if err := errors.Join(err1, err2); err != nil {
			p.add(path+".price", "%v", err)
			continue
		}
		if before != after {
			p.note(true, "tier %s: all-in price %s → %s", t.ID, before.AllIn, after.AllIn)
			if taken > 0 {
				p.add(path+".price", "price, fees or taxes cannot change (all-in %s → %s) while %d tickets are held or sold", before.AllIn, after.AllIn, taken)
			}
		}
	}
	for _, t := range p.before.Tiers {
		if _, at := p.after.tier(t.ID); at >= 0 {
			continue
		}
		p.note(true, "tier %s: removed", t.ID)
		if taken := p.taken[t.ID]; taken > 0 {
			p.add("tiers", "tier %s cannot be removed while %d of its tickets are held or sold", t.ID, taken)
		}
	}
}

// compareStock notes other capacities and refuses less than is taken.
func (p *plan) compareStock() {
	wanted := p.wanted
	for _, k := range sortedStock(p.stock, wanted) {
		row, known := p.stock[k]
		capacity := wanted[k]
		p.note(known && row.capacity != capacity, "stock %s/%s: %d → %d", k.tier, k.allocation, row.capacity, capacity)
		if _, at := p.after.tier(k.tier); at >= 0 && row.taken > capacity {
			p.add(p.after.stockPath(k, at), "%s of tier %s cannot go down to %d: %d are held or sold%s", k.allocation, k.tier, capacity, row.taken, p.andReleased(k))
		}
	}
}

// stockPath is where a file says how much there is of a tier, its place being at, and allocation.
func (s Spec) stockPath(k stockKey, at int) string {
	if k.allocation == GeneralAllocation && s.Tiers[at].Kind == General {
		return fmt.Sprintf("tiers[%d].capacity", at)
	}
	for i, a := range s.Allocations {
		if a.ID == k.allocation && a.Tier == k.tier {
			return fmt.Sprintf("allocations[%d].quantity", i)
		}
	}
	return fmt.Sprintf("tiers[%d]", at)
}

func sortedStock(a map[stockKey]stockRow, b map[stockKey]int64) []stockKey {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y stockKey) int {
		if c := strings.Compare(x.tier, y.tier); c != 0 {
			return c
		}
		return strings.Compare(x.allocation, y.allocation)
	})
	return keys
}
