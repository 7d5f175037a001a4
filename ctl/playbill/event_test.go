package playbill_test

import (
	"reflect"
	"testing"
	"time"

	"fairgate/core/event"
	"fairgate/ctl/playbill"
)

var first = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func TestEveryEventIsOneThatCoreTakes(t *testing.T) {
	seen, categories, cities := map[string]bool{}, map[string]int{}, map[string]int{}
	for i := range 3000 {
		e := playbill.Make(7, i, first)
		spec, err := event.Parse([]byte(e.File()))
		if err != nil {
			t.Fatalf("event %d: %v\n%s", i, err, e.File())
		}
		if seen[spec.ID] || spec.Name != e.Name || !reflect.DeepEqual(spec.Performers, e.Performers) || spec.Venue.City != e.City || len(spec.Tiers) != len(e.Tiers) {
			t.Fatalf("event %d is read as %+v", i, spec)
		}
		if spec.StartsAt.Before(first.AddDate(0, 0, -1)) || spec.StartsAt.After(first.AddDate(1, 0, 6)) {
			t.Errorf("event %d is at %s", i, spec.StartsAt)
		}
		seen[spec.ID] = true
		categories[e.Category]++
		cities[e.City]++
	}
	if len(categories) < 8 || len(cities) < 40 || categories["concert"] < 900 {
		t.Errorf("%v %v", categories, cities)
	}
}

func TestASeedMakesTheSameEventsAgain(t *testing.T) {
	for i := range 100 {
		if a, b := playbill.Make(1, i, first), playbill.Make(1, i, first); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v and %+v", a, b)
		}
		if a, b := playbill.Make(1, i, first), playbill.Make(2, i, first); a.ID == b.ID {
			t.Errorf("seeds 1 and 2 share the id %s", a.ID)
		}
	}
}
