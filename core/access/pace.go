package access

import (
	"math"
	"time"
)

// crowd is what the admission controller decides by: figures of one instant.
type crowd struct {
	at      time.Time
	waiting int // drawn and not called
	// Of those called within the last claim_within, at most Config.ComeWithin: how many, and how many of them came.
	called, came int
	// Of those called before that, within as long again: how many, and how many of them came.
	settledCalled, settledCame int
	knocking                   int           // called, and waiting at the door for room
	inside                     int           // sessions that are neither over nor finished
	fresh                      int           // of them, those young enough that a shopper without a hold is still choosing
	decided                    int           // sessions ever, without the young ones
	finished                   int           // sessions whose buyer has bought
	takes                      time.Duration // from admission to purchase, on average, lately; 0: nobody bought lately
	holds                      int           // active holds
	free                       int           // units neither held nor sold
	taken                      int           // units held or sold
	admitted                   int64         // sessions ever, by the door, read before the rest
	sessions                   int           // sessions ever, as counted

	unitsPerBuyer float64 // where nothing is observed yet
	maxInside     int     // 0: no limit
	pace          int     // calls a second; 0: no limit
	spareRate     *float64
	callsPerBuyer float64
	load          Load
	latencyLimit  time.Duration
}

// Load is how busy the part of core is that decides holds.
type Load struct {
	Queue float64       // how full its queue is, 0 to 1
	Delay time.Duration // how long a request waits in it
}

// of is the load as a number: above 1 it is too much.
func (l Load) of(limit time.Duration) float64 {
	load := 2 * l.Queue // half a queue is too much: it is there for bursts
	if limit > 0 {
		load = max(load, l.Delay.Seconds()/limit.Seconds())
	}
	return load
}

// pacer decides how many entrants to call. It remembers what experience says, and what its rate has earned; all of it can
// be lost.
type pacer struct {
	last   time.Time
	tokens float64
	shows  smooth // share of those called who come in time
	showed bool   // shows has a value
	buys   ratio  // of those who came and had time to choose, who hold or bought something
	rate   flow   // units taken
	enters flow   // sessions given
	leaves flow   // sessions over or finished
	await  smooth // how many are coming
	brake  brake
	takes  time.Duration

	baseTaken, baseBuyers int // when this pacer began
	based                 bool
}

// Bounds of what experience may say: a share that is measured lower is not believed, or a lull would call everybody.
const (
	minShowRate = 0.02
	minBuyRate  = 0.25
	maxOvercall = 16 // most called for one who is expected to buy
	// experience is from how many on a share counts, and experienceOver the time it is taken over.
	experience     = 50
	experienceOver = 2 * time.Minute
	// fewest is of how many called at one time a share is taken.
	fewest = 20
	// longestArrival bounds how far ahead the room is reckoned.
	longestArrival = 20 * time.Second
	// arrival is about how long somebody called takes to come and choose: what is gone by then need not be called for.
	arrival = 5 * time.Second
	// showsOver, flowsOver and stockOver are how long averages remember.
	showsOver, flowsOver, stockOver = 20 * time.Second, 10 * time.Second, 5 * time.Second
	// longestDecision bounds for how long a shopper without a hold is reckoned with.
	longestDecision = 2 * time.Minute
)

// decide is how many more entrants to call now. It calls nobody for whom there would be no room, no stock as far as can
// be told, no core or no payment provider with time:
//
//   - coming: of those called lately, the share that experience says will come, without those who did;
//   - stock: those coming and those inside who are still choosing are served first, as far as experience says that they buy;
//     for what they leave, one buyer per typical purchase is called, more if many do not come or buy;
//   - room: everybody inside and at the door counts, and everybody coming, less those who will have left until they are here. The door (door.go)
//     keeps the limit if more come or fewer leave;
//   - pace: the lowest of what the operator set, what the provider has to spare, and what core was found to bear.
func (p *pacer) decide(c crowd) int {
	p.observe(c)
	rate := math.Inf(1)
	if c.pace > 0 {
		rate = float64(c.pace)
	}
	if c.spareRate != nil {
		rate = min(rate, max(0, *c.spareRate)/c.callsPerBuyer)
	}
	rate = min(rate, p.brake.limit())
	p.save(c.at, rate)
	if p.brake.stopped() {
		return 0
	}
	wanted := min(p.forStock(c), float64(c.waiting), p.tokens)
	if c.maxInside > 0 {
		wanted = min(wanted, p.forRoom(c))
	}
	return max(0, int(wanted))
}

