package inventory

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// recentDeltas is how many deltas go with a snapshot, for those who resume at its reader.
	recentDeltas = 64
	// ringSeats bounds how many seats the deltas kept of an event name in all, and so the memory they take.
	ringSeats = 50_000
	// deltaSeats and deltaShare say from which size a delta is replaced by a snapshot: when it would name that many seats
	// and more than such a share of all, it is the longer of the two.
	deltaSeats = 1000
	deltaShare = 16
)

// liveEvent is a loaded event. The first part belongs to Feed.Run, the second is guarded by Feed.mu and written by
// Feed.Run alone, in publish.
type liveEvent struct {
	layout   *Layout
	geometry *Geometry
	general  map[string]int // tier → place in left
	seated   map[string]bool
	stock    map[feedKey]feedStock
	pending  map[uint32]SeatState // seats moved since the last publish, to their newest state
	asked    uint32               // ordinal with which the next round of asking for sold seats begins

	epoch  string
	seq    uint64
	states seatStates
	free   []int64 // of each section
	left   []int64 // of each tier
	ring   []ringDelta
	named  int    // seats that the ring's deltas name
	cached []byte // the snapshot as of seq; nil when it has to be made
}

type ringDelta struct {
	Delta
	seats int
}

func newLiveEvent(l *Layout, g *Geometry) *liveEvent {
	var epoch [8]byte
	_, _ = rand.Read(epoch[:]) // never fails
	e := &liveEvent{
		layout: l, geometry: g, general: make(map[string]int, len(l.Tiers)), seated: make(map[string]bool),
		stock: make(map[feedKey]feedStock), pending: make(map[uint32]SeatState),
		epoch: hex.EncodeToString(epoch[:]), seq: 1,
		states: newSeatStates(g.seats), free: make([]int64, len(l.Sections)), left: make([]int64, len(l.Tiers)),
	}
	for n, tier := range l.Tiers {
		e.general[tier] = n
	}
	for _, s := range l.Sections {
		e.seated[s.Tier] = true
	}
	return e
}

// count makes the counts of a freshly loaded event.
func (e *liveEvent) count() {
	for ordinal, state := range e.pending {
		e.states.set(ordinal, state)
	}
	clear(e.pending)
	for n := range e.geometry.bySeat {
		run := &e.geometry.bySeat[n]
		for i := range uint32(run.last - run.first + 1) {
			if e.states.get(run.start+i) == SeatFree {
				e.free[run.section]++
			}
		}
	}
	for tier, n := range e.general {
		row := e.stock[feedKey{tier, e.layout.Allocation}]
		e.left[n] = row.left()
	}
}

// state is a seat's state as the next publish will tell it.
func (e *liveEvent) state(ordinal uint32) SeatState {
	if state, ok := e.pending[ordinal]; ok {
		return state
	}
	return e.states.get(ordinal)
}

// follow takes over a row of the seat log, which must be the next one of its stock row.
func (e *liveEvent) follow(l feedLog) error {
	row := e.stock[l.key]
	if l.version != row.version+1 {
		return fmt.Errorf("%w: version %d follows %d", errStale, l.version, row.version)
	}
	for change := range strings.SplitSeq(l.changes, ",") {
		seat, what, _ := strings.Cut(change, "=")
		ordinal, _, ok := e.geometry.find(seat)
		if !ok {
			return fmt.Errorf("%w: there is no seat %q", errStale, seat)
		}
		switch what {
		case logFree:
			e.pending[ordinal] = e.shown(l.key)
		case logHeld:
			e.pending[ordinal] = SeatHeld
		default:
			return fmt.Errorf("%w: seat %q became %q", errStale, seat, what)
		}
	}
	row.version = l.version
	e.stock[l.key] = row
	return nil
}

// shown is how a free seat of a stock row shows.
func (e *liveEvent) shown(key feedKey) SeatState {
	if row := e.stock[key]; row.waitlisted {
		return SeatHeld
	}
	return SeatFree
}

// tails tells whether a stock row's seats are followed: those that are on sale.
func (e *liveEvent) tails(k feedKey) bool {
	return k.allocation == e.layout.Allocation && e.seated[k.tier]
}

