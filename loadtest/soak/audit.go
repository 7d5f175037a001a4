package soak

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// asOfNow is how the audit reads: everything of one moment, without the conflicts that SERIALIZABLE brings.
var asOfNow = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// sqlUnderWay counts what is not over yet. A task that is due much later waits for something that need not come, such as the
// deadline of a dispute; and one that was to ask about a refund of which the provider's news has come meanwhile has nothing left to do.
const sqlUnderWay = `SELECT
(SELECT count(*) FROM holds WHERE state = 'active')::INT8,
(SELECT count(*) FROM outbox AS t WHERE t.state = 'ready' AND t.due_at < now() + INTERVAL '10 minutes'
    AND NOT (t.kind = 'refund' AND EXISTS (SELECT 1 FROM refunds AS f WHERE f.refund_id::TEXT = t.payload AND f.state NOT IN ('requested', 'pending'))))::INT8,
(SELECT count(*) FROM webhooks WHERE handled_at IS NULL)::INT8,
(SELECT count(*) FROM orders WHERE state IN ('payment_pending', 'payment_failed', 'payment_review', 'payment_complete', 'refund_pending'))::INT8,
(SELECT count(*) FROM payments WHERE live OR state = 'voiding')::INT8,
(SELECT count(*) FROM refunds WHERE state IN ('requested', 'pending'))::INT8,
(SELECT count(*) FROM refund_runs WHERE state <> 'done')::INT8,
(SELECT count(*) FROM disputes WHERE state NOT IN ('won', 'lost'))::INT8,
(SELECT count(*) FROM disputes)::INT8`

// underWay is what is not over yet. Unheard are disputes of the providers' that core does not know: their lists will tell.
type underWay struct {
	Holds, Outbox, Webhooks, Orders, Payments, Refunds, Runs, Disputes, Unheard, Deliveries int64
}

func (u underWay) String() string {
	return fmt.Sprintf("%d holds, %d outbox tasks, %d webhooks to handle, %d orders, %d payments, %d refunds, %d cancelled events, %d disputes, %d disputes unheard of, %d webhooks on their way",
		u.Holds, u.Outbox, u.Webhooks, u.Orders, u.Payments, u.Refunds, u.Runs, u.Disputes, u.Unheard, u.Deliveries)
}

// rest waits until nothing is under way any more, at most so long; what is left then it answers.
func (r *run) rest(ctx context.Context, conn *pgx.Conn, patience time.Duration) (underWay, error) {
	for until := time.Now().Add(patience); ; {
		left, known, err := readUnderWay(ctx, conn)
		if err != nil {
			return left, err
		}
		summary, err := r.theatre.summary(ctx)
		if err != nil {
			return left, err
		}
		left.Deliveries, left.Unheard = summary.Webhooks.Pending, max(0, summary.disputes()-known)
		if left == (underWay{}) || time.Now().After(until) {
			return left, nil
		}
		if !stage.Sleep(ctx, 500*time.Millisecond) {
			return left, ctx.Err()
		}
	}
}

// readUnderWay reads what is not over yet, and how many disputes are known.
func readUnderWay(ctx context.Context, conn *pgx.Conn) (left underWay, disputes int64, err error) {
	tx, err := conn.BeginTx(ctx, asOfNow)
	if err != nil {
		return left, 0, fmt.Errorf("see what is under way: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	err = tx.QueryRow(ctx, sqlUnderWay).Scan(&left.Holds, &left.Outbox, &left.Webhooks, &left.Orders, &left.Payments, &left.Refunds, &left.Runs, &left.Disputes, &disputes)
	if err != nil {
		return left, 0, fmt.Errorf("see what is under way: %w", err)
	}
	return left, disputes, nil
}

// sqlBusy counts what core would do by itself soon. A refund or dispute that waits for the provider's clock or an operator is not that.
const sqlBusy = `SELECT
(SELECT count(*) FROM outbox AS t WHERE t.state = 'ready' AND t.due_at < now() + INTERVAL '3 seconds'
    AND NOT (t.kind = 'refund' AND EXISTS (SELECT 1 FROM refunds AS f WHERE f.order_id = t.order_id AND f.state = 'pending')))::INT8
+ (SELECT count(*) FROM webhooks WHERE handled_at IS NULL)::INT8
+ (SELECT count(*) FROM refunds WHERE state = 'requested')::INT8`

// calm waits in the middle of a soak until core has done what is to be done, at most so long: what is left then may go on.
func (r *run) calm(ctx context.Context, patience time.Duration) error {
	for until := time.Now().Add(patience); stage.Sleep(ctx, time.Second); { // the provider's news are on their way
		busy, err := r.busy(ctx)
		if err == nil && busy == 0 {
			return nil
		}
		if time.Now().After(until) {
			return err
		}
	}
	return ctx.Err()
}

// busy counts what core would do by itself soon, as of one moment.
func (r *run) busy(ctx context.Context) (n int64, err error) {
	conn, err := pgx.Connect(ctx, r.theatre.database.DirectURL())
	if err != nil {
		return 0, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, asOfNow)
	if err != nil {
		return 0, fmt.Errorf("see what core is about to do: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	if err := tx.QueryRow(ctx, sqlBusy).Scan(&n); err != nil {
		return 0, fmt.Errorf("see what core is about to do: %w", err)
	}
	return n, nil
}

// quiet is calm, and no webhook on its way any more.
func (r *run) quiet(ctx context.Context, patience time.Duration) error {
	for until := time.Now().Add(patience); ; {
		if err := r.calm(ctx, patience); err != nil {
			return err
		}
		summary, err := r.theatre.summary(ctx)
		if err != nil || summary.Webhooks.Pending == 0 || time.Now().After(until) {
			return err
		}
	}
}

// audit waits for rest, gathers what database, core and provider say, and judges it.
func (r *run) audit(ctx context.Context, report *Report) ([]loadtest.Verdict, error) {
	conn, err := pgx.Connect(ctx, r.theatre.database.DirectURL())
	if err != nil {
		return nil, fmt.Errorf("connect for the audit: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	left, err := r.rest(ctx, conn, r.Patience)
	if err != nil {
		return nil, err
	}
	e := &evidence{left: left, report: report}
	if err := e.read(ctx, conn); err != nil {
		return nil, err
	}
	// Only now: it books the provider's fees and payouts, which its books tell apart.
	if e.settled, err = r.reconcile(ctx); err != nil {
		return nil, err
	}
	operator, err := r.theatre.operator(0)
	if err != nil {
		return nil, err
	}
	var failed error
	e.books, failed = r.theatre.books(ctx)
	if err := errors.Join(failed, operator.Get(ctx, "/admin/v1/ledger/verify", &e.ledger), operator.Get(ctx, "/admin/v1/orders/verify", &e.trail)); err != nil {
		return nil, fmt.Errorf("gather evidence: %w", err)
	}
	report.Provider, report.Causes = e.books.misbehaved(), make(map[string]int64)
	for _, c := range e.causes {
		report.Causes[c.Cause] = c.Count
	}
	return e.judge(r), nil
}

// judge answers every question.
func (e *evidence) judge(r *run) []loadtest.Verdict {
	return []loadtest.Verdict{
		e.checkRest(), e.checkOrders(), e.checkCharges(), e.checkTickets(), e.checkProviderBalance(), e.checkClearing(),
		e.checkRefunds(), e.checkDisputes(), e.checkSettlement(), e.checkLedger(), e.checkTrail(), e.checkStock(), e.checkTrouble(r),
	}
}
