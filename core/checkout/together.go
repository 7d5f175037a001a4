package checkout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// Orders are read together, as they are written together: while one statement is under way, what is asked meanwhile waits for
// the next, which reads all of it. Thousands of buyers who look at their orders cost the database a few dozen statements a
// second, and one who asks alone waits for nobody.

// readTogether is how many orders one statement reads at most.
const readTogether = 500

// The latest attempt of an order is the last of its rows.
const sqlOrders = `
SELECT o.order_id, o.event_id, o.hold_id, o.entrant, o.state, o.amount_minor, o.currency, o.lines, o.email, o.language, o.body_hash, o.events,
    o.created_at, o.updated_at, now(), h.deadline,
    p.payment_id, p.attempt, p.provider, p.provider_ref, p.client_secret, p.state, p.failure, p.method
FROM unnest($1::UUID[]) AS k (order_id)
JOIN orders AS o ON o.order_id = k.order_id
JOIN holds AS h ON h.hold_id = o.hold_id
JOIN payments AS p ON p.order_id = o.order_id
ORDER BY o.order_id, p.attempt`

const sqlPaymentIntents = `
SELECT p.payment_id, p.order_id, p.attempt, p.amount_minor, p.currency, p.provider, p.provider_ref, p.state, p.failure, p.method, o.event_id, o.email
FROM unnest($1::UUID[], $2::UUID[]) AS k (order_id, payment_id)
JOIN payments AS p ON p.order_id = k.order_id AND p.payment_id = k.payment_id
JOIN orders AS o ON o.order_id = p.order_id`

// found is what became of one order that was asked for.
type found struct {
	order Order
	err   error
}

