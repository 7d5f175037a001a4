package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// Options say how much of a soak. The zero value of all but Programs and Logs is replaced by its default.
type Options struct {
	Programs  string         // folder with fairgate-core and paysim
	Logs      string         // folder for the logs of both; made if it is not there
	Orders    int            // how many buyers order; default 3,000
	Seed      uint64         // of everything that is drawn
	Misbehave float64        // probability of each of the provider's misbehaviours; default 0.1; negative: none
	Buyers    int            // at once; default 48
	KillCore  time.Duration  // between two SIGKILLs of a core; default 5 s
	Restarts  int            // of the database, spread over the soak; default 2
	Trouble   float64        // share of COMMITs that go wrong; default 0.005
	Hold      time.Duration  // that a hold lives, and again when it is kept for a payment; default 12 s
	Patience  time.Duration  // for everything to come to rest at the end; default 4 min
	Sabotage  string         // a safeguard that is switched off, in a core built with the tag sabotage: payment.Safeguard
	Progress  func(Progress) // called about once a second, if not nil
}

// Progress is where a soak stands.
type Progress struct {
	Seconds       float64
	Orders, Done  int64
	CoreKills     int64
	DatabaseStops int64
}

// Report is what a soak did and what the audit says of it.
type Report struct {
	Seed          uint64             `json:"seed"`
	Orders        int                `json:"orders"`
	Seconds       float64            `json:"seconds"`
	Outcomes      map[string]int64   `json:"outcomes"` // how the buyers' orders ended, as the buyers saw it
	Operations    map[string]int64   `json:"operations"`
	Causes        map[string]int64   `json:"causes"` // of the steps of orders
	CoreKills     int64              `json:"core_kills"`
	DatabaseStops int64              `json:"database_stops"`
	Troubles      map[string]int64   `json:"troubles"` // of COMMITs
	Provider      map[string]int64   `json:"provider"` // its misbehaviours
	Complaints    map[string]int     `json:"complaints"`
	Verdicts      []loadtest.Verdict `json:"verdicts"`
	Passed        bool               `json:"passed"`
}

// run is a soak at work.
type run struct {
	Options
	theatre     *theatre
	plan        plan
	mint        *loadtest.Mint
	secret      string // of edges
	adminSecret string
	began       time.Time

	done      atomic.Int64
	kills     atomic.Int64
	stops     atomic.Int64
	outcomes  tally
	operation tally
}

// tally counts by name. It is safe for concurrent use.
type tally struct {
	mu sync.Mutex
	n  map[string]int64
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = make(map[string]int64)
	}
	t.n[name]++
}

func (t *tally) all() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]int64, len(t.n))
	for name, n := range t.n {
		all[name] = n
	}
	return all
}

func (o Options) withDefaults() Options {
	number := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	number(&o.Orders, 3000)
	number(&o.Buyers, 48)
	if o.Restarts == 0 {
		o.Restarts = 2
	}
	if o.KillCore <= 0 {
		o.KillCore = 5 * time.Second
	}
	if o.Hold <= 0 {
		o.Hold = 12 * time.Second
	}
	if o.Misbehave == 0 {
		o.Misbehave = 0.1
	}
	if o.Trouble == 0 {
		o.Trouble = 0.005
	}
	if o.Patience <= 0 {
		o.Patience = max(4*time.Minute, time.Duration(o.Orders)*30*time.Millisecond)
	}
	return o
}

// Run plays a soak and audits it. An error means that it could not be played or audited; what the audit found wrong is in
// the report.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	o = o.withDefaults()
	r := &run{Options: o, plan: newPlan(o)}
	if r.theatre, err = newTheatre(ctx, o); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.theatre.strike()) }()
	if err := r.theatre.set(ctx, r.plan.events()); err != nil {
		return Report{}, err
	}
	r.began = time.Now()
	if err := r.play(ctx); err != nil {
		return Report{}, err
	}
	report := Report{Seed: o.Seed, Orders: o.Orders, Outcomes: r.outcomes.all(), Operations: r.operation.all(), CoreKills: r.kills.Load(),
		DatabaseStops: r.stops.Load(), Troubles: map[string]int64{}}
	for t := stage.NoTrouble + 1; t < stage.Troubles; t++ {
		report.Troubles[t.String()] = r.theatre.database.Proxy.Did(t)
	}
	if report.Verdicts, err = r.audit(ctx, &report); err != nil {
		return Report{}, err
	}
	report.Complaints = r.theatre.complaints()
	report.Seconds = time.Since(r.began).Seconds()
	report.Passed = loadtest.Passed(report.Verdicts)
	return report, nil
}

