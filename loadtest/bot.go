package loadtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// botKind is what a bot tries.
type botKind uint8

const (
	botNone     botKind = iota // an honest buyer
	botTabs                    // many joins on one identity
	botFresh                   // many identities by dropping cookies
	botHammer                  // polls hard, deaf to Retry-After
	botSkipper                 // tries to get by the queue
	botThief                   // uses what leaked from honest buyers
	botReplayer                // shows what was good once again, from other browsers
	botHoarder                 // holds as much as it can and lets go, again and again
)

func botKinds() []botKind {
	return []botKind{botTabs, botFresh, botHammer, botSkipper, botThief, botReplayer, botHoarder}
}

func (k botKind) String() string {
	return [...]string{"buyer", "tabs", "fresh", "hammer", "skipper", "thief", "replayer", "hoarder"}[k]
}

// kinds lists the kind of every bot of the plan.
func (b BotsPlan) kinds() []botKind {
	all := make([]botKind, 0, b.Count())
	for i, n := range []int{b.Tabs, b.Fresh, b.Hammer, b.Skipper, b.Thief, b.Replayer, b.Hoarder} {
		for range n {
			all = append(all, botKinds()[i])
		}
	}
	return all
}

// bot is one dishonest visit. Besides its trick a bot that is called buys like anybody else, but as fast and as much as it can.
type bot struct{ *buyer }

func newBot(run *Rehearsal, index int, kind botKind) *bot {
	p := run.plan.Buyers
	return &bot{&buyer{visitor: newVisitor(run, index, kind), want: len(p.Quantity), seated: index%2 == 0, patience: run.plan.Limits.Duration.D(), hurry: true}}
}

// again is another browser of the same bot: fresh cookies, same address, other dice.
func (b *bot) again(n int) *bot {
	other := newBot(b.run, b.index, b.kind)
	other.rng = rand.New(rand.NewPCG(b.run.plan.Seed^uint64(n+1)<<32, uint64(b.index)))
	return other
}

func (b *bot) live(ctx context.Context, arrived time.Time) {
	b.run.rec.bot(b.kind, func(f *BotFigures) { f.Bots++ })
	switch b.kind {
	case botTabs:
		b.tabs(ctx, arrived)
	case botFresh:
		b.fresh(ctx, arrived)
	case botHammer:
		b.hammer(ctx, arrived)
	case botSkipper:
		b.skip(ctx, arrived)
	case botThief:
		b.thieve(ctx, arrived)
	case botReplayer:
		b.replay(ctx, arrived)
	case botHoarder:
		b.hoard(ctx, arrived)
	}
}

// tabs joins over and over in one browser and hopes for more than one entry.
func (b *bot) tabs(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) {
		return
	}
	mine := b.entrant
	for range b.run.plan.Bots.TabJoins - 1 {
		if !b.run.sleep(ctx, time.Duration(b.rng.IntN(40))*time.Millisecond) {
			return
		}
		a := b.once(b.joinCall(), time.Now())
		var body joinBody
		if a.decode(&body) {
			b.run.witness.Tried("second entry for one identity", b.accept(body) && b.entrant != mine, b.index, b.kind.String(), "joined again as "+body.Entrant)
		}
	}
	b.buy(ctx)
}

// fresh joins with new cookies each time; one poll serves all its identities.
func (b *bot) fresh(ctx context.Context, arrived time.Time) {
	var all []*bot
	for n := range b.run.plan.Bots.FreshEach {
		id := b.again(n)
		if id.join(ctx, arrived) {
			all = append(all, id)
		}
		arrived = time.Now()
	}
	var shopping sync.WaitGroup
	defer shopping.Wait()
	for due := time.Now(); len(all) > 0; {
		s, ok := b.look(ctx, due)
		if !ok || s.soldOut() || s.ended() {
			return
		}
		waiting := all[:0]
		for _, id := range all {
			if !id.called(s) {
				waiting = append(waiting, id)
				continue
			}
			shopping.Go(func() { id.enter(ctx) })
		}
		all = waiting
		due = time.Now().Add(b.jitter(s.pollAfter()))
		if !b.run.sleepUntil(ctx, due) {
			return
		}
	}
}

