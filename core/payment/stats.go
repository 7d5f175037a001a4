package payment

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Stats are the figures of the outbox, for all processes together.
type Stats struct {
	Ready     int64         // tasks that are not done and not dead
	Running   int64         // of those, how many are leased
	Dead      int64         // tasks that somebody has to look at
	OldestDue time.Duration // how long the first task that is due has been so; 0 when none is
}

const sqlStats = `SELECT count(*)::INT8, (count(*) FILTER (WHERE lease_until > now()))::INT8,
	COALESCE(EXTRACT(EPOCH FROM now() - (min(due_at) FILTER (WHERE lease_until IS NULL OR lease_until <= now()))), 0)::FLOAT8
FROM outbox WHERE done_at IS NULL AND state = 'ready'`

const sqlCountDead = `SELECT count(*)::INT8 FROM outbox WHERE state = 'dead'`

// Stats reads the figures.
func (o *Outbox) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	var oldest float64
	if err := o.db.Reader.QueryRow(ctx, sqlStats).Scan(&s.Ready, &s.Running, &oldest); err != nil {
		return Stats{}, fmt.Errorf("count the outbox's tasks: %w", err)
	}
	s.OldestDue = time.Duration(max(oldest, 0) * float64(time.Second))
	if err := o.db.Reader.QueryRow(ctx, sqlCountDead).Scan(&s.Dead); err != nil {
		return Stats{}, fmt.Errorf("count the outbox's dead tasks: %w", err)
	}
	return s, nil
}

// Record is a task as its row shows it.
type Record struct {
	ID         uuid.UUID  `json:"id"`
	Kind       string     `json:"kind"`
	OrderID    uuid.UUID  `json:"order_id"`
	PaymentID  uuid.UUID  `json:"payment_id"`
	State      string     `json:"state"` // ready, done or dead
	Attempts   int        `json:"attempts"`
	DueAt      time.Time  `json:"due_at"`
	LeaseUntil *time.Time `json:"lease_until,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	DoneAt     *time.Time `json:"done_at,omitempty"` // when it was done, or died
}

const sqlRecordsOfOrder = `SELECT outbox_id, kind, order_id, payment_id, state, attempts, due_at, lease_until, last_error, created_at, done_at
FROM outbox WHERE order_id = $1 ORDER BY created_at, outbox_id LIMIT $2`

const sqlDeadRecords = `SELECT outbox_id, kind, order_id, payment_id, state, attempts, due_at, lease_until, last_error, created_at, done_at
FROM outbox WHERE state = 'dead' ORDER BY created_at, outbox_id LIMIT $1`

// maxRecords bounds the tasks of one order: a few for each attempt to pay.
const maxRecords = 200

// OfOrder lists the tasks of one order in the order in which they were enqueued.
func (o *Outbox) OfOrder(ctx context.Context, orderID uuid.UUID) ([]Record, error) {
	return o.records(ctx, sqlRecordsOfOrder, orderID, maxRecords)
}

// Dead lists the oldest dead tasks.
func (o *Outbox) Dead(ctx context.Context, limit int) ([]Record, error) {
	return o.records(ctx, sqlDeadRecords, limit)
}

func (o *Outbox) records(ctx context.Context, sql string, args ...any) ([]Record, error) {
	rows, err := o.db.Reader.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list outbox tasks: %w", err)
	}
	records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Record])
	if err != nil {
		return nil, fmt.Errorf("list outbox tasks: %w", err)
	}
	return records, nil
}
