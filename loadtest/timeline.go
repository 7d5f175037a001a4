package loadtest

import (
	"slices"
	"time"
)

// Snapshot is where the rehearsal stands: what a progress line shows.
type Snapshot struct {
	At       time.Duration // since the opening instant, negative before it
	Phase    string        // the event's phase as the buyers see it
	Arrived  int64
	Waiting  int64 // honest buyers in the waiting room
	Admitted int64 // honest buyers with a session who have not left
	Held     int64 // active holds as core counts them, or as the buyers do while core does not answer
	Sold     int64 // tickets that buyers have in hand
	Orders   int64 // orders paid
	Called   int64 // entrants called so far
	Pace     float64
	HoldP50  float64
	HoldP99  float64
	BuyP50   float64
	BuyP99   float64
}

// Sample is one second of the timeline. Latencies are of that second alone.
type Sample struct {
	T         float64 `json:"t"` // seconds since the opening instant
	Phase     string  `json:"phase"`
	Waiting   int64   `json:"waiting"`
	Admitted  int64   `json:"admitted"`
	Held      int64   `json:"held"`
	Sold      int64   `json:"sold"`
	Joins     int64   `json:"joins"`
	States    int64   `json:"states"`
	Holds     int64   `json:"holds"`
	Purchases int64   `json:"purchases"`
	BotCalls  int64   `json:"bot_requests"`
	Called    int64   `json:"called"`          // in this second
	Pace      float64 `json:"pace_per_second"` // as everybody is told
	JoinP99   float64 `json:"join_p99_ms"`
	StateP99  float64 `json:"state_p99_ms"`
	HoldP50   float64 `json:"hold_p50_ms"`
	HoldP99   float64 `json:"hold_p99_ms"`
	BuyP50    float64 `json:"checkout_p50_ms"`
	BuyP99    float64 `json:"checkout_p99_ms"`
}

// snapshot reads the gauges. held < 0 means core did not say.
func (r *Recorder) snapshot(now time.Time, phase string, held int64) Snapshot {
	g := &r.gauges
	if held < 0 {
		held = g.holding.Load()
	}
	hold, buy := r.meters[OpHold].summary(OpHold), r.meters[OpCheckout].summary(OpCheckout)
	return Snapshot{
		At: now.Sub(r.opening), Phase: phase, Arrived: g.arrived.Load(), Waiting: g.waiting.Load(), Admitted: g.admitted.Load(),
		Held: held, Sold: g.tickets.Load() + g.botTickets.Load(), Orders: g.paid.Load(),
		HoldP50: hold.P50, HoldP99: hold.P99, BuyP50: buy.P50, BuyP99: buy.P99,
	}
}

// tick closes a second of the timeline. botCalls is the total so far of the second before.
func (r *Recorder) tick(s Snapshot, botCallsBefore int64) (botCalls int64) {
	join, state := r.meters[OpJoin].cut(OpJoin), r.meters[OpState].cut(OpState)
	hold, buy := r.meters[OpHold].cut(OpHold), r.meters[OpCheckout].cut(OpCheckout)
	botCalls = r.gauges.botRequests.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	called := s.Called - r.called
	r.called = s.Called
	r.samples = append(r.samples, Sample{
		Called: max(0, called), Pace: s.Pace,
		T: s.At.Seconds(), Phase: s.Phase, Waiting: s.Waiting, Admitted: s.Admitted, Held: s.Held, Sold: s.Sold,
		Joins: join.Count, States: state.Count, Holds: hold.Count, Purchases: buy.Count, BotCalls: botCalls - botCallsBefore,
		JoinP99: join.P99, StateP99: state.P99, HoldP50: hold.P50, HoldP99: hold.P99, BuyP50: buy.P50, BuyP99: buy.P99,
	})
	return botCalls
}

// Timeline is the samples so far.
func (r *Recorder) Timeline() []Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.samples)
}
