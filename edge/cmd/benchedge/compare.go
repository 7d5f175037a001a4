package main

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// rival is one thing the node does per buyer, measured against the constant server in turns.
type rival struct {
	name   string
	calls  [][]byte
	status string // of a right answer
	next   atomic.Uint64
}

// outcome is what a comparison came to, each the median of its rounds.
type outcome struct{ perSecond, ratio, allocations float64 }

// compare measures a rival against a server that answers a constant as long as the rival's own answers. Allocations are those of the
// whole process per request: node, stand-in core and client.
func compare(r *rival, node string, rounds, connections int, round time.Duration) (outcome, error) {
	var out outcome
	body, err := firstBody(node, r.calls[0]) // its call is made once more than the others
	if err != nil {
		return out, fmt.Errorf("%s: %w", r.name, err)
	}
	constant, closeConstant, err := startConstant(body)
	if err != nil {
		return out, err
	}
	defer closeConstant()
	same := &rival{name: "constant", calls: [][]byte{request("POST", "/", 1, "")}, status: "200"}
	var rates, ratios, allocations []float64
	for i := range rounds + 1 {
		got := make([]float64, 2)
		var allocated uint64
		for turn := range 2 {
			which := (turn + i) % 2
			side, addr := r, node
			if which == 1 {
				side, addr = same, constant
			}
			before := mallocs()
			if got[which], err = loadEach(addr, connections, round, side.calls, &side.next, side.status); err != nil {
				return out, fmt.Errorf("%s: %w", side.name, err)
			}
			if which == 0 {
				allocated = mallocs() - before
			}
		}
		if i == 0 {
			continue // warming up
		}
		rates, ratios = append(rates, got[0]), append(ratios, got[0]/got[1])
		allocations = append(allocations, float64(allocated)/(got[0]*round.Seconds()))
	}
	out = outcome{median(rates), median(ratios), median(allocations)}
	fmt.Printf("%-6s %8.0f/s   a constant of %d bytes %8.0f/s   ratio %.3f   %.1f allocations a request\n",
		r.name, out.perSecond, len(body), out.perSecond/out.ratio, out.ratio, out.allocations)
	return out, nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
