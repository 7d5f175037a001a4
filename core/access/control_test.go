package access

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ordinary people, of whom some do not come, some come late, and some do not buy.
var ordinary = habits{
	shows: 0.7, late: 0.05, comes: 6 * time.Second, chooses: 12 * time.Second, buys: 0.8, pays: 20 * time.Second, abandon: 0.1, units: 4,
}

func TestWhateverTheCrowdDoesTheControllerKeepsTheLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := func(from float64, name string) float64 { return rapid.Float64Range(from, 1).Draw(t, name) }
		seconds := func(most int, name string) time.Duration {
			return time.Duration(rapid.IntRange(1, most).Draw(t, name)) * time.Second
		}
		h := habits{
			shows: share(0.02, "share who come"), late: share(0, "share of them who come late"), comes: seconds(20, "come"),
			chooses: seconds(60, "choose"), buys: share(0.1, "share who hold"), pays: seconds(90, "pay"),
			abandon: share(0, "share of holds let go"), units: rapid.IntRange(1, 6).Draw(t, "units"),
		}
		limits := crowd{
			maxInside: rapid.IntRange(0, 200).Draw(t, "max inside"), pace: rapid.IntRange(0, 100).Draw(t, "pace"),
			unitsPerBuyer: rapid.Float64Range(1, 4).Draw(t, "units per buyer"),
		}
		if rapid.Bool().Draw(t, "a provider that is short of calls") {
			spare := rapid.Float64Range(0, 200).Draw(t, "spare")
			limits.spareRate = &spare
		}
		s := newCrowdSim(rapid.Uint64().Draw(t, "seed"), h, rapid.IntRange(0, 5000).Draw(t, "waiting"), rapid.IntRange(0, 1000).Draw(t, "stock"), limits)
		s.serves = rapid.SampledFrom([]int{0, 4, 40}).Draw(t, "holds a second that core decides")
		rate := math.Inf(1)
		if limits.pace > 0 {
			rate = float64(limits.pace)
		}
		if limits.spareRate != nil {
			rate = min(rate, *limits.spareRate/2)
		}
		for range 480 {
			before, free := s.waiting, s.free
			s.tick()
			n := s.calls[len(s.calls)-1]
			if n < 0 || n > before {
				t.Fatalf("%d are called when %d wait", n, before)
			}
			if n > 0 && free == 0 && s.free == 0 {
				t.Fatalf("%d are called for nothing", n)
			}
			if float64(s.called) > rate*s.now.Seconds()+max(rate, 1) {
				t.Fatalf("%d called after %s at a pace of %.1f", s.called, s.now, rate)
			}
		}
		if limits.maxInside > 0 && s.mostInside > limits.maxInside {
			t.Fatalf("%d are inside, at most %d may be", s.mostInside, limits.maxInside)
		}
	})
}

// Once it has learned the crowd, the room is nearly full and stays so: neither does it swing, nor do those who never come keep
// places free for nothing.
func TestTheRoomFillsUpAndStaysFullWithoutSwinging(t *testing.T) {
	crowds := map[string]habits{"ordinary": ordinary}
	for name, change := range map[string]func(*habits){
		"all come":             func(h *habits) { h.shows, h.late = 1, 0 },
		"one in ten comes":     func(h *habits) { h.shows = 0.1 },
		"one in thirty comes":  func(h *habits) { h.shows = 0.033 },
		"many come late":       func(h *habits) { h.late = 0.4 },
		"they come slowly":     func(h *habits) { h.comes = 15 * time.Second },
		"they choose for long": func(h *habits) { h.chooses = time.Minute },
		"few buy":              func(h *habits) { h.buys = 0.2 },
		"most holds are let go": func(h *habits) {
			h.abandon, h.pays = 0.8, 40*time.Second
		},
	} {
		h := ordinary
		change(&h)
		crowds[name] = h
	}
	for name, h := range crowds {
		for _, maxInside := range []int{60, 400} {
			t.Run(fmt.Sprint(name, " ", maxInside), func(t *testing.T) {
				for seed := range uint64(3) {
					s := newCrowdSim(seed, h, 1_000_000, 1_000_000, crowd{maxInside: maxInside, unitsPerBuyer: 2})
					s.run(10 * time.Minute)
					mean, deviation := steadiness(s.inside, 5*time.Minute)
					if s.mostInside > maxInside {
						t.Errorf("seed %d: %d are inside, at most %d may be", seed, s.mostInside, maxInside)
					}
					if mean < 0.85*float64(maxInside) || deviation > 0.1*float64(maxInside) {
						t.Errorf("seed %d: %.1f are inside on average, ± %.1f; %d may be", seed, mean, deviation, maxInside)
					}
					slices.Sort(s.doorWaits)
					if wait := s.doorWaits[len(s.doorWaits)*99/100]; wait > 45*time.Second {
						t.Errorf("seed %d: one in a hundred waits longer than %s at the door", seed, wait)
					}
				}
			})
		}
	}
}

