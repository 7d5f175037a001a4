package checkout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

const sqlInsertOrders = `
INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, idempotency_key, events, created_at, updated_at)
SELECT u.order_id, u.event_id, u.hold_id, u.entrant, u.state, u.amount_minor, u.currency, u.lines, u.email, u.body_hash, u.idempotency_key, u.events, now(), now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::BYTEA[], $5::TEXT[], $6::INT8[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::BYTEA[], $11::TEXT[], $12::INT8[])
    AS u (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, idempotency_key, events)`

// Opening asks for an order on a hold. The hold must be the entrant's.
type Opening struct {
	Hold    uuid.UUID
	Event   uuid.UUID // of the hold
	Entrant lottery.Entrant
	Email   string
	Key     string // Idempotency-Key: of one buyer and event, the same key is the same order
}

// keyed names an opening as its buyer does.
type keyed struct {
	event   uuid.UUID
	entrant lottery.Entrant
	key     string
}

func (o *Opening) hash() []byte {
	h := sha256.Sum256([]byte(o.Hold.String() + "\x00" + o.Email))
	return h[:]
}

// Open opens the order of a hold, or returns the one that was opened before with the same body; created says which.
// Errors: ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed, ErrKeyReused (another body), db.ErrOverloaded, db.ErrAmbiguous
// (ask again: the id of the order is fixed by the hold).
func (s *Service) Open(ctx context.Context, o Opening) (order Order, created bool, err error) {
	answer, err := s.lane.Do(ctx, ask{opening: &o})
	if err == nil {
		err = answer.err
	}
	if err != nil {
		s.metrics.openedWith(err)
		return Order{}, false, err
	}
	s.metrics.openedWith(nil)
	order, err = s.Load(ctx, OrderID(o.Hold), o.Entrant)
	return order, answer.created, err
}

// open opens the orders of a batch. Each answer's error is a buyer's outcome, not a failure of the batch.
func (s *Service) open(ctx context.Context, tx pgx.Tx, batch []*Opening) (answers []answer, started bool, err error) {
	answers = make([]answer, len(batch))
	holdIDs := make([]uuid.UUID, len(batch))
	orderIDs := make([]uuid.UUID, len(batch))
	for i, o := range batch {
		holdIDs[i], orderIDs[i] = o.Hold, OrderID(o.Hold)
	}
	existing, err := loadRecords(ctx, tx, orderIDs)
	if err != nil {
		return nil, false, err
	}
	holds, err := inventory.Read(ctx, tx, holdIDs)
	if err != nil {
		return nil, false, err
	}

	used, err := byKey(ctx, tx, batch)
	if err != nil {
		return nil, false, err
	}

	fresh := map[uuid.UUID]*record{}
	extend := map[time.Time][]uuid.UUID{}
	for i, o := range batch {
		name := keyed{o.Event, o.Entrant, o.Key}
		if other, known := used[name]; known && other != orderIDs[i] {
			answers[i].err = ErrKeyReused
			continue
		}
		r := existing[orderIDs[i]]
		if r == nil {
			r = fresh[orderIDs[i]]
		}
		if r != nil {
			answers[i].err = sameOrder(r, o)
			continue
		}
		h, known := holds[o.Hold]
		if !known || h.Entrant != o.Entrant || h.Event != o.Event {
			answers[i].err = ErrHoldUnknown
			continue
		}
		if answers[i].err = holdOpen(h); answers[i].err != nil {
			continue
		}
		terms, err := s.catalog(ctx, h.Event)
		if err != nil {
			return nil, false, fmt.Errorf("terms of event %s: %w", h.Event, err)
		}
		lines, err := price(h, terms)
		if err != nil {
			answers[i].err = err
			continue
		}
		r = &record{order: Order{
			ID: orderIDs[i], Event: h.Event, Hold: h.ID, Entrant: h.Entrant, State: Reserved,
			Amount: h.Amount, Lines: lines, Email: o.Email, bodyHash: o.hash(), key: o.Key,
		}}
		if err := r.apply(CauseOpened, "buyer", ""); err != nil {
			return nil, false, err
		}
		s.attempt(r)
		fresh[r.order.ID], used[name] = r, r.order.ID
		answers[i].created = true
		if terms.PaymentExtension > 0 {
			until := h.AsOf.Add(terms.PaymentExtension)
			extend[until] = append(extend[until], h.ID)
		}
	}
	if len(fresh) == 0 {
		return answers, false, nil
	}

	if err := insertOrders(ctx, tx, fresh); err != nil {
		return nil, false, err
	}
	if err := flush(ctx, tx, fresh); err != nil {
		return nil, false, err
	}
	for until, ids := range extend {
		// A hold that was extended before keeps the deadline it has.
		if _, err := inventory.Extend(ctx, tx, ids, until); err != nil {
			return nil, false, err
		}
	}
	tasks := make([]payment.Task, 0, len(fresh))
	for _, r := range fresh {
		tasks = append(tasks, task(taskBegin, r.order.ID, r.added[0].ID))
	}
	if err := s.outbox.Enqueue(ctx, tx, tasks); err != nil {
		return nil, false, err
	}
	return answers, true, nil
}

