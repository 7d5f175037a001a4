package seating_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"fairgate/core/inventory/seating"
)

func drawWish(t *rapid.T, h *hall) seating.Wish {
	w := seating.Wish{
		Tier: "lower", Quantity: rapid.IntRange(1, 4).Draw(t, "quantity"),
		Allow: seating.Allow{
			Orphans: rapid.Bool().Draw(t, "orphans"), Split: rapid.Bool().Draw(t, "split"), Neighbours: rapid.Bool().Draw(t, "neighbours allowed"),
		},
	}
	if rapid.Bool().Draw(t, "section named") {
		w.Section = rapid.SampledFrom(h.sections).Draw(t, "section").ID
	}
	return w
}

// scope is where a wish may be seated: the sections asked for, their neighbours, and all of them.
func (h *hall) scope(w seating.Wish) (own, others, all []int) {
	index := map[string]int{}
	for i, s := range h.sections {
		index[s.ID] = i
		if w.Section == "" {
			own = append(own, i)
		}
	}
	if w.Section == "" {
		return own, nil, own
	}
	n := index[w.Section]
	for _, id := range h.sections[n].Neighbours {
		others = append(others, index[id])
	}
	return []int{n}, others, append([]int{n}, others...)
}

// model goes down the steps of the package comment for a party without need.
func (h *hall) model(w seating.Wish) (step string, best result, ok bool) {
	usable := h.usable("lower")
	fit := func(block []spot) bool { return !slices.ContainsFunc(block, func(s spot) bool { return !usable(s) }) }
	own, others, all := h.scope(w)
	steps := func(in []int) (string, result, bool) {
		if r, ok := h.together(w.Quantity, in, true, fit, usable); ok {
			return "together", r, true
		}
		return "", result{}, false
	}
	relaxed := func(in []int) (string, result, bool) {
		if !w.Allow.Orphans {
			return "", result{}, false
		}
		r, ok := h.together(w.Quantity, in, false, fit, usable)
		return "orphans", r, ok
	}
	split := func(in []int) (string, result, bool) {
		if !w.Allow.Split {
			return "", result{}, false
		}
		best, found := result{}, false
		for _, n := range in {
			r, ok := h.split(w.Quantity, []int{n}, !w.Allow.Orphans, usable)
			if ok && (!found || r.orphans < best.orphans || r.orphans == best.orphans && (r.pieces < best.pieces || r.pieces == best.pieces && r.alone < best.alone)) {
				best, found = r, true
			}
		}
		return "split", best, found
	}
	ladder := []func([]int) (string, result, bool){steps, relaxed, split}
	for _, one := range ladder {
		if step, best, ok := one(own); ok {
			return step, best, true
		}
	}
	if !w.Allow.Neighbours {
		return "", result{}, false
	}
	for _, one := range ladder {
		for _, n := range others {
			if step, best, ok := one([]int{n}); ok {
				return "neighbour " + step, best, true
			}
		}
	}
	if w.Allow.Split && len(all) > 1 {
		if best, ok := h.split(w.Quantity, all, !w.Allow.Orphans, usable); ok {
			return "across", best, true
		}
	}
	return "", result{}, false
}

func (h *hall) named(p seating.Pick) []string {
	var names []string
	for _, place := range p.Seats {
		names = append(names, h.chart.Name(place))
	}
	return names
}

// chosen are the seats of a pick in the order of the chart.
func (h *hall) chosen(p seating.Pick) []spot {
	names := h.named(p)
	var seats []spot
	for _, s := range h.spots() {
		if slices.Contains(names, s.name) {
			seats = append(seats, s)
		}
	}
	return seats
}

