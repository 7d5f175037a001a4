package inventory

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory/seating"
)

// A version and the seats that are free at it, of one snapshot.
const sqlReadFree = `
SELECT s.version, f.seat
FROM stock AS s
LEFT JOIN seats AS f ON f.event_id = s.event_id AND f.tier = s.tier AND f.allocation = s.allocation AND f.state = 'free'
WHERE s.event_id = $1::UUID AND s.tier = $2::TEXT AND s.allocation = $3::TEXT`

const sqlReadSeatLog = `
SELECT l.version, l.changes
FROM seat_log AS l
WHERE l.event_id = $1::UUID AND l.tier = $2::TEXT AND l.allocation = $3::TEXT AND l.version > $4::INT8
ORDER BY l.version
LIMIT $5::INT8`

const (
	// maxMirrored is how many seats are kept in memory, a few bits and a row's bookkeeping each. Past it all mirrors are
	// dropped and those that are needed read anew.
	maxMirrored = 4_000_000
	// maxLogRows is how many commits a mirror may be behind; past it the seats are read anew.
	maxLogRows = 2000
)

// mirror is which seats of an event are free, as of some version of its stock rows. It is a hint: the best seats are
// chosen from it, and whether they can be had is decided by the same guarded write as for seats that a buyer names. One
// lane alone uses it, the event's own.
type mirror struct {
	chart *seating.Chart
	free  map[string]*seating.Free // by allocation
	at    map[stockKey]int64       // version of the row that its seats are known at
}

func newMirror(chart *seating.Chart) *mirror {
	return &mirror{chart: chart, free: make(map[string]*seating.Free), at: make(map[stockKey]int64)}
}

// pool is the free seats of an allocation.
func (m *mirror) pool(allocation string) *seating.Free {
	f := m.free[allocation]
	if f == nil {
		f = seating.NewFree(m.chart)
		m.free[allocation] = f
	}
	return f
}

// begin starts a trial of every pool, which end takes back.
func (m *mirror) begin() {
	for _, f := range m.free {
		f.Mark()
	}
}

func (m *mirror) end() {
	for _, f := range m.free {
		f.Undo()
	}
}

// set notes a seat's state.
func (m *mirror) set(allocation, seat string, free bool) {
	place, ok := m.chart.Find(seat)
	switch {
	case !ok: // of another version of the event file
	case free:
		m.pool(allocation).Put(place)
	default:
		m.pool(allocation).Take(place)
	}
}

// apply notes the changes of one commit as the seat log has them; false when they cannot be read.
func (m *mirror) apply(allocation, changes string) bool {
	for change := range strings.SplitSeq(changes, ",") {
		seat, state, ok := strings.Cut(change, "=")
		if !ok {
			return false
		}
		m.set(allocation, seat, state == logFree)
	}
	return true
}

// mirrors are those of all events, by event. Lanes share the map, never a mirror.
type mirrors struct {
	mu    sync.Mutex
	of    map[uuid.UUID]*mirror
	seats int
}

// find gives the mirror of an event as its chart is now.
func (ms *mirrors) find(event uuid.UUID, chart *seating.Chart) *mirror {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if m := ms.of[event]; m != nil {
		if m.chart == chart {
			return m
		}
		ms.seats -= m.chart.Seats()
		delete(ms.of, event)
	}
	if ms.seats += chart.Seats(); ms.seats > maxMirrored || ms.of == nil {
		ms.of, ms.seats = make(map[uuid.UUID]*mirror), chart.Seats()
	}
	m := newMirror(chart)
	ms.of[event] = m
	return m
}

// known gives the mirror of an event if there is one.
func (ms *mirrors) known(event uuid.UUID) *mirror {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.of[event]
}

