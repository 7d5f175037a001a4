package scan_test

import (
	"sync"
	"testing"
	"time"

	"fairgate/core/ticket/gate"
)

func TestLiveCountersFollowWhatIsScanned(t *testing.T) {
	w := newWorld(t, gate.Once)
	tickets := w.issue(2)
	venue := at("main", "")
	in := func() int {
		t.Helper()
		gates, zones, err := w.s.LiveCounts(t.Context(), arena)
		if err != nil || len(gates) != len(zones) {
			t.Fatalf("%+v, %+v, %v", gates, zones, err)
		}
		if len(gates) == 0 {
			return 0
		}
		return gates[0].In
	}
	if n := in(); n != 0 {
		t.Errorf("%d before anybody came", n)
	}
	for i, one := range tickets {
		w.scan(venue, one.Code, gate.In, nil)
		for deadline := time.Now().Add(time.Minute); in() != i+1; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d are counted after %d scans", in(), i+1)
			}
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if gates, _, err := w.s.LiveCounts(t.Context(), arena); err != nil || gates[0].In != 2 {
				t.Errorf("%+v, %v", gates, err)
			}
		})
	}
	wg.Wait()
}
