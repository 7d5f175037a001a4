package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Outcomes of what operators do with tasks that callers branch on.
var (
	ErrTaskUnknown = errors.New("there is no such outbox task")
	// ErrTaskAlive means that only dead tasks can be retried or discarded, and this one is not, or no more.
	ErrTaskAlive = errors.New("the outbox task is not dead")
)

// Listing asks for tasks that are not done, oldest first, after the last one of the page before.
type Listing struct {
	Dead      bool      // only those that nobody tries any more
	Kind      string    // "" for all
	Order     uuid.UUID // Nil for all
	AfterTime time.Time
	AfterTask uuid.UUID
	Limit     int
}

const sqlListDead = `SELECT outbox_id, kind, order_id, payment_id, state, attempts, due_at, lease_until, last_error, created_at, done_at
FROM outbox WHERE state = 'dead' AND ($1::TEXT = '' OR kind = $1) AND ($2::UUID IS NULL OR order_id = $2) AND (created_at, outbox_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, outbox_id LIMIT $5`

const sqlListOpen = `SELECT outbox_id, kind, order_id, payment_id, state, attempts, due_at, lease_until, last_error, created_at, done_at
FROM outbox WHERE (done_at IS NULL OR state = 'dead') AND ($1::TEXT = '' OR kind = $1) AND ($2::UUID IS NULL OR order_id = $2)
	AND (created_at, outbox_id) > ($3::TIMESTAMPTZ, $4::UUID)
ORDER BY created_at, outbox_id LIMIT $5`

// List lists tasks that are not done.
func (o *Outbox) List(ctx context.Context, l Listing) ([]Record, error) {
	sql := sqlListOpen
	if l.Dead {
		sql = sqlListDead
	}
	var order *uuid.UUID
	if l.Order != uuid.Nil {
		order = &l.Order
	}
	return o.records(ctx, sql, l.Kind, order, l.AfterTime, l.AfterTask, l.Limit)
}

const sqlTask = `SELECT outbox_id, kind, order_id, payment_id, state, attempts, due_at, lease_until, last_error, created_at, done_at
FROM outbox WHERE order_id = $1 AND outbox_id = $2`

// Find reads one task; ErrTaskUnknown.
func (o *Outbox) Find(ctx context.Context, order, task uuid.UUID) (Record, error) {
	found, err := o.records(ctx, sqlTask, order, task)
	if err == nil && len(found) == 0 {
		err = ErrTaskUnknown
	}
	if err != nil {
		return Record{}, err
	}
	return found[0], nil
}

// A task that is tried again has its attempts back but one: it was run before, so it never counts as one that was not.
const sqlRetryTask = `UPDATE outbox SET state = 'ready', attempts = LEAST(attempts, 1), due_at = now(), done_at = NULL, lease_until = NULL, claim_id = NULL
WHERE order_id = $1 AND outbox_id = $2 AND state = 'dead'
RETURNING kind`

// Retry gives a dead task its attempts back, as part of tx, and returns its kind; ErrTaskAlive. Call Wake after the commit.
func (o *Outbox) Retry(ctx context.Context, tx pgx.Tx, order, task uuid.UUID) (kind string, err error) {
	return change(ctx, tx, sqlRetryTask, order, task)
}

const sqlDiscardTask = `UPDATE outbox SET state = 'done', last_error = $3
WHERE order_id = $1 AND outbox_id = $2 AND state = 'dead'
RETURNING kind`

// Discard ends a dead task for good, as part of tx, and returns its kind; ErrTaskAlive. Why stays with the task.
func (o *Outbox) Discard(ctx context.Context, tx pgx.Tx, order, task uuid.UUID, why string) (kind string, err error) {
	return change(ctx, tx, sqlDiscardTask, order, task, errorText(errors.New("discarded: "+why)))
}

func change(ctx context.Context, tx pgx.Tx, sql string, args ...any) (kind string, err error) {
	err = tx.QueryRow(ctx, sql, args...).Scan(&kind)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", ErrTaskAlive
	}
	if err != nil {
		return "", fmt.Errorf("change a dead outbox task: %w", err)
	}
	return kind, nil
}

// Watch tells the metrics now and then how the outbox stands, until ctx ends:
//
//	core_outbox_tasks{state="ready"|"dead"}  tasks of all cores together
//	core_outbox_oldest_due_seconds           how long the first task that is due has been so
func (o *Outbox) Watch(every time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			stats, err := o.Stats(ctx)
			switch {
			case err == nil:
				outboxReady.Set(float64(stats.Ready))
				outboxDeadNow.Set(float64(stats.Dead))
				outboxOldest.Set(stats.OldestDue.Seconds())
			case ctx.Err() == nil:
				outboxErrors.Inc()
				o.cfg.Log.Warn("the outbox cannot be counted", "error", err.Error())
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	}
}
