package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// action is what an op wants.
type action uint8

const (
	grant   action = iota // a new hold, or the one the same request got before
	release               // a buyer gives a hold back
	expire                // the sweep found the deadline passed
)

// op is one request to a lane.
type op struct {
	do      action
	id      uuid.UUID // of the hold
	event   uuid.UUID
	entrant lottery.Entrant
	items   []Item   // asked for (grant), or the hold's own, which never change (release, expire)
	body    [32]byte // grant only
	offer   *Offer   // grant only
	window  *Window  // grant only: the presale it comes through; nil for general sale
	counts  []count  // grant only: the limits that the hold counts in, all different
	never   error    // grant only: why it can be nothing but a repetition; the writer need not see it

	waitlist  bool          // grant only: may have what is kept for a waiting list
	ttl       time.Duration // grant only: how long the hold lives; 0: as the offer says
	instead   uuid.UUID     // grant only: the buyer's own earlier hold, which is closed first if it is due; uuid.Nil for none
	otherwise []Item        // grant only: asked for where items are refused; nil for nothing else
}

// mentioned are all items that an op may get, in whichever way.
func (o *op) mentioned() []Item {
	if len(o.otherwise) == 0 {
		return o.items
	}
	return slices.Concat(o.items, o.otherwise)
}

// last are the items that a refusal of the op is about.
func (o *op) last() []Item {
	if len(o.otherwise) == 0 {
		return o.items
	}
	return o.otherwise
}

// count is a row of quota that a hold's units count in.
type count struct {
	id    uuid.UUID // quotaID of the rest
	scope uuid.UUID
	kind  string
	buyer lottery.Entrant
	limit int64
}

// Keys of the rows a batch works on.
type (
	stockKey struct {
		event            uuid.UUID
		tier, allocation string
	}
	seatKey struct {
		event uuid.UUID
		seat  string
	}
)

type stockRow struct {
	capacity, taken, version int64
	priceMinor, priceNo      int64 // of a listing
	waitlisted               bool  // what is free of it is kept for a waiting list
}

type seatRow struct {
	tier, allocation string
	free             bool
}

// snapshot is what the database held for the rows of a batch. decide does not change it.
type snapshot struct {
	stock map[stockKey]stockRow
	seats map[seatKey]seatRow
	quota map[uuid.UUID]int64 // units taken by quota id; no entry means that there is no row
	holds map[uuid.UUID]Hold

	owners map[seatKey]lottery.Entrant // of accessible seats beside companions' seats that ops ask for, if they are sold

	now     time.Time             // of the database's clock, if somebody comes through a window
	mirrors map[uuid.UUID]*mirror // of events of which somebody wants the best seats; decide leaves them as they were

	// strangers are ops whose buyers were taken for new without looking. What the writes assume of them is guarded; a
	// refusal is not, and has to be decided again after looking.
	strangers []int
}

// rebuffs tells whether a plan refuses somebody who was not looked up, or takes a row of quota for new in which a hold
// counts that the plan closes.
func (s *snapshot) rebuffs(p *plan) bool {
	if len(s.strangers) == 0 {
		return false
	}
	for _, i := range s.strangers {
		if p.answers[i].err != nil {
			return true
		}
	}
	if len(p.closes) == 0 {
		return false
	}
	for _, change := range p.quota {
		if change.fresh && change.units < 0 {
			return true
		}
	}
	return false
}

// answer is what one op's caller gets.
type answer struct {
	hold Hold
	err  error
}

// granted is a hold to insert.
type granted struct {
	hold   Hold
	first  stockKey // row whose version becomes the hold's CommitNo
	ttl    time.Duration
	window *Window
	kept   bool  // it may have what is kept for a waiting list
	op     int   // the request
	again  []int // its repetitions in the same batch
}

// closing is a hold to close, and how its row has to look for that.
type closing struct {
	hold     Hold // as it will be; of a part that is returned, with the items of that part alone
	previous State
	ops      []int

	returned bool   // a part of a sold hold is given back, or the last of it
	rest     []Item // what the hold keeps then; empty closes it
	was      int    // units it had
}

// seatMove is a seat that a hold takes or gives back.
type seatMove struct {
	seatKey
	hold             uuid.UUID
	tier, allocation string // only of one that is taken: the stock row it counts in
}

// quotaChange is what a batch does to a buyer's row.
type quotaChange struct {
	count       // with the limit as the last grant had it, 0 without grants
	units int64 // change of taken
	fresh bool  // there is no row yet
}

