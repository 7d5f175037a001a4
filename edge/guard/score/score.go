// Package score judges from signals how much a caller looks like a program that pretends to be a browser. It is pure: the same
// observation has the same verdict, with reasons.
//
// It owns the signals and their weights, and decides nothing. No single signal decides either: each is capped well below the
// first level, and signals of one kind (of what a caller sends, how it behaves, where it is) count together up to a cap of the
// kind. So a strange browser alone, or a data centre's address alone, is at level None.
//
// All of it is values and functions, safe for concurrent use.
package score

import (
	"cmp"
	"slices"
	"time"
)

// Signal names one thing that was seen.
type Signal string

// The signals.
const (
	HeadersMissing  Signal = "headers_missing"  // headers that every browser sends are not there
	HeadersOrder    Signal = "headers_order"    // headers come in an order that no browser sends
	HeadersConflict Signal = "headers_conflict" // headers contradict each other
	Honeypot        Signal = "honeypot"         // a field that people do not see was filled in
	PollRegular     Signal = "poll_regular"     // asks at intervals more even than a page's, which jitter
	TooFast         Signal = "too_fast"         // does something before anybody could have read the page
	DeviceShared    Signal = "device_shared"    // one device, many entrants
	NetworkCrowded  Signal = "network_crowded"  // one network, many new devices
	TokenShared     Signal = "token_shared"     // a pass or token was shown by another browser than its own
	DataCentre      Signal = "data_centre"      // the address is of a network for servers
)

// Kind groups signals that tend to come together, so that they are not counted as if they were independent.
type Kind uint8

// The kinds of signal.
const (
	Sent    Kind = iota // what the caller sends
	Behaves             // what the caller does
	Located             // where the caller is; others may be there too
	kinds
)

// Weight is how much a signal counts.
type Weight struct {
	Kind  Kind
	Most  float64 // with the signal at its strongest
	Words string  // why, for people
}

// Weights are the signals' weights. Behaviour counts most, and address least: thousands of people may share it.
var Weights = map[Signal]Weight{
	HeadersMissing:  {Sent, 15, "headers that browsers send are missing"},
	HeadersOrder:    {Sent, 15, "headers come in an order that browsers do not use"},
	HeadersConflict: {Sent, 20, "headers contradict each other"},
	Honeypot:        {Behaves, 25, "a hidden field was filled in"},
	PollRegular:     {Behaves, 20, "asks at intervals as even as a machine's"},
	TooFast:         {Behaves, 25, "acts faster than a page can be read"},
	DeviceShared:    {Behaves, 20, "one device takes part as many entrants"},
	TokenShared:     {Behaves, 25, "a pass or token was shown by another browser"},
	NetworkCrowded:  {Located, 10, "very many new devices come from this network"},
	DataCentre:      {Located, 15, "the address belongs to a network for servers"},
}

// caps are the most that all signals of a kind count together.
var caps = [kinds]float64{Sent: 30, Behaves: 50, Located: 15}

// Level is how suspect a caller is. What is done about it is for others to say.
type Level uint8

// The levels.
const (
	None   Level = iota // like a person
	Low                 // a little odd: may be checked without being noticed
	Medium              // odd in several ways: may be asked for something a script finds costly
	High                // like a program in most ways
)

// from are the scores at which the levels begin. The first is above every single signal.
var from = [...]float64{None: 0, Low: 30, Medium: 50, High: 70}

// String is the level in lower case.
func (l Level) String() string {
	switch l {
	case None:
		return "none"
	case Low:
		return "low"
	case Medium:
		return "medium"
	default:
		return "high"
	}
}

// Reason is a signal that counted.
type Reason struct {
	Signal Signal
	Points float64
}

// Words is the reason for people.
func (r Reason) Words() string { return Weights[r.Signal].Words }

// Verdict is what an observation comes to.
type Verdict struct {
	Score   float64 // 0 to 95
	Level   Level
	Reasons []Reason // the weightiest first
}

