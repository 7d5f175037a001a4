package payment

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// beatsPerLease is how often in the time of a lease its process shows signs of life. A lease whose last quarter has begun
// without one ends the run, so that it is over before another process may begin.
const beatsPerLease = 4

// leases are those that one Run holds, from the claim until the end of the run is written.
type leases struct {
	mu   sync.Mutex
	held map[uuid.UUID]*held // by task
}

// held is the lease of one task.
type held struct {
	task   claimed
	until  time.Time          // by the machine's clock, counted from before the statement that gave the lease
	cancel context.CancelFunc // ends the run; nil while the task waits for a worker
	lost   bool
}

// hold notes tasks that were just claimed.
func (l *leases) hold(tasks []claimed, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range tasks {
		l.held[t.ID] = &held{task: t, until: until}
	}
}

// running is the context of a task's run. It ends when the lease is lost.
func (l *leases) running(ctx context.Context, t claimed) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[t.ID]; h != nil && h.task.claim == t.claim {
		h.cancel = cancel
		if h.lost {
			cancel()
		}
	}
	return ctx, cancel
}

// drop forgets tasks whose runs are over.
func (l *leases) drop(batch []result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range batch {
		if h := l.held[r.task.ID]; h != nil && h.task.claim == r.task.claim {
			delete(l.held, r.task.ID)
		}
	}
}

// aging are the leases that end before a time, in key order as all who lock several tasks.
func (l *leases) aging(before time.Time) []claimed {
	l.mu.Lock()
	defer l.mu.Unlock()
	var tasks []claimed
	for _, h := range l.held {
		if !h.lost && h.until.Before(before) {
			tasks = append(tasks, h.task)
		}
	}
	slices.SortFunc(tasks, func(a, b claimed) int {
		if c := bytes.Compare(a.OrderID[:], b.OrderID[:]); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return tasks
}

// renewed notes which of the asked tasks have a new lease. The others are lost: another process has them, or may soon.
func (l *leases) renewed(asked []claimed, renewed map[uuid.UUID]bool, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range asked {
		h := l.held[t.ID]
		switch {
		case h == nil || h.task.claim != t.claim: // over in the meantime
		case renewed[t.ID]:
			h.until = until
		default:
			h.lose()
		}
	}
}

// expire ends the runs whose leases end before a time.
func (l *leases) expire(before time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.held {
		if !h.lost && h.until.Before(before) {
			h.lose()
		}
	}
}

func (h *held) lose() {
	h.lost = true
	outboxLost.Inc()
	if h.cancel != nil {
		h.cancel()
	}
}

// heartbeat renews the leases of tasks that take long, until ctx ends.
func (r *outboxRun) heartbeat(ctx context.Context) {
	beat := r.cfg.Lease / beatsPerLease
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asked := time.Now()
		if aging := r.leases.aging(asked.Add(r.cfg.Lease - beat/2)); len(aging) > 0 {
			bounded, cancel := context.WithTimeout(ctx, beat)
			renewed, err := r.renew(bounded, aging)
			cancel()
			if err == nil {
				r.leases.renewed(aging, renewed, asked.Add(r.cfg.Lease))
			} else if ctx.Err() == nil {
				outboxErrors.Inc()
				r.cfg.Log.Warn("the leases of outbox tasks cannot be renewed", "tasks", len(aging), "error", err.Error())
			}
		}
		r.leases.expire(time.Now().Add(beat))
	}
}

// A lease that has ended is not renewed, even if nobody has taken it: another task of the order may have been claimed since.
const sqlRenew = `UPDATE outbox AS t SET lease_until = now() + $4::INT8 * INTERVAL '1 microsecond'
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[]) AS k (order_id, outbox_id, claim_id)
WHERE t.order_id = k.order_id AND t.outbox_id = k.outbox_id AND t.claim_id = k.claim_id AND t.state = 'ready' AND t.lease_until > now()
RETURNING t.outbox_id`

// renew extends leases and tells of which tasks.
func (o *Outbox) renew(ctx context.Context, tasks []claimed) (map[uuid.UUID]bool, error) {
	orders, ids, claims := make([]uuid.UUID, len(tasks)), make([]uuid.UUID, len(tasks)), make([]uuid.UUID, len(tasks))
	for i, t := range tasks {
		orders[i], ids[i], claims[i] = t.OrderID, t.ID, t.claim
	}
	var renewed map[uuid.UUID]bool
	err := o.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		renewed = make(map[uuid.UUID]bool, len(tasks))
		rows, err := tx.Query(ctx, sqlRenew, orders, ids, claims, o.cfg.Lease.Microseconds())
		if err != nil {
			return fmt.Errorf("renew the leases of outbox tasks: %w", err)
		}
		var id uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			renewed[id] = true
			return nil
		})
		if err != nil {
			return fmt.Errorf("renew the leases of outbox tasks: %w", err)
		}
		return nil
	})
	return renewed, err
}

// The row is written, not only read, so that whoever claims the task meanwhile and this transaction exclude each other on
// either engine.
const sqlNeverRun = `UPDATE outbox SET payload = $4
WHERE order_id = $1 AND outbox_id = $2 AND claim_id = $3 AND state = 'ready' AND attempts = 1 AND lease_until > now()`

// NeverRun tells, as part of tx, whether t is running for the first time and still is the run's own: no run of it before
// counted, so nothing was ever called by it. While it answers true nobody else can claim t before tx is over, and whoever
// claims it later sees what tx wrote. note is kept as the task's payload.
func (o *Outbox) NeverRun(ctx context.Context, tx pgx.Tx, t Task, note string) (bool, error) {
	tag, err := tx.Exec(ctx, sqlNeverRun, t.OrderID, t.ID, t.claim, note)
	if err != nil {
		return false, fmt.Errorf("make sure that a task never ran: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}
