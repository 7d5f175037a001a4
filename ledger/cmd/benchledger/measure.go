package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/ledger"
)

// way is one pattern of transfers.
type way struct {
	name, key string
	workers   func(options) int
	make      func(o options, worker, round int) [][]ledger.Transfer // the transactions of one round
}

var ways = []way{
	{"hot", "batched_hot", func(o options) int { return o.lanes }, func(o options, _, _ int) [][]ledger.Transfer {
		batch := make([]ledger.Transfer, o.batch)
		for i := range batch {
			batch[i] = single(ledger.BuyerClearing("EUR"), ledger.OrganizerPayable("hot", "EUR"))
		}
		return [][]ledger.Transfer{batch}
	}},
	{"spread", "batched_spread", func(o options) int { return o.lanes }, func(o options, worker, round int) [][]ledger.Transfer {
		batch := make([]ledger.Transfer, o.batch)
		for i := range batch {
			// A stride that meets every organizer before one comes again.
			n := (round*o.batch + i) * 7919 % o.organizers
			batch[i] = single(ledger.OrganizerPayable(fmt.Sprintf("giver-%d-%d", worker, n), "EUR"), ledger.OrganizerPayable(fmt.Sprintf("taker-%d-%d", worker, n), "EUR"))
		}
		return [][]ledger.Transfer{batch}
	}},
	{"sales", "sales", func(o options) int { return o.lanes }, func(o options, _, _ int) [][]ledger.Transfer {
		var sold []ledger.Transfer
		for len(sold) < o.batch {
			sale, err := ledger.SaleTransfers(uuid.New(), "hot", "stripe", euros(6500), euros(650), euros(1200))
			if err != nil {
				panic(err) // constants
			}
			sold = append(sold, sale...)
		}
		return [][]ledger.Transfer{sold, ledger.PostAll(sold)}
	}},
	{"single", "single", func(o options) int { return o.clients }, func(_ options, worker, _ int) [][]ledger.Transfer {
		return [][]ledger.Transfer{{single(ledger.OrganizerPayable(fmt.Sprintf("one-%d", worker), "EUR"), ledger.OrganizerPayable(fmt.Sprintf("other-%d", worker), "EUR"))}}
	}},
}

func euros(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }

func single(debit, credit ledger.Account) ledger.Transfer {
	reference := uuid.New()
	return ledger.Transfer{ID: ledger.TransferID(reference, "bench"), Debit: debit, Credit: credit, Amount: euros(6500), Code: "bench",
		Reference: reference, Kind: ledger.Single}
}

// figures are what one way came to.
type figures struct {
	all, counted   int64 // transfers, all of them and those of the measured time
	took           time.Duration
	latencies      []time.Duration
	client, server time.Duration // CPU
	batch          int
}

func (f figures) perSecond() float64 { return math.Round(float64(f.counted) / f.took.Seconds()) }

func (f figures) cpuMicros() float64 {
	return math.Round(10*float64((f.client+f.server).Microseconds())/float64(f.counted)) / 10
}

func (f figures) print(name string) {
	slices.Sort(f.latencies)
	quantile := func(q float64) float64 {
		if len(f.latencies) == 0 {
			return 0
		}
		return float64(f.latencies[int(q*float64(len(f.latencies)-1))].Microseconds()) / 1000
	}
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(f.counted) }
	fmt.Printf("%-8s %12.0f %12d %10.2f %10.2f %14.1f %14.1f\n", name, f.perSecond(), f.batch, quantile(0.5), quantile(0.99), per(f.client), per(f.server))
}

// warmUp is the time before the measured one.
const warmUp = time.Second

// measure runs a way's workers for the warm-up and the measured time.
func measure(ctx context.Context, d *db.DB, o options, w way) (figures, error) {
	var mu sync.Mutex
	var total figures
	var failed error
	began := time.Now()
	from, until := began.Add(warmUp), began.Add(warmUp+o.seconds)
	var group sync.WaitGroup
	for worker := range w.workers(o) {
		writer := ledger.NewWriter(d.Reader)
		group.Go(func() {
			var mine figures
			for round := 0; time.Now().Before(until); round++ {
				for _, batch := range w.make(o, worker, round) {
					started := time.Now()
					if err := record(ctx, d, writer, batch); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
						return
					}
					ended := time.Now()
					mine.all += int64(len(batch))
					mine.batch = len(batch)
					if started.After(from) && ended.Before(until) {
						mine.counted += int64(len(batch))
						mine.latencies = append(mine.latencies, ended.Sub(started))
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.all, total.counted, total.batch = total.all+mine.all, total.counted+mine.counted, mine.batch
			total.latencies = append(total.latencies, mine.latencies...)
		})
	}
	time.Sleep(time.Until(from))
	client, server := ownCPU(), childrenCPU()
	time.Sleep(time.Until(until))
	total.client, total.server, total.took = ownCPU()-client, childrenCPU()-server, o.seconds
	group.Wait()
	if failed == nil && total.counted == 0 {
		failed = fmt.Errorf("nothing was recorded in %s", o.seconds)
	}
	return total, failed
}

func record(ctx context.Context, d *db.DB, w *ledger.Writer, batch []ledger.Transfer) error {
	return d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return w.Record(ctx, tx, batch) })
}

// fill records sales until there are as many transfers as asked for, and says how many there are.
func fill(ctx context.Context, d *db.DB, o options, recorded int64) (int64, error) {
	writer := ledger.NewWriter(d.Reader)
	for said := recorded; recorded < o.transfers; {
		for _, batch := range ways[2].make(o, 0, 0) {
			if err := record(ctx, d, writer, batch); err != nil {
				return 0, err
			}
			recorded += int64(len(batch))
		}
		if recorded-said >= 1_000_000 {
			said = recorded
			fmt.Fprintf(os.Stderr, "%d of %d transfers under the trial balance …\n", recorded, o.transfers)
		}
	}
	return recorded, nil
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// childrenCPU adds up what the descendants of this process have used: the private database. Elsewhere than on Linux it is 0.
func childrenCPU() time.Duration {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	parent, used := map[int]int{}, map[int]time.Duration{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid … utime stime are fields 14 and 15; the name may have spaces.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, pidErr := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if pidErr != nil || len(fields) < 15 {
			continue
		}
		number := func(i int) int64 {
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
		parent[pid] = int(number(1))
		const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
		used[pid] = time.Duration(number(11)+number(12)+number(13)+number(14)) * tick
	}
	var sum time.Duration
	for pid := range parent {
		for at, hops := pid, 0; at > 1 && hops < 20; at, hops = parent[at], hops+1 {
			if parent[at] == os.Getpid() {
				sum += used[pid]
				break
			}
		}
	}
	return sum
}
