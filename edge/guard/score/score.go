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
	PollFast        Signal = "poll_fast"        // asks many times as often as the page does
	TooFast         Signal = "too_fast"         // does something before anybody could have read the page
	TooEarly        Signal = "too_early"        // claims before its turn, which the page never does
	DeviceShared    Signal = "device_shared"    // one device, many entrants
	NetworkCrowded  Signal = "network_crowded"  // one network, many new devices
	TokenShared     Signal = "token_shared"     // a pass or token was shown by another browser than its own
	NetworksMany    Signal = "networks_many"    // one browser, from very many networks within minutes
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
	PollFast:        {Behaves, 15, "asks many times as often as the page does"},
	TooFast:         {Behaves, 25, "acts faster than a page can be read"},
	TooEarly:        {Behaves, 20, "claims before its turn again and again, which the page never does"},
	DeviceShared:    {Behaves, 20, "one device takes part as many entrants"},
	TokenShared:     {Behaves, 25, "a pass or token was shown by another browser"},
	NetworksMany:    {Behaves, 20, "one browser comes from very many networks"},
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

// Kinds counts the kinds of signal among the reasons.
func (v Verdict) Kinds() int {
	var seen [kinds]bool
	n := 0
	for _, r := range v.Reasons {
		if kind := Weights[r.Signal].Kind; !seen[kind] {
			seen[kind], n = true, n+1
		}
	}
	return n
}

// Judge adds up the signals of an observation.
func Judge(o Observation) Verdict {
	var v Verdict
	var sums [kinds]float64
	o.signals(func(signal Signal, strength float64) {
		if !(strength > 0) {
			return
		}
		w := Weights[signal]
		points := w.Most * min(strength, 1)
		v.Reasons = append(v.Reasons, Reason{signal, points})
		sums[w.Kind] += points
	})
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
	// Honeypot tells that the field was filled in, or the link followed, that people do not see.
	Honeypot bool
	// Polls is how the caller asks for the state; Asked how often it was told to.
	Polls Rhythm
	Asked time.Duration
	// Acted is how long after the page could first be shown the caller acted; nil: unknown.
	Acted *time.Duration
	// Early is how often the caller has claimed before its turn.
	Early int
	// Entrants is as how many entrants the device has taken part in this on-sale.
	Entrants int
	// Strangers is how often a pass or token of this entrant was shown by another browser.
	Strangers int
	// Networks is from how many networks the browser came within minutes.
	Networks int
	// NewDevices is how many devices of the network were new lately, and NewDevicesUsual what is usual for a large one.
	NewDevices, NewDevicesUsual int
	// DataCentre tells that the address is on the list of networks for servers.
	DataCentre bool
}

const (
	// readable is the least time in which a person reads that the room has opened and presses a button.
	readable = 250 * time.Millisecond
	// shared is as how many entrants one device is surely not one person's. A family has one.
	shared = 8
	// roaming is from how many networks a phone on a train may come within minutes, and roams from how many none does.
	roaming, roams = 4, 12
	// tabs is how many times as often as it was told a browser may ask because the page is open in several tabs, and
	// floods from when on that is no explanation.
	tabs, floods = 8, 32
)

// signals tells the strength of what was seen, from 0, or below, to 1, or above.
func (o *Observation) signals(tell func(Signal, float64)) {
	tell(PollRegular, o.Polls.evenness())
	tell(PollFast, o.Polls.haste(o.Asked))
	tell(TooEarly, float64(o.Early-1)/3)                 // once is an edge that is a moment behind another
	tell(DeviceShared, float64(o.Entrants-2)/(shared-2)) // two: an invitation of a friend
	tell(TokenShared, float64(o.Strangers)/3)            // once is a phone that lost its cookies
	tell(NetworksMany, float64(o.Networks-roaming)/(roams-roaming))
	if o.Headers != nil {
		missing, order, conflict := inspect(o.Headers)
		tell(HeadersMissing, missing)
		tell(HeadersConflict, conflict)
		if !o.Proxied {
			tell(HeadersOrder, order)
		}
	}
	if o.Honeypot {
		tell(Honeypot, 1)
	}
	if o.Acted != nil && *o.Acted < readable {
		tell(TooFast, 1-max(0, o.Acted.Seconds())/readable.Seconds())
	}
	if o.NewDevicesUsual > 0 {
		tell(NetworkCrowded, float64(o.NewDevices)/float64(o.NewDevicesUsual)-1)
	}
	if o.DataCentre {
		tell(DataCentre, 1)
	}
}
