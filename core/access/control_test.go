package access

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// shopper is a simulated buyer who has been called.
type shopper struct {
	claimsAt, holdsAt, leavesAt time.Duration
	came, holding, gone         bool
	units                       int
}

// crowdSim plays an on-sale against the controller: who is called comes after a while or never, chooses for a while,
// buys or leaves.
type crowdSim struct {
	free, waiting, calledAll int
	shoppers                 []*shopper
	now                      time.Duration
	claimWithin, decide      time.Duration
}

func (s *crowdSim) look(c crowd) crowd {
	c.at, c.waiting, c.free = time.Unix(0, 0).Add(s.now), s.waiting, s.free
	old, came := 0, 0
	for _, b := range s.shoppers {
		claimed := b.came || b.gone
		switch {
		case claimed || s.now-b.calledAt(s) <= s.claimWithin:
			if !claimed {
				c.pending++
			}
		default:
			old++
		}
		if claimed {
			came++
		}
		if b.came && !b.gone {
			c.inside++
			if s.now-b.claimsAt <= s.decide {
				c.fresh++
			}
			if b.holding {
				c.holds++
			}
		}
	}
	c.showRate = showRate(old+came, came)
	return c
}

func (b *shopper) calledAt(*crowdSim) time.Duration { return b.leavesAt - time.Hour }

// step lets everybody do what they do by now; a hold takes stock, a purchase keeps it.
func (s *crowdSim) step() (soldOutFor int) {
	for _, b := range s.shoppers {
		if !b.came && !b.gone && b.claimsAt > 0 && s.now >= b.claimsAt {
			b.came = true
		}
		if b.came && !b.gone && !b.holding && s.now >= b.holdsAt {
			if b.units > s.free {
				soldOutFor++
				b.gone = true
				continue
			}
			s.free -= b.units
			b.holding = true
		}
		if b.holding && !b.gone && s.now >= b.holdsAt+10*time.Second {
			b.gone = true // bought
		}
	}
	return soldOutFor
}

func TestTheControllerNeverCallsMoreThanRoomPaceAndStockAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := crowd{
			maxInside: rapid.IntRange(0, 200).Draw(t, "max inside"), pace: rapid.IntRange(0, 300).Draw(t, "pace"),
			unitsPerBuyer: rapid.Float64Range(1, 4).Draw(t, "units per buyer"), callsPerBuyer: 2,
		}
		if rapid.Bool().Draw(t, "a provider that is short of calls") {
			spare := rapid.Float64Range(0, 200).Draw(t, "spare")
			limits.spareRate = &spare
		}
		shows := rapid.Float64Range(0.3, 1).Draw(t, "share who come")
		sim := &crowdSim{
			free: rapid.IntRange(0, 2000).Draw(t, "stock"), waiting: rapid.IntRange(0, 5000).Draw(t, "waiting"),
			claimWithin: 20 * time.Second, decide: 15 * time.Second,
		}
		var p pacer
		const tick = 250 * time.Millisecond
		for range 400 {
			sim.now += tick
			sim.step()
			c := sim.look(limits)
			call := p.decide(c)
			if call < 0 || call > c.waiting {
				t.Fatalf("%d are called when %d wait", call, c.waiting)
			}
			if c.maxInside > 0 && call > 0 && c.inside+c.pending+call > c.maxInside {
				t.Fatalf("%d are called with %d inside and %d on their way: at most %d fit", call, c.inside, c.pending, c.maxInside)
			}
			if buyers := math.Ceil(float64(c.free) / c.unitsPerBuyer); float64(call+c.pending)*max(c.showRate, minShowRate) > buyers+1e-9 && call > 0 {
				t.Fatalf("%d are called and %d on their way for %d units (show rate %.2f)", call, c.pending, c.free, c.showRate)
			}
			p.called(call)
			sim.calledAll += call
			sim.waiting -= call
			seconds := sim.now.Seconds()
			if rate := limits.rate(); float64(sim.calledAll) > rate*seconds+max(rate, 1) {
				t.Fatalf("%d called after %.2f s at a pace of %.1f", sim.calledAll, seconds, rate)
			}
			for i := range call {
				b := &shopper{leavesAt: sim.now + time.Hour, units: 1 + i%4}
				if float64((sim.calledAll-call+i)%100)/100 < shows {
					b.claimsAt = sim.now + time.Duration(1+i%5)*time.Second
					b.holdsAt = b.claimsAt + time.Duration(1+i%7)*time.Second
				}
				sim.shoppers = append(sim.shoppers, b)
			}
		}
	})
}

