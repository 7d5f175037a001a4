package lottery

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

const drawTag = "fairgate-draw-v1"

// Seed is the seed of a sealed window. beacon is public randomness drawn after the seal; without one it is empty.
func Seed(event uuid.UUID, window uint32, secret, root [32]byte, beacon []byte) [32]byte {
	m := make([]byte, 0, 128)
	m = append(m, event[:]...)
	m = binary.BigEndian.AppendUint32(m, window)
	m = append(m, secret[:]...)
	m = append(m, root[:]...)
	return tagged(drawTag, append(m, beacon...))
}

// Value is where e falls under seed: a 64-bit fraction; lower goes first.
func Value(seed [32]byte, e Entrant) uint64 {
	sum := MAC(seed[:], "", e[:])
	return binary.BigEndian.Uint64(sum[:8])
}

// Place is a place in the order of an on-sale, and what a cursor points at. Entrants are a tie-breaker
// of the order but no part of a place: two with one value, one chance in 2^64 a pair, are called together.
type Place struct {
	Window uint32
	Band   Band
	Value  uint64
}

// Compare is negative when p goes before q, and positive when it goes after.
func (p Place) Compare(q Place) int {
	if c := cmp.Compare(p.Window, q.Window); c != 0 {
		return c
	}
	if c := cmp.Compare(p.Band, q.Band); c != 0 {
		return c
	}
	return cmp.Compare(p.Value, q.Value)
}

// String is the place in words.
func (p Place) String() string {
	return fmt.Sprintf("window %d, band %d, value %s", p.Window, p.Band, Fraction(p.Value))
}

// Drawn is a leaf with the value it drew.
type Drawn struct {
	Leaf
	Window uint32
	Value  uint64
}

// Place is the place of d in the order of its on-sale.
func (d Drawn) Place() Place { return Place{Window: d.Window, Band: d.Band, Value: d.Value} }

func (d Drawn) compare(e Drawn) int {
	if c := cmp.Compare(d.Band, e.Band); c != 0 {
		return c
	}
	if c := cmp.Compare(d.Value, e.Value); c != 0 {
		return c
	}
	return bytes.Compare(d.Entrant[:], e.Entrant[:])
}

// Order is the leaves of a window in the order in which they are called: band, value, entrant.
func Order(seed [32]byte, window uint32, leaves []Leaf) []Drawn {
	drawn := make([]Drawn, len(leaves))
	for i, l := range leaves {
		drawn[i] = Drawn{Leaf: l, Window: window, Value: Value(seed, l.Entrant)}
	}
	slices.SortFunc(drawn, Drawn.compare)
	return drawn
}

// BandSummary is what a state object tells of one band: enough for everybody in it to estimate their place.
type BandSummary struct {
	Band     Band `json:"band"`
	Entrants int  `json:"entrants"`
	// Quantiles are q values, lowest first. Number j, counted from 1, is the value of the entrant at place ⌈j·Entrants/q⌉
	// of the band, so the last is the highest value there is. With q = Entrants they are all the values.
	Quantiles []Fraction `json:"quantiles"`
}

// Summarize tells of each band of an Order, with at most limit quantiles in all, shared out by size,
// and at least one for each band.
func Summarize(order []Drawn, limit int) []BandSummary {
	var bands []BandSummary
	for i := 0; i < len(order); {
		n := 1
		for i+n < len(order) && order[i+n].Band == order[i].Band {
			n++
		}
		bands = append(bands, BandSummary{Band: order[i].Band, Entrants: n})
		i += n
	}
	first := 0
	for i := range bands {
		n := bands[i].Entrants
		q := min(n, 1+max(0, limit-len(bands))*n/len(order))
		bands[i].Quantiles = make([]Fraction, q)
		for j := 1; j <= q; j++ {
			bands[i].Quantiles[j-1] = Fraction(order[first+(j*n+q-1)/q-1].Value)
		}
		first += n
	}
	return bands
}
