package checkout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/payment"
)

// RunFailure is an order that a run has tried in vain and passed over. RefundEvent has it tried once more; a refund of the order by hand
// does as well.
type RunFailure struct {
	Order uuid.UUID
	Error string
	At    time.Time
}

const (
	// runTries is how often a run tries an order before it goes on without it.
	runTries = 3
	// maxRunFailures is how many of a run's failures are told.
	maxRunFailures = 100
	// maxRunError is the longest text of a failure that is kept.
	maxRunError = 500
)

const sqlRunFailed = `
INSERT INTO refund_run_failures (run_id, order_id, error, failed_at) VALUES ($1, $2, $3, now())
ON CONFLICT (run_id, order_id) DO UPDATE SET error = EXCLUDED.error, failed_at = EXCLUDED.failed_at`

// A failure counts while its order is as it was: what has been refunded since is not failed.
const sqlRunFailures = `
SELECT g.order_id, g.error, g.failed_at
FROM refund_run_failures AS g JOIN orders AS o ON o.order_id = g.order_id
WHERE g.run_id = $1 AND o.state = 'ticket_issued' AND NOT EXISTS (SELECT 1 FROM refunds AS f WHERE f.order_id = g.order_id AND f.run_id = g.run_id)
ORDER BY g.failed_at, g.order_id LIMIT $2`

const sqlRestartRun = `
UPDATE refund_runs SET state = 'running', pass = 1, clear = false, after_at = '0001-01-01T00:00:00Z', after_order = '00000000-0000-0000-0000-000000000000',
    lease_owner = NULL, lease_until = NULL, updated_at = now(), done_at = NULL, put_off = 0, pauses = 0, paused_until = NULL
WHERE run_id = $1 AND state = 'done'
    AND (EXISTS (SELECT 1 FROM refund_run_failures AS g JOIN orders AS o ON o.order_id = g.order_id WHERE g.run_id = $1 AND o.state = 'ticket_issued')
        OR EXISTS (SELECT 1 FROM listings AS l JOIN orders AS o ON o.order_id = l.seller_order WHERE l.event_id = refund_runs.event_id
            AND l.state = 'undone' AND l.payout = 'recalled' AND l.payout_no > 0 AND o.state = 'ticket_issued'))`

// Bounds of the pause before a run tries again what could not be done for the time being.
const (
	runPauseMin = 2 * time.Second
	runPauseMax = 5 * time.Minute
)

// passing tells whether an error is of a kind that ends by itself: an outage, a limit, somebody who is quicker. What a provider says for
// ever does not, even where it leaves unclear whether it made a refund.
func passing(err error) bool {
	for _, known := range []error{payment.ErrTemporary, payment.ErrUnknown, payment.ErrUnavailable, context.DeadlineExceeded, ErrSelling} {
		if errors.Is(err, known) {
			return true
		}
	}
	lasting := errors.Is(err, payment.ErrRejected) || errors.Is(err, payment.ErrNotFound) || errors.Is(err, payment.ErrDeclined)
	return overtaken(err) || errors.Is(err, ErrRefundUnclear) && !lasting
}

// pause is how long a run waits after a pass that had to put orders off, the n-th in a row.
func (r *Run) pause() time.Duration {
	if r.putOff == 0 {
		return 0
	}
	return min(runPauseMin<<min(r.pauses, 10), runPauseMax)
}

// tryOrder refunds an order of a run, and gives it up after a few tries, so that one order cannot keep all others from their money. What
// ends by itself puts it off to another pass instead. An outage of the database is nothing that the order can help.
func (s *Service) tryOrder(ctx context.Context, run *Run, o *Summary) error {
	for try := 1; ; try++ {
		err := s.runOrder(ctx, run, o)
		if err == nil || ctx.Err() != nil || errors.Is(err, db.ErrUnavailable) || errors.Is(err, db.ErrAmbiguous) {
			return err
		}
		if passing(err) {
			run.putOff++
			s.log.Warn("a cancelled event's order is refunded later", "order_id", o.ID, "run_id", run.ID, "error", err)
			return nil
		}
		if try < runTries {
			continue
		}
		s.metrics.runGivenUp.Inc()
		s.log.Error("a cancelled event's order could not be refunded; the others are", "order_id", o.ID, "run_id", run.ID, "error", err)
		text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "")
		if len(text) > maxRunError {
			text = strings.ToValidUTF8(text[:maxRunError], "")
		}
		return s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, sqlRunFailed, run.ID, o.ID, text)
			return err
		})
	}
}

// runFailures are the orders that a run has passed over.
func (s *Service) runFailures(ctx context.Context, run uuid.UUID) ([]RunFailure, error) {
	rows, err := s.db.Reader.Query(ctx, sqlRunFailures, run, maxRunFailures)
	if err != nil {
		return nil, fmt.Errorf("read the failures of run %s: %w", run, err)
	}
	failures, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RunFailure])
	if err != nil {
		return nil, fmt.Errorf("read the failures of run %s: %w", run, err)
	}
	return failures, nil
}
