package payment

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// claimed is a task that this process holds the lease of. Its claim tells this run from any other of the same task.
type claimed struct {
	Task
}

// result is how one run of a task ended, as it will be written.
type result struct {
	task  claimed
	state string        // "done", "dead", or "ready" to run again
	after time.Duration // until it runs again
	undo  bool          // the run does not count as an attempt
	err   error
}

// The search for due tasks is a hint: the claim below decides. It passes over the tasks that are running, which are few:
// due_at stays as it is while a task is leased, since a lease that stands in no index costs no index its entries. The
// tasks of the same order are counted one order at a time, by the primary key: of NOT EXISTS a planner makes a join with
// every task there is.
const sqlDue = `SELECT t.outbox_id, t.order_id, t.due_at, now()
FROM outbox AS t
WHERE t.done_at IS NULL AND t.state = 'ready' AND t.due_at <= now() AND (t.lease_until IS NULL OR t.lease_until <= now()) AND t.kind = ANY($1::TEXT[])
	AND (SELECT count(*) FROM outbox AS l WHERE l.order_id = t.order_id AND l.lease_until > now()) = 0
ORDER BY t.due_at
LIMIT $2`

// Locking all tasks of an order that are not over, in key order, makes the processes that want one of them take turns.
const sqlLockOrders = `SELECT outbox_id FROM outbox
WHERE order_id = ANY($1::UUID[]) AND state = 'ready'
ORDER BY order_id, outbox_id
FOR UPDATE`

// What was locked before is read anew here, so a lease that another process took meanwhile is seen.
const sqlClaim = `UPDATE outbox AS t
SET lease_until = now() + $3::INT8 * INTERVAL '1 microsecond', claim_id = $4, attempts = t.attempts + 1
FROM unnest($1::UUID[], $2::UUID[]) AS k (order_id, outbox_id)
WHERE t.order_id = k.order_id AND t.outbox_id = k.outbox_id AND t.state = 'ready' AND t.due_at <= now()
	AND (t.lease_until IS NULL OR t.lease_until <= now())
	AND (SELECT count(*) FROM outbox AS l
		WHERE l.order_id = t.order_id AND l.lease_until > now() AND l.outbox_id <> t.outbox_id) = 0
RETURNING t.outbox_id, t.kind, t.order_id, t.payment_id, t.payload, t.attempts, t.claim_id`

// claim takes up to limit due tasks of the given kinds, at most one of each order, in the order in which they fell due.
// full tells that there are probably more.
func (o *Outbox) claim(ctx context.Context, kinds []string, limit int) (tasks []claimed, full bool, err error) {
	outboxClaims.Inc()
	ids, orders, found, err := o.due(ctx, kinds, limit)
	if err != nil || len(ids) == 0 {
		return nil, false, err
	}
	if tasks, err = o.lease(ctx, ids, orders); err != nil {
		return nil, false, err
	}
	place := make(map[uuid.UUID]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	sort.Slice(tasks, func(a, b int) bool { return place[tasks[a].ID] < place[tasks[b].ID] })
	outboxClaimed.Add(len(tasks))
	return tasks, found == limit && len(tasks) > 0, nil
}

// lease takes those of the tasks, each given with its order, that are still free and of whose orders no other is leased.
func (o *Outbox) lease(ctx context.Context, ids, orders []uuid.UUID) (tasks []claimed, err error) {
	claim := uuid.New()
	err = o.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tasks = tasks[:0]
		if _, err := tx.Exec(ctx, sqlLockOrders, orders); err != nil {
			return fmt.Errorf("lock the orders of outbox tasks: %w", err)
		}
		_, claiming := claimSQL()
		rows, err := tx.Query(ctx, claiming, orders, ids, o.cfg.Lease.Microseconds(), claim)
		if err != nil {
			return fmt.Errorf("claim outbox tasks: %w", err)
		}
		var t claimed
		_, err = pgx.ForEachRow(rows, []any{&t.ID, &t.Kind, &t.OrderID, &t.PaymentID, &t.Payload, &t.Attempt, &t.claim}, func() error {
			tasks = append(tasks, t)
			return nil
		})
		if err != nil {
			return fmt.Errorf("claim outbox tasks: %w", err)
		}
		return nil
	})
	return tasks, err
}

// due searches for free due tasks, the first of each order. It reads outside transactions, since what it finds is only a
// hint and what it reads must not stand in the way of those who write.
func (o *Outbox) due(ctx context.Context, kinds []string, limit int) (ids, orders []uuid.UUID, found int, err error) {
	met := make(map[uuid.UUID]bool, limit)
	search, _ := claimSQL()
	rows, err := o.db.Reader.Query(ctx, search, kinds, limit)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("search the outbox: %w", err)
	}
	var id, order uuid.UUID
	var due, now time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &order, &due, &now}, func() error {
		found++
		if !met[order] || Sabotaged(OutboxOrder) {
			met[order] = true
			ids, orders = append(ids, id), append(orders, order)
			outboxLag.Update(now.Sub(due).Seconds())
		}
		return nil
	})
	if err != nil {
		return nil, nil, 0, fmt.Errorf("search the outbox: %w", err)
	}
	return ids, orders, found, nil
}

// A run that is done is done whoever holds the lease by now; any other end is written only by the holder.
const sqlSettle = `UPDATE outbox AS t
SET state = r.state, lease_until = NULL, claim_id = NULL, attempts = t.attempts - r.undo, last_error = r.error,
	due_at = CASE WHEN r.state = 'ready' THEN now() + r.after_us * INTERVAL '1 microsecond' ELSE t.due_at END,
	done_at = CASE WHEN r.state = 'ready' THEN NULL ELSE now() END
FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::TEXT[], $7::UUID[])
	AS r (order_id, outbox_id, state, after_us, undo, error, claim_id)
WHERE t.order_id = r.order_id AND t.outbox_id = r.outbox_id AND t.state = 'ready' AND (r.state = 'done' OR t.claim_id = r.claim_id)`

// settle writes how a batch of runs ended, in key order as all who lock several tasks. Running it twice changes nothing.
func (o *Outbox) settle(ctx context.Context, batch []result) error {
	batch = slices.SortedFunc(slices.Values(batch), func(a, b result) int {
		return cmp.Or(bytes.Compare(a.task.OrderID[:], b.task.OrderID[:]), bytes.Compare(a.task.ID[:], b.task.ID[:]))
	})
	ids, orders := make([]uuid.UUID, len(batch)), make([]uuid.UUID, len(batch))
	states := make([]string, len(batch))
	after := make([]int64, len(batch))
	undo := make([]int64, len(batch))
	errors := make([]string, len(batch))
	claims := make([]uuid.UUID, len(batch))
	for i, r := range batch {
		ids[i], orders[i], states[i], after[i] = r.task.ID, r.task.OrderID, r.state, r.after.Microseconds()
		errors[i], claims[i] = errorText(r.err), r.task.claim
		if r.undo {
			undo[i] = 1
		}
	}
	return o.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlSettle, orders, ids, states, after, undo, errors, claims); err != nil {
			return fmt.Errorf("settle %d outbox tasks: %w", len(batch), err)
		}
		return nil
	})
}
