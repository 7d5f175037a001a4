package proof

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"fairgate/core/inventory/history"
)

// event is what a commit does to a seat, or what was said of it.
type event struct {
	hold    *hold
	in      *commit
	take    bool
	maybe   bool  // it may not have happened
	until   int64 // of a take: when the seat was free again at the latest
	version int64
}

// follow makes the history of every seat.
func (p *prover) follow() {
	add := func(h *hold, d deed, take bool, until func(seat string) int64) {
		if !d.in.happened() && d.in.fate != open {
			return
		}
		for _, item := range d.op.Items {
			r := p.rows[rowKey{d.op.Event, item.Tier, item.Allocation}]
			for _, seat := range item.Seats {
				k := seatKey{d.op.Event, seat}
				e := event{hold: h, in: d.in, take: take, until: until(seat), maybe: d.in.fate == open}
				if r != nil {
					e.version = d.in.version(r)
				}
				p.seats[k] = append(p.seats[k], e)
			}
		}
	}
	for _, h := range p.sortedHolds() {
		until := h.freed()
		for _, d := range h.grants {
			add(h, d, true, until)
		}
		for _, d := range h.takes {
			add(h, d, true, func(string) int64 { return forever })
		}
		for _, d := range slices.Concat(h.closes, h.returns) {
			add(h, d, false, never)
		}
		if d, ok := p.mayExpire(h); ok {
			add(h, d, false, never)
		}
	}
	for _, events := range p.seats {
		slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.in.from, b.in.from) })
	}
}

// never is the until of what takes nothing.
func never(string) int64 { return 0 }

// freed tells when a seat of the hold was free again at the latest.
func (h *hold) freed() func(seat string) int64 {
	end, parts := int64(forever), map[string]int64{}
	for _, d := range happenedOnly(h.closes) {
		end = d.in.to
	}
	for _, d := range happenedOnly(h.returns) {
		for _, item := range d.op.Items {
			for _, seat := range item.Seats {
				parts[seat] = d.in.to
			}
		}
	}
	return func(seat string) int64 {
		if at, returned := parts[seat]; returned {
			return min(at, end)
		}
		return end
	}
}

// mayExpire is an expiry that nobody recorded, of a hold that only its client knows and has not sold or given back.
func (p *prover) mayExpire(h *hold) (deed, bool) {
	grants := happenedOnly(h.grants)
	if len(grants) == 0 || !p.rowOf(grants).partial || len(h.closes) > 0 || told(h, "sold") {
		return deed{}, false
	}
	s := h.told[0]
	lives := (s.op.Deadline - s.op.AsOf) * int64(time.Microsecond)
	c := &commit{call: s.call, from: s.call.From + max(lives, 0), to: forever, fate: open, state: map[*row]int{}}
	return deed{c, grants[0].op}, true
}

// What an operation of a porcupine model does.
type deedKind uint8

const (
	takes deedKind = iota
	gives
	finds // that there is not enough
)

type seatInput struct {
	kind  deedKind
	hold  int // from 1
	maybe bool
	name  string
}

// seatModel is a seat: state is the hold that has it, 0 for none. What may not have happened has no response, so it can
// always be placed behind everything else, where it does no harm.
func seatModel(first int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) {
			at, in := state.(int), input.(seatInput)
			switch {
			case in.kind == takes && at == 0:
				return true, in.hold
			case in.kind == gives && at == in.hold:
				return true, 0
			case in.kind == finds:
				return at != 0, at
			}
			return in.maybe, at
		},
		DescribeOperation: func(input, _ any) string { return input.(seatInput).name },
		DescribeState: func(state any) string {
			if state.(int) == 0 {
				return "free"
			}
			return fmt.Sprintf("hold %d", state)
		},
	}
}

// piece is a part of a history that porcupine judges by itself.
type piece struct {
	model porcupine.Model
	ops   []porcupine.Operation
}

// seatPiece is how long a piece of a seat's history is before it is cut where nothing is in flight.
const seatPiece = 300

