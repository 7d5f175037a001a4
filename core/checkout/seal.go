package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Sealing runs away from the hot path: a step is covered by its order's chain at once and by a seal some seconds later.
const (
	sealEvery = 5 * time.Second
	// sealHeads is how many heads one seal covers at most.
	sealHeads = 1000
	// sealPending is how old an unsealed step must be before a search takes it for left behind by a process that died.
	sealPending = time.Minute
	// searchRounds is how many rounds of sealing pass between two searches for what was left behind.
	searchRounds = 120
	// searchOverlap is how far a search goes back behind the start of the one before: what was too young for that, and what was
	// being written then, which a transaction does for less.
	searchOverlap = 10 * time.Minute
	// searchWhole is how many searches pass between two that look at everything ever made, as the first does.
	searchWhole = 144
	// searchPage is how many orders the database looks through at once; it answers with those that were left behind.
	searchPage = 10_000
	// sealAtEnd is how long the last seal of a process that stops may take.
	sealAtEnd = 5 * time.Second
)

const sqlUnsealedHeads = `
SELECT o.order_id, o.events, o.head, now()
FROM unnest($1::UUID[]) AS k (order_id)
JOIN orders AS o ON o.order_id = k.order_id
LEFT JOIN order_heads AS h ON h.order_id = o.order_id AND h.events = o.events
WHERE h.order_id IS NULL AND o.head <> ''
ORDER BY o.order_id`

const sqlLastOrderSeal = `SELECT sequence, hash FROM order_seals WHERE writer = $1 ORDER BY sequence DESC LIMIT 1`

const sqlInsertHeads = `
INSERT INTO order_heads (order_id, events, head, writer, sequence)
SELECT u.order_id, u.events, u.head, $4::UUID, $5::INT8
FROM unnest($1::UUID[], $2::INT8[], $3::BYTEA[]) AS u (order_id, events, head)`

const sqlInsertOrderSeal = `INSERT INTO order_seals (writer, sequence, heads, hash, sealed_at) VALUES ($1, $2, $3, $4, $5)`

// Orders are looked through in the order of their ids, since no hot path keeps an index for it; heads are looked at of those alone that
// were moved since $4.
const sqlLeftBehind = `
WITH page AS (
    SELECT order_id, events, head, updated_at FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $3
)
SELECT now(), (SELECT count(*) FROM page), (SELECT order_id FROM page ORDER BY order_id DESC LIMIT 1), ARRAY(
    SELECT l.order_id FROM page AS l
    LEFT JOIN order_heads AS h ON h.order_id = l.order_id AND h.events = l.events
    WHERE l.head <> '' AND l.updated_at >= $4 AND l.updated_at < now() - $2::INT8 * INTERVAL '1 millisecond' AND h.order_id IS NULL
    ORDER BY l.order_id)`

// seals keeps sealing until ctx ends, and once more then.
func (s *Service) seals(ctx context.Context) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	var since time.Time
	for round := 0; ; round++ {
		if round%searchRounds == 0 {
			if round%(searchRounds*searchWhole) == 0 {
				since = time.Time{}
			}
			if began, err := s.searchUnsealed(ctx, since); err == nil {
				since = began.Add(-searchOverlap)
			} else if ctx.Err() == nil {
				s.log.Warn("look for unsealed orders", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sealAtEnd)
			defer cancel()
			if _, err := s.Seal(last); err != nil {
				s.log.Warn("seal the orders' last steps; another core will", "error", err)
			}
			return
		case <-tick.C:
		}
		if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("seal the orders' steps", "error", err)
		}
	}
}

// Seal chains the heads of the orders that this process has moved since the last call, and returns how many. Run calls it
// every few seconds; after an error the same orders are sealed by the next call.
func (s *Service) Seal(ctx context.Context) (int, error) {
	return s.sealOrders(ctx, s.touched.take())
}

func (s *Service) sealOrders(ctx context.Context, orders []uuid.UUID) (sealed int, err error) {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	for len(orders) > 0 {
		part := orders[:min(len(orders), sealHeads)]
		n, err := s.sealPart(ctx, part)
		if err != nil {
			s.touched.add(orders)
			return sealed, err
		}
		sealed, orders = sealed+n, orders[len(part):]
	}
	return sealed, nil
}

// sealPart adds one seal to the writer's chain, unless all is sealed. Everything is read outside the transaction: a head that
// was committed stays true, nobody else writes this writer's seals, and should another process seal the same head, the key
// of order_heads makes one of the two look again.
func (s *Service) sealPart(ctx context.Context, orders []uuid.UUID) (int, error) {
	var heads []sealedHead
	var at time.Time
	var sequence int64
	var previous []byte
	err := s.db.Reading(ctx, func() error {
		heads, sequence, previous = nil, 0, nil
		err := s.db.Reader.QueryRow(ctx, sqlLastOrderSeal, s.incarnation).Scan(&sequence, &previous)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the last seal: %w", err)
		}
		rows, err := s.db.Reader.Query(ctx, sqlUnsealedHeads, orders)
		if err != nil {
			return fmt.Errorf("read the heads of orders: %w", err)
		}
		var h sealedHead
		_, err = pgx.ForEachRow(rows, []any{&h.order, &h.events, &h.head, &at}, func() error {
			heads = append(heads, h)
			h.head = nil
			return nil
		})
		return err
	})
	if err != nil || len(heads) == 0 {
		return 0, err
	}
	sequence++
	sum := newSealHash(previous, s.incarnation, sequence, int64(len(heads)), at)
	ids, events, hashes := make([]uuid.UUID, len(heads)), make([]int64, len(heads)), make([][]byte, len(heads))
	for i, h := range heads {
		sealHead(sum, h.order, h.events, h.head)
		ids[i], events[i], hashes[i] = h.order, h.events, h.head
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(sqlInsertHeads, ids, events, hashes, s.incarnation, sequence)
		b.Queue(sqlInsertOrderSeal, s.incarnation, sequence, int64(len(heads)), sum.Sum(nil), at)
		return tx.SendBatch(ctx, b).Close()
	})
	if db.Violates(err, "order_heads_pkey") {
		s.touched.add(orders) // somebody else was quicker with one of them; the next call looks again
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("insert a seal of %d orders: %w", len(heads), err)
	}
	s.log.Info("order seal", "note", SealNote{Writer: s.incarnation, Sequence: sequence, Hash: sum.Sum(nil)}.String(), "orders", len(heads))
	return len(heads), nil
}

// sealedHead is one row of order_heads.
type sealedHead struct {
	order  uuid.UUID
	events int64
	head   []byte
}

// searchUnsealed seals what processes that died have left unsealed of orders that were moved since then, or ever for a zero time. It
// returns when it began, by the database's clock.
func (s *Service) searchUnsealed(ctx context.Context, since time.Time) (began time.Time, err error) {
	var after uuid.UUID
	for {
		var at time.Time
		var seen int64
		var last *uuid.UUID
		var behind []uuid.UUID
		err := s.db.Reader.QueryRow(ctx, sqlLeftBehind, after, sealPending.Milliseconds(), searchPage, since).Scan(&at, &seen, &last, &behind)
		if err != nil {
			return began, fmt.Errorf("read orders: %w", err)
		}
		if began.IsZero() {
			began = at
		}
		if _, err := s.sealOrders(ctx, behind); err != nil {
			return began, err
		}
		if seen < searchPage || last == nil {
			return began, nil
		}
		after = *last
	}
}
