package guard

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestATallyCountsInStretchesAndNeverGrowsBeyondItsSize(t *testing.T) {
	tally := NewTally(time.Minute, 100)
	a := []byte("a")
	if n := tally.Add(epoch, a, 0); n != 0 {
		t.Fatalf("looking counts %d", n)
	}
	tally.Add(epoch, a, 2)
	if n := tally.Add(epoch.Add(59*time.Second), a, 1); n != 3 {
		t.Fatalf("counted %d, want 3", n)
	}
	for i := range uint32(10_000) {
		tally.Add(epoch.Add(59*time.Second), binary.BigEndian.AppendUint32(nil, i), 1)
	}
	if len(tally.counts) > 100 {
		t.Fatalf("%d subjects are remembered", len(tally.counts))
	}
	if n := tally.Add(epoch, a, 0); n != 3 {
		t.Fatalf("a flood of others changed the count to %d", n)
	}
	if n := tally.Add(epoch, []byte("found no room"), 5); n != 0 {
		t.Fatalf("a subject that found no room counts %d", n)
	}
	if n := tally.Add(epoch.Add(time.Minute), a, 1); n != 1 {
		t.Fatalf("in the next stretch there are %d", n)
	}
}
