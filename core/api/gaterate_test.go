package api

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/scan"
)

func TestAGateHasItsRateAndTwoSecondsWorthAtOnce(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	r := newGateRates(10, func() time.Time { return now })
	north := scan.Gate{Event: uuid.New(), Name: "north"}
	ask := func(g scan.Gate, n int) (admitted int) {
		t.Helper()
		for range n {
			switch err := r.admit(g); {
			case err == nil:
				admitted++
			case !errors.Is(err, errGateRate):
				t.Error(err)
			}
		}
		return admitted
	}
	if n := ask(north, 100); n != 21 { // the burst, and the one that is due
		t.Errorf("%d at once", n)
	}
	now = now.Add(time.Second)
	if n := ask(north, 100); n != 10 {
		t.Errorf("%d a second later", n)
	}
	if n := ask(scan.Gate{Event: uuid.New(), Name: "north"}, 1); n != 1 {
		t.Error("the gate of another event has to wait")
	}
	now = now.Add(time.Hour)
	if n := ask(north, 100); n != 21 {
		t.Errorf("%d after an hour's silence", n)
	}
	if unbounded := newGateRates(0, time.Now); unbounded.admit(north) != nil {
		t.Error("no rate is a rate")
	}
}

func TestTheRatesOfGatesDoNotGrowForEver(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	r := newGateRates(1, func() time.Time { return now })
	event := uuid.New()
	for n := range maxGateRates + 100 {
		if err := r.admit(scan.Gate{Event: event, Name: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.due) > maxGateRates {
		t.Errorf("%d gates are remembered", len(r.due))
	}
	now = now.Add(time.Minute)
	if err := r.admit(scan.Gate{Event: event, Name: "new"}); err != nil || len(r.due) > 1 {
		t.Errorf("%d silent gates are remembered, %v", len(r.due), err)
	}
}
