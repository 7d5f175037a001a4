package inventory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// The release of an allocation moves its free units to general sale: capacity from one stock row to the other, and for
// numbered seats the rows of the seats. It takes both stock rows before it looks at anything else, as every hold takes its
// stock row first, so that while it is at work nobody takes a unit of either; which is why nothing is lost or doubled,
// whoever else is at work. What is held or sold stays where it is and is sold from there.
//
// An allocation that was released as a whole, by its time or by command, is closed: units that come back to it later,
// because a hold expires, follow to general sale within seconds (RunReleases). An allocation of which a part was released
// goes on.

// ErrAllocationUnknown means that the event has no such allocation, or not of that tier.
var ErrAllocationUnknown = errors.New("inventory: no such allocation")

// ErrReleaseOther means that the id of a release was used for another one.
var ErrReleaseOther = errors.New("inventory: the release was asked for before with other details")

// errSettled means that there is nothing left to release: another core did, or an event file changed the time.
var errSettled = errors.New("inventory: the allocation is settled")

// generalAllocation is where released units go.
const generalAllocation = "general"

const (
	releasePage = 200 // allocations looked at together
	// releaseSeats is how many seats one transaction moves, and maxReleaseRounds how many transactions one release may take:
	// more than the largest event has seats, even if others take some of those that were found.
	releaseSeats     = 5000
	maxReleaseRounds = 100
)

const sqlAllocationTiers = `
SELECT a.tier
FROM allocations AS a
WHERE a.event_id = $1::UUID AND a.allocation = $2::TEXT
ORDER BY a.tier`

const sqlFreeSeatsOf = `
SELECT s.seat
FROM seats AS s
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = $3::TEXT AND s.state = 'free'
ORDER BY s.section, s.row_label, s.number
LIMIT $4::INT8`

const sqlStockForRelease = `
SELECT s.allocation, s.capacity, s.taken, now()
FROM stock AS s
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation IN ($3::TEXT, $4::TEXT)
ORDER BY s.allocation
FOR UPDATE`

const sqlReleaseSeats = `
UPDATE seats AS s SET allocation = $4::TEXT
WHERE s.event_id = $1::UUID AND s.seat = ANY($2::TEXT[]) AND s.allocation = $3::TEXT AND s.state = 'free'
RETURNING s.seat`

const sqlMoveCapacity = `
UPDATE stock AS s SET capacity = s.capacity + k.change, version = s.version + 1
FROM unnest($3::TEXT[], $4::INT8[]) AS k (allocation, change)
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = k.allocation AND s.capacity + k.change >= s.taken`

const sqlInsertReleasedSeats = `
INSERT INTO released_seats (event_id, seat, tier, allocation)
SELECT $1::UUID, k.seat, $2::TEXT, $3::TEXT
FROM unnest($4::TEXT[]) AS k (seat)`

// Of several cores that find an allocation due, one closes it.
const sqlCountReleased = `
UPDATE allocations SET released = released + $4::INT8, closed_at = CASE WHEN $5::BOOL THEN COALESCE(closed_at, now()) ELSE closed_at END
WHERE event_id = $1::UUID AND tier = $2::TEXT AND allocation = $3::TEXT
  AND ($6::TEXT = 'command' OR $6::TEXT = 'time' AND closed_at IS NULL AND release_at <= now() OR $6::TEXT = 'return' AND closed_at IS NOT NULL)`

const sqlInsertRelease = `
INSERT INTO releases (release_id, event_id, tier, allocation, units, cause, actor, at)
VALUES ($1::UUID, $2::UUID, $3::TEXT, $4::TEXT, $5::INT8, $6::TEXT, $7::TEXT, now())`

const sqlReadRelease = `
SELECT event_id, tier, allocation, units, cause, actor, at
FROM releases
WHERE release_id = $1::UUID`

const sqlReleasesOf = `
SELECT release_id, tier, allocation, units, cause, actor, at
FROM releases
WHERE event_id = $1::UUID
ORDER BY at DESC, release_id
LIMIT $2::INT8`

