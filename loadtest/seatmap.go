package loadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// seatMap is what is free in the seated sections, as buyers of one browser window after the other look at it: one copy is shared
// by all buyers for as long as the plan says, as a CDN would. Where the seats are is fetched once, as a browser's cache would.
type seatMap struct {
	run *Rehearsal

	mu       sync.Mutex // held while the map is fetched, so that one buyer fetches for all who wait
	rows     [][]string // free seats of each row, in order
	fetched  time.Time
	geometry string // hash of names
	names    [][]string
}

// seatsBody is GET /v1/events/{id}/seats: two bits a seat, 0 for free.
type seatsBody struct {
	Geometry string `json:"geometry"`
	States   []byte `json:"states"`
}

// geometryBody is GET /v1/events/{id}/seats/geometry/{hash}: a row is its label, its first and its last number.
type geometryBody struct {
	Sections []struct {
		ID   string              `json:"id"`
		Rows [][]json.RawMessage `json:"rows"`
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
	var body seatsBody
	a := m.fetch(v, due, "", &body)
	if a.ok() && body.Geometry != m.geometry {
		var g geometryBody
		if a = m.fetch(v, time.Now(), "/geometry/"+body.Geometry, &g); a.ok() {
			names, err := g.names()
			if err != nil {
				return nil, answer{code: "bad_answer", detail: err.Error(), err: err}
			}
			m.geometry, m.names = body.Geometry, names
		}
	}
	if !a.ok() {
		return nil, a
	}
	m.rows, m.fetched = free(m.names, body.States), time.Now()
	return m.rows, a
}

// fetch asks one edge, and where outages are part of the plan the others when that one does not answer.
func (m *seatMap) fetch(v *visitor, due time.Time, tail string, into any) answer {
	c := call{op: OpSeats, method: "GET", path: "/v1/events/" + m.run.plan.Event + "/seats" + tail}
	a := v.once(c, due)
	for n := 1; a.err != nil && n < len(m.run.edges) && m.run.plan.Limits.FaultsExpected; n++ {
		a = v.once(c, due) // the next edge
	}
	if a.ok() && a.unzip() {
		a.decode(into)
	}
	return a
}

// names lists every seat by row, in the order of the states; those that rehearsed buyers leave to others have no name.
func (g geometryBody) names() ([][]string, error) {
	var rows [][]string
	for _, s := range g.Sections {
		for _, r := range s.Rows {
			var label string
			var first, last int
			if len(r) < 3 {
				return nil, fmt.Errorf("a row of section %s has %d parts", s.ID, len(r))
			}
			if err := errors.Join(json.Unmarshal(r[0], &label), json.Unmarshal(r[1], &first), json.Unmarshal(r[2], &last)); err != nil {
				return nil, fmt.Errorf("a row of section %s: %w", s.ID, err)
			}
			var row []string
			var kept struct{ Accessible, Companions []int }
			if len(r) > 3 {
				if err := json.Unmarshal(r[3], &kept); err != nil {
					return nil, fmt.Errorf("a row of section %s: %w", s.ID, err)
				}
			}
			for n := first; n <= last; n++ {
				name := fmt.Sprintf("%s/%s/%d", s.ID, label, n)
				if slices.Contains(kept.Accessible, n) || slices.Contains(kept.Companions, n) {
					name = "" // for those with need; rehearsed buyers have none
				}
				row = append(row, name)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// free picks the seats that are free, by row.
func free(names [][]string, states []byte) [][]string {
	var rows [][]string
	ordinal := 0
	for _, names := range names {
		var row []string
		for _, name := range names {
			if at := ordinal / 4; name != "" && at < len(states) && states[at]>>(2*(ordinal%4))&3 == 0 {
				row = append(row, name)
			}
			ordinal++
		}
		if len(row) > 0 {
			rows = append(rows, row)
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
