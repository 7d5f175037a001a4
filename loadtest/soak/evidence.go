package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The audit's SQL reads and never writes.
const (
	sqlOrders   = `SELECT order_id, hold_id, state, amount_minor, currency, lines FROM orders ORDER BY order_id`
	sqlPayments = `SELECT order_id, attempt, payment_id, provider, provider_ref, state, amount_minor FROM payments ORDER BY order_id, attempt`
	sqlTickets  = `SELECT ticket_id, order_id, item, state FROM tickets ORDER BY ticket_id`
	sqlHolds    = `SELECT hold_id, state, units FROM holds ORDER BY hold_id`
	sqlStock    = `SELECT tier, allocation, capacity, taken FROM stock ORDER BY tier, allocation`
	sqlSeats    = `SELECT seat, state, hold_id FROM seats ORDER BY seat`
	sqlTasks    = `SELECT order_id, kind, state, attempts, last_error FROM outbox AS t WHERE state = 'dead' OR state = 'ready' AND due_at < now() + INTERVAL '10 minutes'
    AND NOT (t.kind = 'refund' AND EXISTS (SELECT 1 FROM refunds AS f WHERE f.refund_id::TEXT = t.payload AND f.state NOT IN ('requested', 'pending')))
ORDER BY created_at LIMIT 100`
	sqlRefunds  = `SELECT refund_id, order_id, provider, provider_ref, kind, state, resolution, amount_minor FROM refunds ORDER BY refund_id`
	sqlDisputes = `SELECT ref, provider, order_id, amount_minor, state, taken FROM disputes ORDER BY ref, provider`
	sqlCauses   = `SELECT cause, count(*)::INT8 FROM order_events GROUP BY cause ORDER BY cause`
	// What each reference has left on each account, final and pending, debits less credits. A cost of a provider that it did not charge, what a
	// lost dispute took of somebody who had the money back already, stands apart: the provider has nothing of it.
	sqlReferences = `SELECT CASE WHEN u.excess AND a.code LIKE 'provider_costs/%' THEN 'lost_twice' ELSE a.code END AS account, a.currency, u.reference, sum(u.final)::INT8, sum(u.pending)::INT8 FROM (
SELECT t.debit_account AS account_id, t.reference, t.code LIKE 'dispute_excess%' AS excess,
    CASE WHEN t.kind IN ('single', 'post', 'reverse') THEN t.amount_minor ELSE 0 END AS final,
    CASE t.kind WHEN 'pending' THEN t.amount_minor WHEN 'post' THEN -t.amount_minor WHEN 'void' THEN -t.amount_minor ELSE 0 END AS pending
FROM ledger_transfers AS t
UNION ALL
SELECT t.credit_account, t.reference, t.code LIKE 'dispute_excess%',
    CASE WHEN t.kind IN ('single', 'post', 'reverse') THEN -t.amount_minor ELSE 0 END,
    CASE t.kind WHEN 'pending' THEN -t.amount_minor WHEN 'post' THEN t.amount_minor WHEN 'void' THEN t.amount_minor ELSE 0 END
FROM ledger_transfers AS t
) AS u JOIN ledger_accounts AS a ON a.account_id = u.account_id
GROUP BY account, a.currency, u.reference ORDER BY account, a.currency, u.reference`
)

type orderRow struct {
	ID, Hold uuid.UUID
	State    string
	Minor    int64
	Currency string
	Lines    string
}

// lineTotal is what a buyer pays for one line.
type lineTotal struct{ Face, Fee, Tax int64 }

type paymentRow struct {
	Order       uuid.UUID
	Attempt     int64
	ID          uuid.UUID
	Provider    string
	ProviderRef string
	State       string
	Minor       int64
}

type ticketRow struct {
	ID, Order uuid.UUID
	Item      int64
	State     string
}

type holdRow struct {
	ID    uuid.UUID
	State string
	Units int64
}

type stockRow struct {
	Tier, Allocation string
	Capacity, Taken  int64
}

type seatRow struct {
	Seat, State string
	Hold        *uuid.UUID
}

// taskRow is a task that is not done.
type taskRow struct {
	Order       uuid.UUID
	Kind, State string
	Attempts    int64
	Error       string
}

type refundRow struct {
	ID, Order             uuid.UUID
	Provider, ProviderRef string
	Kind, State           string
	Resolution            string
	Minor                 int64
}

type disputeRow struct {
	Ref, Provider string
	Order         uuid.UUID
	Minor         int64
	State         string
	Taken         bool
}

type causeRow struct {
	Cause string
	Count int64
}

// referenceRow is what a reference has left on an account: debits less credits, final and pending.
type referenceRow struct {
	Account, Currency string
	Reference         uuid.UUID
	Final, Pending    int64
}

// evidence is everything the audit looks at, gathered before it judges.
type evidence struct {
	left       underWay
	report     *Report
	orders     []orderRow
	payments   []paymentRow
	tickets    []ticketRow
	holds      []holdRow
	stock      []stockRow
	seats      []seatRow
	tasks      []taskRow
	refunds    []refundRow
	disputes   []disputeRow
	causes     []causeRow
	references []referenceRow
	books      books
	ledger     ledgerReport
	trail      trailReport
	settled    []settled

	byOrder map[uuid.UUID][]ticketRow // see ticketsOf
}