// follow brings the mirrors that a batch chooses from to the versions of its stock rows, and puts them into the snapshot.
func (s *Service) follow(ctx context.Context, ops []op, snap *snapshot) error {
	for i := range ops {
		o := &ops[i]
		if o.do != grant {
			continue
		}
		items := o.mentioned()
		for n := range items {
			item := &items[n]
			tier, ok := o.offer.Tiers[item.Tier]
			if item.Best == nil || !ok || tier.Kind != Seated {
				continue
			}
			if snap.mirrors == nil {
				snap.mirrors = make(map[uuid.UUID]*mirror)
			}
			m := snap.mirrors[o.event]
			if m == nil {
				m = s.mirrors.find(o.event, o.offer.Chart)
				snap.mirrors[o.event] = m
			}
			key := stockKey{o.event, item.Tier, orElse(item.Allocation, tier.Allocation)}
			if row, ok := snap.stock[key]; ok {
				if err := s.catchUp(ctx, m, key, row.version); err != nil {
					return err
				}
			}
		}
	}
	for key, row := range snap.seats {
		if m := snap.mirrors[key.event]; m != nil && !row.free { // read after the version, perhaps
			m.set(row.allocation, key.seat, false)
		}
	}
	return nil
}

// distrust has the mirrors of a batch read anew. The versions say that they are right; but the batch failed twice, and no
// writer outside may be able to keep it from ever succeeding.
func (snap *snapshot) distrust() {
	for _, m := range snap.mirrors {
		clear(m.at)
	}
}

// catchUp applies the commits that a mirror has missed. Where the log has a gap, something else changed the row, such as
// an event file or the release of an allocation, and the seats are read anew.
func (s *Service) catchUp(ctx context.Context, m *mirror, key stockKey, version int64) error {
	at, known := m.at[key]
	if known && at >= version {
		return nil
	}
	if known && version-at <= maxLogRows {
		whole := true
		err := s.db.Reading(ctx, func() error {
			rows, err := s.db.Reader.Query(ctx, sqlReadSeatLog, key.event, key.tier, key.allocation, m.at[key], maxLogRows)
			if err != nil {
				return err
			}
			var next int64
			var changes string
			_, err = pgx.ForEachRow(rows, []any{&next, &changes}, func() error {
				if whole = whole && next == m.at[key]+1 && m.apply(key.allocation, changes); whole {
					m.at[key] = next
				}
				return nil
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("read the seat log: %w", err)
		}
		if whole && m.at[key] >= version {
			return nil
		}
	}
	s.figure.mirrorsRead.Inc()
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlReadFree, key.event, key.tier, key.allocation)
		if err != nil {
			return err
		}
		m.pool(key.allocation).ClearTier(key.tier)
		delete(m.at, key)
		var version int64
		var seat *string
		_, err = pgx.ForEachRow(rows, []any{&version, &seat}, func() error {
			if seat != nil {
				m.set(key.allocation, *seat, true)
			}
			return nil
		})
		if err == nil {
			m.at[key] = version
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the free seats: %w", err)
	}
	return nil
}

// reflect notes in the mirrors what a plan has committed, where nothing else came in between.
func (s *Service) reflect(p *plan) {
	if len(p.freed)+len(p.taken) == 0 {
		return
	}
	touched := make(map[stockKey]*mirror)
	at := func(event uuid.UUID, item *Item) (*mirror, bool) {
		key := stockKey{event, item.Tier, item.Allocation}
		m, seen := touched[key]
		if !seen {
			if m = s.mirrors.known(event); m != nil {
				if last, ok := m.at[key]; !ok || last+1 != p.after[key].Version {
					m = nil
				} else {
					m.at[key] = last + 1
				}
			}
			touched[key] = m
		}
		return m, m != nil
	}
	note := func(h *Hold, free bool) {
		for i := range h.Items {
			item := &h.Items[i]
			if len(item.Seats) == 0 {
				continue
			}
			if m, ok := at(h.Event, item); ok {
				for _, seat := range item.Seats {
					m.set(item.Allocation, seat, free)
				}
			}
		}
	}
	for i := range p.closes {
		note(&p.closes[i].hold, true)
	}
	for i := range p.grants {
		note(&p.grants[i].hold, false)
	}
}
