package proof

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/core/inventory/history"
)

// madeUp is a history that was made up: what an inventory of one tier did, one thing after the other, each at a moment
// within its window.
type madeUp struct {
	event    uuid.UUID
	capacity int64
	calls    []history.Call
	moment   []int64 // of each call
	left     []int64 // after each commit, by moment
	at       []int64
}

// step is the time between two things. Windows reach over several of them.
const step = 1000

// makeUp draws a correct history, with attempts that were never answered, some of which happened.
func makeUp(t *rapid.T) *madeUp {
	m := &madeUp{event: uuid.UUID{1}, capacity: int64(rapid.IntRange(1, 12).Draw(t, "capacity"))}
	var taken, version int64
	type live struct {
		id    uuid.UUID
		units int64
	}
	var held []live
	m.left, m.at = []int64{m.capacity}, []int64{0}
	n := rapid.IntRange(5, 60).Draw(t, "things")
	for i := range n {
		now := int64(i+1) * 10 * step
		var id uuid.UUID
		binary.BigEndian.PutUint32(id[12:], uint32(i+1))
		c := history.Call{N: int64(i + 1), Side: history.Core, File: "h", Line: i + 1,
			From: now - int64(rapid.IntRange(0, 40).Draw(t, "before"))*step, To: now + int64(rapid.IntRange(0, 40).Draw(t, "after"))*step}
		o := history.Op{Do: history.Hold, Event: m.event, Hold: id, Buyer: "5f", Items: []history.Item{{Tier: "floor", Allocation: "general"}}}
		wanted := int64(rapid.IntRange(1, 4).Draw(t, "units"))
		release := len(held) > 0 && rapid.Bool().Draw(t, "release")
		if left := m.capacity - taken; !release && left < wanted {
			o.Items[0].Quantity, o.Outcome, o.Code = int(wanted), history.Refused, "not_enough_left"
			c.Ops = []history.Op{o}
			m.add(c, now)
			continue
		}
		change := wanted
		if release {
			k := rapid.IntRange(0, len(held)-1).Draw(t, "which")
			o.Do, o.Hold, change = history.Release, held[k].id, -held[k].units
			o.Items[0].Quantity = int(held[k].units)
			held = slices.Delete(held, k, k+1)
		} else {
			o.Items[0].Quantity = int(wanted)
			held = append(held, live{id, wanted})
		}
		o.Items[0].Commit = version + 1
		c.Rows = []history.Row{{Event: m.event, Tier: "floor", Allocation: "general", Version: version + 1, Taken: taken + change, Capacity: m.capacity}}
		c.Ops, c.Outcome = []history.Op{o}, history.OK
		switch rapid.IntRange(0, 9).Draw(t, "fate") {
		case 0: // never answered, and it happened
			c.Outcome, c.To = history.Unknown, 0
		case 1: // never answered, and it did not happen: a rival gets its number
			lost := c
			lost.N, lost.Outcome, lost.To = int64(1000+i), history.Unknown, 0
			lost.Ops = slices.Clone(c.Ops)
			if !release {
				lost.Ops[0].Hold = uuid.UUID{9, byte(i)}
			}
			m.add(lost, now)
		}
		version, taken = version+1, taken+change
		m.left, m.at = append(m.left, m.capacity-taken), append(m.at, now)
		m.add(c, now)
	}
	return m
}

func (m *madeUp) add(c history.Call, moment int64) {
	m.calls, m.moment = append(m.calls, c), append(m.moment, moment)
}

// commits are the calls that certainly committed.
func (m *madeUp) commits() []int {
	var all []int
	for i, c := range m.calls {
		if c.Outcome == history.OK && len(c.Rows) > 0 {
			all = append(all, i)
		}
	}
	return all
}

func (m *madeUp) history() *history.History { return &history.History{Calls: m.calls, Processes: 1} }

func TestHistoriesOfASoundInventoryAreAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := makeUp(t)
		v, err := Prove(m.history(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !v.Passed && v.Commits > 0 {
			t.Fatalf("%+v\n%v", m.calls, v.Failures())
		}
	})
}

// One thing is changed in a correct history so that no inventory can have made it.
func TestHistoriesThatCannotBeAreRejected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := makeUp(t)
		commits := m.commits()
		if len(commits) < 2 {
			return
		}
		k := rapid.IntRange(0, len(commits)-2).Draw(t, "commit") // there is a later one
		c, later := &m.calls[commits[k]], &m.calls[commits[k+1]]
		what := rapid.SampledFrom([]string{"another number", "gone", "one more taken", "answered too late", "closed twice", "refused in vain"}).Draw(t, "what")
		switch what {
		case "another number":
			c.Rows = slices.Clone(c.Rows)
			c.Rows[0].Version = later.Rows[0].Version
		case "gone":
			if k == 0 {
				return // the recording may have begun after it
			}
			for _, other := range m.calls { // a lost rival may explain the gap
				if len(other.Rows) > 0 && other.N != c.N && other.Rows[0].Version == c.Rows[0].Version {
					return
				}
			}
			m.calls = slices.Delete(m.calls, commits[k], commits[k]+1)
		case "one more taken":
			c.Rows = slices.Clone(c.Rows)
			c.Rows[0].Taken++
		case "answered too late":
			c.From, c.To = later.To+1, later.To+2
		case "closed twice":
			again := *later
			again.N, again.From, again.To = 5000, 1<<40, 1<<40+1
			o := c.Ops[0]
			if o.Do != history.Release {
				return
			}
			last := m.calls[commits[len(commits)-1]].Rows[0]
			for _, other := range m.calls {
				if len(other.Rows) > 0 && other.Rows[0].Version > last.Version {
					return
				}
			}
			last.Version++
			last.Taken -= int64(o.Items[0].Quantity)
			again.Rows, again.Ops = []history.Row{last}, []history.Op{o}
			m.calls = append(m.calls, again)
		case "refused in vain":
			after := int64(1 << 40) // long after everything
			left := m.left[len(m.left)-1]
			if left == 0 {
				return
			}
			m.calls = append(m.calls, history.Call{N: 5000, Side: history.Core, From: after, To: after + 1, Ops: []history.Op{{Do: history.Hold, Event: m.event,
				Hold: uuid.UUID{7}, Outcome: history.Refused, Code: "sold_out", Items: []history.Item{{Tier: "floor", Allocation: "general", Quantity: 1}}}}})
			for _, other := range m.calls { // the last commit must be known, or one without an answer may be the last
				if other.Outcome == history.Unknown {
					return
				}
			}
		}
		v, err := Prove(m.history(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if v.Passed {
			t.Fatalf("%s: accepted %+v", what, m.calls)
		}
	})
}
