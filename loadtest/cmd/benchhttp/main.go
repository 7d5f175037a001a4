// Command benchhttp measures holds over HTTP, as buyers make them: a database, a core, an edge and the load share this
// machine. Every request is another buyer's, with a session and an Idempotency-Key of its own. After each line the tables
// are compared with what was answered. The last line is one JSON object.
//
//	bin/benchhttp
//	bin/benchhttp --only http --seconds 10 --cpu
//	DATABASE_URL=postgres://… bin/benchhttp
//
// http: clients that each ask again as soon as they are answered. http_open: buyers who arrive at a fixed rate, whatever
// becomes of the others; their wait counts from the moment at which they should have been served. http_seats: one chosen
// seat each on an 80,000-seat map. http_sold_out: refusals when nothing is left.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

// options are the command's flags.
type options struct {
	only     string
	bin      string
	seconds  time.Duration
	conns    int
	rate     int
	lanes    int
	inFlight int
	ceiling  int
	cpu      bool
	profile  string
	log      *slog.Logger
}

const warmUp = time.Second

// line is one measurement.
type line struct {
	name    string
	measure func(*world, context.Context, options) (outcome, error)
}

var lines = []line{
	{"http", (*world).closed}, {"http_open_10k", (*world).open}, {"http_seats", (*world).seats}, {"http_sold_out", (*world).soldOut},
}

