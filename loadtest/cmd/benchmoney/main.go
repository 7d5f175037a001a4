// Command benchmoney measures completed purchases a second as buyers make them: hold, order, pay, the provider's form, ticket.
// A database, a core, an edge, the providers' stand-in (paysim, healthy) and the load share this machine, each a process of
// its own; buyers speak to the edge and to paysim, and core's captures and webhooks go over HTTP as well. A purchase counts
// when its buyer sees the tickets, and its time runs from the hold to that moment, polls included. Afterwards the tables,
// the ledger, paysim's books and the audit trail are compared with what was answered. The last line is one JSON object.
//
//	make bench-money
//	bin/benchmoney
//	bin/benchmoney --seconds 20 --buyers 500 --profile .
//	DATABASE_URL=postgres://… bin/benchmoney
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"fairgate/core/db"
)

// options are the command's flags.
type options struct {
	bin     string
	seconds time.Duration
	warmUp  time.Duration
	buyers  int
	tickets int
	profile string
	log     *slog.Logger
}

func main() {
	o := options{log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	seconds := flag.Int("seconds", 15, "how long purchases are counted, after the warm-up")
	warmUp := flag.Int("warm-up", 5, "seconds before that")
	flag.IntVar(&o.buyers, "buyers", 800, "buyers at a time; each that has bought makes way for another")
	flag.IntVar(&o.tickets, "tickets", 1, "tickets of each purchase")
	flag.StringVar(&o.bin, "bin", filepath.Dir(os.Args[0]), "folder of the programs")
	flag.StringVar(&o.profile, "profile", "", "`folder` for CPU profiles of the programs and the load")
	flag.Parse()
	o.seconds, o.warmUp = time.Duration(*seconds)*time.Second, time.Duration(*warmUp)*time.Second
	if dir, err := filepath.Abs(o.bin); err == nil {
		o.bin = dir // a bare name would be looked for on PATH
	}
	if min(*seconds, o.buyers, o.tickets) < 1 || *warmUp < 0 {
		fmt.Fprintln(os.Stderr, "benchmoney: every number must be at least 1")
		os.Exit(2)
	}
	debug.SetGCPercent(400) // the load shares the processors with what is measured
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchmoney:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	w, err := newWorld(ctx, o)
	defer w.close(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	fmt.Println(w.db.Version)
	if w.db.Engine == db.PostgreSQL {
		for _, setting := range []string{"fsync", "synchronous_commit"} {
			var value string
			if err := w.db.Pool.QueryRow(ctx, "SHOW "+setting).Scan(&value); err != nil {
				return fmt.Errorf("ask for %s: %w", setting, err)
			}
			fmt.Printf("%s = %s\n", setting, value)
		}
	}
	fmt.Printf("%d buyers at a time, %d tickets each, through edge, core and paysim over HTTP\n\n", o.buyers, o.tickets)
	got, err := w.purchases(ctx, o)
	if err != nil {
		w.lastWords(os.Stderr)
		return err
	}
	rate := math.Round(float64(got.completed)/o.seconds.Seconds()*10) / 10
	ms := func(q float64) float64 { return math.Round(float64(got.latency.ValueAtQuantile(q))/10) / 100 }
	fmt.Printf("%-22s %10s %10s %10s %10s\n", "", "a second", "p50 ms", "p99 ms", "p99.9 ms")
	fmt.Printf("%-22s %10.1f %10.1f %10.1f %10.1f\n", "purchases", rate, ms(50), ms(99), ms(99.9))
	if len(got.failures) > 0 {
		fmt.Printf("purchases that came to nothing: %v\n", got.failures)
	}
	total := got.printUsed()
	got.counts.print(os.Stdout, float64(max(got.completed, 1)), o.seconds.Seconds())
	checked, err := w.check(ctx, o, got)
	if err != nil {
		return fmt.Errorf("the books are wrong: %w", err)
	}
	fmt.Println("\n" + checked)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"purchases_per_second": rate, "purchase_p50_ms": ms(50), "purchase_p99_ms": ms(99), "purchase_cpu_us": math.Round(total),
	})
}

// printUsed prints what a purchase costs each part in processor time, and returns the sum in µs.
func (got *outcome) printUsed() float64 {
	each := 1e6 / float64(max(got.completed, 1))
	var all seconds
	fmt.Printf("\n%-22s %10s %10s %10s\n", "µs of a purchase", "user", "system", "both")
	row := func(part string, s seconds) {
		fmt.Printf("%-22s %10.0f %10.0f %10.0f\n", part, s.user*each, s.system*each, (s.user+s.system)*each)
	}
	for _, part := range parts {
		all = all.plus(got.used[part])
		row(part, got.used[part])
	}
	row("all", all)
	return (all.user + all.system) * each
}
