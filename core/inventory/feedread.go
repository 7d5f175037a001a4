package inventory

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const sqlFeedStock = `
SELECT s.event_id, s.tier, s.allocation, s.capacity, s.taken, s.version, s.waitlisted
FROM unnest($1::UUID[]) AS k (event_id)
JOIN stock AS s ON s.event_id = k.event_id AND s.price_no = 0`

const sqlFeedSeatLog = `
SELECT l.event_id, l.tier, l.allocation, l.version, l.changes
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::INT8[]) AS k (event_id, tier, allocation, version)
JOIN seat_log AS l ON l.event_id = k.event_id AND l.tier = k.tier AND l.allocation = k.allocation AND l.version > k.version
ORDER BY l.event_id, l.tier, l.allocation, l.version
LIMIT $5::INT8`

const sqlFeedSeats = `
SELECT s.seat, s.allocation, s.state
FROM seats AS s
WHERE s.event_id = $1`

const sqlFeedSold = `
SELECT s.event_id, s.seat
FROM unnest($1::UUID[], $2::TEXT[]) AS k (event_id, seat)
JOIN seats AS s ON s.event_id = k.event_id AND s.seat = k.seat
WHERE s.state = 'sold'`

const (
	// feedPage is how many events' stock is read in one query.
	feedPage = 500
	// feedLogPage is how many rows of the seat log are read in one query.
	feedLogPage = 2000
	// feedBehind is how far a stock row may be ahead before the seats are read instead of the log.
	feedBehind = 5000
	// feedSoldPage is how many held seats are asked about in one query.
	feedSoldPage = 2000
)

// feedKey is a stock row within an event.
type feedKey struct{ tier, allocation string }

// feedStock is a stock row as a feed knows it.
type feedStock struct {
	capacity, taken, version int64
	waitlisted               bool // what is free of it is kept for a waiting list: shoppers see it as held
}

// left is what shoppers are told.
func (s *feedStock) left() int64 {
	if s.waitlisted {
		return 0
	}
	return s.capacity - s.taken
}

// feedLog is a row of the seat log.
type feedLog struct {
	event   uuid.UUID
	key     feedKey
	version int64
	changes string
}

// feedTail is a place in the seat log, and how far it goes at least.
type feedTail struct {
	event       uuid.UUID
	key         feedKey
	after, upTo int64
}

// load reads an event as a whole. The stock comes first, then the seats, then the log from the stock's versions on: what
// the seats have of the log already is taken over again, which changes nothing in the end.
func (f *Feed) load(ctx context.Context, event uuid.UUID) (*liveEvent, error) {
	layout, err := f.cfg.Layouts(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("find the layout of event %s: %w", event, err)
	}
	geometry, err := newGeometry(layout)
	if err != nil {
		return nil, fmt.Errorf("arrange the seats of event %s: %w", event, err)
	}
	e := newLiveEvent(layout, geometry)
	stock, err := f.readStock(ctx, []uuid.UUID{event})
	if err != nil {
		return nil, err
	}
	for key, row := range stock[event] {
		e.stock[key] = row
	}
	if geometry.seats > 0 {
		if err := f.readSeats(ctx, event, e); err != nil {
			return nil, err
		}
		var tails []feedTail
		for key, row := range e.stock {
			if e.tails(key) {
				tails = append(tails, feedTail{event: event, key: key, after: row.version})
			}
		}
		logs, _, err := f.readLog(ctx, tails)
		if err != nil {
			return nil, err
		}
		for _, l := range logs {
			if err := e.follow(l); err != nil {
				return nil, fmt.Errorf("load event %s: %w", event, err)
			}
		}
	}
	e.count()
	return e, nil
}