// plan is the outcome of a batch: an answer for each op, and what to write before any of them may be given.
type plan struct {
	answers []answer
	grants  []granted
	closes  []closing
	stock   map[stockKey]int64 // change of taken; an entry of 0 still counts as a change of the row
	quota   map[uuid.UUID]quotaChange
	freed   []seatMove // seats to free; all of them before taken
	taken   []seatMove
	moves   []Hold             // sold holds that take a seat for one of closes, which is their only item here
	rests   map[stockKey]int64 // least that must be taken before the batch, or a refusal that rests on its grants is untrue
	after   map[stockKey]Stock // the stock rows as they were written
}

// writes tells whether there is anything to commit.
func (p *plan) writes() bool { return len(p.grants)+len(p.closes) > 0 }

// decider is decide at work: what was before the batch, and what the ops so far make of it.
type decider struct {
	was     *snapshot
	plan    plan
	refused map[uuid.UUID]error
	free    map[seatKey]bool  // seats that this batch took or freed
	given   map[uuid.UUID]int // grants by id: index into plan.grants
	shut    map[uuid.UUID]int // closes by id: index into plan.closes

	reserved []reservation // by the op at hand
}

// decide answers ops in their order, each as if the ones before had been committed. It is a pure function. refused names
// holds that the Released hook will not let go, and those for which a window has closed.
func decide(s *snapshot, ops []op, refused map[uuid.UUID]error) plan {
	d := &decider{
		was: s, refused: refused,
		plan: plan{
			answers: make([]answer, len(ops)),
			stock:   make(map[stockKey]int64),
			quota:   make(map[uuid.UUID]quotaChange, len(ops)),
			grants:  make([]granted, 0, len(ops)),
		},
		free:  make(map[seatKey]bool),
		given: make(map[uuid.UUID]int, len(ops)),
		shut:  make(map[uuid.UUID]int),
	}
	for _, m := range s.mirrors {
		m.begin()
		defer m.end()
	}
	for i := range ops {
		var err error
		switch o := &ops[i]; o.do {
		case grant:
			err = d.grant(i, o)
			d.settle(err == nil)
		case release:
			err = d.release(i, o)
		case expire:
			err = d.expire(i, o)
		}
		if err != nil {
			d.plan.answers[i].err = err
		}
	}
	return d.plan
}

// grant gives the op a hold, an older one or a new one, or says why not. What the buyer can never have is told before
// what is only gone at the moment.
func (d *decider) grant(i int, o *op) error {
	if n, ok := d.given[o.id]; ok {
		if d.plan.grants[n].hold.BodyHash != o.body {
			return ErrKeyReused
		}
		d.plan.grants[n].again = append(d.plan.grants[n].again, i)
		return nil
	}
	if h, ok := d.was.holds[o.id]; ok {
		if h.BodyHash != o.body {
			return ErrKeyReused
		}
		if n, ok := d.shut[o.id]; ok {
			d.plan.closes[n].ops = append(d.plan.closes[n].ops, i)
			return nil
		}
		d.plan.answers[i].hold = h
		return nil
	}
	d.takeOver(o)
	if o.window != nil {
		if err := cmp.Or(d.refused[o.id], o.window.refuses(d.was.now)); err != nil {
			return err
		}
	}
	lines, units, err := d.fitting(o, o.items)
	if err != nil && len(o.otherwise) > 0 {
		d.settle(false)
		lines, units, err = d.fitting(o, o.otherwise)
	}
	if err != nil {
		return err
	}
	g := granted{
		first: stockKey{o.event, lines[0].Tier, lines[0].Allocation}, ttl: cmp.Or(o.ttl, o.offer.HoldTTL), window: o.window, kept: d.mayHaveKept(o), op: i,
		hold: Hold{
			ID: o.id, Event: o.event, Entrant: o.entrant, State: Active, Units: units, Items: lines, BodyHash: o.body,
			Amount: ledger.Amount{Currency: o.offer.Currency}, others: others(o.counts),
		},
	}
	for n := range lines {
		line := &lines[n]
		price := o.offer.Tiers[line.Tier].PriceMinor
		if Listed(line.Allocation) {
			row := d.was.stock[stockKey{o.event, line.Tier, line.Allocation}]
			price, line.PriceNo = row.priceMinor, row.priceNo
		}
		g.hold.Amount.Minor += price * int64(line.Quantity)
		d.plan.stock[stockKey{o.event, line.Tier, line.Allocation}] += int64(line.Quantity)
		for _, seat := range line.Seats {
			key := seatKey{o.event, seat}
			d.free[key] = false
			d.plan.taken = append(d.plan.taken, seatMove{key, o.id, line.Tier, line.Allocation})
		}
	}
	for _, c := range o.counts {
		_, known := d.was.quota[c.id]
		d.plan.quota[c.id] = quotaChange{count: c, units: d.plan.quota[c.id].units + int64(units), fresh: !known}
	}
	d.given[o.id] = len(d.plan.grants)
	d.plan.grants = append(d.plan.grants, g)
	return nil
}

