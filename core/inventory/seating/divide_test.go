package seating

import (
	"testing"

	"pgregory.net/rapid"
)

// The knapsack looks at few gaps of each length. Looking at all of them finds nothing cheaper.
func TestFewGapsOfALengthAreEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(1, 14).Draw(t, "people")
		strict := rapid.Bool().Draw(t, "strict")
		counts := make([]int, people+3)
		for range rapid.IntRange(0, 25).Draw(t, "gaps") {
			counts[rapid.IntRange(1, people+2).Draw(t, "length")]++
		}
		best := make([]int, people+1)
		for n := 1; n <= people; n++ {
			best[n] = impossible
		}
		for length, count := range counts {
			for range count {
				for n := people; n > 0; n-- {
					for size := 1; size <= min(length, n); size++ {
						if (!strict || length-size != 1) && best[n-size] < impossible {
							best[n] = min(best[n], best[n-size]+price(length, size))
						}
					}
				}
			}
		}
		cuts, ok := cut(counts, people, strict)
		if ok != (best[people] < impossible) {
			t.Fatalf("%d people in %v: %v", people, counts, ok)
		}
		if !ok {
			return
		}
		cost := 0
		for _, c := range cuts {
			cost += price(c.length, c.size)
			people -= c.size
			if counts[c.length]--; counts[c.length] < 0 || c.size > c.length || strict && c.length-c.size == 1 {
				t.Fatalf("%v is no way to do it", cuts)
			}
		}
		if want := best[len(best)-1]; cost != want || people != 0 {
			t.Fatalf("%v leaves %d and costs %x, %x would do", cuts, people, cost, want)
		}
	})
}
