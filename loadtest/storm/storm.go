package storm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory/history"
	"fairgate/edge/lottery"
	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// Options say how much of a storm.
type Options struct {
	Programs string        // folder with fairgate-core
	History  string        // folder for the histories; made if it is not there
	Ops      int64         // operations of the clients, at least; the storm ends with them
	Seed     uint64        // of everything that is drawn
	Clients  int           // default 24
	AtMost   time.Duration // longest duration; default 15 min
	KillCore time.Duration // between two SIGKILLs of a core; default 4 s
	CrashDB  time.Duration // between two crashes of the database; default 15 s
	Trouble  float64       // share of COMMITs that go wrong; default 0.03
	Log      *slog.Logger  // of the parts; default none
	Progress func(Report)  // called about once a second, if not nil
}

// Report is what a storm did.
type Report struct {
	Seconds       float64          `json:"seconds"`
	Operations    int64            `json:"operations"`
	Outcomes      map[string]int64 `json:"outcomes"` // of the clients' operations
	Commits       int64            `json:"commits"`  // COMMITs that the cores sent, of all kinds
	CoreKills     int64            `json:"core_kills"`
	DatabaseStops int64            `json:"database_stops"`
	BackendKills  int64            `json:"backend_kills"`
	Troubles      map[string]int64 `json:"troubles"`
	Histories     []string         `json:"histories"`
}

// Calm lists the kinds of faults that did not occur even once.
func (r Report) Calm() []string {
	var none []string
	for name, n := range map[string]int64{"core kills": r.CoreKills, "database stops": r.DatabaseStops, "backend kills": r.BackendKills} {
		if n == 0 {
			none = append(none, name)
		}
	}
	for t := stage.NoTrouble + 1; t < stage.Troubles; t++ {
		if r.Troubles[t.String()] == 0 {
			none = append(none, t.String())
		}
	}
	return none
}

// run is a storm at work.
type run struct {
	Options
	theatre  *theatre
	clients  *history.Recorder
	secret   string
	capacity map[string]int64
	began    time.Time

	tally                     tally
	coreKills, dbStops, kills atomic.Int64
}

var outcomeNames = [4]history.Outcome{history.OK, history.Refused, history.Undone, history.Unknown}

// Run plays a storm. The histories in Options.History are complete when it returns.
func Run(ctx context.Context, o Options) (_ Report, err error) {
	o = o.withDefaults()
	if err := clear(o.History); err != nil {
		return Report{}, err
	}
	r := &run{Options: o}
	if r.theatre, err = newTheatre(ctx, o.Programs, o.History, o.Seed, o.Log); err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.theatre.strike()) }()
	if err := r.theatre.set(ctx); err != nil {
		return Report{}, err
	}
	if r.clients, err = history.Open(history.Config{Path: filepath.Join(o.History, "clients.jsonl"), Side: history.Client, Log: o.Log}); err != nil {
		return Report{}, err
	}
	err = r.rage(ctx)
	return r.report(), errors.Join(err, r.clients.Close())
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&o.AtMost, 15*time.Minute)
	def(&o.KillCore, 4*time.Second)
	def(&o.CrashDB, 15*time.Second)
	if o.Clients <= 0 {
		o.Clients = 24
	}
	if o.Trouble <= 0 {
		o.Trouble = 0.03
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// clear makes the folder and removes what an earlier storm left in it.
func clear(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the histories: %w", err)
	}
	for _, pattern := range []string{"core*.jsonl", "core*.log", "clients.jsonl"} {
		old, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("look for old histories: %w", err)
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove an old history: %w", err)
			}
		}
	}
	return nil
}

// rage has clients and faults go on side by side, then calms down, settles what is open and reads the stock.
func (r *run) rage(ctx context.Context) error {
	secret, err := os.ReadFile(r.theatre.file("secrets/edge.secret"))
	if err != nil {
		return fmt.Errorf("read the edges' secret: %w", err)
	}
	r.secret = strings.TrimSpace(string(secret))
	all, err := r.makeClients(ctx)
	if err != nil {
		return err
	}
	r.began = time.Now()
	storm, calm := context.WithTimeout(ctx, r.AtMost)
	defer calm()
	faults, stopFaults := context.WithCancel(storm)
	defer stopFaults()
	var faulty sync.WaitGroup
	problems := make(chan error, 2)
	r.theatre.database.Proxy.Trouble(r.Trouble)
	faulty.Go(func() { problems <- r.killCores(faults) })
	faulty.Go(func() { problems <- r.crashDatabase(faults) })
	faulty.Go(func() { r.tell(faults) })
	var living sync.WaitGroup
	for _, c := range all {
		living.Go(func() { c.live(storm) })
	}
	living.Wait()
	stopFaults()
	faulty.Wait()
	r.theatre.database.Proxy.Trouble(0)
	if err := errors.Join(<-problems, <-problems); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	settled, enough := context.WithTimeout(ctx, stage.ReadyWithin)
	defer enough()
	for _, c := range all {
		living.Go(func() { c.settle(settled) })
	}
	living.Wait()
	if settled.Err() != nil {
		return errors.New("core did not answer what was left open within a minute of calm")
	}
	return r.last(ctx)
}