// ledgerReport is GET /admin/v1/ledger/verify.
type ledgerReport struct {
	OK        bool  `json:"ok"`
	Transfers int64 `json:"transfers"`
	Checks    []struct {
		Name    string          `json:"name"`
		Checked int64           `json:"checked"`
		Failed  int64           `json:"failed"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"checks"`
}

// read fills in what the database says, as of one moment.
func (e *evidence) read(ctx context.Context, conn *pgx.Conn) error {
	tx, err := conn.BeginTx(ctx, asOfNow)
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	for _, step := range []func() error{
		func() error { return rows(ctx, tx, &e.orders, sqlOrders) },
		func() error { return rows(ctx, tx, &e.payments, sqlPayments) },
		func() error { return rows(ctx, tx, &e.tickets, sqlTickets) },
		func() error { return rows(ctx, tx, &e.holds, sqlHolds) },
		func() error { return rows(ctx, tx, &e.stock, sqlStock) },
		func() error { return rows(ctx, tx, &e.seats, sqlSeats) },
		func() error { return rows(ctx, tx, &e.tasks, sqlTasks) },
		func() error { return rows(ctx, tx, &e.refunds, sqlRefunds) },
		func() error { return rows(ctx, tx, &e.disputes, sqlDisputes) },
		func() error { return rows(ctx, tx, &e.causes, sqlCauses) },
		func() error { return rows(ctx, tx, &e.references, sqlReferences) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// rows fills a slice with the rows of a query, by position.
func rows[T any](ctx context.Context, tx pgx.Tx, into *[]T, sql string, args ...any) error {
	found, err := tx.Query(ctx, sql, args...)
	if err == nil {
		*into, err = pgx.CollectRows(found, pgx.RowToStructByPos[T])
	}
	if err != nil {
		return fmt.Errorf("read for the audit: %w", err)
	}
	return nil
}

// account is what one side of the provider has on record.
type account struct {
	Intents    []intent         `json:"intents"`
	Refunds    []refund         `json:"refunds"`
	Disputes   []dispute        `json:"disputes"`
	Balances   map[string]int64 `json:"balances"`
	Statement  mistakes         `json:"statement"`
	Consistent bool             `json:"consistent"`
}

// books are what the provider has on record: Stripe's side, and PayPal's.
type books struct {
	account
	PayPal account `json:"paypal"`
	Counts struct {
		Disputes int64 `json:"disputes"`
	} `json:"counts"` // of Stripe's side
	Webhooks struct {
		Created   int64 `json:"created"`
		Delivered int64 `json:"delivered"`
		Early     int64 `json:"early"`
		Repeated  int64 `json:"repeated"`
		Retried   int64 `json:"retried"`
		Lost      int64 `json:"lost"`
		GivenUp   int64 `json:"given_up"`
		Pending   int64 `json:"pending"`
	} `json:"webhooks"`
	Calls struct {
		Served   int64 `json:"served"`
		Replayed int64 `json:"replayed"`
		Limited  int64 `json:"limited"`
		Failed   int64 `json:"failed"`
		Lost     int64 `json:"lost"`
		OnWay    int64 `json:"on_way"`
	} `json:"calls"`
}

type intent struct {
	ID       string `json:"id"`
	Order    string `json:"order"`
	Payment  string `json:"payment"`
	Status   string `json:"status"`
	Amount   int64  `json:"amount"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"` // by refunds that have not failed
	Disputed int64  `json:"disputed"` // taken back by disputes that are open or lost
	Currency string `json:"currency"`
	Charges  int    `json:"charges"`
}

// kept is what the provider has of a payment.
func (i *intent) kept() int64 { return i.Captured - i.Refunded - i.Disputed }

type refund struct {
	ID     string `json:"id"`
	Refund string `json:"refund"` // our id of it
	Order  string `json:"order"`
	Amount int64  `json:"amount"`
	Status string `json:"status"`
}

type dispute struct {
	ID        string `json:"id"`
	Order     string `json:"order"`
	Amount    int64  `json:"amount"`
	Status    string `json:"status"`
	Withdrawn bool   `json:"withdrawn"`
}

// sides are the accounts by the name that the ledger has for them.
func (b *books) sides() map[string]*account {
	return map[string]*account{"stripe": &b.account, "paypal": &b.PayPal}
}

// intents are those of all sides.
func (b *books) intents() []intent {
	return append(b.Intents[:len(b.Intents):len(b.Intents)], b.PayPal.Intents...)
}

// disputes is how many there are on both sides; a summary has no list of Stripe's.
func (b *books) disputes() int64 { return b.Counts.Disputes + int64(len(b.PayPal.Disputes)) }

// misbehaved counts what the provider did wrong on purpose.
func (b *books) misbehaved() map[string]int64 {
	return map[string]int64{
		"webhooks repeated": b.Webhooks.Repeated, "webhooks early": b.Webhooks.Early, "webhooks sent again": b.Webhooks.Retried,
		"answers repeated from their key": b.Calls.Replayed, "calls failed": b.Calls.Failed, "answers lost": b.Calls.Lost,
		"calls long on their way": b.Calls.OnWay,
	}
}

func (t *theatre) books(ctx context.Context) (b books, err error) {
	return b, t.ask(ctx, "/_paysim/books", &b)
}

// summary is the books without their entries.
func (t *theatre) summary(ctx context.Context) (b books, err error) {
	return b, t.ask(ctx, "/_paysim/books?entries=0", &b)
}

// ask reads JSON of the provider's own pages.
func (t *theatre) ask(ctx context.Context, path string, into any) error {
	text, err := t.get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the provider's answer: %w", err)
	}
	return nil
}

// get reads one of the provider's own pages.
func (t *theatre) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.provider+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the provider: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the provider: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the provider for %s: %s", path, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<30))
}