// Allocations whose time has come. The second half of the condition is the index's.
const sqlDueAllocations = `
SELECT a.event_id, a.tier, a.allocation
FROM allocations AS a
WHERE a.release_at <= now() AND a.release_at IS NOT NULL AND a.closed_at IS NULL
ORDER BY a.release_at
LIMIT $1::INT8`

// Closed allocations to which units came back, of events that are not long over.
const sqlReturnedAllocations = `
SELECT a.event_id, a.tier, a.allocation
FROM allocations AS a
JOIN events AS e ON e.event_id = a.event_id
JOIN stock AS s ON s.event_id = a.event_id AND s.tier = a.tier AND s.allocation = a.allocation
WHERE a.closed_at IS NOT NULL AND s.capacity > s.taken AND e.starts_at > now() - INTERVAL '1 day'
LIMIT $1::INT8`

// Why units were released.
const (
	byCommand = "command"
	byTime    = "time"
	byReturn  = "return"
)

// ReleaseOrder is an operator's wish to release an allocation.
type ReleaseOrder struct {
	Event      uuid.UUID
	Allocation string
	Tier       string // empty for every tier that has the allocation
	Quantity   int64  // at most so many of each tier; 0 for all there are, which closes the allocation
	ID         uuid.UUID
	Actor      string
}

// AllocationRelease is one row of the record.
type AllocationRelease struct {
	ID         uuid.UUID
	Tier       string
	Allocation string
	Units      int64
	Cause      string
	Actor      string
	At         time.Time
}

// ReleaseAllocation moves free units of an allocation to general sale, tier by tier, and returns what was moved of each.
// Less than Quantity is moved when less is free. The same order again (by ID) moves nothing and gets the same answer.
func (s *Service) ReleaseAllocation(ctx context.Context, r ReleaseOrder) ([]AllocationRelease, error) {
	tiers := []string{r.Tier}
	if r.Tier == "" {
		err := s.db.Reading(ctx, func() error {
			rows, err := s.db.Reader.Query(ctx, sqlAllocationTiers, r.Event, r.Allocation)
			if err != nil {
				return err
			}
			tiers, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find the tiers of allocation %s: %w", r.Allocation, err)
		}
	}
	if len(tiers) == 0 || r.Allocation == generalAllocation {
		return nil, fmt.Errorf("%w: %q", ErrAllocationUnknown, r.Allocation)
	}
	var done []AllocationRelease
	for _, tier := range tiers {
		key := stockKey{r.Event, tier, r.Allocation}
		one := releasing{key: key, id: uuid.NewSHA1(r.ID, []byte(tier)), quantity: r.Quantity, when: byCommand, cause: byCommand, actor: r.Actor}
		moved, err := s.release(ctx, &one)
		if err != nil {
			return done, err
		}
		done = append(done, moved)
	}
	return done, nil
}

// Releases lists the latest releases of an event, the last one first.
func (s *Service) Releases(ctx context.Context, event uuid.UUID, limit int) ([]AllocationRelease, error) {
	var list []AllocationRelease
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlReleasesOf, event, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[AllocationRelease])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the releases of event %s: %w", event, err)
	}
	return list, nil
}

// releasing is the release of one tier's part of an allocation.
type releasing struct {
	key      stockKey
	seated   bool
	id       uuid.UUID
	quantity int64  // 0: all
	when     string // what the allocation has to be like, see sqlCountReleased
	cause    string
	actor    string
}

// release carries one release out, in as many transactions as it takes. Each is recorded; together they never move more
// than was asked for.
func (s *Service) release(ctx context.Context, r *releasing) (AllocationRelease, error) {
	total := AllocationRelease{ID: r.id, Tier: r.key.tier, Allocation: r.key.allocation, Cause: r.cause, Actor: r.actor}
	offer, err := s.cfg.Offers(ctx, r.key.event)
	if err != nil {
		return total, fmt.Errorf("find the offer of event %s: %w", r.key.event, err)
	}
	rest := *r
	rest.seated = offer.Tiers[r.key.tier].Kind == Seated
	for range maxReleaseRounds {
		moved, more, err := s.releaseSome(ctx, &rest)
		if errors.Is(err, errSettled) {
			break
		}
		if err != nil {
			return total, fmt.Errorf("release %s of tier %s: %w", r.key.allocation, r.key.tier, err)
		}
		total.Units += moved.Units
		total.At = moved.At
		s.soldOut.forget(stockKey{r.key.event, r.key.tier, generalAllocation})
		if !more {
			break
		}
		rest.id = uuid.NewSHA1(rest.id, []byte("more"))
		if rest.quantity > 0 {
			rest.quantity -= moved.Units
		}
		if rest.when == byTime {
			rest.when = byReturn // it is closed by now
		}
	}
	s.figure.unitsReleased(r.cause, total.Units)
	return total, nil
}