// readSeats fills the states of a new event. Seats the table lacks stay closed; those the layout lacks are about to come.
func (f *Feed) readSeats(ctx context.Context, event uuid.UUID, e *liveEvent) error {
	err := f.db.Reading(ctx, func() error {
		rows, err := f.db.Reader.Query(ctx, sqlFeedSeats, event)
		if err != nil {
			return err
		}
		var seat, allocation, state string
		_, err = pgx.ForEachRow(rows, []any{&seat, &allocation, &state}, func() error {
			ordinal, section, ok := e.geometry.find(seat)
			if !ok || allocation != e.layout.Allocation {
				return nil
			}
			switch state {
			case "free":
				e.states.set(ordinal, e.shown(feedKey{e.layout.Sections[section].Tier, allocation}))
			case "held":
				e.states.set(ordinal, SeatHeld)
			case "sold":
				e.states.set(ordinal, SeatSold)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read the seats of event %s: %w", event, err)
	}
	return nil
}

// readStock reads the stock rows of events.
func (f *Feed) readStock(ctx context.Context, events []uuid.UUID) (map[uuid.UUID]map[feedKey]feedStock, error) {
	var stock map[uuid.UUID]map[feedKey]feedStock
	err := f.db.Reading(ctx, func() error {
		stock = make(map[uuid.UUID]map[feedKey]feedStock, len(events))
		rows, err := f.db.Reader.Query(ctx, sqlFeedStock, raw(events))
		if err != nil {
			return err
		}
		var event uuid.UUID
		var key feedKey
		var row feedStock
		into := []any{(*[16]byte)(&event), &key.tier, &key.allocation, &row.capacity, &row.taken, &row.version, &row.waitlisted}
		_, err = pgx.ForEachRow(rows, into, func() error {
			if stock[event] == nil {
				stock[event] = make(map[feedKey]feedStock)
			}
			stock[event][key] = row
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the stock of %d events: %w", len(events), err)
	}
	return stock, nil
}

// readLog reads what the seat log has after some places, in order. complete is false when there is more.
func (f *Feed) readLog(ctx context.Context, tails []feedTail) (logs []feedLog, complete bool, err error) {
	if len(tails) == 0 {
		return nil, true, nil
	}
	events, tiers := make([][16]byte, len(tails)), make([]string, len(tails))
	allocations, after := make([]string, len(tails)), make([]int64, len(tails))
	for i, t := range tails {
		events[i], tiers[i], allocations[i], after[i] = t.event, t.key.tier, t.key.allocation, t.after
	}
	err = f.db.Reading(ctx, func() error {
		logs = logs[:0]
		rows, err := f.db.Reader.Query(ctx, sqlFeedSeatLog, events, tiers, allocations, after, feedLogPage)
		if err != nil {
			return err
		}
		var l feedLog
		_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&l.event), &l.key.tier, &l.key.allocation, &l.version, &l.changes}, func() error {
			logs = append(logs, l)
			return nil
		})
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the seat log: %w", err)
	}
	return logs, len(logs) < feedLogPage, nil
}

// follow brings events up to date with one query for their stock and one for the log of those whose seats moved.
func (f *Feed) follow(ctx context.Context, events []*watched) error {
	ids, byID := make([]uuid.UUID, len(events)), make(map[uuid.UUID]*watched, len(events))
	for i, w := range events {
		ids[i], byID[w.id] = w.id, w
	}
	stock, err := f.readStock(ctx, ids)
	if err != nil {
		return err
	}
	var tails []feedTail
	for _, w := range events {
		more, err := w.live.compare(w.id, stock[w.id])
		if err != nil {
			f.outdate(w, err.Error())
			continue
		}
		tails = append(tails, more...)
	}
	logs, complete, err := f.readLog(ctx, tails)
	if err != nil {
		return err
	}
	for _, l := range logs {
		if w := byID[l.event]; !w.stale { // only this goroutine makes it so, and no load is under way
			if err := w.live.follow(l); err != nil {
				f.outdate(w, err.Error())
			}
		}
	}
	for _, t := range tails {
		if w := byID[t.event]; complete && !w.stale && w.live.stock[t.key].version < t.upTo {
			f.outdate(w, fmt.Sprintf("the log of %s ends at version %d, the stock row is at %d", t.key.tier, w.live.stock[t.key].version, t.upTo))
		}
	}
	return nil
}

// compare takes over an event's stock and finds the places from which the seat log is to be read. Seats that moved
// otherwise than by holds show as other capacities or other rows.
func (e *liveEvent) compare(event uuid.UUID, stock map[feedKey]feedStock) ([]feedTail, error) {
	if len(stock) != len(e.stock) {
		return nil, fmt.Errorf("%w: %d stock rows instead of %d", errStale, len(stock), len(e.stock))
	}
	var tails []feedTail
	for key, row := range stock {
		known, ok := e.stock[key]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: a new stock row %s/%s", errStale, key.tier, key.allocation)
		case row.waitlisted != known.waitlisted:
			return nil, fmt.Errorf("%w: a waiting list begins or ends for %s/%s", errStale, key.tier, key.allocation)
		case e.seated[key.tier] && row.capacity != known.capacity:
			return nil, fmt.Errorf("%w: %s/%s has another capacity", errStale, key.tier, key.allocation)
		case !e.tails(key):
			e.stock[key] = row
			continue
		case row.version > known.version+feedBehind:
			return nil, fmt.Errorf("%w: %d commits behind", errStale, row.version-known.version)
		case row.version > known.version:
			tails = append(tails, feedTail{event: event, key: key, after: known.version, upTo: row.version})
		case row.version < known.version:
			continue // the log was read a moment later than this, or by a replica that is ahead
		}
		known.taken = row.taken
		e.stock[key] = known
	}
	return tails, nil
}

// askSold asks which of the seats that show as held are sold by now.
func (f *Feed) askSold(ctx context.Context, events []*watched) error {
	slices.SortFunc(events, func(a, b *watched) int { return bytes.Compare(a.id[:], b.id[:]) })
	from, _ := slices.BinarySearchFunc(events, f.soldFrom, func(w *watched, id uuid.UUID) int { return bytes.Compare(w.id[:], id[:]) })
	var ids [][16]byte
	var seats []string
	byID := make(map[uuid.UUID]*liveEvent)
	for n := range events {
		w := events[(from+n)%len(events)]
		f.soldFrom = w.id
		if len(seats) >= feedSoldPage {
			break // this one comes first the next time
		}
		for _, ordinal := range w.live.held(feedSoldPage - len(seats)) {
			ids, seats = append(ids, w.id), append(seats, w.live.geometry.name(ordinal))
		}
		byID[w.id] = w.live
	}
	if len(seats) == 0 {
		return nil
	}
	err := f.db.Reading(ctx, func() error {
		rows, err := f.db.Reader.Query(ctx, sqlFeedSold, ids, seats)
		if err != nil {
			return err
		}
		var event uuid.UUID
		var seat string
		_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&event), &seat}, func() error {
			if ordinal, _, ok := byID[event].geometry.find(seat); ok {
				byID[event].pending[ordinal] = SeatSold
			}
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("ask which of %d seats are sold: %w", len(seats), err)
	}
	return nil
}

// held are up to n seats that show as held, going round.
func (e *liveEvent) held(n int) []uint32 {
	var found []uint32
	total := uint32(e.geometry.seats)
	ordinal := e.asked
	for range total {
		if len(found) == n {
			break
		}
		if ordinal >= total {
			ordinal = 0
		}
		if e.state(ordinal) == SeatHeld {
			found = append(found, ordinal)
		}
		ordinal++
	}
	e.asked = ordinal
	return found
}
