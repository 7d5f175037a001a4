package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Layout is what a Feed has to know of an event: how its seats are arranged, and which allocation is on sale. It
// must not be changed once it was given away.
type Layout struct {
	Revision   int64  // grows with every change of the event
	Allocation string // what is on sale now: general sale's, or a presale's; seats of others show as not for sale
	Tiers      []string
	Sections   []LayoutSection
}

// LayoutSection is a section in the order of the event file. Position is passed on to pages as it is.
type LayoutSection struct {
	ID       string
	Tier     string
	Rows     []LayoutRow
	Position json.RawMessage // JSON; empty for none
}

// LayoutRow is a run of seats First, First+1, … Last. A row with a gap is several of them. Extra is passed on to pages.
type LayoutRow struct {
	Label       string
	First, Last int64
	Extra       json.RawMessage // JSON; empty for none
}

// Geometry gives every numbered seat of an event an ordinal, 0, 1, 2 …, in the order of sections, rows and numbers, and
// is what a page needs to draw them. It says nothing of what is free and so never changes; Hash names its content.
//
// JSON is
//
//	{"seats":80000,"sections":[{"id":"101","tier":"lower","position":{…},"rows":[["A",1,30],["B",1,32,{…}]]}]}
//
// where a row is its label, the first and the last number, and where there is more to say of it an object: "table" (sold
// whole), the numbers of "accessible" seats and of their "companions". A section's position has, as far as the event file
// tells, its "focus" (the best seat), how many rows it lies "away" from its tier's best, and its "neighbours". The seat of
// section 101, row A, number 7 is named "101/A/7". It is not for sale to everybody just because it is there: see states.
type Geometry struct {
	Hash string // of JSON, 32 hex digits
	JSON []byte

	seats    int
	sections []string
	bySeat   []geometryRun       // in order of first ordinal
	byRow    map[string][]uint32 // "section/row" → indexes into bySeat
}

// geometryRun is a LayoutRow with its place.
type geometryRun struct {
	row         string // "section/row"
	section     uint32
	first, last int64
	start       uint32 // ordinal of first
}

// newGeometry arranges a layout's seats.
func newGeometry(l *Layout) (*Geometry, error) {
	g := &Geometry{byRow: make(map[string][]uint32)}
	type section struct {
		ID       string            `json:"id"`
		Tier     string            `json:"tier"`
		Position json.RawMessage   `json:"position,omitempty"`
		Rows     []json.RawMessage `json:"rows"`
	}
	view := struct {
		Seats    int       `json:"seats"`
		Sections []section `json:"sections"`
	}{Sections: make([]section, 0, len(l.Sections))}
	for n, s := range l.Sections {
		shown := section{ID: s.ID, Tier: s.Tier, Position: s.Position, Rows: make([]json.RawMessage, 0, len(s.Rows))}
		for _, r := range s.Rows {
			if r.Last < r.First {
				return nil, fmt.Errorf("section %s, row %s runs from %d to %d", s.ID, r.Label, r.First, r.Last)
			}
			run := geometryRun{row: s.ID + "/" + r.Label, section: uint32(n), first: r.First, last: r.Last, start: uint32(g.seats)}
			g.byRow[run.row] = append(g.byRow[run.row], uint32(len(g.bySeat)))
			g.bySeat = append(g.bySeat, run)
			g.seats += int(r.Last - r.First + 1)
			shown.Rows = append(shown.Rows, appendRow(nil, r))
		}
		g.sections = append(g.sections, s.ID)
		view.Sections = append(view.Sections, shown)
	}
	view.Seats = g.seats
	text, err := json.Marshal(view)
	if err != nil {
		return nil, fmt.Errorf("encode the geometry: %w", err)
	}
	sum := sha256.Sum256(text)
	g.JSON, g.Hash = text, hex.EncodeToString(sum[:16])
	return g, nil
}

func appendRow(b []byte, r LayoutRow) []byte {
	b = append(b, '[')
	b = appendText(b, r.Label)
	b = append(b, ',')
	b = strconv.AppendInt(b, r.First, 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, r.Last, 10)
	if len(r.Extra) > 0 {
		b = append(b, ',')
		b = append(b, r.Extra...)
	}
	return append(b, ']')
}

// find is the ordinal and section of a seat.
func (g *Geometry) find(seat string) (ordinal, section uint32, ok bool) {
	slash := strings.LastIndexByte(seat, '/')
	if slash < 0 {
		return 0, 0, false
	}
	number, err := strconv.ParseInt(seat[slash+1:], 10, 64)
	if err != nil {
		return 0, 0, false
	}
	for _, n := range g.byRow[seat[:slash]] {
		if run := &g.bySeat[n]; number >= run.first && number <= run.last {
			return run.start + uint32(number-run.first), run.section, true
		}
	}
	return 0, 0, false
}

// run is the run that an ordinal lies in.
func (g *Geometry) run(ordinal uint32) *geometryRun {
	low, high := 0, len(g.bySeat)
	for low+1 < high {
		if mid := (low + high) / 2; g.bySeat[mid].start <= ordinal {
			low = mid
		} else {
			high = mid
		}
	}
	return &g.bySeat[low]
}

// name is the seat with an ordinal.
func (g *Geometry) name(ordinal uint32) string {
	run := g.run(ordinal)
	return run.row + "/" + strconv.FormatInt(run.first+int64(ordinal-run.start), 10)
}

// SeatState is what a shopper sees of a seat.
type SeatState uint8

// The states of a seat, as they are in the map.
const (
	SeatFree   SeatState = 0
	SeatHeld   SeatState = 1
	SeatSold   SeatState = 2
	SeatClosed SeatState = 3 // not for sale: blocked, or set aside in an allocation
)

// seatStates has two bits a seat: the state of ordinal n is in byte n/4, at bit 2·(n mod 4).
type seatStates []byte

func newSeatStates(seats int) seatStates {
	states := make(seatStates, (seats+3)/4)
	for n := range seats {
		states.set(uint32(n), SeatClosed)
	}
	return states
}

func (s seatStates) get(ordinal uint32) SeatState {
	return SeatState(s[ordinal/4] >> (2 * (ordinal % 4)) & 3)
}

func (s seatStates) set(ordinal uint32, state SeatState) {
	shift := 2 * (ordinal % 4)
	s[ordinal/4] = s[ordinal/4]&^(3<<shift) | byte(state)<<shift
}
