package score

import "time"

const (
	// pageJitter is how far the page spreads its intervals to either side, as a share; jitter in static/page.js.
	pageJitter = 0.15
	// fewestPolls is from how many intervals on they say something.
	fewestPolls = 8
	// settled is over how many intervals, about, a rhythm is averaged.
	settled = 16
)

// Rhythm is how evenly, and how often, something is done: the mean interval, and how far intervals are from it on average. It is
// what is kept of a caller's polls instead of the polls. The zero value has seen nothing.
type Rhythm struct {
	Intervals int // how many were seen
	Mean, Off time.Duration
}

// Add is the rhythm with one interval more. Later ones weigh more, so that a page that is told another pace is not held to the
// old one for long.
func (r Rhythm) Add(interval time.Duration) Rhythm {
	r.Intervals++
	weight := time.Duration(min(r.Intervals, settled))
	if r.Intervals == 1 {
		r.Mean = interval
		return r
	}
	off := (interval - r.Mean).Abs()
	r.Mean += (interval - r.Mean) / weight
	r.Off += (off - r.Off) / max(weight-1, 1)
	return r
}

// evenness is 1 for intervals without any spread, and 0 for those that spread as the page's do. A page that slept, or a slow
// network, spreads more, which is no signal.
func (r Rhythm) evenness() float64 {
	switch {
	case r.Intervals < fewestPolls:
		return 0
	case r.Mean <= 0:
		return 1
	}
	// Intervals spread evenly over ±jitter are off by half of it on average; a quarter is still a person's chance.
	return 1 - r.Off.Seconds()/r.Mean.Seconds()/(pageJitter/4)
}

// haste is how far beyond a browser full of tabs the caller asks more often than it was told.
func (r Rhythm) haste(asked time.Duration) float64 {
	if r.Intervals < fewestPolls || asked <= 0 {
		return 0
	}
	times := asked.Seconds() / max(r.Mean.Seconds(), 1e-3)
	return (times - tabs) / (floods - tabs)
}
