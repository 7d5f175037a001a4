package settlement

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/core/db"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// Config are the tunables of a Service. The zero value is usable.
type Config struct {
	Grace     time.Duration // how long a row may be missing, on either side, before somebody has to look; default 26 h
	BookPlain bool          // book fees, payouts and changes of currency without asking
	Reread    int           // days that are read again every day, since rows may still arrive; default 3
	Hour      int           // of the UTC day, when the day before is read
	CatchUp   int           // most days that were missed and are read after all; default 60
	Log       *slog.Logger  // default: discarded
	// Late, in the transaction that books a payment as late money of its order, has whoever sells orders decide what becomes of it.
	// Nil: such money is nobody's, and waits for an operator.
	Late func(ctx context.Context, tx pgx.Tx, order, attempt uuid.UUID) error
	// Found, in the transaction that books a refund which somebody made at the provider, has whoever sells orders decide what becomes of
	// its tickets. Nil: nobody does.
	Found func(ctx context.Context, tx pgx.Tx, found FoundRefund) error
}

func (c Config) withDefaults() Config {
	if c.Grace <= 0 {
		c.Grace = 26 * time.Hour
	}
	if c.Reread <= 0 {
		c.Reread = 3
	}
	if c.CatchUp <= 0 {
		c.CatchUp = 60
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service reconciles. It may be used by many goroutines.
type Service struct {
	db       *db.DB
	writer   *ledger.Writer
	cfg      Config
	holder   uuid.UUID // of the daily job's lease
	accounts sync.Map  // account id → ledger.Account
	watch    gauges
	page     int      // pageRows; less in tests
	readings sync.Map // provider and day → *atomic.Int64, the rows of a reading under way
}

// New makes a Service with a ledger writer of its own: a page books as much as a lane.
func New(d *db.DB, cfg Config) *Service {
	return &Service{db: d, writer: ledger.NewWriter(d.Reader), cfg: cfg.withDefaults(), holder: uuid.New(), page: pageRows, watch: gauges{seen: map[string]*dayFigures{}}}
}

// Writer is the ledger's writer of the corrections, so that its part of the hash chain can be sealed.
func (s *Service) Writer() *ledger.Writer { return s.writer }

// margin is how far beyond a day its reading goes: the provider's clock and ours put a sale at midnight on two days.
const margin = time.Hour

const sqlVanished = `
SELECT row_id, kind, source_ref, payment_ref, order_id, refund_id, gross_minor, fee_minor, currency, presentment_minor, presentment_currency, rate, payout_ref,
       created_at, digest
FROM settlement_rows
WHERE provider = $1::TEXT AND day = $2::DATE AND row_id > $3::TEXT AND reading < $4::INT8
ORDER BY row_id
LIMIT $5::INT8`

// sqlUnmatched repeats the condition of its index.
const sqlUnmatched = `
SELECT row_id, kind, source_ref, payment_ref, order_id, refund_id, gross_minor, fee_minor, currency, presentment_minor, presentment_currency, rate, payout_ref,
       created_at, digest
FROM settlement_rows
WHERE provider = $1::TEXT AND day = $2::DATE AND row_id > $3::TEXT AND reading >= $4::INT8 AND class IN ('theirs_only', 'amount_differs', 'duplicated')
ORDER BY row_id
LIMIT $5::INT8`

const sqlSaveDay = `
INSERT INTO settlement_days (provider, day, reading, read_at, report)
VALUES ($1::TEXT, $2::DATE, $3::INT8, $4::TIMESTAMPTZ, $5::TEXT)
ON CONFLICT (provider, day) DO UPDATE
SET reading = excluded.reading, read_at = excluded.read_at, report = excluded.report
WHERE settlement_days.reading <= excluded.reading`

// Reconcile reads one UTC day of a provider's settlement and compares it with the books. Reading a day again changes nothing but what
// has changed. ErrDay for a day that has not begun; of one that is not over it reads what there is.
func (s *Service) Reconcile(ctx context.Context, provider string, day time.Time, reader payment.SettlementReader) (Report, error) {
	began := time.Now()
	now, err := s.db.Now(ctx)
	if err != nil {
		return Report{}, err
	}
	day = Day(day)
	if day.After(now) || day.Year() < 2000 {
		return Report{}, fmt.Errorf("%w: %s", ErrDay, day.Format(DayLayout))
	}
	reading := now.UnixMicro()
	scans := mostScans
	counts, err := s.read(ctx, provider, reading, day, reader, &scans)
	if err != nil {
		readFailures.Inc()
		return Report{}, err
	}
	vanished, err := s.each(ctx, sqlVanished, provider, day, reading, s.vanish)
	if err != nil {
		return Report{}, err
	}
	counts.Vanished = vanished
	// What came before its transfer, or before the other leg of its change of currency.
	_, err = s.each(ctx, sqlUnmatched, provider, day, reading, func(ctx context.Context, provider string, reading int64, rows []row) error {
		_, err := s.take(ctx, provider, reading, incoming{rows: rows}, true, &scans)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	young, err := s.walk(ctx, provider, day, reading, now)
	if err != nil {
		return Report{}, err
	}
	report, err := s.sum(ctx, provider, day, now)
	if err != nil {
		return Report{}, err
	}
	report.Counts, report.ReadAt = counts, now
	report.transit(young)
	text, err := json.Marshal(report)
	if err != nil {
		return Report{}, fmt.Errorf("write the report: %w", err)
	}
	if _, err := s.db.Exec(ctx, sqlSaveDay, provider, day, reading, now, string(text)); err != nil {
		return Report{}, fmt.Errorf("save the report: %w", err)
	}
	s.count(report, time.Since(began))
	return report, nil
}

// incoming is the rows of a page on their way from the provider, with the transfers that they name.
type incoming struct {
	rows  []row
	moves []ledger.Move
}

// read takes the rows of a day and a margin, a page at a time: while one page is stored, the next one is fetched and its transfers are
// looked up.
func (s *Service) read(ctx context.Context, provider string, reading int64, day time.Time, reader payment.SettlementReader, scans *int) (Counts, error) {
	fetching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	pages := make(chan incoming)
	var fetched error
	go func() {
		defer close(pages)
		fetched = s.fetch(fetching, day, reader, pages)
	}()
	var counts Counts
	var stored error
	rows, name := new(atomic.Int64), readingOf(provider, day)
	s.readings.Store(name, rows)
	defer s.readings.CompareAndDelete(name, rows)
	for p := range pages {
		if stored != nil {
			continue // what was on its way when the last page failed
		}
		var c Counts
		if c, stored = s.take(ctx, provider, reading, p, false, scans); stored != nil {
			stop(stored)
		}
		counts.add(c)
		rows.Add(c.Rows)
	}
	if err := cmp.Or(stored, fetched); err != nil {
		return counts, fmt.Errorf("read the settlement of %s for %s: %w", provider, day.Format(DayLayout), err)
	}
	return counts, nil
}

func readingOf(provider string, day time.Time) string { return provider + "/" + day.Format(DayLayout) }

// Progress says how many rows of a day this process has read so far, while it reads them.
func (s *Service) Progress(provider string, day time.Time) (rows int64, reading bool) {
	found, ok := s.readings.Load(readingOf(provider, Day(day)))
	if !ok {
		return 0, false
	}
	return found.(*atomic.Int64).Load(), true
}

// fetch hands on what the provider has, page by page. Of a settlement that breaks off the whole pages are handed on.
func (s *Service) fetch(ctx context.Context, day time.Time, reader payment.SettlementReader, pages chan<- incoming) error {
	var rows []row
	flush := func() error {
		moves, err := s.prefetch(ctx, rows)
		if err != nil {
			return err
		}
		if moves == nil {
			moves = []ledger.Move{}
		}
		select {
		case pages <- incoming{rows, moves}:
			rows = nil
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := reader.Settlement(ctx, day.Add(-margin), day.Add(dayLength+margin), func(given payment.SettlementRow) error {
		r, err := newRow(given)
		if err != nil {
			return err
		}
		if rows == nil {
			rows = make([]row, 0, s.page)
		}
		if rows = append(rows, r); len(rows) < s.page {
			return nil
		}
		return flush()
	})
	if err == nil && len(rows) > 0 {
		err = flush()
	}
	return err
}

// each pages through stored rows of a day and counts them.
func (s *Service) each(ctx context.Context, sql, provider string, day time.Time, reading int64, fn func(context.Context, string, int64, []row) error) (int64, error) {
	after, n := "", int64(0)
	for {
		found, err := s.db.Reader.Query(ctx, sql, provider, day, after, reading, s.page)
		if err != nil {
			return n, fmt.Errorf("read stored rows of the settlement: %w", err)
		}
		rows, err := pgx.CollectRows(found, scanRow)
		if err != nil {
			return n, fmt.Errorf("read stored rows of the settlement: %w", err)
		}
		if len(rows) == 0 {
			return n, nil
		}
		n += int64(len(rows))
		after = rows[len(rows)-1].ID
		if err := fn(ctx, provider, reading, rows); err != nil {
			return n, err
		}
	}
}

func scanRow(r pgx.CollectableRow) (row, error) {
	var x row
	var order, refund pgtype.UUID
	err := r.Scan(&x.ID, &x.Kind, &x.SourceRef, &x.PaymentRef, &order, &refund, &x.Gross.Minor, &x.Fee.Minor, &x.Gross.Currency, &x.Presentment.Minor,
		&x.Presentment.Currency, &x.Rate, &x.PayoutRef, &x.CreatedAt, &x.digest)
	x.OrderID, x.RefundID, x.order, x.Fee.Currency = order.Bytes, refund.Bytes, order.Bytes, x.Gross.Currency
	return x, err
}

// vanish raises items for rows that the provider no longer has.
func (s *Service) vanish(ctx context.Context, provider string, reading int64, rows []row) error {
	items := make([]Item, len(rows))
	for i, r := range rows {
		why := fmt.Sprintf("Row %s, a %s of %s, was in an earlier reading of the settlement and is gone.", r.ID, r.Kind, r.Gross)
		items[i] = r.item(provider, "vanished", Altered, why, Proposal{Action: "note that it is explained; book what it means by hand if it was money"})
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		batch := &pgx.Batch{}
		if err := queueItems(batch, provider, reading, items); err != nil {
			return err
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return fmt.Errorf("raise rows that are gone: %w", err)
	}
	return nil
}
