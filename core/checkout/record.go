package checkout

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

const sqlOrdersForUpdate = `
SELECT order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, events, created_at, updated_at, now()
FROM orders WHERE order_id = ANY($1::UUID[]) ORDER BY order_id FOR UPDATE`

const sqlPaymentsOfOrders = `
SELECT payment_id, order_id, attempt, provider, provider_ref, client_secret, state, failure, declines
FROM payments WHERE order_id = ANY($1::UUID[]) ORDER BY order_id, attempt`

const sqlUpdateOrders = `
UPDATE orders SET state = u.state, events = u.events, updated_at = now()
FROM unnest($1::UUID[], $2::TEXT[], $3::INT8[]) AS u (order_id, state, events)
WHERE orders.order_id = u.order_id`

const sqlInsertOrderEvents = `
INSERT INTO order_events (order_id, seq, cause, from_state, to_state, actor, reason, at)
SELECT u.order_id, u.seq, u.cause, u.from_state, u.to_state, u.actor, u.reason, now()
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[])
    AS u (order_id, seq, cause, from_state, to_state, actor, reason)`

const sqlUpdatePayments = `
UPDATE payments SET state = u.state, provider_ref = u.provider_ref, client_secret = u.client_secret, failure = u.failure,
    declines = u.declines, updated_at = now()
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[])
    AS u (payment_id, state, provider_ref, client_secret, failure, declines)
WHERE payments.payment_id = u.payment_id`

const sqlInsertPayments = `
INSERT INTO payments (payment_id, order_id, attempt, provider, provider_ref, client_secret, state, failure, declines, amount_minor, currency,
    created_at, updated_at)
SELECT u.payment_id, u.order_id, u.attempt, u.provider, '', '', 'created', '', '', u.amount_minor, u.currency, now(), now()
FROM unnest($1::UUID[], $2::UUID[], $3::INT8[], $4::TEXT[], $5::INT8[], $6::TEXT[])
    AS u (payment_id, order_id, attempt, provider, amount_minor, currency)`

// entry is one row to come of order_events.
type entry struct {
	seq           int64
	cause         Cause
	from, to      State
	actor, reason string
}

// record is an order with its attempts as one transaction sees and changes them.
type record struct {
	order    Order
	payments []Payment
	entries  []entry
	touched  map[uuid.UUID]bool // payments to write
	added    []Payment
	now      time.Time
}

// apply moves the order by cause and notes it; the caller decides beforehand whether the cause fits.
func (r *record) apply(cause Cause, actor, reason string) error {
	to, err := Next(r.order.State, cause)
	if err != nil {
		return err
	}
	r.entries = append(r.entries, entry{seq: r.order.events, cause: cause, from: r.order.State, to: to, actor: actor, reason: reason})
	r.order.events++
	r.order.State = to
	return nil
}

// payment finds an attempt of the order; nil when it has none of that id.
func (r *record) payment(id uuid.UUID) *Payment {
	for i := range r.payments {
		if r.payments[i].ID == id {
			return &r.payments[i]
		}
	}
	return nil
}

// live is the attempt that money may still come of; nil when there is none.
func (r *record) live() *Payment {
	for i := range r.payments {
		if r.payments[i].State.Live() {
			return &r.payments[i]
		}
	}
	return nil
}

// touch marks an attempt as changed.
func (r *record) touch(p *Payment) {
	if r.touched == nil {
		r.touched = map[uuid.UUID]bool{}
	}
	r.touched[p.ID] = true
}

// loadRecords reads and locks orders in key order, each with its attempts. Unknown ids are left out.
func loadRecords(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]*record, error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	records := make(map[uuid.UUID]*record, len(ids))

	batch := &pgx.Batch{}
	batch.Queue(sqlOrdersForUpdate, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			r := &record{}
			if err := scanOrder(rows, &r.order, &r.now); err != nil {
				return err
			}
			records[r.order.ID] = r
		}
		return rows.Err()
	})
	batch.Queue(sqlPaymentsOfOrders, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var p Payment
			var order uuid.UUID
			var declines string
			if err := rows.Scan(&p.ID, &order, &p.Attempt, &p.Provider, &p.ProviderRef, &p.ClientSecret, &p.State, &p.Failure, &declines); err != nil {
				return err
			}
			p.declines = strings.Fields(declines)
			if r := records[order]; r != nil {
				r.payments = append(r.payments, p)
			}
		}
		return rows.Err()
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read orders and payments: %w", err)
	}
	return records, nil
}

