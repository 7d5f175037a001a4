package checkout

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Every write below names its rows by their primary key. Those of rows that exist repeat as a guard what they looked like
// when they were read; a statement that touches fewer rows than it names means that somebody was there in between.

const sqlInsertOrders = `
INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, created_at, updated_at)
SELECT u.order_id, u.event_id, u.hold_id, u.entrant, u.state, u.amount_minor, u.currency, u.lines, u.email, u.body_hash, u.key_id, u.events, now(), now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::BYTEA[], $5::TEXT[], $6::INT8[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::BYTEA[], $11::UUID[], $12::INT8[])
    AS u (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events)`

const sqlUpdateOrders = `
UPDATE orders AS o SET state = u.state, events = u.events, updated_at = now()
FROM unnest($1::UUID[], $2::TEXT[], $3::INT8[], $4::INT8[]) AS u (order_id, state, events, was)
WHERE o.order_id = u.order_id AND o.events = u.was`

const sqlInsertOrderEvents = `
INSERT INTO order_events (order_id, seq, cause, from_state, to_state, actor, reason, at)
SELECT u.order_id, u.seq, u.cause, u.from_state, u.to_state, u.actor, u.reason, now()
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[])
    AS u (order_id, seq, cause, from_state, to_state, actor, reason)`

const sqlUpdatePayments = `
UPDATE payments AS p SET state = u.state, live = u.live, failure = u.failure, declines = u.declines, updated_at = now(),
    provider_ref = CASE WHEN u.provider_ref = '' THEN p.provider_ref ELSE u.provider_ref END,
    client_secret = CASE WHEN u.client_secret = '' THEN p.client_secret ELSE u.client_secret END
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::BOOL[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::TEXT[])
    AS u (order_id, attempt, state, live, provider_ref, client_secret, failure, declines, state_was, declines_was)
WHERE p.order_id = u.order_id AND p.attempt = u.attempt AND p.state = u.state_was AND p.declines = u.declines_was`

const sqlInsertPayments = `
INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor, currency,
    created_at, updated_at)
SELECT u.order_id, u.attempt, u.payment_id, u.provider, '', '', 'created', true, '', '', u.amount_minor, u.currency, now(), now()
FROM unnest($1::UUID[], $2::INT8[], $3::UUID[], $4::TEXT[], $5::INT8[], $6::TEXT[])
    AS u (order_id, attempt, payment_id, provider, amount_minor, currency)`

// entry is one row to come of order_events.
type entry struct {
	seq           int64
	cause         Cause
	from, to      State
	actor, reason string
}

// record is an order with its attempts as one batch sees and changes them.
type record struct {
	order    Order
	lines    string // of the order, as they are stored; decoded only where they are needed
	was      int64  // order.events when it was read; 0 for an order that is new
	opened   *Order // the answer to the openings of a new order
	payments []Payment
	entries  []entry
}

// dirty tells whether there is anything to write.
func (r *record) dirty() bool {
	if len(r.entries) > 0 {
		return true
	}
	for i := range r.payments {
		if p := &r.payments[i]; p.touched || p.was == "" {
			return true
		}
	}
	return false
}

// decode fills in the order's lines.
func (r *record) decode() (err error) {
	if r.order.Lines == nil {
		r.order.Lines, err = decodeLines(r.lines)
	}
	return err
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

// The arrays of flush's statements.
type (
	newOrders struct {
		ids, events, holds, keys          []uuid.UUID
		entrants, hashes                  [][]byte
		states, currencies, lines, emails []string
		amounts, counts                   []int64
	}
	movedOrders struct {
		ids          []uuid.UUID
		states       []string
		counts, were []int64
	}
	happenings struct {
		ids                                 []uuid.UUID
		seqs                                []int64
		causes, froms, tos, actors, reasons []string
	}
	newPayments struct {
		orders, ids           []uuid.UUID
		attempts, amounts     []int64
		providers, currencies []string
	}
	movedPayments struct {
		orders                                                       []uuid.UUID
		attempts                                                     []int64
		lives                                                        []bool
		states, refs, secrets, failures, declines, were, declinesWas []string
	}
)

// flush writes what changed in the records: one statement per table and kind of change, rows in key order, all in one
// round trip. errOutdated means that a row is no longer as it was read.
func flush(ctx context.Context, tx pgx.Tx, records map[uuid.UUID]*record) error {
	ordered := make([]*record, 0, len(records))
	for _, r := range records {
		if r.dirty() {
			ordered = append(ordered, r)
		}
	}
	slices.SortFunc(ordered, func(a, b *record) int { return bytes.Compare(a.order.ID[:], b.order.ID[:]) })
	var opened newOrders
	var moved movedOrders
	var happened happenings
	var begun newPayments
	var changed movedPayments
	for _, r := range ordered {
		if r.was == 0 {
			opened.add(r)
		} else if len(r.entries) > 0 {
			moved.add(r)
		}
		happened.add(r)
		for i := range r.payments {
			switch p := &r.payments[i]; {
			case p.was == "":
				begun.add(r, p)
			case p.touched:
				changed.add(r, p)
			}
		}
	}
	b := &pgx.Batch{}
	opened.queue(b)
	moved.queue(b)
	happened.queue(b)
	begun.queue(b)
	changed.queue(b)
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write orders, their events and payments: %w", err)
	}
	return nil
}