func TestAPickIsWhatTryingEverythingWouldFind(t *testing.T) {
	shown := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := drawHall(t, rapid.Bool().Draw(t, "needs"))
		w := drawWish(t, h)
		step, want, possible := h.model(w)
		pick, err := h.free.Pick(w)
		if err != nil {
			var refusal *seating.Refusal
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			if possible {
				t.Fatalf("refused (%v), but by %q there is %v", err, step, want)
			}
			shown["refused"]++
			h.checkRefusal(t, w, refusal)
			return
		}
		seats := h.chosen(pick)
		if len(seats) != w.Quantity || len(pick.Seats) != w.Quantity {
			t.Fatalf("picked %v for %d", h.named(pick), w.Quantity)
		}
		for _, s := range seats {
			if !h.is[s.name] || s.table {
				t.Fatalf("picked %s, which is not free or at a table", s.name)
			}
		}
		if !possible {
			t.Fatalf("picked %v, which the rules forbid", h.named(pick))
		}
		got := h.judge(seats, h.usable("lower"))
		if got.orphans != want.orphans || got.pieces != want.pieces || got.alone != want.alone {
			t.Fatalf("by %q picked %v, there is %v", step, got, want)
		}
		if step != "split" && step != "neighbour split" && step != "across" && !slices.Equal(h.named(pick), want.seats) {
			t.Fatalf("by %q picked %v, nearer is %v", step, got, want)
		}
		sections := map[int]bool{}
		for _, s := range seats {
			sections[s.section] = true
		}
		own, _, _ := h.scope(w)
		outside := len(sections) > 1
		for n := range sections {
			outside = outside || !slices.Contains(own, n)
		}
		if used := (seating.Allow{Orphans: got.orphans > 0, Split: got.pieces > 1, Neighbours: outside}); used != pick.Used {
			t.Fatalf("picked %v and says it took %+v", got, pick.Used)
		}
		shown[step]++
	})
	t.Log(shown)
	for _, step := range []string{"together", "split", "refused"} {
		if shown[step] == 0 {
			t.Errorf("no case of %q", step)
		}
	}
}

// checkRefusal makes sure that the advice helps, and that no single step of it does by itself what two are named for.
func (h *hall) checkRefusal(t *rapid.T, w seating.Wish, refusal *seating.Refusal) {
	given, advice := w.Allow, refusal.Relax
	w.Allow = seating.Allow{Orphans: given.Orphans || advice.Orphans, Split: given.Split || advice.Split, Neighbours: given.Neighbours || advice.Neighbours}
	_, err := h.free.Pick(w)
	if helps := advice != (seating.Allow{}); helps != (err == nil) {
		t.Fatalf("advised %+v, and then: %v", advice, err)
	}
	if (advice == seating.Allow{}) {
		w.Allow = seating.Allow{Orphans: true, Split: true, Neighbours: true}
		if pick, err := h.free.Pick(w); err == nil {
			t.Fatalf("advised nothing, but %v would do", h.named(pick))
		}
	}
}

func TestAccessibleSeatsGoWithTheirCompanions(t *testing.T) {
	shown := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := drawHall(t, true)
		w := drawWish(t, h)
		w.Accessible = rapid.IntRange(1, w.Quantity).Draw(t, "accessible")
		w.Companions = rapid.IntRange(0, w.Quantity-w.Accessible).Draw(t, "companions")
		serves := func(seats []spot) bool {
			count := map[seating.Use]int{}
			for _, s := range seats {
				count[s.use]++
			}
			if count[seating.Accessible] != w.Accessible || count[seating.Companion] != w.Companions {
				return false
			}
			at := map[[2]int]seating.Use{}
			for _, s := range seats {
				at[[2]int{s.row, s.number}] = s.use
			}
			beside := func(s spot, step int) bool { // an accessible seat, past companions only
				for n := s.number + step; ; n += step {
					use, mine := at[[2]int{s.row, n}]
					if !mine || use == seating.Ordinary {
						return false
					}
					if use == seating.Accessible {
						return true
					}
				}
			}
			for _, s := range seats {
				if s.use == seating.Companion && !beside(s, 1) && !beside(s, -1) {
					return false
				}
			}
			return true
		}
		ordinary := func(s spot) bool { return s.use == seating.Ordinary }
		own, _, _ := h.scope(w)
		want, possible := h.together(w.Quantity, own, true, serves, ordinary)
		pick, err := h.free.Pick(w)
		if err != nil {
			var refusal *seating.Refusal
			if possible || !errors.As(err, &refusal) {
				t.Fatalf("%v, but there is %v", err, want)
			}
			shown["refused"]++
			return
		}
		seats := h.chosen(pick)
		for _, s := range seats {
			if !h.is[s.name] || s.table {
				t.Fatalf("picked %s, which is not free or at a table", s.name)
			}
		}
		if len(seats) != w.Quantity || !serves(seats) {
			t.Fatalf("picked %v for %+v", h.named(pick), w)
		}
		if possible && !slices.Equal(h.named(pick), want.seats) {
			t.Fatalf("picked %v, nearer is %v", h.judge(seats, ordinary), want)
		}
		got := h.judge(seats, ordinary)
		if got.orphans > 0 && !w.Allow.Orphans || got.pieces > 1 && !w.Allow.Split {
			t.Fatalf("picked %v with only %+v allowed", got, w.Allow)
		}
		shown[fmt.Sprintf("together=%v", possible)]++
	})
	t.Log(shown)
	if shown["refused"] == 0 || shown["together=true"] == 0 {
		t.Error("some outcome never happened")
	}
}

func TestATrialLeavesNothingBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHall(t, true)
		w := drawWish(t, h)
		before, errBefore := h.free.Pick(w)
		h.free.Mark()
		for _, s := range h.spots() {
			p, _ := h.chart.Find(s.name)
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 1:
				h.free.Put(p)
			case 2:
				h.free.Take(p)
			}
		}
		_, _ = h.free.Pick(w)
		h.free.Undo()
		for _, s := range h.spots() {
			if p, _ := h.chart.Find(s.name); h.free.Has(p) != h.is[s.name] {
				t.Fatalf("seat %s: free is %v", s.name, h.free.Has(p))
			}
		}
		after, errAfter := h.free.Pick(w)
		if !slices.Equal(h.named(before), h.named(after)) || fmt.Sprint(errBefore) != fmt.Sprint(errAfter) {
			t.Fatalf("picked %v (%v), after the trial %v (%v)", h.named(before), errBefore, h.named(after), errAfter)
		}
	})
}

func TestWishesThatMakeNoSenseAreRefused(t *testing.T) {
	chart, err := seating.NewChart([]seating.Section{{ID: "A", Tier: "lower", Rows: []seating.Row{{Label: "1", Seats: []seating.Seat{{Number: 1}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	free := seating.NewFree(chart)
	for _, c := range []struct {
		w    seating.Wish
		want error
	}{
		{seating.Wish{Tier: "lower"}, seating.ErrWish},
		{seating.Wish{Tier: "lower", Quantity: seating.MaxParty + 1}, seating.ErrWish},
		{seating.Wish{Tier: "lower", Quantity: 2, Companions: 1}, seating.ErrWish},
		{seating.Wish{Tier: "lower", Quantity: 2, Accessible: 2, Companions: 1}, seating.ErrWish},
		{seating.Wish{Tier: "lower", Quantity: 2, Accessible: -1}, seating.ErrWish},
		{seating.Wish{Tier: "upper", Section: "A", Quantity: 1}, seating.ErrWish},
		{seating.Wish{Section: "B", Quantity: 1}, seating.ErrSection},
		{seating.Wish{Tier: "upper", Quantity: 1}, seating.ErrTier},
		{seating.Wish{Quantity: 1}, seating.ErrTier},
	} {
		if _, err := free.Pick(c.w); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.w, err, c.want)
		}
	}
	var refusal *seating.Refusal
	if _, err := free.Pick(seating.Wish{Section: "A", Quantity: 1}); !errors.As(err, &refusal) || refusal.Left != 0 {
		t.Errorf("with nothing free: %v", err)
	}
}

func TestChartsThatContradictThemselvesAreRefused(t *testing.T) {
	one := []seating.Row{{Label: "1", Seats: []seating.Seat{{Number: 1}}}}
	for name, sections := range map[string][]seating.Section{
		"section twice":   {{ID: "A", Rows: one}, {ID: "A", Rows: one}},
		"row twice":       {{ID: "A", Rows: append(one, one...)}},
		"no rows":         {{ID: "A"}},
		"no seats":        {{ID: "A", Rows: []seating.Row{{Label: "1"}}}},
		"seat twice":      {{ID: "A", Rows: []seating.Row{{Label: "1", Seats: []seating.Seat{{Number: 1}, {Number: 1}}}}}},
		"seat 0":          {{ID: "A", Rows: []seating.Row{{Label: "1", Seats: []seating.Seat{{Number: 0}}}}}},
		"focus nowhere":   {{ID: "A", Focus: seating.Focus{Row: "9", Seat: 1}, Rows: one}},
		"no neighbour":    {{ID: "A", Neighbours: []string{"B"}, Rows: one}},
		"own neighbour":   {{ID: "A", Neighbours: []string{"A"}, Rows: one}},
		"other tier's":    {{ID: "A", Neighbours: []string{"B"}, Rows: one}, {ID: "B", Tier: "upper", Rows: one}},
		"second is wrong": {{ID: "A", Rows: one}, {ID: "B"}},
	} {
		if _, err := seating.NewChart(sections); !errors.Is(err, seating.ErrChart) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
