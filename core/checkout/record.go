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
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/fraud"
)

// Every write below names its rows by their primary key. Those of rows that exist repeat as a guard what they looked like
// when they were read; a statement that touches fewer rows than it names means that somebody was there in between.

const sqlInsertOrders = `
INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, language, body_hash, key_id, events, head, address,
    created_at, updated_at)
SELECT u.order_id, u.event_id, u.hold_id, u.entrant, u.state, u.amount_minor, u.currency, u.lines, u.email, u.language, u.body_hash, u.key_id, u.events, u.head, u.address,
    now(), now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::BYTEA[], $5::TEXT[], $6::INT8[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::BYTEA[], $11::UUID[], $12::INT8[],
    $13::BYTEA[], $14::BYTEA[], $15::TEXT[])
    AS u (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, head, address, language)`

const sqlUpdateOrders = `
UPDATE orders AS o SET state = u.state, events = u.events, head = u.head, updated_at = now()
FROM unnest($1::UUID[], $2::TEXT[], $3::INT8[], $4::INT8[], $5::BYTEA[]) AS u (order_id, state, events, was, head)
WHERE o.order_id = u.order_id AND o.events = u.was`

// Before the order is moved: the guard is how many events it had.
const sqlReseatOrders = `
UPDATE orders AS o SET hold_id = u.hold_id, lines = u.lines
FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::INT8[]) AS u (order_id, hold_id, lines, was)
WHERE o.order_id = u.order_id AND o.events = u.was`

const sqlInsertOrderEvents = `
INSERT INTO order_events (order_id, seq, cause, from_state, to_state, actor, reason, source, source_hash, at, hash)
SELECT u.order_id, u.seq, u.cause, u.from_state, u.to_state, u.actor, u.reason, u.source, u.source_hash, u.at, u.hash
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::BYTEA[], $10::TIMESTAMPTZ[], $11::BYTEA[])
    AS u (order_id, seq, cause, from_state, to_state, actor, reason, source, source_hash, at, hash)`

const sqlUpdatePayments = `
UPDATE payments AS p SET state = u.state, live = u.live, failure = u.failure, declines = u.declines, updated_at = now(),
    provider_ref = CASE WHEN u.provider_ref = '' THEN p.provider_ref ELSE u.provider_ref END,
    client_secret = CASE WHEN u.client_secret = '' THEN p.client_secret ELSE u.client_secret END
FROM unnest($1::UUID[], $2::INT8[], $3::TEXT[], $4::BOOL[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::TEXT[])
    AS u (order_id, attempt, state, live, provider_ref, client_secret, failure, declines, state_was, declines_was)
WHERE p.order_id = u.order_id AND p.attempt = u.attempt AND p.state = u.state_was AND p.declines = u.declines_was`

const sqlInsertPayments = `
INSERT INTO payments (order_id, attempt, payment_id, provider, provider_ref, client_secret, state, live, failure, declines, amount_minor, currency,
    method, created_at, updated_at)
SELECT u.order_id, u.attempt, u.payment_id, u.provider, '', '', 'created', true, '', '', u.amount_minor, u.currency, u.method, now(), now()
FROM unnest($1::UUID[], $2::INT8[], $3::UUID[], $4::TEXT[], $5::INT8[], $6::TEXT[], $7::TEXT[])
    AS u (order_id, attempt, payment_id, provider, amount_minor, currency, method)`

// entry is one row to come of order_events.
type entry struct {
	seq      int64
	cause    Cause
	from, to State
	origin
	reason string
}

// record is an order with its attempts as one batch sees and changes them.
type record struct {
	order    Order
	lines    string // of the order, as they are stored; decoded only where they are needed
	was      int64  // order.events when it was read; 0 for an order that is new
	opened   *Order // the answer to the openings of a new order
	payments []Payment
	entries  []entry
	reseated bool      // the order has another hold or other lines than it was read with
	head     []byte    // of the order's chain when it was read; see chain.go
	now      time.Time // by the database's clock, when it was read: the time of its entries

	taken map[uuid.UUID]taken // by payment: what banks have of it; read where there is late money and somebody asks
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
	return r.applyFrom(cause, origin{actor: actor}, reason)
}

// applyFrom is apply for a cause that came with a webhook or by a task of the outbox.
func (r *record) applyFrom(cause Cause, by origin, reason string) error {
	to, err := Next(r.order.State, cause)
	if err != nil {
		return err
	}
	r.entries = append(r.entries, entry{seq: r.order.events, cause: cause, from: r.order.State, to: to, origin: by, reason: reason})
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
		entrants, hashes, addresses       [][]byte
		states, currencies, lines, emails []string
		languages                         []string
		amounts, counts                   []int64
		heads                             [][]byte
	}
	movedOrders struct {
		ids          []uuid.UUID
		states       []string
		counts, were []int64
		heads        [][]byte

		reseated, holds []uuid.UUID
		lines           []string
		seatedWere      []int64
	}
	happenings struct {
		ids                                          []uuid.UUID
		seqs                                         []int64
		causes, froms, tos, actors, reasons, sources []string
		digests, hashes                              [][]byte
		ats                                          []time.Time
	}
	newPayments struct {
		orders, ids                    []uuid.UUID
		attempts, amounts              []int64
		providers, currencies, methods []string
	}
	movedPayments struct {
		orders                                                       []uuid.UUID
		attempts                                                     []int64
		lives                                                        []bool
		states, refs, secrets, failures, declines, were, declinesWas []string
	}
)