func (r *run) makeClients(ctx context.Context) ([]*client, error) {
	conn, err := pgx.Connect(ctx, r.theatre.database.DirectURL())
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(ctx)
	mint, err := loadtest.NewMint(ctx, conn)
	if err != nil {
		return nil, err
	}
	rows, err := readStock(ctx, conn)
	if err != nil {
		return nil, err
	}
	r.capacity = make(map[string]int64)
	for _, row := range rows {
		r.capacity[row.Tier] += row.Capacity
	}
	transport := &http.Transport{MaxIdleConnsPerHost: r.Clients, MaxConnsPerHost: 2 * r.Clients}
	all := make([]*client, r.Clients)
	for i := range all {
		c := &client{run: r, rng: rand.New(rand.NewPCG(r.Seed, uint64(i))), core: i % cores, name: fmt.Sprintf("c%d", i),
			http: &http.Client{Transport: transport}}
		for n := range shoppersEach {
			who, err := newShopper(mint, uint64(i*shoppersEach+n+1))
			if err != nil {
				return nil, err
			}
			c.who = append(c.who, who)
		}
		all[i] = c
	}
	return all, nil
}

// killCores kills one core after the other, and starts each again soon.
func (r *run) killCores(ctx context.Context) error {
	for n := 0; stage.Sleep(ctx, r.KillCore); n++ {
		c := r.theatre.cores[n%cores]
		if c.Running() {
			c.Signal(syscall.SIGKILL, time.Second)
			r.coreKills.Add(1)
		}
		stage.Sleep(ctx, 300*time.Millisecond)
		if err := c.Start(); err != nil {
			return err
		}
		// One that started while the database was away may have given up.
		if other := r.theatre.cores[(n+1)%cores]; !other.Running() {
			if err := other.Start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// ready has all cores run. One that starts while the database recovers may give up, and is started once more.
func (r *run) ready(ctx context.Context) error {
	var last error
	for range 5 {
		if err := r.restart(); err != nil {
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

// restart starts cores that have ended by themselves, as one that starts while the database is down does.
func (r *run) restart() error {
	for _, c := range r.theatre.cores {
		if !c.Running() {
			if err := c.Start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// crashDatabase crashes the database, in turn one of its processes and the whole.
func (r *run) crashDatabase(ctx context.Context) error {
	for n := 0; stage.Sleep(ctx, r.CrashDB); n++ {
		if n%2 == 0 {
			if err := r.theatre.database.CrashBackend(); err != nil {
				return fmt.Errorf("kill a process of the database: %w", err)
			}
			r.kills.Add(1)
			continue
		}
		// Not with the storm's context: what was stopped must be started.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stage.ReadyWithin)
		err := r.theatre.database.Crash(bounded)
		cancel()
		if err != nil {
			return err
		}
		r.dbStops.Add(1)
	}
	return nil
}

func (r *run) tell(ctx context.Context) {
	for r.Progress != nil && stage.Sleep(ctx, time.Second) {
		r.Progress(r.report())
	}
}

// more tells whether the storm goes on: until the operations are done and everything that can go wrong has at least once.
func (r *run) more() bool { return r.tally.ops.Load() < r.Ops || len(r.report().Calm()) > 0 }

func (r *run) note(told []history.Op) {
	r.tally.ops.Add(int64(len(told)))
	for i := range told {
		for n, name := range outcomeNames {
			if told[i].Outcome == name {
				r.tally.outcomes[n].Add(1)
			}
		}
	}
}

func (r *run) report() Report {
	rep := Report{
		Operations: r.tally.ops.Load(), Outcomes: make(map[string]int64), Commits: r.theatre.database.Proxy.Commits(),
		CoreKills: r.coreKills.Load(), DatabaseStops: r.dbStops.Load(), BackendKills: r.kills.Load(), Troubles: make(map[string]int64),
	}
	if !r.began.IsZero() {
		rep.Seconds = time.Since(r.began).Seconds()
	}
	for n, name := range outcomeNames {
		rep.Outcomes[string(name)] = r.tally.outcomes[n].Load()
	}
	for t := stage.NoTrouble + 1; t < stage.Troubles; t++ {
		rep.Troubles[t.String()] = r.theatre.database.Proxy.Did(t)
	}
	rep.Histories, _ = filepath.Glob(filepath.Join(r.History, "*.jsonl")) // the pattern is well formed
	return rep
}

const sqlStock = `SELECT event_id, tier, allocation, version, taken, capacity FROM stock ORDER BY tier, allocation`

func readStock(ctx context.Context, conn *pgx.Conn) ([]history.Row, error) {
	rows, err := conn.Query(ctx, sqlStock)
	if err != nil {
		return nil, fmt.Errorf("read the stock: %w", err)
	}
	stock, err := pgx.CollectRows(rows, pgx.RowToStructByPos[history.Row])
	if err != nil {
		return nil, fmt.Errorf("read the stock: %w", err)
	}
	return stock, nil
}

// last waits until every hold has expired and notes what the stock rows hold then.
func (r *run) last(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.theatre.database.DirectURL())
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(ctx)
	event := lottery.EventID(slug)
	for until := time.Now().Add(stage.ReadyWithin); ; {
		call := history.Call{From: history.Now()}
		stock, err := readStock(ctx, conn)
		if err != nil {
			return err
		}
		left := int64(0)
		for i := range stock {
			left += stock[i].Taken
			call.Ops = append(call.Ops, history.Op{Do: history.Count, Event: event, Outcome: history.OK, Row: &stock[i]})
		}
		if left == 0 || time.Now().After(until) {
			r.clients.Answered(call)
			if left > 0 {
				return fmt.Errorf("%d units are still taken a minute after the last hold", left)
			}
			return nil
		}
		if !stage.Sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
}
