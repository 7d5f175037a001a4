package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fairgate/core/inventory/history"
)

// inFlight is how long purchases under way may go on after the rehearsal's end.
const inFlight = 20 * time.Second

// tierNames says what there is to ask for.
type tierNames struct {
	general string // a general-admission tier
	seated  bool   // there are numbered seats
	ranked  string // a tier with numbered seats, whose best ones can be asked for
}

// Rehearsal is one run of a plan. Make it with New, Run it once; Snapshot may be called meanwhile by others.
type Rehearsal struct {
	plan    Plan
	log     *slog.Logger
	opening time.Time // by this machine's clock
	admin   *Admin
	rec     *Recorder
	witness *Witness
	edges   []*host
	paysim  *host
	states  *stateCache
	seats   *seatMap
	pot     pot
	owners  owners
	history *history.Recorder // nil for none
	tiers   tierNames

	buyerAddresses, botAddresses addressBook

	shares []Share // of the bots, once the audit has them

	held atomic.Int64 // active holds as core last said, -1 when it did not
}

// New prepares a rehearsal and checks the plan.
func New(plan Plan, log *slog.Logger) (*Rehearsal, error) {
	if err := plan.Validate(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	r := &Rehearsal{plan: plan, log: log, witness: NewWitness(), states: newStateCache()}
	r.held.Store(-1)
	r.seats = &seatMap{run: r}
	var err error
	if r.admin, err = NewAdmin(plan.Targets.Core, plan.Targets.AdminSecretFile); err != nil {
		return nil, err
	}
	// Of the connections an eighth is for the provider, the rest for the edges in equal parts.
	forPaysim := max(plan.Limits.MaxConnections/8, 1)
	perEdge := max((plan.Limits.MaxConnections-forPaysim)/len(plan.Targets.Edges), 1)
	timeout := plan.Limits.RequestTimeout.D()
	for _, base := range plan.Targets.Edges {
		h, err := newHost(base, perEdge, timeout)
		if err != nil {
			return nil, fmt.Errorf("edge %s: %w", base, err)
		}
		r.edges = append(r.edges, h)
	}
	if r.paysim, err = newHost(plan.Targets.Paysim, forPaysim, timeout); err != nil {
		return nil, fmt.Errorf("paysim %s: %w", plan.Targets.Paysim, err)
	}
	if r.buyerAddresses, err = newAddressBook(plan.Buyers.Addresses); err != nil {
		return nil, err
	}
	if r.botAddresses, err = newAddressBook(plan.Bots.Addresses); err != nil {
		return nil, err
	}
	return r, nil
}

// Witness is what buyers and bots saw, for the audit.
func (r *Rehearsal) Witness() *Witness { return r.witness }

// Recorder has the measurements.
func (r *Rehearsal) Recorder() *Recorder { return r.rec }

// Opening is the instant the sale opens, by this machine's clock. It is known after Prepare.
func (r *Rehearsal) Opening() time.Time { return r.opening }

// Prepare learns what is for sale, schedules the on-sale if the plan says so, and waits until every edge shows it.
func (r *Rehearsal) Prepare(ctx context.Context) error {
	if err := r.learnTiers(ctx); err != nil {
		return err
	}
	want := time.Time{}
	if in := r.plan.Opening.In.D(); in > 0 {
		opens := time.Now().Add(in).Truncate(time.Millisecond)
		joining := later(opens.Add(r.plan.Opening.Joining.D()), time.Now())
		if err := r.admin.Schedule(ctx, r.plan.Event, joining, opens); err != nil {
			return fmt.Errorf("schedule the on-sale: %w", err)
		}
		want = opens
	}
	for i, e := range r.edges {
		if err := r.awaitOpening(ctx, e, want); err != nil {
			return fmt.Errorf("edge %s: %w", r.plan.Targets.Edges[i], err)
		}
	}
	r.rec = NewRecorder(r.opening)
	first := r.plan.Arrivals[0].From.D()
	for _, a := range r.plan.Arrivals {
		first = min(first, a.From.D())
	}
	if left := time.Until(r.opening.Add(first)); left < 0 {
		return fmt.Errorf("the sale opens at %s, too soon for arrivals from %s before it: schedule it later or set opening.in", stamp(r.opening), -first)
	}
	return nil
}

// learnTiers asks the public catalogue what can be bought.
func (r *Rehearsal) learnTiers(ctx context.Context) error {
	var body struct {
		Tiers []struct {
			ID   string `json:"id"`
			Kind string `json:"kind"`
		} `json:"tiers"`
	}
	c := call{op: OpSeats, method: "GET", path: "/v1/events/" + r.plan.Event}
	var a answer
	// Edges learn of a new event within seconds.
	for try := range 30 {
		if a = r.edges[0].send(c, nil, "", r.plan.Limits.RequestTimeout.D()); a.ok() || !r.sleep(ctx, time.Duration(try)*50*time.Millisecond) {
			break
		}
	}
	if !a.unzip() || !a.decode(&body) {
		return fmt.Errorf("read event %q at the edge: %d %s: %s", r.plan.Event, a.status, a.code, a.detail)
	}
	for _, t := range body.Tiers {
		if t.Kind == "seated" {
			r.tiers.seated, r.tiers.ranked = true, cmp.Or(r.tiers.ranked, t.ID)
		} else if r.tiers.general == "" {
			r.tiers.general = t.ID
		}
	}
	if len(body.Tiers) == 0 {
		return fmt.Errorf("event %q has nothing to sell", r.plan.Event)
	}
	return nil
}

// awaitOpening waits until an edge shows the on-sale, and takes its instant over to this machine's clock.
func (r *Rehearsal) awaitOpening(ctx context.Context, e *host, want time.Time) error {
	c := call{op: OpState, method: "GET", path: "/q/" + r.plan.Event + "/state"}
	last := "no on-sale"
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until) && ctx.Err() == nil; r.sleep(ctx, 100*time.Millisecond) {
		a := e.send(c, nil, "", r.plan.Limits.RequestTimeout.D())
		if !a.ok() {
			last = a.code + ": " + a.detail
			continue
		}
		s, err := r.states.learn(a)
		if err != nil {
			return err
		}
		if !want.IsZero() && !s.OpensAt.Equal(want) {
			last = "it still shows an older on-sale"
			continue
		}
		skew := time.Duration(0)
		if want.IsZero() {
			skew = a.at.Sub(s.ServerTime.Time).Truncate(time.Second)
		}
		r.opening = s.OpensAt.Time.Add(skew)
		return nil
	}
	return errors.Join(ctx.Err(), fmt.Errorf("it does not show the on-sale of %q: %s", r.plan.Event, last))
}

