package loadtest

import (
	"context"
	"time"
)

// How an honest buyer's visit ended.
const (
	outcomeBought       = "bought"
	outcomeSoldOut      = "sold_out"
	outcomeDeclined     = "declined"
	outcomeImpatient    = "out_of_patience"
	outcomeLeftWaiting  = "left_waiting"
	outcomeLeftAdmitted = "left_admitted"
	outcomeLeftHolding  = "left_holding"
	outcomeLeftOrdered  = "left_ordered"
	outcomeCut          = "still_waiting_at_the_end"
	outcomeError        = "error"
)

// buyer is one honest visit.
type buyer struct {
	*visitor
	want     int  // tickets
	seated   bool // prefers a seat
	decline  bool // the first card will be declined
	leaves   bool // while waiting, unless called before
	hurry    bool // no pauses, no second thoughts
	patience time.Duration
}

func newBuyer(run *Rehearsal, index int) *buyer {
	v := newVisitor(run, index, botNone)
	p := run.plan.Buyers
	b := &buyer{visitor: v, want: 1, seated: v.chance(p.Seated), decline: v.chance(p.Decline), patience: v.think(p.Patience)}
	dice := v.rng.Float64()
	for i, share := range p.Quantity {
		if dice -= share; dice < 0 {
			b.want = i + 1
			break
		}
	}
	if b.leaves = v.chance(p.Abandon.Waiting); b.leaves {
		b.patience = time.Duration(v.rng.Float64() * float64(b.patience) / 2)
	}
	return b
}

// live is the whole visit, from arriving at the given instant to an outcome. The doors close on those who wait; a purchase under
// way may go on until ctx ends.
func (b *buyer) live(doors, ctx context.Context, arrived time.Time) {
	g := &b.run.rec.gauges
	g.arrived.Add(1)
	g.waiting.Add(1)
	outcome := b.queue(doors, arrived)
	g.waiting.Add(-1)
	if outcome == "" {
		g.admitted.Add(1)
		outcome = b.shop(ctx)
		g.admitted.Add(-1)
	}
	if b.failures > 0 && outcome != outcomeBought {
		outcome = outcomeError
	}
	b.run.rec.Outcome(outcome)
}

// queue is the visit up to the session. It returns "" when the buyer is in.
func (b *buyer) queue(ctx context.Context, arrived time.Time) string {
	if !b.join(ctx, arrived) {
		return b.cut(ctx)
	}
	switch b.wait(ctx, later(arrived, b.run.opening).Add(b.patience)) {
	case fateCalled:
	case fateSoldOut:
		return outcomeSoldOut
	case fateImpatient:
		if b.leaves {
			return outcomeLeftWaiting
		}
		return outcomeImpatient
	case fateEnded:
		return outcomeCut
	case fateRefused:
		return b.cut(ctx)
	}
	claim, ok := b.claim(ctx)
	if !ok {
		return b.cut(ctx)
	}
	b.leak(loot{token: claim.AdmissionToken})
	return ""
}

// cut names an end that the buyer did not choose.
func (b *buyer) cut(ctx context.Context) string {
	if ctx.Err() != nil {
		return outcomeCut
	}
	return outcomeError
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause is how long this buyer takes for something.
func (b *buyer) pause(median Duration) time.Duration {
	if b.hurry {
		return 0
	}
	return b.think(median)
}

// leavesHere decides whether the buyer walks away at this step.
func (b *buyer) leavesHere(share float64) bool { return !b.hurry && b.chance(share) }
