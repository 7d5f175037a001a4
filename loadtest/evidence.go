package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"fairgate/edge/lottery"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The audit's SQL reads and never writes; it runs in one read-only transaction.
const (
	sqlAuditStock    = `SELECT tier, allocation, capacity, taken FROM stock WHERE event_id = $1 ORDER BY tier, allocation`
	sqlAuditSeats    = `SELECT seat, state, hold_id FROM seats WHERE event_id = $1 ORDER BY seat`
	sqlAuditHolds    = `SELECT hold_id, state, units, items FROM holds WHERE event_id = $1 ORDER BY hold_id`
	sqlAuditQuotas   = `SELECT quota_id, scope_id, kind, buyer, taken, max_units FROM quota ORDER BY quota_id`
	sqlAuditCounted  = `SELECT hold_id, event_id, entrant, units, quotas FROM holds WHERE state IN ('active', 'sold') ORDER BY hold_id`
	sqlAuditPassed   = `SELECT unit_id, left_quotas, quotas FROM passed_units ORDER BY unit_id`
	sqlAuditOrders   = `SELECT order_id, event_id, state, amount_minor, currency FROM orders ORDER BY order_id`
	sqlAuditTickets  = `SELECT ticket_id, order_id, tier, seat, epoch, state, code, void_reason FROM tickets WHERE event_id = $1 ORDER BY ticket_id`
	sqlAuditBalances = `SELECT b.account_id, a.code, a.currency,
sum(b.debits_pending)::INT8, sum(b.credits_pending)::INT8, sum(b.debits_posted)::INT8, sum(b.credits_posted)::INT8
FROM ledger_balances AS b JOIN ledger_accounts AS a ON a.account_id = b.account_id
GROUP BY b.account_id, a.code, a.currency ORDER BY b.account_id`
	sqlAuditDebits = `SELECT debit_account, kind, sum(amount_minor)::INT8, count(*)::INT8 FROM ledger_transfers
GROUP BY debit_account, kind ORDER BY debit_account, kind`
	sqlAuditCredits = `SELECT credit_account, kind, sum(amount_minor)::INT8, count(*)::INT8 FROM ledger_transfers
GROUP BY credit_account, kind ORDER BY credit_account, kind`
	sqlAuditPayments = `SELECT order_id, state = 'captured' AND failure <> 'late', state = 'captured' AND failure = 'late' FROM payments ORDER BY order_id, attempt`
	sqlAuditRefunds  = `SELECT refund_id, order_id, state, resolution, amount_minor FROM refunds ORDER BY refund_id`
	// What banks have: of disputes that are undecided all that was taken, of lost ones what the books say is the buyer's, which may be a part.
	sqlAuditDisputed = `SELECT order_id, amount_minor FROM disputes WHERE taken AND closed_at IS NULL ORDER BY ref, provider`
	sqlAuditLost     = `SELECT reference, amount_minor FROM ledger_transfers WHERE code = 'dispute_lost' AND kind = 'single' ORDER BY transfer_id`
	// The provider's fees go from what it has to its costs. Its balances tell them apart, so they are left out.
	sqlAuditPaidIn = `SELECT t.reference, t.currency, sum(t.amount_minor)::INT8 FROM ledger_transfers AS t
JOIN ledger_accounts AS a ON a.account_id = t.debit_account JOIN ledger_accounts AS o ON o.account_id = t.credit_account
WHERE a.code LIKE 'provider_clearing/%' AND o.code NOT LIKE 'provider_costs/%' AND t.kind IN ('single', 'post', 'reverse')
GROUP BY t.reference, t.currency ORDER BY t.reference, t.currency`
	sqlAuditPaidBack = `SELECT t.reference, t.currency, sum(t.amount_minor)::INT8 FROM ledger_transfers AS t
JOIN ledger_accounts AS a ON a.account_id = t.credit_account JOIN ledger_accounts AS o ON o.account_id = t.debit_account
WHERE a.code LIKE 'provider_clearing/%' AND o.code NOT LIKE 'provider_costs/%' AND t.kind IN ('single', 'post', 'reverse')
GROUP BY t.reference, t.currency ORDER BY t.reference, t.currency`
	sqlAuditUnsettled = `SELECT
(SELECT count(*) FROM holds WHERE event_id = $1 AND state = 'active')::INT8,
(SELECT count(*) FROM outbox WHERE state = 'ready')::INT8,
(SELECT count(*) FROM webhooks WHERE handled_at IS NULL)::INT8,
(SELECT count(*) FROM orders WHERE state = 'payment_complete')::INT8`
)

