// Command benchledger measures the ledger through the package's public API, on a real database: transfers a second in batches
// on two hot accounts and spread over many organizers, whole sales from pending to posted, one transfer a transaction, and the
// recomputed trial balance over many transfers.
//
//	make bench-ledger
//	go run ./ledger/cmd/benchledger
//	go run ./ledger/cmd/benchledger --only hot,spread --seconds 10 --batch 2000
//	go run ./ledger/cmd/benchledger --only trial --transfers 10000000
//	DATABASE_URL=postgres://… go run ./ledger/cmd/benchledger
//
// Without DATABASE_URL it starts a private database in a temporary folder. Afterwards the trial balance must be zero and hold as
// many transfers as were recorded. CPU time is that of the whole process and, for a private database on Linux, of its processes;
// it says more than the rate on a machine that does other things. The last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/core/db/benchdb"
	"fairgate/ledger"
)

// options are the command's flags.
type options struct {
	only       string
	seconds    time.Duration
	batch      int
	lanes      int
	clients    int
	organizers int
	transfers  int64
	profile    string
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "what to measure, with commas between; all of it: hot,spread,sales,single,trial")
	seconds := flag.Int("seconds", 5, "how long each rate is measured, after a second to warm up")
	flag.IntVar(&o.batch, "batch", 2000, "transfers in one transaction")
	flag.IntVar(&o.lanes, "lanes", 1, "writers that record batches at the same time")
	flag.IntVar(&o.clients, "clients", 4, "clients that record one transfer a transaction, between accounts of their own")
	flag.IntVar(&o.organizers, "organizers", 10_000, "organizers of the spread")
	flag.Int64Var(&o.transfers, "transfers", 10_000_000, "transfers under the trial balance; fewer than were recorded by then adds none")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of this process here")
	flag.Parse()
	o.seconds = time.Duration(*seconds) * time.Second
	var err error
	if min(*seconds, o.batch, o.lanes, o.clients, o.organizers, int(o.transfers)) < 1 {
		err = fmt.Errorf("every number must be at least 1")
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !slices.ContainsFunc(ways, func(w way) bool { return w.name == name }) && name != "trial" {
			err = fmt.Errorf("--only: there is no %q; there are hot, spread, sales, single and trial", name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchledger:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchledger:", err)
		os.Exit(1)
	}
}

func (o options) wants(name string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), name)
}

func run(ctx context.Context, o options) error {
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	d, done, err := benchdb.Open(ctx, os.Stdout, db.Options{MaxConns: o.clients + o.lanes + 4})
	if err != nil {
		return err
	}
	defer done()
	fmt.Printf("\n%-8s %12s %12s %10s %10s %14s %14s\n", "way", "transfers/s", "batch", "p50 ms", "p99 ms", "µs CPU client", "µs CPU server")
	line := map[string]any{}
	var recorded int64
	for _, w := range ways {
		if !o.wants(w.name) {
			continue
		}
		f, err := measure(ctx, d, o, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		f.print(w.name)
		recorded += f.all
		line["transfers_"+w.key+"_per_second"] = f.perSecond()
		line["transfers_"+w.key+"_cpu_us"] = f.cpuMicros()
	}
	if o.wants("trial") {
		if recorded, err = fill(ctx, d, o, recorded); err != nil {
			return err
		}
		began := time.Now()
		books, err := ledger.Recompute(ctx, d.Reader)
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		if books.Transfers != recorded || !books.Zero() {
			return fmt.Errorf("the trial balance is off: %d transfers, want %d: %+v", books.Transfers, recorded, books.Currencies)
		}
		fmt.Printf("\ntrial balance recomputed over %d transfers: %.2f s\n", books.Transfers, took)
		line["trial_balance_transfers"] = books.Transfers
		name := "trial_balance_s"
		if books.Transfers >= 10_000_000 {
			name = "trial_balance_10m_s"
		}
		line[name] = took
	}
	fmt.Println()
	return json.NewEncoder(os.Stdout).Encode(line)
}
