// Command benchcatalog measures the search of the catalog: it fills a private database with made-up events through the admin API, as
// `ticketctl catalog generate` does, and then searches over HTTP, at core and through an edge, at several numbers of clients, and beside
// that the same searches as SQL on the table, which is how a small shop would do it.
//
//	go run ./ctl/cmd/benchcatalog --help
//
// Without DATABASE_URL it starts a private database in a temporary folder. The last line is one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/ctl"
)

const usage = `benchcatalog: how fast is the search of the catalog?

Usage:
  benchcatalog [flags]

Examples:
  benchcatalog
  benchcatalog --events 20000 --seconds 3 --clients 1,64
  DATABASE_URL=postgres://… benchcatalog      an empty database that it may fill

It prints a table and, last, one JSON line. Everything runs on this machine, the load too.

Flags:
`

// options are the command's flags.
type options struct {
	events  int
	seconds time.Duration
	clients []int
	seed    uint64
	profile string
}

func main() {
	var o options
	flag.IntVar(&o.events, "events", 100_000, "events in the catalog")
	seconds := flag.Float64("seconds", 5, "how long each row is measured, after a fifth of it to warm up")
	clients := flag.String("clients", "1,16,64,256", "numbers of clients, each asking again as soon as it has its answer")
	flag.Uint64Var(&o.seed, "seed", 1, "of events and searches")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the searches to this `file`")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	o.seconds = time.Duration(*seconds * float64(time.Second))
	for text := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 10_000 {
			fmt.Fprintf(os.Stderr, "benchcatalog: --clients: %q is no number from 1 to 10000\n", text)
			os.Exit(2)
		}
		o.clients = append(o.clients, n)
	}
	if o.events < 100 || o.seconds < 100*time.Millisecond || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "benchcatalog: at least 100 events and 0.1 seconds are needed, and no arguments; see --help")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "benchcatalog:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := db.Start(ctx, db.ServerConfig{URL: os.Getenv("DATABASE_URL"), Log: log})
	if err != nil {
		return err
	}
	defer server.Stop(context.WithoutCancel(ctx))
	d, err := db.Open(ctx, server.URL, db.Options{MaxConns: 24, MinConns: 8})
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Migrate(ctx); err != nil {
		return err
	}
	fmt.Println(d.Version)
	fmt.Printf("%s, %d CPUs; database, core, edge and load are all on this machine\n", runtime.GOOS, runtime.NumCPU())

	st, err := newStage(ctx, d, log)
	if err != nil {
		return err
	}
	defer st.close()
	filled, err := fill(ctx, st, o)
	if err != nil {
		return err
	}
	fmt.Printf("%d events generated through the admin API in %.1f s (%.0f a second)\n", filled.Events, filled.Seconds, float64(filled.Events)/filled.Seconds)
	loaded, err := st.load(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("index of %d events loaded in %.2f s; it takes %.1f MB of memory (%.0f bytes an event), the process %.0f MB\n",
		loaded.events, loaded.took.Seconds(), loaded.mb, loaded.mb*1e6/float64(loaded.events), residentMB())

	mix, err := newMix(st, o.seed)
	if err != nil {
		return err
	}
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
	fmt.Printf("\n%-34s %8s %10s %9s %9s %9s\n", "", "clients", "searches/s", "p50 ms", "p99 ms", "p99.9 ms")
	result := map[string]any{"events": loaded.events, "memory_mb": tenth(loaded.mb), "generate_seconds": tenth(filled.Seconds), "load_seconds": hundredth(loaded.took.Seconds())}
	for _, way := range []struct {
		name, key string
		ask       func(int) (asker, error)
		next      func(*pen) string
	}{
		{"core, everybody another search", "core", st.coreClient, mix.fresh},
		{"edge, everybody another search", "edge", st.edgeClient, mix.fresh},
		{"edge, 500 searches are popular", "edge_popular", st.edgeClient, mix.popular},
	} {
		figures := map[string]any{}
		for _, clients := range o.clients {
			f, err := measure(ctx, clients, o, way.ask, way.next)
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			f.print(way.name, clients)
			figures[strconv.Itoa(clients)] = f.json()
			if way.key == "core" && (clients == 16 || len(o.clients) == 1) {
				result["catalog_search_per_second"], result["p50_ms"], result["p99_ms"] = int(f.perSecond()), f.ms(50), f.ms(99)
			}
		}
		result[way.key] = figures
	}
	if err := mix.byKind(ctx, st, o); err != nil {
		return err
	}
	naive, err := measureNaive(ctx, d, mix, o)
	if err != nil {
		return fmt.Errorf("SQL: %w", err)
	}
	naive.print("SQL on the table, without HTTP", naiveClients)
	result["naive"] = naive.json()
	if fast, ok := result["catalog_search_per_second"].(int); ok {
		ratio := float64(fast) / naive.perSecond()
		fmt.Printf("core answers %.0f times as many as SQL\n", ratio)
		result["ratio"] = tenth(ratio)
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// generated is what ticketctl says it did.
type generated struct {
	Events  int
	Seconds float64
}

// fill runs ticketctl as an operator does.
func fill(ctx context.Context, st *stage, o options) (g generated, err error) {
	var out strings.Builder
	env := ctl.Env{Stdout: &out, Stderr: io.Writer(os.Stderr)}
	code := ctl.Run(ctx, env, []string{"catalog", "generate", "--json", "--core", st.admin.URL, "--secret-file", st.secretFile,
		"--events", strconv.Itoa(o.events), "--seed", strconv.FormatUint(o.seed, 10)})
	if code != ctl.ExitOK {
		return g, fmt.Errorf("ticketctl catalog generate ended with %d", code)
	}
	return g, json.Unmarshal([]byte(out.String()), &g)
}

func tenth(v float64) float64     { return float64(int(v*10+0.5)) / 10 }
func hundredth(v float64) float64 { return float64(int(v*100+0.5)) / 100 }
