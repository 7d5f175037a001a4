package access

import (
	"math"
	"time"
)

// ratio is the share of part in whole, of what was added lately; of all there ever was while that is too little.
type ratio struct {
	samples     []ratioSample // oldest first, at most one a second
	whole, part int           // newest
}

type ratioSample struct {
	at          time.Time
	whole, part int
}

// add takes totals that grow.
func (r *ratio) add(at time.Time, whole, part int) {
	if whole < r.whole { // another on-sale
		r.samples = nil
	}
	r.whole, r.part = whole, part
	if n := len(r.samples); n > 0 && at.Sub(r.samples[n-1].at) < time.Second {
		return
	}
	r.samples = append(r.samples, ratioSample{at, whole, part})
	// The first sample is the newest that is old enough and leaves enough experience after it.
	for len(r.samples) > 1 && at.Sub(r.samples[1].at) >= experienceOver && whole-r.samples[1].whole >= experience {
		r.samples = r.samples[1:]
	}
	if len(r.samples) > maxSamples { // a quiet on-sale: every other one will do
		kept := r.samples[:0]
		for i := 0; i < len(r.samples); i += 2 {
			kept = append(kept, r.samples[i])
		}
		r.samples = kept
	}
}

// maxSamples bounds the memory of a ratio.
const maxSamples = 1000

// value is the share, 0 to 1; 1 while there is no experience.
func (r *ratio) value() float64 {
	whole, part := r.whole, r.part
	if len(r.samples) > 0 && whole-r.samples[0].whole >= experience {
		whole, part = whole-r.samples[0].whole, part-r.samples[0].part
	}
	if whole < experience {
		return 1
	}
	return min(max(0, float64(part)/float64(whole)), 1)
}

// smooth is an average that forgets what is longer ago than some seconds.
type smooth struct {
	at    time.Time
	value float64
}

func (s *smooth) add(at time.Time, value float64, over time.Duration) {
	if s.at.IsZero() {
		s.value = value
	} else if dt := at.Sub(s.at).Seconds(); dt > 0 {
		s.value += (value - s.value) * (1 - math.Exp(-dt/over.Seconds()))
	}
	s.at = at
}

// flow is how fast a total grows, averaged over some seconds.
type flow struct {
	at    time.Time
	total int
	rate  float64
}

func (f *flow) add(at time.Time, total int, over time.Duration) {
	if dt := at.Sub(f.at).Seconds(); !f.at.IsZero() && dt > 0 {
		f.rate += (float64(total-f.total)/dt - f.rate) * (1 - math.Exp(-dt/over.Seconds()))
	}
	f.at, f.total = at, total
}

func (f *flow) perSecond() float64 { return max(0, f.rate) }

// brake finds the pace that core bears. People called take a quarter of a minute to come and to ask for something, so whatever it
// does shows late; it therefore goes by what core was seen to serve while it had too much to do, keeps a fifth below that,
// and feels its way up slowly from there. Without load it limits nothing.
type brake struct {
	since    time.Time
	called   int     // in this period
	served   int     // at its beginning
	load     float64 // sum over the ticks of this period
	ticks    float64
	now      float64 // load of this tick
	capacity float64 // calls a second that core could serve when it was overloaded last
	most     float64 // calls a second; 0: no limit
}

const (
	brakePeriod = 5 * time.Second
	tooMuch     = 1.0 // load above which it goes slower
	little      = 0.5 // load below which it goes faster
	farTooMuch  = 2.0 // load above which nobody is called
	keepBelow   = 0.8
)

// add takes the load of a tick, how many buyers were served by now, and how many of those called come and buy.
func (b *brake) add(at time.Time, load float64, served int, perCall float64) {
	b.now = load
	if b.since.IsZero() {
		b.since, b.served = at, served
	}
	b.load, b.ticks = b.load+load, b.ticks+1
	took := at.Sub(b.since).Seconds()
	if took < brakePeriod.Seconds() {
		return
	}
	mean := b.load / b.ticks
	switch {
	case mean > tooMuch:
		serves := max(float64(served-b.served)/took/perCall, 1)
		if b.capacity == 0 {
			b.capacity = serves
		}
		b.capacity += (serves - b.capacity) / 4
		b.most = keepBelow * b.capacity
	case mean < little && b.most > 0:
		if b.most < keepBelow*b.capacity {
			b.most *= 1.1
		} else {
			b.most *= 1.01
		}
		if b.most > 4*float64(b.called)/took+10 {
			b.most, b.capacity = 0, 0 // something else limits
		}
	}
	b.since, b.called, b.served, b.load, b.ticks = at, 0, served, 0, 0
}

func (b *brake) limit() float64 {
	if b.most == 0 {
		return math.Inf(1)
	}
	return b.most
}

func (b *brake) stopped() bool { return b.now >= farTooMuch }