// play has buyers, operators and faults go on side by side, then leaves everything in peace.
func (r *run) play(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return err
	}
	faults, stop := context.WithCancel(ctx)
	defer stop()
	problems := make(chan error, 2)
	r.theatre.database.Proxy.Trouble(max(r.Trouble, 0))
	var faulty sync.WaitGroup
	faulty.Go(func() { problems <- r.killCores(faults) })
	faulty.Go(func() { problems <- r.restartDatabase(faults) })
	faulty.Go(func() { r.tell(faults) })
	err := r.buy(ctx)
	if err == nil {
		err = r.aftermath(ctx)
	}
	stop()
	faulty.Wait()
	r.theatre.database.Proxy.Trouble(0)
	if err := errors.Join(err, <-problems, <-problems, ctx.Err()); err != nil {
		return err
	}
	return r.revive(ctx)
}

// prepare reads what the buyers need.
func (r *run) prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.theatre.database.DirectURL())
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(ctx)
	if r.mint, err = loadtest.NewMint(ctx, conn); err != nil {
		return err
	}
	if r.secret, err = readSecret(r.theatre.file("secrets/edge.secret")); err != nil {
		return err
	}
	r.adminSecret, err = readSecret(r.theatre.file("secrets/admin.secret"))
	return err
}

// buy sends the buyers, so many at once.
func (r *run) buy(ctx context.Context) error {
	next := make(chan int)
	var buyers sync.WaitGroup
	for range r.Buyers {
		buyers.Go(func() {
			for n := range next {
				r.outcomes.add(newBuyer(r, n).buy(ctx))
				r.done.Add(1)
			}
		})
	}
	for n := range r.Orders {
		select {
		case next <- n:
		case <-ctx.Done():
		}
	}
	close(next)
	buyers.Wait()
	return ctx.Err()
}

// killCores kills one core after the other, and starts each again soon.
func (r *run) killCores(ctx context.Context) error {
	for n := 0; stage.Sleep(ctx, r.KillCore); n++ {
		if c := r.theatre.cores[n%cores]; c.Running() {
			c.Signal(syscall.SIGKILL, time.Second)
			r.kills.Add(1)
		}
		stage.Sleep(ctx, 300*time.Millisecond)
		if err := r.start(); err != nil {
			return err
		}
	}
	return nil
}

// start starts cores that do not run: one that starts while the database is away gives up.
func (r *run) start() error {
	for _, c := range r.theatre.cores {
		if !c.Running() {
			if err := c.Start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// revive has all cores run.
func (r *run) revive(ctx context.Context) error {
	var last error
	for range 5 {
		if err := r.start(); err != nil {
			return err
		}
		last = nil
		for _, c := range r.theatre.cores {
			last = errors.Join(last, c.Await(ctx))
		}
		if last == nil {
			return nil
		}
	}
	return last
}

// restartDatabase stops the database at once, as often as was asked for, when so many orders are done.
func (r *run) restartDatabase(ctx context.Context) error {
	for n := 1; n <= r.Restarts; {
		if !stage.Sleep(ctx, 100*time.Millisecond) {
			return nil
		}
		if r.done.Load() < int64(r.Orders*n/(r.Restarts+1)) {
			continue
		}
		// Not with the soak's context: what was stopped must be started.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stage.ReadyWithin)
		err := r.theatre.database.Crash(bounded)
		cancel()
		if err != nil {
			return err
		}
		r.stops.Add(1)
		n++
	}
	return nil
}

func (r *run) tell(ctx context.Context) {
	for r.Progress != nil && stage.Sleep(ctx, time.Second) {
		r.Progress(Progress{Seconds: time.Since(r.began).Seconds(), Orders: int64(r.Orders), Done: r.done.Load(),
			CoreKills: r.kills.Load(), DatabaseStops: r.stops.Load()})
	}
}
