package access

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"fairgate/edge/lottery"
)

// filled is a pool of sealed windows with so many entrants each, every tenth in band 1.
func filled(t testing.TB, sizes ...int) *pool {
	t.Helper()
	p := newPool(1)
	n := 0
	for w, size := range sizes {
		b := block{keyNo: 1, at: time.UnixMilli(1)}
		var leaves []lottery.Leaf
		for range size {
			e := Entry{Entrant: buyer(n).Entrant, Device: buyer(n).Device, Window: uint32(w)}
			if n%10 == 9 {
				e.Band, e.Reason = 1, lottery.ReasonNetworkSurplus
			}
			b.entries = append(b.entries, e)
			leaves = append(leaves, lottery.Leaf{Entrant: e.Entrant, Band: e.Band, Reason: e.Reason})
			n++
		}
		if err := p.apply(uint64(w), []block{b}); err != nil {
			t.Fatal(err)
		}
		seal := sealed{number: uint32(w), entrants: size, root: lottery.Root(leaves), seed: [32]byte{byte(w), 1}, blocks: uint64(w + 1)}
		if err := p.seal(seal); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestTheCursorCallsExactlyAsManyAsAskedAcrossWindowsAndBands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 5).Draw(t, "sizes")
		p := filled(nopTB{}, sizes...)
		var places []lottery.Place
		for i := range p.records {
			places = append(places, p.records[i].place())
		}
		slices.SortFunc(places, lottery.Place.Compare)
		called := 0
		for called < len(places) {
			more := rapid.IntRange(1, 30).Draw(t, "more")
			cursor, now, moves := p.advance(called, more)
			if !moves || now != min(called+more, len(places)) {
				t.Fatalf("asked for %d after %d of %d, called are %d", more, called, len(places), now)
			}
			covered := 0
			for _, place := range places {
				if place.Compare(cursor) <= 0 {
					covered++
				}
			}
			if covered != now {
				t.Fatalf("the cursor covers %d, it says %d", covered, now)
			}
			called = now
		}
		if _, _, moves := p.advance(called, 10); moves {
			t.Fatal("the cursor moves on though nobody is left")
		}
	})
}

// nopTB is for helpers inside rapid.Check, whose own T is no testing.TB.
type nopTB struct{ testing.TB }

func (nopTB) Helper()           {}
func (nopTB) Fatal(args ...any) { panic(args) }

func TestAPoolThatDiffersFromTheCommittedRootAdmitsNobody(t *testing.T) {
	p := newPool(1)
	e := Entry{Entrant: buyer(1).Entrant}
	if err := p.apply(0, []block{{entries: []Entry{e}}}); err != nil {
		t.Fatal(err)
	}
	other := []lottery.Leaf{{Entrant: buyer(2).Entrant}}
	err := p.seal(sealed{number: 0, entrants: 1, root: lottery.Root(other), blocks: 1})
	if !errors.Is(err, errPoolDiffers) {
		t.Fatalf("sealing with another root: %v", err)
	}
	if rec, _ := p.find(e.Entrant); rec.drawn {
		t.Fatal("the entrant counts as drawn")
	}
}

func TestAWindowIsNotDrawnBeforeAllItsBlocksAreThere(t *testing.T) {
	p := newPool(1)
	if err := p.seal(sealed{number: 0, root: lottery.Root(nil), blocks: 1}); err == nil {
		t.Fatal("a window was drawn over a block that is missing")
	}
	if err := p.apply(1, []block{{}}); err == nil {
		t.Fatal("block 1 was applied before block 0")
	}
}

func TestBlocksComeTwiceAndCountOnce(t *testing.T) {
	p := newPool(1)
	b := block{entries: []Entry{{Entrant: buyer(1).Entrant, Network: [8]byte{1}}}}
	for range 2 {
		if err := p.apply(0, []block{b}); err != nil {
			t.Fatal(err)
		}
	}
	if joined, _ := p.counts(); joined != 1 || p.networks[[8]byte{1}] != 1 {
		t.Fatalf("%d joined, %d of the network", joined, p.networks[[8]byte{1}])
	}
}

func TestWindowsWhollyCalledKeepOneQuantileABandAndTheOthersShareTheRest(t *testing.T) {
	p := filled(t, 400, 0, 300, 100)
	views := p.view(400, 200, nil)
	if len(views) != 3 {
		t.Fatalf("%d windows are told of, want those with entrants", len(views))
	}
	quantiles := func(w windowView) (n int) {
		for _, b := range w.bands {
			n += len(b.Quantiles)
		}
		return n
	}
	if n := quantiles(views[0]); n != 2 {
		t.Errorf("the called window keeps %d quantiles", n)
	}
	if a, b := quantiles(views[1]), quantiles(views[2]); a < 140 || a > 150 || b < 40 || b > 50 {
		t.Errorf("the waiting windows get %d and %d quantiles of 200", a, b)
	}
}
