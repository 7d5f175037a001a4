package lottery

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// joiner is an entrant with everything that must not matter.
type joiner struct {
	Entrant
	format string // of the identity
	edge   int
	hour   int // of joining
	at     int // place in the order of joining
}

// joiners are entrants of three formats of identity, over five edges, in the order in which they joined: 12 hours, more in
// the last than in the first.
func joiners(n int) []joiner {
	key := sha256.Sum256([]byte("pseudonym key"))
	all := make([]joiner, n)
	for i := range all {
		j := joiner{edge: i * 7 % 5, hour: int(12 * math.Sqrt(float64(i)/float64(n))), at: i}
		var identity []byte
		switch i % 3 {
		case 0: // a browser's secret
			sum := sha256.Sum256(fmt.Append(nil, "device ", i))
			j.format, identity = "device", sum[:]
		case 1: // the id of an invitation; here numbers that count up, as unlike random as they can be
			j.format, identity = "invitation", binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i))
		case 2: // an account's secret, here with most of it constant
			j.format, identity = "account", fmt.Appendf(nil, "account-%032d", i)
		}
		j.Entrant = NewEntrant(key[:], j.format, identity)
		all[i] = j
	}
	return all
}

// kolmogorov is √n times the greatest distance of the distribution of values from the uniform one.
func kolmogorov(values []uint64) float64 {
	slices.Sort(values)
	n, most := float64(len(values)), 0.0
	for i, v := range values {
		x := float64(v) / (1 << 64)
		most = max(most, math.Abs(float64(i+1)/n-x), math.Abs(x-float64(i)/n))
	}
	return most * math.Sqrt(n)
}

// chiSquare is that of the values in 64 cells.
func chiSquare(values []uint64) float64 {
	var cells [64]int
	for _, v := range values {
		cells[v>>58]++
	}
	expected, chi := float64(len(values))/float64(len(cells)), 0.0
	for _, n := range cells {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return chi
}

// The seeds are fixed, so the test does the same every time: it fails only when the formula changes, and then for a reason.
// The bounds are what chance exceeds once in 100,000 groups (Kolmogorov 2.47; chi-square with 63 degrees of freedom 122;
// five standard deviations of a correlation); 12 seeds have 252 groups.
func TestNeitherTimeNorEdgeNorFormatOfIdentityMovesAValue(t *testing.T) {
	const n, seeds = 20_000, 12
	all := joiners(n)
	for s := range seeds {
		seed := sha256.Sum256(fmt.Append(nil, "seed ", s))
		groups := map[string][]uint64{}
		var sumSquare, cross float64
		for _, j := range all {
			v := Value(seed, j.Entrant)
			for _, group := range []string{"all", "format " + j.format, fmt.Sprint("edge ", j.edge), fmt.Sprint("hour ", j.hour)} {
				groups[group] = append(groups[group], v)
			}
			x := float64(v)/(1<<64) - 0.5
			sumSquare, cross = sumSquare+x*x, cross+x*(float64(j.at)/n-0.5)
		}
		if len(groups) != 21 {
			t.Fatalf("%d groups, want 21: all, 3 formats, 5 edges, 12 hours", len(groups))
		}
		for name, values := range groups {
			if len(values) < 100 {
				t.Fatalf("%s has %d values", name, len(values))
			}
			if d := kolmogorov(values); d > 2.47 {
				t.Errorf("seed %d, %s: the values are not uniform, √n·D = %.2f", s, name, d)
			}
			if chi := chiSquare(values); chi > 122 && len(values) >= 64*5 {
				t.Errorf("seed %d, %s: the values are not uniform, chi-square %.0f", s, name, chi)
			}
		}
		if r := cross / math.Sqrt(sumSquare*n/12); math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("seed %d: the value goes with the time of joining, correlation %.3f", s, r)
		}
	}
}

// The tests above must be able to fail: a draw that helps the early, or one edge, or one format, a little is found.
func TestADrawWithABiasWouldBeFound(t *testing.T) {
	const n = 20_000
	seed := sha256.Sum256([]byte("biased"))
	var early, slight []uint64
	for _, j := range joiners(n) {
		v := Value(seed, j.Entrant)
		if j.hour == 11 {
			early = append(early, v/20*19) // the last hour gets values 5% better
		}
		if j.format == "invitation" {
			if v%10 == 0 {
				v /= 2 // one invitation in ten halves its value
			}
			slight = append(slight, v)
		}
	}
	if d := kolmogorov(early); d < 2.47 {
		t.Errorf("5%% for one hour: √n·D = %.2f is not found", d)
	}
	if chi, d := chiSquare(slight), kolmogorov(slight); chi < 122 && d < 2.47 {
		t.Errorf("one invitation in ten: chi-square %.0f, √n·D = %.2f is not found", chi, d)
	}
}