func TestEverythingIsSoldHoweverManyDoNotComeOrBuy(t *testing.T) {
	for name, change := range map[string]func(*habits){
		"ordinary":            func(*habits) {},
		"one in twenty comes": func(h *habits) { h.shows = 0.05 },
		"one in five buys":    func(h *habits) { h.buys = 0.2 },
		"half come late":      func(h *habits) { h.late = 0.5 },
		"holds are let go":    func(h *habits) { h.abandon = 0.6 },
	} {
		t.Run(name, func(t *testing.T) {
			h := ordinary
			change(&h)
			s := newCrowdSim(1, h, 200_000, 2000, crowd{maxInside: 300, unitsPerBuyer: 2})
			for s.sold < 1990 && s.now < 30*time.Minute { // the last few may be too few for those who want four
				s.tick()
			}
			if s.sold < 1990 {
				t.Fatalf("%d of 2000 units are sold after %s; %d of %d called came", s.sold, s.now, s.came, s.called)
			}
			t.Logf("%s; %d called, %d came, %d found nothing left", s.now, s.called, s.came, s.turnedAway)
			if s.turnedAway > s.came/3 {
				t.Errorf("%d of %d who came found nothing left", s.turnedAway, s.came)
			}
		})
	}
}

// A core that is asked for more than it can decide is asked for less, and then for about as much as it can, steadily.
func TestThePaceSettlesAtWhatCoreBears(t *testing.T) {
	for _, serves := range []int{8, 40, 120} {
		t.Run(fmt.Sprint(serves, " a second"), func(t *testing.T) {
			for seed := range uint64(3) {
				s := newCrowdSim(seed, ordinary, 10_000_000, 10_000_000, crowd{unitsPerBuyer: 2, pace: 2000})
				s.serves = serves
				s.run(16 * time.Minute)
				overload := 0
				half := s.loads[len(s.loads)/2:]
				for _, load := range half {
					if load > farTooMuch {
						overload++
					}
				}
				if overload > len(half)/10 {
					t.Errorf("seed %d: core is far too busy in %d of %d ticks", seed, overload, len(half))
				}
				paces := s.paces(8*time.Minute, 30*time.Second)
				holds := ordinary.shows * ordinary.buys
				mean := 0.0
				for _, pace := range paces {
					mean += pace * holds / float64(len(paces))
				}
				if mean < 0.6*float64(serves) || mean > 1.05*float64(serves) {
					t.Errorf("seed %d: %.1f holds a second are asked for, core decides %d", seed, mean, serves)
				}
				if low, high := slices.Min(paces), slices.Max(paces); high > 2.5*low {
					t.Errorf("seed %d: the pace swings between %.1f and %.1f calls a second", seed, low, high)
				}
			}
		})
	}
}