// Run sends everybody on their way and returns when the last one is done. progress, if not nil, is called about once a second.
func (r *Rehearsal) Run(ctx context.Context, progress func(Snapshot)) error {
	doors, closeDoors := context.WithDeadline(ctx, r.opening.Add(r.plan.Limits.Duration.D()))
	defer closeDoors()
	whole, stop := context.WithDeadline(ctx, r.opening.Add(r.plan.Limits.Duration.D()+inFlight))
	defer stop()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(whole, done, progress) })
	var visitors sync.WaitGroup
	for _, a := range schedule(r.plan) {
		at := r.opening.Add(a.at)
		if !r.sleepUntil(doors, at) {
			break
		}
		visitors.Go(func() {
			if a.kind == botNone {
				newBuyer(r, a.index).live(doors, whole, at)
				return
			}
			newBot(r, a.index, a.kind).live(doors, at)
		})
	}
	visitors.Wait()
	close(done)
	watching.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("rehearsal interrupted: %w", err)
	}
	return nil
}

// watch keeps the timeline and tells progress until done.
func (r *Rehearsal) watch(ctx context.Context, done <-chan struct{}, progress func(Snapshot)) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var botCalls int64
	for last := false; !last; {
		select {
		case <-done:
			last = true
		case <-ctx.Done():
			last = true
		case <-ticker.C:
		}
		r.askHeld(ctx)
		s := r.Snapshot()
		botCalls = r.rec.tick(s, botCalls)
		if progress != nil {
			progress(s)
		}
	}
}

// askHeld asks core how many holds are active; a core that does not answer soon is not waited for.
func (r *Rehearsal) askHeld(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var s Stats
	if err := r.admin.Get(ctx, "/admin/v1/stats?event="+r.plan.Event, &s); err != nil {
		return // the last figure stands
	}
	r.held.Store(s.HoldsActive)
}

// Snapshot is where the rehearsal stands.
func (r *Rehearsal) Snapshot() Snapshot {
	phase := ""
	state := r.states.latest()
	if state != nil {
		phase = string(state.Phase)
	}
	s := r.rec.snapshot(time.Now(), phase, r.held.Load())
	if state != nil {
		s.Called, s.Pace = int64(state.CalledCount), state.PacePerSecond
	}
	return s
}

// sleep waits d; false when ctx ended first.
func (r *Rehearsal) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sleepUntil waits for an instant; false when ctx ended first.
func (r *Rehearsal) sleepUntil(ctx context.Context, at time.Time) bool {
	return r.sleep(ctx, time.Until(at))
}
