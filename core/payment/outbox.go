package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// ErrPermanent, wrapped in a Handler's error, makes its task dead at once: trying again cannot help.
var ErrPermanent = errors.New("the task can never succeed")

// Kinds of tasks about a payment.
const (
	KindBegin   = "begin"
	KindCapture = "capture"
	KindVoid    = "void"
	KindRefund  = "refund"
	KindLate    = "late_money"
	// KindDispute: a dispute came before its payment's capture; ask about it until that is known.
	KindDispute = "dispute"
	// KindFound: the settlement has a refund that somebody made at the provider; enter it as its webhook would.
	KindFound = "refund_found"
	// KindRecorded: somebody has recorded that the payment was paid outside; ask its provider.
	KindRecorded = "recorded"
)

// Task is one thing the outside world still has to be told or asked.
type Task struct {
	// ID makes enqueueing idempotent: TaskID(payment, kind) unless a payment needs several of one kind.
	ID        uuid.UUID
	Kind      string
	OrderID   uuid.UUID
	PaymentID uuid.UUID
	Payload   string
	// After delays the first run, counted from the enqueueing transaction.
	After time.Duration
	// Attempt is set when the task runs: 1 for the first time.
	Attempt int
	// Final is set when the task runs and an error would make it dead.
	Final bool

	claim uuid.UUID // of the run that holds the lease
}

// TaskID is the id of a payment's only task of a kind.
func TaskID(paymentID uuid.UUID, kind string) uuid.UUID {
	return uuid.NewSHA1(paymentID, []byte("task/"+kind))
}

// Handler runs one task. It must be idempotent and must keep to its context, which ends when the run takes too
// long, and before the task's lease ends because it could not be renewed.
type Handler func(ctx context.Context, t Task) error

// postponed is the error of Postpone.
type postponed struct{ after time.Duration }

func (p postponed) Error() string { return fmt.Sprintf("postponed for %s", p.after) }

// Postpone is a Handler's answer when nothing is wrong and it is only too early: the task runs again after d, and the run
// does not count as an attempt.
func Postpone(d time.Duration) error { return postponed{after: max(d, 0)} }

// OutboxConfig are the bounds of an Outbox. The zero value is right for a service of one or two cores.
type OutboxConfig struct {
	Workers     int            // handlers running at once; default 32
	Claim       int            // most tasks claimed by one statement; default 200
	Lease       time.Duration  // how long a claimed task is left alone without a sign of life of its process; default 10 s
	Timeout     time.Duration  // how long one run of a handler may take; default 30 s
	Poll        time.Duration  // longest wait between two looks at the table; default 500 ms
	Backoff     time.Duration  // mean wait before the second attempt, doubling; default 200 ms
	BackoffMax  time.Duration  // longest mean wait between two attempts; default 5 min
	MaxAttempts int            // attempts before a task is dead; default 25
	AttemptsOf  map[string]int // MaxAttempts of single kinds; default 300, some 24 hours, of all but begin
	Grace       time.Duration  // how long running handlers may finish after Run's context ended; default 5 s
	Jitter      func() float64 // uniform in [0, 1); default math/rand/v2
	Log         *slog.Logger   // default slog.Default()
}

func (c OutboxConfig) withDefaults() OutboxConfig {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	if c.Workers <= 0 {
		c.Workers = 32
	}
	if c.Claim <= 0 {
		c.Claim = 200
	}
	set(&c.Lease, 10*time.Second)
	set(&c.Timeout, 30*time.Second)
	set(&c.Poll, 500*time.Millisecond)
	set(&c.Backoff, 200*time.Millisecond)
	set(&c.BackoffMax, 5*time.Minute)
	set(&c.Grace, 5*time.Second)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 25
	}
	if c.AttemptsOf == nil {
		// Money that is reserved must be taken or let go, and what is paid for delivered, even if a provider's outage lasts a
		// day. A payment that cannot begin is of no use to a buyer for that long.
		c.AttemptsOf = map[string]int{KindCapture: 300, KindVoid: 300, KindRefund: 300, KindLate: 300, KindDispute: 300, KindFound: 300}
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// attemptsOf is how many attempts a task of the kind has.
func (c OutboxConfig) attemptsOf(kind string) int {
	if n := c.AttemptsOf[kind]; n > 0 {
		return n
	}
	return c.MaxAttempts
}

// Outbox runs tasks after the transaction that wanted them has committed. See the package comment for a task's life.
type Outbox struct {
	db   *db.DB
	cfg  OutboxConfig
	wake chan struct{}
}

// NewOutbox makes an Outbox on d. It does nothing until Run.
func NewOutbox(d *db.DB, cfg OutboxConfig) *Outbox {
	return &Outbox{db: d, cfg: cfg.withDefaults(), wake: make(chan struct{}, 1)}
}

const sqlEnqueue = `INSERT INTO outbox
	(outbox_id, kind, order_id, payment_id, payload, state, attempts, due_at, lease_until, last_error, created_at, done_at)
SELECT t.outbox_id, t.kind, t.order_id, t.payment_id, t.payload, 'ready', 0,
	now() + t.after_us * INTERVAL '1 microsecond', NULL, '', now(), NULL
FROM unnest($1::UUID[], $2::TEXT[], $3::UUID[], $4::UUID[], $5::TEXT[], $6::INT8[])
	AS t (outbox_id, kind, order_id, payment_id, payload, after_us)
ON CONFLICT (order_id, outbox_id) DO NOTHING`

// Enqueue writes tasks as part of tx, all in one statement. A task whose ID is known already is left as it is, whatever its
// state. Call Wake after the commit.
func (o *Outbox) Enqueue(ctx context.Context, tx pgx.Tx, tasks []Task) error {
	if len(tasks) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(tasks))
	kinds := make([]string, len(tasks))
	orders := make([]uuid.UUID, len(tasks))
	payments := make([]uuid.UUID, len(tasks))
	payloads := make([]string, len(tasks))
	after := make([]int64, len(tasks))
	seen := make(map[uuid.UUID]bool, len(tasks))
	n := 0
	for _, t := range tasks {
		if seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		ids[n], kinds[n], orders[n], payments[n] = t.ID, t.Kind, t.OrderID, t.PaymentID
		payloads[n], after[n] = t.Payload, max(t.After, 0).Microseconds()
		n++
	}
	_, err := tx.Exec(ctx, sqlEnqueue, ids[:n], kinds[:n], orders[:n], payments[:n], payloads[:n], after[:n])
	if err != nil {
		return fmt.Errorf("enqueue %d outbox tasks: %w", n, err)
	}
	return nil
}

// Wake makes this process's Run look at the table now. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
