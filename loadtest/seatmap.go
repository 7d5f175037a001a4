package loadtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// seatMap is what is free in the seated sections, as buyers of one browser window after the other look at it: one copy is shared
// by all buyers for as long as the plan says, as a CDN would.
type seatMap struct {
	run *Rehearsal

	mu      sync.Mutex // held while the map is fetched, so that one buyer fetches for all who wait
	rows    [][]string // free seats of each row, in order
	fetched time.Time
}

// seatsBody is GET /v1/events/{id}/seats.
type seatsBody struct {
	Sections []struct {
		ID   string `json:"id"`
		Rows []struct {
			Row   string `json:"row"`
			Seats []struct {
				Seat  json.RawMessage `json:"seat"` // "A/1/2", or its number alone
				State string          `json:"state"`
			} `json:"seats"`
		} `json:"rows"`
	} `json:"sections"`
}

// fresh returns the free seats by row, fetched not before notBefore. The caller must not change them.
func (m *seatMap) fresh(v *visitor, notBefore time.Time) ([][]string, answer) {
	due := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fetched.After(notBefore) && time.Since(m.fetched) < m.run.plan.Buyers.SeatsFor.D() {
		return m.rows, answer{status: 200, code: "ok"}
	}
	c := call{op: OpSeats, method: "GET", path: "/v1/events/" + m.run.plan.Event + "/seats"}
	a := v.once(c, due)
	for n := 1; a.err != nil && n < len(m.run.edges) && m.run.plan.Limits.FaultsExpected; n++ {
		a = v.once(c, due) // the next edge
	}
	if !a.ok() {
		return nil, a
	}
	var body seatsBody
	if !a.unzip() || !a.decode(&body) {
		return nil, a
	}
	m.rows, m.fetched = body.free(), time.Now()
	return m.rows, a
}

func (b seatsBody) free() [][]string {
	var rows [][]string
	for _, s := range b.Sections {
		for _, r := range s.Rows {
			var free []string
			for _, seat := range r.Seats {
				if seat.State != "free" {
					continue
				}
				name := strings.Trim(string(seat.Seat), `"`)
				if !strings.Contains(name, "/") {
					name = fmt.Sprintf("%s/%s/%s", s.ID, r.Row, name)
				}
				free = append(free, name)
			}
			if len(free) > 0 {
				rows = append(rows, free)
			}
		}
	}
	return rows
}

// choose picks n free seats of one row, at random so that buyers who look at the same map seldom want the same ones. With no such
// row it picks fewer.
func choose(rows [][]string, n int, rng *rand.Rand) []string {
	for ; n > 0; n-- {
		fit := 0
		var chosen []string
		for _, row := range rows {
			if len(row) < n {
				continue
			}
			fit++
			if rng.IntN(fit) == 0 {
				at := rng.IntN(len(row) - n + 1)
				chosen = row[at : at+n]
			}
		}
		if fit > 0 {
			return chosen
		}
	}
	return nil
}