// observe takes in what has happened since.
func (p *pacer) observe(c crowd) {
	if c.settledCalled >= fewest {
		p.shows.add(c.at, min(1, float64(c.settledCame+c.knocking)/float64(c.settledCalled)), showsOver) // who knocks came
		p.showed = true
	}
	p.buys.add(c.at, c.decided, min(c.decided, c.finished+c.holds))
	p.rate.add(c.at, c.taken, stockOver)
	p.enters.add(c.at, c.sessions, flowsOver)
	p.leaves.add(c.at, c.sessions-c.inside, flowsOver)
	p.await.add(c.at, p.coming(c), flowsOver)
	p.brake.add(c.at, c.load.of(c.latencyLimit), c.finished+c.holds, p.showRate()*p.buyRate())
	p.takes = c.takes
	if !p.based {
		p.baseTaken, p.baseBuyers, p.based = c.taken, c.finished+c.holds, true
	}
}

// showRate is the share of those called who come.
func (p *pacer) showRate() float64 {
	if !p.showed {
		return 1
	}
	return max(p.shows.value, minShowRate)
}

// buyRate is the share of those who come who buy.
func (p *pacer) buyRate() float64 { return max(p.buys.value(), minBuyRate) }

// coming is how many of those called are still expected.
func (p *pacer) coming(c crowd) float64 {
	return min(max(0, p.showRate()*float64(c.called)-float64(c.came)), float64(max(0, c.called-c.came)))
}

// forStock is for how many more there is something to buy.
func (p *pacer) forStock(c crowd) float64 {
	buyers := math.Ceil(float64(c.free) / p.units(c))
	shopping := float64(min(c.fresh, max(0, c.inside-c.holds)))
	buy, show := p.buyRate(), p.showRate()
	left := buyers - (shopping+p.coming(c))*buy
	if left <= 0 || float64(c.free) < p.rate.perSecond()*arrival.Seconds() {
		return left // about to be gone: nobody is called on a guess that others will not want it
	}
	return left * min(1/(show*buy), maxOvercall)
}

// forRoom is for how many more there is room.
func (p *pacer) forRoom(c crowd) float64 {
	room := float64(c.maxInside-c.inside-c.knocking) - p.coming(c) + p.leaving(c)
	if room <= 0 {
		return 0
	}
	return math.Ceil(room / p.showRate())
}

// leaving is how many will have left by the time that somebody called now is here. How long that takes follows from how many
// are coming and how fast they come in.
func (p *pacer) leaving(c crowd) float64 {
	takes := arrival.Seconds()
	if entering := p.enters.perSecond(); entering > 0 {
		takes = min(p.await.value/entering, longestArrival.Seconds())
	}
	return min(p.leaves.perSecond()*takes, float64(c.maxInside)/2)
}

// units is what a buyer takes: as observed since this core drives, or as the event says.
func (p *pacer) units(c crowd) float64 {
	units := c.unitsPerBuyer
	if buyers := c.finished + c.holds - p.baseBuyers; buyers >= experience {
		units = float64(c.taken-p.baseTaken) / float64(buyers)
	}
	return min(max(units, 1), 100)
}

// decideWithin is for how long a shopper without a hold is reckoned with: as long as buying takes on average, at least so long.
func (p *pacer) decideWithin(least time.Duration) time.Duration {
	return max(least, min(p.takes, longestDecision))
}

// save adds what the rate has earned since the last tick: whole calls are made of it. It saves up a second's worth at most; a
// first tick, after a pause or take-over, earns nothing for the time before it.
func (p *pacer) save(at time.Time, rate float64) {
	if math.IsInf(rate, 1) {
		p.tokens = math.MaxInt32
	} else {
		if !p.last.IsZero() && at.After(p.last) {
			p.tokens += rate * at.Sub(p.last).Seconds()
		}
		p.tokens = min(p.tokens, max(rate, 1))
	}
	p.last = at
}

// calledNow takes what was used.
func (p *pacer) calledNow(n int) {
	p.tokens -= float64(n)
	p.brake.called += n
}

// stop forgets what was saved, and keeps what was learned.
func (p *pacer) stop() { p.last, p.tokens = time.Time{}, 0 }

// tell shows what the pacer goes by.
func (p *pacer) tell() {
	brakeNow.Set(p.brake.most)
	showRateNow.Set(p.showRate())
	buyRateNow.Set(p.buyRate())
	takesNow.Set(p.takes.Seconds())
}