// publish makes a delta of what has changed since the last one, and tells whether there was anything.
func (e *liveEvent) publish(ring int) bool {
	var moved [4][]uint32
	seats, total := 0, e.geometry.seats
	var sections []bool
	for ordinal, state := range e.pending {
		before := e.states.get(ordinal)
		if before == state {
			continue
		}
		if sections == nil {
			sections = make([]bool, len(e.free))
		}
		e.states.set(ordinal, state)
		section := e.geometry.run(ordinal).section
		if before == SeatFree {
			e.free[section]--
			sections[section] = true
		} else if state == SeatFree {
			e.free[section]++
			sections[section] = true
		}
		moved[state] = append(moved[state], ordinal)
		seats++
	}
	clear(e.pending)
	b := []byte{'{'}
	for state, name := range [...]string{SeatFree: "free", SeatHeld: "held", SeatSold: "sold", SeatClosed: "closed"} {
		if len(moved[state]) == 0 {
			continue
		}
		slices.Sort(moved[state])
		b = appendList(b, name)
		for i, ordinal := range moved[state] {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, uint64(ordinal), 10)
		}
		b = append(b, ']')
	}
	b = e.appendCounts(b, "sections", len(sections), func(n int) bool { return sections[n] }, func(n int) (string, int64) {
		return e.layout.Sections[n].ID, e.free[n]
	})
	b = e.appendCounts(b, "tiers", len(e.left), func(n int) bool {
		row := e.stock[feedKey{e.layout.Tiers[n], e.layout.Allocation}]
		was := e.left[n]
		e.left[n] = row.left()
		return e.left[n] != was
	}, func(n int) (string, int64) { return e.layout.Tiers[n], e.left[n] })
	if len(b) == 1 {
		return false
	}
	e.seq++
	e.cached = nil
	if seats >= deltaSeats && seats > total/deltaShare {
		e.ring, e.named = nil, 0 // whoever is behind gets a snapshot
		return true
	}
	e.ring = append(e.ring, ringDelta{Delta{Seq: e.seq, JSON: append(b, '}')}, seats})
	e.named += seats
	for len(e.ring) > ring || e.named > ringSeats {
		e.named -= e.ring[0].seats
		e.ring[0] = ringDelta{}
		e.ring = e.ring[1:]
	}
	return true
}

// appendList opens a list that is a member of an object.
func appendList(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":[`...)
}

// appendCounts appends the list of the counts that are wanted, unless there is none.
func (e *liveEvent) appendCounts(b []byte, name string, n int, wanted func(int) bool, count func(int) (string, int64)) []byte {
	open := false
	for i := range n {
		if !wanted(i) {
			continue
		}
		if open {
			b = append(b, ',')
		} else {
			b, open = appendList(b, name), true
		}
		id, left := count(i)
		b = append(b, `{"id":`...)
		b = appendText(b, id)
		b = append(b, `,"left":`...)
		b = strconv.AppendInt(b, left, 10)
		b = append(b, '}')
	}
	if open {
		b = append(b, ']')
	}
	return b
}

// id names what a reader of the present snapshot has seen.
func (e *liveEvent) id() string { return e.epoch + "-" + strconv.FormatUint(e.seq, 10) }

// snapshot is the event as of seq. The caller must not change it.
func (e *liveEvent) snapshot() []byte {
	if e.cached != nil {
		return e.cached
	}
	b := make([]byte, 0, 256+base64.StdEncoding.EncodedLen(len(e.states))+40*(len(e.free)+len(e.left)))
	b = append(b, `{"id":"`...)
	b = append(b, e.id()...)
	b = append(b, `","geometry":"`...)
	b = append(b, e.geometry.Hash...)
	b = append(b, `","states":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.states)
	b = append(b, '"')
	all := func(int) bool { return true }
	b = e.appendCounts(b, "sections", len(e.free), all, func(n int) (string, int64) { return e.layout.Sections[n].ID, e.free[n] })
	b = e.appendCounts(b, "tiers", len(e.left), all, func(n int) (string, int64) { return e.layout.Tiers[n], e.left[n] })
	e.cached = append(b, '}')
	return e.cached
}

// since tells what came after an id; false when nothing did.
func (e *liveEvent) since(id string) (News, bool) {
	news := News{Epoch: e.epoch, Seq: e.seq, Geometry: e.geometry.Hash}
	epoch, number, _ := strings.Cut(id, "-")
	seen, err := strconv.ParseUint(number, 10, 64)
	if err == nil && epoch == e.epoch && seen <= e.seq {
		if seen == e.seq {
			return news, false
		}
		if behind := e.seq - seen; behind <= uint64(len(e.ring)) {
			news.Deltas = e.last(int(behind))
			return news, true
		}
	}
	news.Snapshot = e.snapshot()
	news.Deltas = e.last(min(recentDeltas, len(e.ring)))
	return news, true
}

// last are the newest n deltas; the ring has no gap and ends at seq.
func (e *liveEvent) last(n int) []Delta {
	deltas := make([]Delta, n)
	for i, d := range e.ring[len(e.ring)-n:] {
		deltas[i] = d.Delta
	}
	return deltas
}