// scanOrder reads the columns of an order, and into more what the statement selects behind them.
func scanOrder(row pgx.Row, o *Order, now *time.Time, more ...any) error {
	var entrant []byte
	var lines, currency string
	var minor int64
	if err := row.Scan(append([]any{&o.ID, &o.Event, &o.Hold, &entrant, &o.State, &minor, &currency, &lines, &o.Email, &o.bodyHash, &o.events,
		&o.CreatedAt, &o.UpdatedAt, now}, more...)...); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	if len(entrant) != len(lottery.Entrant{}) {
		return fmt.Errorf("read order %s: entrant of %d bytes", o.ID, len(entrant))
	}
	o.Entrant = lottery.Entrant(entrant)
	o.Amount = ledger.Amount{Minor: minor, Currency: currency}
	o.ServerTime = *now
	var err error
	o.Lines, err = decodeLines(lines)
	return err
}

// flush writes what changed in the records: one statement per table, all in one round trip.
func flush(ctx context.Context, tx pgx.Tx, records map[uuid.UUID]*record) error {
	ordered := make([]*record, 0, len(records))
	for _, r := range records {
		ordered = append(ordered, r)
	}
	slices.SortFunc(ordered, func(a, b *record) int { return bytes.Compare(a.order.ID[:], b.order.ID[:]) })

	var orders struct {
		ids    []uuid.UUID
		states []string
		events []int64
	}
	var events struct {
		ids                                []uuid.UUID
		seqs                               []int64
		causes, froms, tos, actors, reason []string
	}
	var changed struct {
		ids                                       []uuid.UUID
		states, refs, secrets, failures, declines []string
	}
	var added struct {
		ids, orders           []uuid.UUID
		attempts, amounts     []int64
		providers, currencies []string
	}
	for _, r := range ordered {
		if len(r.entries) > 0 {
			orders.ids = append(orders.ids, r.order.ID)
			orders.states = append(orders.states, string(r.order.State))
			orders.events = append(orders.events, r.order.events)
		}
		for _, e := range r.entries {
			events.ids = append(events.ids, r.order.ID)
			events.seqs = append(events.seqs, e.seq)
			events.causes = append(events.causes, string(e.cause))
			events.froms = append(events.froms, string(e.from))
			events.tos = append(events.tos, string(e.to))
			events.actors = append(events.actors, e.actor)
			events.reason = append(events.reason, e.reason)
		}
		for _, p := range r.payments {
			if r.touched[p.ID] {
				changed.ids = append(changed.ids, p.ID)
				changed.states = append(changed.states, string(p.State))
				changed.refs = append(changed.refs, p.ProviderRef)
				changed.secrets = append(changed.secrets, p.ClientSecret)
				changed.failures = append(changed.failures, p.Failure)
				changed.declines = append(changed.declines, strings.Join(p.declines, " "))
			}
		}
		for _, p := range r.added {
			added.ids = append(added.ids, p.ID)
			added.orders = append(added.orders, r.order.ID)
			added.attempts = append(added.attempts, int64(p.Attempt))
			added.amounts = append(added.amounts, r.order.Amount.Minor)
			added.providers = append(added.providers, p.Provider)
			added.currencies = append(added.currencies, r.order.Amount.Currency)
		}
	}

	batch := &pgx.Batch{}
	if len(orders.ids) > 0 {
		batch.Queue(sqlUpdateOrders, orders.ids, orders.states, orders.events)
	}
	if len(events.ids) > 0 {
		batch.Queue(sqlInsertOrderEvents, events.ids, events.seqs, events.causes, events.froms, events.tos, events.actors, events.reason)
	}
	if len(changed.ids) > 0 {
		batch.Queue(sqlUpdatePayments, changed.ids, changed.states, changed.refs, changed.secrets, changed.failures, changed.declines)
	}
	if len(added.ids) > 0 {
		batch.Queue(sqlInsertPayments, added.ids, added.orders, added.attempts, added.providers, added.amounts, added.currencies)
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write orders, their events and payments: %w", err)
	}
	return nil
}
