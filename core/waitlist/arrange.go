package waitlist

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
)

const (
	// candidatePage is how many entries are looked at together, and maxCandidates how many for one arrangement; maxOffers is how many offers
	// one makes: each is a hold, made one after the other.
	candidatePage = 200
	maxCandidates = 4000
	maxOffers     = 50
	// resting is how long an entry is passed over for units that it was refused, the first time; each further time it is longer, up to
	// mostResting times as long. Others are offered them, and everybody may have them if nobody else wants them.
	resting     = time.Minute
	mostResting = 10
)

const sqlWanted = `
SELECT k.tier FROM unnest($2::TEXT[]) AS k (tier)
WHERE EXISTS (SELECT 1 FROM waitlist_entries AS e WHERE e.event_id = $1::UUID AND e.state = 'waiting' AND k.tier = ANY(e.tiers))`

// Units of offers in the making are not free, though the stock may not have them yet.
const sqlInTheMaking = `
SELECT o.tier, o.allocation, sum(o.units)::INT8 FROM waitlist_offers AS o
WHERE o.event_id = $1::UUID AND o.closed_at IS NULL AND o.state = 'making'
GROUP BY o.tier, o.allocation`

const sqlResting = `
SELECT o.entry_id, o.tier, o.allocation, min(o.units)::INT8 FROM waitlist_offers AS o
WHERE o.event_id = $1::UUID AND o.state = 'void' AND o.reason LIKE 'refused: %' AND o.closed_at > now() - 2 * $2::INT8 * $3::INT8 * INTERVAL '1 second'
GROUP BY o.entry_id, o.tier, o.allocation
HAVING max(o.closed_at) > now() - least(count(*), $3::INT8) * $2::INT8 * INTERVAL '1 second'`

// Nobody is offered the same listing twice. One that could not be held was not offered.
const sqlOfferedBefore = `
SELECT o.entry_id, o.allocation FROM waitlist_offers AS o
WHERE o.event_id = $1::UUID AND o.allocation = ANY($2::TEXT[]) AND o.state <> 'void'`

const sqlCandidates = `SELECT ` + entryColumns + ` FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND e.state = 'waiting' AND e.place IS NOT NULL AND e.tiers && $2::TEXT[] AND (NOT e.together OR e.quantity <= $3::INT8)
    AND (e.round, e.place, e.entry_id) > ($4::INT8, $5::BYTEA, $6::UUID)
ORDER BY e.round, e.place, e.entry_id
LIMIT $7::INT8`

const sqlInsertOffer = `
INSERT INTO waitlist_offers (offer_id, entry_id, event_id, tier, allocation, units, state, reason, hold_id, expires_at, made_at, closed_at)
VALUES ($1::UUID, $2::UUID, $3::UUID, $4::TEXT, $5::TEXT, $6::INT8, 'making', '', NULL, NULL, now(), NULL)`

const sqlOfferEntry = `UPDATE waitlist_entries SET state = 'offered' WHERE entry_id = $1::UUID AND state = 'waiting'`

const sqlSetDraw = `UPDATE waitlists SET draw_at = now() + $2::INT8 * INTERVAL '1 second' WHERE event_id = $1::UUID AND draw_at IS NULL`

// generalAllocation is what the event itself sells to everybody.
const generalAllocation = "general"

// shelf is a stock row with what is left of it for offers.
type shelf struct {
	inventory.Shelf
	left   int64
	wanted bool // somebody who waits names its tier
}

// refused names units that an entry could not have.
type refused struct {
	entry            uuid.UUID
	tier, allocation string
}

// arrangement is one look at a list: what there is, who comes next, what is kept.
type arrangement struct {
	service *Service
	event   uuid.UUID
	rules   *Rules
	list    List
	first   bool // the list comes before everybody
	shelves []shelf
	before  map[uuid.UUID][]string // listings that entries were offered
	rests   map[refused]int64      // the fewest units that entries were refused lately
	offers  int
	all     bool // everybody who might fit was looked at
}

// arrange decides in one transaction who is offered what, and what is kept for those who wait. It reports whether there is more to do.
func (s *Service) arrange(ctx context.Context, event uuid.UUID, rules *Rules, first bool) (more bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		a := arrangement{service: s, event: event, rules: rules, first: first}
		if err := a.read(ctx, tx); err != nil {
			return err
		}
		if !a.list.ClosedAt.IsZero() {
			return nil
		}
		if first && a.list.DrawAt.IsZero() {
			if _, err := tx.Exec(ctx, sqlSetDraw, event, int64(rules.DrawAfter/time.Second)); err != nil {
				return fmt.Errorf("say when the draw is: %w", err)
			}
		}
		if first && !a.list.DrawnAt.IsZero() {
			if err := a.offer(ctx, tx); err != nil {
				return err
			}
			if err := a.readWanted(ctx, tx); err != nil {
				return err
			}
		}
		more = a.offers == maxOffers
		return a.keep(ctx, tx)
	})
	if err != nil {
		return false, fmt.Errorf("arrange the waiting list of event %s: %w", event, err)
	}
	return more, nil
}

