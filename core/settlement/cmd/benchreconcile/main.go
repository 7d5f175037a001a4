// Command benchreconcile measures the reconciliation of a day with many rows: how long it takes and how much memory its process needs,
// beside the naive way, which loads both sides into maps, compares them, and copies what became of each row into a table like ours, with
// an index by row and one by transfer, in one transaction. It proposes nothing, books no fees, and cannot go on where it stopped.
//
//	go run ./core/settlement/cmd/benchreconcile
//	go run ./core/settlement/cmd/benchreconcile --rows 100000
//	DATABASE_URL=postgres://… go run ./core/settlement/cmd/benchreconcile
//
// Without DATABASE_URL it starts a private database in a temporary folder. One row in a thousand is missing and one has another amount;
// both ways must find exactly those. Memory is the peak of the process (VmHWM), reset before each way; Linux tells it, elsewhere it is 0.
// The database's own memory is not in it. The last line is one JSON object.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/benchdb"
	"fairgate/core/payment"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

const provider = "stripe"

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the day, at least 1000")
	profile := flag.String("cpuprofile", "", "write a CPU profile of this process to this file")
	flag.Parse()
	if *rows < 1000 {
		fmt.Fprintln(os.Stderr, "benchreconcile: --rows must be 1000 or more")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := profiled(*profile, func() error { return run(ctx, *rows) }); err != nil {
		fmt.Fprintln(os.Stderr, "benchreconcile:", err)
		os.Exit(1)
	}
}

// profiled runs fn, with a CPU profile in file unless that is empty.
func profiled(file string, fn func() error) error {
	if file == "" {
		return fn()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return fn()
}

func run(ctx context.Context, n int) error {
	d, done, err := benchdb.Open(ctx, os.Stdout, db.Options{MaxConns: 8})
	if err != nil {
		return err
	}
	defer done()
	now, err := d.Now(ctx)
	if err != nil {
		return err
	}
	w := world{rows: n, day: settlement.Day(now).Add(-24 * time.Hour)}
	began := time.Now()
	if err := w.fill(ctx, d); err != nil {
		return err
	}
	fmt.Printf("\n%d captured sales recorded in %.0f s\n\n%-32s %10s %10s %12s %12s\n", n, time.Since(began).Seconds(), "way", "seconds", "peak MB", "ours only", "amounts")
	ours, err := measure("streamed and stored", func() (int64, int64, error) {
		s := settlement.New(d, settlement.Config{Grace: time.Minute, BookPlain: true})
		r, err := s.Reconcile(ctx, provider, w.day, w)
		if err != nil {
			return 0, 0, err
		}
		if len(r.Currencies) != 1 {
			return 0, 0, fmt.Errorf("the report has %d currencies", len(r.Currencies))
		}
		c := r.Currencies[0].Classes
		return c[settlement.OursOnly].Count, c[settlement.AmountDiffers].Count, nil
	})
	if err != nil {
		return err
	}
	naive, err := measure("both sides in maps, then copied", func() (int64, int64, error) { return w.naive(ctx, d) })
	if err != nil {
		return err
	}
	for _, f := range []figures{ours, naive} {
		if missing, other := w.wrong(); f.missing != missing || f.other != other {
			return fmt.Errorf("found %d missing and %d other, there are %d and %d", f.missing, f.other, missing, other)
		}
	}
	fmt.Println()
	name := "reconcile"
	if n >= 1_000_000 {
		name = "reconcile_1m"
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"rows": n, name + "_s": ours.seconds, name + "_mb": ours.megabytes,
		name + "_naive_s": naive.seconds, name + "_naive_mb": naive.megabytes})
}

// figures are those of one way.
type figures struct {
	seconds, megabytes float64
	missing, other     int64
}

func measure(name string, way func() (int64, int64, error)) (f figures, err error) {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // resets the peak; elsewhere there is none
	began := time.Now()
	f.missing, f.other, err = way()
	f.seconds, f.megabytes = time.Since(began).Seconds(), peak()
	if err == nil {
		fmt.Printf("%-32s %10.1f %10.1f %12d %12d\n", name, f.seconds, f.megabytes, f.missing, f.other)
	}
	return f, err
}

// peak is the process's largest resident memory in MB.
func peak() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err == nil {
				return kb / 1024
			}
		}
	}
	return 0
}

// world makes sales and their rows by number, so that nothing of them is kept in memory.
type world struct {
	rows int
	day  time.Time
}