// takeOver closes the hold instead of which the op wants another, if it is past its deadline and nobody has closed it yet. What it
// gives back is there for the op before anybody else; it stays closed if the op is refused, as the sweep would have it.
func (d *decider) takeOver(o *op) {
	if o.instead == uuid.Nil {
		return
	}
	h, known := d.was.holds[o.instead]
	if _, shut := d.shut[o.instead]; known && !shut && h.Event == o.event && h.Entrant == o.entrant && h.due() {
		d.close(h, Expired)
	}
}

// fitting turns items into those of a hold that can be granted now, or says why there can be none.
func (d *decider) fitting(o *op, items []Item) (lines []Item, units int, err error) {
	if lines, units, err = d.lines(o, items); err != nil {
		return nil, 0, err
	}
	if err := d.overLimit(o, units); err != nil {
		return nil, 0, err
	}
	if err := d.accompany(o, lines); err != nil {
		return nil, 0, err
	}
	for n := range lines {
		if err := d.fits(o, &lines[n]); err != nil {
			return nil, 0, err
		}
	}
	return lines, units, nil
}

// overLimit refuses so many more if that would be more than one of the op's limits allows.
func (d *decider) overLimit(o *op, units int) error {
	for i := range o.counts {
		c := &o.counts[i]
		if taken := d.was.quota[c.id] + d.plan.quota[c.id].units; taken+int64(units) > c.limit {
			return c.over(o.event, taken)
		}
	}
	return nil
}

// lines turns what was asked for into a hold's items: one per tier and allocation, in order of first mention.
func (d *decider) lines(o *op, items []Item) (lines []Item, units int, err error) {
	lines = make([]Item, 0, len(items))
	add := func(tier, allocation, seat string, quantity int) {
		units += quantity
		n := 0
		for n < len(lines) && (lines[n].Tier != tier || lines[n].Allocation != allocation) {
			n++
		}
		if n == len(lines) {
			lines = append(lines, Item{Tier: tier, Allocation: allocation, Window: o.window.name()})
		}
		lines[n].Quantity += quantity
		if seat != "" {
			lines[n].Seats = append(lines[n].Seats, seat)
		}
	}
	for _, item := range items {
		for _, seat := range item.Seats { // before any are picked
			d.reserve(o.event, d.was.seats[seatKey{o.event, seat}].allocation, seat)
		}
	}
	for i := range items {
		item := &items[i]
		if item.Best != nil {
			tier, ok := o.offer.Tiers[item.Tier]
			if !ok || tier.Kind != Seated {
				return nil, 0, fmt.Errorf("%w: %q is not on sale by seat", ErrTierUnknown, item.Tier)
			}
			if err := d.overLimit(o, units+item.Quantity); err != nil { // before the search
				return nil, 0, err
			}
			allocation := orElse(item.Allocation, tier.Allocation)
			picked, err := d.pick(o, item, allocation)
			if err != nil {
				return nil, 0, err
			}
			for _, seat := range picked {
				add(item.Tier, allocation, seat, 1)
			}
			continue
		}
		if len(item.Seats) == 0 {
			tier, ok := o.offer.Tiers[item.Tier]
			if !ok {
				return nil, 0, fmt.Errorf("%w: %q", ErrTierUnknown, item.Tier)
			}
			if tier.Kind != General && !Listed(item.Allocation) {
				return nil, 0, fmt.Errorf("%w: tier %q is sold by seat", ErrItemsInvalid, item.Tier)
			}
			add(item.Tier, orElse(item.Allocation, tier.Allocation), "", item.Quantity)
			continue
		}
		for _, name := range item.Seats {
			seat, ok := d.was.seats[seatKey{o.event, name}]
			if !ok {
				return nil, 0, fmt.Errorf("%w: %q", ErrSeatUnknown, name)
			}
			tier, ok := o.offer.Tiers[seat.tier]
			switch {
			case !ok || tier.Kind != Seated:
				return nil, 0, fmt.Errorf("%w: seat %q is in tier %q, which is not on sale by seat", ErrTierUnknown, name, seat.tier)
			case item.Tier != "" && item.Tier != seat.tier:
				return nil, 0, fmt.Errorf("%w: seat %q is not in tier %q", ErrItemsInvalid, name, item.Tier)
			case seat.allocation != orElse(item.Allocation, tier.Allocation):
				return nil, 0, fmt.Errorf("%w: %q", ErrSeatSetAside, name)
			}
			add(seat.tier, seat.allocation, name, 1)
		}
	}
	return lines, units, nil
}

