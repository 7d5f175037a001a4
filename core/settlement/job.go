package settlement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

const (
	sqlTakeLease = `
INSERT INTO leases (name, holder, epoch, expires_at) VALUES ('settlement', $1::UUID, 1, now() + $2::INT8 * INTERVAL '1 millisecond')
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, expires_at = excluded.expires_at, epoch = CASE WHEN leases.holder = excluded.holder THEN leases.epoch ELSE leases.epoch + 1 END
WHERE leases.holder = excluded.holder OR leases.expires_at <= now()
RETURNING epoch`

	sqlReleaseLease = `UPDATE leases SET expires_at = now() WHERE name = 'settlement' AND holder = $1::UUID`

	sqlReadDays = `SELECT day, read_at FROM settlement_days WHERE provider = $1::TEXT AND day >= $2::DATE`

	sqlFirstDay = `SELECT min(day) FROM settlement_days WHERE provider = $1::TEXT`
)

// leaseTime is how long a core that reads and dies keeps others from reading. It is renewed meanwhile; should two read at once, nothing is
// booked twice.
const leaseTime = 2 * time.Minute

// every is how often the job looks whether there is something to read.
const every = time.Minute

// Run is the daily job: of all cores that run it one reads, every day after the configured hour, the day before, the days that may still
// change, and the days that were missed. It returns when ctx ends.
func (s *Service) Run(ctx context.Context, readers map[string]payment.SettlementReader) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.round(ctx, readers); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("reconcile", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// round reads what is due, if this core has the lease.
func (s *Service) round(ctx context.Context, readers map[string]payment.SettlementReader) error {
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	if err := s.measure(ctx, now); err != nil {
		return err
	}
	held, err := s.lease(ctx)
	if err != nil || !held {
		return err
	}
	defer s.release()
	var errs []error
	for name, reader := range readers {
		days, err := s.Due(ctx, name, now)
		errs = append(errs, err)
		for _, day := range days {
			if err := s.readLeased(ctx, name, day, reader); err != nil {
				errs = append(errs, err)
				break // the next round tries again
			}
		}
	}
	return errors.Join(errs...)
}

// readLeased reads a day while the lease is renewed, and stops when it is lost.
func (s *Service) readLeased(ctx context.Context, name string, day time.Time, reader payment.SettlementReader) error {
	ctx, stop := context.WithCancelCause(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(leaseTime / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if held, err := s.lease(ctx); err == nil && !held {
					stop(errors.New("another core reads the settlement"))
				}
			}
		}
	}()
	report, err := s.Reconcile(ctx, name, day, reader)
	stop(nil)
	<-renewed
	if err != nil {
		return err
	}
	s.cfg.Log.Info("settlement read", "provider", name, "day", report.Day, "rows", report.Counts.Rows, "new", report.Counts.New,
		"explained_ppm", report.ExplainedPPM, "open", report.Open, "overdue", report.Overdue)
	return nil
}

func (s *Service) lease(ctx context.Context) (held bool, err error) {
	var epoch int64
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, sqlTakeLease, s.holder, leaseTime.Milliseconds()).Scan(&epoch)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the lease of the settlement: %w", err)
	}
	return true, nil
}

func (s *Service) release() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := s.db.Exec(ctx, sqlReleaseLease, s.holder); err != nil {
		s.cfg.Log.Info("the lease of the settlement was left to expire", "error", err)
	}
}

// Due lists the days of a provider that are to be read at a time, the oldest first: those never read since the first that was, at most
// Config.CatchUp, and of the last Config.Reread days those not read since the hour has come.
func (s *Service) Due(ctx context.Context, provider string, now time.Time) ([]time.Time, error) {
	hour := time.Duration(s.cfg.Hour) * time.Hour
	scheduled := Day(now).Add(hour) // the last time that a reading was due
	if scheduled.After(now) {
		scheduled = scheduled.Add(-dayLength)
	}
	newest := Day(scheduled).Add(-dayLength)
	var first *time.Time
	if err := s.db.Reader.QueryRow(ctx, sqlFirstDay, provider).Scan(&first); err != nil {
		return nil, fmt.Errorf("find the first day that was read: %w", err)
	}
	oldest := newest.Add(-time.Duration(s.cfg.Reread-1) * dayLength)
	if first != nil {
		oldest = newest.Add(-time.Duration(max(s.cfg.CatchUp, s.cfg.Reread)-1) * dayLength)
		if first.After(oldest) {
			oldest = Day(*first)
		}
	}
	rows, err := s.db.Reader.Query(ctx, sqlReadDays, provider, oldest)
	if err != nil {
		return nil, fmt.Errorf("list the days that were read: %w", err)
	}
	read := map[time.Time]time.Time{}
	var day, at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&day, &at}, func() error { read[Day(day)] = at; return nil }); err != nil {
		return nil, fmt.Errorf("list the days that were read: %w", err)
	}
	var due []time.Time
	for d := oldest; !d.After(newest); d = d.Add(dayLength) {
		at, ok := read[d]
		young := newest.Sub(d) < time.Duration(s.cfg.Reread)*dayLength
		if !ok || young && at.Before(scheduled) {
			due = append(due, d)
		}
	}
	return due, nil
}
