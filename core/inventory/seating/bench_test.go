package seating_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"fairgate/core/inventory/seating"
)

// stadium has 80,000 seats in 80 sections of 40 rows, all of one tier, of which a share is free.
func stadium(tb testing.TB, share float64) (*seating.Chart, *seating.Free) {
	var sections []seating.Section
	for n := range 80 {
		s := seating.Section{ID: fmt.Sprint(101 + n), Tier: "stand", Away: n % 20}
		for _, next := range []int{n - 1, n + 1} {
			if next >= 0 && next < 80 {
				s.Neighbours = append(s.Neighbours, fmt.Sprint(101+next))
			}
		}
		for r := range 40 {
			row := seating.Row{Label: fmt.Sprint(r + 1)}
			for number := 1; number <= 25; number++ {
				seat := seating.Seat{Number: number}
				if r == 39 && number <= 8 {
					seat.Use = seating.Accessible + seating.Use((number+1)%2)
				}
				row.Seats = append(row.Seats, seat)
			}
			s.Rows = append(s.Rows, row)
		}
		sections = append(sections, s)
	}
	chart, err := seating.NewChart(sections)
	if err != nil {
		tb.Fatal(err)
	}
	free := seating.NewFree(chart)
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range sections {
		for _, r := range s.Rows {
			for _, seat := range r.Seats {
				if random.Float64() < share {
					p, _ := chart.Find(fmt.Sprintf("%s/%s/%d", s.ID, r.Label, seat.Number))
					free.Put(p)
				}
			}
		}
	}
	return chart, free
}

func BenchmarkPick(b *testing.B) {
	for _, c := range []struct {
		name  string
		share float64
		w     seating.Wish
	}{
		{"section/empty", 1, seating.Wish{Section: "110", Quantity: 4}},
		{"section/half", 0.5, seating.Wish{Section: "110", Quantity: 4}},
		{"tier/empty", 1, seating.Wish{Tier: "stand", Quantity: 4}},
		{"tier/half", 0.5, seating.Wish{Tier: "stand", Quantity: 4}},
		{"tier/tenth", 0.1, seating.Wish{Tier: "stand", Quantity: 2}},
		{"needs/half", 0.5, seating.Wish{Tier: "stand", Quantity: 2, Accessible: 1, Companions: 1}},
		{"refused/tenth", 0.1, seating.Wish{Tier: "stand", Quantity: 8}},
		{"split/tenth", 0.1, seating.Wish{Tier: "stand", Quantity: 8, Allow: seating.Allow{Split: true}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, free := stadium(b, c.share)
			for b.Loop() {
				p, err := free.Pick(c.w)
				if err == nil { // take them and give them back: each pick looks anew
					for _, seat := range p.Seats {
						free.Take(seat)
					}
					for _, seat := range p.Seats {
						free.Put(seat)
					}
				}
			}
		})
	}
}
