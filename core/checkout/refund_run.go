package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/ledger"
)

// A run refunds everything that was paid for a cancelled event. It passes through the event's orders twice: once at once,
// and once more when nothing is under way any more, so that what was being paid when the event was cancelled is found as
// well. Which order it has come to is in its row, so a core that dies leaves nothing behind but the lease, which is short as it is renewed
// while its core lives (run_lease.go), and what the next one does again is found done: the id of an order's refund follows from the run's.
//
// An order of which nothing can be said for the time being, as its provider is away, is put off: there is another pass then, after a pause
// that grows from pass to pass. Only what will not end by itself is set aside, see RunFailure.

const (
	// runPage is how many orders a run goes through before it notes where it is.
	runPage = 50
	// runEvery is the pause between two looks for work.
	runEvery = time.Second
	// runSettles is how long after an event was cancelled other cores may still not know of it, and a bit.
	runSettles = 5 * time.Second
	// releaseAtOnce is how many holds of a cancelled event one transaction gives back.
	releaseAtOnce = 100
	// defaultRefundRate is how many refunds a second a run asks for.
	defaultRefundRate = 10
)

// ErrRunUnknown means that the event is not being refunded.
var ErrRunUnknown = errors.New("checkout: nothing of that event is being refunded")

var runSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:refund-run"))

// RunID is the id of an event's only run.
func RunID(event uuid.UUID) uuid.UUID { return uuid.NewSHA1(runSpace, event[:]) }

// Run is how far the refund of an event has come. Orders is the sum of the five counts behind it.
type Run struct {
	ID, Event     uuid.UUID
	State         string // running, settling (the provider has still to answer), done
	Reason, Actor string
	Orders        int64
	Waiting       int64 // not looked at yet, or being paid
	Open          int64 // asked for; the provider has still to answer
	Refunded      int64 // or paid otherwise
	Failed        int64
	Skipped       int64 // never paid, or refunded before
	Amount        ledger.Amount
	CreatedAt     time.Time
	UpdatedAt     time.Time
	DoneAt        time.Time    // zero until it is done
	Failures      []RunFailure // of the failed, those for which not even a refund could be made; the first hundred

	pass       int64
	clear      bool
	afterAt    time.Time
	afterOrder uuid.UUID
	putOff     int64 // orders of this pass that are to be tried in another
	pauses     int64 // passes in a row that put orders off
}

const sqlInsertRun = `
INSERT INTO refund_runs (run_id, event_id, state, reason, actor, pass, clear, after_at, after_order, lease_owner, lease_until, created_at, updated_at, done_at)
VALUES ($1, $2, 'running', $3, $4, 1, false, '0001-01-01T00:00:00Z', '00000000-0000-0000-0000-000000000000', NULL, NULL, now(), now(), NULL)
ON CONFLICT (run_id) DO NOTHING`

const sqlRun = `
SELECT run_id, event_id, state, reason, actor, pass, clear, after_at, after_order, created_at, updated_at, done_at, put_off, pauses FROM refund_runs WHERE run_id = $1`

const sqlOpenRuns = `
SELECT run_id FROM refund_runs
WHERE state <> 'done' AND (lease_until IS NULL OR lease_until <= now() OR lease_owner = $1) AND (paused_until IS NULL OR paused_until <= now()) ORDER BY created_at LIMIT 20`

const sqlTakeRun = `
UPDATE refund_runs SET lease_owner = $2, lease_until = now() + $3::INTERVAL
WHERE run_id = $1 AND state <> 'done' AND (lease_until IS NULL OR lease_until <= now() OR lease_owner = $2)
    AND (paused_until IS NULL OR paused_until <= now())
RETURNING run_id, event_id, state, reason, actor, pass, clear, after_at, after_order, created_at, updated_at, done_at, put_off, pauses`

const sqlMoveRun = `
UPDATE refund_runs SET state = $3, pass = $4, clear = $5, after_at = $6, after_order = $7, updated_at = now(),
    put_off = $8, pauses = $9, paused_until = CASE WHEN $10::INT8 > 0 THEN now() + $10::INT8 * INTERVAL '1 millisecond' ELSE NULL END,
    done_at = CASE WHEN $3 = 'done' THEN now() ELSE NULL END
WHERE run_id = $1 AND lease_owner = $2 AND state <> 'done'`