// pieces cuts the history of a seat at moments at which nothing is in flight. The state there follows from the commit
// numbers: the last one before it decides.
func (p *prover) pieces(k seatKey, refused []said) []piece {
	events := p.seats[k]
	numbers := make(map[uuid.UUID]int)
	number := func(h *hold) int {
		if numbers[h.id] == 0 {
			numbers[h.id] = len(numbers) + 1
		}
		return numbers[h.id]
	}
	type entry struct {
		op porcupine.Operation
		e  *event
	}
	var all []entry
	for i := range events {
		e := &events[i]
		in := seatInput{kind: gives, hold: number(e.hold), maybe: e.maybe}
		in.name = fmt.Sprintf("hold %d ends (%s)", in.hold, e.in.name())
		if e.take {
			in.kind, in.name = takes, fmt.Sprintf("hold %d, %s (%s)", in.hold, e.hold.id, e.in.name())
		}
		all = append(all, entry{porcupine.Operation{Input: in, Call: e.in.from, Return: max(p.end(k, e.in), e.in.from)}, e})
	}
	for _, s := range refused {
		in := seatInput{kind: finds, name: "taken for " + s.op.Hold.String() + " (" + where(s.call) + ")"}
		all = append(all, entry{op: porcupine.Operation{Input: in, Call: s.call.From, Return: s.call.To}})
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.op.Call, b.op.Call) })
	var out []piece
	state, version, busy := 0, int64(-1), int64(0)
	now := piece{model: seatModel(0)}
	for _, en := range all {
		if len(now.ops) >= seatPiece && busy < en.op.Call {
			out, now = append(out, now), piece{model: seatModel(state)}
		}
		now.ops = append(now.ops, en.op)
		busy = max(busy, en.op.Return)
		// A commit that frees a seat and takes it does so in this order.
		if e := en.e; e != nil && !e.maybe && (e.version > version || e.version == version && e.take) {
			if state, version = 0, e.version; e.take {
				state = number(e.hold)
			}
		}
	}
	return append(out, now)
}

// end is when a commit had happened at the latest. Of one that was never answered its number tells.
func (p *prover) end(k seatKey, c *commit) int64 {
	if r := p.seatRow[k]; c.fate == proven && r != nil {
		if i, known := c.state[r]; known {
			return min(c.to, r.latest[i])
		}
	}
	return c.to
}

// refusedSeats are the refusals that name one seat, by seat.
func (p *prover) refusedSeats() map[seatKey][]said {
	found := make(map[seatKey][]said)
	for _, s := range p.refusals {
		if s.op.Code != "seat_taken" || len(s.op.Items) != 1 || len(s.op.Items[0].Seats) != 1 || s.call.To == 0 {
			continue
		}
		k := seatKey{s.op.Event, s.op.Items[0].Seats[0]}
		if r := p.seatRow[k]; r != nil && r.base == 0 && len(p.seats[k]) > 0 && (!r.partial || s.call.Side == history.Client) {
			found[k] = append(found[k], s)
		}
	}
	return found
}

// checkSeats has porcupine judge every seat.
func (p *prover) checkSeats() {
	check := p.check("seats", "the history of each seat is linearizable (porcupine)")
	refused := p.refusedSeats()
	keys := make([]seatKey, 0, len(p.seats))
	for k := range p.seats {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b seatKey) int {
		return cmp.Or(slices.Compare(a.event[:], b.event[:]), cmp.Compare(a.seat, b.seat))
	})
	var pieces []piece
	var of []seatKey
	for _, k := range keys {
		if r := p.seatRow[k]; r != nil && r.base > 0 {
			continue // who had it when the recording began is not known
		}
		for _, one := range p.pieces(k, refused[k]) {
			pieces, of = append(pieces, one), append(of, k)
		}
	}
	for i, result := range judge(pieces, p.o.Seats) {
		switch result {
		case porcupine.Unknown:
			check.Undecided += int64(len(pieces[i].ops))
		case porcupine.Illegal:
			check.Checked += int64(len(pieces[i].ops))
			check.wrong("seat %s of event %s: no order of its operations makes sense", of[i].seat, of[i].event)
			p.suspects = slices.Insert(p.suspects, 0, suspect{seat: of[i], why: "no order of the operations makes sense"})
		default:
			check.Checked += int64(len(pieces[i].ops))
		}
	}
	p.checked += check.Checked
}

// judge has porcupine check pieces on all processors, within a time for all of them.
func judge(pieces []piece, atMost time.Duration) []porcupine.CheckResult {
	results := make([]porcupine.CheckResult, len(pieces))
	end := time.Now().Add(atMost)
	var workers sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(pieces) {
					return
				}
				left := min(time.Until(end), 5*time.Second)
				if results[i] = porcupine.Unknown; left > 0 {
					results[i] = porcupine.CheckOperationsTimeout(pieces[i].model, pieces[i].ops, left)
				}
			}
		})
	}
	workers.Wait()
	return results
}