// releaseSome is one transaction of a release, or what it did if it was committed before.
func (s *Service) releaseSome(ctx context.Context, r *releasing) (moved AllocationRelease, more bool, err error) {
	var seats []string
	if r.seated {
		if seats, err = s.freeSeatsOf(ctx, r); err != nil {
			return moved, false, err
		}
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		moved, more, err = r.write(ctx, tx, seats)
		return err
	})
	if !db.IsUnique(err) && !errors.Is(err, db.ErrAmbiguous) {
		return moved, more, err
	}
	earlier, found, readErr := s.readRelease(ctx, r, r.id)
	if readErr != nil || !found {
		return moved, false, errors.Join(err, readErr)
	}
	_, more, err = s.readRelease(ctx, r, uuid.NewSHA1(r.id, []byte("more")))
	return earlier, more, err
}

// freeSeatsOf proposes which seats to move.
func (s *Service) freeSeatsOf(ctx context.Context, r *releasing) ([]string, error) {
	most := int64(releaseSeats)
	if r.quantity > 0 {
		most = min(most, r.quantity)
	}
	var seats []string
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlFreeSeatsOf, r.key.event, r.key.tier, r.key.allocation, most)
		if err != nil {
			return err
		}
		seats, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the free seats of allocation %s: %w", r.key.allocation, err)
	}
	return seats, nil
}

// readRelease finds a release by its id.
func (s *Service) readRelease(ctx context.Context, r *releasing, id uuid.UUID) (found AllocationRelease, ok bool, err error) {
	var event uuid.UUID
	err = s.db.Reading(ctx, func() error {
		return s.db.Reader.QueryRow(ctx, sqlReadRelease, id).
			Scan(&event, &found.Tier, &found.Allocation, &found.Units, &found.Cause, &found.Actor, &found.At)
	})
	found.ID = id
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return found, false, nil
	case err != nil:
		return found, false, fmt.Errorf("look for release %s: %w", id, err)
	case event != r.key.event || found.Tier != r.key.tier || found.Allocation != r.key.allocation || found.Cause != r.cause:
		return found, false, ErrReleaseOther
	}
	return found, true, nil
}

// write moves what is free inside tx. more: there is something left to move, of what was asked for.
func (r *releasing) write(ctx context.Context, tx pgx.Tx, seats []string) (done AllocationRelease, more bool, err error) {
	free, now, err := r.lock(ctx, tx)
	if err != nil {
		return done, false, err
	}
	wanted := free
	if r.quantity > 0 {
		wanted = min(wanted, r.quantity)
	}
	units := wanted
	if r.seated {
		if units, err = r.moveSeats(ctx, tx, seats); err != nil {
			return done, false, err
		}
	}
	if units == 0 && r.when == byReturn {
		return done, false, errSettled
	}
	if units > 0 {
		tag, err := tx.Exec(ctx, sqlMoveCapacity, r.key.event, r.key.tier, []string{r.key.allocation, generalAllocation}, []int64{-units, units})
		if err != nil {
			return done, false, fmt.Errorf("move capacity: %w", err)
		}
		if tag.RowsAffected() != 2 {
			return done, false, fmt.Errorf("move capacity of %d units: %d of 2 rows", units, tag.RowsAffected())
		}
	}
	tag, err := tx.Exec(ctx, sqlCountReleased, r.key.event, r.key.tier, r.key.allocation, units, r.quantity == 0, r.when)
	if err != nil {
		return done, false, fmt.Errorf("count what was released: %w", err)
	}
	if tag.RowsAffected() != 1 && r.when != byCommand {
		return done, false, errSettled
	}
	if tag.RowsAffected() != 1 {
		return done, false, fmt.Errorf("%w: %q of tier %q", ErrAllocationUnknown, r.key.allocation, r.key.tier)
	}
	if _, err := tx.Exec(ctx, sqlInsertRelease, r.id, r.key.event, r.key.tier, r.key.allocation, units, r.cause, r.actor); err != nil {
		return done, false, fmt.Errorf("record the release: %w", err)
	}
	// Seats that are free in the stock but were not found had not come back yet when they were looked for.
	return AllocationRelease{r.id, r.key.tier, r.key.allocation, units, r.cause, r.actor, now}, units > 0 && units < wanted, nil
}