// rate is the calls a second that pace and provider allow together.
func (c crowd) rate() float64 {
	rate := math.Inf(1)
	if c.pace > 0 {
		rate = float64(c.pace)
	}
	if c.spareRate != nil {
		rate = min(rate, *c.spareRate/c.callsPerBuyer)
	}
	return rate
}

func TestTheControllerSellsEverythingThoughManyDoNotCome(t *testing.T) {
	sim := &crowdSim{free: 1000, waiting: 20_000, claimWithin: 20 * time.Second, decide: 15 * time.Second}
	limits := crowd{maxInside: 200, pace: 100, unitsPerBuyer: 2, callsPerBuyer: 2}
	var p pacer
	for sim.free > 0 && sim.now < 10*time.Minute {
		sim.now += 250 * time.Millisecond
		sim.step()
		call := p.decide(sim.look(limits))
		p.called(call)
		sim.waiting -= call
		for i := range call {
			b := &shopper{leavesAt: sim.now + time.Hour, units: 2}
			if (len(sim.shoppers)+i)%3 != 0 { // a third never comes
				b.claimsAt = sim.now + 2*time.Second
				b.holdsAt = b.claimsAt + 3*time.Second
			}
			sim.shoppers = append(sim.shoppers, b)
		}
	}
	if sim.free > 0 {
		t.Fatalf("%d units are left after ten minutes with %d waiting", sim.free, sim.waiting)
	}
}

func TestCallingStopsWhileNothingIsFreeAndGoesOnWhenAHoldExpires(t *testing.T) {
	var p pacer
	at := time.Unix(100, 0)
	look := func(free, holds int) int {
		at = at.Add(250 * time.Millisecond)
		n := p.decide(crowd{
			at: at, waiting: 100, inside: holds, holds: holds, free: free, showRate: 1, unitsPerBuyer: 2, maxInside: 500,
			pace: 40, callsPerBuyer: 2,
		})
		p.called(n)
		return n
	}
	look(0, 50)
	for range 10 {
		if n := look(0, 50); n != 0 {
			t.Fatalf("%d are called for nothing", n)
		}
	}
	if n := look(5, 48); n != 3 {
		t.Fatalf("%d are called for 5 units at 2 a buyer", n)
	}
}

func TestNobodyIsCalledWhileTheProviderHasNothingToSpare(t *testing.T) {
	var p pacer
	at, none := time.Unix(100, 0), 0.0
	for range 20 {
		at = at.Add(250 * time.Millisecond)
		n := p.decide(crowd{at: at, waiting: 100, free: 100, showRate: 1, unitsPerBuyer: 2, spareRate: &none, callsPerBuyer: 2})
		if n != 0 {
			t.Fatalf("%d are called", n)
		}
	}
}

func TestAShortPaceSavesUpToWholeCalls(t *testing.T) {
	var p pacer
	at, called := time.Unix(100, 0), 0
	for range 41 { // ten seconds at one in four seconds
		n := p.decide(crowd{at: at, waiting: 100, free: 1000, showRate: 1, unitsPerBuyer: 1, pace: 1, callsPerBuyer: 2})
		p.called(n)
		called += n
		at = at.Add(250 * time.Millisecond)
	}
	if called != 10 {
		t.Fatalf("%d are called in ten seconds at one a second", called)
	}
}
