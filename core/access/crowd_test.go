package access

import (
	"math"
	"math/rand/v2"
	"time"
)

// habits are how the people of a simulated crowd behave.
type habits struct {
	shows   float64       // share who come when called
	late    float64       // of them, share who come only after claim_within
	comes   time.Duration // mean time until somebody called comes
	chooses time.Duration // mean time until somebody inside holds something, or gives up
	buys    float64       // share of those inside who hold something
	pays    time.Duration // mean time from hold to purchase
	abandon float64       // share of holds that are let go, after as long
	units   int           // most units of a hold
}

// shopper is one of them, from their call on.
type shopper struct {
	comesAt, actsAt, leavesAt time.Duration
	arrived                   time.Duration // at the door; 0: not yet
	inside, holding           bool
	calledAt, cameAt          time.Duration
	units                     int
	willHold, willBuy         bool
}

// crowdSim plays an on-sale against the controller and the door, tick by tick, as core does: the controller sees counts of the
// tick, the door is what the driver allowed then.
type crowdSim struct {
	rand   *rand.Rand
	habits habits
	limits crowd // what does not change: max_inside, pace, units, spare rate, calls per buyer
	serves int   // holds a second that core decides; 0: any
	p      pacer

	now           time.Duration
	waiting, free int
	taken, sold   int
	queue         int // hold requests that core has not decided
	called, came  int
	admitted      int
	allowed       int
	shoppers      []*shopper // called and not done
	batches       []callBatch

	// What is judged.
	mostInside, turnedAway int
	doorWaits              []time.Duration
	inside                 []int // at each tick
	calls                  []int // at each tick
	loads                  []float64
}

// callBatch is how many were called at once, how many of them came, and how many of those when.
type callBatch struct {
	at      time.Duration
	n, came int
}

const (
	simTick        = 250 * time.Millisecond
	simClaimWithin = time.Minute
	simComeWithin  = 30 * time.Second
	simDecide      = 30 * time.Second
	simLatency     = 300 * time.Millisecond
)

func newCrowdSim(seed uint64, h habits, waiting, stock int, limits crowd) *crowdSim {
	limits.callsPerBuyer, limits.latencyLimit = 2, simLatency
	return &crowdSim{rand: rand.New(rand.NewPCG(seed, 1)), habits: h, limits: limits, waiting: waiting, free: stock, allowed: noLimit(limits)}
}

func noLimit(c crowd) int {
	if c.maxInside > 0 {
		return 0
	}
	return math.MaxInt
}

// after is a random time with a mean, at most four times as long.
func (s *crowdSim) after(mean time.Duration) time.Duration {
	return s.now + simTick + time.Duration(min(s.rand.ExpFloat64(), 4)*float64(mean))
}

// run plays for so long.
func (s *crowdSim) run(d time.Duration) {
	for end := s.now + d; s.now < end; {
		s.tick()
	}
}

func (s *crowdSim) tick() {
	s.now += simTick
	s.people()
	c := s.look()
	if c.maxInside > 0 {
		s.allowed = s.admitted + max(0, c.maxInside-c.inside)
	}
	n := s.p.decide(c)
	s.p.calledNow(n)
	s.call(n)
	s.calls = append(s.calls, n)
	s.inside = append(s.inside, c.inside)
	s.loads = append(s.loads, c.load.of(simLatency))
	s.mostInside = max(s.mostInside, c.inside)
}

// call calls n more.
func (s *crowdSim) call(n int) {
	s.waiting -= n
	s.called += n
	if n == 0 {
		return
	}
	s.batches = append(s.batches, callBatch{at: s.now, n: n})
	for range n {
		if s.rand.Float64() >= s.habits.shows {
			continue // never comes
		}
		b := &shopper{calledAt: s.now, comesAt: s.after(s.habits.comes), units: 1 + s.rand.IntN(s.habits.units)}
		if s.rand.Float64() < s.habits.late {
			b.comesAt = s.after(simClaimWithin) + simClaimWithin
		}
		b.willHold, b.willBuy = s.rand.Float64() < s.habits.buys, s.rand.Float64() >= s.habits.abandon
		s.shoppers = append(s.shoppers, b)
	}
}