// order is a number's order: spread as random ids are.
func (w world) order(i int) uuid.UUID {
	return uuid.NewSHA1(uuid.Nil, binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func (w world) minor(i int) int64 { return 5000 + int64(i%4000) }

func (w world) at(i int) time.Time {
	return w.day.Add(time.Duration(float64(23*time.Hour) * float64(i) / float64(w.rows)))
}

// wrong is how many rows are missing and how many have another amount.
func (w world) wrong() (missing, other int64) {
	return int64((w.rows + 998) / 1000), int64((w.rows + 997) / 1000)
}

// Settlement is payment.SettlementReader.
func (w world) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	for i := range w.rows {
		if i%1000 == 1 || w.at(i).Before(from) || !w.at(i).Before(until) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		order, gross := w.order(i), w.minor(i)
		if i%1000 == 2 {
			gross++
		}
		err := each(payment.SettlementRow{ID: fmt.Sprintf("txn_%012d", i), Kind: payment.SettledCharge, SourceRef: "ch_" + order.String(), PaymentRef: "pi_" + order.String(),
			OrderID: order, PaymentID: payment.PaymentID(order, 1), Gross: ledger.Amount{Minor: gross, Currency: "EUR"},
			Fee: ledger.Amount{Minor: 25 + gross/66, Currency: "EUR"}, CreatedAt: w.at(i), AvailableAt: w.at(i).Add(48 * time.Hour)})
		if err != nil {
			return err
		}
	}
	return nil
}

// fill copies the sales' payments into the ledger: what the provider's clearing account sees of each, without the rest of the sale.
func (w world) fill(ctx context.Context, d *db.DB) error {
	buyer, clearing := ledger.BuyerClearing("EUR"), ledger.ProviderClearing(provider, "EUR")
	for _, a := range []ledger.Account{buyer, clearing} {
		if _, err := d.Exec(ctx, `INSERT INTO ledger_accounts (account_id, code, currency, non_negative) VALUES ($1, $2, $3, FALSE)`, a.ID(), a.Code, a.Currency); err != nil {
			return err
		}
	}
	writer := uuid.New()
	for first := 0; first < w.rows; first += 20_000 {
		count := 2 * min(20_000, w.rows-first)
		_, err := d.Pool.CopyFrom(ctx, pgx.Identifier{"ledger_transfers"}, []string{"transfer_id", "debit_account", "credit_account", "amount_minor", "currency", "code",
			"reference", "kind", "prior_id", "writer", "sequence", "created_at"}, pgx.CopyFromSlice(count, func(k int) ([]any, error) {
			i := first + k/2
			order := w.order(i)
			t := ledger.Transfer{ID: ledger.TransferID(order, "sale_payment"), Reference: order, Kind: ledger.Pending}
			var prior any
			if k%2 == 1 {
				prior = t.ID
				t = ledger.PostAll([]ledger.Transfer{t})[0]
			}
			return []any{t.ID, clearing.ID(), buyer.ID(), w.minor(i), "EUR", "sale_payment", order, string(t.Kind), prior, writer, int64(2*i + k%2 + 1), w.at(i)}, nil
		}))
		if err != nil {
			return fmt.Errorf("copy sales: %w", err)
		}
	}
	_, err := d.Pool.Exec(ctx, `ANALYZE`)
	return err
}

const (
	sqlNaiveTable = `CREATE TABLE IF NOT EXISTS naive_rows (row_id TEXT NOT NULL PRIMARY KEY, day DATE NOT NULL, kind TEXT NOT NULL, source_ref TEXT NOT NULL,
payment_ref TEXT NOT NULL, order_id UUID NOT NULL, gross_minor INT8 NOT NULL, fee_minor INT8 NOT NULL, currency TEXT NOT NULL, created_at TIMESTAMPTZ NOT NULL,
class TEXT NOT NULL, transfer_id UUID NULL)`
	sqlNaiveIndex = `CREATE UNIQUE INDEX IF NOT EXISTS naive_rows_by_transfer ON naive_rows (transfer_id)`
)

// naive loads both sides into maps, compares them and copies what it found.
func (w world) naive(ctx context.Context, d *db.DB) (missing, other int64, err error) {
	ours := map[uuid.UUID]ledger.Move{}
	account := ledger.ProviderClearing(provider, "EUR").ID()
	rows, err := d.Reader.Query(ctx, `SELECT transfer_id, reference, amount_minor, currency, code, created_at FROM ledger_transfers
WHERE debit_account = $1 AND kind = 'post' AND created_at >= $2 AND created_at < $3`, account, w.day, w.day.Add(24*time.Hour))
	if err != nil {
		return 0, 0, err
	}
	var m ledger.Move
	if _, err := pgx.ForEachRow(rows, []any{&m.ID, &m.Reference, &m.Amount.Minor, &m.Amount.Currency, &m.Code, &m.At}, func() error { ours[m.Reference] = m; return nil }); err != nil {
		return 0, 0, err
	}
	theirs := map[uuid.UUID]payment.SettlementRow{}
	var order []uuid.UUID
	err = w.Settlement(ctx, w.day, w.day.Add(24*time.Hour), func(r payment.SettlementRow) error {
		theirs[r.OrderID] = r
		order = append(order, r.OrderID)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	for reference := range ours {
		if _, ok := theirs[reference]; !ok {
			missing++
		}
	}
	if _, err := d.Exec(ctx, sqlNaiveTable); err != nil {
		return 0, 0, err
	}
	if _, err := d.Exec(ctx, sqlNaiveIndex); err != nil {
		return 0, 0, err
	}
	columns := []string{"row_id", "day", "kind", "source_ref", "payment_ref", "order_id", "gross_minor", "fee_minor", "currency", "created_at", "class", "transfer_id"}
	_, err = d.Pool.CopyFrom(ctx, pgx.Identifier{"naive_rows"}, columns, pgx.CopyFromSlice(len(order), func(i int) ([]any, error) {
		r := theirs[order[i]]
		move, class := ours[order[i]], settlement.Matched
		if r.Gross != move.Amount {
			class = settlement.AmountDiffers
			other++
		}
		return []any{r.ID, w.day, string(r.Kind), r.SourceRef, r.PaymentRef, r.OrderID, r.Gross.Minor, r.Fee.Minor, r.Gross.Currency, r.CreatedAt, string(class), move.ID}, nil
	}))
	return missing, other, err
}
