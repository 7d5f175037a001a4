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

	"fairgate/core/inventory"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

const sqlReadOrders = `
SELECT o.order_id, o.event_id, o.hold_id, o.entrant, o.state, o.amount_minor, o.currency, o.lines, o.email, o.language, o.body_hash, o.events,
    o.created_at, o.updated_at, now(), o.head
FROM unnest($1::UUID[]) AS k (order_id)
JOIN orders AS o ON o.order_id = k.order_id`

const sqlReadPayments = `
SELECT p.payment_id, p.order_id, p.attempt, p.provider, p.provider_ref, p.client_secret, p.state, p.failure, p.declines, p.method
FROM unnest($1::UUID[]) AS k (order_id)
JOIN payments AS p ON p.order_id = k.order_id`

const sqlReadKeys = `
SELECT o.key_id, o.order_id
FROM unnest($1::UUID[]) AS k (key_id)
JOIN orders AS o ON o.key_id = k.key_id`

const sqlNow = `SELECT now()`

// read fetches what the batch rests on, without a transaction: the orders it names, the attempts to pay those that are
// tried again or have news, the orders that were opened with the keys of its openings, and then the holds concerned.
func (b *batch) read(ctx context.Context) error {
	var named, moved, keys []uuid.UUID
	for _, a := range b.asks {
		switch {
		case a.opening != nil:
			named, keys = append(named, OrderID(a.opening.Hold)), append(keys, a.opening.keyID())
		case a.retry != nil:
			moved = append(moved, a.retry.order)
		default:
			moved = append(moved, a.outcome.Order)
		}
	}
	moved = once(moved)
	d := b.service.db
	err := d.Reading(ctx, func() error {
		b.records, b.keys = make(map[uuid.UUID]*record, len(b.asks)), make(map[uuid.UUID]uuid.UUID)
		statements := &pgx.Batch{}
		queueOrders(statements, b.records, once(append(named, moved...)), moved)
		if len(keys) > 0 {
			statements.Queue(sqlNow).QueryRow(func(row pgx.Row) error { return row.Scan(&b.now) })
			statements.Queue(sqlReadKeys, once(keys)).Query(func(rows pgx.Rows) error {
				var key, order uuid.UUID
				_, err := pgx.ForEachRow(rows, []any{&key, &order}, func() error {
					b.keys[key] = order
					return nil
				})
				return err
			})
		}
		return d.Reader.SendBatch(ctx, statements).Close()
	})
	if err != nil {
		return fmt.Errorf("read the orders of a batch: %w", err)
	}
	if err := b.readCards(ctx); err != nil {
		return err
	}
	if ids := b.holdIDs(); len(ids) > 0 {
		err := d.Reading(ctx, func() (err error) {
			b.holds, err = inventory.Read(ctx, d.Reader, ids)
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.readListed(ctx)
}

// holdIDs are the holds that decisions rest on: of new orders, of orders to be tried again, and of those about to be sold.
func (b *batch) holdIDs() []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(b.asks))
	for _, a := range b.asks {
		switch {
		case a.opening != nil:
			if b.records[OrderID(a.opening.Hold)] == nil {
				ids = append(ids, a.opening.Hold)
			}
		case a.retry != nil:
			if r := b.records[a.retry.order]; r != nil && r.order.State != PaymentPending {
				ids = append(ids, r.order.Hold)
			}
		default:
			if r := b.records[a.outcome.Order]; r != nil && (authorizes(r, a.outcome) || a.outcome.Cause == CauseDenied) {
				ids = append(ids, r.order.Hold)
			}
			if a.outcome.Hold != uuid.Nil {
				ids = append(ids, a.outcome.Hold)
			}
		}
	}
	return once(ids)
}

// once is the ids sorted, each once.
func once(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// queueOrders reads orders into records, unknown ones not at all, and the attempts of those in moved.
func queueOrders(b *pgx.Batch, records map[uuid.UUID]*record, ids, moved []uuid.UUID) {
	b.Queue(sqlReadOrders, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			r := &record{}
			if err := scanOrder(rows, &r.order, &r.lines, &r.now, &r.head); err != nil {
				return err
			}
			r.was = r.order.events
			records[r.order.ID] = r
		}
		return rows.Err()
	})
	if len(moved) == 0 {
		return
	}
	b.Queue(sqlReadPayments, moved).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var p Payment
			var order uuid.UUID
			if err := rows.Scan(&p.ID, &order, &p.Attempt, &p.Provider, &p.ProviderRef, &p.ClientSecret, &p.State, &p.Failure, &p.declinesWas, &p.Method); err != nil {
				return err
			}
			p.was, p.declines = p.State, strings.Fields(p.declinesWas)
			if r := records[order]; r != nil {
				r.payments = append(r.payments, p)
			}
		}
		for _, r := range records {
			slices.SortFunc(r.payments, func(a, b Payment) int { return a.Attempt - b.Attempt })
		}
		return rows.Err()
	})
}

// loadRecords reads orders with their attempts inside somebody else's transaction.
func loadRecords(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]*record, error) {
	ids = once(slices.Clone(ids))
	records := make(map[uuid.UUID]*record)
	b := &pgx.Batch{}
	queueOrders(b, records, ids, ids)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read orders and payments: %w", err)
	}
	return records, nil
}

// scanOrder reads the columns of an order, its lines as they are stored, and into more what the statement selects behind
// them.
func scanOrder(row pgx.Row, o *Order, lines *string, now *time.Time, more ...any) error {
	var entrant []byte
	var currency string
	var minor int64
	if err := row.Scan(append([]any{&o.ID, &o.Event, &o.Hold, &entrant, &o.State, &minor, &currency, lines, &o.Email, &o.Language, &o.bodyHash, &o.events,
		&o.CreatedAt, &o.UpdatedAt, now}, more...)...); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	if len(entrant) != len(lottery.Entrant{}) {
		return fmt.Errorf("read order %s: entrant of %d bytes", o.ID, len(entrant))
	}
	o.Entrant = lottery.Entrant(entrant)
	o.Amount = ledger.Amount{Minor: minor, Currency: currency}
	o.ServerTime = *now
	return nil
}
