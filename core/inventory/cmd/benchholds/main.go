// Command benchholds measures how many holds a second one hot tier can take, in one process without HTTP: with the ways in
// which a shop is usually written, and with group commit, which is how the service does it. All of them do the same
// durable work: find a hold under the same id, count the buyer's units against the limit, take the stock, insert the hold
// and note its expiry. Then seats of a large map, and the refusals once a tier is sold out.
//
//	go run ./core/inventory/cmd/benchholds
//	go run ./core/inventory/cmd/benchholds --only group_commit,seats --seconds 10
//	DATABASE_URL=postgres://… go run ./core/inventory/cmd/benchholds
//
// Without DATABASE_URL it starts a private database in a temporary folder. After each way the tables are compared with
// what was answered. The last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/core/db/benchdb"
)

// options are the command's flags.
type options struct {
	only    string
	seconds time.Duration
	clients int // of the naive ways
	callers int // of group commit
	batch   int
	events  int
	seats   int
	many    int
}

// way is one way to sell.
type way struct {
	name, title string
	measure     func(context.Context, *db.DB, options) (figures, error)
}

var ways = []way{
	{"naive", "one transaction per buyer, guarded UPDATE, SERIALIZABLE", measureNaive},
	{"guarded_read_committed", "one transaction per buyer, guarded UPDATE, READ COMMITTED", measureGuarded},
	{"for_update", "one transaction per buyer, SELECT … FOR UPDATE, READ COMMITTED", measureForUpdate},
	{"skip_locked", "one row per ticket, FOR UPDATE SKIP LOCKED, READ COMMITTED", measureSkipLocked},
	{"group_commit", "group commit", measureGroup},
	{"seats", "group commit of pairs of seats", measureSeats},
	{"sold_out", "refusals once sold out", measureSoldOut},
	{"events_10k", "as many events as --many that sell one hold a second each", measureEvents},
	{"quiet_beside_hot", "1,000 events that sell one hold a second each, beside one that all callers storm", measureQuiet},
}

func main() {
	var o options
	names := make([]string, len(ways))
	for i, w := range ways {
		names[i] = w.name
	}
	flag.StringVar(&o.only, "only", "", "ways to measure, with commas between; all of them: "+strings.Join(names, ","))
	seconds := flag.Int("seconds", 5, "how long each way is measured, after a second to warm up")
	flag.IntVar(&o.clients, "clients", 16, "clients of the ways without group commit, each with a connection")
	flag.IntVar(&o.callers, "callers", 512, "concurrent callers of group commit")
	flag.IntVar(&o.batch, "batch", 500, "most holds in one commit")
	flag.IntVar(&o.events, "events", 1, "hot tiers for group commit, each in a lane of its own")
	flag.IntVar(&o.seats, "seats", 80_000, "seats of a map; there are as many maps as the measurement sells")
	flag.IntVar(&o.many, "many", 10_000, "events of events_10k")
	flag.Parse()
	o.seconds = time.Duration(*seconds) * time.Second
	chosen, err := choose(o.only, names)
	if err == nil && min(*seconds, o.clients, o.callers, o.batch, o.events, o.many) < 1 || o.seats < 100 {
		err = fmt.Errorf("every number must be at least 1, and --seats at least 100")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchholds:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "benchholds:", err)
		os.Exit(1)
	}
}

// choose finds the ways asked for.
func choose(only string, names []string) ([]way, error) {
	if only == "" {
		return ways, nil
	}
	var chosen []way
	for name := range strings.SplitSeq(only, ",") {
		n := slices.Index(names, name)
		if n < 0 {
			return nil, fmt.Errorf("--only: there is no %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, ways[n])
	}
	return chosen, nil
}

func run(ctx context.Context, o options, chosen []way) error {
	d, done, err := benchdb.Open(ctx, os.Stdout, db.Options{MaxConns: o.clients + 4, MinConns: o.clients})
	if err != nil {
		return err
	}
	defer done()
	fmt.Printf("\n%-24s %12s %10s %10s %10s %12s %10s\n", "way", "per second", "p50 ms", "p99 ms", "p99.9 ms", "per commit", "attempts")
	all := make(map[string]any)
	rate := make(map[string]float64)
	for _, w := range chosen {
		fmt.Fprintf(os.Stderr, "%s: %s, %s …\n", w.name, w.title, o.seconds)
		f, err := w.measure(ctx, d, o)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		f.print(w.name)
		all[w.name], rate[w.name] = f.line(), f.perSecond()
	}
	fmt.Println()
	for _, rival := range []string{"naive", "guarded_read_committed", "for_update", "skip_locked"} {
		if rate["group_commit"] > 0 && rate[rival] > 0 {
			ratio := math.Round(10*rate["group_commit"]/rate[rival]) / 10
			fmt.Printf("group_commit / %s = %.1f\n", rival, ratio)
			all["group_commit_to_"+rival] = ratio
		}
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}
