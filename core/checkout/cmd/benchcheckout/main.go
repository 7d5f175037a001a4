// Command benchcheckout measures how many orders a second can be opened on held holds, everything durable: the order, its
// payment attempt, its history, the outbox row that begins the payment, and the hold kept open. Many callers ask the
// service in process; no HTTP is involved. Afterwards the tables are checked, since a figure for lost orders is worth
// nothing. With --purchases the outbox runs as well, against a provider in memory whose buyers pay at once, and the clock
// stops when every order has its tickets. With --steps the callers make all the transactions of a purchase themselves, beside
// the naive way of one transaction for each step of each order.
//
//	go run ./core/checkout/cmd/benchcheckout
//	go run ./core/checkout/cmd/benchcheckout --orders 20000 --purchases
//	DATABASE_URL=postgres://… go run ./core/checkout/cmd/benchcheckout
//
// Without DATABASE_URL it starts a private database in a temporary folder. The last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"fairgate/core/db"
	"fairgate/core/db/benchdb"
)

// options are the command's flags.
type options struct {
	orders    int
	warmUp    int
	callers   int
	batch     int
	tickets   int
	purchases bool
	steps     bool
	profile   string
}

func main() {
	var o options
	flag.IntVar(&o.orders, "orders", 60_000, "orders to open in the time measured")
	flag.IntVar(&o.warmUp, "warm-up", 10_000, "orders opened before that")
	flag.IntVar(&o.callers, "callers", 1000, "concurrent callers, each opening one order after the other")
	flag.IntVar(&o.batch, "batch", 0, "most openings or outcomes in one commit; 0 for the service's default")
	flag.IntVar(&o.tickets, "tickets", 2, "tickets in each order")
	flag.BoolVar(&o.purchases, "purchases", false, "carry every order through payment to its tickets")
	flag.BoolVar(&o.steps, "steps", false, "make all transactions of purchases, together and the naive way")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the time measured to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchcheckout:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	d, done, err := benchdb.Open(ctx, os.Stdout, db.Options{})
	if err != nil {
		return err
	}
	defer done()
	if o.steps {
		return runSteps(ctx, d, o)
	}
	s := newShop(d, o)
	defer s.close()
	holds, err := s.prepare(ctx, o)
	if err != nil {
		return fmt.Errorf("prepare %d holds: %w", o.orders+o.warmUp, err)
	}
	got, err := s.measure(ctx, holds, o)
	if err != nil {
		return err
	}
	if err := s.check(ctx, o); err != nil {
		return fmt.Errorf("the tables are wrong: %w", err)
	}
	got.print(o)
	name := "checkout_open"
	if o.purchases {
		name = "checkout_purchase"
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{name: got.json()})
}

// figures are what was achieved.
type figures struct {
	orders          int
	took            time.Duration
	latency         *hdrhistogram.Histogram // microseconds
	own, database   time.Duration           // processor time
	databaseCounted bool
}

func (f figures) perSecond() float64 { return float64(f.orders) / f.took.Seconds() }

func (f figures) milliseconds(quantile float64) float64 {
	return float64(f.latency.ValueAtQuantile(quantile)/10) / 100
}

func (f figures) print(o options) {
	what := "openings"
	if o.purchases {
		what = "purchases"
	}
	fmt.Printf("%d %s of %d tickets, %d callers: %.0f/s, p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms\n", f.orders, what, o.tickets, o.callers,
		f.perSecond(), f.milliseconds(50), f.milliseconds(99), f.milliseconds(99.9))
	fmt.Printf("processor time per order: %.0f µs of this process", float64(f.own.Microseconds())/float64(f.orders))
	if f.databaseCounted {
		fmt.Printf(", %.0f µs of the database", float64(f.database.Microseconds())/float64(f.orders))
	}
	fmt.Println()
}

func (f figures) json() map[string]any {
	return map[string]any{"per_second": int(f.perSecond()), "p50_ms": f.milliseconds(50), "p99_ms": f.milliseconds(99), "p999_ms": f.milliseconds(99.9)}
}

// profiled writes a CPU profile of what happens until the function it returns is called.
func profiled(path string) (func(), error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}
