// Command benchholds measures how many holds a second one hot tier can take: with one transaction per buyer, as a shop is
// usually written, and with group commit, which is how the service does it. Both do the same durable work: find a hold
// under the same id, count the buyer's units against the limit, take the stock, insert the hold. No HTTP is involved.
//
//	go run ./core/inventory/cmd/benchholds
//	DATABASE_URL=postgres://… go run ./core/inventory/cmd/benchholds --seconds 10
//
// Without DATABASE_URL it starts a private database in a temporary folder. The last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"fairgate/core/db"
)

// options are the command's flags.
type options struct {
	seconds time.Duration
	clients int // of the naive way
	callers int // of group commit
	batch   int
	events  int
}

func main() {
	var o options
	seconds := flag.Int("seconds", 5, "how long each way is measured, after a second to warm up")
	flag.IntVar(&o.clients, "clients", 16, "clients of the naive way, each with a connection")
	flag.IntVar(&o.callers, "callers", 2000, "concurrent callers of group commit")
	flag.IntVar(&o.batch, "batch", 500, "most holds in one commit")
	flag.IntVar(&o.events, "events", 1, "hot tiers for group commit, each in a lane of its own")
	flag.Parse()
	o.seconds = time.Duration(*seconds) * time.Second
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchholds:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := db.Start(ctx, db.ServerConfig{URL: os.Getenv("DATABASE_URL"), Log: log})
	if err != nil {
		return err
	}
	defer server.Stop(context.WithoutCancel(ctx))
	d, err := db.Open(ctx, server.URL, db.Options{MaxConns: o.clients + 4, MinConns: o.clients})
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Migrate(ctx); err != nil {
		return err
	}
	fmt.Println(d.Version)
	if d.Engine == db.PostgreSQL {
		for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"} {
			var value string
			if err := d.Pool.QueryRow(ctx, "SHOW "+setting).Scan(&value); err != nil {
				return err
			}
			fmt.Printf("%s = %s\n", setting, value)
		}
	}

	naive, err := measureNaive(ctx, d, o)
	if err != nil {
		return fmt.Errorf("one transaction per buyer: %w", err)
	}
	naive.print(fmt.Sprintf("one transaction per buyer, %d clients", o.clients))
	group, err := measureGroup(ctx, d, o)
	if err != nil {
		return fmt.Errorf("group commit: %w", err)
	}
	group.print(fmt.Sprintf("group commit, %d callers, batches of at most %d", o.callers, o.batch))
	fmt.Printf("ratio %.1f\n", group.perSecond()/naive.perSecond())
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"holds_naive": int(naive.perSecond()), "holds_group_commit": int(group.perSecond()),
		"ratio": float64(int(10*group.perSecond()/naive.perSecond())) / 10,
	})
}

// figures are what one way achieved.
type figures struct {
	holds    int64 // answered in the time measured
	all      int64 // with those of the warm-up
	commits  int64
	attempts int64 // transactions begun, 0 when not counted
	took     time.Duration
	latency  *hdrhistogram.Histogram // microseconds
}

func (f figures) perSecond() float64 { return float64(f.holds) / f.took.Seconds() }

func (f figures) print(name string) {
	at := func(q float64) time.Duration { return time.Duration(f.latency.ValueAtQuantile(q)) * time.Microsecond }
	fmt.Printf("%s:\n  %.0f holds/s, p50 %s, p99 %s, %.1f holds per commit", name, f.perSecond(), at(50), at(99), float64(f.all)/float64(f.commits))
	if f.attempts > 0 {
		fmt.Printf(", %.1f attempts per hold", float64(f.attempts)/float64(f.all))
	}
	fmt.Println()
}