// people lets everybody do what they do in this tick.
func (s *crowdSim) people() {
	decided := math.MaxInt
	if s.serves > 0 {
		decided = int(float64(s.serves) * simTick.Seconds())
	}
	left := s.shoppers[:0]
	s.queue = 0
	for _, b := range s.shoppers {
		switch {
		case !b.inside && s.now >= b.comesAt:
			s.arrive(b)
		case b.inside && !b.holding && s.now >= b.actsAt:
			switch {
			case !b.willHold:
				continue // looked, and left
			case b.units > s.free:
				s.turnedAway++
				continue
			case decided == 0:
				s.queue++
			default:
				decided--
				s.free, s.taken = s.free-b.units, s.taken+b.units
				b.holding, b.leavesAt = true, s.after(s.habits.pays)
			}
		case b.holding && s.now >= b.leavesAt:
			if b.willBuy {
				s.sold += b.units
				s.limits.finished++
			} else {
				s.free, s.taken = s.free+b.units, s.taken-b.units
			}
			continue
		}
		left = append(left, b)
	}
	s.shoppers = left
}

// arrive lets somebody in whose turn has come, or lets them try again in two seconds.
func (s *crowdSim) arrive(b *shopper) {
	if b.arrived == 0 {
		b.arrived = s.now
	}
	if s.admitted >= s.allowed {
		b.comesAt = s.now + 2*time.Second
		return
	}
	s.admitted++
	s.came++
	s.doorWaits = append(s.doorWaits, s.now-b.arrived)
	b.inside, b.cameAt, b.actsAt = true, s.now, s.after(s.habits.chooses)
	for i := len(s.batches) - 1; i >= 0; i-- {
		if s.batches[i].at == b.calledAt {
			s.batches[i].came++
			break
		}
	}
}

// look is what core counts.
func (s *crowdSim) look() crowd {
	c := s.limits
	c.at, c.waiting, c.free, c.taken = time.Unix(1000, 0).Add(s.now), s.waiting, s.free, s.taken
	for i := len(s.batches) - 1; i >= 0; i-- {
		b := &s.batches[i]
		age := s.now - b.at
		if age >= 2*simComeWithin {
			break
		}
		switch {
		case age < simComeWithin:
			c.called, c.came = c.called+b.n, c.came+b.came
		case age < 2*simComeWithin:
			c.settledCalled, c.settledCame = c.settledCalled+b.n, c.settledCame+b.came
		}
	}
	young := 0
	for _, b := range s.shoppers {
		if !b.inside {
			continue
		}
		c.inside++
		if s.now-b.cameAt < simDecide {
			c.fresh++
			young++
		}
		if b.holding {
			c.holds++
		}
	}
	for _, b := range s.shoppers {
		if b.arrived > 0 && !b.inside {
			c.knocking++
		}
	}
	c.decided, c.sessions = s.admitted-young, s.admitted
	if s.serves > 0 {
		c.load = Load{Queue: float64(s.queue) / 5000, Delay: time.Duration(float64(s.queue) / float64(s.serves) * float64(time.Second))}
	}
	return c
}

// average and spread of the last ticks of a series.
func steadiness(series []int, last time.Duration) (mean, deviation float64) {
	part := series[max(0, len(series)-int(last/simTick)):]
	for _, n := range part {
		mean += float64(n)
	}
	mean /= float64(len(part))
	for _, n := range part {
		deviation += (float64(n) - mean) * (float64(n) - mean)
	}
	return mean, math.Sqrt(deviation / float64(len(part)))
}

// paces are the calls a second over stretches of so long, of the last ticks.
func (s *crowdSim) paces(last, stretch time.Duration) (paces []float64) {
	part, k := s.calls[max(0, len(s.calls)-int(last/simTick)):], int(stretch/simTick)
	for i := 0; i+k <= len(part); i += k {
		sum := 0
		for _, n := range part[i : i+k] {
			sum += n
		}
		paces = append(paces, float64(sum)/stretch.Seconds())
	}
	return paces
}