// sameOrder tells a repeated opening from another one with the same hold.
func sameOrder(r *record, o *Opening) error {
	if r.order.Entrant != o.Entrant {
		return ErrHoldUnknown
	}
	if !bytes.Equal(r.order.bodyHash, o.hash()) {
		return ErrOrderExists
	}
	return nil
}

const sqlOrdersByKey = `
SELECT o.event_id, o.entrant, o.idempotency_key, o.order_id
FROM unnest($1::UUID[], $2::BYTEA[], $3::TEXT[]) AS k (event_id, entrant, idempotency_key)
JOIN orders AS o ON o.event_id = k.event_id AND o.entrant = k.entrant AND o.idempotency_key = k.idempotency_key`

// byKey finds the orders that the buyers of a batch have opened with the keys they use now.
func byKey(ctx context.Context, tx pgx.Tx, batch []*Opening) (map[keyed]uuid.UUID, error) {
	events, entrants, keys := make([]uuid.UUID, len(batch)), make([][]byte, len(batch)), make([]string, len(batch))
	for i, o := range batch {
		events[i], entrants[i], keys[i] = o.Event, o.Entrant[:], o.Key
	}
	rows, err := tx.Query(ctx, sqlOrdersByKey, events, entrants, keys)
	if err != nil {
		return nil, fmt.Errorf("find orders by key: %w", err)
	}
	known := map[keyed]uuid.UUID{}
	var k keyed
	var entrant []byte
	var order uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&k.event, &entrant, &k.key, &order}, func() error {
		copy(k.entrant[:], entrant)
		known[k] = order
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find orders by key: %w", err)
	}
	return known, nil
}

// holdOpen says whether an order may be opened on the hold now, by the database clock.
func holdOpen(h inventory.Hold) error {
	switch {
	case h.State == inventory.Expired:
		return ErrHoldExpired
	case h.State != inventory.Active:
		return ErrHoldClosed
	}
	return nil
}

// attempt adds the next attempt to pay. The caller has made sure that none is live.
func (s *Service) attempt(r *record) *Payment {
	n := len(r.payments) + len(r.added) + 1
	p := Payment{ID: payment.PaymentID(r.order.ID, n), Attempt: n, Provider: s.provider.Name(), State: PaymentCreated}
	r.added = append(r.added, p)
	return &r.added[len(r.added)-1]
}

func insertOrders(ctx context.Context, tx pgx.Tx, fresh map[uuid.UUID]*record) error {
	ordered := make([]*record, 0, len(fresh))
	for _, r := range fresh {
		ordered = append(ordered, r)
	}
	slices.SortFunc(ordered, func(a, b *record) int { return bytes.Compare(a.order.ID[:], b.order.ID[:]) })
	n := len(ordered)
	ids, events, holds := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	entrants, hashes := make([][]byte, n), make([][]byte, n)
	states, currencies, lines := make([]string, n), make([]string, n), make([]string, n)
	emails, keys := make([]string, n), make([]string, n)
	amounts, counts := make([]int64, n), make([]int64, n)
	for i, r := range ordered {
		o := &r.order
		text, err := encodeLines(o.Lines)
		if err != nil {
			return err
		}
		ids[i], events[i], holds[i] = o.ID, o.Event, o.Hold
		entrants[i], hashes[i] = o.Entrant[:], o.bodyHash
		states[i], currencies[i], lines[i], emails[i] = string(o.State), o.Amount.Currency, text, o.Email
		keys[i], amounts[i], counts[i] = o.key, o.Amount.Minor, o.events
	}
	if _, err := tx.Exec(ctx, sqlInsertOrders, ids, events, holds, entrants, states, amounts, currencies, lines, emails, hashes, keys, counts); err != nil {
		return fmt.Errorf("insert orders: %w", err)
	}
	return nil
}

// refusal reports whether err is a buyer's outcome rather than a failure of ours.
func refusal(err error) bool {
	for _, known := range []error{ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed, ErrKeyReused, ErrOrderExists, ErrOrderUnknown, ErrTransition} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