type stockRow struct {
	Tier, Allocation string
	Capacity, Taken  int64
}

type seatRow struct {
	Seat, State string
	Hold        *uuid.UUID
}

type holdRow struct {
	ID    uuid.UUID
	State string
	Units int64
	Items string
}

// heldItem is one of holds.items.
type heldItem struct {
	Tier       string   `json:"tier"`
	Allocation string   `json:"allocation"`
	Quantity   int64    `json:"quantity"`
	Seats      []string `json:"seats"`
}

type quotaRow struct {
	ID, Scope    uuid.UUID
	Kind         string
	Buyer        []byte
	Taken, Limit int64
}

// countedRow is a hold of any event that counts under limits.
type countedRow struct {
	ID, Event uuid.UUID
	Entrant   []byte
	Units     int64
	Quotas    []byte // ids of the rows of quota besides the entrant's
}

// passedRow is a unit that counts for another buyer than its hold's: ids of rows of quota, one after the other.
type passedRow struct {
	Unit         uuid.UUID
	Left, Quotas []byte
}

type orderRow struct {
	ID, Event uuid.UUID
	State     string
	Minor     int64
	Currency  string
}

type ticketRow struct {
	ID, Order         uuid.UUID
	Tier, Seat        string
	Epoch             int64
	State, CodeAtGate string
	Why               string // it is void
}

type balanceRow struct {
	Account                       uuid.UUID
	Code, Currency                string
	DebitsPending, CreditsPending int64
	DebitsPosted, CreditsPosted   int64
}

type sideRow struct {
	Account uuid.UUID
	Kind    string
	Minor   int64
	Rows    int64
}

type referenceRow struct {
	Reference uuid.UUID
	Currency  string
	Minor     int64
}

// paymentRow is an attempt to pay: whether its money was captured for what the order sold, or too late for that.
type paymentRow struct {
	Order      uuid.UUID
	Sold, Late bool
}

type refundRow struct {
	ID, Order         uuid.UUID
	State, Resolution string
	Minor             int64
}

// bankRow is what a bank has of an order.
type bankRow struct {
	Order uuid.UUID
	Minor int64
}

// evidence is everything the audit looks at, gathered before it judges.
type evidence struct {
	event      string
	stock      []stockRow
	seats      []seatRow
	holds      []holdRow
	quotas     []quotaRow
	counted    []countedRow
	passed     []passedRow
	orders     []orderRow
	tickets    []ticketRow
	balances   []balanceRow
	debits     []sideRow
	credits    []sideRow
	payments   []paymentRow
	refunds    []refundRow
	disputed   []bankRow // by disputes that are undecided
	lost       []bankRow // by disputes that were lost
	paidIn     []referenceRow
	paidBack   []referenceRow
	entries    []entryRow
	titles     []titleRow
	books      Books
	ticketKeys lottery.PublicKeys
	transcript lottery.Transcript
	seen       lottery.Evidence // without receipts, which the witness has
	ledger     ledgerReport
	witness    *Witness
	shares     []Share           // of the bots, from transcript and witness
	buyers     int               // honest buyers who came
	failed     int               // honest buyers with an error
	problems   []Problem         // samples
	kinds      map[Problem]int64 // all, by operation, status and code
}