// fits tells whether the stock and the seats for a line are there.
func (d *decider) fits(o *op, line *Item) error {
	key := stockKey{o.event, line.Tier, line.Allocation}
	row, ok := d.was.stock[key]
	if !ok && Listed(line.Allocation) {
		return ErrListingGone
	}
	if !ok {
		return fmt.Errorf("%w: %q has no stock in allocation %q", ErrTierUnknown, line.Tier, line.Allocation)
	}
	left := row.capacity - row.taken - d.plan.stock[key]
	if left <= 0 {
		d.rest(key, row, 1)
		return o.noneLeft()
	}
	if row.waitlisted && !d.mayHaveKept(o) {
		return ErrWaitlisted
	}
	for n, name := range line.Seats {
		if slices.Contains(line.Seats[:n], name) {
			return fmt.Errorf("%w: seat %q is asked for twice", ErrItemsInvalid, name)
		}
		seat := seatKey{o.event, name}
		free, changed := d.free[seat]
		if !changed {
			row, read := d.was.seats[seat]
			free = row.free || !read // picked: the write will tell
		}
		if !free {
			return fmt.Errorf("%w: %q", ErrSeatTaken, name)
		}
	}
	if int64(line.Quantity) > left {
		d.rest(key, row, int64(line.Quantity))
		return fmt.Errorf("%w: %d of tier %q", ErrNotEnoughLeft, left, line.Tier)
	}
	return nil
}

// rest notes that a refusal rests on what this batch has done to a row. Without that it rests on what was read, which was
// true for itself; but read and batch together are true only if nobody gave units back in between.
func (d *decider) rest(key stockKey, row stockRow, wanted int64) {
	change, touched := d.plan.stock[key]
	if !touched {
		return
	}
	if d.plan.rests == nil {
		d.plan.rests = make(map[stockKey]int64)
	}
	d.plan.rests[key] = max(d.plan.rests[key], row.capacity-change-wanted+1)
}

// release closes an active hold for its owner.
func (d *decider) release(i int, o *op) error {
	h, ok := d.was.holds[o.id]
	if !ok || h.Entrant != o.entrant {
		return ErrHoldUnknown
	}
	if n, ok := d.shut[o.id]; ok {
		if d.plan.closes[n].hold.State != Released {
			return d.plan.closes[n].hold.open()
		}
		d.plan.closes[n].ops = append(d.plan.closes[n].ops, i)
		return nil
	}
	if h.State == Released {
		d.plan.answers[i].hold = h
		return nil
	}
	if err := h.open(); err != nil {
		return err
	}
	if err := d.refused[o.id]; err != nil {
		return err
	}
	d.close(h, Released, i)
	return nil
}

// expire closes a hold that is still active and past its deadline, and leaves any other as it is.
func (d *decider) expire(i int, o *op) error {
	h, ok := d.was.holds[o.id]
	if !ok {
		return ErrHoldUnknown
	}
	if _, ok := d.shut[o.id]; ok || !h.due() {
		d.plan.answers[i].hold = h
		return nil
	}
	d.close(h, Expired, i)
	return nil
}

// close ends an active hold; its seats are free for the ops that follow.
func (d *decider) close(h Hold, next State, ops ...int) {
	d.shut[h.ID] = len(d.plan.closes)
	d.plan.giveBack(h, Active, next, ops...)
	for _, item := range h.Items {
		for _, seat := range item.Seats {
			d.free[seatKey{h.Event, seat}] = true
			d.unreserve(h.Event, item.Allocation, seat)
		}
	}
}

// giveBack closes a hold and returns its units, seats and quota.
func (p *plan) giveBack(h Hold, previous, next State, ops ...int) {
	h.State = next
	p.closes = append(p.closes, closing{hold: h, previous: previous, ops: ops})
	for _, item := range h.Items {
		p.stock[stockKey{h.Event, item.Tier, item.Allocation}] -= int64(item.Quantity)
		for _, seat := range item.Seats {
			p.freed = append(p.freed, seatMove{seatKey: seatKey{h.Event, seat}, hold: h.ID})
		}
	}
	for _, c := range h.counts() {
		change, planned := p.quota[c.id]
		if !planned {
			change.count = c
		}
		change.units -= int64(h.Units)
		p.quota[c.id] = change
	}
}

// orElse is the first of two strings that is not empty.
func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