// People who were called and are late are not forgotten: they come in as soon as there is room, and are told to wait until then.
func TestWhoComesLateStillHasTheTurn(t *testing.T) {
	h := ordinary
	h.late = 0
	s := newCrowdSim(7, h, 1_000_000, 1_000_000, crowd{maxInside: 100, unitsPerBuyer: 2})
	s.run(5 * time.Minute)
	late := make([]*shopper, 80) // called in the first minute; all come at once
	for i := range late {
		late[i] = &shopper{calledAt: s.batches[0].at, comesAt: s.now + simTick, units: 1, willHold: true, willBuy: true}
	}
	s.shoppers = append(s.shoppers, late...)
	from := s.now
	for slices.ContainsFunc(late, func(b *shopper) bool { return !b.inside }) && s.now < from+5*time.Minute {
		s.tick()
	}
	took := s.now - from
	if took >= 2*time.Minute {
		t.Errorf("the last of them came in after %s", took)
	}
	if s.mostInside > 100 {
		t.Errorf("%d are inside, at most 100 may be", s.mostInside)
	}
}

func TestCallingStopsWhileNothingIsFreeAndGoesOnWhenAHoldExpires(t *testing.T) {
	var p pacer
	at := time.Unix(100, 0)
	look := func(free, holds int) int {
		at = at.Add(250 * time.Millisecond)
		n := p.decide(crowd{
			at: at, waiting: 100, inside: holds, holds: holds, free: free, unitsPerBuyer: 2, maxInside: 500, pace: 40, callsPerBuyer: 2,
		})
		p.calledNow(n)
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

func TestNobodyIsCalledWhileTheProviderHasNothingToSpareOrCoreIsFarTooBusy(t *testing.T) {
	none, plenty := 0.0, 1000.0
	for name, c := range map[string]crowd{
		"provider": {spareRate: &none},
		"queue":    {spareRate: &plenty, load: Load{Queue: 1}},
		"delay":    {spareRate: &plenty, load: Load{Delay: time.Second}},
	} {
		var p pacer
		at := time.Unix(100, 0)
		for range 20 {
			at = at.Add(250 * time.Millisecond)
			c.at, c.waiting, c.free, c.unitsPerBuyer, c.callsPerBuyer, c.latencyLimit = at, 100, 100, 2, 2, simLatency
			if n := p.decide(c); n != 0 {
				t.Fatalf("%s: %d are called", name, n)
			}
		}
	}
}

func TestAShortPaceSavesUpToWholeCalls(t *testing.T) {
	var p pacer
	at, called := time.Unix(100, 0), 0
	for range 41 { // ten seconds at one a second
		n := p.decide(crowd{at: at, waiting: 100, free: 1000, unitsPerBuyer: 1, pace: 1, callsPerBuyer: 2})
		p.calledNow(n)
		called += n
		at = at.Add(250 * time.Millisecond)
	}
	if called != 10 {
		t.Fatalf("%d are called in ten seconds at one a second", called)
	}
}

func TestExperienceIsThatOfLateAndCountsOnlyOnceThereIsEnough(t *testing.T) {
	var r ratio
	at := time.Unix(100, 0)
	r.add(at, 49, 0)
	if r.value() != 1 {
		t.Fatalf("49 of whom nobody came are a share of %.2f", r.value())
	}
	whole, part := 0, 0
	play := func(d time.Duration, share int) { // ten a second
		for range int(d / time.Second) {
			at, whole, part = at.Add(time.Second), whole+10, part+share
			r.add(at, whole, part)
		}
	}
	r = ratio{}
	play(10*time.Minute, 8)
	if v := r.value(); math.Abs(v-0.8) > 0.01 {
		t.Fatalf("the share is %.2f, want 0.8", v)
	}
	play(experienceOver+2*time.Second, 2)
	if v := r.value(); math.Abs(v-0.2) > 0.02 {
		t.Fatalf("two minutes after it fell to 0.2 the share is %.2f", v)
	}
	if len(r.samples) > maxSamples {
		t.Fatalf("%d samples are kept", len(r.samples))
	}
}