// alone asks a lane of readings, and reads without it when it is closed. A reading that a caller gave up changed nothing.
func alone[Q, A any](ctx context.Context, lane *db.Lane[Q, A], read func(context.Context, []Q) ([]A, error), q Q) (answer A, err error) {
	answer, err = lane.Do(ctx, q)
	if errors.Is(err, db.ErrClosed) {
		var answers []A
		if answers, err = read(ctx, []Q{q}); err == nil {
			return answers[0], nil
		}
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return answer, err
}

// readOrders reads orders with their latest attempts and their tickets; one answer for each id.
func (s *Service) readOrders(ctx context.Context, ids []uuid.UUID) ([]found, error) {
	byID := make(map[uuid.UUID]found, len(ids))
	err := s.db.Reading(ctx, func() error {
		clear(byID)
		texts := make(map[uuid.UUID]string, len(ids))
		rows, err := s.db.Reader.Query(ctx, sqlOrders, once(append([]uuid.UUID{}, ids...)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f found
			var lines string
			o, p := &f.order, &f.order.Payment
			if err := scanOrder(rows, o, &lines, &o.ServerTime, &o.Deadline, &p.ID, &p.Attempt, &p.Provider, &p.ProviderRef, &p.ClientSecret, &p.State,
				&p.Failure, &p.Method); err != nil {
				return err
			}
			byID[o.ID], texts[o.ID] = f, lines
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
		refunds, err := s.refundsAmong(ctx, byID)
		if err != nil {
			return err
		}
		for id, f := range byID {
			f.order.Refunds = refunds[id]
			f.err = s.complete(ctx, &f.order, texts[id])
			byID[id] = f
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %d orders: %w", len(ids), err)
	}
	answers := make([]found, len(ids))
	for i, id := range ids {
		var known bool
		if answers[i], known = byID[id]; !known {
			answers[i].err = ErrOrderUnknown
		}
	}
	return answers, nil
}

// complete fills in what does not stand in the order's row.
func (s *Service) complete(ctx context.Context, o *Order, lines string) (err error) {
	if o.Lines, err = decodeLines(lines); err != nil {
		return fmt.Errorf("order %s: %w", o.ID, err)
	}
	if o.State == TicketIssued { // every line that is left has its ticket, and they are named after the order
		for _, i := range unrefunded(len(o.Lines), o.Refunds) {
			o.Tickets = append(o.Tickets, ticket.TicketID(o.ID, i))
		}
	}
	terms, err := s.catalog(ctx, o.Event)
	if err != nil {
		return fmt.Errorf("terms of event %s: %w", o.Event, err)
	}
	o.Slug = terms.Slug
	return nil
}

// attempting is what became of one attempt that was asked for.
type attempting struct {
	attempt
	err error
}

// distinct are the orders and attempts of tasks, each once.
func distinct(tasks []payment.Task) (orders, payments []uuid.UUID) {
	orders, payments = make([]uuid.UUID, 0, len(tasks)), make([]uuid.UUID, 0, len(tasks))
	asked := make(map[[2]uuid.UUID]bool, len(tasks))
	for _, t := range tasks {
		if key := [2]uuid.UUID{t.OrderID, t.PaymentID}; !asked[key] {
			asked[key] = true
			orders, payments = append(orders, t.OrderID), append(payments, t.PaymentID)
		}
	}
	return orders, payments
}

// readAttempts reads attempts as their providers are told about them; one answer for each task.
func (s *Service) readAttempts(ctx context.Context, tasks []payment.Task) ([]attempting, error) {
	orders, payments := distinct(tasks)
	byID := make(map[uuid.UUID]attempting, len(payments))
	err := s.db.Reading(ctx, func() error {
		clear(byID)
		rows, err := s.db.Reader.Query(ctx, sqlPaymentIntents, orders, payments)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := s.scanAttempt(ctx, rows)
			if err != nil {
				return err
			}
			byID[a.intent.PaymentID] = a
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read %d payments: %w", len(payments), err)
	}
	answers := make([]attempting, len(tasks))
	for i, t := range tasks {
		a, known := byID[t.PaymentID]
		if !known || a.intent.OrderID != t.OrderID {
			a = attempting{err: fmt.Errorf("read payment %s: %w", t.PaymentID, pgx.ErrNoRows)}
		}
		answers[i] = a
	}
	return answers, nil
}

func (s *Service) scanAttempt(ctx context.Context, rows pgx.Rows) (a attempting, err error) {
	var provider string
	var event uuid.UUID
	var amount ledger.Amount
	intent := &a.intent
	if err := rows.Scan(&intent.PaymentID, &intent.OrderID, &intent.Attempt, &amount.Minor, &amount.Currency, &provider, &intent.ProviderRef, &a.state,
		&a.failure, &intent.Method, &event, &intent.Email); err != nil {
		return a, err
	}
	if a.provider, a.err = s.providers.Of(provider); a.err != nil {
		a.err = fmt.Errorf("payment %s: %w", intent.PaymentID, a.err)
		return a, nil //nolint:nilerr // as below
	}
	terms, unknown := s.catalog(ctx, event)
	if unknown != nil {
		a.err = fmt.Errorf("terms of event %s: %w", event, unknown)
		return a, nil //nolint:nilerr // one payment's error is no failure of the others' reading
	}
	intent.Amount, intent.EventSlug = amount, terms.Slug
	a.want = terms.want(amount, intent.Method)
	intent.Description = "Tickets for " + terms.Slug
	return a, nil
}

// waiting are buyers who wait for news of their orders, which this process mostly writes itself. The zero value is ready for
// use by many goroutines.
type waiting struct {
	mu     sync.Mutex
	orders map[uuid.UUID]*waiters
}

// waiters wait for one order.
type waiters struct {
	news chan struct{} // closed with the next commit that moves the order
	told *tidings      // what that commit made of it, where all of that is known; read after news
	n    int
}

// tidings is what a commit made of an order.
type tidings struct {
	state   State
	payment Payment // the latest
	hold    uuid.UUID
	at      time.Time // by the database's clock
}

// join starts to wait for an order: news is closed with the next commit of this process that moves it. Whoever joins leaves.
func (w *waiting) join(id uuid.UUID) *waiters {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.orders == nil {
		w.orders = make(map[uuid.UUID]*waiters)
	}
	if w.orders[id] == nil {
		w.orders[id] = &waiters{news: make(chan struct{})}
	}
	w.orders[id].n++
	return w.orders[id]
}

// leave ends a wait; of is what join answered.
func (w *waiting) leave(id uuid.UUID, of *waiters) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if of != nil && w.orders[id] == of {
		if of.n--; of.n == 0 {
			delete(w.orders, id)
		}
	}
}

// await waits for news of an order, as it was read after join, for so long at most, and leaves. known tells that the news say how
// the order stands now; else it is to be read again. The error is that of ctx.
func (w *waiting) await(ctx context.Context, order Order, of *waiters, most time.Duration) (now Order, known bool, err error) {
	defer w.leave(order.ID, of)
	began, again := time.Now(), time.NewTimer(most)
	defer again.Stop()
	select {
	case <-ctx.Done():
		return Order{}, false, ctx.Err()
	case <-of.news:
		now, known = of.told.after(order, time.Since(began))
	case <-again.C:
	}
	return now, known, nil
}

// wake tells those who wait for an order; what may be nil.
func (w *waiting) wake(id uuid.UUID, what func() *tidings) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if of := w.orders[id]; of != nil {
		if what != nil {
			of.told = what()
		}
		delete(w.orders, id)
		close(of.news)
	}
}

// tidings is what a committed batch made of the record's order.
func (r *record) tidings() *tidings {
	if len(r.payments) == 0 {
		return nil
	}
	return &tidings{state: r.order.State, payment: r.payments[len(r.payments)-1], hold: r.order.Hold, at: r.now}
}

// after is an order that was read before, as news of it left it, so that it need not be read again. It answers for the plain course of a
// purchase alone: the intent of the attempt that was read is there, or the tickets are and nothing was given back; in all else it is false.
func (t *tidings) after(o Order, waited time.Duration) (Order, bool) {
	if t == nil || t.hold != o.Hold || t.payment.ID != o.Payment.ID || len(o.Refunds) > 0 || t.payment.Failure != "" {
		return o, false
	}
	switch {
	case t.state == PaymentPending && t.payment.State == PaymentBegun:
	case t.state == TicketIssued && t.payment.State == PaymentCaptured:
		o.Tickets = make([]uuid.UUID, len(o.Lines))
		for i := range o.Lines {
			o.Tickets[i] = ticket.TicketID(o.ID, i)
		}
	default:
		return o, false
	}
	o.State, o.Payment, o.UpdatedAt, o.ServerTime = t.state, t.payment, t.at, o.ServerTime.Add(waited)
	return o, true
}
