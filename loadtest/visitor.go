package loadtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"fairgate/edge/lottery"

	"github.com/google/uuid"
)

// Back-off while a server does not answer: from the first to the last wait, doubling, with jitter.
const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 3 * time.Second
	// maxUnreachable ends a visitor's patience with a server that does not answer: with the back-off above about 20 s.
	maxUnreachable = 10
	// defaultWait is taken for "later" without a Retry-After.
	defaultWait = time.Second
)

// visitor is one browser, honest or not: its cookies, its address, its dice, and how it sends requests.
type visitor struct {
	run   *Rehearsal
	index int
	kind  botKind
	rng   *rand.Rand
	jar   jar
	from  string // value of the Forwarded header
	sort  sort   // what is special about an honest one
	edge  int    // the edge it talks to; the next one when that one does not answer

	joined   bool
	entrant  lottery.Entrant
	place    lottery.Place
	drawn    bool // place.Value is known
	etag     string
	failures int // answers an honest buyer should not get
}

func newVisitor(run *Rehearsal, index int, kind botKind) *visitor {
	stream := uint64(index)<<8 | uint64(kind)
	v := &visitor{run: run, index: index, kind: kind, rng: rand.New(rand.NewPCG(run.plan.Seed, stream))}
	v.edge = v.rng.IntN(len(run.edges))
	if kind == botNone {
		v.from = run.buyerAddresses.forwarded(index)
		if v.sort = sortOf(run.plan.Buyers, index); v.sort == sortNAT {
			v.from = run.buyerAddresses.forwarded(0)
		}
	} else {
		v.from = run.botAddresses.forwarded(index)
	}
	return v
}

func (v *visitor) isBuyer() bool { return v.kind == botNone }

// once sends one request that was meant to leave at intended, and records what came of it. Only honest buyers' latencies and
// answers are recorded: a bot that is throttled says nothing about the service.
func (v *visitor) once(c call, intended time.Time) answer {
	c.old = v.sort == sortOldPhone
	if v.sort == sortRoaming && c.op == OpClaim {
		v.from = v.run.buyerAddresses.forwarded(v.index + roamsBy) // it left the house meanwhile
	}
	d := v.recorded(c)
	a := v.run.edges[v.edge].send(c, &v.jar, v.from, v.run.plan.Limits.RequestTimeout.D())
	d.answered(a)
	if a.err != nil {
		v.edge = (v.edge + 1) % len(v.run.edges)
	}
	if !v.isBuyer() {
		v.run.rec.gauges.botRequests.Add(1)
		v.run.rec.bot(v.kind, func(f *BotFigures) {
			f.Requests++
			switch {
			case a.status == 429:
				f.Throttled++
			case a.status >= 400 && a.status < 500:
				f.Refused++
			}
		})
		return a
	}
	v.run.rec.Latency(c.op, intended, a.at)
	v.run.rec.Answer(c.op, a.code)
	return a
}

// retry sends a request until it is answered with something else than "later", as long as ctx lives. A request whose outcome is
// unknown is sent again unchanged, with the same key, at the other edge. The second result is false when ctx ended first.
func (v *visitor) retry(ctx context.Context, c call) (answer, bool) {
	return v.retryFrom(ctx, c, time.Now())
}

// retryFrom is retry of a request that was meant to leave at due.
func (v *visitor) retryFrom(ctx context.Context, c call, due time.Time) (answer, bool) {
	for unreachable := 0; ; {
		a := v.once(c, due)
		switch {
		case a.err != nil:
			unreachable++
			if unreachable == 1 && v.isBuyer() && !v.run.plan.Limits.FaultsExpected || unreachable >= maxUnreachable {
				v.problem(c.op, a)
			}
			if unreachable >= maxUnreachable {
				return a, true
			}
			due = time.Now().Add(v.backoff(unreachable))
		case waits(a):
			if !honest(a) {
				v.problem(c.op, a)
			}
			wait := a.retryAfter
			if wait <= 0 {
				wait = defaultWait
			}
			due = time.Now().Add(v.jitter(wait))
		default:
			if !honest(a) {
				v.problem(c.op, a)
			}
			return a, true
		}
		if !v.run.sleepUntil(ctx, due) {
			return a, false
		}
	}
}

// problem records an answer that an honest buyer should not have got. Bots earn theirs.
func (v *visitor) problem(op Op, a answer) {
	v.failures++
	if v.isBuyer() {
		v.run.rec.Problem(Problem{Buyer: v.index, Op: op, Status: a.status, Code: a.code, Detail: a.detail})
	}
}

func (v *visitor) backoff(attempt int) time.Duration {
	return v.jitter(min(firstBackoff<<min(attempt-1, 8), lastBackoff))
}

// jitter adds up to a quarter, so that those told the same time do not come back together.
func (v *visitor) jitter(d time.Duration) time.Duration {
	if v.sort == sortNoScript {
		return d
	}
	return d + time.Duration(v.rng.Float64()*0.25*float64(d))
}

// think draws a human pause: log-normal around the median, three quarters of all between a half and double of it, at most fourfold.
func (v *visitor) think(median Duration) time.Duration {
	if median <= 0 {
		return 0
	}
	factor := min(math.Exp(0.6*v.rng.NormFloat64()), 4)
	return time.Duration(float64(median) * factor)
}

func (v *visitor) chance(share float64) bool { return v.rng.Float64() < share }

// key makes a fresh Idempotency-Key. It comes from the visitor's dice, so that a run can be repeated.
func (v *visitor) key() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(v.rng.UintN(256))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

func (v *visitor) email() string {
	who := "buyer"
	if !v.isBuyer() {
		who = "bot"
	}
	return fmt.Sprintf("%s-%d@example.com", who, v.index)
}
