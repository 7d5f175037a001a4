package crowd

import (
	"errors"
	"fmt"
	"time"
)

// Plan is who comes when: a few at the normal rate, then the storm, as when joining opens, then the rest of the crowd. Times are from the
// start; when the last has arrived and Settle has passed, the sale opens.
type Plan struct {
	Event       string
	Edges       []string      // base URLs
	Connections int           // over all edges
	Buyers      int           // the crowd without the storm
	JoinOver    time.Duration // in which it arrives after the storm, evenly
	Normal      float64       // arrivals a second before the storm, for NormalFor
	NormalFor   time.Duration
	Storm       float64 // arrivals a second of the storm: a hundred times Normal
	StormFor    time.Duration
	Settle      time.Duration // from the last arrival to the opening
	Open        time.Duration // how long the crowd is watched after the opening
	Timeout     time.Duration // of a call
	Seed        uint64
	P99         time.Duration // that polls may take
}

// DefaultPlan is so many people, of whom a few tens of thousands come as a storm.
func DefaultPlan(buyers int) Plan {
	storm := min(50_000, buyers/10)
	p := Plan{
		Connections: 1000, JoinOver: max(10*time.Second, time.Duration(buyers/2000)*time.Second),
		NormalFor: 10 * time.Second, StormFor: 5 * time.Second, Settle: 25 * time.Second, Open: 60 * time.Second,
		Timeout: 10 * time.Second, Seed: 1, P99: 100 * time.Millisecond,
	}
	p.Storm = float64(storm) / p.StormFor.Seconds()
	p.Normal = p.Storm / 100
	p.Buyers = buyers - p.normal() - p.storm()
	return p
}

func (p *Plan) normal() int { return int(p.Normal * p.NormalFor.Seconds()) }
func (p *Plan) storm() int  { return int(p.Storm * p.StormFor.Seconds()) }

// All is how many come.
func (p *Plan) All() int { return p.Buyers + p.normal() + p.storm() }

// OpensIn is when the sale opens, from the start.
func (p *Plan) OpensIn() time.Duration { return p.NormalFor + p.StormFor + p.JoinOver + p.Settle }

// Validate reports every problem.
func (p *Plan) Validate() error {
	var problems []error
	that := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	that(len(p.Edges) > 0, "there are no edges")
	that(p.Buyers > 0 && p.All() <= MaxBuyers, "%d buyers: there must be 1 to %d", p.All(), MaxBuyers)
	that(p.Connections >= len(p.Edges) && p.Connections <= 20_000, "%d connections: there must be one for each edge and at most 20000", p.Connections)
	that(p.JoinOver > 0 && p.NormalFor >= 0 && p.StormFor >= 0 && p.Settle >= 0 && p.Open > 0 && p.Timeout > 0, "a time is negative or missing")
	return errors.Join(problems...)
}

// MaxBuyers is how many addresses of 10.0.0.0/8 there are for them, 64 of each /24 at most.
const MaxBuyers = 4_000_000

// arrival is when member number n comes, and whether it is one of the storm.
func (p *Plan) arrival(n int) (at time.Duration, storm bool) {
	if n < p.normal() {
		return time.Duration(float64(n) / p.Normal * float64(time.Second)), false
	}
	if n -= p.normal(); n < p.storm() {
		return p.NormalFor + time.Duration(float64(n)/p.Storm*float64(time.Second)), true
	}
	n -= p.storm()
	return p.NormalFor + p.StormFor + time.Duration(float64(p.JoinOver)*float64(n)/float64(p.Buyers)), false
}