func main() {
	o := options{log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	var names []string
	for _, l := range lines {
		names = append(names, l.name)
	}
	seconds := flag.Int("seconds", 5, "how long each line is measured, after a second to warm up")
	flag.StringVar(&o.only, "only", "", "lines to measure, with commas between; all of them: "+strings.Join(names, ","))
	flag.StringVar(&o.bin, "bin", filepath.Dir(os.Args[0]), "folder of fairgate-core and fairgate-edge")
	flag.IntVar(&o.conns, "clients", 512, "clients of the closed loop")
	flag.IntVar(&o.rate, "rate", 10_000, "arrivals a second of the open model")
	flag.IntVar(&o.lanes, "lanes", 2, "lanes of core")
	flag.IntVar(&o.inFlight, "in-flight", 2, "hold batches an edge has under way")
	flag.IntVar(&o.ceiling, "ceiling", 60_000, "requests a second that are prepared for the closed loop, some 500 bytes each")
	flag.BoolVar(&o.cpu, "cpu", false, "print the processor time per answer of each part")
	flag.StringVar(&o.profile, "profile", "", "`folder` for CPU profiles of core and edge")
	flag.Parse()
	o.seconds = time.Duration(*seconds) * time.Second
	if dir, err := filepath.Abs(o.bin); err == nil {
		o.bin = dir // a bare name would be looked for on PATH
	}
	chosen := lines
	if o.only != "" {
		wanted := strings.Split(o.only, ",")
		chosen = nil
		for _, l := range lines {
			if slices.Contains(wanted, l.name) {
				chosen = append(chosen, l)
			}
		}
		if len(chosen) != len(wanted) {
			fmt.Fprintf(os.Stderr, "benchhttp: --only takes %s\n", strings.Join(names, ","))
			os.Exit(2)
		}
	}
	if min(*seconds, o.conns, o.rate, o.lanes, o.inFlight, o.ceiling) < 1 {
		fmt.Fprintln(os.Stderr, "benchhttp: every number must be at least 1")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, chosen); err != nil {
		fmt.Fprintln(os.Stderr, "benchhttp:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, chosen []line) error {
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
	fmt.Printf("\n%-16s %12s %10s %10s %10s\n", "line", "per second", "p50 ms", "p99 ms", "p99.9 ms")
	all := make(map[string]any)
	for _, l := range chosen {
		got, err := l.measure(w, ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		ms := func(q float64) float64 { return math.Round(float64(got.latency.ValueAtQuantile(q))/10) / 100 }
		rate := math.Round(float64(got.answered) / got.took.Seconds())
		fmt.Printf("%-16s %12.0f %10.2f %10.2f %10.2f", l.name, rate, ms(50), ms(99), ms(99.9))
		if len(got.others) > 0 {
			fmt.Printf("  also answered: %v", got.others)
		}
		fmt.Println()
		if o.cpu {
			for _, part := range []string{"load", "edge", "core", "database"} {
				fmt.Printf("%16s %10.1f µs each\n", part, w.used[part]*1e6/float64(max(got.all, 1)))
			}
		}
		all[l.name] = map[string]float64{"per_second": rate, "p50_ms": ms(50), "p99_ms": ms(99), "p999_ms": ms(99.9)}
	}
	fmt.Println()
	return json.NewEncoder(os.Stdout).Encode(all)
}

const eventText = `id: %s
name: Bench
organizer: bench
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
%slimits: {per_buyer: 4}
hold: {ttl: 10m}
`

// sell puts an event on sale.
func (w *world) sell(ctx context.Context, slug, tiers string) error {
	if err := w.admin.Apply(ctx, fmt.Appendf(nil, eventText, slug, tiers)); err != nil {
		return err
	}
	return w.admin.Schedule(ctx, slug, time.Now(), time.Now().Add(5*time.Minute))
}

// prepare makes one request for each of so many new buyers; items says what the n-th asks for.
func (w *world) prepare(slug string, count int, items func(n int) string) requests {
	r := requests{data: make([]byte, 0, count*520), ends: make([]int, 0, count)}
	now := time.Now()
	for n := range count {
		body := `{"event":"` + slug + `","items":[` + items(n) + `]}`
		r.data = append(r.data, "POST /v1/holds HTTP/1.1\r\nHost: "...)
		r.data = append(r.data, w.edge...)
		r.data = append(r.data, "\r\nContent-Type: application/json\r\nIdempotency-Key: key-"...)
		r.data = strconv.AppendInt(r.data, int64(n), 10)
		r.data = append(r.data, "\r\nCookie: "...)
		r.data = append(r.data, w.mint.Shopper(slug, uint64(n), now).Cookie...)
		r.data = append(r.data, "\r\nContent-Length: "...)
		r.data = strconv.AppendInt(r.data, int64(len(body)), 10)
		r.data = append(r.data, "\r\n\r\n"...)
		r.data = append(r.data, body...)
		r.ends = append(r.ends, len(r.data))
	}
	return r
}

func (w *world) load(o options, r requests) load {
	return load{addr: netip.MustParseAddrPort(w.edge), requests: r, conns: o.conns, warm: warmUp, length: o.seconds, want: 201}
}

const oneFloor = `{"tier":"floor","quantity":1}`

func general(int) string { return oneFloor }

func (w *world) drive(o options, name string, l load) (outcome, error) {
	if o.profile != "" {
		defer w.profile(name, o.profile, int(o.seconds/time.Second))()
	}
	before := w.spent()
	got, err := l.run()
	for part, seconds := range w.spent() {
		w.used[part] = seconds - before[part]
	}
	return got, err
}

func (w *world) closed(ctx context.Context, o options) (outcome, error) {
	if err := w.sell(ctx, "hot", "  - {id: floor, name: Floor, kind: general, price: \"30.00\", capacity: 1000000}\n"); err != nil {
		return outcome{}, err
	}
	l := w.load(o, w.prepare("hot", int((o.seconds+warmUp).Seconds())*o.ceiling, general))
	got, err := w.drive(o, "http", l)
	if err != nil {
		return got, err
	}
	return got, w.check(ctx, "hot", got)
}

func (w *world) open(ctx context.Context, o options) (outcome, error) {
	if err := w.sell(ctx, "steady", "  - {id: floor, name: Floor, kind: general, price: \"30.00\", capacity: 1000000}\n"); err != nil {
		return outcome{}, err
	}
	l := w.load(o, w.prepare("steady", int((o.seconds+warmUp).Seconds()*1.1)*o.rate, general))
	l.rate, l.conns = float64(o.rate), 256
	got, err := w.drive(o, "http_open", l)
	if err != nil {
		return got, err
	}
	return got, w.check(ctx, "steady", got)
}

// Seats of the map: 80 sections of 25 rows of 40.
const (
	sections, rows, perRow = 80, 25, 40
	mapSeats               = sections * rows * perRow
)

func (w *world) seats(ctx context.Context, o options) (outcome, error) {
	var b strings.Builder
	b.WriteString("  - {id: lower, name: Lower, kind: seated, price: \"30.00\"}\nseating:\n  sections:\n")
	for s := range sections {
		fmt.Fprintf(&b, "    - {id: \"S%d\", tier: lower, rows: [{row: 1-%d, seats: %d}]}\n", s, rows, perRow)
	}
	if err := w.sell(ctx, "stadium", b.String()); err != nil {
		return outcome{}, err
	}
	// Buyers click all over the map: a step that has no divisor with the number of seats meets each once.
	l := w.load(o, w.prepare("stadium", mapSeats, func(n int) string {
		seat := n * 34_567 % mapSeats
		return fmt.Sprintf(`{"seats":["S%d/%d/%d"]}`, seat/(rows*perRow), seat/perRow%rows+1, seat%perRow+1)
	}))
	got, err := w.drive(o, "http_seats", l)
	if err != nil {
		return got, err
	}
	return got, w.check(ctx, "stadium", got)
}

func (w *world) soldOut(ctx context.Context, o options) (outcome, error) {
	if err := w.sell(ctx, "gone", "  - {id: floor, name: Floor, kind: general, price: \"30.00\", capacity: 100}\n"); err != nil {
		return outcome{}, err
	}
	first := w.load(o, w.prepare("gone", 100, general))
	first.warm = 0
	got, err := first.run()
	if err != nil {
		return got, err
	}
	if err := w.check(ctx, "gone", got); err != nil || got.all != 100 {
		return got, fmt.Errorf("%d of the first 100 buyers got a hold: %w", got.all, err)
	}
	l := w.load(o, w.prepare("gone", int((o.seconds+warmUp).Seconds())*o.ceiling*2, general))
	// The first hundred have their holds, and would find them again.
	l.requests.ends = slices.Delete(l.requests.ends, 0, 100)
	l.requests.data = l.requests.data[len(l.requests.data)-(l.requests.ends[len(l.requests.ends)-1]-first.requests.ends[99]):]
	for i := range l.requests.ends {
		l.requests.ends[i] -= first.requests.ends[99]
	}
	l.want = 409
	refused, err := w.drive(o, "http_sold_out", l)
	if err != nil {
		return refused, err
	}
	return refused, w.check(ctx, "gone", got)
}

const sqlCheck = `SELECT (SELECT coalesce(sum(taken), 0)::INT8 FROM stock WHERE event_id = $1),
	(SELECT count(*) FROM holds WHERE event_id = $1 AND state = 'active'),
	(SELECT coalesce(sum(units), 0)::INT8 FROM holds WHERE event_id = $1),
	(SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE scope_id = $1)`

// check compares the tables with each other and with what was answered: a figure for lost holds is worth nothing.
func (w *world) check(ctx context.Context, slug string, got outcome) error {
	var taken, holds, units, quota int64
	if err := w.db.Reader.QueryRow(ctx, sqlCheck, lottery.EventID(slug)).Scan(&taken, &holds, &units, &quota); err != nil {
		return fmt.Errorf("compare the tables: %w", err)
	}
	if taken != holds || units != holds || quota != holds || holds != got.all {
		return fmt.Errorf("%d buyers were told of a hold; stock says %d, holds %d with %d units, quotas %d", got.all, taken, holds, units, quota)
	}
	return nil
}