const sqlLeaveRun = `UPDATE refund_runs SET lease_owner = NULL, lease_until = NULL WHERE run_id = $1 AND lease_owner = $2`

// Orders of which something may still come that has to be refunded, besides those that are paid.
const sqlUnderWay = `
SELECT count(*) FROM orders
WHERE event_id = $1 AND state NOT IN ('ticket_issued', 'capture_failed', 'expired', 'cancelled', 'refund_pending', 'refunded', 'refund_failed', 'disputed', 'dispute_lost')`

const sqlRunOpen = `SELECT count(*) FROM refunds WHERE run_id = $1 AND state IN ('requested', 'pending')`

// A paid order without a refund waits while the run passes through the orders. A refund that was retried is counted as the
// one in its place.
const sqlRunCounts = `
SELECT c.what, count(*), coalesce(sum(c.amount_minor), 0)::INT8, coalesce(max(c.currency), '')
FROM (SELECT CASE
        WHEN f.state = 'succeeded' OR f.resolution = 'paid_otherwise' THEN 'refunded'
        WHEN f.state = 'failed' THEN 'failed'
        WHEN f.refund_id IS NOT NULL THEN 'open'
        WHEN o.state = 'ticket_issued' AND g.order_id IS NOT NULL THEN 'failed'
        WHEN o.state IN ('capture_failed', 'expired', 'cancelled', 'refund_pending', 'refunded', 'refund_failed', 'disputed', 'dispute_lost')
            OR o.state = 'ticket_issued' AND NOT $3::BOOL THEN 'skipped'
        ELSE 'waiting' END AS what, f.amount_minor, f.currency
    FROM orders AS o LEFT JOIN refunds AS f ON f.order_id = o.order_id AND f.run_id = $2 AND f.resolution <> 'retried'
        LEFT JOIN refund_run_failures AS g ON g.run_id = $2 AND g.order_id = o.order_id
    WHERE o.event_id = $1) AS c
GROUP BY c.what`

// A run reads no more of an order than whether there is anything to refund: one whose row says nonsense elsewhere fails alone, when its
// turn comes, and not its whole page again and again.
const sqlRunOrders = `
SELECT order_id, state, created_at FROM orders
WHERE event_id = $1 AND (created_at, order_id) > ($2::TIMESTAMPTZ, $3::UUID)
ORDER BY created_at, order_id LIMIT $4`

// runOrders is the next page of a run.
func (s *Service) runOrders(ctx context.Context, run *Run) ([]Summary, error) {
	rows, err := s.db.Reader.Query(ctx, sqlRunOrders, run.Event, run.afterAt, run.afterOrder, runPage)
	if err != nil {
		return nil, fmt.Errorf("read the orders of event %s: %w", run.Event, err)
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Summary, err error) { return o, row.Scan(&o.ID, &o.State, &o.CreatedAt) })
	if err != nil {
		return nil, fmt.Errorf("read the orders of event %s: %w", run.Event, err)
	}
	return orders, nil
}

// RefundEvent begins the refund of everything that was paid for an event; it goes on by itself, in any core whose Run is
// running. Asking again has a run that is done try once more what it could not refund, and refund sellers whose payouts have
// come back since; else it changes nothing. The event must have been cancelled before, so that nothing more is sold.
func (s *Service) RefundEvent(ctx context.Context, event uuid.UUID, reason, actor string) (Run, error) {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlInsertRun, RunID(event), event, reason, actor); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlRestartRun, RunID(event))
		return err
	})
	if err != nil {
		return Run{}, fmt.Errorf("begin to refund event %s: %w", event, err)
	}
	return s.RunOf(ctx, event)
}

// RunOf tells how far the refund of an event has come. ErrRunUnknown when it was never begun.
func (s *Service) RunOf(ctx context.Context, event uuid.UUID) (Run, error) {
	rows, err := s.db.Reader.Query(ctx, sqlRun, RunID(event))
	if err != nil {
		return Run{}, fmt.Errorf("read the refund of event %s: %w", event, err)
	}
	run, err := pgx.CollectExactlyOneRow(rows, scanRun)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, ErrRunUnknown
	}
	if err != nil {
		return Run{}, fmt.Errorf("read the refund of event %s: %w", event, err)
	}
	if run.Failures, err = s.runFailures(ctx, run.ID); err != nil {
		return Run{}, err
	}
	return run, s.count(ctx, &run)
}

