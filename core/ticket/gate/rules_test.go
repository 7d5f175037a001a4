package gate

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var doors = time.Date(2027, 6, 12, 18, 0, 0, 0, time.UTC)

func pass(d Direction, gate string, minute int) Pass {
	return Pass{ID: uuid.New(), Direction: d, Gate: gate, At: doors.Add(time.Duration(minute) * time.Minute)}
}

func TestReentryIsAsTheEventSays(t *testing.T) {
	for _, c := range []struct {
		rule Reentry
		ways []Direction
		want []error
	}{
		{Once, []Direction{In, In}, []error{nil, ErrUsed}},
		{Once, []Direction{In, Out, In, Out}, []error{nil, nil, ErrUsed, ErrOutside}},
		{AfterExit, []Direction{In, In, Out, In, In}, []error{nil, ErrInside, nil, nil, ErrInside}},
		{AfterExit, []Direction{Out, In, Out, Out}, []error{ErrOutside, nil, nil, ErrOutside}},
		{Free, []Direction{In, In, Out, Out, In}, []error{nil, nil, nil, nil, nil}},
	} {
		var e Entry
		for i, d := range c.ways {
			next, err := Rules{Reentry: c.rule}.Next(e, pass(d, "north", i))
			if !errors.Is(err, c.want[i]) {
				t.Errorf("rule %d, %v: pass %d: %v", c.rule, c.ways, i, err)
			}
			e = next
		}
	}
}

func TestARefusalSaysWhenAndWhereTheFirstCameIn(t *testing.T) {
	first := pass(In, "north", 3)
	for _, rule := range []Reentry{Once, AfterExit} {
		e, err := Rules{Reentry: rule}.Next(Entry{}, first)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Rules{Reentry: rule}.Next(e, pass(In, "south", 5))
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Before != first {
			t.Errorf("rule %d: %v", rule, err)
		}
	}
}

func TestAZoneAdmitsItsTiersAndSections(t *testing.T) {
	r := Rules{Zones: []Zone{{ID: "floor", Places: []string{"floor", "a-tier-with-a-long-", "101/"}}}}
	for place, want := range map[string]bool{"floor": true, "a-tier-with-a-long-": true, "101/A/7": true, "102/A/7": false, "10": false, "101": false, "upper": false, "floor/A/1": false} {
		if r.Admits("floor", place) != want {
			t.Errorf("%s: %v", place, !want)
		}
		if !r.Admits("", place) || r.Admits("roof", place) {
			t.Errorf("%s at the venue's gate, or at one that is not there", place)
		}
	}
	if !r.Known("") || !r.Known("floor") || r.Known("roof") {
		t.Error("zones are not told apart")
	}
}

func TestACodeIsGoodInItsOwnEpochUntilItIsVoid(t *testing.T) {
	for _, c := range []struct {
		state State
		epoch uint32
		want  error
	}{
		{Issued, 1, nil}, {StateOf(1, true), 1, ErrVoid}, {StateOf(2, false), 1, ErrSuperseded}, {StateOf(2, false), 2, nil},
		{StateOf(2, true), 2, ErrVoid}, {StateOf(2, true), 1, ErrSuperseded}, {Issued, 2, nil}, {StateOf(1, true), 2, nil}, {0, 1, nil},
	} {
		if err := c.state.Check(c.epoch); !errors.Is(err, c.want) {
			t.Errorf("state %d, epoch %d: %v", c.state, c.epoch, err)
		}
	}
}

// Two gates' logs, merged in any order, in any pieces, come to the same entry and the same duplicates; and whoever is inside has come in
// as often as the rule allows.
func TestPassesComeToTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := Rules{Reentry: Reentry(rapid.IntRange(0, 2).Draw(t, "rule"))}
		passes := make([]Pass, rapid.IntRange(0, 12).Draw(t, "passes"))
		for i := range passes {
			passes[i] = pass(rapid.SampledFrom([]Direction{In, Out}).Draw(t, "way"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "gate"), rapid.IntRange(0, 5).Draw(t, "minute"))
		}
		e, twice := rules.Replay(passes)
		shuffled := slices.Clone(passes)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		e2, twice2 := rules.Replay(shuffled)
		if e != e2 || !slices.Equal(twice, twice2) {
			t.Fatalf("%+v %v, %+v %v", e, twice, e2, twice2)
		}
		if e.Ins+e.Outs+len(twice) != len(passes) || rules.Reentry == Once && e.Ins > 1 || rules.Reentry == AfterExit && e.Ins-e.Outs > 1 {
			t.Fatalf("%+v of %d passes, %d duplicates", e, len(passes), len(twice))
		}
		for _, d := range twice {
			if rules.Reentry == Free && d.Pass.Direction == In || d.Pass.Direction == In && (d.Before.ID == uuid.Nil || d.Before.At.After(d.Pass.At)) {
				t.Fatalf("%+v is a duplicate of %+v", d.Pass, d.Before)
			}
		}
	})
}
