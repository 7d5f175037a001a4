package gate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Why a gate stays closed to a genuine code. Reason has a word for each.
var (
	// ErrSuperseded means that the ticket has another code by now.
	ErrSuperseded = errors.New("gate: code superseded")
	// ErrVoid means that the ticket is void: refunded, disputed, or its event was cancelled.
	ErrVoid = errors.New("gate: ticket void")
	// ErrListed means that the ticket is for sale, and of no use until its listing is withdrawn. A gate off line says ErrVoid.
	ErrListed = errors.New("gate: ticket listed for resale")
	// ErrZone means that the ticket is for another zone.
	ErrZone = errors.New("gate: other zone")
	// ErrUsed means that the ticket has entered, and may not again.
	ErrUsed = errors.New("gate: ticket used")
	// ErrInside means that the ticket is inside and has to leave before it enters again.
	ErrInside = errors.New("gate: ticket inside")
	// ErrOutside means that the ticket was scanned on the way out without having entered.
	ErrOutside = errors.New("gate: ticket not inside")
	// ErrCompanion means that a companion comes before the one whom they accompany. Only core, which knows orders, says so.
	ErrCompanion = errors.New("gate: companion without the one whom they accompany")
	// ErrClosed means that the event is over.
	ErrClosed = errors.New("gate: closed")
)

// Direction is the way through a gate.
type Direction string

// The directions.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// Reentry says how often a ticket enters a zone.
type Reentry uint8

// The re-entry rules.
const (
	Once      Reentry = iota // and never again
	AfterExit                // again when it was scanned on the way out
	Free                     // always
)

// Rules are an event's rules at its doors.
type Rules struct {
	Reentry  Reentry
	ClosesAt time.Time // from then on no ticket opens a gate
	Zones    []Zone
	Together bool // companions enter with or after those whom they accompany; off line nobody can tell
}

// Zone is a part of the venue with gates of its own.
type Zone struct {
	ID     string
	Places []string // tiers, cut as codes cut them, and sections with a slash behind
}

// Admits tells whether the place on a code may enter a zone. The zone without a name is the venue, which everybody may enter. Tiers
// whose names are the same as far as a code shows them cannot be told apart.
func (r Rules) Admits(zone, place string) bool {
	if zone == "" {
		return true
	}
	section, _, seated := strings.Cut(place, "/")
	for _, z := range r.Zones {
		if z.ID == zone {
			return slices.Contains(z.Places, place) || seated && slices.Contains(z.Places, section+"/")
		}
	}
	return false
}

// Known tells whether the event has a zone.
func (r Rules) Known(zone string) bool {
	return zone == "" || slices.ContainsFunc(r.Zones, func(z Zone) bool { return z.ID == zone })
}

// Pass is a scan that opened a gate.
type Pass struct {
	ID        uuid.UUID
	Direction Direction
	Gate      string
	At        time.Time
}

// Entry is where a ticket stands in a zone. The zero Entry has never entered.
type Entry struct {
	Ins, Outs int
	Inside    bool
	First     Pass // the first time in
	Last      Pass // the last time in
}

// Refusal is a refusal with the pass that is the reason for it.
type Refusal struct {
	Err    error
	Before Pass
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%v: at gate %s, %s", r.Err, r.Before.Gate, r.Before.At.UTC().Format(time.RFC3339))
}
func (r *Refusal) Unwrap() error { return r.Err }

// Next is the entry after a pass, or why there must be none: ErrUsed and ErrInside, as a Refusal with the earlier pass, or ErrOutside.
func (r Rules) Next(e Entry, p Pass) (Entry, error) {
	if p.Direction == Out {
		if !e.Inside && (r.Reentry != Free || e.Ins == 0) {
			return e, ErrOutside
		}
		e.Outs++
		e.Inside = false
		return e, nil
	}
	switch {
	case e.Ins > 0 && r.Reentry == Once:
		return e, &Refusal{ErrUsed, e.First}
	case e.Inside && r.Reentry == AfterExit:
		return e, &Refusal{ErrInside, e.Last}
	}
	if e.Ins == 0 {
		e.First = p
	}
	e.Ins++
	e.Inside, e.Last = true, p
	return e, nil
}

// Duplicate is a pass that should not have been.
type Duplicate struct {
	Pass   Pass
	Before Pass // that should have prevented it; zero of one that left without having entered
}

// Replay is what the passes of a ticket through a zone come to, whatever their order: by time, then by id.
func (r Rules) Replay(passes []Pass) (Entry, []Duplicate) {
	passes = slices.SortedFunc(slices.Values(passes), func(a, b Pass) int {
		return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
	})
	var e Entry
	var twice []Duplicate
	for _, p := range passes {
		next, err := r.Next(e, p)
		if err != nil {
			d := Duplicate{Pass: p}
			var refused *Refusal
			if errors.As(err, &refused) {
				d.Before = refused.Before
			}
			twice = append(twice, d)
			continue
		}
		e = next
	}
	return e, twice
}