// Judge adds up the signals of an observation.
func Judge(o Observation) Verdict {
	var v Verdict
	var sums [kinds]float64
	for signal, strength := range o.signals() {
		w := Weights[signal]
		points := w.Most * min(max(strength, 0), 1)
		if points == 0 {
			continue
		}
		v.Reasons = append(v.Reasons, Reason{signal, points})
		sums[w.Kind] += points
	}
	for kind, sum := range sums {
		v.Score += min(sum, caps[kind])
	}
	slices.SortFunc(v.Reasons, func(a, b Reason) int {
		if c := cmp.Compare(b.Points, a.Points); c != 0 {
			return c
		}
		return cmp.Compare(a.Signal, b.Signal)
	})
	for level, score := range from {
		if v.Score >= score {
			v.Level = Level(level)
		}
	}
	return v
}

// Observation is what was seen of a caller. Its zero value is a caller of whom nothing is known, which is no signal.
type Observation struct {
	// Headers are the request's headers as they came; nil: not looked at.
	Headers []Header
	// Proxied tells that a proxy passed the headers on: their order is the proxy's.
	Proxied bool
	// Honeypot tells that the field was filled in.
	Honeypot bool
	// Polls are the intervals between the caller's requests for the state, oldest first.
	Polls []time.Duration
	// Jitter is how far the page spreads those intervals to either side, as a share.
	Jitter float64
	// Acted is how long after the page could first be shown the caller acted; nil: unknown.
	Acted *time.Duration
	// Entrants is as how many entrants the device has taken part in this on-sale.
	Entrants int
	// Strangers is how often a pass or token of this entrant was shown by another browser.
	Strangers int
	// NewDevices is how many devices of the network were new lately, and NewDevicesUsual what is usual for a large one.
	NewDevices, NewDevicesUsual int
	// DataCentre tells that the address is on the list of networks for servers.
	DataCentre bool
}

const (
	// fewestPolls is from how many intervals on their evenness says something.
	fewestPolls = 8
	// readable is the least time in which a person reads that it is their turn and presses a button.
	readable = 250 * time.Millisecond
	// shared is as how many entrants one device is surely not one person's. A family has one.
	shared = 8
)

// signals are the strengths of what was seen, 0 to 1.
func (o Observation) signals() map[Signal]float64 {
	s := map[Signal]float64{
		PollRegular:  evenness(o.Polls, o.Jitter),
		DeviceShared: float64(o.Entrants-2) / (shared - 2), // two: an invitation of a friend
		TokenShared:  float64(o.Strangers) / 3,             // once is a phone that lost its cookies
	}
	if o.Headers != nil {
		s[HeadersMissing], s[HeadersOrder], s[HeadersConflict] = inspect(o.Headers)
		if o.Proxied {
			delete(s, HeadersOrder)
		}
	}
	if o.Honeypot {
		s[Honeypot] = 1
	}
	if o.Acted != nil && *o.Acted < readable {
		s[TooFast] = 1 - max(0, o.Acted.Seconds())/readable.Seconds()
	}
	if o.NewDevicesUsual > 0 {
		s[NetworkCrowded] = float64(o.NewDevices)/float64(o.NewDevicesUsual) - 1
	}
	if o.DataCentre {
		s[DataCentre] = 1
	}
	return s
}

// evenness is 1 for intervals without any spread, and 0 for those that spread as the page's do. A page that slept, or a slow
// network, spreads more, which is no signal.
func evenness(intervals []time.Duration, jitter float64) float64 {
	if len(intervals) < fewestPolls || jitter <= 0 {
		return 0
	}
	mean := 0.0
	for _, d := range intervals {
		mean += d.Seconds() / float64(len(intervals))
	}
	if mean <= 0 {
		return 1
	}
	off := 0.0
	for _, d := range intervals {
		off += abs(d.Seconds()-mean) / mean / float64(len(intervals))
	}
	// Intervals spread evenly over ±jitter are off by half of it on average; a quarter is still a person's chance.
	return 1 - off/(jitter/4)
}

func abs(x float64) float64 { return max(x, -x) }