func (a *arrangement) read(ctx context.Context, q querier) (err error) {
	if a.list, err = loadList(ctx, q, a.event); err != nil {
		return err
	}
	found, err := inventory.Shelves(ctx, q, a.event)
	if err != nil {
		return err
	}
	a.shelves = make([]shelf, len(found))
	for i, f := range found {
		a.shelves[i] = shelf{Shelf: f, left: f.Free}
	}
	if a.service.cfg.Unsellable != nil {
		spare, err := a.service.cfg.Unsellable(ctx, q, a.event)
		if err != nil && !a.rules.Cancelled {
			return err
		}
		for i := range a.shelves {
			if f := &a.shelves[i]; f.Allocation == generalAllocation {
				f.left = max(0, f.left-spare[f.Tier])
			}
		}
	}
	rows, err := q.Query(ctx, sqlInTheMaking, a.event)
	if err != nil {
		return fmt.Errorf("read what is in the making: %w", err)
	}
	var tier, allocation string
	var units int64
	_, err = pgx.ForEachRow(rows, []any{&tier, &allocation, &units}, func() error {
		if f := a.find(tier, allocation); f != nil {
			f.left = max(0, f.left-units)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is in the making: %w", err)
	}
	return a.readWanted(ctx, q)
}

func (a *arrangement) readWanted(ctx context.Context, q querier) error {
	var tiers []string
	for i := range a.shelves {
		a.shelves[i].wanted = false
		if !slices.Contains(tiers, a.shelves[i].Tier) {
			tiers = append(tiers, a.shelves[i].Tier)
		}
	}
	rows, err := q.Query(ctx, sqlWanted, a.event, tiers)
	if err != nil {
		return fmt.Errorf("read which tiers are wanted: %w", err)
	}
	var tier string
	_, err = pgx.ForEachRow(rows, []any{&tier}, func() error {
		for i := range a.shelves {
			if f := &a.shelves[i]; f.Tier == tier {
				f.wanted = true
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read which tiers are wanted: %w", err)
	}
	return nil
}

func (a *arrangement) find(tier, allocation string) *shelf {
	for i := range a.shelves {
		if f := &a.shelves[i]; f.Tier == tier && f.Allocation == allocation {
			return f
		}
	}
	return nil
}

// serves tells whether anything of a shelf can be offered now: of the event's own if the list has that first; a listing only while it is
// kept, since what everybody has seen is everybody's.
func (a *arrangement) serves(f *shelf) bool {
	if f.left <= 0 {
		return false
	}
	if _, listing := f.Listing(); listing {
		return a.rules.Resold && f.Waitlisted
	}
	return a.rules.Returned
}

// wants tells whether somebody waits for what comes free of a shelf. A listing that everybody has seen stays everybody's.
func (a *arrangement) wants(f *shelf) bool {
	if !a.first || !f.wanted {
		return false
	}
	if _, listing := f.Listing(); listing {
		return a.rules.Resold && f.Waitlisted
	}
	return a.rules.Returned
}

// offer goes through those who wait, in their order, and offers each what fits best.
func (a *arrangement) offer(ctx context.Context, tx pgx.Tx) error {
	var tiers, listings []string
	most := int64(0)
	for i := range a.shelves {
		f := &a.shelves[i]
		if !a.serves(f) {
			continue
		}
		tiers, most = append(tiers, f.Tier), max(most, f.left)
		if _, listing := f.Listing(); listing {
			listings = append(listings, f.Allocation)
		}
	}
	if a.all = len(tiers) == 0; a.all {
		return nil
	}
	if err := a.readBefore(ctx, tx, listings); err != nil {
		return err
	}
	if err := a.readResting(ctx, tx); err != nil {
		return err
	}
	last := Entry{Round: -1, Place: []byte{}}
	for looked := 0; looked < maxCandidates; looked += candidatePage {
		page, err := listEntries(ctx, tx, sqlCandidates, a.event, tiers, most, last.Round, last.Place, last.ID, candidatePage)
		if err != nil {
			return fmt.Errorf("read who comes next: %w", err)
		}
		for i := range page {
			if a.offers == maxOffers {
				return nil
			}
			if err := a.offerTo(ctx, tx, &page[i]); err != nil {
				return err
			}
		}
		if len(page) < candidatePage || !slices.ContainsFunc(a.shelves, func(f shelf) bool { return a.serves(&f) }) {
			a.all = true
			return nil
		}
		last = page[len(page)-1]
	}
	return nil
}

func (a *arrangement) readBefore(ctx context.Context, q querier, listings []string) error {
	a.before = make(map[uuid.UUID][]string)
	if len(listings) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, sqlOfferedBefore, a.event, listings)
	if err != nil {
		return fmt.Errorf("read who was offered these listings: %w", err)
	}
	var entry uuid.UUID
	var allocation string
	_, err = pgx.ForEachRow(rows, []any{&entry, &allocation}, func() error {
		a.before[entry] = append(a.before[entry], allocation)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read who was offered these listings: %w", err)
	}
	return nil
}

func (a *arrangement) readResting(ctx context.Context, q querier) error {
	a.rests = make(map[refused]int64)
	rows, err := q.Query(ctx, sqlResting, a.event, int64(resting/time.Second), mostResting)
	if err != nil {
		return fmt.Errorf("read what could not be held: %w", err)
	}
	var r refused
	var units int64
	_, err = pgx.ForEachRow(rows, []any{&r.entry, &r.tier, &r.allocation, &units}, func() error {
		a.rests[r] = units
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what could not be held: %w", err)
	}
	return nil
}

// choose is the shelf that suits an entry best: in the order of its tiers one that has all it wants, else the first that has some. Of one
// tier the event's own come before listings, and cheap ones before dear ones.
func (a *arrangement) choose(e *Entry) *shelf {
	var some *shelf
	for _, tier := range e.Tiers {
		for i := range a.shelves {
			f := &a.shelves[i]
			if f.Tier != tier || !a.serves(f) {
				continue
			}
			if _, listing := f.Listing(); listing && (!e.Resold || slices.Contains(a.before[e.ID], f.Allocation)) {
				continue
			}
			if least, rests := a.rests[refused{e.ID, f.Tier, f.Allocation}]; rests && min(f.left, int64(e.Quantity)) >= least {
				continue
			}
			if f.left >= int64(e.Quantity) {
				return f
			}
			if some == nil && !e.Together {
				some = f
			}
		}
	}
	return some
}

func (a *arrangement) offerTo(ctx context.Context, tx pgx.Tx, e *Entry) error {
	f := a.choose(e)
	if f == nil {
		return nil
	}
	units := min(f.left, int64(e.Quantity))
	tag, err := tx.Exec(ctx, sqlOfferEntry, e.ID)
	if err != nil {
		return fmt.Errorf("offer entry %s something: %w", e.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlInsertOffer, uuid.New(), e.ID, a.event, f.Tier, f.Allocation, units); err != nil {
		return fmt.Errorf("offer entry %s something: %w", e.ID, err)
	}
	f.left -= units
	a.offers++
	return nil
}

// keep keeps what comes free of a shelf as long as somebody waits for it, and gives to everybody what nobody who waits wants.
func (a *arrangement) keep(ctx context.Context, tx pgx.Tx) error {
	for i := range a.shelves {
		f := &a.shelves[i]
		keep := a.wants(f) && !(a.all && f.left > 0) // what is left was offered to all who might
		if keep == f.Waitlisted {
			continue
		}
		if err := inventory.KeepForWaitlist(ctx, tx, a.event, f.Tier, f.Allocation, keep); err != nil {
			return err
		}
	}
	return nil
}

// Resold tells, in the transaction that lists a ticket, whether it goes to the event's waiting list first.
func (s *Service) Resold(ctx context.Context, tx pgx.Tx, event uuid.UUID, tier string, now time.Time) (bool, error) {
	r, err := s.cfg.Rules(ctx, event)
	if err != nil {
		return false, err
	}
	if !r.Enabled || !r.Resold || r.Cancelled || !now.Before(r.ClosesAt) || !s.cfg.Over(ctx, event) {
		return false, nil
	}
	rows, err := tx.Query(ctx, sqlWanted, event, []string{tier})
	if err != nil {
		return false, fmt.Errorf("ask whether tier %s is waited for: %w", tier, err)
	}
	wanted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return false, fmt.Errorf("ask whether tier %s is waited for: %w", tier, err)
	}
	return len(wanted) > 0, nil
}