// flush writes what changed in the records: one statement per table and kind of change, rows in key order, all in one
// round trip. errOutdated means that a row is no longer as it was read. Nothing else writes order_events, so every step is
// part of its order's chain.
func (s *Service) flush(ctx context.Context, tx pgx.Tx, records map[uuid.UUID]*record) error {
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
		head, err := happened.add(r)
		if err != nil {
			return err
		}
		if r.was == 0 {
			opened.add(r, head)
		} else if len(r.entries) > 0 {
			moved.add(r, head)
		}
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
	s.touched.add(happened.ids)
	return nil
}

func (n *newOrders) add(r *record, head []byte) {
	o := &r.order
	n.ids, n.events, n.holds, n.keys = append(n.ids, o.ID), append(n.events, o.Event), append(n.holds, o.Hold), append(n.keys, o.key)
	n.entrants, n.hashes = append(n.entrants, o.Entrant[:]), append(n.hashes, o.bodyHash)
	n.states, n.currencies = append(n.states, string(o.State)), append(n.currencies, o.Amount.Currency)
	n.lines, n.emails = append(n.lines, r.lines), append(n.emails, o.Email)
	n.languages = append(n.languages, o.Language)
	n.amounts, n.counts = append(n.amounts, o.Amount.Minor), append(n.counts, o.events)
	n.heads = append(n.heads, head)
	address := []byte{}
	if o.address != (fraud.Mark{}) {
		address = o.address[:]
	}
	n.addresses = append(n.addresses, address)
}

func (n *newOrders) queue(b *pgx.Batch) {
	if len(n.ids) > 0 {
		b.Queue(sqlInsertOrders, n.ids, n.events, n.holds, n.entrants, n.states, n.amounts, n.currencies, n.lines, n.emails, n.hashes, n.keys, n.counts,
			n.heads, n.addresses, n.languages)
	}
}

func (m *movedOrders) add(r *record, head []byte) {
	m.ids, m.states = append(m.ids, r.order.ID), append(m.states, string(r.order.State))
	m.counts, m.were = append(m.counts, r.order.events), append(m.were, r.was)
	if r.reseated {
		m.reseated, m.holds = append(m.reseated, r.order.ID), append(m.holds, r.order.Hold)
		m.lines, m.seatedWere = append(m.lines, r.lines), append(m.seatedWere, r.was)
	}
	m.heads = append(m.heads, head)
}

func (m *movedOrders) queue(b *pgx.Batch) {
	if len(m.reseated) > 0 {
		b.Queue(sqlReseatOrders, m.reseated, m.holds, m.lines, m.seatedWere).Exec(exactly("reseat orders", len(m.reseated)))
	}
	if len(m.ids) > 0 {
		b.Queue(sqlUpdateOrders, m.ids, m.states, m.counts, m.were, m.heads).Exec(exactly("move orders", len(m.ids)))
	}
}

// add links the record's entries to its chain, and answers the chain's new head.
func (h *happenings) add(r *record) (head []byte, err error) {
	if len(r.entries) > 0 && r.now.IsZero() {
		return nil, fmt.Errorf("write the steps of order %s: no time was read for them", r.order.ID)
	}
	head = r.head
	for _, e := range r.entries {
		row := chained{order: r.order.ID, entry: e, at: r.now}
		head = row.sum(head)
		h.sources, h.digests = append(h.sources, e.source), append(h.digests, append([]byte{}, e.digest...))
		h.ats, h.hashes = append(h.ats, r.now), append(h.hashes, head)
		h.ids, h.seqs, h.causes = append(h.ids, r.order.ID), append(h.seqs, e.seq), append(h.causes, string(e.cause))
		h.froms, h.tos = append(h.froms, string(e.from)), append(h.tos, string(e.to))
		h.actors, h.reasons = append(h.actors, e.actor), append(h.reasons, e.reason)
	}
	return head, nil
}

func (h *happenings) queue(b *pgx.Batch) {
	if len(h.ids) > 0 {
		b.Queue(sqlInsertOrderEvents, h.ids, h.seqs, h.causes, h.froms, h.tos, h.actors, h.reasons, h.sources, h.digests, h.ats, h.hashes)
	}
}

func (n *newPayments) add(r *record, p *Payment) {
	n.orders, n.ids, n.attempts = append(n.orders, r.order.ID), append(n.ids, p.ID), append(n.attempts, int64(p.Attempt))
	n.amounts, n.providers = append(n.amounts, r.order.Amount.Minor), append(n.providers, p.Provider)
	n.currencies, n.methods = append(n.currencies, r.order.Amount.Currency), append(n.methods, p.Method)
}

func (n *newPayments) queue(b *pgx.Batch) {
	if len(n.ids) > 0 {
		b.Queue(sqlInsertPayments, n.orders, n.attempts, n.ids, n.providers, n.amounts, n.currencies, n.methods)
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