// hammer polls at its own pace, without ETag and deaf to every advice, and knocks at the door with every tenth request.
func (b *bot) hammer(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) {
		return
	}
	pause := time.Duration(float64(time.Second) / b.run.plan.Bots.HammerRPS)
	path := "/q/" + b.run.plan.Event + "/state"
	for n := 1; ; n++ {
		a := b.once(call{op: OpState, method: "GET", path: path, known: b.run.states.known}, time.Now())
		if a.ok() {
			s, err := b.run.states.learn(a)
			if err != nil || s.soldOut() || s.ended() {
				return
			}
			if b.called(s) {
				b.enter(ctx)
				return
			}
		}
		if n%10 == 0 {
			if try, worked, detail := b.early(ctx); try != "" {
				b.run.witness.Tried(try, worked, b.index, b.kind.String(), detail)
			}
		}
		if !b.run.sleep(ctx, pause) {
			return
		}
	}
}

// buy waits its turn and shops.
func (b *bot) buy(ctx context.Context) {
	if b.wait(ctx, b.run.opening.Add(b.patience)) == fateCalled {
		b.enter(ctx)
	}
}

// hoard holds as much as it may and gives it back, again and again, and buys nothing.
func (b *bot) hoard(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) || b.wait(ctx, b.run.opening.Add(b.patience)) != fateCalled {
		return
	}
	if _, ok := b.claim(ctx); !ok {
		return
	}
	b.run.rec.bot(b.kind, func(f *BotFigures) { f.Sessions++ })
	for range b.run.plan.Bots.Tries {
		h, outcome := b.hold(ctx)
		if outcome != "" || !b.run.sleep(ctx, b.think(b.run.plan.Bots.TryEvery)) {
			return
		}
		id, _ := uuid.Parse(h.ID) // of a broken id the audit tells
		if _, alive := b.retry(ctx, call{op: OpRelease, method: "DELETE", path: "/v1/holds/" + h.ID, hold: id}); !alive {
			return
		}
	}
}

// replay waits for its turn, then shows its admission token again, and its pass, from other browsers of its own.
func (b *bot) replay(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) || b.wait(ctx, b.run.opening.Add(b.patience)) != fateCalled {
		return
	}
	claimed, ok := b.claim(ctx)
	if !ok {
		return
	}
	b.run.rec.bot(b.kind, func(f *BotFigures) { f.Sessions++ })
	pass, _ := b.jar.find("fg_pass_" + b.run.plan.Event)
	for n := range b.run.plan.Bots.Tries {
		other := b.again(n + 1000)
		if !other.join(ctx, time.Now()) {
			return
		}
		token := other.once(other.claimCall(`{"admission_token":"`+claimed.AdmissionToken+`"}`), time.Now())
		try, worked, detail := tried("claim with a used token from another browser", token)
		if n%2 == 1 {
			shown := other.with(other.cookies("fg_pass_"+b.run.plan.Event, pass.value), func() answer { return other.once(other.claimCall("{}"), time.Now()) })
			try, worked, detail = tried("claim with a used pass from another browser", shown)
		}
		if try != "" {
			b.run.witness.Tried(try, worked, b.index, b.kind.String(), detail)
		}
		if !b.run.sleep(ctx, b.think(b.run.plan.Bots.TryEvery)) {
			return
		}
	}
	if h, outcome := b.hold(ctx); outcome == "" {
		b.checkout(ctx, h)
	}
}

// enter claims a turn that has come, and buys.
func (b *bot) enter(ctx context.Context) {
	if _, ok := b.claim(ctx); !ok {
		return
	}
	b.run.rec.bot(b.kind, func(f *BotFigures) { f.Sessions++ })
	if h, outcome := b.hold(ctx); outcome == "" {
		b.checkout(ctx, h)
	}
}