func scanRun(row pgx.CollectableRow) (Run, error) {
	var r Run
	var done *time.Time
	err := row.Scan(&r.ID, &r.Event, &r.State, &r.Reason, &r.Actor, &r.pass, &r.clear, &r.afterAt, &r.afterOrder, &r.CreatedAt, &r.UpdatedAt, &done, &r.putOff, &r.pauses)
	if done != nil {
		r.DoneAt = done.UTC()
	}
	return r, err
}

// count fills in the counts of a run, from the orders and refunds themselves.
func (s *Service) count(ctx context.Context, run *Run) error {
	rows, err := s.db.Reader.Query(ctx, sqlRunCounts, run.Event, run.ID, run.State == "running")
	if err != nil {
		return fmt.Errorf("count the refunds of event %s: %w", run.Event, err)
	}
	var what, currency string
	var n, minor int64
	_, err = pgx.ForEachRow(rows, []any{&what, &n, &minor, &currency}, func() error {
		run.Orders += n
		switch what {
		case "refunded":
			run.Refunded, run.Amount = n, ledger.Amount{Minor: minor, Currency: currency}
		case "failed":
			run.Failed = n
		case "open":
			run.Open = n
		case "skipped":
			run.Skipped = n
		default:
			run.Waiting = n
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the refunds of event %s: %w", run.Event, err)
	}
	return nil
}

// workRuns carries out runs until ctx ends.
func (s *Service) workRuns(ctx context.Context) {
	ticker := time.NewTicker(runEvery)
	defer ticker.Stop()
	for {
		if err := s.workOpenRuns(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("refund cancelled events", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Service) workOpenRuns(ctx context.Context) error {
	rows, err := s.db.Reader.Query(ctx, sqlOpenRuns, s.incarnation)
	if err != nil {
		return fmt.Errorf("look for runs: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("look for runs: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if err := s.workRun(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("run %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

// workRun carries out one run as far as that is possible now.
func (s *Service) workRun(ctx context.Context, id uuid.UUID) error {
	defer s.leaveRun(ctx, id)
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = s.workPage(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// workPage does the next page of a run under its lease, which it renews meanwhile. Should the lease be lost the page ends where it is:
// what it did is found done by whoever has the run then.
func (s *Service) workPage(ctx context.Context, id uuid.UUID) (more bool, err error) {
	taken := time.Now()
	run, err := s.takeRun(ctx, id)
	if err != nil || run == nil {
		return false, err
	}
	held, done := s.keepLease(ctx, taken, func(ctx context.Context) (bool, error) { return s.renewRun(ctx, id) })
	defer done()
	return s.step(held, run)
}

// takeRun takes or renews the lease of a run; nil when another core has it, or it is done.
func (s *Service) takeRun(ctx context.Context, id uuid.UUID) (run *Run, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		run = nil
		rows, err := tx.Query(ctx, sqlTakeRun, id, s.incarnation, s.cfg.RunLease)
		if err != nil {
			return err
		}
		taken, err := pgx.CollectExactlyOneRow(rows, scanRun)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		run = &taken
		return err
	})
	return run, err
}

// leaveRun ends this core's lease, if it has one.
func (s *Service) leaveRun(ctx context.Context, id uuid.UUID) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := s.db.Exec(bounded, sqlLeaveRun, id, s.incarnation); err != nil {
		s.log.Warn("leave a run; its lease ends by itself", "error", err)
	}
}

// step does one page of a run, or what is due between passes. more tells that there is another step at once.
func (s *Service) step(ctx context.Context, run *Run) (more bool, err error) {
	if run.State == "settling" {
		var open int64
		if err := s.db.Reader.QueryRow(ctx, sqlRunOpen, run.ID).Scan(&open); err != nil || open > 0 {
			return false, err
		}
		return false, s.moveRun(ctx, run, "done", 0)
	}
	if run.afterOrder == uuid.Nil { // a pass begins
		if err := s.releaseAll(ctx, run); err != nil {
			return false, err
		}
		if run.pass > 1 {
			var underWay int64
			if err := s.db.Reader.QueryRow(ctx, sqlUnderWay, run.Event).Scan(&underWay); err != nil {
				return false, err
			}
			now, err := s.db.Now(ctx)
			if err != nil || underWay > 0 || now.Sub(run.CreatedAt) < runSettles {
				return false, err
			}
			run.clear = true
		}
	}
	orders, err := s.runOrders(ctx, run)
	if err != nil {
		return false, err
	}
	for _, o := range orders {
		if err := s.tryOrder(ctx, run, &o); err != nil {
			return false, err
		}
		run.afterAt, run.afterOrder = o.CreatedAt, o.ID
	}
	switch {
	case len(orders) == runPage:
		return true, s.moveRun(ctx, run, "running", 0)
	case run.clear && run.putOff == 0:
		return true, s.moveRun(ctx, run, "settling", 0)
	}
	pause := run.pause()
	if run.pauses++; run.putOff == 0 {
		run.pauses = 0
	}
	run.pass, run.clear, run.putOff, run.afterAt, run.afterOrder = run.pass+1, false, 0, time.Time{}, uuid.Nil
	return pause == 0, s.moveRun(ctx, run, "running", pause)
}

// moveRun writes where a run is. With a pause nobody goes on with it before that is over.
func (s *Service) moveRun(ctx context.Context, run *Run, state string, pause time.Duration) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlMoveRun, run.ID, s.incarnation, state, run.pass, run.clear, run.afterAt, run.afterOrder, run.putOff, run.pauses, pause.Milliseconds())
		return err
	})
}

// runOrder refunds one order, if there is anything to refund, and keeps to the rate.
func (s *Service) runOrder(ctx context.Context, run *Run, o *Summary) error {
	s.metrics.runs.Inc()
	if o.State != TicketIssued {
		return nil
	}
	no, yes := false, true
	_, err := s.Refund(ctx, RefundRequest{Order: o.ID, Key: "run/" + run.ID.String(), KeepFee: &no, KeepOff: &yes, Reason: run.Reason, Actor: run.Actor, run: run.ID})
	for _, known := range []error{ErrRefundNothing, ErrTransition, ErrRefundEarly, ErrTicketsNot, ledger.ErrOverRefund} {
		if errors.Is(err, known) {
			s.log.Info("a cancelled event's order is not refunded", "order_id", o.ID, "reason", err.Error())
			return nil
		}
	}
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.pace(ctx, run.Event)):
		return nil
	}
}

// pace is how long a run waits between two refunds, so that the provider has calls to spare for those who buy.
func (s *Service) pace(ctx context.Context, event uuid.UUID) time.Duration {
	rate := float64(defaultRefundRate)
	if s.cfg.RefundRate != nil {
		rate = max(s.cfg.RefundRate(ctx, event), 1)
	}
	return time.Duration(float64(time.Second) / rate)
}

// releaseAll gives back what is held of a cancelled event, and ends the orders on it that are not paid.
func (s *Service) releaseAll(ctx context.Context, run *Run) error {
	if s.cfg.ActiveHolds == nil {
		return nil
	}
	ids, err := s.cfg.ActiveHolds(ctx, run.Event)
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		part := ids[:min(releaseAtOnce, len(ids))]
		ids = ids[len(part):]
		err := inventory.InTx(ctx, s.db, s.cfg.Recorder, func(ctx context.Context, tx pgx.Tx) error {
			holds, err := inventory.Read(ctx, tx, part)
			if err != nil {
				return err
			}
			refused, err := inventory.Release(ctx, tx, part)
			if err != nil {
				return err
			}
			var gone []inventory.Hold
			for id, h := range holds {
				if refused[id] == nil {
					gone = append(gone, h)
				}
			}
			return s.holdsGone(ctx, tx, gone, CauseEventCancelled, run.Actor)
		})
		if err != nil && !overtaken(err) { // what somebody else was quicker with is looked at in the next pass
			return fmt.Errorf("give back what is held of event %s: %w", run.Event, err)
		}
	}
	s.outbox.Wake()
	return nil
}