func (n *newOrders) add(r *record) {
	o := &r.order
	n.ids, n.events, n.holds, n.keys = append(n.ids, o.ID), append(n.events, o.Event), append(n.holds, o.Hold), append(n.keys, o.key)
	n.entrants, n.hashes = append(n.entrants, o.Entrant[:]), append(n.hashes, o.bodyHash)
	n.states, n.currencies = append(n.states, string(o.State)), append(n.currencies, o.Amount.Currency)
	n.lines, n.emails = append(n.lines, r.lines), append(n.emails, o.Email)
	n.amounts, n.counts = append(n.amounts, o.Amount.Minor), append(n.counts, o.events)
}

func (n *newOrders) queue(b *pgx.Batch) {
	if len(n.ids) > 0 {
		b.Queue(sqlInsertOrders, n.ids, n.events, n.holds, n.entrants, n.states, n.amounts, n.currencies, n.lines, n.emails, n.hashes, n.keys, n.counts)
	}
}

func (m *movedOrders) add(r *record) {
	m.ids, m.states = append(m.ids, r.order.ID), append(m.states, string(r.order.State))
	m.counts, m.were = append(m.counts, r.order.events), append(m.were, r.was)
}

func (m *movedOrders) queue(b *pgx.Batch) {
	if len(m.ids) > 0 {
		b.Queue(sqlUpdateOrders, m.ids, m.states, m.counts, m.were).Exec(exactly("move orders", len(m.ids)))
	}
}

func (h *happenings) add(r *record) {
	for _, e := range r.entries {
		h.ids, h.seqs, h.causes = append(h.ids, r.order.ID), append(h.seqs, e.seq), append(h.causes, string(e.cause))
		h.froms, h.tos = append(h.froms, string(e.from)), append(h.tos, string(e.to))
		h.actors, h.reasons = append(h.actors, e.actor), append(h.reasons, e.reason)
	}
}

func (h *happenings) queue(b *pgx.Batch) {
	if len(h.ids) > 0 {
		b.Queue(sqlInsertOrderEvents, h.ids, h.seqs, h.causes, h.froms, h.tos, h.actors, h.reasons)
	}
}

func (n *newPayments) add(r *record, p *Payment) {
	n.orders, n.ids, n.attempts = append(n.orders, r.order.ID), append(n.ids, p.ID), append(n.attempts, int64(p.Attempt))
	n.amounts, n.providers = append(n.amounts, r.order.Amount.Minor), append(n.providers, p.Provider)
	n.currencies = append(n.currencies, r.order.Amount.Currency)
}

func (n *newPayments) queue(b *pgx.Batch) {
	if len(n.ids) > 0 {
		b.Queue(sqlInsertPayments, n.orders, n.attempts, n.ids, n.providers, n.amounts, n.currencies)
	}
}

func (m *movedPayments) add(r *record, p *Payment) {
	m.orders, m.attempts, m.lives = append(m.orders, r.order.ID), append(m.attempts, int64(p.Attempt)), append(m.lives, p.State.Live())
	m.states, m.refs, m.secrets = append(m.states, string(p.State)), append(m.refs, p.ProviderRef), append(m.secrets, p.ClientSecret)
	m.failures, m.declines = append(m.failures, p.Failure), append(m.declines, strings.Join(p.declines, " "))
	m.were, m.declinesWas = append(m.were, string(p.was)), append(m.declinesWas, p.declinesWas)
}

func (m *movedPayments) queue(b *pgx.Batch) {
	if len(m.orders) > 0 {
		b.Queue(sqlUpdatePayments, m.orders, m.attempts, m.states, m.lives, m.refs, m.secrets, m.failures, m.declines, m.were, m.declinesWas).
			Exec(exactly("move payments", len(m.orders)))
	}
}

// exactly makes the check that a statement touched n rows.
func exactly(what string, n int) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
			return fmt.Errorf("%s: %d of %d rows: %w", what, tag.RowsAffected(), n, errOutdated)
		}
		return nil
	}
}