// lock takes both stock rows and returns how many units are free to move.
func (r *releasing) lock(ctx context.Context, tx pgx.Tx) (free int64, now time.Time, err error) {
	rows, err := tx.Query(ctx, sqlStockForRelease, r.key.event, r.key.tier, r.key.allocation, generalAllocation)
	if err != nil {
		return 0, now, fmt.Errorf("take the stock: %w", err)
	}
	var allocation string
	var capacity, taken int64
	found := 0
	_, err = pgx.ForEachRow(rows, []any{&allocation, &capacity, &taken, &now}, func() error {
		if found++; allocation == r.key.allocation {
			free = capacity - taken
		}
		return nil
	})
	if err != nil {
		return 0, now, fmt.Errorf("take the stock: %w", err)
	}
	if found != 2 {
		return 0, now, fmt.Errorf("%w: %q of tier %q", ErrAllocationUnknown, r.key.allocation, r.key.tier)
	}
	return free, now.UTC(), nil
}

// moveSeats moves those of the seats that are free still, and returns how many.
func (r *releasing) moveSeats(ctx context.Context, tx pgx.Tx, seats []string) (int64, error) {
	if len(seats) == 0 {
		return 0, nil
	}
	rows, err := tx.Query(ctx, sqlReleaseSeats, r.key.event, seats, r.key.allocation, generalAllocation)
	if err != nil {
		return 0, fmt.Errorf("move seats: %w", err)
	}
	moved, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("move seats: %w", err)
	}
	if len(moved) == 0 {
		return 0, nil
	}
	slices.Sort(moved)
	if _, err := tx.Exec(ctx, sqlInsertReleasedSeats, r.key.event, r.key.tier, r.key.allocation, moved); err != nil {
		return 0, fmt.Errorf("note the seats released: %w", err)
	}
	return int64(len(moved)), nil
}

// RunReleases releases allocations whose time has come, and what comes back to those that are closed, until ctx ends,
// whose error it returns. Any number of cores may run it. A failure is logged and the next look tries again.
func (s *Service) RunReleases(ctx context.Context) error {
	for {
		if err := s.releaseDue(ctx); err != nil && ctx.Err() == nil {
			s.figure.releasesFailed.Inc()
			s.cfg.Log.Warn("release of allocations failed", "error", err.Error())
		}
		// A fifth of jitter keeps several cores from looking in step.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.ReleaseEvery + rand.N(s.cfg.ReleaseEvery/5+1)):
		}
	}
}

// releaseDue looks once.
func (s *Service) releaseDue(ctx context.Context) error {
	var failed error
	for _, look := range []struct{ sql, cause string }{{sqlDueAllocations, byTime}, {sqlReturnedAllocations, byReturn}} {
		var due []stockKey
		err := s.db.Reading(ctx, func() error {
			rows, err := s.db.Reader.Query(ctx, look.sql, releasePage)
			if err != nil {
				return err
			}
			due = due[:0]
			var k stockKey
			_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&k.event), &k.tier, &k.allocation}, func() error {
				due = append(due, k)
				return nil
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("find allocations to release: %w", err)
		}
		for _, key := range due {
			r := releasing{key: key, id: uuid.New(), when: look.cause, cause: look.cause, actor: "core"}
			if _, err := s.release(ctx, &r); err != nil {
				failed = err // others go on
			}
		}
	}
	return failed
}
