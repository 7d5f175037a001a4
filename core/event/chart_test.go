package event

import (
	"slices"
	"testing"

	"fairgate/core/inventory/seating"
)

func TestTheChartHasTheSeatsOfTheFile(t *testing.T) {
	s := mustParse(t, example(t, "arena"))
	chart, err := s.Chart()
	if err != nil {
		t.Fatal(err)
	}
	uses := map[seating.Use]int{}
	for _, seat := range s.Seats() {
		p, ok := chart.Find(seat.ID)
		if !ok || chart.Name(p) != seat.ID || chart.Tier(p) != seat.Tier {
			t.Fatalf("seat %s of tier %s is not on the chart", seat.ID, seat.Tier)
		}
		uses[chart.Use(p)]++
	}
	if n := len(s.Seats()); chart.Seats() != n || uses[seating.Accessible] != 2 || uses[seating.Companion] != 2 || uses[seating.Ordinary] != n-4 {
		t.Errorf("the chart has %d seats of %d, by use %v", chart.Seats(), n, uses)
	}
	table, _ := chart.Find("box/2/7")
	if names, whole := chart.Table(table); !whole || len(names) != 10 || names[0] != "box/2/1" {
		t.Errorf("the table of box/2/7 is %v", names)
	}
	if row, ok := chart.Row("102/C"); !ok || len(row) != 29 || row[28] != "102/C/29" {
		t.Errorf("row 102/C is %v", row)
	}
	free := seating.NewFree(chart)
	for _, seat := range s.Seats() {
		p, _ := chart.Find(seat.ID)
		free.Put(p)
	}
	pick, err := free.Pick(seating.Wish{Tier: "lower", Section: "101", Quantity: 3})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pick.Seats {
		names = append(names, chart.Name(p))
	}
	if want := []string{"101/B/14", "101/B/15", "101/B/16"}; !slices.Equal(names, want) {
		t.Errorf("the best three seats of 101 are %v, not %v", names, want)
	}
}

func TestARowInPartsIsOneRowOfTheChart(t *testing.T) {
	s := Spec{Sections: []Section{{ID: "A", Tier: "lower", Rows: []Row{
		{Label: "1", First: 6, Last: 9, Allocation: "house"}, {Label: "2", First: 1, Last: 3}, {Label: "1", First: 1, Last: 5},
	}}}}
	chart, err := s.Chart()
	if err != nil {
		t.Fatal(err)
	}
	if row, ok := chart.Row("A/1"); !ok || len(row) != 9 || row[0] != "A/1/1" || row[8] != "A/1/9" {
		t.Errorf("row A/1 is %v", row)
	}
	if none, err := (Spec{}).Chart(); none != nil || err != nil {
		t.Errorf("an event without seats has the chart %v, %v", none, err)
	}
}