// ledgerReport is GET /admin/v1/ledger/verify.
type ledgerReport struct {
	OK        bool  `json:"ok"`
	Transfers int64 `json:"transfers"`
	Accounts  int64 `json:"accounts"`
	Checks    []struct {
		Name    string          `json:"name"`
		Checked int64           `json:"checked"`
		Failed  int64           `json:"failed"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"checks"`
}

// asOfNow is how the audit reads: everything of one moment, and without the conflicts between readers and writers that SERIALIZABLE
// brings on PostgreSQL, which would make the audit fail, or worse, the sale it watches. It looks when nothing is written any more.
var asOfNow = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// Beginner begins transactions: a connection or a pool.
type Beginner interface {
	BeginTx(ctx context.Context, opt pgx.TxOptions) (pgx.Tx, error)
}

// readDatabase fills in what the database says.
func (e *evidence) readDatabase(ctx context.Context, db Beginner) error {
	tx, err := db.BeginTx(ctx, asOfNow)
	if err != nil {
		return fmt.Errorf("begin to read: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	return e.readFrom(ctx, tx)
}

// readFrom fills in what the database says in one transaction.
func (e *evidence) readFrom(ctx context.Context, tx pgx.Tx) error {
	event := lottery.EventID(e.event)
	steps := []func() error{
		func() error { return read(ctx, tx, &e.stock, sqlAuditStock, event) },
		func() error { return read(ctx, tx, &e.seats, sqlAuditSeats, event) },
		func() error { return read(ctx, tx, &e.holds, sqlAuditHolds, event) },
		func() error { return read(ctx, tx, &e.quotas, sqlAuditQuotas) },
		func() error { return read(ctx, tx, &e.counted, sqlAuditCounted) },
		func() error { return read(ctx, tx, &e.passed, sqlAuditPassed) },
		func() error { return read(ctx, tx, &e.orders, sqlAuditOrders) },
		func() error { return read(ctx, tx, &e.tickets, sqlAuditTickets, event) },
		func() error { return read(ctx, tx, &e.balances, sqlAuditBalances) },
		func() error { return read(ctx, tx, &e.debits, sqlAuditDebits) },
		func() error { return read(ctx, tx, &e.credits, sqlAuditCredits) },
		func() error { return read(ctx, tx, &e.payments, sqlAuditPayments) },
		func() error { return read(ctx, tx, &e.refunds, sqlAuditRefunds) },
		func() error { return read(ctx, tx, &e.disputed, sqlAuditDisputed) },
		func() error { return read(ctx, tx, &e.lost, sqlAuditLost) },
		func() error { return read(ctx, tx, &e.paidIn, sqlAuditPaidIn) },
		func() error { return read(ctx, tx, &e.paidBack, sqlAuditPaidBack) },
		func() error { return read(ctx, tx, &e.entries, sqlAuditEntries, event) },
		func() error { return read(ctx, tx, &e.titles, sqlAuditTitles, event) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// read fills a slice with the rows of a query, by position.
func read[T any](ctx context.Context, tx pgx.Tx, into *[]T, sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err == nil {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	}
	if err != nil {
		return fmt.Errorf("read for the audit: %w", err)
	}
	return nil
}

// unsettled is what is still under way.
type unsettled struct{ Holds, Outbox, Webhooks, Orders int64 }

func (u unsettled) none() bool { return u == unsettled{} }

// settle waits until nothing is under way any more, at most for the given time. What is left then is for the verdicts to tell.
func settle(ctx context.Context, db Beginner, event string, atMost time.Duration) (unsettled, error) {
	until := time.Now().Add(atMost)
	for {
		var left unsettled
		tx, err := db.BeginTx(ctx, asOfNow)
		if err == nil {
			err = tx.QueryRow(ctx, sqlAuditUnsettled, lottery.EventID(event)).Scan(&left.Holds, &left.Outbox, &left.Webhooks, &left.Orders)
			if ended := tx.Rollback(ctx); err == nil {
				err = ended
			}
		}
		if err != nil {
			return left, fmt.Errorf("see what is under way: %w", err)
		}
		if left.none() || time.Now().After(until) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}
