package loadtest

import (
	"encoding/binary"
	"testing"

	"fairgate/edge/lottery"
)

// drawnSale is a window of so many entrants of whom the first called ones were called.
func drawnSale(entrants, called int) (lottery.Transcript, []lottery.Drawn) {
	w := lottery.SealedWindow{Seed: lottery.Hex32{7}}
	for i := range entrants {
		var e lottery.Entrant
		binary.BigEndian.PutUint32(e[:], uint32(i))
		w.Leaves = append(w.Leaves, lottery.Leaf{Entrant: e})
	}
	order := lottery.Order(w.Seed, 0, w.Leaves)
	last := order[called-1].Place()
	return lottery.Transcript{
		Windows: []lottery.SealedWindow{w}, Cursors: []lottery.CursorMove{{Window: last.Window, Band: last.Band, Value: lottery.Fraction(last.Value)}},
	}, order
}

func TestAKindThatIsCalledAsOftenAsOthersHasItsShareAndOneThatIsCalledMoreOftenIsFound(t *testing.T) {
	transcript, order := drawnSale(4000, 1000)
	kinds := make(map[lottery.Entrant]string)
	for i, d := range order {
		switch {
		case i < 60: // all of them among the first
			kinds[d.Entrant] = "crook"
		case binary.BigEndian.Uint32(d.Entrant[:])%10 == 0: // by their names, which the draw does not look at
			kinds[d.Entrant] = "plain"
		}
	}
	e := &evidence{shares: shares(transcript, kinds)}
	if len(e.shares) != 2 || e.shares[0].Kind != "crook" || e.shares[0].Called != 60 || e.shares[0].Fair != 15 {
		t.Fatalf("%+v", e.shares)
	}
	if plain := e.shares[1]; float64(plain.Called) > plain.Most || plain.Called == 0 {
		t.Errorf("an honest share: %+v", plain)
	}
	v := checkShare(e)
	if v.Passed || v.Found != 1 {
		t.Errorf("%+v", v)
	}
	if v := checkShare(&evidence{shares: e.shares[1:]}); !v.Passed {
		t.Errorf("%+v", v)
	}
	if v := checkShare(&evidence{}); v.Passed {
		t.Error("nothing to check is a pass")
	}
}

func TestSpecialSortsOfPeopleAreAnEighthEach(t *testing.T) {
	count := make(map[sort]int)
	for i := range 800 {
		count[sortOf(BuyersPlan{Mixed: true}, i)]++
		if s := sortOf(BuyersPlan{}, i); s != sortUsual {
			t.Fatalf("buyer %d of a plan that is not mixed is of sort %d", i, s)
		}
	}
	for s := sortNAT; s <= sortNoScript; s++ {
		if count[s] != 100 {
			t.Errorf("sort %d: %d of 800", s, count[s])
		}
	}
}
